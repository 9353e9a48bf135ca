/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state record of an attachment, PW_RUN_DIR/endpoints/ID:IFNAME.json: written before the first
 * change to the kernel ("complete": false), again at the end of ADD, removed at the end of DEL.
 * DEL, CHECK, GC and `podwirectl endpoints` read it; DEL does without it where it has to.
 *
 * Keys: version, complete, network, containerId, ifname, netns, hostIf, hostIfindex, podIfindex,
 * device, asked, why, mtu, mac, hostMac, addresses, pod {namespace, name}, ipam; of kinds with a
 * tap in the pod's namespace: tap, netnsId;
 * of virtual machines: guest (loader/guest.h), autoconf, dan.
 */
#ifndef PW_CNI_STATE_H
#define PW_CNI_STATE_H

#include <stdbool.h>

#include "bpf/abi/podwire.h"
#include "cni/ipam.h"

/* Plain value; strings are cut to their size. */
struct pw_state {
    bool complete;
    char network[64], container_id[204], ifname[16], host_if[16];
    uint32_t host_ifindex, pod_ifindex, mtu;
    char tap[16];      /* in the pod's namespace; "" where there is none */
    char netns[256];   /* path, of kinds with such a tap, and */
    char dan[128];     /* folder of Kata's file; "" where there is none */
    uint64_t netns_id; /* what it named: struct pw_netns */
    enum pw_device device;
    char asked[16]; /* device as configured or asked for by the pod */
    char why[192];  /* why it became this one */
    bool has_mac;
    bool autoconf; /* a virtual machine that asks is told its configuration */
    uint8_t mac[6], host_mac[6];
    struct pw_addr ips[PW_MAX_IPS]; /* with full prefix */
    size_t n_ips;
    struct pw_bandwidth from_pod, to_pod;
};

/* Write or replace, atomically. `netns` and CNI_ARGS' pod names are taken from `req`; `guest` (may
 * be NULL) is what a virtual machine needs to know. */
int pw_state_write(const struct pw_state *st, const struct pw_req *req, json_t *guest,
                   struct pw_err *err);
/* -ENOENT where there is none; -EBADMSG where it cannot be understood. */
int pw_state_read(const char *container_id, const char *ifname, struct pw_state *out,
                  struct pw_err *err);
/* Success when there is none. */
int pw_state_remove(const char *container_id, const char *ifname, struct pw_err *err);

/* Parse a record's text: -EBADMSG. */
int pw_state_parse(const char *text, size_t len, struct pw_state *out, struct pw_err *err);

/* For each record that can be read; a file that cannot be understood is told with the id and
 * interface of its name and all else zero. `fn` may remove the record. */
int pw_state_each(void (*fn)(const struct pw_state *st, void *arg), void *arg, struct pw_err *err);

#endif
