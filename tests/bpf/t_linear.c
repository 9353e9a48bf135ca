/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that lie outside the linear part of the buffer: the same outcome. */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

static struct pkt p;

static void same(int ep, struct dp_want want, const char *name)
{
    static uint8_t bytes[PKT_MAX];
    dp_check(ep, &p, want, "%s, linear", name);
    uint32_t len = dp_last()->len;
    memcpy(bytes, dp_last()->data, len);
    static const uint32_t cuts[] = {14, 20, 34, 38, 42, 54, 60};
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]) && cuts[i] < p.len; i++) {
        dp_next.linear = cuts[i];
        dp_check(ep, &p, want, "%s, %u bytes linear", name, cuts[i]);
        ok(dp_last()->len == len && memcmp(dp_last()->data, bytes, len) == 0,
           "%s, %u bytes linear: the same bytes", name, cuts[i]);
    }
}

int main(void)
{
    dp_open();
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    struct dp_run r = {.ifindex = dp.ep[DP_A].ifindex, .linear = 20};
    dp_prog(dp.skel->progs.pw_veth_from_pod, &p, &r, 1);
    if (r.refused)
        skip_all("this kernel's BPF_PROG_TEST_RUN makes linear packets only");

    same(DP_A, DP_PEER(DP_B), "UDP");
    dp_tcp(&p, DP_A, "10.1.0.2", "10.2.0.9", "A", 100);
    same(DP_A, DP_REDIRECT(dp.uplink), "TCP");
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:1::3");
    same(DP_A, DP_PEER(DP_B), "UDP, IPv6");
    dp_tcp(&p, -1, "fd00:2::9", "fd00:1::2", "A", 100);
    same(-1, DP_PEER(DP_A), "TCP, IPv6, from the wire");
    dp_udp(&p, DP_A, "10.1.0.99", "10.1.0.3");
    same(DP_A, DP_DROP(SPOOF_IP4), "spoofed");
    dp_udp(&p, DP_A, "fd00:1::99", "fd00:1::3");
    same(DP_A, DP_DROP(SPOOF_IP6), "spoofed, IPv6");
    dp_eth(&p, DP_A), pkt_ip(&p, "10.1.0.2", "10.1.0.3");
    pkt_opts(&p, 0, "\7\7\4\0\0\0\0\0", 8);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    same(DP_A, DP_MARKED(IP_OPTIONS), "options");
    dp_eth(&p, DP_A);
    pkt_arp(&p, ARPOP_REQUEST, "02:00:00:00:00:0a", "10.1.0.2", "00:00:00:00:00:00", "169.254.1.1");
    pkt_done(&p);
    same(DP_A, (struct dp_want){PW_VIA_REPLY, 0, 0, false}, "ARP");
    return tap_done();
}
