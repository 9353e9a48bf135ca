/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* Pods of this node to each other: device, helper, TTL, checksums, MACs, counters. */
#include "tests/bpf/dp.h"

static struct pkt p;
static const char names[] = "ABCT";

static bool sums_right(const struct dp_run *r, bool v6)
{
    const uint8_t *ip = r->data + ETH_HLEN;
    size_t hl = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr), n = r->len - ETH_HLEN - hl;
    uint8_t proto =
        v6 ? ((const struct ipv6hdr *)ip)->nexthdr : ((const struct iphdr *)ip)->protocol;

    return (v6 || pkt_csum(ip, hl, 0) == 0) && pkt_csum(ip + hl, n, pkt_pseudo(ip, proto, n)) == 0;
}

static void one(int from, int to, bool v6, bool tcp)
{
    const char *src = dp_addr_of(from, v6), *dst = dp_addr_of(to, v6);
    bool netkit = dp.ep[from].device == PW_DEV_NETKIT || dp.ep[from].device == PW_DEV_NETKIT_L2;
    bool peer = !netkit && dp.ep[to].device != PW_DEV_TAP;
    char name[64];
    snprintf(name, sizeof(name), "%c to %c, %s, %s", names[from], names[to], v6 ? "v6" : "v4",
             tcp ? "TCP" : "UDP");

    if (tcp)
        dp_tcp(&p, from, src, dst, "A", 100);
    else
        dp_udp(&p, from, src, dst);
    if (from == to) {
        dp_check(from, &p, DP_STACK(SELF), "%s: to itself, by the stack", name);
        return;
    }
    struct pw_count f = dp_count_from((enum dp_ep_name)from), t = dp_count_to((enum dp_ep_name)to);
    if (!dp_check(from, &p, peer ? DP_PEER(to) : DP_REDIRECT(dp.ep[to].ifindex), "%s", name))
        return;
    struct pw_count f2 = dp_count_from((enum dp_ep_name)from),
                    t2 = dp_count_to((enum dp_ep_name)to);
    struct dp_run *r = dp_last();
    const struct iphdr *ip4 = (const void *)(r->data + ETH_HLEN);
    const struct ipv6hdr *ip6 = (const void *)(r->data + ETH_HLEN);

    ok(f2.packets == f.packets + 2 && f2.bytes == f.bytes + 2 * p.len, "%s: counted at the sender",
       name);
    ok(t2.packets == t.packets + 2 && t2.bytes == t.bytes + 2 * p.len,
       "%s: counted at the receiver", name);
    ok(memcmp(r->data, dp.ep[to].mac, 6) == 0 && memcmp(r->data + 6, dp.ep[to].host_mac, 6) == 0,
       "%s: MACs are the receiver's", name);
    is_int(v6 ? ip6->hop_limit : ip4->ttl, 63, "%s: TTL is one less", name);
    ok(sums_right(r, v6), "%s: checksums are right", name);
    ok(r->len == p.len &&
           memcmp(r->data + p.l4, p.data + p.l4, p.len - p.l4) == 0, /* layer 4 and payload */
       "%s: the rest is untouched", name);
}

int main(void)
{
    dp_open();
    for (int v6 = 0; v6 < 2; v6++)
        for (int tcp = 0; tcp < 2; tcp++)
            for (int from = 0; from < DP_EPS; from++)
                for (int to = 0; to < DP_EPS; to++)
                    one(from, to, v6, tcp);

    /* Every TTL, since the header checksum is changed, not computed. */
    unsigned wrong = 0;
    for (unsigned ttl = 2; ttl < 256; ttl++)
        for (unsigned id = 0; id < 65536; id += 257) {
            dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
            pkt_ip4(&p)->ttl = (uint8_t)ttl;
            pkt_ip4(&p)->id = (uint16_t)id;
            pkt_sums(&p);
            wrong += !sums_right(dp_from(DP_A, &p), false);
        }
    is_int(wrong, 0, "header checksums with each TTL");
    dp_udp(&p, DP_C, "10.1.0.44", "10.1.0.3");
    dp_check(DP_C, &p, DP_REDIRECT(dp.ep[DP_B].ifindex), "from a second address");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.44");
    dp_check(DP_A, &p, DP_PEER(DP_C), "to a second address");
    return tap_done();
}
