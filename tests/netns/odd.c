/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/netns/odd.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <string.h>

/* What is being made; the functions below fill it in. */
struct odd {
    struct pkt *p;
    const struct odd_flow *flow;
    struct odd_offload *off;
    uint16_t nr, round;
    bool sound;
};

static const uint8_t magic[4] = {'P', 'w', 'T', 0x9d};

static void tag(struct odd *o, size_t n)
{
    uint8_t unit[8] = {magic[0],       magic[1], magic[2], magic[3], (uint8_t)(o->nr >> 8),
                       (uint8_t)o->nr, 0x55,     0xaa};

    for (; n > 0; n -= n < 8 ? n : 8)
        pkt_pay(o->p, unit, n < 8 ? n : 8);
}

static void link_and_ip(struct odd *o)
{
    pkt_eth(o->p, o->flow->dst_mac, o->flow->src_mac, 0);
    pkt_ip(o->p, o->flow->src, o->flow->dst);
    if (!o->flow->v6)
        pkt_ip4(o->p)->id = htons((uint16_t)(o->nr ^ o->round << 12));
}

static uint16_t port(const struct odd *o)
{
    return (uint16_t)(ODD_PORT + o->nr);
}

/* A datagram of n bytes of payload. */
static void udp(struct odd *o, size_t n)
{
    link_and_ip(o);
    pkt_udp(o->p, port(o), 9);
    tag(o, n);
    pkt_done(o->p);
}

static void tcp(struct odd *o, const char *flags, size_t n)
{
    link_and_ip(o);
    pkt_tcp(o->p, port(o), 9, flags);
    tag(o, n);
    pkt_done(o->p);
}

static void icmp(struct odd *o, uint8_t t4, uint8_t t6, uint8_t code, uint32_t rest, size_t n)
{
    link_and_ip(o);
    pkt_icmp(o->p, o->flow->v6 ? t6 : t4, code, rest);
    tag(o, n);
    pkt_done(o->p);
}

