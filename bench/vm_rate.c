/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm-rate: what the wiring between a virtual machine and a pod carries, way beside way in one run:
 * frames that one core writes into the guest's tap (or that a guest has in its rings), counted in
 * the pod; segments of 64 KiB both ways; time of a request from the guest; and rings alone, beside
 * DPDK's own vhost back-end (vm_dpdk.c). All ways are up at the same time, each on a node of its
 * own, and their turns are interleaved.
 *
 * The baseline is a tap joined by tc mirred to a veth whose host end the node's stack routes: a
 * sandboxing runtime on the reference ptp plugin.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "bench/args.h"
#include "bench/result.h"
#include "bench/scan.h"
#include "bench/stats.h"
#include "bench/vm.h"
#include "loader/base/cleanup.h"

static struct vm_lane lanes[] = {
    {.name = "mirred-ptp", .title = "tap, mirred, ptp (baseline)", .wiring = VM_MIRRED_PTP},
    {.name = "mirred-podwire", .title = "tap, mirred, podwire veth", .wiring = VM_MIRRED_OURS},
    {.name = "tap", .title = "podwire tap", .wiring = VM_TAP},
    {.name = "pod-tap", .title = "podwire tap in the pod", .wiring = VM_POD_TAP},
    {.name = "vhost", .title = "podwire tap, libvmmnet", .wiring = VM_TAP, .rings = true},
    {.name = "dpdk", .title = "podwire tap, podwire-vhost", .wiring = VM_TAP, .dpdk = true},
};
#define LANES PW_ARRAY_SIZE(lanes)

static const struct vm_work works[] = {
    {"60", "60 B", "Mpps", .size = 60, .scale = 1e-6},
    {"1514", "1514 B", "Mpps", .size = 1514, .scale = 1e-6},
    {"64k-up", "64 KiB to pod", "Gbit/s", .size = 65226, .scale = 8e-9},
    {"64k-down", "64 KiB to guest", "Gbit/s", .down = true, .size = 65226, .scale = 8e-9},
    {"request", "request", "us", .request = true, .size = 98, .scale = 1e-3},
};
#define WORKS PW_ARRAY_SIZE(works)

static struct options {
    unsigned rounds;
    const char *json, *only, *ways, *vhost;
    bool urgent;
    struct vm_how how;
} opt;

/* Per way and work: rate (or time), and CPU time per GB of what moved. */
static double sample[LANES][WORKS][NB_MAX_ROUNDS], cpu_gb[LANES][WORKS][NB_MAX_ROUNDS];
static size_t samples[LANES][WORKS];

/* Rings alone: [kind of ring][0: podwire-vhost, 1: DPDK's back-end][round]. */
#define RINGS 2
static const char *const ring_options[RINGS] = {"", ",packed_vq=1"};
static const char *const ring_title[RINGS] = {"split", "packed"};
static double ring[RINGS][2][NB_MAX_ROUNDS], resident;
static size_t rings[RINGS];

static void keep(unsigned li, unsigned wi, double rate, double cpu)
{
    size_t k = samples[li][wi]++;
    sample[li][wi][k] = rate;
    cpu_gb[li][wi][k] = cpu;
}

static void measure(unsigned li, unsigned wi)
{
    struct vm_lane *l = &lanes[li];
    double rate = 0, cpu = 0;
    struct pw_err err = PW_ERR_INIT;
    if (vm_measure(l, &works[wi], &opt.how, &rate, &cpu, &err) < 0)
        snprintf(l->why, sizeof(l->why), "%s: %.900s", works[wi].title, err.msg);
    else
        keep(li, wi, rate, cpu);
}

/* ---- output ---- */

/* Ratios of two series, round by round. */
static struct nb_est ratio(const double *v, size_t n, const double *to, size_t m)
{
    static double r[NB_MAX_ROUNDS];
    n = n < m ? n : m;
    for (size_t i = 0; i < n; i++)
        r[i] = to[i] > 0 ? v[i] / to[i] : 0;
    return nb_bootstrap(r, n, 1);
}

static json_t *est_json(const struct nb_est *e)
{
    return json_pack("[f,f,f]", e->median, e->lo, e->hi);
}

static void row(json_t *out, unsigned li, unsigned wi)
{
    const struct vm_lane *l = &lanes[li];
    const struct vm_work *w = &works[wi];
    size_t n = samples[li][wi], m = samples[0][wi];
    struct nb_est e = nb_bootstrap(sample[li][wi], n, 1);
    struct nb_est r = ratio(sample[li][wi], n, sample[0][wi], m);
    struct nb_est c = ratio(cpu_gb[0][wi], m, cpu_gb[li][wi], n);
    double cpu = nb_median(cpu_gb[li][wi], n);
    if (!n)
        return;
    printf("  %-28s %7.2f [%6.2f, %6.2f]  %5.2f [%4.2f, %4.2f]", l->title, e.median, e.lo, e.hi,
           r.median, r.lo, r.hi);
    if (cpu > 0)
        printf("  %8.3f  %5.2f [%4.2f, %4.2f]", cpu, c.median, c.lo, c.hi);
    putchar('\n');
    json_array_append_new(out, json_pack("{s:s,s:s,s:s,s:o,s:o,s:f,s:o,s:i}", "way", l->name,
                                         "work", w->name, "unit", w->unit, "rate", est_json(&e),
                                         "ratio", est_json(&r), "cpu_s_per_gb", cpu,
                                         "ratio_per_cpu_s", est_json(&c), "rounds", (int)n));
}

