/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Find out a path: source check, destination, route. Out of line; once per path and time slice. */
#ifndef PW_BPF_RESOLVE_H
#define PW_BPF_RESOLVE_H

#include "bpf/lib/guard.h"
#include "bpf/lib/wire.h"

/* Instead of a reason: the packet is not to or from an endpoint, leave it alone and uncounted. */
#define PW_NOT_OURS 0x101

static __always_inline void pw_path_stack(struct pw_path *p, __u32 from, __u32 to, __u16 reason)
{
    p->kind = PW_PATH_STACK;
    p->reason = reason;
    p->slot_from = from;
    p->slot_to = to;
}

/* To the endpoint `to`; `src` is the sending endpoint, NULL from the wire. */
static __always_inline void pw_path_local(struct pw_path *p, const struct pw_ep *src,
                                          const struct pw_ep *to)
{
    __builtin_memcpy(p->macs, to->mac, 6);
    __builtin_memcpy(p->macs + 6, to->host_mac, 6);
    p->ifindex = to->ifindex;
    p->mtu = to->mtu;
    p->slot_from = src ? src->slot : PW_SLOT_NONE;
    p->slot_to = to->slot;
    p->reason = 0;
    p->kind = PW_PATH_LOCAL;
    if (to->device == PW_DEV_TAP || (to->flags & PW_EP_LIMITED)) {
        p->kind = PW_PATH_TAP;
    } else if (src && (src->device == PW_DEV_NETKIT || src->device == PW_DEV_NETKIT_L2) &&
               to->device == PW_DEV_NETKIT && pw_pass) {
        /* netkit's program cannot redirect into another namespace; the ingress of the target can,
         * which is nearer than sending by the target's device. */
        p->kind = PW_PATH_PASS;
        PW_AT(__u32, p->macs) = 0;
        PW_AT(__u64, p->macs + PW_PASS_AT) = pw_pass;
    }
}

/*
 * From a pod. 0 when the path is in `e`; a reason to drop; PW_ANSWERED. Moves packet data in the
 * last two cases.
 */
static __noinline int pw_resolve_pod4(struct __sk_buff *skb, struct pw_path4 *e)
{
    struct ethhdr *eth = pw_data(skb);
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    __u32 ifindex = skb->ifindex;
    __be32 saddr = ip->saddr, daddr = ip->daddr;
    __u64 mac;
    struct pw_path *p = &e->path;
    const struct pw_peer_node *peer;

    e->stamp = 0;
    mac = PW_AT(__u64, eth->h_source);
    struct pw_ep *src = pw_ep_by_ip4(saddr);
    if (!src || src->ifindex != ifindex || pw_is_multicast4(daddr) || daddr == PW_GATEWAY4 ||
        ((src->flags & PW_EP_L2) && !pw_same_mac(eth->h_source, src->mac))) {
        int reason = pw_special4(skb);
        return reason ? reason : PW_SPOOF_IP4;
    }

    struct pw_ep *dst = pw_ep_by_ip4(daddr);
    if (dst) {
        if (dst->ifindex == ifindex)
            pw_path_stack(p, src->slot, dst->slot, PW_SELF);
        else
            pw_path_local(p, src, dst);
    } else if (!pw_native4(daddr)) {
        pw_path_stack(p, src->slot, PW_SLOT_NONE, PW_OUTSIDE);
    } else if (!(pw_conf.flags & PW_CONF_WIRE)) {
        pw_path_stack(p, src->slot, PW_SLOT_NONE, PW_POLICY_ROUTING);
    } else if ((peer = pw_tunnel_to4(daddr))) {
        pw_path_tunnel(p, src->slot, peer);
    } else {
        struct bpf_fib_lookup fib;
        pw_fib_init4(&fib, ifindex, saddr, daddr);
        pw_path_stack(p, src->slot, PW_SLOT_NONE, 0);
        p->reason = pw_wire(skb, &fib, p);
    }
    pw_path4_addrs(e, saddr, daddr);
    e->mac = mac;
    return 0;
}

