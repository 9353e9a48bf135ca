/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DHCP (RFC 2131, 2132, 6842) for virtual machines: a client gets its endpoint's one address and
 * what user space put beside it, a claim to another address is refused, and nobody else is
 * answered. There is no state: what was offered is what will be acknowledged.
 */
#ifndef PW_BPF_DHCP4_H
#define PW_BPF_DHCP4_H

#include "bpf/lib/answer.h"

enum {
    PW_DHCP_DISCOVER = 1,
    PW_DHCP_OFFER = 2,
    PW_DHCP_REQUEST = 3,
    PW_DHCP_ACK = 5,
    PW_DHCP_NAK = 6,
    PW_DHCP_INFORM = 8,
};
enum {
    PW_DHCP_OPT_PAD = 0,
    PW_DHCP_OPT_REQUESTED = 50,
    PW_DHCP_OPT_LEASE = 51,
    PW_DHCP_OPT_TYPE = 53,
    PW_DHCP_OPT_SERVER = 54,
    PW_DHCP_OPT_CLIENT = 61,
    PW_DHCP_OPT_END = 255,
};

/* RFC 2131, 2, up to the client's address. */
struct pw_bootp {
    __u8 op, htype, hlen, hops;
    __be32 xid;
    __be16 secs, flags;
    __be32 ciaddr, yiaddr, siaddr, giaddr;
    __u8 chaddr[16];
};
#define PW_BOOTP_COOKIE 236 /* where options begin, with these four bytes */
#define PW_DHCP_COOKIE bpf_htonl(0x63825363)
#define PW_DHCP_BROADCAST bpf_htons(0x8000)
#define PW_DHCP_CLIENT_ID 64 /* longest that is repeated */
#define PW_DHCP_MAX_OPTIONS 128

/* As much as every client must take (RFC 2131, 2): always all of it. */
struct pw_dhcp4_answer {
    struct iphdr ip;
    struct udphdr udp;
    struct pw_bootp bootp;
    __u8 names[192];
    __be32 cookie;
    __u8 type[4];   /* a pad behind it */
    __u8 server[6]; /* the next ones in sequence, with no gap */
    __u8 lease[6];
    __u8 opts[PW_GUEST_OPTS4];
    __u8 client[2 + PW_DHCP_CLIENT_ID];
    __u8 room;
    __u8 end;
} __attribute__((packed));
_Static_assert(sizeof(struct pw_dhcp4_answer) == 576, "what fits into every client's buffer");
_Static_assert(sizeof(struct pw_dhcp4_answer) <= PW_FRAME_DATA, "fits into a frame");

/* What is read of a client's options. */
struct pw_dhcp4_ask {
    struct iphdr ip;
    struct udphdr udp;
    struct pw_bootp bootp;
    __u32 off, end;
    __be32 requested, server;
    __u16 client, client_len; /* offset and length of the client identifier */
    __u8 type, has, done, pad;
};
_Static_assert(sizeof(struct pw_dhcp4_ask) <= PW_FRAME_ASK, "fits beside the frame");
enum { PW_HAS_REQUESTED = 1, PW_HAS_SERVER = 2 };

/* One option; 1 ends the loop. `done` is set at the END option alone. */
static long pw_dhcp4_option(__u64 i, void *arg)
{
    const struct pw_options *o = arg;
    struct pw_dhcp4_ask *a = o->ask;
    __u8 tl[2];
    __u32 off = a->off, end = a->end;

    (void)i;
    if (off >= end || bpf_skb_load_bytes(o->skb, off, tl, 1))
        return 1;
    if (tl[0] == PW_DHCP_OPT_PAD) {
        a->off = off + 1;
        return 0;
    }
    if (tl[0] == PW_DHCP_OPT_END) {
        a->done = 1;
        return 1;
    }
    if (off + 2 > end || bpf_skb_load_bytes(o->skb, off + 1, &tl[1], 1))
        return 1;
    off += 2;
    if (off + tl[1] > end)
        return 1;
    switch (tl[0]) {
    case PW_DHCP_OPT_TYPE:
        if (tl[1] != 1 || bpf_skb_load_bytes(o->skb, off, &a->type, 1))
            return 1;
        break;
    case PW_DHCP_OPT_REQUESTED:
        if (tl[1] != 4 || bpf_skb_load_bytes(o->skb, off, &a->requested, 4))
            return 1;
        a->has |= PW_HAS_REQUESTED;
        break;
    case PW_DHCP_OPT_SERVER:
        if (tl[1] != 4 || bpf_skb_load_bytes(o->skb, off, &a->server, 4))
            return 1;
        a->has |= PW_HAS_SERVER;
        break;
    case PW_DHCP_OPT_CLIENT:
        if (tl[1] < 2) /* RFC 2132, 9.14 */
            return 1;
        a->client = off;
        a->client_len = tl[1];
        break;
    default:
        break;
    }
    a->off = off + tl[1];
    return 0;
}

/* The type of the answer, or 0: there is none. RFC 2131, 4.3. */
static __always_inline __u8 pw_dhcp4_judge(const struct pw_dhcp4_ask *a, __be32 ciaddr, __be32 own)
{
    __be32 claim = a->has & PW_HAS_REQUESTED ? a->requested : ciaddr;

    switch (a->type) {
    case PW_DHCP_DISCOVER:
        return PW_DHCP_OFFER;
    case PW_DHCP_REQUEST:
        if (a->has & PW_HAS_SERVER && a->server != PW_GATEWAY4)
            return 0; /* another's offer was chosen */
        if (!claim)
            return 0;
        return claim == own && (!ciaddr || ciaddr == own) ? PW_DHCP_ACK : PW_DHCP_NAK;
    case PW_DHCP_INFORM:
        return ciaddr == own ? PW_DHCP_ACK : 0;
    default: /* declined, released: it is the endpoint's all the same */
        return 0;
    }
}

