/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a packet was not redirected: the one list, for the programs (return value and counter index),
 * the events and the text a person reads. Numbers are never reused or changed: counters and events
 * outlive an upgrade. X(number, NAME, DROP, STACK or REPLY, "text").
 */
#ifndef PW_ABI_REASONS_H
#define PW_ABI_REASONS_H

/* clang-format off */
#define PW_REASONS(X) \
    /* dropped: the source check */ \
    X(1, SPOOF_MAC, DROP, "source MAC is not the endpoint's") \
    X(2, SPOOF_IP4, DROP, "IPv4 source address is not the endpoint's") \
    X(3, SPOOF_IP6, DROP, "IPv6 source address is not the endpoint's") \
    X(4, SPOOF_ARP, DROP, "ARP sender is not the endpoint") \
    X(5, SPOOF_ND, DROP, "neighbour discovery claims what is not the endpoint's") \
    X(6, NO_ENDPOINT, DROP, "no endpoint is registered for the device") \
    X(7, DHCP_SERVER, DROP, "DHCP server message from a pod") \
    X(8, RA_FROM_POD, DROP, "router advertisement or redirect from a pod") \
    X(9, SPOOF_NODE, DROP, "from the tunnel, and not from the node whose address it has") \
    /* dropped: never forwarded */ \
    X(16, MALFORMED, DROP, "malformed packet") \
    X(17, VLAN, DROP, "VLAN tag") \
    X(18, ETHERTYPE, DROP, "neither IPv4, IPv6 nor ARP") \
    /* dropped, and no fault of the pod: what kernels send by themselves */ \
    X(32, ARP_PROBE, DROP, "ARP probe or announcement (duplicate detection)") \
    X(33, DAD, DROP, "IPv6 duplicate address detection") \
    X(34, MLD, DROP, "multicast listener report") \
    X(35, ROUTER_SOLICIT, DROP, "router solicitation") \
    X(36, LINK_LOCAL, DROP, "IPv6 link-local source") \
    X(37, DHCP_CLIENT, DROP, "DHCP client message") \
    X(38, MULTICAST, DROP, "multicast or broadcast") \
    X(39, BANDWIDTH, DROP, "over the endpoint's bandwidth limit") \
    /* handed to the stack */ \
    X(64, REDIRECT_OFF, STACK, "redirection is switched off") \
    X(65, TO_HOST, STACK, "for the node itself") \
    X(66, OUTSIDE, STACK, "one end is outside the cluster's ranges") \
    X(67, TRANSLATED, STACK, "flow is translated by the host") \
    X(68, CT_UNKNOWN, STACK, "connection tracking cannot be asked about this protocol") \
    X(69, CT_UNAVAILABLE, STACK, "connection tracking cannot be asked on this kernel") \
    X(70, FRAGMENT, STACK, "IP fragment") \
    X(71, IP_OPTIONS, STACK, "IP options or extension headers") \
    X(72, TTL, STACK, "TTL or hop limit used up") \
    X(73, MTU, STACK, "larger than the next MTU") \
    X(74, PROTOCOL, STACK, "IP protocol that is not parsed") \
    X(75, ICMP_ERROR, STACK, "ICMP error of a translated flow") \
    X(76, NO_ROUTE, STACK, "the FIB has no way, or not a plain one") \
    X(77, NOT_UPLINK, STACK, "leaves by a device that carries no program of ours") \
    X(78, POLICY_ROUTING, STACK, "node has xfrm policies or routing rules to be honoured") \
    X(79, NOT_FOR_US, STACK, "not addressed to this host at layer 2") \
    X(80, SELF, STACK, "from an endpoint to itself") \
    X(81, SOURCE_LOCAL, STACK, "from the wire with the address of an endpoint of this node") \
    X(82, ICMP_UNRELATED, STACK, "ICMP error about no flow of the fast path") \
    X(83, NEIGHBOUR, STACK, "ARP or neighbour discovery answer to the node") \
    /* answered in the program */ \
    X(128, DHCP4, REPLY, "DHCP request of a guest") \
    X(129, DHCP4_NAK, REPLY, "DHCP request of a guest for another address, refused") \
    X(130, DHCP6, REPLY, "DHCPv6 request of a guest") \
    X(131, SOLICITED, REPLY, "router solicitation of a guest")
/* clang-format on */

enum pw_reason {
    PW_REASON_NONE = 0,
#define PW_REASON_ENUM_(num, name, kind, text) PW_##name = (num),
    PW_REASONS(PW_REASON_ENUM_)
#undef PW_REASON_ENUM_
};

#endif
