/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The source check's second half: what to say of a packet from a pod that is not plain unicast from
 * an address of its own. Kernels send some of it by themselves (duplicate detection, listener
 * reports, router solicitations); that is dropped by name and is no spoofing. Rare, so out of line.
 */
#ifndef PW_BPF_GUARD_H
#define PW_BPF_GUARD_H

#include "bpf/lib/arp_nd.h"
#include "bpf/lib/dhcp4.h"
#include "bpf/lib/dhcp6.h"

#define PW_DHCP4_SERVER PW_PORTS(67, 68)
#define PW_DHCP4_CLIENT PW_PORTS(68, 67)
#define PW_DHCP6_SERVER PW_PORTS(547, 546)
#define PW_DHCP6_CLIENT PW_PORTS(546, 547)

static __always_inline bool pw_is_multicast4(__be32 addr)
{
    return (addr & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || addr == 0xffffffff;
}

/* A client's message to a DHCP server, from an endpoint's MAC. */
static __always_inline int pw_dhcp_client4(struct __sk_buff *skb, union pw_meta m)
{
    return m.flags ? PW_DHCP_CLIENT : pw_dhcp4_from_pod(skb);
}

/* The reason (PW_DHCP4 and the like: answered), or 0 when it is plain unicast after all. Moves
 * packet data. */
static __noinline int pw_special4(struct __sk_buff *skb)
{
    struct pw_ep *ep = pw_ep_by_ifindex(skb->ifindex), *owner;
    if (!ep)
        return PW_NO_ENDPOINT;

    union pw_meta m = {.all = pw_parse4_odd(skb)};
    struct ethhdr *eth = pw_data(skb);
    struct iphdr *ip = (void *)(eth + 1);
    if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    if ((ep->flags & PW_EP_L2) && !pw_same_mac(eth->h_source, ep->mac))
        return PW_SPOOF_MAC;
    if (ip->saddr == 0) {
        if (m.proto == IPPROTO_UDP && m.ports == PW_DHCP4_CLIENT)
            return pw_dhcp_client4(skb, m);
        return m.proto == IPPROTO_IGMP ? PW_MULTICAST : PW_SPOOF_IP4;
    }
    owner = pw_ep_by_ip4(ip->saddr);
    if (!owner || owner->ifindex != ep->ifindex)
        return PW_SPOOF_IP4;
    bool gateway = ip->daddr == PW_GATEWAY4;
    if (!gateway && !pw_is_multicast4(ip->daddr))
        return 0;
    if (m.proto == IPPROTO_UDP && m.ports == PW_DHCP4_SERVER)
        return PW_DHCP_SERVER;
    if (m.proto == IPPROTO_UDP && m.ports == PW_DHCP4_CLIENT)
        return pw_dhcp_client4(skb, m);
    return gateway ? PW_TO_HOST : PW_MULTICAST;
}

static __always_inline bool pw_is_link_local6(const struct in6_addr *a)
{
    return (a->s6_addr32[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline bool pw_is_unspecified6(const struct in6_addr *a)
{
    return !(a->s6_addr32[0] | a->s6_addr32[1] | a->s6_addr32[2] | a->s6_addr32[3]);
}

static __noinline int pw_special6(struct __sk_buff *skb)
{
    struct pw_ep *ep = pw_ep_by_ifindex(skb->ifindex), *owner;
    if (!ep)
        return PW_NO_ENDPOINT;

    union pw_meta m = {.all = pw_parse6_odd(skb)};
    struct ethhdr *eth = pw_data(skb);
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((m.flags & PW_P_MALFORMED) || (void *)(ip + 1) > pw_data_end(skb))
        return PW_MALFORMED;
    if ((ep->flags & PW_EP_L2) && !pw_same_mac(eth->h_source, ep->mac))
        return PW_SPOOF_MAC;

    bool nobody = pw_is_unspecified6(&ip->saddr), link_local = pw_is_link_local6(&ip->saddr);
    if (!nobody && !link_local) {
        owner = pw_ep_by_ip6(&ip->saddr);
        if (!owner || owner->ifindex != ep->ifindex)
            return PW_SPOOF_IP6;
    }
    if (m.flags & PW_P_ND) {
        __u8 type = m.ports;
        switch (type) {
        case NDISC_ROUTER_SOLICITATION:
            return ep->flags & PW_EP_L2 && m.l4 == PW_L4_V6 ? pw_rs_from_pod(skb)
                                                            : PW_ROUTER_SOLICIT;
        case NDISC_ROUTER_ADVERTISEMENT:
        case NDISC_REDIRECT:
            return PW_RA_FROM_POD;
        case NDISC_NEIGHBOUR_SOLICITATION:
        case NDISC_NEIGHBOUR_ADVERTISEMENT:
            if (nobody)
                return type == NDISC_NEIGHBOUR_SOLICITATION ? PW_DAD : PW_SPOOF_IP6;
            if (!(ep->flags & PW_EP_L2) || m.l4 != PW_L4_V6)
                return PW_MULTICAST;
            return pw_nd_from_pod(skb, ep, type);
        default:
            return PW_MLD;
        }
    }
    if (nobody)
        return PW_SPOOF_IP6;
    if (m.proto == IPPROTO_UDP && m.ports == PW_DHCP6_CLIENT)
        return m.flags ? PW_DHCP_CLIENT : pw_dhcp6_from_pod(skb);
    if (m.proto == IPPROTO_UDP && m.ports == PW_DHCP6_SERVER)
        return PW_DHCP_SERVER;
    if (link_local)
        return PW_LINK_LOCAL;
    if (ip->daddr.s6_addr[0] == 0xff)
        return PW_MULTICAST;
    return 0;
}

#endif
