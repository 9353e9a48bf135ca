/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Router solicitations (RFC 4861, 6.2.6) and DHCPv6 (RFC 8415) for virtual machines. As bpf/lib/
 * dhcp4.h: a client gets its endpoint's one address, there is no state.
 */
#ifndef PW_BPF_DHCP6_H
#define PW_BPF_DHCP6_H

#include "bpf/lib/answer.h"

#define PW_ND_OPTIONS_MAX 8

/* Why a router solicitation is dropped, or PW_SOLICITED: it is the advertisement now. Plain IPv6
 * (no extension headers), from the endpoint's MAC. Moves packet data. */
__noinline int pw_rs_from_pod(struct __sk_buff *skb)
{
    __u32 ifindex = skb->ifindex;
    struct pw_guest *g = bpf_map_lookup_elem(&pw_guests, &ifindex);
    struct pw_ep *ep = pw_ep_by_ifindex(ifindex);
    struct ipv6hdr ip;
    __u8 code;

    if (!g || !ep)
        return PW_ROUTER_SOLICIT;
    if (bpf_skb_load_bytes(skb, PW_ETH, &ip, sizeof(ip)) ||
        bpf_skb_load_bytes(skb, PW_L4_V6 + 1, &code, 1))
        return PW_MALFORMED;
    /* RFC 4861, 6.1.1, but for the checksum, which a device may have yet to make. */
    __u32 off = PW_L4_V6 + 8, end = PW_L4_V6 + bpf_ntohs(ip.payload_len);
    if (ip.hop_limit != 255 || code || end < off)
        return PW_MALFORMED;
    bool nobody = !(ip.saddr.s6_addr32[0] | ip.saddr.s6_addr32[1] | ip.saddr.s6_addr32[2] |
                    ip.saddr.s6_addr32[3]);
    for (int i = 0; i < PW_ND_OPTIONS_MAX && off < end; i++) {
        struct {
            __u8 pad[2], type, len, mac[6];
        } __attribute__((aligned(4))) opt;
        if (off + 8 > end || bpf_skb_load_bytes(skb, off, &opt.type, 8) || opt.len == 0)
            return PW_MALFORMED;
        if (opt.type == PW_OPT_SOURCE_MAC) {
            if (nobody || opt.len != 1)
                return PW_MALFORMED;
            if (!pw_same_mac(opt.mac, ep->mac))
                return PW_SPOOF_ND;
        }
        off += opt.len * 8;
    }
    __u32 len = g->ra_len;
    if (off != end)
        return PW_MALFORMED;
    if (len < 16 || len > PW_GUEST_RA)
        return PW_ROUTER_SOLICIT;

    struct pw_frame *f = pw_frame_start(ep, bpf_htons(ETH_P_IPV6));
    if (!f)
        return PW_ROUTER_SOLICIT;
    struct ipv6hdr *to = (void *)f->data;
    __u8 *ra = (void *)(to + 1);

    to->version = 6;
    to->payload_len = bpf_htons(len);
    to->nexthdr = IPPROTO_ICMPV6;
    to->hop_limit = 255;
    to->saddr.s6_addr32[0] = bpf_htonl(0xfe800000);
    to->saddr.s6_addr32[3] = bpf_htonl(1);
    if (nobody) {
        to->daddr.s6_addr32[0] = bpf_htonl(0xff020000);
        to->daddr.s6_addr32[3] = bpf_htonl(1);
        f->eth.h_dest[0] = f->eth.h_dest[1] = 0x33;
        f->eth.h_dest[2] = f->eth.h_dest[3] = f->eth.h_dest[4] = 0;
        f->eth.h_dest[5] = 1;
    } else {
        to->daddr = ip.saddr;
    }
    __builtin_memcpy(ra, g->ra, sizeof(g->ra));
    __s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&to->saddr, 32, bpf_htonl(len + IPPROTO_ICMPV6));
    PW_AT(__be16, ra + 2) = pw_fold(PW_SUM(ra, PW_GUEST_RA, sum));
    return pw_frame_finish(skb, f, PW_L4_V6 + len) ? PW_SOLICITED : PW_ROUTER_SOLICIT;
}

