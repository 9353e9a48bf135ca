/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets made by hand: layers are appended in order, fields that nobody sets are sound, and
 * pkt_done() fills in lengths and checksums. What shall be wrong is broken after that.
 *
 *     struct pkt p;
 *     pkt_start(&p);
 *     pkt_eth(&p, "02:00:00:00:00:02", "02:00:00:00:00:01", 0);
 *     pkt_ip(&p, "10.1.0.2", "10.1.0.3");
 *     pkt_udp(&p, 4000, 53);
 *     pkt_pay(&p, "hello", 5);
 *     pkt_done(&p);
 *     pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
 */
#ifndef PW_TESTS_PKT_H
#define PW_TESTS_PKT_H

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKT_MAX 66000

struct pkt {
    size_t len;
    /* Offsets from the start of data; 0: there is no such layer (l3: none before it either). */
    size_t l3, ext, l4, payload;
    uint16_t type; /* EtherType of l3 */
    uint8_t proto; /* of l4 */
    uint8_t data[PKT_MAX];
};

void pkt_start(struct pkt *p);
/* Any bytes at the end, as they are. */
void *pkt_raw(struct pkt *p, const void *bytes, size_t n);

/* EtherType 0: of the layer that comes next. MACs as text. */
void pkt_eth(struct pkt *p, const char *dst, const char *src, uint16_t type);
void pkt_vlan(struct pkt *p, uint16_t tci);

/* IPv4 or IPv6, by the addresses; hop limit 64, no options. */
void pkt_ip(struct pkt *p, const char *src, const char *dst);
/* IPv4 options or an IPv6 extension header (its first byte is filled in), a multiple of 4 or 8. */
void pkt_opts(struct pkt *p, uint8_t ext_type, const void *bytes, size_t n);

void pkt_udp(struct pkt *p, uint16_t sport, uint16_t dport);
/* flags: "S", "SA", "FPU"... */
void pkt_tcp(struct pkt *p, uint16_t sport, uint16_t dport, const char *flags);
/* ICMP or ICMPv6, by the layer below; `rest` is the second word in host order. */
void pkt_icmp(struct pkt *p, uint8_t type, uint8_t code, uint32_t rest);
/* A header that has no function here, with its IP protocol. */
void pkt_l4(struct pkt *p, uint8_t proto, const void *bytes, size_t n);
void pkt_pay(struct pkt *p, const void *bytes, size_t n);
/* n bytes of payload that follow from `seed`. */
void pkt_fill(struct pkt *p, uint32_t seed, size_t n);

void pkt_arp(struct pkt *p, uint16_t op, const char *sha, const char *spa, const char *tha,
             const char *tpa);

/* Lengths and checksums. pkt_sums: only the checksums, after a change. */
void pkt_done(struct pkt *p);
void pkt_sums(struct pkt *p);

static inline struct ethhdr *pkt_ethhdr(struct pkt *p)
{
    return (struct ethhdr *)p->data;
}
static inline struct iphdr *pkt_ip4(struct pkt *p)
{
    return (struct iphdr *)(p->data + p->l3);
}
static inline struct ipv6hdr *pkt_ip6(struct pkt *p)
{
    return (struct ipv6hdr *)(p->data + p->l3);
}
static inline void *pkt_l4hdr(struct pkt *p)
{
    return p->data + p->l4;
}

/* Internet checksum of bytes, folded onto `sum` (RFC 1071); 0 over what holds a right one. */
uint16_t pkt_csum(const void *data, size_t n, uint32_t sum);
/* Sum of the pseudo header of the IPv4 or IPv6 header at `ip`, for pkt_csum. */
uint32_t pkt_pseudo(const void *ip, uint8_t proto, size_t l4_len);
bool pkt_mac(uint8_t out[6], const char *text);

#endif
