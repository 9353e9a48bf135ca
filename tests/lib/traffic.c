/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATTERN 65521U /* prime, so that no power of two of bytes shifts into the same content */
#define CHUNK 65536U
#define MAX_WINDOW 64U
#define MAX_FLOWS 512U

unsigned tr_stall_ms = 4000;
unsigned tr_window = 8;

enum phase { RUNNING, ENDING, DONE, FAILED };

/* A direction of a TCP flow. */
struct half {
    uint64_t sent, got;
    bool shut, eof;
};

struct tr_state {
    unsigned nr;
    enum phase phase;
    int client, listener, server;
    bool connected;
    struct half up, down;         /* TCP */
    uint64_t next, answered;      /* messages */
    uint64_t waiting[MAX_WINDOW]; /* number + 1 of the message under way in this slot */
    unsigned length[MAX_WINDOW];  /* its payload */
    unsigned long long progress;  /* when something last moved */
    uint64_t at_step;             /* `moved` when the current step was over */
    unsigned size;                /* of the largest message, lowered to the path's MTU */
};

static uint8_t pattern[PATTERN + CHUNK];

static void fill_pattern(void)
{
    uint32_t x = 2463534242U;

    for (unsigned i = 0; i < PATTERN; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        pattern[i] = (uint8_t)x;
    }
    for (unsigned i = PATTERN; i < sizeof(pattern); i++)
        pattern[i] = pattern[i - PATTERN];
}

static const uint8_t *content(unsigned salt, uint64_t offset)
{
    return pattern + (offset + salt * 7919ULL) % PATTERN;
}

__attribute__((format(printf, 2, 3))) static void fail(struct tr_flow *f, const char *fmt, ...)
{
    va_list ap;

    if (f->state->phase == FAILED)
        return;
    f->state->phase = FAILED;
    va_start(ap, fmt);
    vsnprintf(f->why, sizeof(f->why), fmt, ap);
    va_end(ap);
}

static void moved(struct tr_flow *f, uint64_t n)
{
    f->moved += n;
    f->state->progress = nsx_now();
}

static bool same_host(const union nsx_addr *a, const union nsx_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family)
        return false;
    return a->sa.sa_family == AF_INET
               ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
               : memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

/* What the server learned of the client; false (and failed) when it is not as it must be. */
static bool met(struct tr_flow *f, const union nsx_addr *peer, unsigned ttl)
{
    f->seen = *peer;
    f->seen_ttl = ttl;
    if (f->spec.proto != TR_ICMP && f->spec.peer.sa.sa_family && !same_host(peer, &f->spec.peer))
        fail(f, "server sees the client as %s", nsx_text(peer));
    else if (f->spec.ttl && ttl && ttl != f->spec.ttl)
        fail(f, "arrives with hop limit %u, not %u", ttl, f->spec.ttl);
    return f->state->phase != FAILED;
}

static void set_int(int fd, int level, int opt, int value)
{
    setsockopt(fd, level, opt, &value, sizeof(value));
}

static bool is6(const struct tr_flow *f)
{
    return f->spec.dst.sa.sa_family == AF_INET6;
}

