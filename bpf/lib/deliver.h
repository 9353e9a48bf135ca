/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Carry out a verdict: the only place where a packet is rewritten and sent on its way. */
#ifndef PW_BPF_DELIVER_H
#define PW_BPF_DELIVER_H

#include "bpf/lib/decide.h"
#include "bpf/lib/metrics.h"

/* Verdicts of tcx and netkit (NETKIT_NEXT, NETKIT_DROP) have the same numbers. */
#define PW_NEXT TCX_NEXT
#define PW_DROP TCX_DROP

/* Whether a frame that arrives at a netkit device's host end carries the pass. */
static __always_inline bool pw_passes(const struct __sk_buff *skb)
{
    __u64 pass = pw_pass;
    void *data = pw_data(skb);
    return pass && data + PW_ETH <= pw_data_end(skb) &&
           PW_AT(const __u64, data + PW_PASS_AT) == pass;
}

/* Hand it on into the pod. Its MACs, which nobody there is to see, become those of the device. */
static __always_inline int pw_hand_on(struct __sk_buff *skb)
{
    void *data = pw_data(skb);
    if (data + PW_ETH > pw_data_end(skb))
        return PW_DROP;
    PW_AT(__u64, data) = 0;
    PW_AT(__u32, data + 8) = 0;
    return bpf_redirect_peer(skb->ifindex, 0);
}

/*
 * TTL, protocol and checksum of an IPv4 header as one word, as it lies there, with a TTL one lower:
 * one taken from the TTL and added to the word of the sum in which it counts (RFC 1141). What is
 * carried out of the sum comes in again below.
 */
static __always_inline __u32 pw_hop4(__u32 word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    __u64 sum = (__u64)word - 1 + 0x10000;
    if (unlikely(sum >= 0xffff0000)) {
        sum += 0x10000;
        barrier_var(sum); /* a branch that is not taken costs less than none */
    }
    return sum;
#else
    __u32 sum = (word & 0xffff) + 0x100;
    return (word & 0xffff0000) - 0x1000000 + ((sum + (sum >= 0xffff)) & 0xffff);
#endif
}

/* One hop further: TTL and MACs. `data` is valid for both headers. */
static __always_inline void pw_rewrite4(void *data, const struct pw_path *p)
{
    void *ttl = data + PW_ETH + offsetof(struct iphdr, ttl);

    PW_AT(__u32, ttl) = pw_hop4(PW_AT(__u32, ttl));
    PW_AT(__u64, data) = PW_AT(const __u64, p->macs);
    PW_AT(__u32, data + 8) = PW_AT(const __u32, p->macs + 8);
}

static __always_inline void pw_rewrite6(struct __sk_buff *skb, void *data, const struct pw_path *p,
                                        enum pw_hook hook)
{
    struct ipv6hdr *ip = data + PW_ETH;

    ip->hop_limit--;
    PW_AT(__u64, data) = PW_AT(const __u64, p->macs);
    PW_AT(__u32, data + 8) = PW_AT(const __u32, p->macs + 8);
    /* A device that gave us the sum of the whole packet gave it with the old hop limit. IPv4 needs
     * no such thing (its header sums up to the same), nor does what a pod sends by netkit. */
    if (hook != PW_HOOK_NETKIT)
        bpf_csum_update(skb, ~(__u32)bpf_htons(1));
}

/* Count and send a packet of `len` bytes that has been rewritten. */
static __always_inline int pw_send(struct __sk_buff *skb, enum pw_hook hook, struct pw_path *p,
                                   __u32 len)
{
    __u8 kind = p->kind;

    /* Marks do not cross into another namespace by the stack, and so not by us. */
    if (unlikely(skb->mark))
        skb->mark = 0;
    if (hook != PW_HOOK_UPLINK)
        pw_count_from(p, len);
    if (hook == PW_HOOK_NETKIT) { /* the usual first; the compiler would sort by number */
        if (likely(kind == PW_PATH_WIRE))
            return bpf_redirect(p->ifindex, 0);
        barrier_var(kind);
    }
    if (likely(kind == PW_PATH_LOCAL)) {
        pw_count_to(p, len);
        return hook == PW_HOOK_NETKIT ? bpf_redirect(p->ifindex, 0)
                                      : bpf_redirect_peer(p->ifindex, 0);
    }
    if (likely(kind == PW_PATH_WIRE))
        return bpf_redirect(p->ifindex, 0);
    if (kind == PW_PATH_PASS && hook != PW_HOOK_UPLINK) {
        pw_count_to(p, len);
        return bpf_redirect(p->ifindex, BPF_F_INGRESS);
    }
    if (kind == PW_PATH_TAP) {
        pw_count_to(p, len);
        return bpf_redirect(p->ifindex, 0);
    }
    if (kind == PW_PATH_TUNNEL)
        return pw_tunnel_send(skb, p);
    if (kind == PW_PATH_FRESH)
        p->kind = PW_PATH_WIRE;
    return bpf_redirect_neigh(p->ifindex, &p->hop, sizeof(p->hop), 0);
}

