// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a privileged pod can do to go round the program that checks what it sends: turn a packet
// back into its own device and from there hand it to the peer, past the peer's hook; or send it
// from there by XDP, past queues and hooks at its own egress.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u16 port;
__u64 turned, handed;

static int is_ours(struct __sk_buff *skb)
{
    __u8 version = 0;
    __be16 dport = 0;

    if (bpf_skb_load_bytes(skb, ETH_HLEN, &version, 1) < 0)
        return 0;
    bpf_skb_load_bytes(skb, ETH_HLEN + (version >> 4 == 6 ? 40 : 20) + 2, &dport, 2);
    return dport == bpf_htons(port);
}

SEC("tcx/egress")
int pw_round_out(struct __sk_buff *skb)
{
    if (!is_ours(skb))
        return -1;
    __sync_fetch_and_add(&turned, 1);
    return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

SEC("tcx/ingress")
int pw_round_in(struct __sk_buff *skb)
{
    if (!is_ours(skb))
        return -1;
    __sync_fetch_and_add(&handed, 1);
    bpf_skb_change_type(skb, PACKET_HOST);
    return bpf_redirect_peer(skb->ifindex, 0);
}

SEC("xdp")
int pw_round_xdp(struct xdp_md *ctx)
{
    __u8 version = 0;
    __be16 dport = 0;

    bpf_xdp_load_bytes(ctx, ETH_HLEN, &version, 1);
    bpf_xdp_load_bytes(ctx, ETH_HLEN + (version >> 4 == 6 ? 40 : 20) + 2, &dport, 2);
    if (dport != bpf_htons(port))
        return XDP_PASS;
    __sync_fetch_and_add(&handed, 1);
    return XDP_TX;
}
