/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/lookup.h"
#include "loader/base/clock.h"
#include "loader/ctl/gather.h"
#include "loader/latency.h"
#include "loader/obj.h"

/* ---- the format ---- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(FILE *f, const char *name, const char *type, const char *help, double value)
{
    head(f, name, type, help);
    fprintf(f, "%s %.15g\n", name, value);
}

void pw_metrics_label(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fprintf(f, "\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", f);
        else
            fputc((unsigned char)*text < 0x20 ? '?' : *text, f);
    }
}

/* ---- endpoints ---- */

static const char *pod_text(const struct ctl_ep *ep, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(ep->record, "pod"), key));
    return s ? s : "";
}

/* What says which endpoint it is: the beginning of the labels of all its metrics. */
static void labels(FILE *f, const char *name, const struct ctl_ep *ep)
{
    fprintf(f, "%s{namespace=\"", name);
    pw_metrics_label(f, pod_text(ep, "namespace"));
    fputs("\",pod=\"", f);
    pw_metrics_label(f, pod_text(ep, "name"));
    fputs("\",interface=\"", f);
    pw_metrics_label(f, ep->ifname);
    fprintf(f, "\",kind=\"%s\"", pw_device_name(ep->ep.device));
}

enum unit { PACKETS, BYTES };

static unsigned long long of(const struct pw_count *c, enum unit unit)
{
    return unit == PACKETS ? c->packets : c->bytes;
}

static void fast(FILE *f, const struct ctl_eps *eps, const char *name, const char *help,
                 enum unit unit)
{
    head(f, name, "counter", help);
    for (size_t i = 0; i < eps->n; i++) {
        labels(f, name, &eps->ep[i]);
        fprintf(f, ",direction=\"from_pod\"} %llu\n", of(&eps->ep[i].counters.from_pod, unit));
        labels(f, name, &eps->ep[i]);
        fprintf(f, ",direction=\"to_pod\"} %llu\n", of(&eps->ep[i].counters.to_pod, unit));
    }
}

static void reason(FILE *f, const struct ctl_reason *r, enum unit unit)
{
    fprintf(f, "direction=\"%s\",reason=\"%s\"} %llu\n",
            r->dir == PW_TO_POD ? "to_pod" : "from_pod", r->reason ? r->reason->name : "unknown",
            of(&r->count, unit));
}

static void reasons(FILE *f, const struct ctl_eps *eps, const char *name, const char *help,
                    enum pw_reason_kind kind, enum unit unit)
{
    head(f, name, "counter", help);
    for (size_t i = 0; i < eps->n; i++) {
        const struct ctl_ep *e = &eps->ep[i];
        for (size_t j = 0; j < e->n_reasons; j++) {
            if (pw_reason_kind(e->reasons[j].reason) != kind)
                continue;
            labels(f, name, e);
            fputc(',', f);
            reason(f, &e->reasons[j], unit);
        }
    }
}

/* What belongs to no endpoint: of packets by an uplink, or of a device that is none of ours. */
static void unowned(FILE *f, const struct ctl_eps *eps, const char *name, const char *help,
                    enum pw_reason_kind kind)
{
    head(f, name, "counter", help);
    for (size_t i = 0; i < eps->n_unowned; i++) {
        if (pw_reason_kind(eps->unowned[i].reason) != kind)
            continue;
        fprintf(f, "%s{", name);
        reason(f, &eps->unowned[i], PACKETS);
    }
}

static void device_drops(FILE *f, const struct ctl_eps *eps)
{
    const char *name = "podwire_endpoint_device_drops_total";

    head(f, name, "counter", "Packets that the kernel dropped at a pod's host end.");
    for (size_t i = 0; i < eps->n; i++) {
        labels(f, name, &eps->ep[i]);
        fprintf(f, ",direction=\"from_pod\"} %llu\n", (unsigned long long)eps->ep[i].rx_dropped);
        labels(f, name, &eps->ep[i]);
        fprintf(f, ",direction=\"to_pod\"} %llu\n", (unsigned long long)eps->ep[i].tx_dropped);
    }
}

