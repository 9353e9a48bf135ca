/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* To other hosts and from them: route, neighbour, ranges, what is not ours. */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

static struct pkt p;

static void to_wire(void)
{
    for (int v6 = 0; v6 < 2; v6++)
        for (int ep = 0; ep < DP_EPS; ep++) {
            const char *dst = v6 ? "fd00:2::9" : "10.2.0.9";
            uint8_t macs[12];
            pkt_mac(macs, DP_PEER_MAC);
            pkt_mac(macs + 6, DP_UP_MAC);
            dp_udp(&p, ep, dp_addr_of(ep, v6), dst);
            struct pw_count f = dp_count_from((enum dp_ep_name)ep);
            dp_check(ep, &p, DP_REDIRECT(dp.uplink), "endpoint %d to the wire, %s", ep, dst);
            is_mem(dp_last()->data, macs, 12, "endpoint %d to the wire, %s: MACs", ep, dst);
            is_int(dp_last()->data[ETH_HLEN + (v6 ? 7 : 8)], 63, "endpoint %d, %s: TTL", ep, dst);
            is_int(dp_count_from((enum dp_ep_name)ep).packets, f.packets + 2,
                   "endpoint %d, %s: counted", ep, dst);
        }

    struct dp_want neigh = {PW_VIA_NEIGH, 0, dp.uplink, false};
    dp_sh("ip route add 10.3.0.0/16 via 192.168.9.77 && ip route add fd00:3::/64 via fd00:9::77");
    dp_udp(&p, DP_A, "10.1.0.2", "10.3.0.1");
    dp_check(DP_A, &p, neigh, "unresolved neighbour");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:3::1");
    dp_check(DP_A, &p, neigh, "unresolved neighbour, IPv6");
    dp_tcp(&p, DP_A, "10.1.0.2", "10.3.0.1", "A", 600);
    dp_check(DP_A, &p, DP_MARKED(MTU),
             "unresolved neighbour: its MTU is not known, large ones wait");

    dp_udp(&p, DP_A, "10.1.0.2", "8.8.8.8");
    dp_check(DP_A, &p, DP_STACK(OUTSIDE), "outside the native ranges");
    dp_udp(&p, DP_A, "fd00:1::2", "2001:db8::1");
    dp_check(DP_A, &p, DP_STACK(OUTSIDE), "outside the native ranges, IPv6");
    dp_sh("ip addr add 10.9.0.1/32 dev up0 && ip addr add fd00:99::1/128 dev up0 nodad && "
          "for i in $(seq 100); do ip -6 route get fd00:99::1 | grep -q ^local && break; "
          "sleep 0.05; done"); /* the kernel makes that route a little later */
    dp_udp(&p, DP_A, "10.1.0.2", "10.9.0.1");
    dp_check(DP_A, &p, DP_STACK(TO_HOST), "the node itself, in a native range");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:99::1");
    dp_check(DP_A, &p, DP_STACK(TO_HOST), "the node itself, IPv6");
    dp_udp(&p, DP_A, "fd00:1::2", "fe80::1");
    dp_check(DP_A, &p, DP_STACK(TO_HOST), "the gateway's link-local address");
    dp_sh("ip route add unreachable 10.4.0.0/16 && ip route add blackhole 10.5.0.0/16 && "
          "ip route add unreachable fd00:4::/64");
    dp_udp(&p, DP_A, "10.1.0.2", "10.4.0.1");
    dp_check(DP_A, &p, DP_STACK(NO_ROUTE), "unreachable");
    dp_udp(&p, DP_A, "10.1.0.2", "10.5.0.1");
    dp_check(DP_A, &p, DP_STACK(NO_ROUTE), "blackhole");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:4::1");
    dp_check(DP_A, &p, DP_STACK(NO_ROUTE), "unreachable, IPv6");
    dp_sh("ip link add other type veth peer name other1 && ip link set other up && "
          "ip link set other1 up && ip addr add 192.168.8.1/24 dev other && "
          "ip neigh add 192.168.8.2 lladdr 02:00:00:00:08:02 dev other nud permanent && "
          "ip route add 10.6.0.0/16 via 192.168.8.2 && ip route add fd00:6::/64 dev other");
    dp_udp(&p, DP_A, "10.1.0.2", "10.6.0.1");
    dp_check(DP_A, &p, DP_STACK(NOT_UPLINK), "out of a device that carries no program");
    dp_sh("ip route add 10.1.0.200/32 dev pw-b");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.200");
    dp_check(DP_A, &p, DP_STACK(NOT_UPLINK), "routed to a host end, but no endpoint has it");

    dp.conf.n_except4 = dp.conf.n_except6 = 1;
    dp.conf.except4[0] = (struct pw_range4){htonl(0x0a020000), htonl(0xffff0000)};
    dp.conf.except6[0] = (struct pw_range6){{htonl(0xfd000002)}, {0xffffffff, 0xffffffff}};
    dp_conf();
    dp_udp(&p, DP_A, "10.1.0.2", "10.2.0.9");
    dp_check(DP_A, &p, DP_STACK(OUTSIDE), "excepted from the native ranges");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:2::9");
    dp_check(DP_A, &p, DP_STACK(OUTSIDE), "excepted, IPv6");
    dp.conf.n_except4 = dp.conf.n_except6 = 0;
    dp_flags(PW_CONF_REDIRECT);
    dp_udp(&p, DP_A, "10.1.0.2", "10.2.0.9");
    dp_check(DP_A, &p, DP_STACK(POLICY_ROUTING), "policy routing keeps the wire to the stack");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_check(DP_A, &p, DP_PEER(DP_B), "but not the pods of this node");
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE);
}

