/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The straight way for nearly all packets: TCP or UDP without options or fragments, headers in the
 * linear part, on a path that is known. Whatever is not exactly that goes to pw_slow, which starts
 * again; so nothing here drops or judges by itself, and what it judges by is decide.h's.
 *
 * Written for the number of instructions: the path is looked up first, so that nothing read from
 * the headers has to be kept over a call; headers are read by words, and few values are alive
 * across a call (what is cheap to read again, is). No helper here moves packet data.
 */
#ifndef PW_BPF_FAST_H
#define PW_BPF_FAST_H

#include "bpf/lib/deliver.h"

#define PW_UDP_V4 (PW_L4_V4 + sizeof(struct udphdr))

/* Whether a packet with `room` bytes of layer 4, at least a UDP header, is TCP with a whole one. */
static __always_inline bool pw_plain_tcp(const void *l4, const void *end, __u32 room)
{
    return room >= sizeof(struct tcphdr) && l4 + sizeof(struct tcphdr) <= end &&
           PW_AT(const __u8, l4 + 12) >= 5 << 4 && (PW_AT(const __u8, l4 + 12) >> 4) * 4U <= room;
}

/* The verifier does not remember that TCP has its whole header there. */
static __always_inline __u8 pw_tcp_flags(const struct __sk_buff *skb, const void *tcp)
{
    return tcp + sizeof(struct tcphdr) <= pw_data_end(skb) ? PW_AT(const __u8, tcp + 13)
                                                           : PW_TCP_SYN;
}

static __always_inline __u32 pw_slot(enum pw_hook hook, const struct pw_path *p)
{
    return hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from;
}

/* The conntrack question about a packet that pw_fast4 has looked at. Out of line, so that nothing
 * is kept over it where it is not asked. */
static __noinline int pw_ask4(struct __sk_buff *skb, __u64 stamp)
{
    void *data = pw_data(skb);
    struct iphdr *ip = data + PW_ETH;

    if (data + PW_UDP_V4 > pw_data_end(skb))
        return PW_CT_UNKNOWN;
    __u8 proto = ip->protocol, flags = proto == IPPROTO_TCP ? pw_tcp_flags(skb, ip + 1) : 0;
    return pw_ct_flow4(skb, PW_AT(__u64, data + PW_ETH + offsetof(struct iphdr, saddr)),
                       PW_AT(__be32, ip + 1), proto, flags, pw_path_slice(stamp));
}

static __noinline int pw_ask6(struct __sk_buff *skb, __u64 stamp)
{
    void *data = pw_data(skb);
    struct ipv6hdr *ip = data + PW_ETH;

    if (data + PW_L4_V6 + sizeof(struct udphdr) > pw_data_end(skb))
        return PW_CT_UNKNOWN;
    __u8 proto = ip->nexthdr, flags = proto == IPPROTO_TCP ? pw_tcp_flags(skb, ip + 1) : 0;
    return pw_ct_flow6(skb, &ip->saddr, PW_AT(__be32, ip + 1), proto, flags, pw_path_slice(stamp));
}

/* UDP of any form, or what may be, that an uplink brings for the node itself: it may come to be
 * translated. */
static __noinline int pw_leaves_odd4(struct __sk_buff *skb)
{
    union pw_meta m = {.all = pw_parse4_odd(skb)};
    struct iphdr *ip = pw_data(skb) + PW_ETH;

    if ((void *)(ip + 1) <= pw_data_end(skb))
        pw_odd_leaves(m.all, ip->saddr);
    return PW_NEXT;
}

static __noinline int pw_leaves_odd6(struct __sk_buff *skb)
{
    union pw_meta m = {.all = pw_parse6_odd(skb)};
    struct ipv6hdr *ip = pw_data(skb) + PW_ETH;

    if ((void *)(ip + 1) <= pw_data_end(skb))
        pw_odd_leaves(m.all, pw_addr6_word(&ip->saddr));
    return PW_NEXT;
}

