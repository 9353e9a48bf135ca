/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real conntrack entries of the node, made by sockets that own pod A's addresses: through
 *     10.96.0.1, fd00:96::1   translated to 10.2.0.9, fd00:2::9 (another host)
 *     10.96.0.2, fd00:96::2   translated to pod B
 * and, from source port 4100, source translation to the node's address. All else is tracked plain.
 */
#ifndef PW_TESTS_BPF_FLOWS_H
#define PW_TESTS_BPF_FLOWS_H

#include "tests/bpf/dp.h"

/* Load the rules, give the node pod A's addresses. */
void flows_open(void);
/* A socket bound to A's address and `sport`, which ends with the test. proto: IPPROTO_*. */
int flow_socket(uint8_t proto, bool v6, uint16_t sport);
/* Its first packet (TCP: a SYN) to an address. */
void flow_send(int fd, const char *dst, uint16_t dport);
/* Both in one. */
void flow_make(uint8_t proto, uint16_t sport, const char *dst, uint16_t dport);

/* A packet of such a flow, by hand; `flags` for TCP. */
void flow_packet(struct pkt *p, int ep, uint8_t proto, const char *src, uint16_t sport,
                 const char *dst, uint16_t dport, const char *flags);

#endif
