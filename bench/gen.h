/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator: one client process and one server process, forked into the two ends of a
 * path, with everything they have to say to each other in shared memory. It exists beside iperf3
 * and sockperf for what they cannot say: connections per second, packet rate with loss, the CPU
 * time of both ends over exactly the measured window, and work by number instead of by time
 * (where instructions are counted).
 */
#ifndef PW_BENCH_GEN_H
#define PW_BENCH_GEN_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/hist.h"
#include "bench/lab.h"
#include "loader/base/addr.h"

enum nb_kind {
    NB_TCP_STREAM,
    NB_TCP_RR,
    NB_TCP_CRR,
    NB_UDP_RR,
    NB_UDP_RATE,
    NB_TAP_RATE, /* datagrams as frames that are written to a tap as a VMM would */
    NB_IPERF3,   /* TCP stream by iperf3: the same question put to another program */
    NB_SOCKPERF, /* UDP request and response by sockperf */
};

/* One end of a measurement. */
struct nb_end {
    struct nb_spot spot; /* borrowed */
    struct pw_addr addr;
    char dev[16]; /* device in that namespace that carries the traffic */
    int tap;      /* of the guest that the client is, for NB_TAP_RATE (borrowed) */
};

struct nb_job {
    enum nb_kind kind;
    unsigned flows;
    bool up, down; /* stream: client to server, server to client */
    unsigned size; /* bytes of a request, response, datagram */
    /* Work by time, or by number when run_n is not 0 (requests, datagrams, bytes). */
    uint64_t warm_ns, run_ns, warm_n, run_n;
    int cpu_client, cpu_server; /* -1: not pinned */
    /* Congestion control, set on each socket: some kernels refuse most of them as the default of a
     * namespace. NULL: the kernel's default. */
    const char *cc;
    bool mark;            /* execute the marker instructions around the window */
    unsigned mark_number; /* of the window, below 2^NB_MARK_BITS */
};

/* What one measured window says. All figures belong to the window but the audit's. */
struct nb_sample {
    uint64_t ns;         /* length of the window */
    uint64_t ops;        /* requests, connections, datagrams received */
    uint64_t bytes;      /* payload received, both directions */
    uint64_t sent, lost; /* datagrams */
    uint64_t cpu_client_ns, cpu_server_ns;
    uint64_t cpu_helper_ns; /* processes that play a VMM */
    uint64_t ksoftirqd_ns;  /* all CPUs; only what ran in the kernel's own threads */
    uint64_t softirq_ns;    /* sampled by the timer tick, whole machine, also counted in the ends */
    uint64_t idle_ns;       /* all CPUs */
    uint64_t forwarded;     /* packets that the nodes' IP stacks forwarded */
    /* Audit, whole life of the connections: payload by receivers, packets and bytes by devices. */
    uint64_t app_bytes, app_ops, dev_bytes, dev_packets, retrans_bytes;
    bool has_hist;
};

/* Descriptors and processes that let a process read counters of namespaces it is not in. Owner: the
 * caller. */
struct nb_probe {
    int dev[2];          /* /proc/net/dev of client's and server's namespace */
    int snmp[2];         /* /proc/net/snmp of the nodes, -1: none */
    const pid_t *helper; /* processes that move frames on the way (borrowed) */
    unsigned nhelpers;
};
int nb_probe_open(const struct nb_end *client, const struct nb_end *server, const struct nb_node *a,
                  const struct nb_node *b, struct nb_probe *out, struct pw_err *err);
void nb_probe_close(struct nb_probe *p);

/* Remember the kernel's softirq threads; call once, before the laboratory hides them. */
void nb_gen_init(void);

/* Run one measurement. `hist` receives the latencies of request/response kinds (may be NULL).
 * -ETIMEDOUT when it does not finish, -EINTR when the laboratory is stopping. */
int nb_gen_run(const struct nb_job *job, const struct nb_end *client, const struct nb_end *server,
               const struct nb_probe *probe, struct nb_sample *out, struct nb_hist *hist,
               struct pw_err *err);

/* Whether the audit holds: what receivers counted and what their devices counted agree. On
 * failure `why` says how they differ. */
bool nb_audit(const struct nb_job *job, const struct nb_sample *s, char why[200]);

#endif
