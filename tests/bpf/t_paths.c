/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/* Remembered paths: each for its own packets only, and not for long. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>
#include <unistd.h>

#include "tests/bpf/dp.h"

static struct pkt p, q;

static const struct timespec nap = {.tv_nsec = 45000000}; /* two jiffies and more, at any HZ */

static uint32_t slot_of(const char *src, const char *dst)
{
    uint32_t a[2] = {inet_addr(src), inet_addr(dst)};
    uint64_t x;
    memcpy(&x, a, 8);
    return (uint32_t)(x * 0x9e3779b97f4a7c15ULL >> 54);
}

/* Two destinations of pod A that share an entry of the table. */
static void collisions(void)
{
    char other[32] = "";
    uint32_t want = slot_of("10.1.0.2", "10.1.0.3");
    for (unsigned i = 0; i < 65536 && !other[0]; i++) {
        snprintf(other, sizeof(other), "10.2.%u.%u", i >> 8, i & 255);
        if (slot_of("10.1.0.2", other) != want)
            other[0] = 0;
    }
    ok(other[0], "%s shares an entry with 10.1.0.3", other);
    dp_conf();
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_udp(&q, DP_A, "10.1.0.2", other);
    unsigned wrong = 0;
    for (int i = 0; i < 20; i++) {
        struct pw_count to = dp_count_to(DP_B);
        struct dp_run *r = dp_from(DP_A, &p);
        wrong += r->verdict != 7 || memcmp(r->data, dp.ep[DP_B].mac, 6) ||
                 dp_count_to(DP_B).packets != to.packets + 1;
        uint8_t mac[6];
        pkt_mac(mac, DP_PEER_MAC);
        r = dp_from(DP_A, &q);
        wrong += r->verdict != 7 || memcmp(r->data, mac, 6) ||
                 dp_count_to(DP_B).packets != to.packets + 1;
    }
    is_int(wrong, 0, "packets of both go their own ways");
}

/* A known path is no pass for another device or MAC. */
static void others(void)
{
    dp_conf();
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_udp(&q, DP_A, "fd00:1::2", "fd00:1::3");
    for (int i = 0; i < 3; i++) {
        is_int(dp_from(DP_A, &p)->verdict, 7, "the pod itself");
        is_int(dp_from(DP_A, &q)->verdict, 7, "the pod itself, IPv6");
        p.data[11] ^= 1, q.data[11] ^= 1;
        is_int(dp_from(DP_A, &p)->verdict, TCX_DROP, "another MAC");
        is_int(dp_from(DP_A, &q)->verdict, TCX_DROP, "another MAC, IPv6");
        p.data[11] ^= 1, q.data[11] ^= 1;
        dp_from(DP_A, &p), dp_from(DP_A, &q);
        dp_next.ifindex = dp.ep[DP_C].ifindex;
        is_int(dp_from(DP_A, &p)->verdict, TCX_DROP, "the same frame by another device");
        is_int(dp_from(DP_A, &q)->verdict, TCX_DROP, "the same by another device, IPv6");
        memset(&dp_next, 0, offsetof(struct dp_run, data));
    }
}

static void forgotten(void)
{
    uint32_t key = inet_addr("10.1.0.2");
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    dp_udp(&q, -1, "10.2.0.9", "10.1.0.2");
    dp_conf();
    is_int(dp_from(DP_A, &p)->verdict, 7, "address is there");
    is_int(dp_wire(&q)->verdict, 7, "and reached from the wire");
    if (bpf_map_delete_elem(bpf_map__fd(dp.skel->maps.pw_ip4), &key))
        bail("delete");
    nanosleep(&nap, NULL);
    is_int(dp_from(DP_A, &p)->verdict, TCX_DROP, "gone, without a new generation: soon");
    is_int(dp_wire(&q)->verdict, TCX_NEXT, "and not reached any more");
    dp_addr(DP_A, "10.1.0.2");
    is_int(dp_from(DP_A, &p)->verdict, 7, "there again");
    dp_addr(-1, "10.1.0.2");
    is_int(dp_from(DP_A, &p)->verdict, TCX_DROP, "gone, with a new generation: at once");
    dp_addr(DP_A, "10.1.0.2");

    dp_udp(&p, DP_A, "10.1.0.2", "10.2.0.9");
    is_int(dp_from(DP_A, &p)->verdict, 7, "route is there");
    dp_sh("ip route del 10.2.0.0/16");
    nanosleep(&nap, NULL);
    is_int(dp_from(DP_A, &p)->verdict, TCX_NEXT, "route is gone");
    dp_sh("ip route add 10.2.0.0/16 via 192.168.9.2");
    nanosleep(&nap, NULL);
    is_int(dp_from(DP_A, &p)->verdict, 7, "route is back: nothing bad is remembered for long");
    dp_sh("ip neigh change 192.168.9.2 lladdr 02:00:00:00:09:99 dev up0 nud permanent");
    nanosleep(&nap, NULL);
    uint8_t mac[6];
    pkt_mac(mac, "02:00:00:00:09:99");
    is_mem(dp_from(DP_A, &p)->data, mac, 6, "neighbour has moved");
}

int main(void)
{
    dp_open();
    collisions();
    others();
    forgotten();
    return tap_done();
}
