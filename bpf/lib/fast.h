/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The straight way for nearly all packets: TCP or UDP without options or fragments, headers in the
 * linear part, on a path that is known. Whatever is not exactly that goes to pw_slow, which starts
 * again; so nothing here drops or judges by itself, and what it judges by is decide.h's.
 *
 * Written for the number of instructions: one pass over the headers, one lookup, no helper that
 * moves packet data (so `data` stays valid to the end), few values alive across a call (what is
 * cheap to read again, is).
 */
#ifndef PW_BPF_FAST_H
#define PW_BPF_FAST_H

#include "bpf/lib/deliver.h"

/* Whether a packet with `room` bytes of layer 4 is TCP or UDP with a whole header. */
static __always_inline bool pw_plain_l4(const void *l4, const void *end, __u8 proto, __u32 room)
{
    const struct tcphdr *tcp = l4;

    if (proto == IPPROTO_UDP)
        return room >= sizeof(struct udphdr);
    return proto == IPPROTO_TCP && room >= sizeof(*tcp) && (const void *)(tcp + 1) <= end &&
           PW_AT(const __u8, l4 + 12) >= 5 << 4 && (PW_AT(const __u8, l4 + 12) >> 4) * 4U <= room;
}

/* The verifier does not remember that TCP has its whole header there. */
static __always_inline __u8 pw_tcp_flags(const struct __sk_buff *skb, const void *tcp)
{
    return tcp + sizeof(struct tcphdr) <= pw_data_end(skb) ? PW_AT(const __u8, tcp + 13)
                                                           : PW_TCP_SYN;
}

static __always_inline int pw_fast4(struct __sk_buff *skb, void *data, enum pw_hook hook,
                                    __u32 call)
{
    void *end = pw_data_end(skb);
    struct iphdr *ip = data + PW_ETH;
    union pw_meta m = {.l4 = PW_L4_V4};

    if (data + PW_L4_V4 + sizeof(struct udphdr) > end || PW_AT(__u8, ip) != 0x45 ||
        (ip->frag_off & bpf_htons(PW_IP_FRAGMENT)) || !pw_sum4_right(ip))
        goto slow;
    __u32 l3_len = skb->len - PW_ETH, tot = bpf_ntohs(ip->tot_len);
    if (tot > l3_len || tot < sizeof(*ip) ||
        !pw_plain_l4(ip + 1, end, ip->protocol, tot - sizeof(*ip)))
        goto slow;

    __u64 stamp = pw_path_stamp(skb->ifindex);
    struct pw_path4 *e = pw_path4_entry(PW_AT(__u64, &ip->saddr));
    if (!e || !pw_path4_known(e, data, stamp, hook != PW_HOOK_UPLINK)) {
        /* Most of what a wire brings may be the node's own. */
        if (hook == PW_HOOK_UPLINK && !pw_ep_by_ip4(ip->daddr))
            return PW_NEXT;
        goto slow;
    }
    struct pw_path *p = &e->path;
    m.ports = PW_AT(__be32, ip + 1);
    m.proto = ip->protocol;
    if (hook != PW_HOOK_UPLINK && unlikely(m.ports == PW_DHCP4_SERVER))
        goto slow;
    if (unlikely(p->reason))
        return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, p->reason, false,
                        call);
    if (pw_conf.flags & PW_CONF_ASK_CT) {
        int reason = m.proto == IPPROTO_TCP
                         ? pw_ct_tcp4(skb, PW_AT(__u64, &ip->saddr), m.ports,
                                      pw_tcp_flags(skb, ip + 1), stamp >> 32)
                         : pw_ct_ask4(skb, ip->saddr, ip->daddr, m.ports, m.proto);
        if (unlikely(reason))
            return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, reason, false,
                            call);
    }
    int reason = pw_judge_packet(skb, m, false, p, skb->len - PW_ETH, ip->ttl);
    if (unlikely(reason))
        return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, reason, true,
                        call);
    pw_rewrite4(data, p);
    return pw_send(skb, hook, p);
slow:
    return pw_slow(skb, call);
}

static __always_inline int pw_fast6(struct __sk_buff *skb, void *data, enum pw_hook hook,
                                    __u32 call)
{
    void *end = pw_data_end(skb);
    struct ipv6hdr *ip = data + PW_ETH;
    union pw_meta m = {.l4 = PW_L4_V6};

    if (data + PW_L4_V6 + sizeof(struct udphdr) > end || (PW_AT(__u8, ip) & 0xf0) != 0x60)
        goto slow;
    __u32 l3_len = skb->len - PW_ETH, room = bpf_ntohs(ip->payload_len);
    if (room + sizeof(*ip) > l3_len || !pw_plain_l4(ip + 1, end, ip->nexthdr, room))
        goto slow;

    __u64 stamp = pw_path_stamp(skb->ifindex);
    struct pw_path6 *e = pw_path6_entry(&ip->saddr);
    if (!e || !pw_path6_known(e, data, stamp, hook != PW_HOOK_UPLINK)) {
        /* Most of what a wire brings may be the node's own. */
        if (hook == PW_HOOK_UPLINK && !pw_ep_by_ip6(&ip->daddr))
            return PW_NEXT;
        goto slow;
    }
    struct pw_path *p = &e->path;
    m.ports = PW_AT(__be32, ip + 1);
    m.proto = ip->nexthdr;
    if (hook != PW_HOOK_UPLINK && unlikely(m.ports == PW_DHCP6_SERVER))
        goto slow;
    if (unlikely(p->reason))
        return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, p->reason, false,
                        call);
    if (pw_conf.flags & PW_CONF_ASK_CT) {
        int reason = m.proto == IPPROTO_TCP ? pw_ct_tcp6(skb, &ip->saddr, m.ports,
                                                         pw_tcp_flags(skb, ip + 1), stamp >> 32)
                                            : pw_ct_ask6(skb, &ip->saddr, m.ports, m.proto);
        if (unlikely(reason))
            return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, reason, false,
                            call);
    }
    int reason = pw_judge_packet(skb, m, true, p, skb->len - PW_ETH, ip->hop_limit);
    if (unlikely(reason))
        return pw_leave(skb, hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from, reason, true,
                        call);
    pw_rewrite6(skb, data, p, hook);
    return pw_send(skb, hook, p);
slow:
    return pw_slow(skb, call);
}

static __always_inline int pw_act(struct __sk_buff *skb, enum pw_hook hook, bool quiet)
{
    void *data = pw_data(skb);
    __u32 call = PW_CALL(hook, quiet);

    /* skb->protocol is what the stack goes by; pw_decide sees to it that the frame says the same,
     * and a known path has the frame's EtherType in its key (from the wire: it cannot differ). */
    if (data + PW_ETH <= pw_data_end(skb) && !skb->vlan_present && skb->pkt_type == PACKET_HOST) {
        __be16 proto = PW_AT(__be16, data + 12);
        if (likely(proto == skb->protocol)) {
            if (likely(proto == bpf_htons(ETH_P_IP)))
                return pw_fast4(skb, data, hook, call);
            if (proto == bpf_htons(ETH_P_IPV6))
                return pw_fast6(skb, data, hook, call);
        }
    }
    return pw_slow(skb, call);
}

#endif
