/* SPDX-License-Identifier: Apache-2.0 */
/* UDP, TCP and ICMP, and offloads of the sender. */
#include "tests/netns/odd_impl.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>

static void tcp(struct odd *o, const char *flags, size_t n)
{
    odd_link_and_ip(o);
    pkt_tcp(o->p, odd_port(o), 9, flags);
    odd_tag(o, n);
    pkt_done(o->p);
}

static void icmp(struct odd *o, uint8_t t4, uint8_t t6, uint8_t code, uint32_t rest, size_t n)
{
    odd_link_and_ip(o);
    pkt_icmp(o->p, o->flow->v6 ? t6 : t4, code, rest);
    odd_tag(o, n);
    pkt_done(o->p);
}

static void echo(struct odd *o, size_t n)
{
    icmp(o, ICMP_ECHO, ICMPV6_ECHO_REQUEST, 0, (uint32_t)odd_port(o) << 16 | 1, n);
}

static void set_ttl(struct odd *o, uint8_t ttl)
{
    if (o->flow->v6)
        pkt_ip6(o->p)->hop_limit = ttl;
    else
        pkt_ip4(o->p)->ttl = ttl;
    pkt_sums(o->p);
}

static size_t full(const struct odd *o, size_t l4)
{
    return o->flow->mtu - (o->flow->v6 ? 40U : 20U) - l4;
}

/* --- UDP --- */
static void udp_plain(struct odd *o)
{
    odd_udp(o, 64);
    o->sound = true;
}
static void udp_empty(struct odd *o)
{
    odd_udp(o, 0);
}
static void udp_odd(struct odd *o)
{
    odd_udp(o, 33);
    o->sound = true;
}
static void udp_full(struct odd *o)
{
    odd_udp(o, full(o, 8));
}
static void udp_ttl0(struct odd *o)
{
    odd_udp(o, 64);
    set_ttl(o, 0);
}
static void udp_ttl1(struct odd *o)
{
    odd_udp(o, 64);
    set_ttl(o, 1);
}
static void udp_ttl2(struct odd *o)
{
    odd_udp(o, 64);
    set_ttl(o, 2);
}
static void udp_ttl255(struct odd *o)
{
    odd_udp(o, 64);
    set_ttl(o, 255);
    o->sound = true;
}
static void udp_badsum(struct odd *o)
{
    odd_udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->check ^= 0x1111;
}
static void udp_nosum(struct odd *o)
{
    odd_udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->check = 0;
}
static void udp_short(struct odd *o)
{
    odd_udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->len = htons(4);
}
static void udp_long(struct odd *o)
{
    odd_udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->len = htons(500);
}
static void udp_port0(struct odd *o)
{
    odd_udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->dest = 0;
    pkt_sums(o->p);
}
static void udp_tos(struct odd *o)
{
    odd_udp(o, 64);
    if (o->flow->v6) {
        pkt_ip6(o->p)->priority = 0xb;
        pkt_ip6(o->p)->flow_lbl[0] = 0x85; /* the rest of the class, and a flow label */
        pkt_ip6(o->p)->flow_lbl[2] = 0x77;
    } else {
        pkt_ip4(o->p)->tos = 0xb9;
        pkt_sums(o->p);
    }
    o->sound = true;
}
static void udp_df(struct odd *o)
{
    odd_udp(o, full(o, 8));
    if (!o->flow->v6) {
        pkt_ip4(o->p)->frag_off = htons(0x4000);
        pkt_sums(o->p);
    }
}
static void udp_padded(struct odd *o)
{
    odd_udp(o, 8);
    pkt_raw(o->p, NULL, 20);
    o->sound = true;
}

/* The checksum field as a kernel leaves it for the device: the pseudo header's sum. */
static void offload(struct odd *o, uint8_t gso_type, uint16_t gso_size)
{
    struct pkt *p = o->p;
    size_t n = p->len - p->l4;
    uint16_t sum = (uint16_t)~pkt_csum(NULL, 0, pkt_pseudo(p->data + p->l3, p->proto, n));

    if (p->proto == IPPROTO_UDP)
        ((struct udphdr *)pkt_l4hdr(p))->check = htons(sum);
    else
        ((struct tcphdr *)pkt_l4hdr(p))->check = htons(sum);
    *o->off = (struct odd_offload){.csum = true, .gso_type = gso_type, .gso_size = gso_size};
}
static void udp_offload(struct odd *o)
{
    odd_udp(o, 200);
    offload(o, 0, 0);
    o->sound = true;
}
static void udp_gso(struct odd *o)
{
    odd_udp(o, 8000);
    offload(o, VIRTIO_NET_HDR_GSO_UDP_L4, 1000);
}
static void udp_gso_full(struct odd *o)
{
    odd_udp(o, 5 * full(o, 8));
    offload(o, VIRTIO_NET_HDR_GSO_UDP_L4, (uint16_t)full(o, 8));
}

