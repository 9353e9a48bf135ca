/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Endpoints and ranges: who owns an address, and which addresses are native. */
#ifndef PW_BPF_ENDPOINT_H
#define PW_BPF_ENDPOINT_H

#include "bpf/lib/maps.h"

static __always_inline struct pw_ep *pw_ep_by_ip4(__be32 addr)
{
    return bpf_map_lookup_elem(&pw_ip4, &addr);
}

/* The key is read where the address lies (in the packet, mostly): the stack is short. */
static __always_inline struct pw_ep *pw_ep_by_ip6(const struct in6_addr *addr)
{
    return bpf_map_lookup_elem(&pw_ip6, addr);
}

static __always_inline struct pw_ep *pw_ep_by_ifindex(__u32 ifindex)
{
    return bpf_map_lookup_elem(&pw_endpoints, &ifindex);
}

static __always_inline bool pw_in_ranges4(const struct pw_range4 *r, __u32 n, __be32 addr)
{
    for (__u32 i = 0; i < PW_MAX_RANGES && i < n; i++)
        if ((addr & r[i].mask) == r[i].addr)
            return true;
    return false;
}

static __always_inline bool pw_in_ranges6(const struct pw_range6 *r, __u32 n, const __be32 *a)
{
    for (__u32 i = 0; i < PW_MAX_RANGES && i < n; i++)
        if ((a[0] & r[i].mask[0]) == r[i].addr[0] && (a[1] & r[i].mask[1]) == r[i].addr[1] &&
            (a[2] & r[i].mask[2]) == r[i].addr[2] && (a[3] & r[i].mask[3]) == r[i].addr[3])
            return true;
    return false;
}

/* Whether a flow between a pod and `addr` keeps both addresses. */
static __always_inline bool pw_native4(__be32 addr)
{
    return pw_in_ranges4(pw_conf.native4, pw_conf.n_native4, addr) &&
           !pw_in_ranges4(pw_conf.except4, pw_conf.n_except4, addr);
}

static __always_inline bool pw_native6(const struct in6_addr *addr)
{
    __be32 a[4];
    __builtin_memcpy(a, addr, sizeof(a));
    return pw_in_ranges6(pw_conf.native6, pw_conf.n_native6, a) &&
           !pw_in_ranges6(pw_conf.except6, pw_conf.n_except6, a);
}

static __always_inline bool pw_is_uplink(__u32 ifindex)
{
    for (__u32 i = 0; i < PW_MAX_UPLINKS && i < pw_conf.n_uplinks; i++)
        if (pw_conf.uplinks[i] == ifindex)
            return true;
    return false;
}

static __always_inline bool pw_same_mac(const void *a, const void *b)
{
    return PW_AT(const __u32, a) == PW_AT(const __u32, b) &&
           PW_AT(const __u16, a + 4) == PW_AT(const __u16, b + 4);
}

#endif
