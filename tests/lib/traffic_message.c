/* SPDX-License-Identifier: Apache-2.0 */
/* Flows of messages: numbered datagrams and their echoes, ICMP echo requests. */
#include "tests/lib/traffic_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <string.h>

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
    memcpy(buf + sizeof(m), tr_content(f->state->nr, nr), len - sizeof(m));
    return len;
}

unsigned tr_path_mtu(const struct tr_flow *f)
{
    int mtu = 0;
    socklen_t len = sizeof(mtu);

    if (getsockopt(f->state->client, tr_is6(f) ? IPPROTO_IPV6 : IPPROTO_IP,
                   tr_is6(f) ? IPV6_MTU : IP_MTU, &mtu, &len) < 0)
        return 0;
    return mtu > 0 ? (unsigned)mtu : 0;
}

/*
 * A socket that never fragments was told of a smaller MTU: send no larger messages from now on.
 * Those on their way that were larger are the ones that the router turned down, and not lost. A
 * router turns down each of several that are under way: what is told after the first is no news.
 */
static bool learn_mtu(struct tr_flow *f)
{
    struct tr_state *st = f->state;
    unsigned headers = (tr_is6(f) ? 40 : 20) + 8, mtu = tr_path_mtu(f);

    if (f->spec.df != 1 || f->spec.proto != TR_UDP || mtu < headers)
        return false;
    if (st->size + headers <= mtu)
        return st->told++ < tr_window;
    st->size = mtu - headers;
    st->told = 0;
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
        h->type = tr_is6(f) ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
        h->un.echo.id = htons((uint16_t)(0x5000 + st->nr));
        h->un.echo.sequence = htons((uint16_t)st->next);
        if (!tr_is6(f)) {
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
            tr_fail(f, "send: %s", strerror(errno));
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
        tr_fail(f, "answer %llu came twice, or was never asked for", (unsigned long long)m.nr);
        return;
    }
    memcpy(want, &m, sizeof(m));
    memcpy(want + sizeof(m), tr_content(st->nr, m.nr), len - sizeof(m));
    if (memcmp(want, data, len) != 0) {
        tr_fail(f, "wrong bytes in answer %llu", (unsigned long long)m.nr);
        return;
    }
    st->waiting[m.nr % tr_window] = 0;
    st->answered++;
    tr_moved(f, 1);
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
        if (n < 0 || !tr_met(f, &peer, ttl_of(&msg)))
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
            tr_fail(f, "echo: %s", strerror(errno));
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
                tr_fail(f, "receive: %s", strerror(errno));
            return;
        }
        if (f->spec.proto == TR_ICMP) {
            unsigned ttl = ttl_of(&msg), skip = 0;
            const struct icmphdr *h;
            if (!tr_is6(f) && n >= 20) {
                ttl = buf[8];
                skip = (buf[0] & 15U) * 4;
            }
            if (n < (ssize_t)(skip + sizeof(*h)))
                continue;
            h = (const struct icmphdr *)(buf + skip);
            if (h->type != (tr_is6(f) ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY) ||
                ntohs(h->un.echo.id) != (uint16_t)(0x5000 + f->state->nr))
                continue;
            if (!tr_met(f, &f->spec.dst, ttl))
                return;
            data += skip + sizeof(*h);
            n -= (ssize_t)(skip + sizeof(*h));
        }
        got_reply(f, data, (size_t)n);
        if (f->state->phase == FAILED)
            return;
    }
}

void tr_message_turn(struct tr_flow *f, bool stop)
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
