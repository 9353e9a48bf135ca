/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the datapath's programs cost: instructions that the verifier walked, of the program in the
 * kernel, bytes of machine code, and time of one packet by BPF_PROG_TEST_RUN, against a budget.
 *
 * usage: budget FILE            table; exit code 1 when a program is over its budget
 *        budget --update FILE   write the present sizes, with a tenth of room, as the budget
 *
 * Times are shown, never judged: they are this machine's. A line of the file is
 * "PROGRAM VERIFIED TRANSLATED", the most of each that is allowed.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "bench/scan.h"
#include "tests/bpf/dp.h"

#define RUNS 2001
#define MAX_PROGS 16

struct size {
    char name[64];
    unsigned long long verified, translated, machine;
};

struct budget {
    char name[64];
    uint64_t verified, translated;
};

static size_t sizes(struct size *out)
{
    struct bpf_program *prog;
    size_t n = 0;
    bpf_object__for_each_program(prog, dp.skel->obj)
    {
        struct bpf_prog_info info = {0};
        uint32_t len = sizeof(info);
        if (n == MAX_PROGS || bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
            bail("ask about %s: %s", bpf_program__name(prog), strerror(errno));
        snprintf(out[n].name, sizeof(out[n].name), "%s", bpf_program__name(prog));
        out[n].verified = info.verified_insns;
        out[n].translated = info.xlated_prog_len / 8;
        out[n++].machine = info.jited_prog_len;
    }
    return n;
}

static size_t read_budget(const char *path, struct budget *out)
{
    char line[200];
    size_t n = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        bail("open %s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), f)) {
        struct budget *b = &out[n];
        if (line[strspn(line, " \t\n")] == '\0' || line[0] == '#')
            continue;
        const char *at = line;
        if (n == MAX_PROGS || !nb_scan_word(&at, b->name, sizeof(b->name)) ||
            !nb_scan_u64(&at, 10, &b->verified) || !nb_scan_u64(&at, 10, &b->translated) ||
            !nb_scan_end(at))
            bail("%s: not understood: %s", path, line);
        n++;
    }
    fclose(f);
    return n;
}

static int judge(const struct size *s, size_t n, const struct budget *b, size_t nb)
{
    int over = 0;
    printf("%-26s %10s %10s %10s %10s %10s\n", "program", "verified", "budget", "insns", "budget",
           "bytes");
    for (size_t i = 0; i < n; i++) {
        const struct budget *own = NULL;
        for (size_t k = 0; k < nb; k++)
            if (strcmp(b[k].name, s[i].name) == 0)
                own = &b[k];
        bool bad = !own || s[i].verified > own->verified || s[i].translated > own->translated;
        printf("%-26s %10llu %10llu %10llu %10llu %10llu%s\n", s[i].name, s[i].verified,
               own ? (unsigned long long)own->verified : 0, s[i].translated,
               own ? (unsigned long long)own->translated : 0, s[i].machine,
               !own  ? "  NO BUDGET"
               : bad ? "  OVER BUDGET"
                     : "");
        over += bad;
    }
    for (size_t k = 0; k < nb; k++) {
        bool there = false;
        for (size_t i = 0; i < n; i++)
            there = there || strcmp(b[k].name, s[i].name) == 0;
        if (!there) {
            printf("%-26s has a budget, but is no program\n", b[k].name);
            over++;
        }
    }
    return over;
}

static int write_budget(const char *path, const struct size *s, size_t n)
{
    FILE *f = fopen(path, "we");
    if (!f)
        bail("write %s: %s", path, strerror(errno));
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# The most that each program may cost: instructions walked by the verifier, and\n"
          "# instructions in the kernel. Written by: build/tests/bpf/budget --update FILE\n",
          f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%-26s %7llu %6llu\n", s[i].name, (s[i].verified * 11 / 10 + 99) / 100 * 100,
                (s[i].translated * 11 / 10 + 9) / 10 * 10);
    return fclose(f) == 0 ? 0 : 1;
}