static void echo(struct odd *o, size_t n)
{
    icmp(o, ICMP_ECHO, ICMPV6_ECHO_REQUEST, 0, (uint32_t)port(o) << 16 | 1, n);
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
    udp(o, 64);
    o->sound = true;
}
static void udp_empty(struct odd *o)
{
    udp(o, 0);
}
static void udp_odd(struct odd *o)
{
    udp(o, 33);
    o->sound = true;
}
static void udp_full(struct odd *o)
{
    udp(o, full(o, 8));
}
static void udp_ttl0(struct odd *o)
{
    udp(o, 64);
    set_ttl(o, 0);
}
static void udp_ttl1(struct odd *o)
{
    udp(o, 64);
    set_ttl(o, 1);
}
static void udp_ttl2(struct odd *o)
{
    udp(o, 64);
    set_ttl(o, 2);
}
static void udp_ttl255(struct odd *o)
{
    udp(o, 64);
    set_ttl(o, 255);
    o->sound = true;
}
static void udp_badsum(struct odd *o)
{
    udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->check ^= 0x1111;
}
static void udp_nosum(struct odd *o)
{
    udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->check = 0;
}
static void udp_short(struct odd *o)
{
    udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->len = htons(4);
}
static void udp_long(struct odd *o)
{
    udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->len = htons(500);
}
static void udp_port0(struct odd *o)
{
    udp(o, 64);
    ((struct udphdr *)pkt_l4hdr(o->p))->dest = 0;
    pkt_sums(o->p);
}
static void udp_tos(struct odd *o)
{
    udp(o, 64);
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
    udp(o, full(o, 8));
    if (!o->flow->v6) {
        pkt_ip4(o->p)->frag_off = htons(0x4000);
        pkt_sums(o->p);
    }
}
static void udp_padded(struct odd *o)
{
    udp(o, 8);
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
    udp(o, 200);
    offload(o, 0, 0);
    o->sound = true;
}
static void udp_gso(struct odd *o)
{
    udp(o, 8000);
    offload(o, VIRTIO_NET_HDR_GSO_UDP_L4, 1000);
}
static void udp_gso_full(struct odd *o)
{
    udp(o, 5 * full(o, 8));
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
    uint8_t head[12] = {(uint8_t)(port(o) >> 8), (uint8_t)port(o), 0, 9};

    link_and_ip(o);
    pkt_l4(o->p, IPPROTO_TCP, head, sizeof(head));
    pkt_done(o->p);
}
static void tcp_options(struct odd *o)
{
    static const uint8_t opts[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};

    link_and_ip(o);
    pkt_tcp(o->p, port(o), 9, "S");
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
    icmp(o, ICMP_ECHOREPLY, ICMPV6_ECHO_REPLY, 0, (uint32_t)port(o) << 16 | 1, 56);
}
static void echo_cut(struct odd *o)
{
    uint8_t head[4] = {o->flow->v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO};

    link_and_ip(o);
    pkt_l4(o->p, o->flow->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, head, sizeof(head));
    pkt_done(o->p);
}
static void icmp_unknown(struct odd *o)
{
    icmp(o, 222, 222, 3, 0, 56);
}
static void icmp_timestamp(struct odd *o)
{
    icmp(o, ICMP_TIMESTAMP, 139, 0, port(o) << 16U, 56);
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
        pkt_udp(&inner, 9, port(o));
    else if (proto == IPPROTO_TCP)
        pkt_tcp(&inner, 9, port(o), "A");
    else
        pkt_icmp(&inner, o->flow->v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY, 0, port(o) << 16U);
    pkt_fill(&inner, o->nr, 40);
    pkt_done(&inner);
    link_and_ip(o);
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

/* --- fragments --- */
static void fragment(struct odd *o, uint16_t offset, bool more, size_t n)
{
    uint8_t ext[8] = {0,
                      0,
                      (uint8_t)(offset >> 8),
                      (uint8_t)((offset & 0xf8U) | more),
                      (uint8_t)o->round,
                      0,
                      (uint8_t)(o->nr >> 8),
                      (uint8_t)o->nr};

    pkt_eth(o->p, o->flow->dst_mac, o->flow->src_mac, 0);
    pkt_ip(o->p, o->flow->src, o->flow->dst);
    if (o->flow->v6) {
        pkt_opts(o->p, IPPROTO_FRAGMENT, ext, sizeof(ext));
    } else {
        pkt_ip4(o->p)->id = htons((uint16_t)(o->nr ^ o->round << 12));
        pkt_ip4(o->p)->frag_off = htons((uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
    }
    if (offset == 0) {
        pkt_udp(o->p, port(o), 9);
        tag(o, n - 8);
        pkt_done(o->p);
        ((struct udphdr *)pkt_l4hdr(o->p))->check = o->flow->v6 ? 0x1234 : 0;
    } else {
        pkt_l4(o->p, IPPROTO_UDP, NULL, 0);
        tag(o, n);
        pkt_done(o->p);
    }
}
static void frag_first(struct odd *o)
{
    fragment(o, 0, true, 512);
}
static void frag_middle(struct odd *o)
{
    fragment(o, 512, true, 512);
}
static void frag_last(struct odd *o)
{
    fragment(o, 1024, false, 100);
}
static void frag_only(struct odd *o)
{
    fragment(o, 0, false, 256); /* IPv4: no fragment; IPv6: an atomic one, RFC 6946 */
}
static void frag_beyond(struct odd *o)
{
    fragment(o, 65528, false, 512);
}

/* --- other protocols, options, what is not IP at all --- */
static void proto(struct odd *o, uint8_t nr)
{
    uint16_t ports[2] = {htons(port(o)), htons(9)};

    link_and_ip(o);
    pkt_l4(o->p, nr, ports, sizeof(ports));
    tag(o, 64);
    pkt_done(o->p);
}
static void proto_sctp(struct odd *o)
{
    proto(o, IPPROTO_SCTP);
}
static void proto_gre(struct odd *o)
{
    proto(o, IPPROTO_GRE);
}
static void proto_esp(struct odd *o)
{
    proto(o, IPPROTO_ESP);
}
static void proto_ah(struct odd *o)
{
    proto(o, IPPROTO_AH);
}
static void proto_ipip(struct odd *o)
{
    proto(o, o->flow->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
}
static void proto_dccp(struct odd *o)
{
    proto(o, 33);
}
static void proto_udplite(struct odd *o)
{
    proto(o, 136);
}
static void proto_none(struct odd *o)
{
    proto(o, 59);
}
static void proto_255(struct odd *o)
{
    proto(o, 255);
}
static void proto_other_icmp(struct odd *o)
{
    proto(o, o->flow->v6 ? 1 : 58);
}

static void options(struct odd *o, uint8_t type, const uint8_t *bytes, size_t n)
{
    link_and_ip(o);
    pkt_opts(o->p, type, bytes, n);
    pkt_udp(o->p, port(o), 9);
    tag(o, 64);
    pkt_done(o->p);
}
static void opt_nop(struct odd *o)
{
    static const uint8_t v4[] = {1, 1, 1, 0}, v6[] = {0, 0, 1, 4, 0, 0, 0, 0};
    options(o, IPPROTO_HOPOPTS, o->flow->v6 ? v6 : v4, o->flow->v6 ? 8 : 4);
}
static void opt_route(struct odd *o)
{
    static const uint8_t v4[] = {131, 7, 4, 10, 2, 0, 2, 0}, v6[] = {0, 0, 0, 0, 0, 0, 0, 0};
    options(o, IPPROTO_ROUTING, o->flow->v6 ? v6 : v4, 8);
}
static void opt_alert(struct odd *o)
{
    static const uint8_t v4[] = {148, 4, 0, 0}, v6[] = {0, 0, 5, 2, 0, 0, 1, 0};
    options(o, IPPROTO_HOPOPTS, o->flow->v6 ? v6 : v4, o->flow->v6 ? 8 : 4);
}
static void opt_record(struct odd *o)
{
    static const uint8_t v4[] = {7, 7, 4, 0, 0, 0, 0, 0}, v6[] = {0, 0, 1, 4, 0, 0, 0, 0};
    options(o, IPPROTO_DSTOPTS, o->flow->v6 ? v6 : v4, 8);
}
static void opt_bad(struct odd *o)
{
    static const uint8_t v4[] = {7, 40, 4, 0}, v6[] = {0, 9, 1, 4, 0, 0, 0, 0};
    options(o, IPPROTO_DSTOPTS, o->flow->v6 ? v6 : v4, o->flow->v6 ? 8 : 4);
}

static void ip_version(struct odd *o)
{
    udp(o, 64);
    o->p->data[o->p->l3] ^= 0x30;
}
static void ip_ihl(struct odd *o)
{
    udp(o, 64);
    o->p->data[o->p->l3] = o->flow->v6 ? 0x65 : 0x44;
    pkt_sums(o->p);
}
static void ip_sum(struct odd *o)
{
    udp(o, 64);
    if (o->flow->v6)
        ((struct udphdr *)pkt_l4hdr(o->p))->check = 0;
    else
        pkt_ip4(o->p)->check ^= 0x1111;
}
static void ip_long(struct odd *o)
{
    udp(o, 64);
    if (o->flow->v6)
        pkt_ip6(o->p)->payload_len = htons(900);
    else
        pkt_ip4(o->p)->tot_len = htons(900);
    pkt_sums(o->p);
}
static void ip_short(struct odd *o)
{
    udp(o, 64);
    if (o->flow->v6)
        pkt_ip6(o->p)->payload_len = htons(4);
    else
        pkt_ip4(o->p)->tot_len = htons(12);
    pkt_sums(o->p);
}
static void ip_cut(struct odd *o)
{
    udp(o, 64);
    o->p->len = o->p->l3 + 12;
}
static void l4_cut(struct odd *o)
{
    udp(o, 64);
    o->p->len = o->p->l4 + 4;
}
static void ip_reserved(struct odd *o)
{
    udp(o, 64);
    if (!o->flow->v6) {
        pkt_ip4(o->p)->frag_off = htons(0x8000);
        pkt_sums(o->p);
    }
}
static void l2_vlan(struct odd *o)
{
    pkt_eth(o->p, o->flow->dst_mac, o->flow->src_mac, 0);
    pkt_vlan(o->p, 7);
    pkt_ip(o->p, o->flow->src, o->flow->dst);
    pkt_udp(o->p, port(o), 9);
    tag(o, 64);
    pkt_done(o->p);
}
static void l2_type(struct odd *o)
{
    udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(0x88b5);
}
static void l2_wrong_family(struct odd *o)
{
    udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(o->flow->v6 ? ETH_P_IP : ETH_P_IPV6);
}
static void l2_llc(struct odd *o)
{
    udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(100);
}
static void l2_other(struct odd *o)
{
    udp(o, 64);
    pkt_mac(o->p->data, "02:00:00:ee:ee:ee");
}
static void l2_broadcast(struct odd *o)
{
    udp(o, 64);
    pkt_mac(o->p->data, "ff:ff:ff:ff:ff:ff");
}
static void l2_runt(struct odd *o)
{
    udp(o, 64);
    o->p->len = 14;
}

static const struct {
    const char *name;
    void (*make)(struct odd *o);
} kinds[] = {
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
    {"frag-first", frag_first},
    {"frag-middle", frag_middle},
    {"frag-last", frag_last},
    {"frag-only", frag_only},
    {"frag-beyond", frag_beyond},
    {"sctp", proto_sctp},
    {"gre", proto_gre},
    {"esp", proto_esp},
    {"ah", proto_ah},
    {"ipip", proto_ipip},
    {"dccp", proto_dccp},
    {"udplite", proto_udplite},
    {"none", proto_none},
    {"proto-255", proto_255},
    {"other-icmp", proto_other_icmp},
    {"opt-nop", opt_nop},
    {"opt-route", opt_route},
    {"opt-alert", opt_alert},
    {"opt-record", opt_record},
    {"opt-bad", opt_bad},
    {"ip-version", ip_version},
    {"ip-ihl", ip_ihl},
    {"ip-sum", ip_sum},
    {"ip-long", ip_long},
    {"ip-short", ip_short},
    {"ip-cut", ip_cut},
    {"l4-cut", l4_cut},
    {"ip-reserved", ip_reserved},
    {"l2-vlan", l2_vlan},
    {"l2-type", l2_type},
    {"l2-wrong-family", l2_wrong_family},
    {"l2-llc", l2_llc},
    {"l2-other", l2_other},
    {"l2-broadcast", l2_broadcast},
    {"l2-runt", l2_runt},
};

unsigned odd_count(bool v6)
{
    (void)v6;
    return sizeof(kinds) / sizeof(kinds[0]);
}

const char *odd_make(struct pkt *p, struct odd_offload *off, bool *sound, unsigned kind,
                     const struct odd_flow *flow, uint16_t nr, uint16_t round)
{
    struct odd o = {.p = p, .flow = flow, .off = off, .nr = nr, .round = round};

    pkt_start(p);
    *off = (struct odd_offload){0};
    kinds[kind].make(&o);
    *sound = o.sound;
    return kinds[kind].name;
}

/* The number in ports or echo identifier of the first bytes of layer 4. */
static int number_of_l4(uint8_t proto, const uint8_t *b, size_t n)
{
    int first, second;

    if (n < 8)
        return -1;
    first = (b[0] << 8 | b[1]) - ODD_PORT;
    second = (b[2] << 8 | b[3]) - ODD_PORT;
    if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
        return (b[4] << 8 | b[5]) - ODD_PORT;
    return first >= 0 && first < ODD_PORT ? first : second;
}

int odd_number(const uint8_t *ip, size_t len)
{
    const uint8_t *at = memmem(ip, len, magic, sizeof(magic));
    bool v6 = len > 0 && ip[0] >> 4 == 6;
    size_t head = len == 0 ? 0 : v6 ? 40 : (ip[0] & 15U) * 4U;
    uint8_t proto, type;

    /* All of the unit: a time stamp's answer holds the first half only. */
    if (at && at + 8 <= ip + len && at[6] == 0x55 && at[7] == 0xaa)
        return at[4] << 8 | at[5];
    if (len < head + 4 || head < 20)
        return -1;
    proto = ip[v6 ? 6 : 9];
    type = ip[head];
    if ((proto == IPPROTO_ICMP &&
         (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)) ||
        (proto == IPPROTO_ICMPV6 && type < 128))
        return len > head + 8 ? odd_number(ip + head + 8, len - head - 8) : -1;
    return number_of_l4(proto, ip + head, len - head);
}
