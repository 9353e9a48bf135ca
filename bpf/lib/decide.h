/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The decision on a packet: what the real programs do and what the explaining ones tell. It changes
 * the packet only where it answers it (ARP, ND), and counts nothing.
 */
#ifndef PW_BPF_DECIDE_H
#define PW_BPF_DECIDE_H

#include "bpf/lib/icmp.h"

enum pw_hook {
    PW_HOOK_NETKIT, /* peer hook of a netkit pair */
    PW_HOOK_TCX,    /* tcx ingress of a host end */
    PW_HOOK_UPLINK, /* tcx ingress of an uplink */
};

struct pw_verdict {
    __u32 reason;         /* enum pw_reason; 0: on by `path`; PW_ANSWERED; PW_NOT_OURS */
    bool marked;          /* with a reason to use the stack: conntrack must not see it */
    __be16 family;        /* ETH_P_IP or ETH_P_IPV6, whose hop count is lowered; or 0 */
    struct pw_path *path; /* may be NULL with a reason */
};

/* GSO: whether each segment fits. Header lengths as the kernel counts them. */
static __noinline int pw_gso_fits(struct __sk_buff *skb, __u32 l4, __u8 proto, __u32 l3_bytes,
                                  __u32 mtu)
{
    __u32 size = skb->gso_size;
    __u8 doff = 0;

    if (!size)
        return 0;
    if (proto == IPPROTO_TCP) {
        if (bpf_skb_load_bytes(skb, l4 + 12, &doff, 1) < 0)
            return 0;
        size += (doff >> 4) * 4;
    } else {
        size += sizeof(struct udphdr);
    }
    return size + l3_bytes <= mtu;
}

/*
 * Steps 3 and 4 for what is not plain TCP or UDP: 0 when it belongs to the fast path, negative when
 * conntrack is still to be asked, else why the stack has it, unmarked.
 */
static __always_inline int pw_judge_odd(struct __sk_buff *skb, union pw_meta m, bool v6,
                                        struct pw_path *p, enum pw_hook hook)
{
    if (m.flags & PW_P_ICMP_ERROR) {
        if (hook != PW_HOOK_UPLINK && !v6 && (__u8)m.ports == ICMP_REDIRECT)
            return PW_RA_FROM_POD;
        return v6 ? pw_icmp_error6(skb, m.l4, p, hook == PW_HOOK_UPLINK)
                  : pw_icmp_error4(skb, m.l4, p, hook == PW_HOOK_UPLINK);
    }
    if (p->reason)
        return p->reason;
    if (m.flags & PW_P_OTHER)
        return PW_PROTOCOL;
    if (!(pw_conf.flags & PW_CONF_ASK_CT))
        return 0;
    if (m.flags & PW_P_LATER)
        return PW_FRAGMENT;
    if (m.flags & PW_P_ICMP)
        return PW_CT_UNKNOWN;
    return -1;
}

/* Whether a packet that is larger than the next hop takes stays so: its segments may not be. */
static __always_inline bool pw_too_big(struct __sk_buff *skb, __u32 l4, __u8 proto, bool v6,
                                       const struct pw_path *p)
{
    return !pw_gso_fits(skb, l4, proto, v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr), p->mtu);
}

/*
 * Step 5: the flow belongs to the fast path; what sends this packet to the stack all the same, and
 * marked. 0 when nothing does.
 */
static __always_inline int pw_judge_packet(struct __sk_buff *skb, union pw_meta m, bool v6,
                                           const struct pw_path *p, __u32 l3_len, __u8 ttl)
{
    if (unlikely(!(pw_conf.flags & PW_CONF_REDIRECT)))
        return PW_REDIRECT_OFF;
    if (m.flags & PW_P_FRAGMENT)
        return PW_FRAGMENT;
    if (m.flags & PW_P_OPTIONS)
        return PW_IP_OPTIONS;
    if (unlikely(ttl <= 1))
        return PW_TTL;
    if (unlikely(l3_len > p->mtu) && pw_too_big(skb, m.l4, m.proto, v6, p))
        return PW_MTU;
    return 0;
}

/*
 * What a packet leaves behind (pw_ct_leaves) that goes to the stack unmarked: nothing if it is not
 * UDP with its ports. Not static, so that the verifier looks at it once and not on each way here.
 */
__noinline int pw_odd_leaves(__u64 meta, __u64 addr)
{
    union pw_meta m = {.all = meta};
    if (m.proto == IPPROTO_UDP && !(m.flags & (PW_P_LATER | PW_P_MALFORMED)))
        pw_ct_leaves(pw_ct_end(addr, m.ports));
    return 0;
}

/*
 * A packet of any kind whose path is known (its address and protocol headers are at `data`). `addr`
 * is its source, for pw_odd_leaves.
 */
static __always_inline void pw_judge(struct __sk_buff *skb, enum pw_hook hook, bool v6,
                                     union pw_meta m, __u64 addr, void *data, __u32 l3_len,
                                     struct pw_verdict *v)
{
    struct pw_path *p = v->path;
    struct iphdr *ip4 = data + PW_ETH;
    struct ipv6hdr *ip6 = data + PW_ETH;
    __u8 ttl = v6 ? ip6->hop_limit : ip4->ttl;
    int reason = -1;

