/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers to guests that are longer than the question: built in a buffer beside the packet, which
 * then becomes the answer. Rare, so all of it is out of line, and in functions that are not static:
 * the verifier walks such a one once, not at each of its calls.
 */
#ifndef PW_BPF_ANSWER_H
#define PW_BPF_ANSWER_H

#include "bpf/lib/arp_nd.h"

#define PW_GATEWAY4 bpf_htonl(PW_GATEWAY4_HOST)
#define PW_FRAME_ASK 160
#define PW_FRAME_DATA 768 /* behind the Ethernet header; a multiple of 8 */

/*
 * One frame; what begins a word in it is aligned. Beside it is what was read of the question: on
 * the stack the verifier would follow each value that it can have through the loop over options.
 */
struct pw_frame {
    __u8 pad[2];
    struct ethhdr eth;
    __u8 data[PW_FRAME_DATA];
    __u64 ask[PW_FRAME_ASK / 8];
};

/* What the function that reads one option gets. */
struct pw_options {
    struct __sk_buff *skb;
    void *ask;
};

/* A CPU makes one at a time: programs at an ingress are not interrupted by another. No "pw_" in its
 * name: it is the object's own and is not pinned. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pw_frame);
} scratch SEC(".maps");

/* It is empty but for its Ethernet header, from the node to `ep`. NULL cannot be. */
static __always_inline struct pw_frame *pw_frame_start(const struct pw_ep *ep, __be16 proto)
{
    __u32 zero = 0;
    struct pw_frame *f = bpf_map_lookup_elem(&scratch, &zero);

    if (!f)
        return NULL;
    __builtin_memset(f->data, 0, sizeof(f->data));
    __builtin_memset(f->ask, 0, sizeof(f->ask));
    __builtin_memcpy(f->eth.h_dest, ep->mac, 6);
    __builtin_memcpy(f->eth.h_source, ep->host_mac, 6);
    f->eth.h_proto = proto;
    return f;
}

#define PW_CSUM_STEP 256 /* the kernel sums up to 512 bytes at a time */

/* Sum of all `n` bytes (a constant) from `from` on; what lies behind the message is zero and does
 * not count. */
#define PW_SUM(from, n, sum)                                                                       \
    ({                                                                                             \
        __s64 sum_ = (sum);                                                                        \
        for (__u32 i_ = 0; i_ < (n); i_ += PW_CSUM_STEP)                                           \
            sum_ = bpf_csum_diff(NULL, 0, (void *)(from) + i_,                                     \
                                 (n) - i_ < PW_CSUM_STEP ? (n) - i_ : PW_CSUM_STEP, (__u32)sum_);  \
        sum_;                                                                                      \
    })

#define PW_CHECKSUM_PARTIAL 3

/*
 * The checksum of an answer by UDP, from the sum of its pseudo header alone and that of all of it.
 * Where the guest left the sum of its question to the device (as sockets do), the device will add
 * the rest to that of the answer, which lies in the same place.
 */
static __always_inline __sum16 pw_answer_sum(struct __sk_buff *skb, __s64 pseudo, __s64 all)
{
    struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
    __u16 sum;

    if (BPF_CORE_READ_BITFIELD(kernel, ip_summed) == PW_CHECKSUM_PARTIAL)
        return ~pw_fold(pseudo);
    sum = pw_fold(all);
    return sum ? sum : 0xffff;
}

/* Whether min <= n <= max, compared one after the other on the one register, for the verifier. */
#define pw_bounded(n, min, max)                                                                    \
    ({                                                                                             \
        bool ok_ = false;                                                                          \
        if ((n) <= (max)) {                                                                        \
            barrier_var(n);                                                                        \
            if ((n) >= (min)) {                                                                    \
                barrier_var(n);                                                                    \
                ok_ = true;                                                                        \
            }                                                                                      \
        }                                                                                          \
        ok_;                                                                                       \
    })

/* The packet becomes the first `len` bytes of `f`, Ethernet header included; false: it cannot. */
static __always_inline bool pw_frame_finish(struct __sk_buff *skb, const struct pw_frame *f,
                                            __u32 len)
{
    return pw_bounded(len, PW_ETH, PW_ETH + PW_FRAME_DATA) &&
           bpf_skb_change_tail(skb, len, 0) == 0 &&
           bpf_skb_store_bytes(skb, 0, &f->eth, len, 0) == 0;
}

#endif
