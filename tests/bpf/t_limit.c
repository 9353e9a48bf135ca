/* SPDX-License-Identifier: Apache-2.0 */
/* Bandwidth limits: the account that programs keep, byte by byte; what passes, what is dropped, and
 * which departure time it gets. And that what goes to a limited endpoint goes by its way out. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <time.h>

#include "tests/bpf/dp.h"

#define SEC 1000000000ULL

static struct pkt p;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static void set(uint32_t dir, uint64_t rate, uint64_t depth, uint64_t next)
{
    struct pw_limit_key key = {dp.ep[DP_A].ifindex, dir};
    struct pw_limit l = {.rate = rate, .depth = depth, .next = next, .slot = dp.ep[DP_A].slot};
    if (bpf_map_update_elem(bpf_map__fd(dp.skel->maps.pw_limits), &key, &l, BPF_ANY))
        bail("write a limit");
}

static struct pw_limit get(uint32_t dir)
{
    struct pw_limit_key key = {dp.ep[DP_A].ifindex, dir};
    struct pw_limit l = {0};
    if (bpf_map_lookup_elem(bpf_map__fd(dp.skel->maps.pw_limits), &key, &l))
        bail("read a limit");
    return l;
}

static struct dp_run run(struct bpf_program *prog, uint32_t gso_size)
{
    struct dp_run r = {.ifindex = dp.ep[DP_A].ifindex, .gso_size = gso_size};
    dp_prog(prog, &p, &r, 1);
    return r;
}

static uint64_t dropped(uint32_t dir)
{
    return dp_reason(dp.ep[DP_A].slot, PW_BANDWIDTH, dir).packets;
}

static void account(const char *name, struct bpf_program *prog, uint32_t dir)
{
    const uint64_t rate = 1000000; /* 1 us for a byte */
    uint64_t t = now() + SEC, wrong = 0;

    dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
    pkt_fill(&p, 1, 900), pkt_done(&p);
    set(dir, rate, 100 * SEC, t);
    for (int i = 0; i < 50; i++) {
        struct dp_run r = run(prog, 0);
        wrong += r.verdict != TCX_NEXT;
        /* To a pod nothing is delayed: the packet has arrived. */
        wrong += r.tstamp != (dir == PW_FROM_POD ? t : 0);
        t += p.len * 1000;
        wrong += get(dir).next != t;
    }
    is_int(wrong, 0, "%s: 50 packets move the clock by their bytes, and get its time", name);
    is_int(get(dir).delayed, dir == PW_FROM_POD ? 50 : 0, "%s: as many are counted as delayed",
           name);

    /* Further ahead than the depth. */
    uint64_t before = dropped(dir);
    set(dir, rate, SEC / 2, t = now() + SEC);
    for (int i = 0; i < 3; i++)
        wrong += run(prog, 0).verdict != TCX_DROP;
    is_int(wrong, 0, "%s: too far ahead, so dropped", name);
    is_int(get(dir).next, t, "%s: what is dropped takes no time", name);
    is_int(dropped(dir) - before, 3, "%s: and has its reason", name);

    /* Idle: what was not used is gone. */
    set(dir, rate, 0, 5);
    uint64_t t0 = now();
    struct dp_run r = run(prog, 0);
    uint64_t next = get(dir).next;
    ok(r.verdict == TCX_NEXT && r.tstamp == 0 && next >= t0 + p.len * 1000 &&
           next <= now() + p.len * 1000,
       "%s: after a pause the first packet goes at once, and the clock starts from now", name);
    /* Whatever the time: with a clock that far ahead nothing else passes. */
    set(dir, 1, 0, 0);
    run(prog, 0);
    is_int(run(prog, 0).verdict, TCX_DROP, "%s: the next has to wait its turn", name);

    dp_tcp(&p, DP_A, "10.1.0.2", "10.1.0.3", "A", 2000);
    set(dir, rate, 100 * SEC, t = now() + SEC);
    run(prog, 1000); /* dp_prog makes it three segments */
    is_int(get(dir).next - t, (p.len + 2 * 54) * 1000, "%s: each segment has a header", name);
}

int main(void)
{
    dp_open();
    account("sent", dp.skel->progs.pw_limit_from, PW_FROM_POD);
    account("sent by netkit", dp.skel->progs.pw_netkit_limit_from, PW_FROM_POD);
    account("got", dp.skel->progs.pw_limit_to, PW_TO_POD);

    struct dp_run other = {.ifindex = dp.ep[DP_B].ifindex};
    dp_prog(dp.skel->progs.pw_limit_from, &p, &other, 1);
    is_int(other.verdict, TCX_NEXT, "an endpoint without a limit is not held");

    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
    dp_check(-1, &p, DP_PEER(DP_A), "from the wire to an endpoint: straight into it");
    dp.ep[DP_A].flags |= PW_EP_LIMITED;
    dp_addr(DP_A, "10.1.0.2");
    dp_udp(&p, -1, "10.2.0.9", "10.1.0.2");
    dp_check(-1, &p, DP_REDIRECT(dp.ep[DP_A].ifindex), "to a limited one: by its way out");
    return tap_done();
}