static void from_wire(void)
{
    struct bpf_program *uplink = dp.skel->progs.pw_from_uplink;

    for (int v6 = 0; v6 < 2; v6++)
        for (int ep = 0; ep < DP_EPS; ep++) {
            const char *src = v6 ? "fd00:2::9" : "10.2.0.9";
            dp_udp(&p, -1, src, dp_addr_of(ep, v6));
            struct pw_count t = dp_count_to((enum dp_ep_name)ep);
            dp_check(-1, &p, ep == DP_T ? DP_REDIRECT(dp.ep[ep].ifindex) : DP_PEER(ep),
                     "wire to endpoint %d, from %s", ep, src);
            ok(memcmp(dp_last()->data, dp.ep[ep].mac, 6) == 0 &&
                   memcmp(dp_last()->data + 6, dp.ep[ep].host_mac, 6) == 0,
               "wire to endpoint %d, %s: MACs", ep, src);
            is_int(dp_count_to((enum dp_ep_name)ep).packets, t.packets + 2,
                   "wire to endpoint %d, %s: counted", ep, src);
        }
    dp_udp(&p, -1, "8.8.8.8", "10.1.0.2");
    dp_check(-1, &p, DP_STACK(OUTSIDE), "from outside: its reply would be masqueraded");
    dp_udp(&p, -1, "2001:db8::1", "fd00:1::2");
    dp_check(-1, &p, DP_STACK(OUTSIDE), "from outside, IPv6");
    dp_udp(&p, -1, "10.1.0.3", "10.1.0.2");
    dp_check(-1, &p, DP_STACK(SOURCE_LOCAL), "from the wire with a local pod's address");
    dp_udp(&p, -1, "fd00:1::3", "fd00:1::2");
    dp_check(-1, &p, DP_STACK(SOURCE_LOCAL), "the same, IPv6");
    dp_udp(&p, -1, "10.6.0.1", "10.1.0.2");
    dp_check(-1, &p, DP_STACK(NOT_UPLINK), "the reply would leave by another device");
    dp_udp(&p, -1, "fd00:6::1", "fd00:1::2");
    dp_check(-1, &p, DP_STACK(NOT_UPLINK), "the reply would leave by another device, IPv6");
    dp_udp(&p, -1, "10.4.0.1", "10.1.0.2");
    dp_check(-1, &p, DP_STACK(NO_ROUTE), "there is no way back");
    dp_udp(&p, -1, "10.3.0.1", "10.1.0.2");
    dp_check(-1, &p, DP_PEER(DP_A), "the way back has an unresolved neighbour: still symmetric");
    dp_flags(PW_CONF_REDIRECT);
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
    dp_check(-1, &p, DP_STACK(POLICY_ROUTING), "policy routing: inbound too");
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE);

    dp_udp(&p, -1, "10.2.0.9", "192.168.9.1");
    dp_check(-1, &p, DP_PASS, "for the node: passed, uncounted");
    dp_udp(&p, -1, "fd00:2::9", "fd00:9::1");
    dp_check(-1, &p, DP_PASS, "for the node, IPv6");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.99");
    dp_check(-1, &p, DP_PASS, "for an address that nobody has");
    dp_next.mark = 0x55;
    dp_next_prog = uplink;
    dp_udp(&p, -1, "10.2.0.9", "192.168.9.1");
    is_int(dp_wire(&p)->out_mark, 0x55, "marks of what is not ours stay");
    memset(&dp_next, 0, offsetof(struct dp_run, data));
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
    p.data[5] ^= 1;
    dp_check(-1, &p, DP_STACK(NOT_FOR_US), "another host's MAC");
    memset(p.data, 0xff, 6);
    dp_check(-1, &p, DP_STACK(NOT_FOR_US), "broadcast MAC");
    dp_eth(&p, -1);
    pkt_vlan(&p, 5);
    pkt_ip(&p, "10.2.0.9", "10.1.0.2");
    pkt_udp(&p, 1, 2);
    pkt_done(&p);
    dp_check(-1, &p, DP_PASS, "VLAN tag: not ours");
    dp_eth(&p, -1);
    pkt_arp(&p, ARPOP_REQUEST, DP_PEER_MAC, "192.168.9.2", "00:00:00:00:00:00", "192.168.9.1");
    pkt_done(&p);
    dp_check(-1, &p, DP_PASS, "ARP: not ours");
}

int main(void)
{
    dp_open();
    to_wire();
    from_wire();
    return tap_done();
}
