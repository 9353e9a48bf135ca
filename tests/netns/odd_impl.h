/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make odd packets share; tests include odd.h. */
#ifndef PW_TESTS_ODD_IMPL_H
#define PW_TESTS_ODD_IMPL_H

#include "tests/netns/odd.h"

/* What is being made; the functions below fill it in. */
struct odd {
    struct pkt *p;
    const struct odd_flow *flow;
    struct odd_offload *off;
    uint16_t nr, round;
    bool sound;
};

struct odd_kind {
    const char *name;
    void (*make)(struct odd *o);
};

/* Up to the layer 4 header and above it; beneath it. */
extern const struct odd_kind odd_l4_kinds[], odd_l3_kinds[];
extern const unsigned odd_l4_count, odd_l3_count;

/* n bytes of payload that name the packet. */
void odd_tag(struct odd *o, size_t n);
void odd_link_and_ip(struct odd *o);
/* The packet's source port. */
uint16_t odd_port(const struct odd *o);
/* A whole datagram of n bytes of payload. */
void odd_udp(struct odd *o, size_t n);

#endif
