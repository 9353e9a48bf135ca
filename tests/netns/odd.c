/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/netns/odd_impl.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t magic[4] = {'P', 'w', 'T', 0x9d};

void odd_tag(struct odd *o, size_t n)
{
    uint8_t unit[8] = {magic[0],       magic[1], magic[2], magic[3], (uint8_t)(o->nr >> 8),
                       (uint8_t)o->nr, 0x55,     0xaa};

    for (; n > 0; n -= n < 8 ? n : 8)
        pkt_pay(o->p, unit, n < 8 ? n : 8);
}

void odd_link_and_ip(struct odd *o)
{
    pkt_eth(o->p, o->flow->dst_mac, o->flow->src_mac, 0);
    pkt_ip(o->p, o->flow->src, o->flow->dst);
    if (!o->flow->v6)
        pkt_ip4(o->p)->id = htons((uint16_t)(o->nr ^ o->round << 12));
}

uint16_t odd_port(const struct odd *o)
{
    return (uint16_t)(ODD_PORT + o->nr);
}

void odd_udp(struct odd *o, size_t n)
{
    odd_link_and_ip(o);
    pkt_udp(o->p, odd_port(o), 9);
    odd_tag(o, n);
    pkt_done(o->p);
}

unsigned odd_count(bool v6)
{
    (void)v6;
    return odd_l4_count + odd_l3_count;
}

const char *odd_make(struct pkt *p, struct odd_offload *off, bool *sound, unsigned kind,
                     const struct odd_flow *flow, uint16_t nr, uint16_t round)
{
    struct odd o = {.p = p, .flow = flow, .off = off, .nr = nr, .round = round};
    const struct odd_kind *k;

    pkt_start(p);
    *off = (struct odd_offload){0};
    k = kind < odd_l4_count ? &odd_l4_kinds[kind] : &odd_l3_kinds[kind - odd_l4_count];
    k->make(&o);
    *sound = o.sound;
    return k->name;
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
