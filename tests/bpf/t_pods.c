/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* Pods of this node to each other: device, helper, TTL, MACs, counters. */
#include "tests/bpf/dp.h"

static struct pkt p;

static void udp(const char *src_mac, const char *src, const char *dst)
{
    pkt_start(&p);
    pkt_eth(&p, DP_HOST_MAC, src_mac ? src_mac : "00:00:00:00:00:00", 0);
    pkt_ip(&p, src, dst);
    pkt_udp(&p, 4000, 5000);
    pkt_pay(&p, "hello", 5);
    pkt_done(&p);
}

int main(void)
{
    dp_open();
    udp("02:00:00:00:00:0a", "10.1.0.2", "10.1.0.3");
    dp_check(DP_A, &p, DP_PEER(DP_B), "veth to netkit L3");
    udp(NULL, "10.1.0.3", "10.1.0.2");
    dp_check(DP_B, &p, DP_REDIRECT(dp.ep[DP_A].ifindex), "netkit L3 to veth");
    udp("02:00:00:00:00:0a", "fd00:1::2", "fd00:1::3");
    dp_check(DP_A, &p, DP_PEER(DP_B), "veth to netkit L3, IPv6");
    udp("02:00:00:00:00:0a", "10.1.0.2", "10.2.0.3");
    dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "veth to the wire");
    udp("02:00:00:00:00:0a", "fd00:1::2", "fd00:2::3");
    dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "veth to the wire, IPv6");
    udp("02:00:00:00:00:0a", "10.1.0.9", "10.1.0.3");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "spoof");
    return tap_done();
}
