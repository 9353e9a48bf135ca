/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/ctl/packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint32_t sum(uint32_t s, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++)
        s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return s;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static size_t l4_header(const struct ctl_packet *p)
{
    switch (p->proto) {
    case IPPROTO_TCP:
        return sizeof(struct tcphdr);
    case IPPROTO_UDP:
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return 8;
    default:
        return 0;
    }
}

static void build_l4(const struct ctl_packet *p, uint8_t *l4, size_t len)
{
    size_t addr = p->src.family == 4 ? 4 : 16;
    uint32_t pseudo = sum(sum(0, p->src.b, addr), p->dst.b, addr) + p->proto + (uint32_t)len;

    if (p->proto == IPPROTO_TCP) {
        struct tcphdr h = {.th_sport = htons(p->sport),
                           .th_dport = htons(p->dport),
                           .th_off = 5,
                           .th_flags = TH_SYN,
                           .th_win = htons(65535)};
        memcpy(l4, &h, sizeof(h));
        h.th_sum = fold(sum(pseudo, l4, len));
        memcpy(l4, &h, sizeof(h));
    } else if (p->proto == IPPROTO_UDP) {
        struct udphdr h = {.uh_sport = htons(p->sport),
                           .uh_dport = htons(p->dport),
                           .uh_ulen = htons((uint16_t)len)};
        memcpy(l4, &h, sizeof(h));
        h.uh_sum = fold(sum(pseudo, l4, len));
        memcpy(l4, &h, sizeof(h));
    } else if (p->proto == IPPROTO_ICMP) {
        l4[0] = ICMP_ECHO;
        uint16_t c = fold(sum(0, l4, len));
        memcpy(l4 + 2, &c, 2);
    } else if (p->proto == IPPROTO_ICMPV6) {
        l4[0] = ICMP6_ECHO_REQUEST;
        uint16_t c = fold(sum(pseudo, l4, len));
        memcpy(l4 + 2, &c, 2);
    }
}

size_t ctl_packet_build(const struct ctl_packet *p, uint8_t out[CTL_PACKET_MAX])
{
    bool v4 = p->src.family == 4;
    size_t l3 = v4 ? sizeof(struct ip) : sizeof(struct ip6_hdr), l4 = l4_header(p);
    size_t len = p->size > l3 + l4 ? p->size : l3 + l4;
    struct ether_header eth = {.ether_type = htons(v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6)};

    if (sizeof(eth) + len > CTL_PACKET_MAX)
        return 0;
    memset(out, 0, sizeof(eth) + len);
    memcpy(eth.ether_dhost, p->dst_mac, 6);
    memcpy(eth.ether_shost, p->src_mac, 6);
    memcpy(out, &eth, sizeof(eth));
    uint8_t *ip = out + sizeof(eth);
    build_l4(p, ip + l3, len - l3);
    if (v4) {
        struct ip h = {.ip_v = 4,
                       .ip_hl = 5,
                       .ip_len = htons((uint16_t)len),
                       .ip_off = htons(IP_DF),
                       .ip_ttl = p->ttl,
                       .ip_p = p->proto};
        memcpy(&h.ip_src, p->src.b, 4);
        memcpy(&h.ip_dst, p->dst.b, 4);
        h.ip_sum = fold(sum(0, &h, sizeof(h)));
        memcpy(ip, &h, sizeof(h));
    } else {
        struct ip6_hdr h = {0};
        h.ip6_flow = htonl(6U << 28);
        h.ip6_plen = htons((uint16_t)(len - l3));
        h.ip6_nxt = p->proto;
        h.ip6_hlim = p->ttl;
        memcpy(&h.ip6_src, p->src.b, 16);
        memcpy(&h.ip6_dst, p->dst.b, 16);
        memcpy(ip, &h, sizeof(h));
    }
    return sizeof(eth) + len;
}

int ctl_proto_parse(const char *text, int family)
{
    char *end;

    if (strcasecmp(text, "tcp") == 0)
        return IPPROTO_TCP;
    if (strcasecmp(text, "udp") == 0)
        return IPPROTO_UDP;
    if (strcasecmp(text, "icmp") == 0 || strcasecmp(text, "icmpv6") == 0)
        return family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    if (strcasecmp(text, "sctp") == 0)
        return IPPROTO_SCTP;
    unsigned long n = strtoul(text, &end, 10);
    return *text && !*end && n < 256 ? (int)n : -1;
}

const char *ctl_proto_text(uint8_t proto, char buf[16])
{
    const char *name = proto == IPPROTO_TCP      ? "tcp"
                       : proto == IPPROTO_UDP    ? "udp"
                       : proto == IPPROTO_ICMP   ? "icmp"
                       : proto == IPPROTO_ICMPV6 ? "icmpv6"
                       : proto == IPPROTO_SCTP   ? "sctp"
                                                 : NULL;
    if (name)
        snprintf(buf, 16, "%s", name);
    else
        snprintf(buf, 16, "protocol %u", proto);
    return buf;
}

static void ports(const uint8_t *p, size_t len, uint8_t proto, const char *src, const char *dst,
                  bool v6, char *buf, size_t size)
{
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    char name[16];

    if (len < 4 || (proto != IPPROTO_TCP && proto != IPPROTO_UDP)) {
        snprintf(buf, size, "%s %s > %s", ctl_proto_text(proto, name), src, dst);
        return;
    }
    snprintf(buf, size, "%s %s%s%s:%u > %s%s%s:%u", ctl_proto_text(proto, name), open, src, close,
             (unsigned)p[0] << 8 | p[1], open, dst, close, (unsigned)p[2] << 8 | p[3]);
}

const char *ctl_packet_text(const uint8_t *frame, size_t len, char *buf, size_t size)
{
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
    const uint8_t *l3 = frame + 14;

    if (len < 14) {
        snprintf(buf, size, "%zu bytes", len);
        return buf;
    }
    unsigned type = (unsigned)frame[12] << 8 | frame[13];
    size_t n = len - 14;
    if (type == ETHERTYPE_IP && n >= 20 && l3[0] >> 4 == 4) {
        size_t hl = (size_t)(l3[0] & 15) * 4;
        inet_ntop(AF_INET, l3 + 12, src, sizeof(src));
        inet_ntop(AF_INET, l3 + 16, dst, sizeof(dst));
        ports(l3 + hl, n > hl ? n - hl : 0, l3[9], src, dst, false, buf, size);
    } else if (type == ETHERTYPE_IPV6 && n >= 40 && l3[0] >> 4 == 6) {
        inet_ntop(AF_INET6, l3 + 8, src, sizeof(src));
        inet_ntop(AF_INET6, l3 + 24, dst, sizeof(dst));
        ports(l3 + 40, n - 40, l3[6], src, dst, true, buf, size);
    } else if (type == ETHERTYPE_ARP && n >= 28) {
        inet_ntop(AF_INET, l3 + 14, src, sizeof(src));
        inet_ntop(AF_INET, l3 + 24, dst, sizeof(dst));
        snprintf(buf, size, "arp %s from %s for %s", l3[7] == 1 ? "request" : "reply", src, dst);
    } else {
        char from[PW_MAC_STRLEN], to[PW_MAC_STRLEN];
        snprintf(buf, size, "ethertype 0x%04x %s > %s", type, pw_mac_text(frame + 6, from),
                 pw_mac_text(frame, to));
    }
    return buf;
}
