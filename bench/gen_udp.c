/* SPDX-License-Identifier: Apache-2.0 */
/* UDP: request and response, and small packets as fast as they go with the share that is lost. */
#include "bench/gen_int.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "loader/base/cleanup.h"

#define MAX_DATAGRAM 9000

static int open_socket(const struct pw_addr *a, struct timeval wait)
{
    struct sockaddr_storage sa;
    nb_sockaddr(a, 0, &sa);
    pw_fd fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int size = 4 << 20; /* beyond net.core.rmem_max where root may go there, alike on all paths */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return PW_TAKE_FD(fd);
}

static int client_socket(struct nb_shared *sh)
{
    struct timeval lost = {0, 200000}; /* an answer later than this is counted as lost */
    struct sockaddr_storage sa;
    socklen_t len = nb_sockaddr(&sh->end[1].addr, atomic_load(&sh->port), &sa);
    pw_fd fd = open_socket(&sh->end[1].addr, lost);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0)
        return -errno;
    return PW_TAKE_FD(fd);
}

static int rr_client(struct nb_shared *sh)
{
    unsigned char buf[MAX_DATAGRAM];
    struct nb_window w;
    size_t size = sh->job.size;
    uint64_t done = 0, lost = 0, seq = 0, t0, t1;
    pw_fd fd = client_socket(sh);
    if (fd < 0)
        return nb_fail(sh, "connect");
    memset(buf, 0, sizeof(buf));
    nb_window_start(&w, sh);
    t0 = pw_clock_ns();
    for (;;) {
        seq++;
        memcpy(buf, &seq, sizeof(seq));
        if (send(fd, buf, size, 0) < 0)
            return nb_fail(sh, "send");
        uint64_t got = 0;
        do {
            ssize_t k = recv(fd, buf, sizeof(buf), 0);
            if (k < 0 && (errno == EAGAIN || errno == ECONNREFUSED))
                break;
            if (k < (ssize_t)sizeof(got))
                return nb_fail(sh, "receive");
            memcpy(&got, buf, sizeof(got));
        } while (got < seq); /* the late answer to an earlier request */
        t1 = pw_clock_ns();
        if (got == seq) {
            nb_count(&sh->rx_bytes[0], size);
            nb_count(&sh->rx_ops[0], 1);
            if (w.phase == 1)
                nb_hist_add(&sh->hist, t1 - t0);
            done++;
        } else if (++lost > 20) {
            errno = ETIMEDOUT;
            return nb_fail(sh, "no answers");
        } else if (w.phase == 1) {
            sh->out.lost++;
        }
        int phase = w.phase;
        if (!nb_window_step(&w, done, t1))
            return 0;
        t0 = phase == w.phase ? t1 : pw_clock_ns();
    }
}

struct batch {
    struct mmsghdr msg[NB_UDP_BURST];
    struct iovec iov[NB_UDP_BURST];
    unsigned char buf[NB_UDP_BURST][2048];
};

static void batch_init(struct batch *b, size_t size)
{
    memset(b, 0, sizeof(*b));
    for (int i = 0; i < NB_UDP_BURST; i++) {
        b->iov[i] = (struct iovec){b->buf[i], size};
        b->msg[i].msg_hdr = (struct msghdr){.msg_iov = &b->iov[i], .msg_iovlen = 1};
    }
}

static void nap(long ns)
{
    struct timespec t = {0, ns};
    nanosleep(&t, NULL);
}

/* Wait until the receiver has all that was sent. */
static bool arrived(struct nb_shared *sh, uint64_t sent)
{
    for (uint64_t since = pw_clock_ns(); nb_read(&sh->rx_ops[1]) < sent; sched_yield())
        if (pw_clock_ns() - since > 1000000000ULL) {
            errno = ETIMEDOUT;
            return false;
        }
    return true;
}

static int rate_client(struct nb_shared *sh)
{
    struct nb_window w;
    bool counting = sh->job.run_n != 0;
    pw_free struct batch *b = malloc(sizeof(*b));
    pw_fd fd = client_socket(sh);
    if (fd < 0 || !b)
        return nb_fail(sh, "connect");
    batch_init(b, sh->job.size);
    nb_window_start(&w, sh);
    for (uint64_t sent = 0;;) {
        int k = sendmmsg(fd, b->msg, NB_UDP_BURST, 0);
        if (k < 0 && errno != ECONNREFUSED && errno != ENOBUFS)
            return nb_fail(sh, "send");
        sent += k > 0 ? (uint64_t)k : 0;
        nb_count(&sh->sent, k > 0 ? (uint64_t)k : 0);
        /* Where work goes by number nothing may be lost: one burst at a time. */
        if (counting && !arrived(sh, sent))
            return nb_fail(sh, "datagrams lost");
        if (!nb_window_step(&w, nb_read(&sh->rx_ops[1]), pw_clock_ns()))
            break;
    }
    struct nb_sample *o = &sh->out;
    o->lost = o->sent > o->ops ? o->sent - o->ops : 0;
    /* Let the receiver drain what is queued, for the audit. */
    nap(20000000);
    return 0;
}

/* The frame that the guest's own kernel makes of a datagram, with the virtio-net header: what a VMM
 * takes from the guest's queue. The datagram itself is sent too. */
