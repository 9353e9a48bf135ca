/* SPDX-License-Identifier: Apache-2.0 */
/* Marks, and the guard: a pod can neither forge a mark nor go round the check, and nothing counts
 * twice. */
#include <arpa/inet.h>

#include "tests/bpf/dp.h"

static struct pkt p;

static void marks(void)
{
    const uint32_t forged[] = {DP_MARK, 0x4000, 0x8000, 0xffffffff, 1};
    for (unsigned i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        dp_udp(&p, DP_A, "10.1.0.2", "8.8.8.8");
        dp_next.mark = forged[i];
        dp_check(DP_A, &p, DP_STACK(OUTSIDE), "mark %#x of a pod's packet to the stack: cleared",
                 forged[i]);
        dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
        dp_next.mark = forged[i];
        dp_check(DP_A, &p, DP_PEER(DP_B), "mark %#x to a pod: cleared", forged[i]);
        dp_udp(&p, DP_A, "fd00:1::2", "fd00:2::3");
        dp_next.mark = forged[i];
        dp_check(DP_A, &p, DP_REDIRECT(dp.uplink), "mark %#x to the wire: cleared", forged[i]);
        dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
        pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
        dp_next.mark = forged[i];
        dp_check(DP_A, &p, DP_MARKED(TTL), "mark %#x: only ours is left", forged[i]);
        dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
        dp_next.mark = forged[i];
        dp_check(-1, &p, DP_PEER(DP_A), "mark %#x from the wire to a pod: cleared", forged[i]);
    }
    dp_udp(&p, -1, "8.8.8.8", "10.1.0.2");
    dp_next.mark = 0x4000 | DP_MARK;
    is_int(dp_wire(&p)->out_mark, 0x4000, "from the wire to the stack: others' marks stay");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
    pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
    is_int(dp_wire(&p)->out_mark, 0x4000 | DP_MARK, "and ours is added to them");
    memset(&dp_next, 0, offsetof(struct dp_run, data));
    dp.conf.mark = 0x20000;
    dp_conf();
    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
    is_int(dp_from(DP_A, &p)->out_mark, 0x20000, "another mark by configuration");
    dp.conf.mark = DP_MARK;
    dp_conf();
}

/* pw_netkit_guard: sees again what the peer hook has passed. */
static void guard(void)
{
    struct bpf_program *prog = dp.skel->progs.pw_netkit_guard;
#define GUARD(ep, want, name)                                                                      \
    do {                                                                                           \
        dp_next_prog = prog;                                                                       \
        dp_check((ep), &p, (want), "guard: " name);                                                \
    } while (0)

    dp_udp(&p, DP_B, "10.1.0.3", "8.8.8.8");
    dp_next_quiet = true;
    GUARD(DP_B, DP_STACK(OUTSIDE), "passed before: passed again, not counted again");
    dp_udp(&p, DP_B, "10.1.0.3", "10.1.0.4");
    pkt_ip4(&p)->ttl = 1, pkt_sums(&p);
    dp_next_quiet = true;
    GUARD(DP_B, DP_MARKED(TTL), "marked before: marked again");
    dp_udp(&p, DP_B, "10.1.0.3", "8.8.8.8");
    dp_next_quiet = true;
    dp_next.mark = DP_MARK;
    GUARD(DP_B, DP_STACK(OUTSIDE), "a forged mark is taken off");
    dp_udp(&p, DP_B, "10.1.0.2", "8.8.8.8");
    GUARD(DP_B, DP_DROP(SPOOF_IP4), "spoofed past the peer hook: dropped and counted");
    dp_udp(&p, DP_B, "fd00:1::2", "fd00:1::4");
    GUARD(DP_B, DP_DROP(SPOOF_IP6), "spoofed, IPv6");
    dp_udp(&p, DP_C, "10.1.0.4", "10.1.0.2");
    pkt_mac(pkt_ethhdr(&p)->h_source, "02:00:00:00:00:0a");
    GUARD(DP_C, DP_DROP(SPOOF_MAC), "another's MAC");

    /* Round the hook with a sound source: goes on as any, and is counted. */
    dp_udp(&p, DP_B, "10.1.0.3", "10.1.0.4");
    struct pw_count f = dp_count_from(DP_B);
    struct dp_run r = {.ifindex = dp.ep[DP_B].ifindex};
    dp_prog(prog, &p, &r, 1);
    is_int(r.verdict, 7, "guard: a sound packet is redirected");
    is_int(dp_count_from(DP_B).packets, f.packets + 1, "guard: and counted");
}

int main(void)
{
    dp_open();
    marks();
    guard();
    return tap_done();
}