static bool open_server(struct tr_flow *f)
{
    const struct tr_spec *s = &f->spec;
    int type = s->proto == TR_TCP ? SOCK_STREAM : SOCK_DGRAM;
    union nsx_addr at = s->at;
    int fd;

    if (s->proto == TR_ICMP)
        return true;
    if (!at.sa.sa_family)
        nsx_parse(&at, is6(f) ? "::" : "0.0.0.0", nsx_port(&s->dst));
    fd = nsx_socket(s->to, at.sa.sa_family, type, 0);
    if (fd < 0) {
        fail(f, "server socket: %s", strerror(errno));
        return false;
    }
    if (type == SOCK_STREAM) /* not for UDP: a second server would take the first one's messages */
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (at.sa.sa_family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (type == SOCK_DGRAM) {
        set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
        set_int(fd, IPPROTO_IP, IP_RECVTTL, 1);
        set_int(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
        if (s->df == 2)
            set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        if (at.sa.sa_family == AF_INET6) {
            set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
            set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
        }
    }
    f->state->listener = fd;
    if (bind(fd, &at.sa, nsx_len(&at)) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0)) {
        fail(f, "server at %s: %s", nsx_text(&at), strerror(errno));
        return false;
    }
    return true;
}

static void open_client(struct tr_flow *f)
{
    const struct tr_spec *s = &f->spec;
    struct tr_state *st = f->state;
    int family = s->dst.sa.sa_family, fd;

    if (s->proto == TR_ICMP) {
        fd = nsx_socket(s->from, family, SOCK_RAW, is6(f) ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
        if (fd >= 0)
            set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    } else {
        fd = nsx_socket(s->from, family, s->proto == TR_TCP ? SOCK_STREAM : SOCK_DGRAM, 0);
    }
    st->client = fd;
    if (fd < 0) {
        fail(f, "client socket: %s", strerror(errno));
        return;
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (s->proto != TR_TCP)
        set_int(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
    if (s->df) {
        int mode = s->df == 1 ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
        set_int(fd, is6(f) ? IPPROTO_IPV6 : IPPROTO_IP,
                is6(f) ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, mode);
    }
    if (s->src.sa.sa_family && bind(fd, &s->src.sa, nsx_len(&s->src)) < 0) {
        fail(f, "client at %s: %s", nsx_text(&s->src), strerror(errno));
        return;
    }
    union nsx_addr to = s->dst;
    if (s->proto == TR_ICMP) { /* a raw socket's port is the protocol, or nothing */
        to.v4.sin_port = 0;
    }
    if (connect(fd, &to.sa, nsx_len(&to)) < 0 && errno != EINPROGRESS)
        fail(f, "connect: %s", strerror(errno));
    st->connected = s->proto != TR_TCP;
}

/* --- TCP --- */

static void tcp_send(struct tr_flow *f, int fd, struct half *h, unsigned salt, bool stop)
{
    for (unsigned budget = 4; budget && !h->shut; budget--) {
        uint64_t left = stop ? 0 : f->spec.amount - h->sent;
        if (left == 0) {
            shutdown(fd, SHUT_WR);
            h->shut = true;
            return;
        }
        ssize_t n =
            send(fd, content(salt, h->sent), left < CHUNK ? (size_t)left : CHUNK, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                fail(f, "send: %s", strerror(errno));
            return;
        }
        h->sent += (uint64_t)n;
    }
}

static void tcp_receive(struct tr_flow *f, int fd, struct half *h, unsigned salt)
{
    static uint8_t buf[CHUNK];

    for (unsigned budget = 8; budget && !h->eof; budget--) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0) {
            if (errno != EAGAIN)
                fail(f, "receive: %s", strerror(errno));
            return;
        }
        if (n == 0) {
            h->eof = true;
            moved(f, 0);
            return;
        }
        if (memcmp(buf, content(salt, h->got), (size_t)n) != 0) {
            fail(f, "wrong bytes after %llu", (unsigned long long)h->got);
            return;
        }
        h->got += (uint64_t)n;
        moved(f, (uint64_t)n);
    }
}

static void tcp_turn(struct tr_flow *f, bool stop)
{
    struct tr_state *st = f->state;

    if (st->server < 0) {
        union nsx_addr peer;
        socklen_t len = sizeof(peer);
        st->server = accept4(st->listener, &peer.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (st->server >= 0) {
            moved(f, 0);
            if (!met(f, &peer, 0))
                return;
        }
    }
    if (!st->connected) {
        struct pollfd p = {.fd = st->client, .events = POLLOUT};
        int error = 0;
        socklen_t len = sizeof(error);
        if (poll(&p, 1, 0) <= 0)
            return;
        getsockopt(st->client, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            fail(f, "connect: %s", strerror(error));
            return;
        }
        st->connected = true;
    }
    tcp_send(f, st->client, &st->up, st->nr, stop);
    tcp_receive(f, st->client, &st->down, st->nr + 1);
    if (st->server < 0 || st->phase == FAILED)
        return;
    tcp_receive(f, st->server, &st->up, st->nr);
    /* The client ends first, so that the server's port keeps nothing of it. */
    tcp_send(f, st->server, &st->down, st->nr + 1, stop && st->up.eof);
    if (st->up.eof && st->down.eof && st->phase != FAILED) {
        if (st->up.got != st->up.sent || st->down.got != st->down.sent)
            fail(f, "ended early: %llu of %llu and %llu of %llu bytes",
                 (unsigned long long)st->up.got, (unsigned long long)st->up.sent,
                 (unsigned long long)st->down.got, (unsigned long long)st->down.sent);
        else
            st->phase = DONE;
    }
}

/* --- messages: UDP and ICMP echo --- */

struct message {
    uint32_t flow, pad;
    uint64_t nr;
};

static unsigned message_len(const struct tr_flow *f, uint64_t nr)
{
    unsigned min = sizeof(struct message), max = f->state->size;

    if (max <= min)
        return min;
    /* Largest first, then all sorts. */
    return nr % 4 == 0 ? max : min + (unsigned)(nr * 131 % (max - min));
}

static unsigned make_message(const struct tr_flow *f, uint64_t nr, uint8_t *buf)
{
    struct message m = {.flow = f->state->nr, .nr = nr};
    unsigned len = message_len(f, nr);

    memcpy(buf, &m, sizeof(m));
    memcpy(buf + sizeof(m), content(f->state->nr, nr), len - sizeof(m));
    return len;
}

/* The path's MTU as the client's socket has it; 0 when it has none. */
static unsigned path_mtu(const struct tr_flow *f)
{
    int mtu = 0;
    socklen_t len = sizeof(mtu);

    if (getsockopt(f->state->client, is6(f) ? IPPROTO_IPV6 : IPPROTO_IP, is6(f) ? IPV6_MTU : IP_MTU,
                   &mtu, &len) < 0)
        return 0;
    return mtu > 0 ? (unsigned)mtu : 0;
}

/*
 * A socket that never fragments has learned of a smaller MTU: send no larger messages from now on.
 * Those on their way that were larger are the ones that the router turned down, and not lost.
 */
static bool learn_mtu(struct tr_flow *f)
{
    struct tr_state *st = f->state;
    unsigned headers = (is6(f) ? 40 : 20) + 8, mtu = path_mtu(f);

    if (f->spec.df != 1 || mtu < headers || st->size + headers <= mtu)
        return false;
    st->size = mtu - headers;
    for (unsigned i = 0; i < tr_window; i++) {
        if (st->waiting[i] && st->length[i] > st->size) {
            st->waiting[i] = 0;
            st->answered++;
        }
    }
    st->progress = nsx_now();
    return true;
}

static bool send_message(struct tr_flow *f)
{
    static uint8_t buf[sizeof(struct icmphdr) + 65536];
    struct tr_state *st = f->state;
    unsigned head = f->spec.proto == TR_ICMP ? sizeof(struct icmphdr) : 0, len;

    len = make_message(f, st->next, buf + head) + head;
    if (head) {
        struct icmphdr *h = (struct icmphdr *)buf;
        memset(h, 0, sizeof(*h));
        h->type = is6(f) ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
        h->un.echo.id = htons((uint16_t)(0x5000 + st->nr));
        h->un.echo.sequence = htons((uint16_t)st->next);
        if (!is6(f)) {
            uint32_t sum = 0;
            buf[len] = 0;
            for (unsigned i = 0; i < len; i += 2)
                sum += (uint32_t)buf[i] | (uint32_t)buf[i + 1] << 8;
            while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
            h->checksum = (uint16_t)~sum;
        }
    }
    if (send(st->client, buf, len, MSG_NOSIGNAL) < 0) {
        if (errno == EMSGSIZE && learn_mtu(f))
            return true;
        if (errno != EAGAIN && errno != ENOBUFS)
            fail(f, "send: %s", strerror(errno));
        return false;
    }
    st->waiting[st->next % tr_window] = st->next + 1;
    st->length[st->next % tr_window] = len - head;
    st->next++;
    return true;
}

static void got_reply(struct tr_flow *f, const uint8_t *data, size_t len)
{
    static uint8_t want[65536];
    struct tr_state *st = f->state;
    struct message m;

    if (len < sizeof(m))
        return;
    memcpy(&m, data, sizeof(m));
    if (m.flow != st->nr)
        return; /* of another flow with the same echo identifier: not ours */
    if (m.nr >= st->next || st->waiting[m.nr % tr_window] != m.nr + 1) {
        fail(f, "answer %llu came twice, or was never asked for", (unsigned long long)m.nr);
        return;
    }
    memcpy(want, &m, sizeof(m));
    memcpy(want + sizeof(m), content(st->nr, m.nr), len - sizeof(m));
    if (memcmp(want, data, len) != 0) {
        fail(f, "wrong bytes in answer %llu", (unsigned long long)m.nr);
        return;
    }
    st->waiting[m.nr % tr_window] = 0;
    st->answered++;
    moved(f, 1);
}

static unsigned ttl_of(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            int v;
            memcpy(&v, CMSG_DATA(c), sizeof(v));
            return (unsigned)v;
        }
    }
    return 0;
}

/* Echo from the address that was asked, whatever route leads back. */
static void echo_udp(struct tr_flow *f)
{
    static uint8_t buf[65536];
    union nsx_addr peer;
    char control[256], out[128];
    ssize_t n;

    for (;;) {
        struct iovec iov = {buf, sizeof(buf)};
        struct msghdr msg = {.msg_name = &peer,
                             .msg_namelen = sizeof(peer),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        n = recvmsg(f->state->listener, &msg, 0);
        if (n < 0 || !met(f, &peer, ttl_of(&msg)))
            return;
        iov.iov_len = (size_t)n;
        struct msghdr back = {.msg_name = &peer,
                              .msg_namelen = msg.msg_namelen,
                              .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = out};
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
            bool p4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
            bool p6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO;
            if (!p4 && !p6)
                continue;
            memcpy(out, c, c->cmsg_len);
            back.msg_controllen =
                p4 ? CMSG_SPACE(sizeof(struct in_pktinfo)) : CMSG_SPACE(sizeof(struct in6_pktinfo));
            struct cmsghdr *o = (struct cmsghdr *)out;
            if (p4) {
                struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(o);
                info->ipi_ifindex = 0;
                info->ipi_spec_dst = info->ipi_addr;
            } else {
                ((struct in6_pktinfo *)CMSG_DATA(o))->ipi6_ifindex = 0;
            }
            break;
        }
        if (sendmsg(f->state->listener, &back, MSG_NOSIGNAL) < 0 && errno != EMSGSIZE) {
            fail(f, "echo: %s", strerror(errno));
            return;
        }
    }
}

static void receive_replies(struct tr_flow *f)
{
    static uint8_t buf[65536];
    char control[256];
    ssize_t n;

    for (;;) {
        struct iovec iov = {buf, sizeof(buf)};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        const uint8_t *data = buf;
        n = recvmsg(f->state->client, &msg, 0);
        if (n < 0) {
            if (errno == EMSGSIZE && learn_mtu(f))
                continue;
            if (errno != EAGAIN && errno != EMSGSIZE)
                fail(f, "receive: %s", strerror(errno));
            return;
        }
        if (f->spec.proto == TR_ICMP) {
            unsigned ttl = ttl_of(&msg), skip = 0;
            const struct icmphdr *h;
            if (!is6(f) && n >= 20) {
                ttl = buf[8];
                skip = (buf[0] & 15U) * 4;
            }
            if (n < (ssize_t)(skip + sizeof(*h)))
                continue;
            h = (const struct icmphdr *)(buf + skip);
            if (h->type != (is6(f) ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY) ||
                ntohs(h->un.echo.id) != (uint16_t)(0x5000 + f->state->nr))
                continue;
            if (!met(f, &f->spec.dst, ttl))
                return;
            data += skip + sizeof(*h);
            n -= (ssize_t)(skip + sizeof(*h));
        }
        got_reply(f, data, (size_t)n);
        if (f->state->phase == FAILED)
            return;
    }
}

static void message_turn(struct tr_flow *f, bool stop)
{
    struct tr_state *st = f->state;

    if (f->spec.proto == TR_UDP)
        echo_udp(f);
    if (st->phase == FAILED)
        return;
    receive_replies(f);
    while (st->phase != FAILED && !stop && st->next < f->spec.amount &&
           !st->waiting[st->next % tr_window] && send_message(f))
        ;
    if (st->phase != FAILED && (stop || st->next >= f->spec.amount) && st->answered == st->next)
        st->phase = DONE;
}

/* --- the run --- */

static void start_flow(struct tr_flow *f, unsigned nr)
{
    struct tr_state *st = calloc(1, sizeof(*st));

    if (!st)
        abort();
    f->state = st;
    f->ok = false;
    f->moved = f->seen_ttl = f->mtu = 0;
    f->why[0] = '\0';
    st->nr = nr;
    st->client = st->listener = st->server = -1;
    st->size = f->spec.size ? f->spec.size : 1000;
    st->progress = nsx_now();
    if (open_server(f))
        open_client(f);
}

static void end_flow(struct tr_flow *f)
{
    struct tr_state *st = f->state;
    int fds[] = {st->client, st->server, st->listener};

    if (st->client >= 0)
        f->mtu = path_mtu(f);
    for (unsigned i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    f->ok = (st->phase == DONE) != f->spec.fails;
    if (st->phase == DONE && f->spec.fails)
        snprintf(f->why, sizeof(f->why), "it got through");
    free(st);
    f->state = NULL;
}

/* Enough traffic between two steps, that one of them cannot hide in a pause. */
static bool moved_enough(const struct tr_flow *f)
{
    return f->moved - f->state->at_step >= (f->spec.proto == TR_TCP ? 512 * 1024 : 40);
}

static pid_t run_step(const char *command)
{
    pid_t pid = fork();

    if (pid == 0) {
        dup2(2, 1); /* our standard output is the result */
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void wait_for_events(const struct tr_flow *flows, unsigned n)
{
    static struct pollfd p[3 * MAX_FLOWS];
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct tr_state *st = flows[i].state;
        int fds[] = {st->client, st->listener, st->server};
        if (st->phase == DONE || st->phase == FAILED)
            continue;
        for (unsigned j = 0; j < 3; j++)
            if (fds[j] >= 0)
                p[k++] = (struct pollfd){.fd = fds[j], .events = POLLIN};
    }
    poll(p, k, 1);
}

unsigned tr_run(struct tr_flow *flows, unsigned n, const char *const *steps, unsigned n_steps)
{
    unsigned wrong = 0, step = 0;
    bool stop = false;
    pid_t child = 0;
    int status;

    if (!pattern[0] && !pattern[1])
        fill_pattern();
    if (getenv("PWT_STALL"))
        tr_stall_ms = (unsigned)atoi(getenv("PWT_STALL"));
    if (tr_window > MAX_WINDOW || n > MAX_FLOWS)
        abort();
    for (unsigned i = 0; i < n; i++) {
        if (n_steps)
            flows[i].spec.amount = UINT64_MAX;
        start_flow(&flows[i], i);
    }
    for (;;) {
        bool busy = false, all_moved = true;
        for (unsigned i = 0; i < n; i++) {
            struct tr_flow *f = &flows[i];
            struct tr_state *st = f->state;
            if (st->phase == DONE || st->phase == FAILED)
                continue;
            if (f->spec.proto == TR_TCP)
                tcp_turn(f, stop);
            else
                message_turn(f, stop);
            if (st->phase == DONE || st->phase == FAILED)
                continue;
            busy = true;
            all_moved = all_moved && moved_enough(f);
            if (nsx_now() - st->progress > tr_stall_ms)
                fail(f, "nothing moves any more (%llu moved, %llu under way%s)",
                     (unsigned long long)f->moved, (unsigned long long)(st->next - st->answered),
                     st->connected ? "" : ", not connected");
        }
        if (child && waitpid(child, &status, WNOHANG) == child) {
            child = 0;
            if (status != 0) {
                fprintf(stderr, "step '%s' failed\n", steps[step - 1]);
                wrong++;
            }
            for (unsigned i = 0; i < n; i++)
                flows[i].state->at_step = flows[i].moved;
        } else if (!child && n_steps && !stop && (all_moved || !busy)) {
            if (step == n_steps)
                stop = true;
            else
                child = run_step(steps[step++]);
        }
        if (!busy && !child && (!n_steps || stop))
            break;
        if (busy || child)
            wait_for_events(flows, n);
    }
    for (unsigned i = 0; i < n; i++) {
        end_flow(&flows[i]);
        wrong += !flows[i].ok;
    }
    return wrong;
}
