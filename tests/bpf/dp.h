/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datapath on a bench: the real object, loaded, with endpoints on devices of its own node, and
 * packets run through a program by BPF_PROG_TEST_RUN. The bench (dp_open) has
 *
 *     name   device        kind        addresses                          MAC
 *     A      pw-a          veth        10.1.0.2, fd00:1::2                02:00:00:00:00:0a
 *     B      pw-b          netkit L3   10.1.0.3, fd00:1::3                none
 *     C      pw-c          netkit L2   10.1.0.4, 10.1.0.44, fd00:1::4     02:00:00:00:00:0c
 *     T      pw-t          tap         10.1.0.5, fd00:1::5                02:00:00:00:00:0e
 *
 * (the device itself is always a veth: programs know the kind from the map), and an uplink up0 with
 * 192.168.9.1, fd00:9::1, and routes 10.2.0.0/16 and fd00:2::/64 by a neighbour that is known
 * (02:00:00:00:09:02). Native: 10.0.0.0/8, fd00::/16. Conntrack is not asked unless a test says so.
 */
#ifndef PW_TESTS_BPF_DP_H
#define PW_TESTS_BPF_DP_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/podwire.h"
#include "bpf/datapath.skel.h"
#include "tests/lib/pkt.h"
#include "tests/lib/tap.h"

enum dp_ep_name { DP_A, DP_B, DP_C, DP_T, DP_EPS };

#define DP_HOST_MAC "02:70:77:00:00:01"
#define DP_UP_MAC "02:00:00:00:09:01"
#define DP_PEER_MAC "02:00:00:00:09:02"
#define DP_MARK 0x1000

struct dp {
    struct pw_datapath *skel;
    struct pw_ep ep[DP_EPS];
    struct pw_conf conf;
    uint32_t uplink;
};

extern struct dp dp;

/* Run a command of the shell; ends the test when it fails. */
__attribute__((format(printf, 1, 2))) void dp_sh(const char *fmt, ...);
/* An empty NAT chain of `family` ("ip", "ip6", "inet"): from now on conntrack is asked. */
void dp_nat(const char *family);
/* Make the bench. Ends the test when it cannot. */
void dp_open(void);
/* Write dp.conf, with a new generation. */
void dp_conf(void);
/* dp.conf.flags, written. */
void dp_flags(uint32_t flags);
/* Give an address to an endpoint, or take it away (ep < 0). */
void dp_addr(int ep, const char *addr);

/* What went into a run, and what came out. */
struct dp_run {
    /* in */
    uint32_t ifindex; /* device the packet comes by */
    uint32_t mark;
    uint32_t gso_size;
    uint32_t linear; /* bytes in the linear part; 0: all. Older kernels refuse */
    /* out */
    int verdict; /* TCX_*; 7 is a redirect */
    uint32_t out_mark, cb[5];
    uint64_t tstamp; /* departure time */
    uint32_t ns;     /* per run */
    uint32_t len;
    bool refused; /* the kernel does not run such a packet */
    uint8_t data[PKT_MAX];
};

/* Run the packet as if sent by an endpoint, through the program of its kind; or from the wire. */
struct dp_run *dp_from(enum dp_ep_name ep, struct pkt *p);
struct dp_run *dp_wire(struct pkt *p);
/* The same by any program, with r's inputs. */
void dp_prog(struct bpf_program *prog, struct pkt *p, struct dp_run *r, unsigned repeat);

/* What the explaining program says of it: PW_CB_* in r->cb. */
struct dp_run *dp_explain(int ep /* < 0: from the wire */, struct pkt *p);

struct pw_count dp_count_from(enum dp_ep_name ep);
struct pw_count dp_count_to(enum dp_ep_name ep);
struct pw_count dp_reason(uint32_t slot, enum pw_reason reason, enum pw_direction dir);
/* Sum of all reasons' packets. */
uint64_t dp_reasons_total(void);

/* One packet, the whole outcome; each of the fields is a check of its own in one TAP line. */
struct dp_want {
    enum pw_via via;
    enum pw_reason reason;
    uint32_t ifindex; /* 0: not looked at */
    bool marked;
};
#define DP_STACK(r) ((struct dp_want){PW_VIA_STACK, PW_##r, 0, false})
#define DP_MARKED(r) ((struct dp_want){PW_VIA_STACK, PW_##r, 0, true})
#define DP_DROP(r) ((struct dp_want){PW_VIA_DROP, PW_##r, 0, false})
#define DP_PEER(ep_) ((struct dp_want){PW_VIA_PEER, 0, dp.ep[ep_].ifindex, false})
#define DP_REDIRECT(i) ((struct dp_want){PW_VIA_REDIRECT, 0, (i), false})
#define DP_PASS ((struct dp_want){PW_VIA_STACK, 0, 0, false})
/*
 * Run the packet through the real program, as the first on its path and once more when the path is
 * known, and through the explaining one, and check: verdict and mark, that the right counter and no
 * other has moved by one each time, that all are of one mind.
 */
#define dp_check(ep, p, want, ...)                                                                 \
    ({                                                                                             \
        const char *dp_why_ = dp_try((ep), (p), (want));                                           \
        bool dp_ok_ = tap_check(!dp_why_, __FILE__, __LINE__, __VA_ARGS__);                        \
        if (dp_why_)                                                                               \
            diag("%s", dp_why_);                                                                   \
        dp_ok_;                                                                                    \
    })
/* The same without the TAP line: NULL when all is as it should be, else what is not. */
const char *dp_try(int ep, struct pkt *p, struct dp_want want);
/* What the last real run gave. */
struct dp_run *dp_last(void);

/* Of the next dp_check, reset by it: inputs, another program, one that counts only drops. */
extern struct dp_run dp_next;
extern struct bpf_program *dp_next_prog;
extern bool dp_next_quiet;
/* A sound packet that makes the path known between the two runs; until set to NULL again. For
 * packets that would never make it known by themselves. */
extern struct pkt *dp_prime;

/* Packets with the right MACs for an endpoint, or (ep < 0) for the wire. pkt_start included. */
void dp_eth(struct pkt *p, int ep);
void dp_udp(struct pkt *p, int ep, const char *src, const char *dst);
void dp_tcp(struct pkt *p, int ep, const char *src, const char *dst, const char *flags, size_t n);
/* First address of a family. */
const char *dp_addr_of(int ep, bool v6);

#endif
