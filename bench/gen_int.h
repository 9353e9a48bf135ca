/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the load generator share; nobody else includes this. */
#ifndef PW_BENCH_GEN_INT_H
#define PW_BENCH_GEN_INT_H

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "bench/gen.h"
#include "loader/base/clock.h"

#define NB_UDP_BURST 32

/* One cache line for each counter, so that the two ends do not disturb each other by them. */
struct nb_counter {
    _Alignas(128) _Atomic uint64_t v;
};

/* Lives in memory shared by the two ends and their parent. In reading order: its padding is nothing
 * beside the histogram. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct nb_shared {
    struct nb_job job;
    struct nb_end end[2]; /* client, server */
    struct nb_probe probe;
    pid_t server_pid;
    sem_t ready;
    sem_t drain; /* NB_TAP_RATE by number: the window has closed, receive what lies there */
    _Atomic unsigned port;
    _Atomic bool stop;
    struct nb_counter rx_bytes[2], rx_ops[2]; /* received by client, by server */
    struct nb_counter sent;
    struct nb_counter retrans; /* payload bytes that TCP sent again */
    _Atomic int failed;        /* errno of the first failure */
    char why[200];
    struct nb_sample out;
    struct nb_hist hist;
};

/* The measured window, as the client sees it. */
struct nb_window {
    struct nb_shared *sh;
    int phase; /* 0 warm-up, 1 measuring, 2 done */
    uint64_t start, ops0, bytes0, sent0;
    struct nb_sample at0;
};

void nb_window_start(struct nb_window *w, struct nb_shared *sh);
/* Tell the window how much is done at `now`; false when it has closed. */
bool nb_window_step(struct nb_window *w, uint64_t done, uint64_t now);

int nb_fail(struct nb_shared *sh, const char *what);
void nb_pin(int cpu);
/* Address of the server as a socket address; returns its length. */
socklen_t nb_sockaddr(const struct pw_addr *a, unsigned port, struct sockaddr_storage *out);
void nb_count(struct nb_counter *c, uint64_t n);
uint64_t nb_read(struct nb_counter *c);

/* Entry points of the two processes (arg: struct nb_shared *). */
int nb_tcp_server(struct nb_shared *sh);
int nb_tcp_client(struct nb_shared *sh);
int nb_udp_server(struct nb_shared *sh);
int nb_udp_client(struct nb_shared *sh);
/* iperf3 and sockperf, started by exec. */
int nb_tool_server(struct nb_shared *sh);
int nb_tool_client(struct nb_shared *sh);

#endif
