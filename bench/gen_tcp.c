/* SPDX-License-Identifier: Apache-2.0 */
/* TCP: streams in either direction, request and response, connection for each request. */
#include "bench/gen_int.h"

#include <linux/tcp.h> /* its tcp_info is longer than the C library's */
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "loader/base/cleanup.h"

#define CHUNK 131072
#define MAX_FLOWS 64

static unsigned char zeros[CHUNK]; /* sent as it is; content does not matter to any path */

static int sock_opts(struct nb_shared *sh, int fd)
{
    const char *cc = sh->job.cc;
    struct timeval stall = {5, 0};
    int one = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof(stall)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        (cc && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) < 0))
        return -errno;
    return 0;
}

static bool recv_all(int fd, void *buf, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = recv(fd, (char *)buf + got, n - got, 0);
        if (k <= 0) {
            if (k == 0)
                errno = ECONNRESET;
            return false;
        }
        got += (size_t)k;
    }
    return true;
}

static bool send_all(int fd, const void *buf, size_t n)
{
    for (size_t put = 0; put < n;) {
        ssize_t k = send(fd, (const char *)buf + put, n - put, MSG_NOSIGNAL);
        if (k < 0)
            return false;
        put += (size_t)k;
    }
    return true;
}

/* What a socket has sent twice reaches the device twice but the application once. */
static void note_retransmits(struct nb_shared *sh, int fd)
{
    struct tcp_info ti = {0};
    socklen_t len = sizeof(ti);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) == 0 &&
        len >= offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(ti.tcpi_bytes_retrans))
        nb_count(&sh->retrans, ti.tcpi_bytes_retrans);
}

static int connect_to(struct nb_shared *sh)
{
    struct sockaddr_storage sa;
    socklen_t len = nb_sockaddr(&sh->end[1].addr, atomic_load(&sh->port), &sa);
    pw_fd fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sock_opts(sh, fd) < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
        return -errno;
    return PW_TAKE_FD(fd);
}

/* ---- streams ---- */

struct flow {
    struct nb_shared *sh;
    int fd;
    int side;                 /* 0 client, 1 server */
    struct nb_window *window; /* not NULL: the only flow, which keeps the window itself */
    pthread_t rx, tx;
    bool has_rx, has_tx;
};

static void *flow_tx(void *p)
{
    struct flow *f = p;
    struct nb_shared *sh = f->sh;
    bool open = true;
    while (open && !atomic_load_explicit(&sh->stop, memory_order_relaxed)) {
        ssize_t k = send(f->fd, zeros, CHUNK, MSG_NOSIGNAL);
        if (k < 0) {
            if (!atomic_load(&sh->stop))
                nb_fail(sh, "send");
            break;
        }
        if (f->window)
            open = nb_window_step(f->window, nb_read(&sh->rx_bytes[!f->side]), pw_clock_ns());
    }
    shutdown(f->fd, SHUT_WR);
    return NULL;
}

static void *flow_rx(void *p)
{
    struct flow *f = p;
    struct nb_shared *sh = f->sh;
    pw_free unsigned char *buf = malloc(CHUNK);
    bool open = f->window != NULL;
    if (!buf) {
        nb_fail(sh, "buffer");
        return NULL;
    }
    for (;;) {
        ssize_t k = recv(f->fd, buf, CHUNK, 0);
        if (k == 0)
            return NULL;
        if (k < 0) {
            nb_fail(sh, "receive");
            return NULL;
        }
        nb_count(&sh->rx_bytes[f->side], (uint64_t)k);
        if (open) {
            open = nb_window_step(f->window, nb_read(&sh->rx_bytes[f->side]), pw_clock_ns());
            if (!open)
                atomic_store(&sh->stop, true);
        }
    }
}

static int flow_start(struct flow *f)
{
    const struct nb_job *j = &f->sh->job;
    bool tx = f->side == 0 ? j->up : j->down, rx = f->side == 0 ? j->down : j->up;
    if (tx && pthread_create(&f->tx, NULL, flow_tx, f) == 0)
        f->has_tx = true;
    if (rx && pthread_create(&f->rx, NULL, flow_rx, f) == 0)
        f->has_rx = true;
    return (tx && !f->has_tx) || (rx && !f->has_rx) ? -EAGAIN : 0;
}

static void flow_end(struct flow *f)
{
    char c;
    if (f->has_tx)
        pthread_join(f->tx, NULL);
    if (f->has_rx)
        pthread_join(f->rx, NULL);
    /* Wait for the other end to have read everything, so that the audit sees all of it. */
    if (!f->has_rx && f->side == 0)
        while (recv(f->fd, &c, 1, 0) > 0)
            ;
    note_retransmits(f->sh, f->fd);
    pw_closep(&f->fd);
}

static int stream_client(struct nb_shared *sh)
{
    struct flow f[MAX_FLOWS] = {0};
    struct nb_window w;
    unsigned n = sh->job.flows;
    bool single = n == 1 && !(sh->job.up && sh->job.down);

    for (unsigned i = 0; i < n; i++) {
        f[i] = (struct flow){.sh = sh, .fd = connect_to(sh)};
        if (f[i].fd < 0)
            return nb_fail(sh, "connect");
    }
    nb_window_start(&w, sh);
    if (single) {
        f[0].window = &w;
        if (sh->job.up)
            flow_tx(&f[0]);
        else
            flow_rx(&f[0]);
    } else {
        for (unsigned i = 0; i < n; i++)
            if (flow_start(&f[i]) < 0)
                return nb_fail(sh, "start flow");
        /* Counting goes by bytes: look often. By time a coarse nap is exact enough, since the
         * window's length is measured. */
        struct timespec nap = {0, sh->job.run_n ? 500000 : 2000000};
        do
            nanosleep(&nap, NULL);
        while (!atomic_load(&sh->failed) &&
               nb_window_step(&w, nb_read(&sh->rx_bytes[0]) + nb_read(&sh->rx_bytes[1]),
                              pw_clock_ns()));
    }
    atomic_store(&sh->stop, true);
    for (unsigned i = 0; i < n; i++)
        flow_end(&f[i]);
    return atomic_load(&sh->failed) != 0;
}