/* --- TCP; nobody listens, so that the far kernel answers with a reset --- */
static void tcp_syn(struct odd *o)
{
    tcp(o, "S", 0);
    o->sound = true;
}
static void tcp_syn_data(struct odd *o)
{
    tcp(o, "S", 64);
    o->sound = true;
}
static void tcp_synack(struct odd *o)
{
    tcp(o, "SA", 0);
}
static void tcp_ack(struct odd *o)
{
    tcp(o, "A", 64);
}
static void tcp_fin(struct odd *o)
{
    tcp(o, "FA", 0);
}
static void tcp_rst(struct odd *o)
{
    tcp(o, "R", 0);
}
static void tcp_xmas(struct odd *o)
{
    tcp(o, "FPU", 0);
}
static void tcp_null(struct odd *o)
{
    tcp(o, "", 0);
}
static void tcp_synfin(struct odd *o)
{
    tcp(o, "SF", 0);
}
static void tcp_full(struct odd *o)
{
    tcp(o, "A", full(o, 20));
}
static void tcp_badsum(struct odd *o)
{
    tcp(o, "S", 64);
    ((struct tcphdr *)pkt_l4hdr(o->p))->check ^= 0x1111;
}
static void tcp_doff(struct odd *o)
{
    tcp(o, "S", 64);
    ((struct tcphdr *)pkt_l4hdr(o->p))->doff = 15;
    pkt_sums(o->p);
}
static void tcp_doff_small(struct odd *o)
{
    tcp(o, "S", 64);
    ((struct tcphdr *)pkt_l4hdr(o->p))->doff = 2;
    pkt_sums(o->p);
}
static void tcp_cut(struct odd *o)
{
    uint8_t head[12] = {(uint8_t)(odd_port(o) >> 8), (uint8_t)odd_port(o), 0, 9};

    odd_link_and_ip(o);
    pkt_l4(o->p, IPPROTO_TCP, head, sizeof(head));
    pkt_done(o->p);
}
static void tcp_options(struct odd *o)
{
    static const uint8_t opts[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};

    odd_link_and_ip(o);
    pkt_tcp(o->p, odd_port(o), 9, "S");
    pkt_raw(o->p, opts, sizeof(opts));
    ((struct tcphdr *)pkt_l4hdr(o->p))->doff = 10;
    pkt_done(o->p);
    o->sound = true;
}
static void tcp_offload(struct odd *o)
{
    tcp(o, "A", 200);
    offload(o, 0, 0);
}
static void tcp_gso(struct odd *o)
{
    tcp(o, "A", 12000);
    offload(o, o->flow->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4, 1000);
}
static void tcp_gso_full(struct odd *o)
{
    tcp(o, "A", 12000);
    offload(o, o->flow->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
            (uint16_t)full(o, 20));
}

/* --- ICMP --- */
static void echo_plain(struct odd *o)
{
    echo(o, 56);
    o->sound = true;
}
static void echo_full(struct odd *o)
{
    echo(o, full(o, 8));
}
static void echo_ttl1(struct odd *o)
{
    echo(o, 56);
    set_ttl(o, 1);
}
static void echo_badsum(struct odd *o)
{
    echo(o, 56);
    ((struct icmphdr *)pkt_l4hdr(o->p))->checksum ^= 0x1111;
}
static void echo_reply(struct odd *o)
{
    icmp(o, ICMP_ECHOREPLY, ICMPV6_ECHO_REPLY, 0, (uint32_t)odd_port(o) << 16 | 1, 56);
}
static void echo_cut(struct odd *o)
{
    uint8_t head[4] = {o->flow->v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO};

    odd_link_and_ip(o);
    pkt_l4(o->p, o->flow->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, head, sizeof(head));
    pkt_done(o->p);
}
static void icmp_unknown(struct odd *o)
{
    icmp(o, 222, 222, 3, 0, 56);
}
static void icmp_timestamp(struct odd *o)
{
    icmp(o, ICMP_TIMESTAMP, 139, 0, odd_port(o) << 16U, 56);
}

