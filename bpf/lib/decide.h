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

/* What is not plain TCP or UDP, before step 5: 0 when it belongs to the fast path. `*marked` when
 * the reason holds for a flow that conntrack does not see. */
static __always_inline int pw_judge_odd(struct __sk_buff *skb, union pw_meta m, bool v6,
                                        struct pw_path *p, enum pw_hook hook)
{
    bool ask = pw_conf.flags & PW_CONF_ASK_CT;

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
    if (!ask)
        return 0;
    if (m.flags & PW_P_LATER)
        return PW_FRAGMENT;
    if (m.flags & PW_P_ICMP)
        return PW_CT_UNKNOWN;
    return -1; /* TCP or UDP: ask */
}

/*
 * Steps 3 to 5, the path being known: 0 for the fast path. The order is what keeps conntrack whole:
 * first whatever makes the flow the stack's, unmarked; then, for flows of the fast path, what makes
 * this packet the stack's, marked.
 */
static __always_inline int pw_judge(struct __sk_buff *skb, enum pw_hook hook, bool v6,
                                    union pw_meta m, struct pw_path *p, __u32 l3_len, __u8 ttl,
                                    bool *marked)
{
    __u32 conf = pw_conf.flags;
    int reason = 0;

    *marked = false;
    if (unlikely(m.flags))
        reason = pw_judge_odd(skb, m, v6, p, hook);
    else if (unlikely(p->reason))
        return p->reason;
    else if (conf & PW_CONF_ASK_CT)
        reason = -1;
    if (reason > 0)
        return reason;
    if (reason < 0) {
        if (v6) {
            reason = pw_ct_ask6(skb, PW_ETH, m.ports, m.proto);
        } else {
            struct iphdr ip;
            if (bpf_skb_load_bytes(skb, PW_ETH, &ip, sizeof(ip)) < 0)
                return PW_MALFORMED;
            reason = pw_ct_ask4(skb, ip.saddr, ip.daddr, m.ports, m.proto);
        }
        if (reason)
            return reason;
    }

    *marked = true;
    if (unlikely(!(conf & PW_CONF_REDIRECT)))
        return PW_REDIRECT_OFF;
    if (unlikely(m.flags & (PW_P_FRAGMENT | PW_P_OPTIONS)))
        return m.flags & PW_P_FRAGMENT ? PW_FRAGMENT : PW_IP_OPTIONS;
    if (unlikely(ttl <= 1))
        return PW_TTL;
    if (unlikely(l3_len > p->mtu) &&
        !pw_gso_fits(skb, m.l4, m.proto, v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr),
                     p->mtu))
        return PW_MTU;
    return 0;
}

static __always_inline void pw_decide4(struct __sk_buff *skb, enum pw_hook hook,
                                       struct pw_verdict *v)
{
    void *data = pw_data(skb), *end = pw_data_end(skb);
    struct iphdr *ip = data + PW_ETH;
    struct udphdr *udp = (void *)(ip + 1);
    __u32 l3_len = skb->len - PW_ETH;
    union pw_meta m = {.l4 = PW_L4_V4};

    bool plain = false;
    if (likely((void *)(udp + 1) <= end && *(__u8 *)ip == 0x45 &&
               !(ip->frag_off & bpf_htons(PW_IP_FRAGMENT)) && pw_sum4_right(ip))) {
        __u32 tot = bpf_ntohs(ip->tot_len);
        m.proto = ip->protocol;
        __builtin_memcpy(&m.ports, udp, 4);
        if (m.proto == IPPROTO_UDP) {
            plain = tot >= sizeof(*ip) + sizeof(*udp) && tot <= l3_len;
        } else if (m.proto == IPPROTO_TCP) {
            struct tcphdr *tcp = (void *)udp;
            plain = tot >= sizeof(*ip) + sizeof(*tcp) && tot <= l3_len &&
                    (void *)(tcp + 1) <= end && tcp->doff >= 5;
        }
    }
    if (!plain) {
        m.all = pw_parse4_odd(skb);
        data = pw_data(skb);
        end = pw_data_end(skb);
        ip = data + PW_ETH;
        if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > end) {
            v->reason = PW_MALFORMED;
            return;
        }
    }

    __u64 addrs, mac, stamp = pw_path_stamp(skb->ifindex);
    __u8 ttl = ip->ttl;
    __builtin_memcpy(&addrs, &ip->saddr, 8);
    __builtin_memcpy(&mac, data + 6, 8);

    struct pw_path4 *e = pw_path4_entry(addrs);
    if (!e) { /* cannot be: the index is within the array */
        v->reason = PW_MALFORMED;
        return;
    }
    if (unlikely(e->addrs != addrs || e->stamp != stamp ||
                 (hook != PW_HOOK_UPLINK && e->mac != mac))) {
        int reason = hook == PW_HOOK_UPLINK ? pw_resolve_wire4(skb, e) : pw_resolve_pod4(skb, e);
        if (reason) {
            v->reason = reason;
            return;
        }
        e->stamp = stamp;
    }
    v->path = &e->path;
    if (hook != PW_HOOK_UPLINK && m.proto == IPPROTO_UDP && unlikely(m.ports == PW_DHCP4_SERVER)) {
        v->reason = PW_DHCP_SERVER;
        return;
    }
    if (unlikely(skb->pkt_type != PACKET_HOST)) {
        v->reason = PW_NOT_FOR_US;
        return;
    }
    v->reason = pw_judge(skb, hook, false, m, &e->path, l3_len, ttl, &v->marked);
}

