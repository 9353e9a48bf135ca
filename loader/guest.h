/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtual machine behind a tap needs to know, as the state record has it under "guest":
 *
 *   tap          name of the tap
 *   netns        path of the namespace it is in; absent: the node's
 *   queues       1: a tap with a single queue
 *   owner, group who may open it, or connect to the socket; absent both: root
 *   socket       of kind vhost-user: its path, and
 *   listens      "backend" (ours) or "vmm" there
 *   mac, mtu     of the guest's interface
 *   addresses    with their subnet's prefix
 *   neighbours   [{address, mac}]: next hops
 *   routes, dns  as in a CNI result
 */
#ifndef PW_LOADER_GUEST_H
#define PW_LOADER_GUEST_H

#include <jansson.h>

#include "loader/base/err.h"

/* The guest's device as Kata Containers (runtime-rs, resource/src/network/dan.rs) takes it, a
 * DanDevice; `ifname` is the interface's name in the guest. New reference, NULL without memory. */
json_t *pw_guest_dan_device(const json_t *guest, const char *ifname);

/*
 * Put a device into the file of a sandbox, DIR/ID.json, or take it out (`device` NULL). The file
 * goes with the last device; taking out succeeds where there is none. DIR, an absolute path, and
 * its parent are made.
 */
int pw_guest_dan_file(const char *dir, const char *id, const char *ifname, const char *netns,
                      json_t *device, struct pw_err *err);

#endif
