/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ARP and neighbour discovery of layer 2 endpoints. The pod's only neighbour is the node, so every
 * address but its own is answered with the host end's MAC, and nothing of it reaches a wire.
 */
#ifndef PW_BPF_ARP_ND_H
#define PW_BPF_ARP_ND_H

#include "bpf/lib/endpoint.h"
#include "bpf/lib/parse.h"

/* Instead of a reason: the packet is now the answer, to be sent back. */
#define PW_ANSWERED 0x100

struct pw_arp {
    __be16 hrd, pro;
    __u8 hln, pln;
    __be16 op;
    __u8 sha[6];
    __u8 sip[4];
    __u8 tha[6];
    __u8 tip[4];
} __attribute__((packed));

static __always_inline void pw_answer_macs(struct ethhdr *eth, const struct pw_ep *ep)
{
    __builtin_memcpy(eth->h_dest, eth->h_source, 6);
    __builtin_memcpy(eth->h_source, ep->host_mac, 6);
}

/* An ARP packet from a pod: why it is dropped or passed, or PW_ANSWERED. Moves packet data. */
static __noinline int pw_arp_from_pod(struct __sk_buff *skb)
{
    struct pw_ep *ep = pw_ep_by_ifindex(skb->ifindex), *owner;
    if (!ep)
        return PW_NO_ENDPOINT;
    if (!(ep->flags & PW_EP_L2))
        return PW_ETHERTYPE;

    pw_linearise(skb);
    struct ethhdr *eth = pw_data(skb);
    struct pw_arp *arp = (void *)(eth + 1);
    if ((void *)(arp + 1) > pw_data_end(skb) || arp->hrd != bpf_htons(PW_ARPHRD_ETHER) ||
        arp->pro != bpf_htons(ETH_P_IP) || arp->hln != 6 || arp->pln != 4)
        return PW_MALFORMED;
    if (!pw_same_mac(eth->h_source, ep->mac))
        return PW_SPOOF_MAC;
    if (!pw_same_mac(arp->sha, ep->mac))
        return PW_SPOOF_ARP;

    __be32 sip, tip;
    __builtin_memcpy(&sip, arp->sip, 4);
    __builtin_memcpy(&tip, arp->tip, 4);
    if (sip == 0)
        return PW_ARP_PROBE;
    owner = pw_ep_by_ip4(sip);
    if (!owner || owner->ifindex != ep->ifindex)
        return PW_SPOOF_ARP;
    if (sip == tip)
        return PW_ARP_PROBE; /* announcement */
    if (arp->op == bpf_htons(PW_ARPOP_REPLY))
        return PW_NEIGHBOUR;
    if (arp->op != bpf_htons(PW_ARPOP_REQUEST))
        return PW_MALFORMED;
    owner = pw_ep_by_ip4(tip);
    if (owner && owner->ifindex == ep->ifindex)
        return PW_ARP_PROBE; /* another of its own */

    pw_answer_macs(eth, ep);
    arp->op = bpf_htons(PW_ARPOP_REPLY);
    __builtin_memcpy(arp->tha, arp->sha, 6);
    __builtin_memcpy(arp->tip, &sip, 4);
    __builtin_memcpy(arp->sha, ep->host_mac, 6);
    __builtin_memcpy(arp->sip, &tip, 4);
    return PW_ANSWERED;
}

#define PW_OPT_SOURCE_MAC 1
#define PW_OPT_TARGET_MAC 2

/* Neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4) with its first option, when that
 * is a link-layer address. */
struct pw_nd {
    __u8 type, code;
    __sum16 sum;
    __u8 flags[4];
    struct in6_addr target;
    __u8 opt_type, opt_len, opt_mac[6];
};
_Static_assert(sizeof(struct pw_nd) == 32, "no padding");
#define PW_ND_BARE 24 /* without option */

static __always_inline __u16 pw_fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~((sum & 0xffff) + (sum >> 16));
}

/*
 * A neighbour solicitation or advertisement from a pod, `own` the address it came from when that is
 * one of the endpoint's (not link-local). As pw_arp_from_pod; the headers are linear.
 */
static __always_inline int pw_nd_from_pod(struct __sk_buff *skb, const struct pw_ep *ep, __u8 type)
{
    struct ethhdr *eth = pw_data(skb);
    struct ipv6hdr *ip = (void *)(eth + 1);
    struct pw_nd *nd = (void *)(ip + 1);
    void *end = pw_data_end(skb);
    struct pw_ep *owner;
    __u32 len;

    if ((void *)nd + PW_ND_BARE > end)
        return PW_MALFORMED;
    len = bpf_ntohs(ip->payload_len);
    if (ip->hop_limit != 255 || nd->code || len < PW_ND_BARE)
        return PW_MALFORMED;
    if (nd->target.s6_addr[0] == 0xff)
        return PW_MALFORMED;
    bool with_opt = len >= sizeof(*nd);
    if (!with_opt && len != PW_ND_BARE)
        return PW_MALFORMED;
    owner = pw_ep_by_ip6(&nd->target);
    bool own = owner && owner->ifindex == ep->ifindex;

    if (with_opt) {
        if ((void *)(nd + 1) > end || nd->opt_len == 0)
            return PW_MALFORMED;
        __u8 want = type == NDISC_NEIGHBOUR_SOLICITATION ? PW_OPT_SOURCE_MAC : PW_OPT_TARGET_MAC;
        if (nd->opt_type != want || nd->opt_len != 1) /* no option of ours: as if there were none */
            return type == NDISC_NEIGHBOUR_SOLICITATION ? PW_MALFORMED : PW_SPOOF_ND;
        if (!pw_same_mac(nd->opt_mac, ep->mac))
            return PW_SPOOF_ND;
    }
    if (type == NDISC_NEIGHBOUR_ADVERTISEMENT)
        return own ? PW_NEIGHBOUR : PW_SPOOF_ND;
    if (own)
        return PW_DAD;

    /* Further options (a nonce, say) are not repeated. */
    if (len > sizeof(*nd)) {
        if (bpf_skb_change_tail(skb, PW_L4_V6 + sizeof(*nd), 0))
            return PW_MALFORMED;
        len = sizeof(*nd);
    }
    eth = pw_data(skb);
    ip = (void *)(eth + 1);
    nd = (void *)(ip + 1);
    end = pw_data_end(skb);
    if ((void *)nd + PW_ND_BARE > end)
        return PW_MALFORMED;

    pw_answer_macs(eth, ep);
    __builtin_memcpy(&ip->daddr, &ip->saddr, 16);
    __builtin_memcpy(&ip->saddr, &nd->target, 16);
    ip->payload_len = bpf_htons(len);
    nd->type = NDISC_NEIGHBOUR_ADVERTISEMENT;
    nd->sum = 0;
    nd->flags[0] = 0xe0; /* router, solicited, override */
    __s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip->saddr, 32,
                              bpf_htonl(len) + bpf_htonl(IPPROTO_ICMPV6));
    if (with_opt) {
        if ((void *)(nd + 1) > end)
            return PW_MALFORMED;
        nd->opt_type = PW_OPT_TARGET_MAC;
        __builtin_memcpy(nd->opt_mac, ep->host_mac, 6);
        sum = bpf_csum_diff(NULL, 0, (__be32 *)nd, sizeof(*nd), sum);
    } else {
        sum = bpf_csum_diff(NULL, 0, (__be32 *)nd, PW_ND_BARE, sum);
    }
    nd->sum = pw_fold(sum);
    return PW_ANSWERED;
}

#endif
