/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/pkt.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pkt_start(struct pkt *p)
{
    memset(p, 0, offsetof(struct pkt, data));
}

void *pkt_raw(struct pkt *p, const void *bytes, size_t n)
{
    uint8_t *at = p->data + p->len;

    if (p->len + n > PKT_MAX)
        abort();
    if (bytes)
        memcpy(at, bytes, n);
    else
        memset(at, 0, n);
    p->len += n;
    return at;
}

bool pkt_mac(uint8_t out[6], const char *text)
{
    for (unsigned i = 0; i < 6; i++) {
        char *end;
        unsigned long byte = strtoul(text, &end, 16);
        if (end == text || byte > 255 || *end != (i < 5 ? ':' : '\0'))
            return false;
        out[i] = (uint8_t)byte;
        text = end + 1;
    }
    return true;
}

void pkt_eth(struct pkt *p, const char *dst, const char *src, uint16_t type)
{
    struct ethhdr *h = pkt_raw(p, NULL, sizeof(*h));

    if (!pkt_mac(h->h_dest, dst) || !pkt_mac(h->h_source, src))
        abort();
    h->h_proto = htons(type);
}

/* Write the type of what follows into the header before it, where that is still open. */
static void set_type(struct pkt *p, uint16_t type)
{
    uint8_t *field = p->data + p->len - 2;

    p->type = type;
    if (p->len && field[0] == 0 && field[1] == 0) {
        field[0] = (uint8_t)(type >> 8);
        field[1] = (uint8_t)type;
    }
}

void pkt_vlan(struct pkt *p, uint16_t tci)
{
    uint8_t tag[4] = {(uint8_t)(tci >> 8), (uint8_t)tci, 0, 0};

    set_type(p, ETH_P_8021Q);
    pkt_raw(p, tag, sizeof(tag));
}

void pkt_ip(struct pkt *p, const char *src, const char *dst)
{
    if (strchr(src, ':')) {
        struct ipv6hdr *h;
        set_type(p, ETH_P_IPV6);
        p->l3 = p->len;
        h = pkt_raw(p, NULL, sizeof(*h));
        h->version = 6;
        h->hop_limit = 64;
        h->nexthdr = IPPROTO_NONE;
        if (inet_pton(AF_INET6, src, &h->saddr) != 1 || inet_pton(AF_INET6, dst, &h->daddr) != 1)
            abort();
    } else {
        struct iphdr *h;
        set_type(p, ETH_P_IP);
        p->l3 = p->len;
        h = pkt_raw(p, NULL, sizeof(*h));
        h->version = 4;
        h->ihl = 5;
        h->ttl = 64;
        h->protocol = 255;
        if (inet_pton(AF_INET, src, &h->saddr) != 1 || inet_pton(AF_INET, dst, &h->daddr) != 1)
            abort();
    }
    p->ext = p->l4 = p->len;
}

static void set_proto(struct pkt *p, uint8_t proto)
{
    p->proto = proto;
    p->l4 = p->len;
    if (p->type == ETH_P_IP)
        pkt_ip4(p)->protocol = proto;
    else if (p->ext != p->len)
        p->data[p->ext] = proto; /* next header of the last extension */
    else
        pkt_ip6(p)->nexthdr = proto;
}

void pkt_opts(struct pkt *p, uint8_t ext_type, const void *bytes, size_t n)
{
    size_t at = p->len;

    if (p->type == ETH_P_IP) {
        pkt_ip4(p)->ihl += n / 4;
    } else {
        set_proto(p, ext_type);
        p->ext = at;
    }
    pkt_raw(p, bytes, n);
    p->l4 = p->len;
}

void pkt_l4(struct pkt *p, uint8_t proto, const void *bytes, size_t n)
{
    set_proto(p, proto);
    pkt_raw(p, bytes, n);
    p->payload = p->len;
}

void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport)
{
    struct udphdr h = {.source = htons(sport), .dest = htons(dport)};

    pkt_l4(p, IPPROTO_UDP, &h, sizeof(h));
}

