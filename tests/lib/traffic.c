/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/traffic_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/sock_diag.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned tr_stall_ms = 4000;
unsigned tr_window = 8;
unsigned tr_step_bytes = 128 * 1024;

static uint8_t pattern[PATTERN + SENT];

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

const uint8_t *tr_content(unsigned salt, uint64_t offset)
{
    return pattern + (offset + salt * 7919ULL) % PATTERN;
}

void tr_fail(struct tr_flow *f, const char *fmt, ...)
{
    va_list ap;

    if (f->state->phase == FAILED)
        return;
    f->state->phase = FAILED;
    va_start(ap, fmt);
    vsnprintf(f->why, sizeof(f->why), fmt, ap);
    va_end(ap);
}

void tr_moved(struct tr_flow *f, uint64_t n)
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

bool tr_met(struct tr_flow *f, const union nsx_addr *peer, unsigned ttl)
{
    f->seen = *peer;
    f->seen_ttl = ttl;
    if (f->spec.proto != TR_ICMP && f->spec.peer.sa.sa_family && !same_host(peer, &f->spec.peer))
        tr_fail(f, "server sees the client as %s", nsx_text(peer));
    else if (f->spec.ttl && ttl && ttl != f->spec.ttl)
        tr_fail(f, "arrives with hop limit %u, not %u", ttl, f->spec.ttl);
    return f->state->phase != FAILED;
}

static void set_int(int fd, int level, int opt, int value)
{
    setsockopt(fd, level, opt, &value, sizeof(value));
}

static bool open_server(struct tr_flow *f)
{
    const struct tr_spec *s = &f->spec;
    int type = s->proto == TR_TCP ? SOCK_STREAM : SOCK_DGRAM;
    union nsx_addr at = s->at;
    int fd = -1;

    if (s->proto == TR_ICMP)
        return true;
    if (!at.sa.sa_family)
        nsx_parse(&at, tr_is6(f) ? "::" : "0.0.0.0", nsx_port(&s->dst));
    fd = nsx_socket(s->to, at.sa.sa_family, type, 0);
    if (fd < 0) {
        tr_fail(f, "server socket: %s", strerror(errno));
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
        tr_fail(f, "server at %s: %s", nsx_text(&at), strerror(errno));
        return false;
    }
    return true;
}

static void open_client(struct tr_flow *f)
{
    const struct tr_spec *s = &f->spec;
    struct tr_state *st = f->state;
    int family = s->dst.sa.sa_family, fd = -1;

    if (s->proto == TR_ICMP) {
        fd = nsx_socket(s->from, family, SOCK_RAW, tr_is6(f) ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
        if (fd >= 0)
            set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    } else {
        fd = nsx_socket(s->from, family, s->proto == TR_TCP ? SOCK_STREAM : SOCK_DGRAM, 0);
    }
    st->client = fd;
    if (fd < 0) {
        tr_fail(f, "client socket: %s", strerror(errno));
        return;
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (s->proto != TR_TCP)
        set_int(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
    if (s->df && s->proto == TR_UDP) {
        int mode = s->df == 1 ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
        set_int(fd, tr_is6(f) ? IPPROTO_IPV6 : IPPROTO_IP,
                tr_is6(f) ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, mode);
    }
    if (s->src.sa.sa_family && bind(fd, &s->src.sa, nsx_len(&s->src)) < 0) {
        tr_fail(f, "client at %s: %s", nsx_text(&s->src), strerror(errno));
        return;
    }
    union nsx_addr to = s->dst;
    if (s->proto == TR_ICMP) { /* a raw socket's port is the protocol, or nothing */
        to.v4.sin_port = 0;
    }
    if (connect(fd, &to.sa, nsx_len(&to)) < 0 && errno != EINPROGRESS)
        tr_fail(f, "connect: %s", strerror(errno));
    st->connected = s->proto != TR_TCP;
}

/* --- TCP --- */

static void tcp_send(struct tr_flow *f, int fd, struct half *h, unsigned salt, bool stop)
{
    if (!h->shut) {
        uint64_t left = stop ? 0 : f->spec.amount - h->sent;
        if (left == 0) {
            shutdown(fd, SHUT_WR);
            h->shut = true;
            return;
        }
        ssize_t n =
            send(fd, tr_content(salt, h->sent), left < SENT ? (size_t)left : SENT, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN)
                tr_fail(f, "send: %s", strerror(errno));
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
                tr_fail(f, "receive: %s", strerror(errno));
            return;
        }
        if (n == 0) {
            h->eof = true;
            tr_moved(f, 0);
            return;
        }
        if (memcmp(buf, tr_content(salt, h->got), (size_t)n) != 0) {
            tr_fail(f, "wrong bytes after %llu", (unsigned long long)h->got);
            return;
        }
        h->got += (uint64_t)n;
        tr_moved(f, (uint64_t)n);
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
            tr_moved(f, 0);
            if (!tr_met(f, &peer, 0))
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
            tr_fail(f, "connect: %s", strerror(error));
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
            tr_fail(f, "ended early: %llu of %llu and %llu of %llu bytes",
                    (unsigned long long)st->up.got, (unsigned long long)st->up.sent,
                    (unsigned long long)st->down.got, (unsigned long long)st->down.sent);
        else
            st->phase = DONE;
    }
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
        f->mtu = tr_path_mtu(f);
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
    return f->moved - f->state->at_step >= (f->spec.proto == TR_TCP ? tr_step_bytes : 16);
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

/* Packets that the kernel itself threw away so far because a processor's queue was full. */
static unsigned long backlog_drops(void)
{
    FILE *f = fopen("/proc/net/softnet_stat", "re");
    unsigned long sum = 0, dropped;

    if (!f)
        return 0;
    while (fscanf(f, "%*x %lx %*[^\n]", &dropped) == 1)
        sum += dropped;
    fclose(f);
    return sum;
}

/* What the kernel threw away because this socket's own buffer was full: our fault, not the
 * network's. */
static unsigned own_drops(const struct tr_state *st)
{
    int fds[] = {st->client, st->listener};
    unsigned sum = 0;

    for (unsigned i = 0; i < 2; i++) {
        uint32_t info[SK_MEMINFO_VARS] = {0};
        socklen_t len = sizeof(info);
        if (fds[i] >= 0 && getsockopt(fds[i], SOL_SOCKET, SO_MEMINFO, info, &len) == 0)
            sum += info[SK_MEMINFO_DROPS];
    }
    return sum;
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
    unsigned long full = backlog_drops();
    unsigned wrong = 0, step = 0;
    bool stop = false;
    pid_t child = 0;
    int status;

    if (!pattern[0] && !pattern[1])
        fill_pattern();
    if (getenv("PWT_STALL"))
        tr_stall_ms = (unsigned)nsx_number(getenv("PWT_STALL"));
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
                tr_message_turn(f, stop);
            if (st->phase == DONE || st->phase == FAILED)
                continue;
            busy = true;
            all_moved = all_moved && moved_enough(f);
            if (nsx_now() - st->progress > tr_stall_ms)
                tr_fail(f,
                        "nothing moves any more (%llu moved, %llu under way%s; full queues %lu, "
                        "full sockets %u)",
                        (unsigned long long)f->moved, (unsigned long long)(st->next - st->answered),
                        st->connected ? "" : ", not connected", backlog_drops() - full,
                        own_drops(st));
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
