/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The conntrack question: has the host translated this flow? Asked of the packet's tuple and of its
 * reverse, since a client port that was used through a Service first and directly afterwards is
 * found by one of them only.
 */
#ifndef PW_BPF_CT_H
#define PW_BPF_CT_H

#include "bpf/lib/maps.h"

struct nf_conn {
    unsigned long status;
} __attribute__((preserve_access_index));

/* The kernel's struct has grown since, but takes the size of its first form everywhere; with the
 * larger size older kernels fail, which would read as "no entry". */
struct bpf_ct_opts___pw {
    __s32 netns_id;
    __s32 error;
    __u8 l4proto;
    __u8 dir;
    __u8 reserved[2];
};
_Static_assert(sizeof(struct bpf_ct_opts___pw) == 12, "size that every kernel takes");

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
                                  __u32 tuple__sz, struct bpf_ct_opts___pw *opts,
                                  __u32 opts__sz) __weak __ksym;
void bpf_ct_release(struct nf_conn *ct) __weak __ksym;

/* IPS_SRC_NAT and IPS_DST_NAT; the *_DONE bits are set on entries without translation too. */
#define PW_CT_NAT 0x30

enum pw_ct_answer {
    PW_CT_NONE,  /* no entry */
    PW_CT_PLAIN, /* an entry without translation */
    PW_CT_TRANSLATED,
    PW_CT_ERROR,
};

static __always_inline enum pw_ct_answer
pw_ct_one(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size, __u8 proto)
{
    struct bpf_ct_opts___pw opts = {.netns_id = -1 /* the device's */, .l4proto = proto};
    struct nf_conn *ct = bpf_skb_ct_lookup(skb, tuple, size, &opts, sizeof(opts));

    if (!ct)
        return opts.error == -PW_ENOENT ? PW_CT_NONE : PW_CT_ERROR;
    unsigned long status = ct->status;
    bpf_ct_release(ct);
    return status & PW_CT_NAT ? PW_CT_TRANSLATED : PW_CT_PLAIN;
}

/* What the answers mean: 0 when the flow is not translated, else why the stack must see it. An
 * untranslated entry owns both tuples, so the second need not be asked for. */
#define PW_CT_JUDGE(answer)                                                                        \
    do {                                                                                           \
        enum pw_ct_answer pw_answer_ = (answer);                                                   \
        if (pw_answer_ == PW_CT_PLAIN)                                                             \
            return 0;                                                                              \
        if (pw_answer_ == PW_CT_TRANSLATED)                                                        \
            return PW_TRANSLATED;                                                                  \
        if (pw_answer_ == PW_CT_ERROR)                                                             \
            return PW_CT_UNKNOWN;                                                                  \
    } while (0)

/* `proto` is IPPROTO_TCP or IPPROTO_UDP; `ports` as in union pw_meta. */
static __noinline int pw_ct_ask4(struct __sk_buff *skb, __be32 saddr, __be32 daddr, __be32 ports,
                                 __u8 proto)
{
    if (!bpf_ksym_exists(bpf_skb_ct_lookup) || !bpf_ksym_exists(bpf_ct_release))
        return PW_CT_UNAVAILABLE;

    struct bpf_sock_tuple t;
    t.ipv4.saddr = saddr;
    t.ipv4.daddr = daddr;
    __builtin_memcpy(&t.ipv4.sport, &ports, 4);
    PW_CT_JUDGE(pw_ct_one(skb, &t, sizeof(t.ipv4), proto));

    t.ipv4.saddr = daddr;
    t.ipv4.daddr = saddr;
    ports = ports << 16 | ports >> 16;
    __builtin_memcpy(&t.ipv4.sport, &ports, 4);
    PW_CT_JUDGE(pw_ct_one(skb, &t, sizeof(t.ipv4), proto));
    return 0;
}

/* `addrs` is source and destination, one after the other, in the packet or on the stack. */
static __noinline int pw_ct_ask6(struct __sk_buff *skb, const struct in6_addr *addrs, __be32 ports,
                                 __u8 proto)
{
    if (!bpf_ksym_exists(bpf_skb_ct_lookup) || !bpf_ksym_exists(bpf_ct_release))
        return PW_CT_UNAVAILABLE;

    struct bpf_sock_tuple t;
    __builtin_memcpy(t.ipv6.saddr, &addrs[0], 16);
    __builtin_memcpy(t.ipv6.daddr, &addrs[1], 16);
    __builtin_memcpy(&t.ipv6.sport, &ports, 4);
    PW_CT_JUDGE(pw_ct_one(skb, &t, sizeof(t.ipv6), proto));

    __builtin_memcpy(t.ipv6.saddr, &addrs[1], 16);
    __builtin_memcpy(t.ipv6.daddr, &addrs[0], 16);
    ports = ports << 16 | ports >> 16;
    __builtin_memcpy(&t.ipv6.sport, &ports, 4);
    PW_CT_JUDGE(pw_ct_one(skb, &t, sizeof(t.ipv6), proto));
    return 0;
}

#endif