void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, const char *flags)
{
    struct tcphdr h = {.source = htons(sport),
                       .dest = htons(dport),
                       .seq = htonl(1000),
                       .ack_seq = strchr(flags, 'A') ? htonl(2000) : 0,
                       .doff = 5,
                       .window = htons(4096)};

    h.syn = strchr(flags, 'S') != NULL;
    h.ack = strchr(flags, 'A') != NULL;
    h.fin = strchr(flags, 'F') != NULL;
    h.rst = strchr(flags, 'R') != NULL;
    h.psh = strchr(flags, 'P') != NULL;
    h.urg = strchr(flags, 'U') != NULL;
    pkt_l4(p, IPPROTO_TCP, &h, sizeof(h));
}

void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint32_t rest)
{
    struct icmphdr h = {.type = type, .code = code};

    h.un.gateway = htonl(rest);
    pkt_l4(p, p->type == ETH_P_IP ? IPPROTO_ICMP : IPPROTO_ICMPV6, &h, sizeof(h));
}

void pkt_pay(struct pkt *p, const void *bytes, size_t n)
{
    pkt_raw(p, bytes, n);
}

void pkt_fill(struct pkt *p, uint32_t seed, size_t n)
{
    uint8_t *at = pkt_raw(p, NULL, n);

    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)((seed * 2654435761U + i * 40503U) >> 11);
}

static void put_addr4(uint8_t *at, const char *text)
{
    if (inet_pton(AF_INET, text, at) != 1)
        abort();
}

void pkt_arp(struct pkt *p, uint16_t op, const char *sha, const char *spa, const char *tha,
             const char *tpa)
{
    uint8_t b[28] = {0, 1, 8, 0, 6, 4, (uint8_t)(op >> 8), (uint8_t)op};

    set_type(p, ETH_P_ARP);
    if (!pkt_mac(b + 8, sha) || !pkt_mac(b + 18, tha))
        abort();
    put_addr4(b + 14, spa);
    put_addr4(b + 24, tpa);
    p->l3 = p->len;
    pkt_raw(p, b, sizeof(b));
}

uint16_t pkt_csum(const void *data, size_t n, uint32_t sum)
{
    const uint8_t *b = data;

    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    if (n & 1)
        sum += (uint32_t)b[n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

uint32_t pkt_pseudo(const void *ip, uint8_t proto, size_t l4_len)
{
    const uint8_t *b = ip;
    bool v6 = b[0] >> 4 == 6;
    uint32_t sum = proto + (uint32_t)(l4_len & 0xffff) + (uint32_t)(l4_len >> 16);

    for (size_t i = v6 ? 8 : 12, end = v6 ? 40 : 20; i < end; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    return sum;
}

void pkt_sums(struct pkt *p)
{
    uint8_t *l4 = p->data + p->l4;
    size_t n = p->len - p->l4;
    uint32_t pseudo = pkt_pseudo(p->data + p->l3, p->proto, n);

    if (p->type == ETH_P_IP) {
        struct iphdr *h = pkt_ip4(p);
        h->check = 0;
        h->check = htons(pkt_csum(h, h->ihl * 4U, 0));
    } else if (p->type != ETH_P_IPV6) {
        return;
    }
    if (p->proto == IPPROTO_UDP && n >= sizeof(struct udphdr)) {
        struct udphdr *h = (struct udphdr *)l4;
        h->check = 0;
        h->check = htons(pkt_csum(l4, n, pseudo));
        if (!h->check)
            h->check = 0xffff;
    } else if (p->proto == IPPROTO_TCP && n >= sizeof(struct tcphdr)) {
        struct tcphdr *h = (struct tcphdr *)l4;
        h->check = 0;
        h->check = htons(pkt_csum(l4, n, pseudo));
    } else if ((p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) && n >= 8) {
        struct icmphdr *h = (struct icmphdr *)l4;
        h->checksum = 0;
        h->checksum = htons(pkt_csum(l4, n, p->proto == IPPROTO_ICMPV6 ? pseudo : 0));
    }
}

void pkt_done(struct pkt *p)
{
    if (p->type == ETH_P_IP)
        pkt_ip4(p)->tot_len = htons((uint16_t)(p->len - p->l3));
    else if (p->type == ETH_P_IPV6)
        pkt_ip6(p)->payload_len = htons((uint16_t)(p->len - p->l3 - sizeof(struct ipv6hdr)));
    if (p->proto == IPPROTO_UDP)
        ((struct udphdr *)pkt_l4hdr(p))->len = htons((uint16_t)(p->len - p->l4));
    pkt_sums(p);
}