static __always_inline int pw_fast4(struct __sk_buff *skb, enum pw_hook hook, __u32 call)
{
    void *data = pw_data(skb), *l3 = data + PW_ETH;
    struct iphdr *ip = l3;

    if (data + PW_UDP_V4 > pw_data_end(skb))
        goto slow;
    __u64 stamp = pw_path_stamp(skb, hook == PW_HOOK_UPLINK);
    barrier_var(stamp); /* made here: later it would take more */
    struct pw_path4 *e = pw_path4_entry(PW_AT(const __u64, l3 + offsetof(struct iphdr, saddr)));
    if (!e)
        goto slow;
    if (!pw_path4_known(e, data, stamp, hook != PW_HOOK_UPLINK)) {
        /* Most of what a wire brings may be the node's own. */
        if (hook == PW_HOOK_UPLINK && !pw_ep_by_ip4(ip->daddr)) {
            if (ip->protocol == IPPROTO_UDP) {
                if (unlikely(ip->ihl != 5 || (ip->frag_off & bpf_htons(PW_IP_FRAGMENT))))
                    return pw_leaves_odd4(skb);
                pw_ct_leaves(pw_ct_end(ip->saddr, PW_AT(const __u16, ip + 1)));
            }
            return PW_NEXT;
        }
        goto slow;
    }
    struct pw_path *p = &e->path;
    /* Version, header length and fragment in one look. They leave the sum no way to overflow. */
    __u64 first = PW_AT(const __u64, l3);
    if ((first & bpf_cpu_to_be64(0xff00000000003fff)) != bpf_cpu_to_be64(0x4500000000000000) ||
        !pw_sums_up(first + PW_AT(const __u32, l3 + 8) + e->sum))
        goto slow;
    /* What there is beyond a UDP header; of less it would be very much. */
    __u32 len = skb->len, more = bpf_ntohs(ip->tot_len) - (PW_UDP_V4 - PW_ETH);
    if (more > len - PW_UDP_V4)
        goto slow;
    /* Read for itself, which takes less than to get it out of a word. */
    __u8 proto = *(const volatile __u8 *)&ip->protocol;
    if (proto != IPPROTO_UDP &&
        (proto != IPPROTO_TCP ||
         !pw_plain_tcp(ip + 1, pw_data_end(skb), more + sizeof(struct udphdr))))
        goto slow;
    if (hook != PW_HOOK_UPLINK && unlikely(PW_AT(__be32, ip + 1) == PW_DHCP4_SERVER))
        goto slow;
    if (!p->plain) {
        if (p->reason) {
            if (proto == IPPROTO_UDP)
                pw_ct_leaves(pw_ct_end(ip->saddr, PW_AT(const __u16, ip + 1)));
            return pw_leave(skb, pw_slot(hook, p), p->reason, false, call);
        }
        if (unlikely(!(pw_conf.flags & PW_CONF_REDIRECT)))
            goto slow;
        int reason = pw_ask4(skb, e->stamp);
        if (unlikely(reason))
            return pw_leave(skb, pw_slot(hook, p), reason, false, call);
    }
    if (unlikely(ip->ttl <= 1))
        return pw_leave(skb, pw_slot(hook, p), PW_TTL, true, call);
    if (unlikely(len > p->frame) && pw_too_big(skb, PW_L4_V4, ip->protocol, false, p))
        return pw_leave(skb, pw_slot(hook, p), PW_MTU, true, call);
    pw_rewrite4(data, p);
    return pw_send(skb, hook, p, len);
slow:
    return pw_slow(skb, call);
}

static __always_inline int pw_fast6(struct __sk_buff *skb, enum pw_hook hook, __u32 call)
{
    void *data = pw_data(skb);
    struct ipv6hdr *ip = data + PW_ETH;

    if (data + PW_L4_V6 + sizeof(struct udphdr) > pw_data_end(skb))
        goto slow;
    struct pw_path6 *e = pw_path6_entry(&ip->saddr);
    if (!e)
        goto slow;
    if (!pw_path6_known(e, data, pw_path_stamp(skb, hook == PW_HOOK_UPLINK),
                        hook != PW_HOOK_UPLINK)) {
        /* Most of what a wire brings may be the node's own. */
        if (hook == PW_HOOK_UPLINK && !pw_ep_by_ip6(&ip->daddr)) {
            if (ip->nexthdr == IPPROTO_UDP)
                pw_ct_leaves(pw_ct_end(pw_addr6_word(&ip->saddr), PW_AT(const __u16, ip + 1)));
            else if (unlikely(ip->nexthdr != IPPROTO_TCP && ip->nexthdr != IPPROTO_ICMPV6))
                return pw_leaves_odd6(skb);
            return PW_NEXT;
        }
        goto slow;
    }
    struct pw_path *p = &e->path;
    __u32 len = skb->len, room = bpf_ntohs(ip->payload_len);
    if ((PW_AT(__u8, ip) & 0xf0) != 0x60 || room + PW_L4_V6 > len || room < sizeof(struct udphdr))
        goto slow;
    if (ip->nexthdr != IPPROTO_UDP &&
        (ip->nexthdr != IPPROTO_TCP || !pw_plain_tcp(ip + 1, pw_data_end(skb), room)))
        goto slow;
    if (hook != PW_HOOK_UPLINK && unlikely(PW_AT(__be32, ip + 1) == PW_DHCP6_SERVER))
        goto slow;
    if (!p->plain) {
        if (p->reason) {
            if (ip->nexthdr == IPPROTO_UDP)
                pw_ct_leaves(pw_ct_end(pw_addr6_word(&ip->saddr), PW_AT(const __u16, ip + 1)));
            return pw_leave(skb, pw_slot(hook, p), p->reason, false, call);
        }
        if (unlikely(!(pw_conf.flags & PW_CONF_REDIRECT)))
            goto slow;
        int reason = pw_ask6(skb, e->stamp);
        if (unlikely(reason))
            return pw_leave(skb, pw_slot(hook, p), reason, false, call);
    }
    if (unlikely(ip->hop_limit <= 1))
        return pw_leave(skb, pw_slot(hook, p), PW_TTL, true, call);
    if (unlikely(len > p->frame) && pw_too_big(skb, PW_L4_V6, ip->nexthdr, true, p))
        return pw_leave(skb, pw_slot(hook, p), PW_MTU, true, call);
    pw_rewrite6(skb, data, p, hook);
    return pw_send(skb, hook, p, len);
slow:
    return pw_slow(skb, call);
}

static __always_inline int pw_act(struct __sk_buff *skb, enum pw_hook hook, bool quiet)
{
    __u32 call = PW_CALL(hook, quiet);

    /* skb->protocol is what the stack goes by; pw_decide sees to it that the frame says the same,
     * and a known path has the frame's EtherType in its key (from the wire: it cannot differ). */
    if (!skb->vlan_proto && skb->pkt_type == PACKET_HOST) {
        if (likely(skb->protocol == bpf_htons(ETH_P_IP)))
            return pw_fast4(skb, hook, call);
        if (skb->protocol == bpf_htons(ETH_P_IPV6))
            return pw_fast6(skb, hook, call);
    }
    return pw_slow(skb, call);
}

#endif
