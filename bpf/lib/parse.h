/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Headers. The plain case (no options, no fragment, TCP or UDP, all of it in the linear part) is
 * parsed in line; everything else by pw_parse4_odd and pw_parse6_odd, out of line.
 */
#ifndef PW_BPF_PARSE_H
#define PW_BPF_PARSE_H

#include "bpf/lib/kernel.h"

enum pw_parse_flags {
    PW_P_MALFORMED = 1 << 0,
    PW_P_FRAGMENT = 1 << 1, /* first fragment, or one that is whole */
    PW_P_LATER = 1 << 2,    /* fragment without a layer 4 header */
    PW_P_OPTIONS = 1 << 3,  /* IPv4 options, IPv6 extension headers */
    PW_P_ICMP = 1 << 4,     /* ICMP or ICMPv6; `ports` is type and code */
    PW_P_ICMP_ERROR = 1 << 5,
    PW_P_ND = 1 << 6,    /* ICMPv6 that only lives on a link: ND, RA, MLD */
    PW_P_OTHER = 1 << 7, /* protocol that is not parsed */
};

/* What is known of a packet beyond its addresses. A value of 8 bytes, so that functions return it.
 */
union pw_meta {
    __u64 all;
    struct {
        __be32 ports; /* source, destination, as they lie in the packet */
        __u8 proto;   /* of layer 4: IPPROTO_* */
        __u8 flags;   /* enum pw_parse_flags; 0 is the plain case */
        __u16 l4;     /* offset of the layer 4 header from the Ethernet header */
    };
};

#define PW_ETH sizeof(struct ethhdr)
#define PW_L4_V4 (PW_ETH + sizeof(struct iphdr))
#define PW_L4_V6 (PW_ETH + sizeof(struct ipv6hdr))
/* Headers that the odd parsers look at: 60 of IPv4, or IPv6 with its extension headers, layer 4,
 * and what an ICMP error carries. */
#define PW_PULL 200

static __always_inline void *pw_data(const struct __sk_buff *skb)
{
    return (void *)(long)skb->data;
}

static __always_inline void *pw_data_end(const struct __sk_buff *skb)
{
    return (void *)(long)skb->data_end;
}

/* Ports as one word, from numbers. */
#define PW_PORTS(src, dst)                                                                         \
    (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__                                                     \
         ? (__u32)bpf_htons(src) | (__u32)bpf_htons(dst) << 16                                     \
         : (__u32)(src) << 16 | (dst))

/* Bring headers that lie beyond the linear part into it. Packet pointers are void afterwards. */
static __always_inline void pw_linearise(struct __sk_buff *skb)
{
    __u32 linear = pw_data_end(skb) - pw_data(skb), len = skb->len;
    if (len > linear && linear < PW_PULL)
        bpf_skb_pull_data(skb, len < PW_PULL ? len : PW_PULL);
}

static __always_inline union pw_meta pw_malformed(void)
{
    return (union pw_meta){.flags = PW_P_MALFORMED};
}