static void endpoints(FILE *f, struct pw_dp *dp)
{
    ctl_eps_auto eps = {0};

    if (!dp || ctl_gather(dp, &eps, NULL))
        return;
    /* By name: those whose device is gone, all with the same labels, come first. */
    struct ctl_eps there = eps;
    for (; there.n && !there.ep[0].ifname[0]; there.n--)
        there.ep++;
    one(f, "podwire_endpoints", "gauge", "Interfaces of pods on this node.", (double)there.n);
    fast(f, &there, "podwire_endpoint_redirected_packets_total",
         "Packets that a program carried on the fast path.", PACKETS);
    fast(f, &there, "podwire_endpoint_redirected_bytes_total",
         "Bytes that a program carried on the fast path.", BYTES);
    reasons(f, &there, "podwire_endpoint_stack_packets_total",
            "Packets handed to the node's stack, by reason.", PW_KIND_STACK, PACKETS);
    reasons(f, &there, "podwire_endpoint_stack_bytes_total",
            "Bytes handed to the node's stack, by reason.", PW_KIND_STACK, BYTES);
    reasons(f, &there, "podwire_endpoint_dropped_packets_total", "Packets dropped, by reason.",
            PW_KIND_DROP, PACKETS);
    reasons(f, &there, "podwire_endpoint_answered_packets_total",
            "Packets of guests that were answered, by reason.", PW_KIND_REPLY, PACKETS);
    device_drops(f, &there);
    unowned(f, &eps, "podwire_node_stack_packets_total",
            "Packets of no endpoint that were handed to the node's stack, by reason.",
            PW_KIND_STACK);
    unowned(f, &eps, "podwire_node_dropped_packets_total",
            "Packets of no endpoint that were dropped, by reason.", PW_KIND_DROP);
}

/* ---- the node ---- */

static void maps(FILE *f, struct pw_dp *dp)
{
    static const enum pw_map list[] = {PW_MAP_IP4,    PW_MAP_IP6,    PW_MAP_ENDPOINTS,
                                       PW_MAP_SLOTS,  PW_MAP_GUESTS, PW_MAP_REASONS,
                                       PW_MAP_LIMITS, PW_MAP_PEERS4, PW_MAP_PEERS6};
    uint32_t entries[PW_ARRAY_SIZE(list)], max[PW_ARRAY_SIZE(list)];

    for (size_t i = 0; i < PW_ARRAY_SIZE(list); i++) {
        int fd = dp ? pw_dp_map(dp, list[i], NULL) : -1;
        if (fd < 0 || pw_maps_fill(fd, &entries[i], &max[i], NULL))
            return;
    }
    head(f, "podwire_map_entries", "gauge", "Entries of a map of the datapath.");
    for (size_t i = 0; i < PW_ARRAY_SIZE(list); i++)
        fprintf(f, "podwire_map_entries{map=\"%s\"} %u\n", pw_map_name(list[i]), entries[i]);
    head(f, "podwire_map_max_entries", "gauge", "Entries that a map of the datapath can have.");
    for (size_t i = 0; i < PW_ARRAY_SIZE(list); i++)
        fprintf(f, "podwire_map_max_entries{map=\"%s\"} %u\n", pw_map_name(list[i]), max[i]);
}

static void datapath(FILE *f, struct pw_dp *dp)
{
    struct pw_current cur;
    struct pw_conf conf;

    head(f, "podwire_build_info", "gauge", "This agent.");
    fprintf(f, "podwire_build_info{version=\"%s\",build=\"%s\",abi=\"%d\"} 1\n", PW_VERSION,
            pw_obj_build(), PW_ABI);
    bool loaded = dp && pw_pin_current(&cur, NULL) == 0;
    one(f, "podwire_datapath_loaded", "gauge", "Whether the datapath is loaded.", loaded);
    if (!loaded)
        return;
    head(f, "podwire_datapath_info", "gauge", "The programs that are in use.");
    fprintf(f, "podwire_datapath_info{build=\"%s\"} 1\n", cur.build);
    int fd = pw_dp_map(dp, PW_MAP_CONF, NULL);
    if (fd < 0 || pw_conf_read(fd, &conf, NULL))
        return;
    one(f, "podwire_redirect", "gauge", "Whether redirection is switched on.",
        (conf.flags & PW_CONF_REDIRECT) != 0);
    one(f, "podwire_uplinks", "gauge", "Uplinks that carry a program.", conf.n_uplinks);
}

static void cni(FILE *f)
{
    const char *name = "podwire_cni_duration_seconds";
    struct pw_latency l;

    pw_latency_read(&l, NULL);
    head(f, name, "histogram", "How long requests took in the plugin.");
    for (unsigned c = 0; c < PW_LATENCY_COMMANDS; c++) {
        for (unsigned ok = 0; ok < 2; ok++) {
            const struct pw_latency_row *r = &l.row[c][ok];
            const char *command = pw_latency_name((enum pw_latency_command)c);
            const char *result = ok ? "success" : "error";
            unsigned long long n = 0;
            for (unsigned b = 0; b < PW_LATENCY_BUCKETS; b++) {
                char bound[32] = "+Inf";
                n += r->bucket[b];
                if (b + 1 < PW_LATENCY_BUCKETS)
                    snprintf(bound, sizeof(bound), "%g", (double)pw_latency_bound(b) / 1e6);
                fprintf(f, "%s_bucket{command=\"%s\",result=\"%s\",le=\"%s\"} %llu\n", name,
                        command, result, bound, n);
            }
            fprintf(f, "%s_sum{command=\"%s\",result=\"%s\"} %.6f\n", name, command, result,
                    (double)r->sum_us / 1e6);
            fprintf(f, "%s_count{command=\"%s\",result=\"%s\"} %llu\n", name, command, result, n);
        }
    }
}

