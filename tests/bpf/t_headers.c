/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers: malformed packets are dropped, what is unusual goes to the stack, marked when its flow
 * belongs to the fast path. Large packets: MTU, segments, BIG TCP.
 */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

static struct pkt p;

static void udp4(void)
{
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
}

static void udp6(void)
{
    dp_udp(&p, DP_A, "fd00:1::2", "fd00:1::3");
}

static void malformed(void)
{
    static struct pkt sound;
#define BAD(name) dp_check(DP_A, &p, DP_DROP(MALFORMED), name)
    dp_udp(&sound, DP_A, "10.1.0.2", "10.1.0.3"), dp_prime = &sound;
    udp4(), pkt_ip4(&p)->version = 6, pkt_sums(&p);
    BAD("IPv4: version");
    udp4(), pkt_ip4(&p)->ihl = 4, pkt_sums(&p);
    BAD("IPv4: header length below 5");
    udp4(), pkt_ip4(&p)->ihl = 15, pkt_ip4(&p)->tot_len = htons(50);
    BAD("IPv4: header longer than the packet");
    udp4(), pkt_ip4(&p)->tot_len = htons((uint16_t)(p.len - 14 + 1)), pkt_sums(&p);
    BAD("IPv4: total length beyond the packet");
    udp4(), pkt_ip4(&p)->tot_len = htons(19), pkt_sums(&p);
    BAD("IPv4: total length below the header");
    udp4(), pkt_ip4(&p)->tot_len = 0, pkt_sums(&p);
    BAD("IPv4: total length 0 without GSO");
    udp4(), pkt_ip4(&p)->tot_len = htons(27), pkt_sums(&p);
    BAD("IPv4: UDP header cut");
    udp4(), pkt_ip4(&p)->check ^= 1;
    BAD("IPv4: header checksum");
    udp4(), p.len = ETH_HLEN + 20;
    BAD("IPv4: header alone");
    dp_tcp(&p, DP_A, "10.1.0.2", "10.1.0.3", "A", 0);
    pkt_ip4(&p)->tot_len = htons(39), pkt_sums(&p);
    BAD("IPv4: TCP header cut");
    dp_tcp(&p, DP_A, "10.1.0.2", "10.1.0.3", "A", 10);
    ((struct tcphdr *)pkt_l4hdr(&p))->doff = 4;
    BAD("IPv4: TCP data offset below 5");
    ((struct tcphdr *)pkt_l4hdr(&p))->doff = 15;
    BAD("IPv4: TCP header longer than the packet");
    dp_eth(&p, DP_A), pkt_ip(&p, "10.1.0.2", "10.1.0.3"), pkt_icmp(&p, 8, 0, 1), pkt_done(&p);
    pkt_ip4(&p)->tot_len = htons(27), pkt_sums(&p);
    BAD("IPv4: ICMP header cut");

    dp_udp(&sound, DP_A, "fd00:1::2", "fd00:1::3");
    udp6(), pkt_ip6(&p)->version = 4;
    BAD("IPv6: version");
    udp6(), pkt_ip6(&p)->payload_len = htons((uint16_t)(p.len - 54 + 1));
    BAD("IPv6: payload length beyond the packet");
    udp6(), pkt_ip6(&p)->payload_len = htons(7);
    BAD("IPv6: UDP header cut");
    udp6(), pkt_ip6(&p)->payload_len = 0;
    BAD("IPv6: payload length 0 without GSO");
    dp_tcp(&p, DP_A, "fd00:1::2", "fd00:1::3", "A", 10);
    ((struct tcphdr *)pkt_l4hdr(&p))->doff = 4;
    BAD("IPv6: TCP data offset below 5");
    dp_eth(&p, DP_A), pkt_ip(&p, "fd00:1::2", "fd00:1::3");
    pkt_opts(&p, 60, "\0\1\1\4\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    pkt_ip6(&p)->payload_len = htons(12);
    BAD("IPv6: extension header cut");
    dp_eth(&p, DP_A), pkt_ip(&p, "fd00:1::2", "fd00:1::3");
    pkt_opts(&p, 60, "\0\xff\1\4\0\0\0\0", 8);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    BAD("IPv6: extension header longer than the packet");
    /* Malformed in the same way from the wire. */
    dp_udp(&sound, -1, "10.2.0.9", "10.1.0.2");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2"), pkt_ip4(&p)->check ^= 1;
    dp_check(-1, &p, DP_DROP(MALFORMED), "wire: IPv4 header checksum");
    dp_udp(&sound, -1, "fd00:2::9", "fd00:1::2");
    dp_udp(&p, -1, "fd00:2::9", "fd00:1::2"), pkt_ip6(&p)->payload_len = htons(2000);
    dp_check(-1, &p, DP_DROP(MALFORMED), "wire: IPv6 payload length");
    dp_prime = NULL;
    udp4();
    size_t n = p.len;
    pkt_raw(&p, "\0\0\0\0\0\0", 6); /* padding of a short frame is sound */
    dp_check(DP_A, &p, DP_PEER(DP_B), "bytes behind the packet");
    is_int(dp_last()->len, n + 6, "bytes behind the packet: kept");
}

static void unusual(int ep, const char *what)
{
    const char *s4 = ep < 0 ? "10.2.0.9" : "10.1.0.2", *s6 = ep < 0 ? "fd00:2::9" : "fd00:1::2";
    const char *d4 = ep < 0 ? "10.1.0.2" : "10.1.0.3", *d6 = ep < 0 ? "fd00:1::2" : "fd00:1::3";
    int to = ep < 0 ? DP_A : DP_B;

    dp_udp(&p, ep, s4, d4), pkt_ip4(&p)->frag_off = htons(0x2000), pkt_sums(&p);
    dp_check(ep, &p, DP_MARKED(FRAGMENT), "%s: first fragment", what);
    pkt_ip4(&p)->frag_off = htons(0x2010), pkt_sums(&p);
    dp_check(ep, &p, DP_MARKED(FRAGMENT), "%s: later fragment", what);
    pkt_ip4(&p)->frag_off = htons(0x0010), pkt_sums(&p);
    dp_check(ep, &p, DP_MARKED(FRAGMENT), "%s: last fragment", what);
    pkt_ip4(&p)->frag_off = htons(0x4000), pkt_sums(&p);
    dp_check(ep, &p, DP_PEER(to), "%s: DF is no fragment", what);
    dp_eth(&p, ep), pkt_ip(&p, s4, d4);
    pkt_opts(&p, 0, "\7\7\4\0\0\0\0\0", 8);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    dp_check(ep, &p, DP_MARKED(IP_OPTIONS), "%s: IP options", what);
    for (uint8_t ttl = 0; ttl < 3; ttl++) {
        dp_udp(&p, ep, s4, d4), pkt_ip4(&p)->ttl = ttl, pkt_sums(&p);
        dp_check(ep, &p, ttl < 2 ? DP_MARKED(TTL) : DP_PEER(to), "%s: TTL %u", what, ttl);
        dp_udp(&p, ep, s6, d6), pkt_ip6(&p)->hop_limit = ttl;
        dp_check(ep, &p, ttl < 2 ? DP_MARKED(TTL) : DP_PEER(to), "%s: hop limit %u", what, ttl);
    }

    dp_eth(&p, ep), pkt_ip(&p, s6, d6);
    pkt_opts(&p, 44, "\0\0\0\1\0\0\0\7", 8);
    pkt_udp(&p, 1, 2), pkt_fill(&p, 1, 20), pkt_done(&p);
    dp_check(ep, &p, DP_MARKED(FRAGMENT), "%s: first IPv6 fragment", what);
    dp_eth(&p, ep), pkt_ip(&p, s6, d6);
    pkt_opts(&p, 44, "\0\0\1\1\0\0\0\7", 8);
    pkt_l4(&p, 17, "abcdefgh", 8), pkt_done(&p);
    dp_check(ep, &p, DP_MARKED(FRAGMENT), "%s: later IPv6 fragment", what);
    static const uint8_t ext[] = {0, 43, 60};
    for (unsigned i = 0; i < sizeof(ext); i++) {
        dp_eth(&p, ep), pkt_ip(&p, s6, d6);
        pkt_opts(&p, ext[i], "\0\0\1\4\0\0\0\0", 8);
        pkt_udp(&p, 1, 2), pkt_done(&p);
        dp_check(ep, &p, DP_MARKED(IP_OPTIONS), "%s: extension header %u", what, ext[i]);
    }
    dp_eth(&p, ep), pkt_ip(&p, s6, d6);
    for (int i = 0; i < 5; i++)
        pkt_opts(&p, 60, "\0\0\1\4\0\0\0\0", 8);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    dp_check(ep, &p, DP_MARKED(IP_OPTIONS), "%s: five extension headers", what);
    dp_eth(&p, ep), pkt_ip(&p, s6, d6);
    for (int i = 0; i < 8; i++)
        pkt_opts(&p, 60, "\0\0\1\4\0\0\0\0", 8);
    pkt_udp(&p, 1, 2), pkt_done(&p);
    dp_check(ep, &p, DP_STACK(PROTOCOL), "%s: more than we follow", what);
    static const uint8_t protos[] = {132, 47, 50, 51, 4, 41, 33};
    for (unsigned i = 0; i < sizeof(protos); i++) {
        dp_eth(&p, ep), pkt_ip(&p, s4, d4), pkt_l4(&p, protos[i], "abcdefghijklmnop", 16);
        pkt_done(&p);
        dp_check(ep, &p, DP_STACK(PROTOCOL), "%s: protocol %u", what, protos[i]);
    }
    dp_eth(&p, ep), pkt_ip(&p, s6, d6), pkt_l4(&p, 132, "abcdefghijklmnop", 16), pkt_done(&p);
    dp_check(ep, &p, DP_STACK(PROTOCOL), "%s: SCTP over IPv6", what);
    dp_eth(&p, ep), pkt_ip(&p, s4, d4), pkt_icmp(&p, 8, 0, 7), pkt_fill(&p, 1, 50), pkt_done(&p);
    dp_check(ep, &p, DP_PEER(to), "%s: echo request, conntrack not asked", what);
    dp_eth(&p, ep), pkt_ip(&p, s6, d6), pkt_icmp(&p, 128, 0, 7), pkt_fill(&p, 1, 50), pkt_done(&p);
    dp_check(ep, &p, DP_PEER(to), "%s: ICMPv6 echo request, conntrack not asked", what);
}

static void large(void)
{
    const char *src[] = {"10.1.0.2", "fd00:1::2"}, *dst[] = {"10.1.0.3", "fd00:1::3"};
    const char *far[] = {"10.2.0.9", "fd00:2::9"};
    for (int v6 = 0; v6 < 2; v6++) {
        size_t l3 = v6 ? 40 : 20, mss = 1500 - l3 - 20;
        dp_tcp(&p, DP_A, src[v6], dst[v6], "A", mss);
        dp_check(DP_A, &p, DP_PEER(DP_B), "v%d: as large as the MTU", v6 ? 6 : 4);
        dp_tcp(&p, DP_A, src[v6], dst[v6], "A", mss + 1);
        dp_check(DP_A, &p, DP_MARKED(MTU), "v%d: a byte larger", v6 ? 6 : 4);
        dp_tcp(&p, DP_A, src[v6], far[v6], "A", mss);
        dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "v%d: as large as the wire's MTU", v6 ? 6 : 4);
        dp_tcp(&p, DP_A, src[v6], far[v6], "A", mss + 1);
        dp_check(DP_A, &p, DP_MARKED(MTU), "v%d: a byte larger, to the wire", v6 ? 6 : 4);

        dp_tcp(&p, DP_A, src[v6], dst[v6], "A", 3000);
        dp_next.gso_size = (uint32_t)mss;
        dp_check(DP_A, &p, DP_PEER(DP_B), "v%d: segments as large as the MTU", v6 ? 6 : 4);
        dp_next.gso_size = (uint32_t)mss + 1;
        dp_check(DP_A, &p, DP_MARKED(MTU), "v%d: segments a byte larger", v6 ? 6 : 4);
        ((struct tcphdr *)pkt_l4hdr(&p))->doff = 8; /* time stamps: the first bytes of payload */
        dp_next.gso_size = (uint32_t)mss - 12;
        dp_check(DP_A, &p, DP_PEER(DP_B), "v%d: segments with TCP options", v6 ? 6 : 4);
        dp_next.gso_size = (uint32_t)mss - 11;
        dp_check(DP_A, &p, DP_MARKED(MTU), "v%d: segments with TCP options, larger", v6 ? 6 : 4);
        dp_eth(&p, DP_A), pkt_ip(&p, src[v6], dst[v6]), pkt_udp(&p, 1, 2), pkt_fill(&p, 1, 3000);
        pkt_done(&p);
        dp_next.gso_size = (uint32_t)(1500 - l3 - 8);
        dp_check(DP_A, &p, DP_PEER(DP_B), "v%d: UDP segments", v6 ? 6 : 4);
        dp_next.gso_size = (uint32_t)(1500 - l3 - 7);
        dp_check(DP_A, &p, DP_MARKED(MTU), "v%d: UDP segments too large", v6 ? 6 : 4);
    }
    dp_sh("ip route change 10.2.0.0/16 via 192.168.9.2 mtu lock 1400");
    dp_udp(&p, DP_A, "10.1.0.2", "10.2.0.9");
    pkt_fill(&p, 2, 1340), pkt_done(&p); /* 1400 in all */
    dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "route with an MTU: fits");
    pkt_fill(&p, 2, 1), pkt_done(&p);
    dp_check(DP_A, &p, DP_MARKED(MTU), "route with an MTU: does not");
    dp_sh("ip route change 10.2.0.0/16 via 192.168.9.2");

    /* BIG TCP: the length fields cannot say it. */
    dp_tcp(&p, DP_A, "10.1.0.2", "10.1.0.3", "A", 3000);
    pkt_ip4(&p)->tot_len = 0, pkt_sums(&p);
    dp_next.gso_size = 1400;
    dp_check(DP_A, &p, DP_PEER(DP_B), "BIG TCP, IPv4");
    dp_tcp(&p, DP_A, "fd00:1::2", "fd00:1::3", "A", 3000);
    pkt_ip6(&p)->payload_len = 0;
    dp_next.gso_size = 1400;
    dp_check(DP_A, &p, DP_PEER(DP_B), "BIG TCP, IPv6 without jumbo option (newer kernels)");
    dp_eth(&p, DP_A), pkt_ip(&p, "fd00:1::2", "fd00:1::3");
    pkt_opts(&p, 0, "\0\0\xc2\4\0\0\x60\0", 8);
    pkt_tcp(&p, 1, 2, "A"), pkt_fill(&p, 1, 3000), pkt_done(&p);
    dp_next.gso_size = 1400;
    dp_check(DP_A, &p, DP_MARKED(IP_OPTIONS), "a jumbo option that was not needed");
    pkt_ip6(&p)->payload_len = 0;
    dp_next.gso_size = 1400;
    dp_check(DP_A, &p, DP_PEER(DP_B), "BIG TCP, IPv6");
    is_int(dp_last()->data[ETH_HLEN + 7], 63, "BIG TCP, IPv6: hop limit");
    dp_next.gso_size = 1460;
    dp_check(DP_A, &p, DP_MARKED(MTU), "BIG TCP, IPv6: segments too large");
    dp_check(DP_A, &p, DP_DROP(MALFORMED), "jumbo option without GSO");
}

int main(void)
{
    dp_open();
    malformed();
    unusual(DP_A, "pod");
    unusual(-1, "wire");
    large();
    return tap_done();
}
