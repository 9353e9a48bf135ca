/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters and drop events. Bytes are those of the frame, as the devices count them. */
#ifndef PW_BPF_METRICS_H
#define PW_BPF_METRICS_H

#include "bpf/lib/path.h"

/* A slot that is none (PW_SLOT_NONE) is beyond the array: the lookup fails, nothing is counted. The
 * slot is taken from the path where it lies; a copy on the stack would cost two instructions. */
static __always_inline void pw_count_from(const struct pw_path *p, __u32 len)
{
    struct pw_counters *c = bpf_map_lookup_elem(&pw_counters, &p->slot_from);
    if (likely(c)) {
        c->from_pod.packets++;
        c->from_pod.bytes += len;
    }
}

static __always_inline void pw_count_to(const struct pw_path *p, __u32 len)
{
    struct pw_counters *c = bpf_map_lookup_elem(&pw_counters, &p->slot_to);
    if (c) {
        c->to_pod.packets++;
        c->to_pod.bytes += len;
    }
}

static __always_inline void pw_event(struct __sk_buff *skb, __u32 slot, __u32 reason, __u32 dir)
{
    struct pw_event *ev = bpf_ringbuf_reserve(&pw_events, sizeof(*ev), 0);
    if (!ev)
        return;
    ev->ktime = bpf_ktime_get_ns();
    ev->ifindex = skb->ifindex;
    ev->slot = slot;
    ev->reason = reason;
    ev->dir = dir;
    ev->len = skb->len;
    __builtin_memset(ev->pad, 0, sizeof(ev->pad));
    __builtin_memset(ev->head, 0, sizeof(ev->head));
    /* Both bounds on the one register, for the verifier of 6.12. */
    __u32 n = skb->len;
    if (n > PW_EVENT_BYTES)
        n = PW_EVENT_BYTES;
    barrier_var(n);
    if (n < sizeof(struct ethhdr))
        n = sizeof(struct ethhdr);
    barrier_var(n);
    ev->copied = bpf_skb_load_bytes(skb, 0, ev->head, n) ? 0 : n;
    bpf_ringbuf_submit(ev, 0);
}

/* Whether `reason` means that the packet is dropped: the numbers below 64. */
static __always_inline bool pw_is_drop(__u32 reason)
{
    return reason < 64;
}
/* Whether the packet is now an answer to be sent back: from 128 on. */
static __always_inline bool pw_is_reply(__u32 reason)
{
    return reason >= 128 && reason < 256;
}
#define PW_REASON_KIND_DROP(num) _Static_assert((num) < 64, "drop reasons are below 64");
#define PW_REASON_KIND_STACK(num)                                                                  \
    _Static_assert((num) >= 64 && (num) < 128, "stack reasons are from 64 to 127");
#define PW_REASON_KIND_REPLY(num)                                                                  \
    _Static_assert((num) >= 128 && (num) < 256, "reply reasons are from 128 to 255");
#define PW_REASON_KIND(num, name, kind, text) PW_REASON_KIND_##kind(num)
PW_REASONS(PW_REASON_KIND)

/* Count a packet that was not redirected; tell of it when it is dropped and someone follows. */
static __noinline int pw_count_reason(struct __sk_buff *skb, __u32 slot, __u32 reason, __u32 dir)
{
    struct pw_reason_key key = {.slot = slot, .reason = reason, .dir = dir};
    struct pw_count *c = bpf_map_lookup_elem(&pw_reasons, &key);
    if (!c) {
        struct pw_count zero = {};
        /* Another CPU may be first; what counts is that it is there afterwards. */
        bpf_map_update_elem(&pw_reasons, &key, &zero, BPF_NOEXIST);
        c = bpf_map_lookup_elem(&pw_reasons, &key);
    }
    if (c) {
        c->packets++;
        c->bytes += skb->len;
    }
    if (pw_is_drop(reason) && pw_conf.trace_until && bpf_ktime_get_ns() < pw_conf.trace_until)
        pw_event(skb, slot, reason, dir);
    return 0;
}

#endif
