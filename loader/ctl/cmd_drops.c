/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <bpf/libbpf.h>

#include "loader/base/clock.h"
#include "loader/ctl/gather.h"
#include "loader/ctl/packet.h"

/* ---- totals ---- */

static void add_rows(struct ctl_table *t, const char *pod, const struct ctl_reason *r, size_t n,
                     size_t *rows)
{
    char bytes[24];

    for (size_t i = 0; i < n; i++) {
        if (pw_reason_kind(r[i].reason) != PW_KIND_DROP)
            continue;
        ctl_table_add(t, "%s\t%s\t%llu\t%s\t%s\t%s", pod, r[i].dir == PW_TO_POD ? "to" : "from",
                      (unsigned long long)r[i].count.packets, ctl_bytes(r[i].count.bytes, bytes),
                      r[i].reason->name, r[i].reason->text);
        ++*rows;
    }
}

static int totals(const struct ctl *ctl, const struct ctl_eps *eps)
{
    static const char *const titles[] = {"POD",    "DIRECTION", ">PACKETS", ">BYTES",
                                         "REASON", "MEANING",   NULL};
    struct ctl_table t;
    char pod[96];
    size_t rows = 0;

    ctl_table_init(&t, titles);
    for (size_t i = 0; i < eps->n; i++) {
        ctl_pod_name(&eps->ep[i], pod);
        add_rows(&t, pod[0] ? pod : eps->ep[i].ifname, eps->ep[i].reasons, eps->ep[i].n_reasons,
                 &rows);
    }
    add_rows(&t, "-", eps->unowned, eps->n_unowned, &rows);
    if (rows)
        ctl_table_print(&t, ctl);
    else
        puts("No packet was dropped by podwire's programs.");
    bool head = false;
    for (size_t i = 0; i < eps->n; i++) {
        const struct ctl_ep *e = &eps->ep[i];
        if (!(e->rx_dropped + e->tx_dropped))
            continue;
        if (!head)
            printf("\nDropped by the pods' devices (down, full, or nothing attached; a packet that "
                   "was redirected\nmay be among them):\n");
        head = true;
        printf("  %-16s %llu on the way from the pod, %llu on the way to it\n", e->ifname,
               (unsigned long long)e->rx_dropped, (unsigned long long)e->tx_dropped);
    }
    return CTL_OK;
}

static void add_json(json_t *list, const struct ctl_ep *e, const struct ctl_reason *r, size_t n)
{
    char pod[96] = "";

    if (e)
        ctl_pod_name(e, pod);
    for (size_t i = 0; i < n; i++) {
        if (pw_reason_kind(r[i].reason) != PW_KIND_DROP)
            continue;
        json_t *o = ctl_reason_json(&r[i]);
        json_object_set_new(o, "device", e ? json_string(e->ifname) : json_null());
        json_object_set_new(o, "pod", pod[0] ? json_string(pod) : json_null());
        json_array_append_new(list, o);
    }
}

static json_t *totals_json(const struct ctl_eps *eps)
{
    json_t *drops = json_array(), *devices = json_array();

    for (size_t i = 0; i < eps->n; i++) {
        const struct ctl_ep *e = &eps->ep[i];
        add_json(drops, e, e->reasons, e->n_reasons);
        json_array_append_new(devices, json_pack("{s:s, s:I, s:I}", "device", e->ifname, "rx",
                                                 (json_int_t)e->rx_dropped, "tx",
                                                 (json_int_t)e->tx_dropped));
    }
    add_json(drops, NULL, eps->unowned, eps->n_unowned);
    return json_pack("{s:o, s:o}", "drops", drops, "deviceDrops", devices);
}

/* ---- following ---- */

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

struct follow {
    const struct ctl *ctl;
    struct ctl_eps eps;
    uint64_t seen, limit;
    time_t boot_offset; /* wall clock minus monotonic, seconds */
};

static const struct ctl_ep *of_slot(const struct ctl_eps *eps, uint32_t slot)
{
    for (size_t i = 0; i < eps->n; i++)
        if (eps->ep[i].ep.slot == slot)
            return &eps->ep[i];
    return NULL;
}

