/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The conntrack question: has the host translated this flow? Asked of the packet's tuple and of its
 * reverse, since a client port that was used through a Service first and directly afterwards is
 * found by one of them only. A node that translates nothing is spared it.
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

/* The priority that NAT has among the hooks of a namespace, whichever chains use it (linux
 * netfilter_ipv4.h, NF_IP_PRI_NAT_DST; the same for IPv6). */
#define PW_PRI_NAT (-100)
#define PW_PRE_ROUTING 0 /* NF_INET_PRE_ROUTING */
#define PW_NAT_HOOKS 16  /* as many are looked at */

/*
 * Whether the device's namespace translates at all. The kernel's NAT takes part only where the
 * first NAT chain of a family has put it among the hooks (nf_nat_register_fn), and leaves with the
 * last; without it no packet is translated, whatever entries there are. It is read for each packet:
 * the hook is there before the first packet that it translates. True when it cannot be told.
 *
 * The hooks are followed by pointers to what was registered, in the same order.
 */
static __always_inline bool pw_nat_here(struct __sk_buff *skb, bool v6)
{
    if (!bpf_core_type_exists(struct nf_hook_ops))
        return false; /* a kernel without netfilter */

    struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
    struct net *net = kernel->dev->nd_net.net;
    struct nf_hook_entries *e =
        v6 ? net->nf.hooks_ipv6[PW_PRE_ROUTING] : net->nf.hooks_ipv4[PW_PRE_ROUTING];
    if (!e)
        return false;
    __u32 n = e->num_hook_entries;
    if (n > PW_NAT_HOOKS)
        return true;
    void *ops = (void *)e + bpf_core_field_offset(struct nf_hook_entries, hooks) +
                n * bpf_core_type_size(struct nf_hook_entry);
    for (__u32 i = 0; i < PW_NAT_HOOKS && i < n; i++, ops += sizeof(void *)) {
        struct nf_hook_entry *at = bpf_core_cast(ops, struct nf_hook_entry);
        struct nf_hook_ops *op = bpf_core_cast(at->hook, struct nf_hook_ops);
        if (op->priority == PW_PRI_NAT)
            return true;
    }
    return false;
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

static __noinline int pw_ct_look4(struct __sk_buff *skb, __be32 saddr, __be32 daddr, __be32 ports,
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

static __noinline int pw_ct_look6(struct __sk_buff *skb, const struct in6_addr *addrs, __be32 ports,
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

/* The question. `proto` is IPPROTO_TCP or IPPROTO_UDP; `ports` as in union pw_meta. */
static __always_inline int pw_ct_ask4(struct __sk_buff *skb, __be32 saddr, __be32 daddr,
                                      __be32 ports, __u8 proto)
{
    return pw_nat_here(skb, false) ? pw_ct_look4(skb, saddr, daddr, ports, proto) : 0;
}

/* `addrs` is source and destination, one after the other, in the packet or on the stack. */
static __always_inline int pw_ct_ask6(struct __sk_buff *skb, const struct in6_addr *addrs,
                                      __be32 ports, __u8 proto)
{
    return pw_nat_here(skb, true) ? pw_ct_look6(skb, addrs, ports, proto) : 0;
}

/*
 * "Not translated" is remembered per CPU for two jiffies at most, where what would make it wrong is
 * seen before.
 *
 * TCP: an entry with translation that has this flow's tuple comes into being with a SYN, and the
 * first packet of it that we see is that SYN or the answer to it. So packets with SYN are always
 * asked about, and one that is found to be translated voids what all CPUs remember (pw_ct_epoch).
 * The epoch is pinned with the memory that it voids, so that it does not start anew in an upgrade.
 *
 * UDP has no such sign. But who may be an end of a redirected flow sends through a program of ours,
 * and a packet of his that comes to be translated has been left to the stack by it, unmarked. That
 * leaves the time behind, by his address and port (pw_ct_left); of a flow with an end that has done
 * so lately each packet is asked about.
 */
__u32 pw_ct_epoch SEC(".data.pw_ct_epoch");

#define PW_LEFT_SHIFT 12
#define PW_LEFT_TICKS 4 /* of two jiffies: longer than a packet takes to its entry */

/* When UDP was left to the stack; entry by pw_ct_end. Stores and loads of whole words, unlocked. */
__u32 pw_ct_left[1 << PW_LEFT_SHIFT] SEC(".data.pw_ct_left") = {};

#define PW_FLOWS_SHIFT 10
#define PW_TCP_SYN 0x02

struct pw_flow4 {
    __u64 addrs;
    __be32 ports;
    __u32 stamp;
};

struct pw_flow6 {
    __u64 addrs[4];
    __be32 ports;
    __u32 stamp;
};

/* TCP's, and after them UDP's. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2 << PW_FLOWS_SHIFT);
    __type(key, __u32);
    __type(value, struct pw_flow4);
} pw_flows4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2 << PW_FLOWS_SHIFT);
    __type(key, __u32);
    __type(value, struct pw_flow6);
} pw_flows6 SEC(".maps");

static __always_inline __u32 pw_flow_index(__u64 addrs, __be32 ports)
{
    return (addrs + ports * 0x5bd1e995ULL) * 0x9e3779b97f4a7c15ULL >> (64 - PW_FLOWS_SHIFT);
}

/* One end of a UDP flow, for pw_ct_left. */
static __always_inline __u32 pw_ct_end(__u64 addr, __u16 port)
{
    return (addr + port * 0x5bd1e995ULL) * 0x9e3779b97f4a7c15ULL >> (64 - PW_LEFT_SHIFT);
}

static __always_inline __u64 pw_addr6_word(const struct in6_addr *addr)
{
    return PW_AT(const __u64, addr) + 3 * PW_AT(const __u64, addr->s6_addr + 8);
}

static __always_inline __u32 pw_ct_tick(void)
{
    return bpf_jiffies64() >> 1;
}

/* UDP from this end is left to the stack, unmarked. */
static __always_inline void pw_ct_leaves(__u32 end)
{
    __u32 now = pw_ct_tick();
    /* Once in a tick, so that processors do not take the line from each other for each packet. */
    if ((pw_conf.flags & PW_CONF_ASK_CT) && pw_ct_left[end] != now)
        pw_ct_left[end] = now;
}

static __always_inline bool pw_ct_left_lately(__u32 one, __u32 other)
{
    __u32 now = pw_ct_tick();
    return now - pw_ct_left[one] <= PW_LEFT_TICKS || now - pw_ct_left[other] <= PW_LEFT_TICKS;
}

static __always_inline void pw_ct_seen(int reason, __u8 tcp_flags)
{
    if (reason == PW_TRANSLATED && (tcp_flags & PW_TCP_SYN))
        __sync_fetch_and_add(&pw_ct_epoch, 1);
}

/*
 * In which the protocols differ, for a flow between the two ends: makes `i` and `stamp` the entry
 * and stamp of this protocol's; whether to ask, whatever is remembered. `flags` are TCP's.
 */
static __always_inline bool pw_ct_must_ask(__u8 proto, __u8 flags, __u32 one, __u32 other, __u32 *i,
                                           __u32 *stamp)
{
    if (proto == IPPROTO_TCP) {
        *stamp += pw_ct_epoch;
        return flags & PW_TCP_SYN;
    }
    *i += 1 << PW_FLOWS_SHIFT;
    return pw_ct_left_lately(one, other);
}

/* pw_ct_ask4 for TCP or UDP (which has `flags` of 0); `slice` as in pw_path_slice. */
static __always_inline int pw_ct_flow4(struct __sk_buff *skb, __u64 addrs, __be32 ports, __u8 proto,
                                       __u8 flags, __u32 slice)
{
    __u32 stamp = slice, i = pw_flow_index(addrs, ports);
    bool ask = pw_ct_must_ask(proto, flags, pw_ct_end((__u32)addrs, ports),
                              pw_ct_end(addrs >> 32, ports >> 16), &i, &stamp);
    struct pw_flow4 *f = bpf_map_lookup_elem(&pw_flows4, &i);
    if (f && f->addrs == addrs && f->ports == ports && f->stamp == stamp && !ask)
        return 0;
    int reason = pw_ct_ask4(skb, (__be32)addrs, addrs >> 32, ports, proto);
    if (f && !reason) {
        f->addrs = addrs;
        f->ports = ports;
        f->stamp = stamp;
    }
    pw_ct_seen(reason, flags);
    return reason;
}

static __always_inline int pw_ct_flow6(struct __sk_buff *skb, const struct in6_addr *addrs,
                                       __be32 ports, __u8 proto, __u8 flags, __u32 slice)
{
    const __u64 *a = (const void *)addrs;
    __u32 stamp = slice, i = pw_flow_index((a[0] ^ a[1]) + 3 * (a[2] ^ a[3]), ports);
    bool ask = pw_ct_must_ask(proto, flags, pw_ct_end(pw_addr6_word(&addrs[0]), ports),
                              pw_ct_end(pw_addr6_word(&addrs[1]), ports >> 16), &i, &stamp);
    struct pw_flow6 *f = bpf_map_lookup_elem(&pw_flows6, &i);
    if (f && f->addrs[1] == a[1] && f->addrs[3] == a[3] && f->addrs[0] == a[0] &&
        f->addrs[2] == a[2] && f->ports == ports && f->stamp == stamp && !ask)
        return 0;
    int reason = pw_ct_ask6(skb, addrs, ports, proto);
    if (f && !reason) {
        f->addrs[0] = a[0];
        f->addrs[1] = a[1];
        f->addrs[2] = a[2];
        f->addrs[3] = a[3];
        f->ports = ports;
        f->stamp = stamp;
    }
    pw_ct_seen(reason, flags);
    return reason;
}

#endif
