/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other nodes by the tunnel: one device in collect-metadata mode, told with each packet to which
 * node. What arrives by it is checked against the same map: the outer source must be the node that
 * has the inner source's range, so no node can speak for another's pods.
 */
#ifndef PW_BPF_TUNNEL_H
#define PW_BPF_TUNNEL_H

#include "bpf/lib/path.h"

/* Who has the address; NULL: no other node. A trie, so only asked once per path and time slice. */
static __always_inline const struct pw_peer_node *pw_peer_of4(__be32 addr)
{
    struct pw_peer_key4 key = {32, addr};
    return bpf_map_lookup_elem(&pw_peers4, &key);
}

static __always_inline const struct pw_peer_node *pw_peer_of6(const struct in6_addr *addr)
{
    struct pw_peer_key6 key = {.prefix = 128};
    __builtin_memcpy(key.addr, addr, sizeof(key.addr));
    return bpf_map_lookup_elem(&pw_peers6, &key);
}

/* The node to which the tunnel carries packets to `addr`; NULL: they do not go by the tunnel. This
 * is what a flow's way depends on, in both directions, and on nothing else. */
static __always_inline const struct pw_peer_node *pw_tunnel_to4(__be32 addr)
{
    const struct pw_peer_node *peer = pw_tunnel.ifindex ? pw_peer_of4(addr) : NULL;
    return peer && (peer->flags & PW_PEER_TUNNEL) ? peer : NULL;
}

static __always_inline const struct pw_peer_node *pw_tunnel_to6(const struct in6_addr *addr)
{
    const struct pw_peer_node *peer = pw_tunnel.ifindex ? pw_peer_of6(addr) : NULL;
    return peer && (peer->flags & PW_PEER_TUNNEL) ? peer : NULL;
}

static __always_inline void pw_path_tunnel(struct pw_path *p, __u32 from,
                                           const struct pw_peer_node *peer)
{
    /* Receivers take frames for any MAC, but none from their own, nor from none. */
    static const __u8 macs[12] = {2, 0x70, 0x77, 0, 0, 2, 2, 0x70, 0x77, 0, 0, 2};

    __builtin_memcpy(p->macs, macs, sizeof(p->macs));
    p->ifindex = pw_tunnel.ifindex;
    p->mtu = pw_tunnel.mtu;
    p->slot_from = from;
    p->slot_to = PW_SLOT_NONE;
    p->reason = 0;
    p->kind = PW_PATH_TUNNEL;
    p->hop.nh_family = pw_tunnel.family == 4 ? PW_AF_INET : PW_AF_INET6;
    __builtin_memcpy(p->hop.ipv6_nh, peer->addr, sizeof(p->hop.ipv6_nh));
}

/* Send a packet that has been rewritten and counted on its way. */
static __noinline int pw_tunnel_send(struct __sk_buff *skb, const struct pw_path *p)
{
    struct bpf_tunnel_key key = {.tunnel_id = pw_tunnel.vni};
    __u64 flags = BPF_F_ZERO_CSUM_TX; /* the packet inside has one */

    if (p->hop.nh_family == PW_AF_INET) {
        key.remote_ipv4 = bpf_ntohl(p->hop.ipv4_nh);
        key.local_ipv4 = bpf_ntohl(pw_tunnel.local[0]);
    } else {
        /* By IPv6 receivers take none without (RFC 8200, 8.1). */
        flags = BPF_F_TUNINFO_IPV6;
        __builtin_memcpy(key.remote_ipv6, p->hop.ipv6_nh, sizeof(key.remote_ipv6));
        __builtin_memcpy(key.local_ipv6, pw_tunnel.local, sizeof(key.local_ipv6));
    }
    if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags) < 0)
        return TCX_DROP;
    return bpf_redirect(p->ifindex, 0);
}

/* Inner sources that were found right a moment ago. */
struct pw_source {
    __u64 inner[2];
    __u64 outer[2];
    __u64 stamp; /* pw_path_stamp, and the family */
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1 << PW_PATHS_SHIFT);
    __type(key, __u32);
    __type(value, struct pw_source);
} pw_sources SEC(".maps");

/* The outer source of a packet that came by the tunnel; false when it is none of our network. */
static __always_inline bool pw_outer_source(struct __sk_buff *skb, __be32 outer[4])
{
    struct bpf_tunnel_key key;
    bool four = pw_tunnel.family == 4;

    /* Fails where the outer header is of the other family. */
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), four ? 0 : BPF_F_TUNINFO_IPV6) < 0 ||
        key.tunnel_id != pw_tunnel.vni)
        return false;
    if (four)
        outer[0] = bpf_htonl(key.remote_ipv4);
    else
        __builtin_memcpy(outer, key.remote_ipv6, 16);
    return true;
}

/* Whether a packet from the tunnel is from the node whose address, or whose pod's, it has: 0, or
 * why it is dropped. */
static __noinline int pw_tunnel_source(struct __sk_buff *skb)
{
    __u64 inner[2] = {}, outer[2] = {};
    const struct pw_peer_node *peer = NULL;
    __be16 proto = skb->protocol;

    if (!pw_outer_source(skb, (void *)outer))
        return PW_SPOOF_NODE;
    if (proto == bpf_htons(ETH_P_IP)) {
        if (bpf_skb_load_bytes(skb, PW_ETH + offsetof(struct iphdr, saddr), inner, 4) < 0)
            return PW_MALFORMED;
    } else if (proto == bpf_htons(ETH_P_IPV6)) {
        if (bpf_skb_load_bytes(skb, PW_ETH + offsetof(struct ipv6hdr, saddr), inner, 16) < 0)
            return PW_MALFORMED;
    } else {
        return PW_ETHERTYPE;
    }

    /* An IPv4 address is none of IPv6, though it may have the same bytes. */
    __u64 stamp = pw_path_stamp(skb, false) ^ (proto == bpf_htons(ETH_P_IP) ? 1U << 31 : 0);
    __u32 i = pw_path_index(inner[0] + 3 * inner[1]);
    struct pw_source *s = bpf_map_lookup_elem(&pw_sources, &i);
    if (s && s->inner[0] == inner[0] && s->inner[1] == inner[1] && s->outer[0] == outer[0] &&
        s->outer[1] == outer[1] && s->stamp == stamp)
        return 0;
    peer = proto == bpf_htons(ETH_P_IP) ? pw_peer_of4((__be32)inner[0])
                                        : pw_peer_of6((const void *)inner);
    __u64 whose[2];
    if (!peer)
        return PW_SPOOF_NODE;
    __builtin_memcpy(whose, peer->addr, sizeof(whose));
    if (whose[0] != outer[0] || whose[1] != outer[1])
        return PW_SPOOF_NODE;
    if (s) {
        s->inner[0] = inner[0];
        s->inner[1] = inner[1];
        s->outer[0] = outer[0];
        s->outer[1] = outer[1];
        s->stamp = stamp;
    }
    return 0;
}

#endif
