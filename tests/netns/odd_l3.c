/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments, other protocols, options, headers that are wrong, frames that are no IP. */
#include "tests/netns/odd_impl.h"

#include <arpa/inet.h>

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
        pkt_udp(o->p, odd_port(o), 9);
        odd_tag(o, n - 8);
        pkt_done(o->p);
        ((struct udphdr *)pkt_l4hdr(o->p))->check = o->flow->v6 ? 0x1234 : 0;
    } else {
        pkt_l4(o->p, IPPROTO_UDP, NULL, 0);
        odd_tag(o, n);
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
    uint16_t ports[2] = {htons(odd_port(o)), htons(9)};

    odd_link_and_ip(o);
    pkt_l4(o->p, nr, ports, sizeof(ports));
    odd_tag(o, 64);
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
    odd_link_and_ip(o);
    pkt_opts(o->p, type, bytes, n);
    pkt_udp(o->p, odd_port(o), 9);
    odd_tag(o, 64);
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
    odd_udp(o, 64);
    o->p->data[o->p->l3] ^= 0x30;
}
static void ip_ihl(struct odd *o)
{
    odd_udp(o, 64);
    o->p->data[o->p->l3] = o->flow->v6 ? 0x65 : 0x44;
    pkt_sums(o->p);
}
static void ip_sum(struct odd *o)
{
    odd_udp(o, 64);
    if (o->flow->v6)
        ((struct udphdr *)pkt_l4hdr(o->p))->check = 0;
    else
        pkt_ip4(o->p)->check ^= 0x1111;
}
static void ip_long(struct odd *o)
{
    odd_udp(o, 64);
    if (o->flow->v6)
        pkt_ip6(o->p)->payload_len = htons(900);
    else
        pkt_ip4(o->p)->tot_len = htons(900);
    pkt_sums(o->p);
}
static void ip_short(struct odd *o)
{
    odd_udp(o, 64);
    if (o->flow->v6)
        pkt_ip6(o->p)->payload_len = htons(4);
    else
        pkt_ip4(o->p)->tot_len = htons(12);
    pkt_sums(o->p);
}
static void ip_cut(struct odd *o)
{
    odd_udp(o, 64);
    o->p->len = o->p->l3 + 12;
}
static void l4_cut(struct odd *o)
{
    odd_udp(o, 64);
    o->p->len = o->p->l4 + 4;
}
static void ip_reserved(struct odd *o)
{
    odd_udp(o, 64);
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
    pkt_udp(o->p, odd_port(o), 9);
    odd_tag(o, 64);
    pkt_done(o->p);
}
static void l2_type(struct odd *o)
{
    odd_udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(0x88b5);
}
static void l2_wrong_family(struct odd *o)
{
    odd_udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(o->flow->v6 ? ETH_P_IP : ETH_P_IPV6);
}
static void l2_llc(struct odd *o)
{
    odd_udp(o, 64);
    pkt_ethhdr(o->p)->h_proto = htons(100);
}
static void l2_other(struct odd *o)
{
    odd_udp(o, 64);
    pkt_mac(o->p->data, "02:00:00:ee:ee:ee");
}
static void l2_broadcast(struct odd *o)
{
    odd_udp(o, 64);
    pkt_mac(o->p->data, "ff:ff:ff:ff:ff:ff");
}
static void l2_runt(struct odd *o)
{
    odd_udp(o, 64);
    o->p->len = 14;
}

const struct odd_kind odd_l3_kinds[] = {
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
const unsigned odd_l3_count = sizeof(odd_l3_kinds) / sizeof(odd_l3_kinds[0]);
