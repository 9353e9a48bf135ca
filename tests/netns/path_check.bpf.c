// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Counts the datagrams of one test flow where they pass: at a tcx hook, or in a queue on their way
// into a namespace. Loaded once for each place.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u16 port; /* destination port of the flow */
__u64 seen;
__u64 big; /* packets of any flow that only BIG TCP makes so large */

struct headers {
    union {
        struct iphdr v4; /* without options; the ports follow */
        struct ipv6hdr v6;
    };
    __be16 ports6[2];
};

static __be16 dport(const struct headers *h)
{
    if (h->v4.version == 4 && h->v4.protocol == IPPROTO_UDP)
        return ((const __be16 *)&h->v4)[11];
    if (h->v6.version == 6 && h->v6.nexthdr == IPPROTO_UDP)
        return h->ports6[1];
    return 0;
}

SEC("tcx/ingress")
int pw_check_hook(struct __sk_buff *skb)
{
    struct headers h = {};

    if (skb->len > 66000)
        __sync_fetch_and_add(&big, 1);
    if (bpf_skb_load_bytes(skb, ETH_HLEN, &h, sizeof(h)) == 0 && dport(&h) == bpf_htons(port))
        __sync_fetch_and_add(&seen, 1);
    return -1; /* TCX_NEXT */
}

struct sk_buff {
    unsigned char *data;
} __attribute__((preserve_access_index));

SEC("tp_btf/netif_rx")
int pw_check_queue(__u64 *ctx)
{
    struct sk_buff *skb = (struct sk_buff *)ctx[0];
    struct headers h = {};

    if (bpf_probe_read_kernel(&h, sizeof(h), skb->data) == 0 && dport(&h) == bpf_htons(port))
        __sync_fetch_and_add(&seen, 1);
    return 0;
}