/* An ICMP (not v6) type that reports an error of another packet. */
static __always_inline bool pw_icmp4_is_error(__u8 type)
{
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
           type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

static __always_inline __u8 pw_icmp6_flags(__u8 type)
{
    if (type < 128) /* RFC 4443, 2.1 */
        return PW_P_ICMP | PW_P_ICMP_ERROR;
    if ((type >= PW_MLD_QUERY && type <= NDISC_REDIRECT) || type == PW_MLD2_REPORT)
        return PW_P_ICMP | PW_P_ND;
    return PW_P_ICMP;
}

/* Layer 4 at offset `l4` with `room` bytes of payload by the IP header. */
static __always_inline union pw_meta pw_parse_l4(struct __sk_buff *skb, __u32 l4, __u32 room,
                                                 __u8 proto, __u8 flags)
{
    union pw_meta m = {.proto = proto, .flags = flags, .l4 = l4};
    __u32 need;
    __u8 doff = 0;

    if (flags & PW_P_LATER)
        return m;
    switch (proto) {
    case IPPROTO_TCP:
        need = sizeof(struct tcphdr);
        break;
    case IPPROTO_UDP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        need = 8;
        break;
    default:
        m.flags |= PW_P_OTHER;
        return m;
    }
    if (room < need || bpf_skb_load_bytes(skb, l4, &m.ports, 4) < 0)
        return pw_malformed();
    if (proto == IPPROTO_TCP && (bpf_skb_load_bytes(skb, l4 + 12, &doff, 1) < 0 ||
                                 (doff >> 4) < 5 || (doff >> 4) * 4U > room))
        return pw_malformed();
    return m;
}

/*
 * Whether the words of a header sum up as they must: to a multiple of 0xffff. That is told by
 * multiplying with the inverse of 0xffff modulo 2^64: exact quotients, and only they, come out no
 * larger than the largest quotient.
 */
static __always_inline bool pw_sums_up(__u64 sum)
{
    return sum * 0xfffefffefffeffffULL <= 0x0001000100010001ULL;
}

/* The same of a header without options; with options the stack looks. */
static __always_inline bool pw_sum4_right(const struct iphdr *ip)
{
    const __u32 *w = (const void *)ip;
    return pw_sums_up((__u64)w[0] + w[1] + w[2] + w[3] + w[4]);
}

/* IPv4, any form. Moves packet data. */
static __noinline __u64 pw_parse4_odd(struct __sk_buff *skb)
{
    pw_linearise(skb);
    void *data = pw_data(skb), *end = pw_data_end(skb);
    struct iphdr *ip = data + PW_ETH;
    __u32 len = skb->len - PW_ETH, ihl, tot;
    __u8 flags = 0;

    if ((void *)(ip + 1) > end || ip->version != 4)
        return pw_malformed().all;
    ihl = ip->ihl * 4;
    tot = bpf_ntohs(ip->tot_len);
    if (!tot && skb->gso_size) /* BIG TCP */
        tot = len;
    if (ihl < sizeof(*ip) || tot < ihl || tot > len)
        return pw_malformed().all;
    if (ihl > sizeof(*ip))
        flags |= PW_P_OPTIONS;
    else if (!pw_sum4_right(ip))
        return pw_malformed().all;
    if (ip->frag_off & bpf_htons(PW_IP_OFFSET))
        flags |= PW_P_LATER | PW_P_FRAGMENT;
    else if (ip->frag_off & bpf_htons(PW_IP_FRAGMENT))
        flags |= PW_P_FRAGMENT;

    __u8 proto = ip->protocol;
    if (proto == IPPROTO_ICMPV6) /* means nothing in IPv4 */
        return (union pw_meta){.proto = proto, .flags = flags | PW_P_OTHER}.all;
    union pw_meta m = pw_parse_l4(skb, PW_ETH + ihl, tot - ihl, proto, flags);
    if (proto == IPPROTO_ICMP && !(m.flags & (PW_P_MALFORMED | PW_P_LATER))) {
        m.flags |= PW_P_ICMP;
        if (pw_icmp4_is_error((__u8)m.ports))
            m.flags |= PW_P_ICMP_ERROR;
    }
    return m.all;
}

#define PW_MAX_EXT 6
#define PW_NEXTHDR_HOP 0
#define PW_NEXTHDR_ROUTING 43
#define PW_NEXTHDR_FRAGMENT 44
#define PW_NEXTHDR_AUTH 51
#define PW_NEXTHDR_NONE 59
#define PW_NEXTHDR_DEST 60
#define PW_TLV_JUMBO 194

/* IPv6, any form. Moves packet data. */
static __noinline __u64 pw_parse6_odd(struct __sk_buff *skb)
{
    pw_linearise(skb);
    void *data = pw_data(skb), *end = pw_data_end(skb);
    struct ipv6hdr *ip = data + PW_ETH;
    __u32 len = skb->len - PW_ETH, off = PW_L4_V6, stop;
    __u8 flags = 0, next;

    if ((void *)(ip + 1) > end || ip->version != 6)
        return pw_malformed().all;
    stop = PW_L4_V6 + bpf_ntohs(ip->payload_len);
    next = ip->nexthdr;
    if (stop == PW_L4_V6 && skb->gso_size) { /* BIG TCP, with a jumbo option or (newer) without */
        stop = skb->len;
        __u8 hop[4];
        if (next == PW_NEXTHDR_HOP && bpf_skb_load_bytes(skb, off, hop, sizeof(hop)) == 0 &&
            hop[1] == 0 && hop[2] == PW_TLV_JUMBO && hop[3] == 4) {
            next = hop[0];
            off += 8;
        }
    }
    if (stop - PW_ETH > len)
        return pw_malformed().all;

    for (int i = 0; i < PW_MAX_EXT; i++) {
        __u8 ext[4];
        if (next != PW_NEXTHDR_HOP && next != PW_NEXTHDR_ROUTING && next != PW_NEXTHDR_FRAGMENT &&
            next != PW_NEXTHDR_DEST && next != PW_NEXTHDR_AUTH)
            break;
        flags |= PW_P_OPTIONS;
        if (off + 8 > stop || bpf_skb_load_bytes(skb, off, ext, sizeof(ext)) < 0)
            return pw_malformed().all;
        if (next == PW_NEXTHDR_FRAGMENT) {
            flags |= PW_P_FRAGMENT;
            if (ext[2] || (ext[3] & 0xf8))
                flags |= PW_P_LATER;
            off += 8;
        } else if (next == PW_NEXTHDR_AUTH) {
            off += (ext[1] + 2) * 4;
        } else {
            off += (ext[1] + 1) * 8;
        }
        next = ext[0];
        if (flags & PW_P_LATER) /* what follows is not a header of ours to read */
            break;
    }
    if (off > stop)
        return pw_malformed().all;
    if (next == IPPROTO_ICMP)
        return (union pw_meta){.proto = next, .flags = flags | PW_P_OTHER}.all;
    union pw_meta m = pw_parse_l4(skb, off, stop - off, next, flags);
    if (next == IPPROTO_ICMPV6 && !(m.flags & (PW_P_MALFORMED | PW_P_LATER)))
        m.flags |= pw_icmp6_flags((__u8)m.ports);
    return m.all;
}

#endif