static void cluster(FILE *f, const struct pw_agent *a)
{
    const struct pw_watch *w = &a->nodes;

    one(f, "podwire_ready", "gauge", "Whether the node can take pods and the CNI list is there.",
        a->listed && !a->why_not[0]);
    one(f, "podwire_problems", "gauge", "Problems of the node, as podwirectl status tells them.",
        (double)a->problems);
    one(f, "podwire_api_up", "gauge", "Whether the API's nodes are followed.", pw_watch_well(w));
    one(f, "podwire_api_silence_seconds", "gauge", "Since the API server last said anything.",
        w->heard != 0 ? pw_clock_s() - w->heard : 0);
    one(f, "podwire_api_lists_total", "counter", "Whole lists of nodes read.", (double)w->lists);
    one(f, "podwire_api_watches_total", "counter", "Watches begun.", (double)w->watches);
    one(f, "podwire_api_events_total", "counter", "Events of nodes.", (double)w->events);
    one(f, "podwire_api_errors_total", "counter", "Requests that failed.", (double)w->errors);
    one(f, "podwire_nodes", "gauge", "Nodes that the API tells of.", (double)a->cluster.n);
    head(f, "podwire_peers", "gauge", "Other nodes, by the way to them.");
    fprintf(f,
            "podwire_peers{way=\"native\"} %zu\npodwire_peers{way=\"tunnel\"} %zu\n"
            "podwire_peers{way=\"left\"} %zu\npodwire_peers{way=\"refused\"} %zu\n",
            a->peers.native, a->peers.tunnel, a->peers.left, a->refused + a->peers.refused);
    one(f, "podwire_peers_syncs_total", "counter", "Times that the ways to other nodes were set.",
        (double)a->syncs);
    one(f, "podwire_peers_failures_total", "counter", "Times that this failed.",
        (double)a->sync_failures);
    one(f, "podwire_swept_total", "counter", "Leftovers of devices that are gone, removed.",
        (double)a->swept);
    one(f, "podwire_reconciled_total", "counter", "Endpoints of pods that are gone, removed.",
        (double)a->reconciled);
    one(f, "podwire_backends_restarted_total", "counter", "vhost back-ends started again.",
        (double)a->restarted);
}

static void lookups(FILE *f, const struct pw_agent *a)
{
    const char *name = "podwire_lookups_total";

    if (!a->lookup)
        return;
    struct pw_lookup_counts c = pw_lookup_counts(a->lookup);
    one(f, "podwire_lookup_api_up", "gauge", "Whether the API's pods of this node are followed.",
        c.followed);
    one(f, "podwire_lookup_pods", "gauge", "Pods of this node whose device is known.",
        (double)c.pods);
    head(f, name, "counter", "Pods that the plugin asked for, by what became of it.");
    fprintf(f,
            "%s{result=\"answered\"} %lu\n%s{result=\"timed_out\"} %lu\n"
            "%s{result=\"refused\"} %lu\n%s{result=\"left\"} %lu\n",
            name, c.answered, name, c.timed_out, name, c.refused, name, c.left);
}

/* /proc/self/statm: the second number is what is resident. */
static double resident(void)
{
    char text[128] = "";
    pw_file *statm = fopen("/proc/self/statm", "re");

    if (!statm || !fgets(text, sizeof(text), statm))
        return 0;
    const char *second = strchr(text, ' ');
    return second ? (double)strtoul(second, NULL, 10) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static void process(FILE *f)
{
    struct timespec cpu;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    one(f, "process_resident_memory_bytes", "gauge", "Resident memory of the agent.", resident());
    one(f, "process_cpu_seconds_total", "counter", "CPU time of the agent.",
        (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
}

int pw_metrics_write(const struct pw_agent *a, char **out, size_t *len)
{
    FILE *f = open_memstream(out, len);

    if (!f)
        return -ENOMEM;
    datapath(f, a->dp);
    cluster(f, a);
    lookups(f, a);
    cni(f);
    endpoints(f, a->dp);
    maps(f, a->dp);
    process(f);
    return fclose(f) ? -ENOMEM : 0;
}
