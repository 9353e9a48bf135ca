/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors are judged by the flow of the packet inside, so that path MTU discovery works for
 * flows of either path: conntrack knows the translated flow, and has never heard of the other.
 */
#ifndef PW_BPF_ICMP_H
#define PW_BPF_ICMP_H

#include "bpf/lib/ct.h"
#include "bpf/lib/resolve.h"

/* A flow of the fast path is TCP or UDP, or any when conntrack is not asked. */
static __always_inline int pw_icmp_ask4(struct __sk_buff *skb, __be32 saddr, __be32 daddr,
                                        __be32 ports, __u8 proto)
{
    if (!(pw_conf.flags & PW_CONF_ASK_CT))
        return 0;
    if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
        return PW_ICMP_UNRELATED;
    int reason = pw_ct_ask4(skb, saddr, daddr, ports, proto);
    return reason == PW_TRANSLATED ? PW_ICMP_ERROR : reason;
}

/*
 * An error whose ICMP header is at `l4`. `p` is the path of the outer addresses; `wire` whether it
 * came from an uplink. 0 when it goes where its flow goes, on the fast path; else why the stack has
 * it (unmarked: conntrack knows of the flow, or of nothing).
 */
static __noinline int pw_icmp_error4(struct __sk_buff *skb, __u32 l4, struct pw_path *p, bool wire)
{
    struct iphdr outer, in;
    __be32 ports;
    __u32 at = l4 + PW_ICMP_HEADER;

    if (bpf_skb_load_bytes(skb, PW_ETH, &outer, sizeof(outer)) < 0 ||
        bpf_skb_load_bytes(skb, at, &in, sizeof(in)) < 0 || in.version != 4 || in.ihl < 5 ||
        (in.frag_off & bpf_htons(PW_IP_OFFSET)) ||
        bpf_skb_load_bytes(skb, at + in.ihl * 4, &ports, sizeof(ports)) < 0)
        return PW_ICMP_UNRELATED;
    if (in.saddr != outer.daddr) /* errors go to who sent the packet */
        return PW_ICMP_UNRELATED;
    if (in.daddr == outer.saddr) {
        if (p->reason)
            return p->reason;
    } else if (!wire) {
        return PW_ICMP_UNRELATED; /* pods are no routers */
    } else {
        /* A router on the way, whatever its own address: what counts is the flow. */
        if (!pw_native4(in.daddr) || !(pw_conf.flags & PW_CONF_WIRE) || pw_ep_by_ip4(in.daddr))
            return PW_ICMP_UNRELATED;
        int reason = pw_reply_way4(skb, p->ifindex, in.saddr, in.daddr);
        if (reason)
            return reason;
    }
    return pw_icmp_ask4(skb, in.saddr, in.daddr, ports, in.protocol);
}

static __always_inline bool pw_same_ip6(const struct in6_addr *a, const struct in6_addr *b)
{
    return a->s6_addr32[0] == b->s6_addr32[0] && a->s6_addr32[1] == b->s6_addr32[1] &&
           a->s6_addr32[2] == b->s6_addr32[2] && a->s6_addr32[3] == b->s6_addr32[3];
}

static __noinline int pw_icmp_error6(struct __sk_buff *skb, __u32 l4, struct pw_path *p, bool wire)
{
    struct ipv6hdr outer, in;
    __be32 ports;
    __u32 at = l4 + PW_ICMP_HEADER, inner_l4 = at + sizeof(in);

    if (bpf_skb_load_bytes(skb, PW_ETH, &outer, sizeof(outer)) < 0 ||
        bpf_skb_load_bytes(skb, at, &in, sizeof(in)) < 0 || in.version != 6)
        return PW_ICMP_UNRELATED;
    __u8 proto = in.nexthdr;
    if (proto ==
        PW_NEXTHDR_FRAGMENT) { /* the sender fragments: its first fragment names the flow */
        __u8 frag[4];
        if (bpf_skb_load_bytes(skb, inner_l4, frag, sizeof(frag)) < 0 || frag[2] ||
            (frag[3] & 0xf8))
            return PW_ICMP_UNRELATED;
        proto = frag[0];
        inner_l4 += 8;
    }
    if (bpf_skb_load_bytes(skb, inner_l4, &ports, sizeof(ports)) < 0)
        return PW_ICMP_UNRELATED;
    if (!pw_same_ip6(&in.saddr, &outer.daddr))
        return PW_ICMP_UNRELATED;
    if (pw_same_ip6(&in.daddr, &outer.saddr)) {
        if (p->reason)
            return p->reason;
    } else if (!wire) {
        return PW_ICMP_UNRELATED;
    } else {
        if (!pw_native6(&in.daddr) || !(pw_conf.flags & PW_CONF_WIRE) || pw_ep_by_ip6(&in.daddr))
            return PW_ICMP_UNRELATED;
        int reason = pw_reply_way6(skb, p->ifindex, &in.saddr, &in.daddr);
        if (reason)
            return reason;
    }
    if (!(pw_conf.flags & PW_CONF_ASK_CT))
        return 0;
    if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
        return PW_ICMP_UNRELATED;
    int reason = pw_ct_ask6(skb, &in.saddr, ports, proto);
    return reason == PW_TRANSLATED ? PW_ICMP_ERROR : reason;
}

#endif