static __always_inline void pw_dhcp4_number(__u8 opt[6], __u8 code, __be32 value)
{
    opt[0] = code;
    opt[1] = 4;
    __builtin_memcpy(opt + 2, &value, 4);
}

/* A packet from a client's port to a server's, from the endpoint's own MAC, plain IPv4: why it is
 * dropped, or PW_DHCP4 or PW_DHCP4_NAK: it is the answer now. Moves packet data. */
__noinline int pw_dhcp4_from_pod(struct __sk_buff *skb)
{
    __u32 ifindex = skb->ifindex, ip_end;
    struct pw_guest *g = bpf_map_lookup_elem(&pw_guests, &ifindex);
    struct pw_ep *ep = pw_ep_by_ifindex(ifindex);
    __be32 cookie;

    if (!g || !g->ip4 || !ep)
        return PW_DHCP_CLIENT;
    struct pw_frame *f = pw_frame_start(ep, bpf_htons(ETH_P_IP));
    if (!f)
        return PW_DHCP_CLIENT;
    struct pw_dhcp4_ask *a = (void *)f->ask;
    struct pw_bootp *ask = &a->bootp;
    struct pw_options o = {skb, a};
    if (bpf_skb_load_bytes(skb, PW_ETH, a, offsetof(struct pw_dhcp4_ask, off)) ||
        bpf_skb_load_bytes(skb, PW_L4_V4 + sizeof(a->udp) + PW_BOOTP_COOKIE, &cookie, 4))
        return PW_MALFORMED;
    ip_end = PW_ETH + bpf_ntohs(a->ip.tot_len);
    a->off = PW_L4_V4 + sizeof(a->udp) + PW_BOOTP_COOKIE + 4;
    a->end = PW_L4_V4 + bpf_ntohs(a->udp.len);
    if (a->end < a->off || a->end > ip_end || ask->op != 1 || ask->htype != PW_ARPHRD_ETHER ||
        ask->hlen != 6)
        return PW_MALFORMED;
    if (cookie != PW_DHCP_COOKIE || ask->giaddr)
        return PW_DHCP_CLIENT; /* BOOTP, or of a relay: not of this guest alone */
    if (!pw_same_mac(ask->chaddr, ep->mac))
        return PW_SPOOF_MAC;
    bpf_loop(PW_DHCP_MAX_OPTIONS, pw_dhcp4_option, &o, 0);
    if (!a->done)
        return PW_MALFORMED;
    __u8 type = pw_dhcp4_judge(a, ask->ciaddr, g->ip4);
    if (!type)
        return PW_DHCP_CLIENT;

    struct pw_dhcp4_answer *to = (void *)f->data;
    bool inform = a->type == PW_DHCP_INFORM;

    to->bootp = *ask;
    to->bootp.op = 2;
    to->bootp.hops = 0;
    to->bootp.secs = 0;
    to->bootp.siaddr = 0;
    if (type != PW_DHCP_ACK)
        to->bootp.ciaddr = 0;
    to->bootp.yiaddr = type == PW_DHCP_NAK || inform ? 0 : g->ip4;
    to->cookie = PW_DHCP_COOKIE;
    to->type[0] = PW_DHCP_OPT_TYPE;
    to->type[1] = 1;
    to->type[2] = type;
    pw_dhcp4_number(to->server, PW_DHCP_OPT_SERVER, PW_GATEWAY4);
    if (type != PW_DHCP_NAK) {
        if (!inform)
            pw_dhcp4_number(to->lease, PW_DHCP_OPT_LEASE, bpf_htonl(PW_LEASE_SECONDS));
        __builtin_memcpy(to->opts, g->opts4, sizeof(to->opts));
    }
    __u32 n = a->client_len;
    if (pw_bounded(n, 2, PW_DHCP_CLIENT_ID) &&
        bpf_skb_load_bytes(skb, a->client, to->client + 2, n) == 0) {
        to->client[0] = PW_DHCP_OPT_CLIENT;
        to->client[1] = n;
    }
    to->end = PW_DHCP_OPT_END;

    to->ip.version = 4;
    to->ip.ihl = 5;
    to->ip.ttl = 64;
    to->ip.protocol = IPPROTO_UDP;
    to->ip.tot_len = bpf_htons(sizeof(*to));
    to->ip.saddr = PW_GATEWAY4;
    to->ip.daddr = ask->ciaddr && type == PW_DHCP_ACK ? ask->ciaddr : g->ip4;
    if (type == PW_DHCP_NAK || (!ask->ciaddr && (ask->flags & PW_DHCP_BROADCAST))) {
        to->ip.daddr = 0xffffffff;
        __builtin_memset(f->eth.h_dest, 0xff, 6);
    }
    to->ip.check = pw_fold(bpf_csum_diff(NULL, 0, (void *)&to->ip, sizeof(to->ip), 0));
    to->udp.source = bpf_htons(67);
    to->udp.dest = bpf_htons(68);
    to->udp.len = bpf_htons(sizeof(*to) - sizeof(to->ip));
    __s64 pseudo = bpf_csum_diff(NULL, 0, (void *)&to->ip.saddr, 8,
                                 bpf_htonl(sizeof(*to) - sizeof(to->ip) + IPPROTO_UDP));
    to->udp.check =
        pw_answer_sum(skb, pseudo, PW_SUM(&to->udp, sizeof(*to) - sizeof(to->ip), pseudo));
    if (!pw_frame_finish(skb, f, PW_ETH + sizeof(*to)))
        return PW_DHCP_CLIENT;
    return type == PW_DHCP_NAK ? PW_DHCP4_NAK : PW_DHCP4;
}

#endif