static json_t *report(void)
{
    json_t *out = json_array();
    for (unsigned wi = 0; wi < WORKS; wi++) {
        size_t any = 0;
        for (unsigned li = 0; li < LANES; li++)
            any += samples[li][wi];
        if (!any)
            continue;
        printf("\n%-30s %7s %17s  %-18s  %8s  %s\n", works[wi].title, works[wi].unit, "",
               "of the baseline", works[wi].request ? "" : "CPU s/GB",
               works[wi].request ? "" : "work per CPU second");
        for (unsigned li = 0; li < LANES; li++)
            row(out, li, wi);
    }
    return out;
}

static json_t *report_rings(void)
{
    json_t *out = json_array();
    for (unsigned v = 0; v < RINGS; v++) {
        struct nb_est e[2] = {nb_bootstrap(ring[v][0], rings[v], 1),
                              nb_bootstrap(ring[v][1], rings[v], 1)};
        struct nb_est r = ratio(ring[v][0], rings[v], ring[v][1], rings[v]);
        if (!rings[v])
            continue;
        if (!v)
            printf("\n%-30s %24s  %24s  %s\n", "rings alone, 64 B, Mpps", "podwire-vhost",
                   "DPDK net_vhost", "ratio");
        printf("  %-28s %7.2f [%6.2f, %6.2f]  %7.2f [%6.2f, %6.2f]  %5.2f [%4.2f, %4.2f]\n",
               ring_title[v], e[0].median, e[0].lo, e[0].hi, e[1].median, e[1].lo, e[1].hi,
               r.median, r.lo, r.hi);
        json_array_append_new(out, json_pack("{s:s,s:o,s:o,s:o}", "rings", ring_title[v], "podwire",
                                             est_json(&e[0]), "dpdk", est_json(&e[1]), "ratio",
                                             est_json(&r)));
    }
    return out;
}

/* One round with DPDK's virtio-user as the guest. */
static void dpdk_round(struct nb_rng *rng)
{
    struct pw_err err = PW_ERR_INIT;
    struct vm_lane *l = &lanes[LANES - 1];
    double v[2] = {0, 0}, cpu = 0;
    unsigned first = nb_rng_below(rng, 2);
    for (unsigned i = 0; i < RINGS && !nb_stopping(); i++) {
        int rc = 0;
        for (unsigned k = 0; k < 2 && rc == 0; k++) {
            unsigned b = k ^ first;
            rc = vm_dpdk_rings(opt.vhost, b ? VM_DPDK : VM_OURS, ring_options[i], &opt.how, &v[b],
                               &err);
        }
        if (rc < 0) {
            snprintf(l->why, sizeof(l->why), "rings alone: %.900s", err.msg);
            continue;
        }
        ring[i][0][rings[i]] = v[0];
        ring[i][1][rings[i]++] = v[1];
    }
    if (!l->up || nb_stopping())
        return;
    if (vm_dpdk_up(opt.vhost, l, &opt.how, &v[0], &cpu, &resident, &err) < 0)
        snprintf(l->why, sizeof(l->why), "64 B: %.900s", err.msg);
    else
        keep(LANES - 1, 0, v[0], cpu);
}

/* Whether a list with commas holds the word. */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