static ssize_t guest_frame(struct nb_shared *sh, unsigned char *out, size_t room)
{
    static const unsigned char payload[MAX_DATAGRAM];
    const struct timeval wait = {1, 0};
    const int on = 1;
    bool v4 = sh->end[1].addr.family == 4;
    size_t port = sizeof(struct virtio_net_hdr) + ETH_HLEN + (v4 ? 20 : 40) + 2;
    uint16_t want = htons((uint16_t)atomic_load(&sh->port));
    struct sockaddr_ll dev = {.sll_family = AF_PACKET,
                              .sll_protocol = htons(ETH_P_ALL),
                              .sll_ifindex = (int)if_nametoindex(sh->end[0].dev)};
    pw_fd fd = client_socket(sh), tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || tap < 0 || setsockopt(tap, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
        setsockopt(tap, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        bind(tap, (struct sockaddr *)&dev, sizeof(dev)) < 0 ||
        send(fd, payload, sh->job.size, 0) < 0)
        return -1;
    for (;;) {
        ssize_t n = recv(tap, out, room, 0);
        if (n < 0 || ((size_t)n == port + 6 + sh->job.size && memcmp(out + port, &want, 2) == 0))
            return n;
    }
}

/* By number, the window holds the frames' way up to the receiving socket: they lie there until it
 * has closed. */
static int tap_client(struct nb_shared *sh)
{
    const struct nb_job *j = &sh->job;
    struct nb_window w;
    bool counting = j->run_n != 0;
    unsigned char frame[MAX_DATAGRAM + 128];
    ssize_t len = guest_frame(sh, frame, sizeof(frame));
    if (len < 0)
        return nb_fail(sh, "frame of the guest");
    nb_count(&sh->sent, 1);
    nb_window_start(&w, sh);
    for (uint64_t sent = 1;;) {
        uint64_t n = !counting ? NB_UDP_BURST : w.phase == 0 ? j->warm_n : j->run_n;
        for (uint64_t i = 0; i < n; i++)
            if (write(sh->end[0].tap, frame, (size_t)len) != len)
                return nb_fail(sh, "write to the tap");
        sent += n;
        nb_count(&sh->sent, n);
        if (counting && w.phase == 0) {
            if (!arrived(sh, sent))
                return nb_fail(sh, "frames lost");
            nap(1000000); /* the receiver has gone to sleep */
        }
        if (nb_window_step(&w, counting ? sent - 1 : nb_read(&sh->rx_ops[1]), pw_clock_ns()))
            continue;
        sem_post(&sh->drain);
        if (counting && !arrived(sh, sent))
            return nb_fail(sh, "frames lost");
        break;
    }
    struct nb_sample *o = &sh->out;
    o->lost = o->sent > o->ops ? o->sent - o->ops : 0;
    nap(20000000);
    return 0;
}

int nb_udp_client(struct nb_shared *sh)
{
    switch (sh->job.kind) {
    case NB_UDP_RR:
        return rr_client(sh);
    case NB_TAP_RATE:
        return tap_client(sh);
    default:
        return rate_client(sh);
    }
}

static int rr_server(int fd, struct nb_shared *sh)
{
    unsigned char buf[MAX_DATAGRAM];
    for (;;) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        ssize_t k = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
        if (k < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue;
            return nb_fail(sh, "receive");
        }
        nb_count(&sh->rx_bytes[1], (uint64_t)k);
        nb_count(&sh->rx_ops[1], 1);
        /* An answer that cannot be sent is an answer lost: the client counts it. */
        (void)!sendto(fd, buf, (size_t)k, 0, (struct sockaddr *)&from, len);
    }
}

static int rate_server(int fd, struct nb_shared *sh)
{
    pw_free struct batch *b = malloc(sizeof(*b));
    if (!b)
        return nb_fail(sh, "buffer");
    batch_init(b, sizeof(b->buf[0]));
    if (sh->job.run_n) {
        /* Both ends on one CPU: without this every packet would wake the receiver, and the count
         * would be one of context switches. Now a burst is received as one. */
        struct sched_param none = {0};
        sched_setscheduler(0, SCHED_BATCH, &none);
    }
    for (;;) {
        int k = recvmmsg(fd, b->msg, NB_UDP_BURST, MSG_WAITFORONE, NULL);
        if (k < 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue;
            return nb_fail(sh, "receive");
        }
        uint64_t bytes = 0;
        for (int i = 0; i < k; i++)
            bytes += b->msg[i].msg_len;
        nb_count(&sh->rx_bytes[1], bytes);
        nb_count(&sh->rx_ops[1], (uint64_t)k);
        /* All of the warm-up, and the datagram that showed the frame. */
        if (sh->job.kind == NB_TAP_RATE && sh->job.run_n &&
            nb_read(&sh->rx_ops[1]) == sh->job.warm_n + 1)
            sem_wait(&sh->drain);
    }
}

int nb_udp_server(struct nb_shared *sh)
{
    struct sockaddr_storage sa;
    struct timeval wait = {1, 0};
    struct pw_addr any = {.family = sh->end[1].addr.family};
    socklen_t len = nb_sockaddr(&any, 0, &sa);
    pw_fd fd = open_socket(&any, wait);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        nb_fail(sh, "bind");
        sem_post(&sh->ready);
        return 1;
    }
    atomic_store(&sh->port, ntohs(((struct sockaddr_in *)&sa)->sin_port));
    sem_post(&sh->ready);
    return sh->job.kind == NB_UDP_RR ? rr_server(fd, sh) : rate_server(fd, sh);
}
