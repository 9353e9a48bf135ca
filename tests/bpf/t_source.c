/* SPDX-License-Identifier: Apache-2.0 */
/* The source check: what a pod may send, what is spoofing, what kernels send by themselves. */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

static struct pkt p;

static void src_mac(const char *mac)
{
    pkt_mac(pkt_ethhdr(&p)->h_source, mac);
}

static void udp_ports(int ep, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
    dp_eth(&p, ep);
    pkt_ip(&p, src, dst);
    pkt_udp(&p, sport, dport);
    pkt_fill(&p, 1, 300);
    pkt_done(&p);
}

static void icmp6(int ep, const char *src, const char *dst, uint8_t type, size_t n)
{
    dp_eth(&p, ep);
    pkt_ip(&p, src, dst);
    pkt_icmp(&p, type, 0, 0);
    pkt_fill(&p, 3, n);
    pkt_done(&p);
    pkt_ip6(&p)->hop_limit = 255;
}

static void spoofing(void)
{
    dp_udp(&p, DP_A, "10.1.0.3", "10.1.0.4");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "address of another pod");
    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "address of nobody");
    dp_udp(&p, DP_A, "192.168.9.1", "8.8.8.8");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "address of the node");
    dp_udp(&p, DP_A, "127.0.0.1", "10.1.0.3");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "loopback");
    dp_udp(&p, DP_B, "10.1.0.2", "10.1.0.4");
    dp_check(DP_B, &p, DP_DROP(SPOOF_IP4), "another pod's address from netkit");
    dp_udp(&p, DP_A, "fd00:1::3", "fd00:1::4");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "IPv6 address of another pod");
    dp_udp(&p, DP_A, "2001:db8::1", "fd00:1::4");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "IPv6 address of nobody");
    dp_udp(&p, DP_A, "::1", "fd00:1::4");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "IPv6 loopback");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    src_mac("02:00:00:00:00:0c");
    dp_check(DP_A, &p, DP_DROP(SPOOF_MAC), "MAC of another pod");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:1::3");
    src_mac("02:00:00:00:00:0c");
    dp_check(DP_A, &p, DP_DROP(SPOOF_MAC), "MAC of another pod, IPv6");
    dp_udp(&p, DP_A, "10.1.0.2", "8.8.8.8");
    src_mac("02:00:00:00:00:0c");
    dp_check(DP_A, &p, DP_DROP(SPOOF_MAC), "MAC of another pod, to the stack");
    dp_udp(&p, DP_C, "10.1.0.2", "10.1.0.3");
    src_mac("02:00:00:00:00:0a");
    dp_check(DP_C, &p, DP_DROP(SPOOF_MAC), "MAC and address of another pod");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_next.ifindex = dp.uplink;
    dp_check(DP_A, &p, DP_DROP(NO_ENDPOINT), "device without endpoint");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:1::3");
    dp_next.ifindex = dp.uplink;
    dp_check(DP_A, &p, DP_DROP(NO_ENDPOINT), "device without endpoint, IPv6");
    /* By what a pod might hide a wrong source. */
    dp_eth(&p, DP_A);
    pkt_ip(&p, "10.1.0.99", "10.1.0.3");
    pkt_opts(&p, 0, "\1\1\1\0", 4);
    pkt_udp(&p, 1, 2);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed with IP options");
    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    pkt_ip4(&p)->frag_off = htons(0x2000), pkt_sums(&p);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed fragment");
    pkt_ip4(&p)->frag_off = htons(0x0010), pkt_sums(&p);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed later fragment");
    dp_eth(&p, DP_A);
    pkt_ip(&p, "10.1.0.99", "10.1.0.3");
    pkt_l4(&p, 132, "abcdefghijkl", 12);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed SCTP");
    dp_eth(&p, DP_A);
    pkt_ip(&p, "fd00:1::99", "fd00:1::3");
    pkt_opts(&p, 60, "\0\0\1\4\0\0\0\0", 8);
    pkt_udp(&p, 1, 2);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "spoofed behind an extension header");
    dp_flags(0);
    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed while redirection is off");
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE);
}