static int run(void *arg)
{
    struct nb_rng rng = {1};
    unsigned order[LANES];
    char why[200];
    int rc = 0;
    bool dpdk = !opt.only || listed(opt.only, "dpdk");
    (void)arg;
    if (dpdk && !vm_dpdk_available(opt.vhost, why)) {
        snprintf(lanes[LANES - 1].why, sizeof(lanes[0].why), "%s", why);
        dpdk = false;
    }
    vm_pin(opt.how.cpu[0]);
    /* All that is started from here on inherits it. */
    if (opt.urgent && sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 5}))
        fprintf(stderr, "vm-rate: no real-time priority: %s\n", strerror(errno));
    for (unsigned i = 0; i < LANES && !nb_stopping(); i++) {
        struct pw_err err = PW_ERR_INIT;
        order[i] = i;
        if ((lanes[i].dpdk && !dpdk) || (opt.ways && !listed(opt.ways, lanes[i].name)))
            continue;
        lanes[i].up = vm_lane_up(&lanes[i], &opt.how, &err) == 0;
        if (!lanes[i].up)
            snprintf(lanes[i].why, sizeof(lanes[i].why), "%s", err.msg);
    }
    for (unsigned r = 0; r < opt.rounds && !nb_stopping(); r++) {
        for (unsigned w = 0; w < WORKS && !nb_stopping(); w++) {
            if (opt.only && !listed(opt.only, works[w].name))
                continue;
            nb_shuffle(&rng, order, LANES);
            for (unsigned i = 0; i < LANES && !nb_stopping(); i++)
                if (lanes[order[i]].up && !lanes[order[i]].dpdk)
                    measure(order[i], w);
        }
        if (dpdk && !nb_stopping())
            dpdk_round(&rng);
    }
    json_t *doc =
        json_pack("{s:i,s:o,s:i,s:f,s:b}", "vm_rate", 1, "machine", nb_machine(), "rounds",
                  (int)opt.rounds, "seconds", opt.how.seconds, "masquerade", opt.how.masquerade);
    printf("kernel %s, %s; %s; median of %u rounds [95 %% interval]\n",
           nb_str(json_object_get(doc, "machine"), "kernel"),
           nb_str(json_object_get(doc, "machine"), "cpu"),
           opt.how.masquerade ? "nodes masquerade" : "nodes translate nothing", opt.rounds);
    json_object_set_new(doc, "results", report());
    json_object_set_new(doc, "rings_alone", report_rings());
    if (resident > 0) {
        printf("\npodwire-vhost holds %.0f KiB beyond guest memory\n", resident);
        json_object_set_new(doc, "resident_kib", json_real(resident));
    }
    for (unsigned i = 0; i < LANES; i++) {
        if (lanes[i].why[0]) {
            printf("\n%s: %s\n", lanes[i].title, lanes[i].why);
            rc = 1;
        }
        vm_lane_down(&lanes[i]);
    }
    if (opt.json && json_dump_file(doc, opt.json, JSON_INDENT(1)) < 0)
        rc = 1;
    json_decref(doc);
    return nb_stopping() ? 130 : rc;
}

static const char help[] =
    "vm-rate: what the ways between a virtual machine and a pod carry, side by side\n"
    "\n"
    "usage: vm-rate [--rounds N] [--time S] [--cpus GUEST,BACKEND] [--works 60,1514,...]\n"
    "               [--ways mirred-ptp,tap,...] [--json FILE] [--podwire FILE]\n"
    "\n"
    "  --rounds N   interleaved rounds (7)\n"
    "  --time S     seconds of each measurement (0.4); those with DPDK take about 4 each\n"
    "  --urgent     at real-time priority, so that other work on the machine does not decide\n"
    "  --masquerade what pods send to elsewhere gets the node's address, by ptp and by podwire\n"
    "  --cpus G,B   CPUs of the guest and of the back-end (0,1)\n"
    "  --works ...  only these: 60, 1514, 64k-up, 64k-down, request, dpdk\n"
    "  --ways ...   only these: mirred-ptp (the baseline), mirred-podwire, tap, pod-tap, vhost, "
    "dpdk\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", 1, NULL, 'r'}, {"time", 1, NULL, 't'},       {"cpus", 1, NULL, 'c'},
        {"works", 1, NULL, 'w'},  {"ways", 1, NULL, 'y'},       {"podwire", 1, NULL, 'p'},
        {"urgent", 0, NULL, 'u'}, {"masquerade", 0, NULL, 'm'}, {"json", 1, NULL, 'j'},
        {"help", 0, NULL, 'h'},   {NULL, 0, NULL, 0},
    };
    struct pw_err err = PW_ERR_INIT;
    struct nb_args defaults;
    static char vhost[4096];
    uint64_t v = 0, v2 = 0;
    const char *at;
    int c, rc = 0;
    nb_args_default(&defaults);
    opt = (struct options){.rounds = 7,
                           .vhost = vhost,
                           .how = {.seconds = 0.4, .cpu = {0, 1}, .set = defaults.plan.set}};
    /* Beside the plugin. */
    snprintf(vhost, sizeof(vhost), "%s-vhost", defaults.plan.set.podwire);
    while (rc == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            rc = nb_parse_u64("--rounds", optarg, 1, NB_MAX_ROUNDS, &v, &err);
            opt.rounds = (unsigned)v;
            break;
        case 't':
            at = optarg;
            if (!nb_scan_double(&at, &opt.how.seconds) || !nb_scan_end(at) ||
                opt.how.seconds < 0.01)
                rc = pw_err_set(&err, -EINVAL, "--time: seconds");
            break;
        case 'c':
            at = optarg;
            if (!nb_scan_u64(&at, 10, &v) || !nb_scan_text(&at, ",") || !nb_scan_u64(&at, 10, &v2))
                rc = pw_err_set(&err, -EINVAL, "--cpus: two numbers");
            opt.how.cpu[0] = (int)v;
            opt.how.cpu[1] = (int)v2;
            break;
        case 'w':
            opt.only = optarg;
            break;
        case 'y':
            opt.ways = optarg;
            break;
        case 'u':
            opt.urgent = true;
            break;
        case 'm':
            opt.how.masquerade = true;
            break;
        case 'p':
            opt.how.set.podwire = optarg;
            break;
        case 'j':
            opt.json = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (rc < 0) {
        fprintf(stderr, "vm-rate: %s\n", err.msg);
        return 2;
    }
    rc = nb_lab_run(run, NULL, &err);
    if (rc < 0)
        fprintf(stderr, "vm-rate: %s\n", err.msg);
    return rc < 0 ? 1 : rc;
}
