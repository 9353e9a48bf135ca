/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The way to another host: FIB and neighbour. */
#ifndef PW_BPF_WIRE_H
#define PW_BPF_WIRE_H

#include "bpf/lib/endpoint.h"
#include "bpf/lib/tunnel.h"

static __always_inline void pw_fib_init4(struct bpf_fib_lookup *fib, __u32 ifindex, __be32 saddr,
                                         __be32 daddr)
{
    __builtin_memset(fib, 0, sizeof(*fib));
    fib->family = PW_AF_INET;
    fib->tot_len = 1; /* asks for the MTU; the packet's own length is compared later */
    fib->ifindex = ifindex;
    fib->ipv4_src = saddr;
    fib->ipv4_dst = daddr;
}

static __always_inline void pw_fib_init6(struct bpf_fib_lookup *fib, __u32 ifindex,
                                         const struct in6_addr *saddr, const struct in6_addr *daddr)
{
    __builtin_memset(fib, 0, sizeof(*fib));
    fib->family = PW_AF_INET6;
    fib->tot_len = 1;
    fib->ifindex = ifindex;
    __builtin_memcpy(fib->ipv6_src, saddr, 16);
    __builtin_memcpy(fib->ipv6_dst, daddr, 16);
}

/* Whether packets leave by one of our uplinks: 0, else why the stack has them. */
static __always_inline int pw_fib_judge(long rc, __u32 ifindex)
{
    if (rc == BPF_FIB_LKUP_RET_NOT_FWDED)
        return PW_TO_HOST;
    if (rc != BPF_FIB_LKUP_RET_SUCCESS && rc != BPF_FIB_LKUP_RET_NO_NEIGH)
        return PW_NO_ROUTE;
    return pw_is_uplink(ifindex) ? 0 : PW_NOT_UPLINK;
}

/* As long as the neighbour is unknown the kernel does not say the MTU either: what every link takes
 * goes by redirect, the rest by the stack. */
#define PW_SAFE_MTU4 576
#define PW_SAFE_MTU6 1280

/* Look up the way that `fib` describes and note it in `p`; 0, or why the stack has it. */
static __always_inline int pw_wire(struct __sk_buff *skb, struct bpf_fib_lookup *fib,
                                   struct pw_path *p)
{
    __u32 safe_mtu = fib->family == PW_AF_INET ? PW_SAFE_MTU4 : PW_SAFE_MTU6;
    long rc = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
    int reason = pw_fib_judge(rc, fib->ifindex);

    if (reason)
        return reason;
    p->ifindex = fib->ifindex;
    p->hop.nh_family = fib->family;
    __builtin_memcpy(p->hop.ipv6_nh, fib->ipv6_dst, 16);
    if (rc == BPF_FIB_LKUP_RET_NO_NEIGH) {
        p->kind = PW_PATH_NEIGH;
        __builtin_memset(p->macs, 0, sizeof(p->macs));
        p->mtu = safe_mtu;
        return 0;
    }
    p->kind = PW_PATH_FRESH;
    p->mtu = fib->mtu_result;
    __builtin_memcpy(p->macs, fib->dmac, 6);
    __builtin_memcpy(p->macs + 6, fib->smac, 6);
    return 0;
}

/*
 * From the wire or the tunnel: whether the reply of the pod behind `host_end` leaves by one of our
 * uplinks or the tunnel. Only then may the packet take the fast path: conntrack must see both
 * directions or neither. Which of them it came by does not matter, so a node that goes over from
 * routes to the tunnel before another does loses nothing.
 */
static __always_inline int pw_reply_way4(struct __sk_buff *skb, __u32 host_end, __be32 pod,
                                         __be32 remote)
{
    struct bpf_fib_lookup fib;
    if (pw_tunnel_to4(remote))
        return 0;
    pw_fib_init4(&fib, host_end, pod, remote);
    long rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
    return pw_fib_judge(rc, fib.ifindex);
}

static __always_inline int pw_reply_way6(struct __sk_buff *skb, __u32 host_end,
                                         const struct in6_addr *pod, const struct in6_addr *remote)
{
    struct bpf_fib_lookup fib;
    if (pw_tunnel_to6(remote))
        return 0;
    pw_fib_init6(&fib, host_end, pod, remote);
    long rc = bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
    return pw_fib_judge(rc, fib.ifindex);
}

#endif
