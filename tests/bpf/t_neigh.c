/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* ARP and neighbour discovery of layer 2 pods: what is answered, with which bytes, and what not. */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

#define MAC_A "02:00:00:00:00:0a"
#define MAC_C "02:00:00:00:00:0c"
#define NO_MAC "00:00:00:00:00:00"

static struct pkt p, want;
static const struct dp_want answered = {PW_VIA_REPLY, 0, 0, false};

static void arp(int ep, uint16_t op, const char *sha, const char *spa, const char *tpa)
{
    dp_eth(&p, ep);
    memset(p.data, 0xff, 6);
    pkt_arp(&p, op, sha, spa, NO_MAC, tpa);
    pkt_done(&p);
}

static void arp_answered(int ep, const char *mac, const char *spa, const char *tpa,
                         const char *name)
{
    arp(ep, ARPOP_REQUEST, mac, spa, tpa);
    dp_check(ep, &p, answered, "%s", name);
    pkt_start(&want);
    pkt_eth(&want, mac, DP_HOST_MAC, 0);
    pkt_arp(&want, ARPOP_REPLY, DP_HOST_MAC, tpa, mac, spa);
    pkt_done(&want);
    is_int(dp_last()->len, p.len, "%s: length", name);
    is_mem(dp_last()->data, want.data, want.len, "%s: bytes", name);
}

static void arps(void)
{
    arp_answered(DP_A, MAC_A, "10.1.0.2", "169.254.1.1", "ARP for the gateway, veth");
    arp_answered(DP_C, MAC_C, "10.1.0.4", "169.254.1.1", "ARP for the gateway, netkit L2");
    arp_answered(DP_T, "02:00:00:00:00:0e", "10.1.0.5", "10.1.0.2", "ARP for another pod, tap");
    arp_answered(DP_A, MAC_A, "10.1.0.2", "8.8.8.8", "ARP for anything");

    arp(DP_A, ARPOP_REQUEST, MAC_A, "0.0.0.0", "10.1.0.2");
    dp_check(DP_A, &p, DP_DROP(ARP_PROBE), "probe");
    arp(DP_A, ARPOP_REQUEST, MAC_A, "10.1.0.2", "10.1.0.2");
    dp_check(DP_A, &p, DP_DROP(ARP_PROBE), "announcement");
    arp(DP_A, ARPOP_REPLY, MAC_A, "10.1.0.2", "10.1.0.2");
    dp_check(DP_A, &p, DP_DROP(ARP_PROBE), "announcement as a reply");
    arp(DP_C, ARPOP_REQUEST, MAC_C, "10.1.0.4", "10.1.0.44");
    dp_check(DP_C, &p, DP_DROP(ARP_PROBE), "for its other address");
    arp(DP_A, ARPOP_REPLY, MAC_A, "10.1.0.2", "192.168.9.1");
    dp_check(DP_A, &p, DP_STACK(NEIGHBOUR), "reply to the node");
    arp(DP_A, ARPOP_REPLY, MAC_A, "10.1.0.3", "192.168.9.1");
    dp_check(DP_A, &p, DP_DROP(SPOOF_ARP), "reply for another's address");
    arp(DP_A, ARPOP_REQUEST, MAC_A, "10.1.0.3", "169.254.1.1");
    dp_check(DP_A, &p, DP_DROP(SPOOF_ARP), "request from another's address");
    arp(DP_A, ARPOP_REQUEST, MAC_C, "10.1.0.2", "169.254.1.1");
    dp_check(DP_A, &p, DP_DROP(SPOOF_ARP), "request with another sender MAC");
    arp(DP_A, ARPOP_REQUEST, MAC_A, "10.1.0.2", "169.254.1.1");
    pkt_mac(pkt_ethhdr(&p)->h_source, MAC_C);
    dp_check(DP_A, &p, DP_DROP(SPOOF_MAC), "request in a frame from another MAC");
    arp(DP_A, 3, MAC_A, "10.1.0.2", "169.254.1.1");
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "RARP operation");
    arp(DP_A, ARPOP_REQUEST, MAC_A, "10.1.0.2", "169.254.1.1");
    p.data[ETH_HLEN + 4] = 8;
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "address length");
    arp(DP_A, ARPOP_REQUEST, MAC_A, "10.1.0.2", "169.254.1.1");
    p.len -= 4;
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "cut short");
    arp(DP_B, ARPOP_REQUEST, NO_MAC, "10.1.0.3", "169.254.1.1");
    dp_check(DP_B, &p, DP_DROP(ETHERTYPE), "layer 3 devices have no ARP");
}

/* A neighbour solicitation or advertisement with one option, or none (opt 0). */
static void nd(int ep, const char *src, const char *dst, uint8_t type, const char *target,
               uint8_t opt, const char *mac)
{
    uint8_t body[16 + 8] = {};
    size_t n = 16;
    if (inet_pton(AF_INET6, target, body) != 1)
        bail("bad target");
    if (opt) {
        body[16] = opt, body[17] = 1;
        pkt_mac(body + 18, mac);
        n += 8;
    }
    dp_eth(&p, ep);
    pkt_ip(&p, src, dst);
    pkt_icmp(&p, type, 0, type == 136 ? 0x60000000 : 0);
    pkt_pay(&p, body, n);
    pkt_done(&p);
    pkt_ip6(&p)->hop_limit = 255;
}