/* What pw_slow and pw_leave need to know of the program that calls them, in one argument. */
#define PW_CALL(hook, quiet) ((hook) | (quiet) << 8)
#define PW_CALL_HOOK(call) ((call) & 0xff)
#define PW_CALL_QUIET(call) ((call) >> 8)

/* Not redirected: count (a quiet program: only drops), set or clear our mark. */
static __noinline int pw_leave(struct __sk_buff *skb, __u32 slot, __u32 reason, bool marked,
                               __u32 call)
{
    __u32 dir = PW_CALL_HOOK(call) == PW_HOOK_UPLINK ? PW_TO_POD : PW_FROM_POD;

    if (slot == PW_SLOT_NONE && dir == PW_FROM_POD) {
        struct pw_ep *ep = pw_ep_by_ifindex(skb->ifindex);
        if (ep)
            slot = ep->slot;
    }
    if (!PW_CALL_QUIET(call) || pw_is_drop(reason))
        pw_count_reason(skb, slot, reason, dir);
    if (pw_is_drop(reason))
        return PW_DROP;

    /* A pod has no say in the mark (its own programs can forge one by bpf_redirect_peer); programs
     * before us on an uplink have. */
    __u32 mark = dir == PW_FROM_POD ? 0 : skb->mark & ~pw_conf.mark;
    if (marked)
        mark |= pw_conf.mark;
    if (skb->mark != mark)
        skb->mark = mark;
    return PW_NEXT;
}

/* Any packet, from the beginning. */
static __noinline int pw_slow(struct __sk_buff *skb, __u32 call)
{
    enum pw_hook hook = PW_CALL_HOOK(call);
    struct pw_verdict v = {};

    pw_decide(skb, hook, &v);
    if (v.reason == PW_NOT_OURS)
        return PW_NEXT;
    if (v.reason == PW_ANSWERED)
        return bpf_redirect(skb->ifindex, 0);
    if (pw_is_reply(v.reason)) {
        pw_leave(skb, PW_SLOT_NONE, v.reason, false, call);
        return bpf_redirect(skb->ifindex, 0);
    }

    struct pw_path *p = v.path;
    if (v.reason) {
        __u32 slot = PW_SLOT_NONE;
        if (p)
            slot = hook == PW_HOOK_UPLINK ? p->slot_to : p->slot_from;
        return pw_leave(skb, slot, v.reason, v.marked, call);
    }
    /* The one place where pointers are derived anew after what may have moved the data. */
    void *data = pw_data(skb), *end = pw_data_end(skb);
    if (!p || data + PW_L4_V4 > end)
        return PW_DROP;
    if (v.family == bpf_htons(ETH_P_IP)) {
        pw_rewrite4(data, p);
    } else {
        if (data + PW_L4_V6 > end)
            return PW_DROP;
        pw_rewrite6(skb, data, p, hook);
    }
    return pw_send(skb, hook, p, skb->len);
}

/* Tell the decision instead of carrying it out. */
static __always_inline int pw_explain(struct __sk_buff *skb, enum pw_hook hook)
{
    struct pw_ep *ep = pw_ep_by_ifindex(skb->ifindex);
    bool netkit = ep && (ep->device == PW_DEV_NETKIT || ep->device == PW_DEV_NETKIT_L2);
    struct pw_verdict v = {};
    __u32 via = PW_VIA_STACK, ifindex = 0;

    pw_decide(skb, hook, &v);
    if (v.reason == PW_ANSWERED) {
        via = PW_VIA_REPLY;
        ifindex = skb->ifindex;
        v.reason = 0;
    } else if (pw_is_reply(v.reason)) {
        via = PW_VIA_REPLY;
        ifindex = skb->ifindex;
    } else if (v.reason == PW_NOT_OURS) {
        v.reason = 0;
    } else if (v.reason) {
        via = pw_is_drop(v.reason) ? PW_VIA_DROP : PW_VIA_STACK;
    } else if (v.path) {
        __u8 kind = v.path->kind;
        ifindex = v.path->ifindex;
        if (kind == PW_PATH_NEIGH)
            via = PW_VIA_NEIGH;
        else if (kind == PW_PATH_TUNNEL)
            via = PW_VIA_TUNNEL;
        else if (kind == PW_PATH_PASS)
            via = PW_VIA_PASS;
        else
            via = kind == PW_PATH_LOCAL && !netkit ? PW_VIA_PEER : PW_VIA_REDIRECT;
    }
    skb->cb[PW_CB_VIA] = via;
    skb->cb[PW_CB_REASON] = v.reason;
    skb->cb[PW_CB_IFINDEX] = ifindex;
    skb->cb[PW_CB_MARKED] = via == PW_VIA_STACK && v.marked;
    return PW_NEXT;
}

#endif