static __always_inline void pw_decide6(struct __sk_buff *skb, enum pw_hook hook,
                                       struct pw_verdict *v)
{
    void *data = pw_data(skb), *end = pw_data_end(skb);
    struct ipv6hdr *ip = data + PW_ETH;
    struct udphdr *udp = (void *)(ip + 1);
    __u32 l3_len = skb->len - PW_ETH;
    union pw_meta m = {.l4 = PW_L4_V6};

    bool plain = false;
    if (likely((void *)(udp + 1) <= end && (*(__u8 *)ip & 0xf0) == 0x60)) {
        __u32 tot = bpf_ntohs(ip->payload_len);
        m.proto = ip->nexthdr;
        __builtin_memcpy(&m.ports, udp, 4);
        if (m.proto == IPPROTO_UDP) {
            plain = tot >= sizeof(*udp) && tot + sizeof(*ip) <= l3_len;
        } else if (m.proto == IPPROTO_TCP) {
            struct tcphdr *tcp = (void *)udp;
            plain = tot >= sizeof(*tcp) && tot + sizeof(*ip) <= l3_len &&
                    (void *)(tcp + 1) <= end && tcp->doff >= 5;
        }
    }
    if (!plain) {
        m.all = pw_parse6_odd(skb);
        data = pw_data(skb);
        end = pw_data_end(skb);
        ip = data + PW_ETH;
        if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > end) {
            v->reason = PW_MALFORMED;
            return;
        }
    }
    if (hook != PW_HOOK_UPLINK && unlikely(m.flags & PW_P_ND)) {
        int reason = pw_special6(skb);
        v->reason = reason ? reason : PW_MULTICAST;
        return;
    }

    __u64 addrs[4], mac, stamp = pw_path_stamp(skb->ifindex);
    __u8 ttl = ip->hop_limit;
    __builtin_memcpy(addrs, &ip->saddr, 32);
    __builtin_memcpy(&mac, data + 6, 8);

    struct pw_path6 *e = pw_path6_entry(addrs);
    if (!e) {
        v->reason = PW_MALFORMED;
        return;
    }
    if (unlikely(e->addrs[0] != addrs[0] || e->addrs[1] != addrs[1] || e->addrs[2] != addrs[2] ||
                 e->addrs[3] != addrs[3] || e->stamp != stamp ||
                 (hook != PW_HOOK_UPLINK && e->mac != mac))) {
        int reason = hook == PW_HOOK_UPLINK ? pw_resolve_wire6(skb, e) : pw_resolve_pod6(skb, e);
        if (reason) {
            v->reason = reason;
            return;
        }
        e->stamp = stamp;
    }
    v->path = &e->path;
    if (hook != PW_HOOK_UPLINK && m.proto == IPPROTO_UDP && unlikely(m.ports == PW_DHCP6_SERVER)) {
        v->reason = PW_DHCP_SERVER;
        return;
    }
    if (unlikely(skb->pkt_type != PACKET_HOST)) {
        v->reason = PW_NOT_FOR_US;
        return;
    }
    v->reason = pw_judge(skb, hook, true, m, &e->path, l3_len, ttl, &v->marked);
}

/* The whole decision. `family` tells the caller how to lower TTL or hop limit: ETH_P_IP or
 * ETH_P_IPV6 in network order, or 0. */
static __always_inline void pw_decide(struct __sk_buff *skb, enum pw_hook hook,
                                      struct pw_verdict *v, __be16 *family)
{
    struct ethhdr *eth = pw_data(skb);
    *family = 0;

    if ((void *)(eth + 1) > pw_data_end(skb)) {
        v->reason = PW_MALFORMED;
        return;
    }
    __be16 proto = eth->h_proto;
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
        *family = proto;
        pw_decide4(skb, hook, v);
    } else if (likely(proto == bpf_htons(ETH_P_IPV6))) {
        *family = proto;
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