enum {
    PW_DHCP6_SOLICIT = 1,
    PW_DHCP6_ADVERTISE = 2,
    PW_DHCP6_REQUEST = 3,
    PW_DHCP6_CONFIRM = 4,
    PW_DHCP6_RENEW = 5,
    PW_DHCP6_REBIND = 6,
    PW_DHCP6_REPLY = 7,
    PW_DHCP6_RELEASE = 8,
    PW_DHCP6_DECLINE = 9,
    PW_DHCP6_INFORMATION = 11,
};
enum {
    PW_DHCP6_OPT_CLIENT = 1,
    PW_DHCP6_OPT_SERVER = 2,
    PW_DHCP6_OPT_IA_NA = 3,
    PW_DHCP6_OPT_IA_ADDR = 5,
    PW_DHCP6_OPT_PREFERENCE = 7,
    PW_DHCP6_OPT_STATUS = 13,
};
#define PW_DHCP6_NOT_ON_LINK 4
#define PW_DHCP6_MAX_DUID 130 /* RFC 8415, 11.1, with its type */
#define PW_DHCP6_MIN_DUID 3
#define PW_DHCP6_MAX_OPTIONS 64

struct pw_dhcp6_opt {
    __be16 code, len;
};

/* DUID-LL of the node's MAC, which all nodes have: a guest that moves stays at its server. */
struct pw_dhcp6_server {
    struct pw_dhcp6_opt opt;
    __be16 type, hardware;
    __u8 mac[6];
} __attribute__((packed));

struct pw_dhcp6_ia {
    struct pw_dhcp6_opt opt;
    __be32 id, t1, t2;
    struct pw_dhcp6_opt addr_opt;
    struct in6_addr addr;
    __be32 preferred, valid;
} __attribute__((packed));

/* What is sent, up to where answers begin to differ. The client's identifier comes last. */
struct pw_dhcp6_answer {
    struct ipv6hdr ip;
    struct udphdr udp;
    __u8 type, xid[3];
    struct pw_dhcp6_server server;
} __attribute__((packed));
#define PW_DHCP6_REST sizeof(struct pw_dhcp6_answer) /* offset of what follows */
/* Upper bound of an answer by UDP, for its checksum. */
#define PW_DHCP6_MAX_UDP 512
_Static_assert(PW_DHCP6_REST - 40 + sizeof(struct pw_dhcp6_ia) + PW_GUEST_OPTS6 + 4 +
                       PW_DHCP6_MAX_DUID + 5 <=
                   PW_DHCP6_MAX_UDP,
               "longest answer");
_Static_assert(40 + PW_DHCP6_MAX_UDP <= PW_FRAME_DATA, "fits into a frame");

struct pw_dhcp6_ask {
    struct ipv6hdr ip;
    struct udphdr udp;
    __u8 type, xid[3];
    __u32 off, end;
    __u32 client, client_len; /* offset and length of the client's identifier */
    __be32 iaid;
    struct in6_addr own;
    __u8 server_mac[6]; /* set by the caller: the MAC in our identifier */
    __u8 has_client, has_server, other_server, has_ia, has_own, has_other, bad, done;
};
_Static_assert(sizeof(struct pw_dhcp6_ask) <= PW_FRAME_ASK, "fits beside the frame");

static __always_inline void pw_dhcp6_read(struct __sk_buff *skb, struct pw_dhcp6_ask *a, __u16 code,
                                          __u32 off, __u32 len)
{
    struct pw_dhcp6_server server __attribute__((aligned(4)));
    struct in6_addr addr;

    switch (code) {
    case PW_DHCP6_OPT_CLIENT:
        if (a->has_client || len < PW_DHCP6_MIN_DUID || len > PW_DHCP6_MAX_DUID)
            a->bad = 1;
        a->has_client = 1;
        a->client = off;
        a->client_len = len;
        break;
    case PW_DHCP6_OPT_SERVER:
        a->has_server = 1;
        if (len != sizeof(server) - sizeof(server.opt) ||
            bpf_skb_load_bytes(skb, off - sizeof(server.opt), &server, sizeof(server)) ||
            server.type != bpf_htons(3) || server.hardware != bpf_htons(1) ||
            !pw_same_mac(server.mac, a->server_mac))
            a->other_server = 1;
        break;
    case PW_DHCP6_OPT_IA_NA:
        if (len < 12)
            a->bad = 1;
        else if (!a->has_ia && bpf_skb_load_bytes(skb, off, &a->iaid, 4) == 0)
            a->has_ia = 1;
        break;
    case PW_DHCP6_OPT_IA_ADDR:
        if (len < 24 || bpf_skb_load_bytes(skb, off, &addr, sizeof(addr))) {
            a->bad = 1;
        } else if (addr.s6_addr32[0] == a->own.s6_addr32[0] &&
                   addr.s6_addr32[1] == a->own.s6_addr32[1] &&
                   addr.s6_addr32[2] == a->own.s6_addr32[2] &&
                   addr.s6_addr32[3] == a->own.s6_addr32[3]) {
            a->has_own = 1;
        } else {
            a->has_other = 1;
        }
        break;
    default:
        break;
    }
}

