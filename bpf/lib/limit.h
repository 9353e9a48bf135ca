/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bandwidth limits, by programs of their own that only limited endpoints have: whatever way a
 * packet goes, it passes them, and an unlimited endpoint pays nothing.
 *
 * What a pod sends is given its departure time. Where the uplink has the qdisc fq, that holds it
 * back until then, and a sender in the pod slows down; elsewhere the time has no effect, and the
 * limit is held by dropping what is further ahead than the burst allows. Both are the same account.
 */
#ifndef PW_BPF_LIMIT_H
#define PW_BPF_LIMIT_H

#include "bpf/lib/metrics.h"

#define PW_NSEC 1000000000ULL

/* Bytes that a packet will be on a wire: the segments of a large one have headers each. */
static __always_inline __u64 pw_wire_bytes(const struct __sk_buff *skb)
{
    __u32 segments = skb->gso_segs;

    return skb->len + (segments > 1 ? (segments - 1) * (skb->protocol == bpf_htons(ETH_P_IP)
                                                            ? PW_ETH + 20 + 20
                                                            : PW_ETH + 40 + 20)
                                    : 0);
}

static __always_inline int pw_limit_pass(struct __sk_buff *skb, __u32 dir)
{
    struct pw_limit_key key = {skb->ifindex, dir};
    struct pw_limit *l = bpf_map_lookup_elem(&pw_limits, &key);

    if (!l)
        return TCX_NEXT;
    __u64 now = bpf_ktime_get_ns(), next = l->next;
    if (next < now) { /* idle: the time that was not used is gone */
        __u64 seen = __sync_val_compare_and_swap(&l->next, next, now);
        next = seen == next ? now : seen;
    }
    if (next > now + l->depth) {
        pw_count_reason(skb, l->slot, PW_BANDWIDTH, dir);
        return TCX_DROP;
    }
    next = __sync_fetch_and_add(&l->next, pw_wire_bytes(skb) * PW_NSEC / l->rate);
    if (dir == PW_FROM_POD && next > now) {
        bpf_skb_set_tstamp(skb, next, BPF_SKB_TSTAMP_DELIVERY_MONO);
        __sync_fetch_and_add(&l->delayed, 1);
    }
    return TCX_NEXT;
}

#endif