static __noinline int pw_resolve_pod6(struct __sk_buff *skb, struct pw_path6 *e)
{
    struct ethhdr *eth = pw_data(skb);
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    __u32 ifindex = skb->ifindex;
    struct pw_path *p = &e->path;
    const struct pw_peer_node *peer;

    e->stamp = 0;
    struct pw_ep *src = pw_ep_by_ip6(&ip->saddr);
    if (!src || src->ifindex != ifindex || ip->daddr.s6_addr[0] == 0xff ||
        ((src->flags & PW_EP_L2) && !pw_same_mac(eth->h_source, src->mac))) {
        int reason = pw_special6(skb);
        return reason ? reason : PW_SPOOF_IP6;
    }
    __builtin_memcpy(e->addrs, &ip->saddr, 32);
    e->mac = PW_AT(__u64, eth->h_source);

    struct pw_ep *dst = pw_ep_by_ip6(&ip->daddr);
    if (dst) {
        if (dst->ifindex == ifindex)
            pw_path_stack(p, src->slot, dst->slot, PW_SELF);
        else
            pw_path_local(p, src, dst);
    } else if (pw_is_link_local6(&ip->daddr)) {
        pw_path_stack(p, src->slot, PW_SLOT_NONE, PW_TO_HOST);
    } else if (!pw_native6(&ip->daddr)) {
        pw_path_stack(p, src->slot, PW_SLOT_NONE, PW_OUTSIDE);
    } else if (!(pw_conf.flags & PW_CONF_WIRE)) {
        pw_path_stack(p, src->slot, PW_SLOT_NONE, PW_POLICY_ROUTING);
    } else if ((peer = pw_tunnel_to6(&ip->daddr))) {
        pw_path_tunnel(p, src->slot, peer);
    } else {
        struct bpf_fib_lookup fib;
        pw_fib_init6(&fib, ifindex, &ip->saddr, &ip->daddr);
        pw_path_stack(p, src->slot, PW_SLOT_NONE, 0);
        p->reason = pw_wire(skb, &fib, p);
    }
    return 0;
}

/* From the wire. 0 when the path is in `e`, or PW_NOT_OURS. */
static __noinline int pw_resolve_wire4(struct __sk_buff *skb, struct pw_path4 *e)
{
    struct iphdr *ip = pw_data(skb) + PW_ETH;
    if ((void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    __be32 saddr = ip->saddr, daddr = ip->daddr;
    struct pw_ep *dst = pw_ep_by_ip4(daddr);
    if (!dst)
        return PW_NOT_OURS;

    e->stamp = 0;
    pw_path_local(&e->path, NULL, dst);
    if (!pw_native4(saddr))
        e->path.reason = PW_OUTSIDE;
    else if (!(pw_conf.flags & PW_CONF_WIRE))
        e->path.reason = PW_POLICY_ROUTING;
    else if (pw_ep_by_ip4(saddr))
        e->path.reason = PW_SOURCE_LOCAL;
    else
        e->path.reason = pw_reply_way4(skb, dst->ifindex, daddr, saddr);
    pw_path4_addrs(e, saddr, daddr);
    return 0;
}

static __noinline int pw_resolve_wire6(struct __sk_buff *skb, struct pw_path6 *e)
{
    struct ipv6hdr *ip = pw_data(skb) + PW_ETH;
    if ((void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    struct pw_ep *dst = pw_ep_by_ip6(&ip->daddr);
    if (!dst)
        return PW_NOT_OURS;

    e->stamp = 0;
    pw_path_local(&e->path, NULL, dst);
    __builtin_memcpy(e->addrs, &ip->saddr, 32);
    if (!pw_native6(&ip->saddr))
        e->path.reason = PW_OUTSIDE;
    else if (!(pw_conf.flags & PW_CONF_WIRE))
        e->path.reason = PW_POLICY_ROUTING;
    else if (pw_ep_by_ip6(&ip->saddr))
        e->path.reason = PW_SOURCE_LOCAL;
    else
        e->path.reason = pw_reply_way6(skb, dst->ifindex, &ip->daddr, &ip->saddr);
    return 0;
}

#endif
