/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary and odd packets of one flow: what a pod, or the wire, can send. Each carries its number
 * where its answers and the errors about it carry it too (payload, ports, echo identifier).
 */
#ifndef PW_TESTS_ODD_H
#define PW_TESTS_ODD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/pkt.h"

#define ODD_PORT 0x4000 /* plus the packet's number: its source port */

struct odd_flow {
    const char *src_mac, *dst_mac, *src, *dst;
    bool v6;
    uint16_t mtu; /* of the sender's device */
};

/* Offload that the sender asks its kernel for, as in struct virtio_net_hdr. */
struct odd_offload {
    bool csum;
    uint8_t gso_type;
    uint16_t gso_size;
};

/* How many packets odd_make knows of a family. */
unsigned odd_count(bool v6);

/*
 * Packet number `kind` of the flow, tagged with `nr`; `round` differs whenever the same packet is
 * sent again, so that fragments of two rounds do not meet. Gives its name. `sound`: it must arrive
 * wherever an ordinary datagram arrives.
 */
const char *odd_make(struct pkt *p, struct odd_offload *off, bool *sound, unsigned kind,
                     const struct odd_flow *flow, uint16_t nr, uint16_t round);

/* Number of the packet which this IP packet is, answers, or complains about; -1 when none. */
int odd_number(const uint8_t *ip, size_t len);

#endif