/* An ICMP error about a packet that the destination sent us, `l4` bytes of which are quoted. */
static void icmp_error(struct odd *o, uint8_t t4, uint8_t t6, uint8_t code, uint32_t rest,
                       uint8_t proto, size_t l4)
{
    static struct pkt inner;

    pkt_start(&inner);
    pkt_eth(&inner, o->flow->src_mac, o->flow->dst_mac, 0);
    pkt_ip(&inner, o->flow->dst, o->flow->src);
    if (proto == IPPROTO_UDP)
        pkt_udp(&inner, 9, odd_port(o));
    else if (proto == IPPROTO_TCP)
        pkt_tcp(&inner, 9, odd_port(o), "A");
    else
        pkt_icmp(&inner, o->flow->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY, 0, odd_port(o) << 16U);
    pkt_fill(&inner, o->nr, 40);
    pkt_done(&inner);
    odd_link_and_ip(o);
    pkt_icmp(o->p, o->flow->v6 ? t6 : t4, code, rest);
    pkt_pay(o->p, inner.data + inner.l3, inner.l4 - inner.l3 + l4);
    pkt_done(o->p);
}
static void error_port(struct odd *o)
{
    icmp_error(o, ICMP_DEST_UNREACH, ICMPV6_DEST_UNREACH, o->flow->v6 ? 4 : 3, 0, IPPROTO_UDP, 40);
}
static void error_mtu(struct odd *o)
{
    icmp_error(o, ICMP_DEST_UNREACH, ICMPV6_PKT_TOOBIG, o->flow->v6 ? 0 : 4, 1400, IPPROTO_TCP, 28);
}
static void error_time(struct odd *o)
{
    icmp_error(o, ICMP_TIME_EXCEEDED, ICMPV6_TIME_EXCEED, 0, 0, IPPROTO_TCP, 28);
}
static void error_param(struct odd *o)
{
    icmp_error(o, ICMP_PARAMETERPROB, ICMPV6_PARAMPROB, 0, 0, IPPROTO_UDP, 28);
}
static void error_echo(struct odd *o)
{
    icmp_error(o, ICMP_DEST_UNREACH, ICMPV6_DEST_UNREACH, 1, 0, IPPROTO_ICMP, 28);
}
static void error_short(struct odd *o)
{
    icmp_error(o, ICMP_DEST_UNREACH, ICMPV6_DEST_UNREACH, 1, 0, IPPROTO_UDP, 8);
}
static void error_cut(struct odd *o)
{
    icmp_error(o, ICMP_DEST_UNREACH, ICMPV6_DEST_UNREACH, 1, 0, IPPROTO_UDP, 4);
}

const struct odd_kind odd_l4_kinds[] = {
    {"udp", udp_plain},
    {"udp-empty", udp_empty},
    {"udp-odd", udp_odd},
    {"udp-full", udp_full},
    {"udp-ttl0", udp_ttl0},
    {"udp-ttl1", udp_ttl1},
    {"udp-ttl2", udp_ttl2},
    {"udp-ttl255", udp_ttl255},
    {"udp-badsum", udp_badsum},
    {"udp-nosum", udp_nosum},
    {"udp-short", udp_short},
    {"udp-long", udp_long},
    {"udp-port0", udp_port0},
    {"udp-tos", udp_tos},
    {"udp-df", udp_df},
    {"udp-padded", udp_padded},
    {"udp-offload", udp_offload},
    {"udp-gso", udp_gso},
    {"udp-gso-full", udp_gso_full},
    {"tcp-syn", tcp_syn},
    {"tcp-syn-data", tcp_syn_data},
    {"tcp-synack", tcp_synack},
    {"tcp-ack", tcp_ack},
    {"tcp-fin", tcp_fin},
    {"tcp-rst", tcp_rst},
    {"tcp-xmas", tcp_xmas},
    {"tcp-null", tcp_null},
    {"tcp-synfin", tcp_synfin},
    {"tcp-full", tcp_full},
    {"tcp-badsum", tcp_badsum},
    {"tcp-doff", tcp_doff},
    {"tcp-doff-small", tcp_doff_small},
    {"tcp-cut", tcp_cut},
    {"tcp-options", tcp_options},
    {"tcp-offload", tcp_offload},
    {"tcp-gso", tcp_gso},
    {"tcp-gso-full", tcp_gso_full},
    {"echo", echo_plain},
    {"echo-full", echo_full},
    {"echo-ttl1", echo_ttl1},
    {"echo-badsum", echo_badsum},
    {"echo-reply", echo_reply},
    {"echo-cut", echo_cut},
    {"icmp-unknown", icmp_unknown},
    {"icmp-timestamp", icmp_timestamp},
    {"error-port", error_port},
    {"error-mtu", error_mtu},
    {"error-time", error_time},
    {"error-param", error_param},
    {"error-echo", error_echo},
    {"error-short", error_short},
    {"error-cut", error_cut},
};
const unsigned odd_l4_count = sizeof(odd_l4_kinds) / sizeof(odd_l4_kinds[0]);