static int stream_server(struct nb_shared *sh, int listener)
{
    struct flow f[MAX_FLOWS] = {0};
    unsigned n = sh->job.flows;
    for (unsigned i = 0; i < n; i++) {
        f[i] =
            (struct flow){.sh = sh, .side = 1, .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
        if (f[i].fd < 0 || sock_opts(sh, f[i].fd) < 0 || flow_start(&f[i]) < 0)
            return nb_fail(sh, "accept");
    }
    for (unsigned i = 0; i < n; i++)
        flow_end(&f[i]);
    return 0;
}

/* ---- request and response ---- */

static int rr_client(struct nb_shared *sh)
{
    unsigned char buf[65536];
    struct nb_window w;
    size_t size = sh->job.size;
    uint64_t done = 0, t0, t1;
    pw_fd fd = connect_to(sh);
    if (fd < 0)
        return nb_fail(sh, "connect");
    memset(buf, 0, size);
    nb_window_start(&w, sh);
    t0 = pw_clock_ns();
    for (;;) {
        if (!send_all(fd, buf, size) || !recv_all(fd, buf, size))
            return nb_fail(sh, "request");
        nb_count(&sh->rx_bytes[0], size);
        nb_count(&sh->rx_ops[0], 1);
        t1 = pw_clock_ns();
        if (w.phase == 1)
            nb_hist_add(&sh->hist, t1 - t0);
        int phase = w.phase;
        if (!nb_window_step(&w, ++done, t1))
            break;
        /* Opening the window takes time that belongs to no request. */
        t0 = phase == w.phase ? t1 : pw_clock_ns();
    }
    note_retransmits(sh, fd);
    return 0;
}

static int rr_server(struct nb_shared *sh, int listener)
{
    unsigned char buf[65536];
    pw_fd fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || sock_opts(sh, fd) < 0)
        return nb_fail(sh, "accept");
    while (recv_all(fd, buf, sh->job.size)) {
        nb_count(&sh->rx_bytes[1], sh->job.size);
        nb_count(&sh->rx_ops[1], 1);
        if (!send_all(fd, buf, sh->job.size))
            break;
    }
    return 0;
}

static int crr_client(struct nb_shared *sh)
{
    unsigned char buf[65536];
    struct nb_window w;
    size_t size = sh->job.size;
    memset(buf, 0, size);
    nb_window_start(&w, sh);
    for (uint64_t done = 0;;) {
        uint64_t t0 = pw_clock_ns();
        pw_fd fd = connect_to(sh);
        if (fd < 0)
            return nb_fail(sh, "connect");
        if (!send_all(fd, buf, size) || !recv_all(fd, buf, size))
            return nb_fail(sh, "request");
        /* The server closes first, so that its end keeps TIME_WAIT and our port is free again. */
        if (recv(fd, buf, 1, 0) != 0)
            return nb_fail(sh, "close");
        pw_closep(&fd);
        nb_count(&sh->rx_bytes[0], size);
        nb_count(&sh->rx_ops[0], 1);
        uint64_t t1 = pw_clock_ns();
        if (w.phase == 1)
            nb_hist_add(&sh->hist, t1 - t0);
        if (!nb_window_step(&w, ++done, t1))
            return 0;
    }
}

static int crr_server(struct nb_shared *sh, int listener)
{
    unsigned char buf[65536];
    for (;;) {
        pw_fd fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
                continue;
            return nb_fail(sh, "accept");
        }
        if (sock_opts(sh, fd) < 0 || !recv_all(fd, buf, sh->job.size))
            continue;
        nb_count(&sh->rx_bytes[1], sh->job.size);
        nb_count(&sh->rx_ops[1], 1);
        send_all(fd, buf, sh->job.size);
    }
}

/* ---- entry points ---- */

int nb_tcp_server(struct nb_shared *sh)
{
    struct sockaddr_storage sa;
    struct pw_addr any = {.family = sh->end[1].addr.family};
    socklen_t len = nb_sockaddr(&any, 0, &sa);
    int one = 1;
    pw_fd fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        nb_fail(sh, "listen");
        sem_post(&sh->ready);
        return 1;
    }
    atomic_store(&sh->port, ntohs(((struct sockaddr_in *)&sa)->sin_port));
    sem_post(&sh->ready);
    switch (sh->job.kind) {
    case NB_TCP_STREAM:
        return stream_server(sh, fd);
    case NB_TCP_RR:
        return rr_server(sh, fd);
    default:
        return crr_server(sh, fd);
    }
}

int nb_tcp_client(struct nb_shared *sh)
{
    switch (sh->job.kind) {
    case NB_TCP_STREAM:
        return stream_client(sh);
    case NB_TCP_RR:
        return rr_client(sh);
    default:
        return crr_client(sh);
    }
}