    if (hook != PW_HOOK_UPLINK && m.proto == IPPROTO_UDP && !(m.flags & PW_P_LATER) &&
        m.ports == (v6 ? PW_DHCP6_SERVER : PW_DHCP4_SERVER))
        reason = PW_DHCP_SERVER;
    else if (skb->pkt_type != PACKET_HOST)
        reason = PW_NOT_FOR_US;
    else if (m.flags)
        reason = pw_judge_odd(skb, m, v6, p, hook);
    else if (p->reason)
        reason = p->reason;
    else if (!(pw_conf.flags & PW_CONF_ASK_CT))
        reason = 0;
    if (reason < 0) {
        __u8 tcp_flags = 0;
        reason = v6 ? pw_ct_ask6(skb, &ip6->saddr, m.ports, m.proto)
                    : pw_ct_ask4(skb, ip4->saddr, ip4->daddr, m.ports, m.proto);
        if (m.proto == IPPROTO_TCP && bpf_skb_load_bytes(skb, m.l4 + 13, &tcp_flags, 1) == 0)
            pw_ct_seen(reason, tcp_flags);
    }
    if (reason == 0) {
        reason = pw_judge_packet(skb, m, v6, p, l3_len, ttl);
        v->marked = true;
    } else if (reason != PW_TRANSLATED) { /* that has its entry already */
        pw_odd_leaves(m.all, addr);
    }
    v->reason = reason;
}

static __always_inline void pw_decide4(struct __sk_buff *skb, enum pw_hook hook,
                                       struct pw_verdict *v)
{
    union pw_meta m = {.all = pw_parse4_odd(skb)};
    void *data = pw_data(skb);
    struct iphdr *ip = data + PW_ETH;

    v->reason = PW_MALFORMED;
    if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > pw_data_end(skb))
        return;
    __u64 stamp = pw_path_stamp(skb, hook == PW_HOOK_UPLINK);
    __u64 addr = ip->saddr;
    struct pw_path4 *e = pw_path4_entry(PW_AT(__u64, &ip->saddr));
    if (!e) /* cannot be: the index is within the array */
        return;
    if (!pw_path4_known(e, data, stamp, hook != PW_HOOK_UPLINK)) {
        int reason = hook == PW_HOOK_UPLINK ? pw_resolve_wire4(skb, e) : pw_resolve_pod4(skb, e);
        if (reason) {
            pw_odd_leaves(m.all, addr);
            v->reason = reason;
            return;
        }
        pw_path_found(&e->path);
        e->stamp = stamp;
    }
    v->path = &e->path;
    pw_judge(skb, hook, false, m, addr, data, skb->len - PW_ETH, v);
}

static __always_inline void pw_decide6(struct __sk_buff *skb, enum pw_hook hook,
                                       struct pw_verdict *v)
{
    union pw_meta m = {.all = pw_parse6_odd(skb)};
    void *data = pw_data(skb);
    struct ipv6hdr *ip = data + PW_ETH;

    v->reason = PW_MALFORMED;
    if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > pw_data_end(skb))
        return;
    if (hook != PW_HOOK_UPLINK && (m.flags & PW_P_ND)) {
        int reason = pw_special6(skb);
        v->reason = reason ? reason : PW_MULTICAST;
        return;
    }
    __u64 stamp = pw_path_stamp(skb, hook == PW_HOOK_UPLINK);
    __u64 addr = pw_addr6_word(&ip->saddr);
    struct pw_path6 *e = pw_path6_entry(&ip->saddr);
    if (!e)
        return;
    if (!pw_path6_known(e, data, stamp, hook != PW_HOOK_UPLINK)) {
        int reason = hook == PW_HOOK_UPLINK ? pw_resolve_wire6(skb, e) : pw_resolve_pod6(skb, e);
        if (reason) {
            pw_odd_leaves(m.all, addr);
            v->reason = reason;
            return;
        }
        pw_path_found(&e->path);
        e->stamp = stamp;
    }
    v->path = &e->path;
    pw_judge(skb, hook, true, m, addr, data, skb->len - PW_ETH, v);
}

/* The whole decision, into a verdict that is zero. */
static __always_inline void pw_decide(struct __sk_buff *skb, enum pw_hook hook,
                                      struct pw_verdict *v)
{
    struct ethhdr *eth = pw_data(skb);

    if ((void *)(eth + 1) > pw_data_end(skb)) {
        v->reason = PW_MALFORMED;
        return;
    }
    __be16 proto = PW_AT(__be16, pw_data(skb) + 12);
    bool vlan = skb->vlan_present;

    /* skb->protocol is what the stack goes by; a sender of raw frames on netkit can have it differ
     * from the frame. */
    if (hook != PW_HOOK_UPLINK) {
        if (unlikely(vlan || proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))) {
            v->reason = PW_VLAN;
            return;
        }
        if (unlikely(skb->protocol != proto)) {
            v->reason = PW_MALFORMED;
            return;
        }
    } else if (unlikely(vlan)) {
        v->reason = PW_NOT_OURS;
        return;
    }
    if (likely(proto == bpf_htons(ETH_P_IP))) {
        v->family = proto;
        pw_decide4(skb, hook, v);
    } else if (likely(proto == bpf_htons(ETH_P_IPV6))) {
        v->family = proto;
        pw_decide6(skb, hook, v);
    } else if (hook == PW_HOOK_UPLINK) {
        v->reason = PW_NOT_OURS;
    } else if (proto == bpf_htons(ETH_P_ARP)) {
        v->reason = pw_arp_from_pod(skb);
    } else {
        v->reason = PW_ETHERTYPE;
    }
}

#endif
