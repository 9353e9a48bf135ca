/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic between namespaces whose every byte is checked. A set of flows runs side by side in one
 * thread, client and server ends alike; a flow fails when a byte is wrong, a message is lost, the
 * far end sees another peer than it should, or nothing moves for tr_stall_ms. Nothing is ever sent
 * again by us, so a lost datagram is a failure.
 */
#ifndef PW_TESTS_TRAFFIC_H
#define PW_TESTS_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/lib/nsx.h"

enum tr_proto {
    TR_TCP,  /* both directions at once, streams of a pattern */
    TR_UDP,  /* numbered datagrams and their echoes */
    TR_ICMP, /* echo requests, answered by the far kernel */
};

struct tr_spec {
    char name[96];
    enum tr_proto proto;
    char from[32], to[32]; /* namespaces of client and server */
    union nsx_addr dst;    /* where the client sends */
    union nsx_addr at;     /* where the server listens; family 0: any address, dst's port */
    union nsx_addr src;    /* what the client binds; family 0: nothing */
    union nsx_addr peer;   /* the client's address as the server must see it; family 0: any */
    unsigned ttl;          /* hop limit with which the server (ICMP: the client) must get packets */
    unsigned size;         /* UDP, ICMP: largest payload in bytes */
    unsigned df;           /* UDP: 1: never fragmented (IP_PMTUDISC_DO), 2: fragmented (DONT) */
    uint64_t amount;       /* TCP: bytes each way; UDP, ICMP: messages */
    bool fails;            /* it must not get through */
};

/*
 * Parse "tcp "NAME" from=NS to=NS dst=ADDR port=N [at=ADDR] [atport=N] [src=ADDR] [sport=N]
 * [peer=ADDR] [ttl=N] [size=N] [df=N] [amount=N] [fails=1]". False and a message in `why` (128
 * bytes).
 */
bool tr_parse(struct tr_spec *out, const char *line, char *why);

struct tr_flow {
    struct tr_spec spec;
    bool ok;
    char why[160];          /* why not; also set for a flow that failed as it should */
    union nsx_addr seen;    /* the client as the server saw it */
    unsigned seen_ttl, mtu; /* as the server got it; the client's path MTU at the end */
    uint64_t moved;         /* bytes (TCP) or messages that arrived, both ways */
    struct tr_state *state;
};

extern unsigned tr_stall_ms;   /* default 4000, or $PWT_STALL in ms */
extern unsigned tr_step_bytes; /* that a TCP flow moves between two steps; default 128 KiB */
extern unsigned tr_window;     /* datagrams under way at most; default 8 */

/*
 * Run all flows to their end. With `steps`, shell commands, the amounts do not matter: each step is
 * run while every flow moves, the next one only when all have moved on after it, and the flows end
 * after the last one. Gives how many flows and steps went wrong.
 */
unsigned tr_run(struct tr_flow *flows, unsigned n, const char *const *steps, unsigned n_steps);

#endif