/* Right after an address was taken away, or given to another. */
static void moved(void)
{
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_check(DP_A, &p, DP_PEER(DP_B), "own address");
    dp_addr(-1, "10.1.0.2");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "not any more, at once");
    dp_addr(DP_C, "10.1.0.2");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "it is another's");
    dp_addr(DP_A, "10.1.0.2");
    dp_check(DP_A, &p, DP_PEER(DP_B), "own again");
}

static void by_name(void)
{
    udp_ports(DP_A, "0.0.0.0", "255.255.255.255", 68, 67);
    dp_check(DP_A, &p, DP_DROP(DHCP_CLIENT), "DHCP discover");
    udp_ports(DP_A, "10.1.0.2", "255.255.255.255", 68, 67);
    dp_check(DP_A, &p, DP_DROP(DHCP_CLIENT), "DHCP client with an address, broadcast");
    udp_ports(DP_A, "0.0.0.0", "10.1.0.3", 4000, 67);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "0.0.0.0 otherwise");
    udp_ports(DP_A, "10.1.0.2", "10.1.0.3", 67, 68);
    dp_check(DP_A, &p, DP_DROP(DHCP_SERVER), "DHCP server");
    udp_ports(DP_A, "10.1.0.2", "255.255.255.255", 67, 68);
    dp_check(DP_A, &p, DP_DROP(DHCP_SERVER), "DHCP server, broadcast");
    udp_ports(DP_A, "10.1.0.2", "10.2.0.9", 67, 68);
    dp_check(DP_A, &p, DP_DROP(DHCP_SERVER), "DHCP server to the wire");
    udp_ports(DP_A, "fd00:1::2", "fd00:1::3", 547, 546);
    dp_check(DP_A, &p, DP_DROP(DHCP_SERVER), "DHCPv6 server");
    udp_ports(DP_A, "fe80::2", "fe80::3", 547, 546);
    dp_check(DP_A, &p, DP_DROP(DHCP_SERVER), "DHCPv6 server, link-local");
    udp_ports(DP_A, "fe80::2", "ff02::1:2", 546, 547);
    dp_check(DP_A, &p, DP_DROP(DHCP_CLIENT), "DHCPv6 client");
    udp_ports(DP_A, "10.1.0.2", "10.1.0.3", 67, 67);
    dp_check(DP_A, &p, DP_PEER(DP_B), "port 67 otherwise is a port like any");

    icmp6(DP_A, "::", "ff02::1:ff00:2", 135, 16);
    dp_check(DP_A, &p, DP_DROP(DAD), "duplicate address detection");
    icmp6(DP_B, "::", "ff02::1:ff00:3", 135, 16);
    dp_check(DP_B, &p, DP_DROP(DAD), "duplicate address detection, netkit");
    icmp6(DP_A, "fe80::2", "ff02::2", 133, 8);
    dp_check(DP_A, &p, DP_DROP(ROUTER_SOLICIT), "router solicitation");
    icmp6(DP_A, "::", "ff02::2", 133, 8);
    dp_check(DP_A, &p, DP_DROP(ROUTER_SOLICIT), "router solicitation without address");
    icmp6(DP_A, "fe80::2", "ff02::1", 134, 24);
    dp_check(DP_A, &p, DP_DROP(RA_FROM_POD), "router advertisement");
    icmp6(DP_A, "fd00:1::2", "fd00:1::3", 134, 24);
    dp_check(DP_A, &p, DP_DROP(RA_FROM_POD), "router advertisement to a pod");
    icmp6(DP_A, "fe80::2", "fd00:1::3", 137, 40);
    dp_check(DP_A, &p, DP_DROP(RA_FROM_POD), "ICMPv6 redirect");
    dp_eth(&p, DP_A);
    pkt_ip(&p, "10.1.0.2", "10.1.0.3");
    pkt_icmp(&p, 5, 1, 0x0a010063);
    pkt_fill(&p, 1, 28);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(RA_FROM_POD), "ICMP redirect");
    dp_eth(&p, DP_A); /* MLDv2 report, as kernels send it: router alert, hop limit 1 */
    pkt_ip(&p, "fe80::2", "ff02::16");
    pkt_opts(&p, 0, "\0\0\5\2\0\0\1\0", 8);
    pkt_icmp(&p, 143, 0, 1);
    pkt_fill(&p, 1, 20);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(MLD), "MLDv2 report");
    dp_eth(&p, DP_A);
    pkt_ip(&p, "::", "ff02::16");
    pkt_opts(&p, 0, "\0\0\5\2\0\0\1\0", 8);
    pkt_icmp(&p, 143, 0, 1);
    pkt_fill(&p, 1, 20);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(MLD), "MLDv2 report from nobody");
    icmp6(DP_A, "fe80::2", "ff02::1", 131, 16);
    dp_check(DP_A, &p, DP_DROP(MLD), "MLDv1 report");
    dp_udp(&p, DP_A, "fe80::2", "ff02::fb");
    dp_check(DP_A, &p, DP_DROP(LINK_LOCAL), "mDNS from link-local");
    dp_udp(&p, DP_A, "fe80::2", "fd00:1::3");
    dp_check(DP_A, &p, DP_DROP(LINK_LOCAL), "link-local to a pod");
    dp_udp(&p, DP_A, "fe80::2", "fe80::1");
    dp_check(DP_A, &p, DP_DROP(LINK_LOCAL), "link-local to the gateway");
    dp_udp(&p, DP_A, "::", "fd00:1::3");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "nobody otherwise");

    dp_udp(&p, DP_A, "10.1.0.2", "224.0.0.251");
    dp_check(DP_A, &p, DP_DROP(MULTICAST), "multicast");
    dp_udp(&p, DP_A, "10.1.0.2", "255.255.255.255");
    dp_check(DP_A, &p, DP_DROP(MULTICAST), "broadcast");
    dp_udp(&p, DP_A, "10.1.0.3", "224.0.0.251");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoofed multicast");
    dp_udp(&p, DP_A, "fd00:1::2", "ff02::fb");
    dp_check(DP_A, &p, DP_DROP(MULTICAST), "IPv6 multicast");
    dp_udp(&p, DP_A, "fd00:1::3", "ff02::fb");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "spoofed IPv6 multicast");
    dp_eth(&p, DP_A); /* IGMPv3 report with router alert */
    pkt_ip(&p, "10.1.0.2", "224.0.0.22");
    pkt_opts(&p, 0, "\x94\4\0\0", 4);
    pkt_l4(&p, 2, "\x22\0\0\0\0\0\0\1", 8);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(MULTICAST), "IGMP report");
    dp_eth(&p, DP_A);
    pkt_ip(&p, "0.0.0.0", "224.0.0.22");
    pkt_l4(&p, 2, "\x22\0\0\0\0\0\0\1", 8);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(MULTICAST), "IGMP report from nobody");
}

static void frames(void)
{
    dp_eth(&p, DP_A);
    pkt_vlan(&p, 7);
    pkt_ip(&p, "10.1.0.2", "10.1.0.3");
    pkt_udp(&p, 1, 2);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(VLAN), "802.1Q");
    p.data[12] = 0x88, p.data[13] = 0xa8;
    dp_check(DP_A, &p, DP_DROP(VLAN), "802.1ad");
    dp_eth(&p, DP_A);
    p.data[12] = 0x88, p.data[13] = 0x47; /* MPLS */
    pkt_fill(&p, 1, 60);
    p.len = 74;
    dp_check(DP_A, &p, DP_DROP(ETHERTYPE), "another EtherType");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    p.data[5] ^= 1;
    dp_check(DP_A, &p, DP_STACK(NOT_FOR_US), "unicast MAC of nobody: the stack drops it");
    memset(p.data, 0xff, 6);
    dp_check(DP_A, &p, DP_STACK(NOT_FOR_US), "unicast in a broadcast frame");
}

int main(void)
{
    dp_open();
    spoofing();
    moved();
    by_name();
    frames();
    return tap_done();
}