/* ---- time ---- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Median of single runs: a program changes its packet, so that a second run would go elsewhere. */
static uint32_t time_of(struct bpf_program *prog, uint32_t ifindex, struct pkt *p, int *verdict)
{
    static uint32_t ns[RUNS];
    static struct dp_run r;
    for (int i = 0; i < RUNS; i++) {
        memset(&r, 0, sizeof(r));
        r.ifindex = ifindex;
        dp_prog(prog, p, &r, 1);
        ns[i] = r.ns;
        *verdict = r.verdict;
    }
    qsort(ns, RUNS, sizeof(ns[0]), by_value);
    return ns[RUNS / 2];
}

static struct pkt p;

static struct pkt *udp(const char *dst_mac, const char *src_mac, const char *src, const char *dst)
{
    pkt_start(&p);
    pkt_eth(&p, dst_mac, src_mac, 0);
    pkt_ip(&p, src, dst);
    pkt_udp(&p, 4000, 5000);
    pkt_pay(&p, "sixty-four bytes sixty-four bytes sixty-four bytes sixty-four!!!", 64);
    pkt_done(&p);
    return &p;
}

static void times(void)
{
    static const char a[] = "02:00:00:00:00:0a", none[] = "00:00:00:00:00:00";
    const struct {
        const char *what, *dst_mac, *src_mac, *src, *dst;
        struct bpf_program *prog;
        int ep; /* -1: the uplink */
    } rows[] = {
        {"veth pod to pod", DP_HOST_MAC, a, "10.1.0.2", "10.1.0.3", dp.skel->progs.pw_veth_from_pod,
         DP_A},
        {"veth pod to pod, IPv6", DP_HOST_MAC, a, "fd00:1::2", "fd00:1::3",
         dp.skel->progs.pw_veth_from_pod, DP_A},
        {"veth pod to the wire", DP_HOST_MAC, a, "10.1.0.2", "10.2.0.3",
         dp.skel->progs.pw_veth_from_pod, DP_A},
        {"netkit pod to pod", DP_HOST_MAC, none, "10.1.0.3", "10.1.0.2",
         dp.skel->progs.pw_netkit_from_pod, DP_B},
        {"netkit pod to the wire", DP_HOST_MAC, none, "10.1.0.3", "10.2.0.3",
         dp.skel->progs.pw_netkit_from_pod, DP_B},
        {"wire to pod", DP_UP_MAC, DP_PEER_MAC, "10.2.0.3", "10.1.0.2",
         dp.skel->progs.pw_from_uplink, -1},
        {"wire to pod, IPv6", DP_UP_MAC, DP_PEER_MAC, "fd00:2::3", "fd00:1::2",
         dp.skel->progs.pw_from_uplink, -1},
        {"wire, not for a pod", DP_UP_MAC, DP_PEER_MAC, "10.2.0.3", "192.168.9.1",
         dp.skel->progs.pw_from_uplink, -1},
        {"veth pod, spoofed source", DP_HOST_MAC, a, "10.1.0.9", "10.1.0.3",
         dp.skel->progs.pw_veth_from_pod, DP_A},
    };
    static const uint32_t flags[2] = {PW_CONF_REDIRECT | PW_CONF_WIRE,
                                      PW_CONF_REDIRECT | PW_CONF_WIRE | PW_CONF_ASK_CT};
    dp_nat("inet");
    printf("\n%-26s %14s %20s\n", "one packet, ns", "without", "with conntrack asked");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t ns[2];
        int verdict = 0;
        for (int k = 0; k < 2; k++) {
            dp_flags(flags[k]);
            ns[k] =
                time_of(rows[i].prog, rows[i].ep < 0 ? dp.uplink : dp.ep[rows[i].ep].ifindex,
                        udp(rows[i].dst_mac, rows[i].src_mac, rows[i].src, rows[i].dst), &verdict);
        }
        printf("%-26s %14u %20u   verdict %d\n", rows[i].what, ns[0], ns[1], verdict);
    }
}

int main(int argc, char **argv)
{
    static struct size s[MAX_PROGS];
    static struct budget b[MAX_PROGS];
    bool update = argc == 3 && strcmp(argv[1], "--update") == 0;
    if (argc != 2 && !update) {
        fputs("usage: budget [--update] FILE\n", stderr);
        return 2;
    }
    dp_open();
    size_t n = sizes(s);
    if (update)
        return write_budget(argv[2], s, n);
    size_t nb = read_budget(argv[1], b);
    int over = judge(s, n, b, nb);
    times();
    return over ? 1 : 0;
}