static void ns_answered(const char *src, const char *dst, const char *target, bool opt,
                        const char *name)
{
    nd(DP_A, src, dst, 135, target, opt ? 1 : 0, MAC_A);
    dp_check(DP_A, &p, answered, "%s", name);
    nd(DP_A, target, src, 136, target, opt ? 2 : 0, DP_HOST_MAC);
    struct icmp6hdr *h = pkt_l4hdr(&p);
    h->icmp6_dataun.un_data32[0] = htonl(0xe0000000);
    pkt_sums(&p);
    pkt_mac(p.data, MAC_A);
    pkt_mac(p.data + 6, DP_HOST_MAC);
    is_int(dp_last()->len, p.len, "%s: length", name);
    is_mem(dp_last()->data, p.data, p.len, "%s: bytes and checksum", name);
}

static void nds(void)
{
    ns_answered("fe80::2", "ff02::1:ff00:1", "fe80::1", true, "NS for the gateway");
    ns_answered("fd00:1::2", "ff02::1:ff00:1", "fe80::1", true, "NS from a global address");
    ns_answered("fd00:1::2", "ff02::1:ff00:3", "fd00:1::3", true, "NS for another pod");
    ns_answered("fd00:1::2", "fe80::1", "fe80::1", true, "unicast probe with option");
    ns_answered("fe80::2", "fe80::1", "fe80::1", false, "unicast probe without option");

    /* A nonce behind the link-layer address (RFC 3971) is cut off. */
    nd(DP_A, "fe80::2", "ff02::1:ff00:1", 135, "fe80::1", 1, MAC_A);
    pkt_pay(&p,
            "\x0e\x01"
            "nonce!",
            8);
    pkt_done(&p);
    pkt_ip6(&p)->hop_limit = 255;
    dp_check(DP_A, &p, answered, "NS with a further option");
    is_int(dp_last()->len, ETH_HLEN + 40 + 32, "NS with a further option: length");
    is_int(pkt_csum(dp_last()->data + 54, 32, pkt_pseudo(dp_last()->data + 14, 58, 32)), 0,
           "NS with a further option: checksum");

    nd(DP_A, "fe80::2", "ff02::1:ff00:2", 135, "fd00:1::2", 1, MAC_A);
    dp_check(DP_A, &p, DP_DROP(DAD), "NS for its own address is not answered");
    nd(DP_A, "fd00:1::3", "ff02::1:ff00:1", 135, "fe80::1", 1, MAC_A);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "NS from another's address");
    nd(DP_A, "fd00:1::2", "ff02::1:ff00:1", 135, "fe80::1", 1, MAC_C);
    dp_check(DP_A, &p, DP_DROP(SPOOF_ND), "NS with another's MAC in the option");
    nd(DP_A, "fd00:1::2", "ff02::1:ff00:1", 135, "fe80::1", 1, MAC_A);
    pkt_mac(pkt_ethhdr(&p)->h_source, MAC_C);
    dp_check(DP_A, &p, DP_DROP(SPOOF_MAC), "NS in a frame from another MAC");
    nd(DP_A, "fd00:1::2", "fe80::1", 136, "fd00:1::2", 2, MAC_A);
    dp_check(DP_A, &p, DP_STACK(NEIGHBOUR), "NA for its own address, to the node");
    nd(DP_A, "fe80::2", "fe80::1", 136, "fd00:1::2", 0, MAC_A);
    dp_check(DP_A, &p, DP_STACK(NEIGHBOUR), "NA without option");
    nd(DP_A, "fd00:1::2", "fe80::1", 136, "fd00:1::3", 2, MAC_A);
    dp_check(DP_A, &p, DP_DROP(SPOOF_ND), "NA for another's address");
    nd(DP_A, "fd00:1::2", "ff02::1", 136, "fe80::1", 2, MAC_A);
    dp_check(DP_A, &p, DP_DROP(SPOOF_ND), "NA for the gateway");
    nd(DP_A, "fd00:1::2", "fe80::1", 136, "fd00:1::2", 2, MAC_C);
    dp_check(DP_A, &p, DP_DROP(SPOOF_ND), "NA with another's MAC");
    nd(DP_A, "::", "ff02::1", 136, "fd00:1::2", 2, MAC_A);
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP6), "NA from nobody");
    nd(DP_A, "fd00:1::2", "fe80::1", 135, "fe80::1", 1, MAC_A);
    pkt_ip6(&p)->hop_limit = 64;
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "NS that was forwarded (hop limit)");
    nd(DP_A, "fd00:1::2", "fe80::1", 135, "ff02::1", 1, MAC_A);
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "NS for a multicast address");
    nd(DP_A, "fd00:1::2", "fe80::1", 135, "fe80::1", 1, MAC_A);
    p.data[54 + 25] = 0;
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "option of length 0");
    nd(DP_A, "fd00:1::2", "fe80::1", 135, "fe80::1", 0, MAC_A);
    pkt_ip6(&p)->payload_len = htons(20);
    p.len -= 4;
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "NS cut short");
    nd(DP_B, "fd00:1::3", "ff02::1:ff00:1", 135, "fe80::1", 0, MAC_A);
    dp_check(DP_B, &p, DP_DROP(MULTICAST), "layer 3 devices have no neighbours");
}

int main(void)
{
    dp_open();
    arps();
    nds();
    return tap_done();
}