/* One option; 1 ends the loop. An IA's own options follow on it and are read as if they lay beside
 * it: of addresses it matters only which they are. */
static long pw_dhcp6_option(__u64 i, void *arg)
{
    const struct pw_options *o = arg;
    struct pw_dhcp6_ask *a = o->ask;
    struct pw_dhcp6_opt opt;
    __u32 off = a->off, end = a->end, len;

    (void)i;
    if (off == end) {
        a->done = 1;
        return 1;
    }
    if (off + sizeof(opt) > end || bpf_skb_load_bytes(o->skb, off, &opt, sizeof(opt)))
        return 1;
    off += sizeof(opt);
    len = bpf_ntohs(opt.len);
    if (off + len > end)
        return 1;
    pw_dhcp6_read(o->skb, a, bpf_ntohs(opt.code), off, len);
    if (opt.code == bpf_htons(PW_DHCP6_OPT_IA_NA) && len >= 12)
        len = 12;
    a->off = off + len;
    return a->bad ? 1 : 0;
}

/* The type of the answer, or 0: there is none (RFC 8415, 16 and 18.3). */
static __always_inline __u8 pw_dhcp6_judge(const struct pw_dhcp6_ask *a, __u8 type)
{
    bool ours = a->has_server && !a->other_server;

    if (!a->has_client && type != PW_DHCP6_INFORMATION)
        return 0;
    switch (type) {
    case PW_DHCP6_SOLICIT:
        return !a->has_server && a->has_ia ? PW_DHCP6_ADVERTISE : 0;
    case PW_DHCP6_CONFIRM:
        return !a->has_server && (a->has_own || a->has_other) ? PW_DHCP6_REPLY : 0;
    case PW_DHCP6_REBIND:
        return !a->has_server && a->has_ia ? PW_DHCP6_REPLY : 0;
    case PW_DHCP6_REQUEST:
    case PW_DHCP6_RENEW:
        return ours && a->has_ia ? PW_DHCP6_REPLY : 0;
    case PW_DHCP6_RELEASE:
    case PW_DHCP6_DECLINE:
        return ours ? PW_DHCP6_REPLY : 0;
    case PW_DHCP6_INFORMATION:
        return !a->has_ia && !a->other_server ? PW_DHCP6_REPLY : 0;
    default:
        return 0;
    }
}

/* Append to the answer at `*at` (an offset in the frame's data); `n` is at most 256. */
#define PW_DHCP6_AT(f, at) ((f)->data + ((at) & 0x1ff))

