/* SPDX-License-Identifier: Apache-2.0 */
/* A tap's queues: open, offloads by what the guest takes, switch on and off, hand over by fd. */
#ifndef PW_VMM_TAPDEV_H
#define PW_VMM_TAPDEV_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"

/*
 * Check that `fd` is a tap with a vnet header and make it ours: header of 12 bytes, non-blocking,
 * bounded send buffer. Refused: tun (layer 3), packet information header.
 */
int vn_tap_prepare(int fd, struct pw_err *err);
/* Segmentation offloads that the tap takes at all, as TUN_F_* bits (asked for and taken back). */
unsigned vn_tap_probe_offload(int fd);
int vn_tap_offload(int fd, unsigned tun_f, struct pw_err *err);
/* Let the kernel spread frames to this queue or not. A tap with one queue has no such switch: 0. */
int vn_tap_queue(int fd, bool on, struct pw_err *err);
/* Send the announcement of VHOST_USER_SEND_RARP: RFC 903's "who am I" from `mac` to everyone, so
 * that switches learn it. */
int vn_tap_announce(int fd, const uint8_t mac[6], struct pw_err *err);

#endif
