/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs cost: nanoseconds per packet by BPF_PROG_TEST_RUN, less those of an empty
 * program, for each common path. Under an emulator that counts instructions as nanoseconds
 * (qemu -icount shift=0) these are instructions.
 * usage: cost [REPEAT]
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "tests/bpf/dp.h"

static struct pkt p;
static struct dp_run r;
static unsigned repeat = 100000;
static uint32_t base;

static void cost_empty(void)
{
    struct bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", insns, 2, NULL);
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = p.data, .data_size_in = (uint32_t)p.len,
                .repeat = (int)repeat);
    if (fd < 0 || bpf_prog_test_run_opts(fd, &opts))
        bail("empty program");
    base = opts.duration;
}

static void cost(const char *name, struct bpf_program *prog, uint32_t ifindex)
{
    /* TTL goes down with every repetition, so the packet must last: runs of 60. The kernel times a
     * call as a whole, its overhead is part of no run. */
    unsigned n = repeat;
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < n / 200; i++) {
        memset(&r, 0, offsetof(struct dp_run, data));
        r.ifindex = ifindex;
        dp_prog(prog, &p, &r, 200);
        if (r.ns < best)
            best = r.ns;
    }
    printf("%-44s %6d ns  (verdict %d)\n", name, (int)best - (int)base, r.verdict);
}

static void packet(const char *mac, const char *src, const char *dst, bool tcp)
{
    pkt_start(&p);
    pkt_eth(&p, mac ? DP_HOST_MAC : DP_UP_MAC, mac ? mac : "02:00:00:00:09:02", 0);
    pkt_ip(&p, src, dst);
    if (tcp)
        pkt_tcp(&p, 4000, 5000, "A");
    else
        pkt_udp(&p, 4000, 5000);
    pkt_fill(&p, 1, 64);
    if (strchr(src, ':'))
        pkt_ip6(&p)->hop_limit = 255;
    else
        pkt_ip4(&p)->ttl = 255;
    pkt_done(&p);
}

static void paths(const char *what, bool tcp)
{
    struct pw_datapath *s = dp.skel;
    char name[80];
    const struct {
        const char *name, *mac, *src, *dst;
        struct bpf_program *prog;
        uint32_t ifindex;
    } list[] = {
        {"netkit L3 -> pod, v4", "00:00:00:00:00:00", "10.1.0.3", "10.1.0.2",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
        {"netkit L3 -> pod, v6", "00:00:00:00:00:00", "fd00:1::3", "fd00:1::2",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
        {"veth -> pod, v4", DP_HOST_MAC, "10.1.0.2", "10.1.0.4", s->progs.pw_veth_from_pod,
         dp.ep[DP_A].ifindex},
        {"veth -> pod, v6", DP_HOST_MAC, "fd00:1::2", "fd00:1::4", s->progs.pw_veth_from_pod,
         dp.ep[DP_A].ifindex},
        {"netkit L3 -> wire, v4", "00:00:00:00:00:00", "10.1.0.3", "10.2.0.2",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
        {"netkit L3 -> wire, v6", "00:00:00:00:00:00", "fd00:1::3", "fd00:2::2",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
        {"wire -> pod, v4", NULL, "10.2.0.2", "10.1.0.2", s->progs.pw_from_uplink, dp.uplink},
        {"wire -> pod, v6", NULL, "fd00:2::2", "fd00:1::2", s->progs.pw_from_uplink, dp.uplink},
        {"wire -> host, v4", NULL, "10.2.0.2", "192.168.9.1", s->progs.pw_from_uplink, dp.uplink},
        {"wire -> host, v6", NULL, "fd00:2::2", "fd00:9::1", s->progs.pw_from_uplink, dp.uplink},
        {"netkit L3 -> outside, v4", "00:00:00:00:00:00", "10.1.0.3", "8.8.8.8",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
        {"netkit L3 spoofed, v4", "00:00:00:00:00:00", "10.1.0.77", "8.8.8.8",
         s->progs.pw_netkit_from_pod, dp.ep[DP_B].ifindex},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        packet(list[i].mac, list[i].src, list[i].dst, tcp);
        snprintf(name, sizeof(name), "%s%s", list[i].name, what);
        cost(name, list[i].prog, list[i].ifindex);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        repeat = (unsigned)atoi(argv[1]);
    dp_open();
    /* The packet is rewritten in place, again and again: its source must stay one that passes. */
    pkt_mac(dp.ep[DP_A].mac, DP_HOST_MAC);
    dp_addr(DP_A, "10.1.0.2");
    dp_addr(DP_A, "fd00:1::2");
    packet("02:00:00:00:00:0a", "10.1.0.2", "10.1.0.3", false);
    cost_empty();
    printf("%-44s %6u ns\n", "empty program", base);
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE);
    paths("", false);
    dp_flags(PW_CONF_REDIRECT | PW_CONF_WIRE | PW_CONF_ASK_CT);
    paths(", nothing translates", false);
    dp_nat("inet");
    paths(", conntrack asked", false);
    paths(", conntrack asked, TCP", true);
    return 0;
}