/* As pw_dhcp4_from_pod: plain IPv6, from a link-local address or one of the endpoint's. */
__noinline int pw_dhcp6_from_pod(struct __sk_buff *skb)
{
    __u32 ifindex = skb->ifindex;
    struct pw_guest *g = bpf_map_lookup_elem(&pw_guests, &ifindex);
    struct pw_ep *ep = pw_ep_by_ifindex(ifindex);

    if (!g || !ep)
        return PW_DHCP_CLIENT;
    struct pw_frame *f = pw_frame_start(ep, bpf_htons(ETH_P_IPV6));
    if (!f)
        return PW_DHCP_CLIENT;
    struct pw_dhcp6_ask *a = (void *)f->ask;
    struct pw_options o = {skb, a};
    if (bpf_skb_load_bytes(skb, PW_ETH, a, offsetof(struct pw_dhcp6_ask, off)))
        return PW_MALFORMED;
    /* All_DHCP_Relay_Agents_and_Servers; by unicast clients come only when told to. */
    if (a->ip.daddr.s6_addr32[0] != bpf_htonl(0xff020000) || a->ip.daddr.s6_addr32[1] ||
        a->ip.daddr.s6_addr32[2] != 0 || a->ip.daddr.s6_addr32[3] != bpf_htonl(0x00010002))
        return PW_DHCP_CLIENT;
    a->off = PW_L4_V6 + sizeof(a->udp) + 4;
    a->end = PW_L4_V6 + bpf_ntohs(a->udp.len);
    if (a->end < a->off || a->end > PW_L4_V6 + bpf_ntohs(a->ip.payload_len))
        return PW_MALFORMED;
    __builtin_memcpy(&a->own, &g->ip6, sizeof(a->own));
    __builtin_memcpy(a->server_mac, ep->host_mac, 6);
    bpf_loop(PW_DHCP6_MAX_OPTIONS, pw_dhcp6_option, &o, 0);
    if (!a->done)
        return PW_MALFORMED;
    __u8 asked = a->type, type = pw_dhcp6_judge(a, asked);
    if (!type ||
        (asked != PW_DHCP6_INFORMATION && !(g->ip6.w[0] | g->ip6.w[1] | g->ip6.w[2] | g->ip6.w[3])))
        return PW_DHCP_CLIENT;

    struct pw_dhcp6_answer *to = (void *)f->data;
    __u32 at = PW_DHCP6_REST, opts_len = g->opts6_len, n = a->client_len;
    bool status =
        asked == PW_DHCP6_CONFIRM || asked == PW_DHCP6_RELEASE || asked == PW_DHCP6_DECLINE;

    to->type = type;
    __builtin_memcpy(to->xid, a->xid, 3);
    to->server.opt = (struct pw_dhcp6_opt){bpf_htons(PW_DHCP6_OPT_SERVER), bpf_htons(10)};
    to->server.type = bpf_htons(3);
    to->server.hardware = bpf_htons(1);
    __builtin_memcpy(to->server.mac, ep->host_mac, 6);
    if (status) {
        /* Released or declined: fine, and it stays the endpoint's. */
        __be16 *st = (void *)PW_DHCP6_AT(f, PW_DHCP6_REST);
        st[0] = bpf_htons(PW_DHCP6_OPT_STATUS);
        st[1] = bpf_htons(2);
        if (asked == PW_DHCP6_CONFIRM && a->has_other)
            st[2] = bpf_htons(PW_DHCP6_NOT_ON_LINK);
        at += 6;
    } else {
        if (asked != PW_DHCP6_INFORMATION) {
            struct pw_dhcp6_ia *ia = (void *)PW_DHCP6_AT(f, PW_DHCP6_REST);
            ia->opt = (struct pw_dhcp6_opt){bpf_htons(PW_DHCP6_OPT_IA_NA), bpf_htons(40)};
            ia->id = a->iaid;
            ia->t1 = bpf_htonl(PW_LEASE_SECONDS / 2);
            ia->t2 = bpf_htonl(PW_LEASE_SECONDS / 8 * 7);
            ia->addr_opt = (struct pw_dhcp6_opt){bpf_htons(PW_DHCP6_OPT_IA_ADDR), bpf_htons(24)};
            ia->addr = a->own;
            ia->preferred = ia->valid = bpf_htonl(PW_LEASE_SECONDS);
            at += sizeof(*ia);
        }
        __builtin_memcpy(PW_DHCP6_AT(f, at), g->opts6, sizeof(g->opts6));
        if (opts_len <= PW_GUEST_OPTS6)
            at += opts_len;
    }
    if (type == PW_DHCP6_ADVERTISE) {
        /* The only one there is: no client need wait for a better. */
        __u8 *pref = PW_DHCP6_AT(f, at);
        pref[0] = 0, pref[1] = PW_DHCP6_OPT_PREFERENCE, pref[2] = 0, pref[3] = 1, pref[4] = 255;
        at += 5;
    }
    if (a->has_client && pw_bounded(n, PW_DHCP6_MIN_DUID, PW_DHCP6_MAX_DUID)) {
        __u8 *id = PW_DHCP6_AT(f, at);
        id[0] = 0, id[1] = PW_DHCP6_OPT_CLIENT, id[2] = 0, id[3] = n;
        if (bpf_skb_load_bytes(skb, a->client, id + 4, n))
            return PW_MALFORMED;
        at += 4 + n;
    }

    __u32 len = at - sizeof(struct ipv6hdr);
    to->ip.version = 6;
    to->ip.payload_len = bpf_htons(len);
    to->ip.nexthdr = IPPROTO_UDP;
    to->ip.hop_limit = 64;
    to->ip.saddr.s6_addr32[0] = bpf_htonl(0xfe800000);
    to->ip.saddr.s6_addr32[3] = bpf_htonl(1);
    to->ip.daddr = a->ip.saddr;
    to->udp.source = bpf_htons(547);
    to->udp.dest = bpf_htons(546);
    to->udp.len = bpf_htons(len);
    __s64 pseudo = bpf_csum_diff(NULL, 0, (void *)&to->ip.saddr, 32, bpf_htonl(len + IPPROTO_UDP));
    to->udp.check = pw_answer_sum(skb, pseudo, PW_SUM(&to->udp, PW_DHCP6_MAX_UDP, pseudo));
    at &= 0x3ff;
    if (at < PW_DHCP6_REST || at > PW_FRAME_DATA || !pw_frame_finish(skb, f, PW_ETH + at))
        return PW_DHCP_CLIENT;
    return PW_DHCP6;
}

#endif