static int on_event(void *arg, void *data, size_t size)
{
    struct follow *f = arg;
    struct pw_event ev;
    char pod[96] = "", what[160], clock[16], device[IF_NAMESIZE] = "?";

    if (size < sizeof(ev) || stop)
        return 0;
    memcpy(&ev, data, sizeof(ev));
    const struct pw_reason_text *reason = pw_reason_find(ev.reason);
    const struct ctl_ep *e = of_slot(&f->eps, ev.slot);
    if (e)
        ctl_pod_name(e, pod);
    if_indextoname(ev.ifindex, device);
    ctl_packet_text(ev.head, ev.copied < sizeof(ev.head) ? ev.copied : sizeof(ev.head), what,
                    sizeof(what));
    time_t at = f->boot_offset + (time_t)(ev.ktime / 1000000000U);
    struct tm tm;
    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&at, &tm));
    if (f->ctl->json) {
        json_t *o =
            json_pack("{s:I, s:s, s:s, s:s, s:s, s:i, s:s}", "ktime", (json_int_t)ev.ktime,
                      "device", device, "pod", pod, "reason", reason ? reason->name : "?", "text",
                      reason ? reason->text : "?", "length", (int)ev.len, "packet", what);
        json_dumpf(o, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(o);
    } else {
        printf("%s%s%s  %-20s %s%s%s: %s (%u bytes)\n", ctl_paint(f->ctl, PAINT_DIM), clock,
               ctl_paint(f->ctl, PAINT_PLAIN), pod[0] ? pod : device, ctl_paint(f->ctl, PAINT_RED),
               reason ? reason->text : "unknown reason", ctl_paint(f->ctl, PAINT_PLAIN), what,
               ev.len);
    }
    fflush(stdout);
    if (++f->seen == f->limit)
        stop = 1;
    return 0;
}

static int follow(const struct ctl *ctl, struct pw_dp *dp, uint64_t limit, struct pw_err *err)
{
    struct follow f = {.ctl = ctl,
                       .limit = limit,
                       .boot_offset = time(NULL) - (time_t)(pw_clock_ns() / 1000000000U)};
    struct sigaction sa = {.sa_handler = on_signal};
    int conf = pw_dp_map(dp, PW_MAP_CONF, err);
    int events = conf < 0 ? conf : pw_dp_map(dp, PW_MAP_EVENTS, err);
    int rc = events < 0 ? events : ctl_gather(dp, &f.eps, err);

    if (rc < 0)
        return rc;
    struct ring_buffer *ring = ring_buffer__new(events, on_event, &f, NULL);
    if (!ring) {
        ctl_eps_free(&f.eps);
        return pw_err_errno(err, -errno, "follow drops");
    }
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGPIPE, &sa, NULL);
    if (!ctl->json)
        fprintf(stderr, "Following dropped packets; Ctrl-C ends.\n");
    rc = 0;
    while (!stop && rc >= 0) {
        /* Programs write events for as long as someone keeps asking: a killed follower costs
         * nothing for long. */
        rc = pw_conf_trace(conf, pw_clock_ns() + 2000000000U, err);
        if (!rc)
            rc = ring_buffer__poll(ring, 500);
        if (rc == -EINTR)
            rc = 0;
    }
    ring_buffer__free(ring);
    ctl_eps_free(&f.eps);
    return rc < 0 ? rc : 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"count", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    struct pw_err err = PW_ERR_INIT;
    bool following = false;
    uint64_t limit = 0;
    ctl_dp *dp = NULL;
    ctl_eps_auto eps = {0};
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "jhfn:", options, NULL)) != -1) {
        char *end;
        switch (c) {
        case 'j':
            ctl->json = true;
            break;
        case 'h':
            return ctl_help(&ctl_drops);
        case 'f':
            following = true;
            break;
        case 'n':
            limit = strtoull(optarg, &end, 10);
            if (*end || !limit)
                return ctl_usage(&ctl_drops, "--count '%s' is not a number above 0", optarg);
            break;
        default:
            return ctl_usage(&ctl_drops, "unknown option '%s'", argv[optind - 1]);
        }
    }
    if (argv[optind])
        return ctl_usage(&ctl_drops, "unexpected argument '%s'", argv[optind]);
    if (limit && !following)
        return ctl_usage(&ctl_drops, "--count goes with --follow");
    if (ctl_open(&dp, &err))
        return ctl_fail(&err);
    if (following)
        return follow(ctl, dp, limit, &err) ? ctl_fail(&err) : CTL_OK;
    if (ctl_gather(dp, &eps, &err))
        return ctl_fail(&err);
    return ctl->json ? ctl_print_json(totals_json(&eps)) : totals(ctl, &eps);
}

const struct ctl_cmd ctl_drops = {
    "drops", "[--follow [--count N]] [--json]", "shows what was dropped, and why", run,
    "  -f, --follow   show each packet as it is dropped, until Ctrl-C; with --json one object a\n"
    "                 line\n"
    "  -n, --count N  end after N packets\n"};
