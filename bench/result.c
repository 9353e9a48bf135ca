/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/result.h"

#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/stats.h"
#include "loader/base/cleanup.h"

double nb_num(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

const char *nb_str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

const char *nb_baseline(const json_t *result)
{
    const char *s = nb_str(result, "baseline");
    return s[0] ? s : "host";
}

const char *nb_short(double v, char buf[24])
{
    static const char *const unit[] = {"", " k", " M", " G"};
    int u = 0;
    while (v >= 9999.5 && u < 3) {
        v /= 1000;
        u++;
    }
    snprintf(buf, 24,
             v >= 999.5   ? "%.0f%s"
             : v >= 99.95 ? "%.1f%s"
             : v >= 9.995 ? "%.2f%s"
                          : "%.3f%s",
             v, unit[u]);
    return buf;
}

const char *nb_dur(double ns, char buf[24])
{
    if (ns < 999.5)
        snprintf(buf, 24, "%.0f ns", ns);
    else if (ns < 999950)
        snprintf(buf, 24, ns < 99950 ? "%.2f us" : "%.1f us", ns / 1e3);
    else if (ns < 999.95e6)
        snprintf(buf, 24, "%.2f ms", ns / 1e6);
    else
        snprintf(buf, 24, "%.2f s", ns / 1e9);
    return buf;
}

/* ---- machine and settings ---- */

static void put(json_t *o, const char *key, const char *value)
{
    json_object_set_new(o, key, json_string_nocheck(value));
}

static bool first_line(const char *path, const char *start, char *out, size_t size)
{
    pw_file *f = fopen(path, "re");
    char line[512];
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, start, strlen(start)) != 0)
            continue;
        char *v = line + strlen(start);
        if (start[0]) {
            v = strchr(line, ':');
            v = v ? v + 1 : line;
        }
        v += strspn(v, " \t");
        v[strcspn(v, "\n")] = '\0';
        snprintf(out, size, "%s", v);
        return true;
    }
    return false;
}

json_t *nb_machine(void)
{
    json_t *o = json_object();
    struct utsname u;
    char text[512];
    if (uname(&u) == 0) {
        put(o, "kernel", u.release);
        put(o, "kernel_build", u.version);
        put(o, "arch", u.machine);
    }
    if (first_line("/proc/cpuinfo", "model name", text, sizeof(text)))
        put(o, "cpu", text);
    if (first_line("/proc/cpuinfo", "flags", text, sizeof(text)))
        json_object_set_new(o, "virtual", json_boolean(strstr(text, "hypervisor") != NULL));
    json_object_set_new(o, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_set_new(
        o, "memory_mib",
        json_integer(sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024)));
    static const char *const files[][2] = {
        {"governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"},
        {"turbo_off", "/sys/devices/system/cpu/intel_pstate/no_turbo"},
        {"smt", "/sys/devices/system/cpu/smt/control"},
        {"clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
        {"load_average", "/proc/loadavg"},
        {"mitigations_spectre_v2", "/sys/devices/system/cpu/vulnerabilities/spectre_v2"},
        {"bpf_jit", "/proc/sys/net/core/bpf_jit_enable"},
        {"cmdline", "/proc/cmdline"},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(files); i++)
        if (first_line(files[i][1], "", text, sizeof(text)))
            put(o, files[i][0], text);
    return o;
}

json_t *nb_settings_json(const struct nb_plan *p)
{
    json_t *o = json_object();
    const struct nb_settings *s = &p->set;
    json_object_set_new(o, "rounds", json_integer(p->rounds));
    json_object_set_new(o, "seconds", json_real((double)p->run_ns / 1e9));
    json_object_set_new(o, "warmup_seconds", json_real((double)p->warm_ns / 1e9));
    json_object_set_new(o, "flows", json_integer(p->flows));
    json_object_set_new(o, "size", json_integer(p->size));
    json_object_set_new(o, "family", json_integer(s->family));
    put(o, "congestion_control", s->cc ? s->cc : "kernel default");
    put(o, "qdisc", s->qdisc ? s->qdisc : "kernel default");
    put(o, "wire_neighbours", "permanent");
    json_object_set_new(o, "gro", json_boolean(s->gro));
    json_object_set_new(o, "gso_max", json_integer(s->gso_max));
    json_object_set_new(o, "mtu", json_integer(s->mtu));
    json_object_set_new(o, "rules", json_integer(s->rules));
    if (s->rules)
        put(o, "rules_kind", s->rules_kind == NB_RULES_NFT ? "nftables" : "iptables");
    json_object_set_new(o, "cpu_client", json_integer(p->cpu_client));
    json_object_set_new(o, "cpu_server", json_integer(p->cpu_server));
    json_object_set_new(o, "seed", json_integer((json_int_t)p->seed));
    return o;
}

/* ---- cells ---- */

static json_t *est_json(const double *v, size_t n, uint64_t seed)
{
    struct nb_est e = nb_bootstrap(v, n, seed);
    return json_pack("{s:f,s:f,s:f,s:I}", "median", e.median, "lo", e.lo, "hi", e.hi, "n",
                     (json_int_t)e.n);
}

/* Points of the distribution, dense towards the tail, as the plots want it. */
static json_t *cdf(const struct nb_hist *h)
{
    static const double q[] = {0,   .01,  .05,  .1,   .2,   .3,    .4,    .5,     .6,
                               .7,  .75,  .8,   .85,  .9,   .925,  .95,   .97,    .98,
                               .99, .995, .997, .998, .999, .9995, .9999, .99999, 1};
    json_t *a = json_array();
    for (size_t i = 0; i < PW_ARRAY_SIZE(q); i++)
        json_array_append_new(a, json_pack("[f,I]", q[i], (json_int_t)nb_hist_quantile(h, q[i])));
    return a;
}

static void put_latency(json_t *o, const struct nb_hist *h)
{
    static const struct {
        const char *name;
        double q;
    } want[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}};
    json_t *l = json_object();
    for (size_t i = 0; i < PW_ARRAY_SIZE(want); i++)
        json_object_set_new(l, want[i].name,
                            json_integer((json_int_t)nb_hist_quantile(h, want[i].q)));
    json_object_set_new(l, "min", json_integer((json_int_t)h->min));
    json_object_set_new(l, "max", json_integer((json_int_t)h->max));
    json_object_set_new(l, "requests", json_integer((json_int_t)h->n));
    json_object_set_new(o, "latency_ns", l);
    json_object_set_new(o, "distribution", cdf(h));
}

/* CPU time of a sample over everything: both ends, what plays a VMM, the softirq threads. */
static double cpu_total(const struct nb_sample *s)
{
    return (double)s->cpu_client_ns + (double)s->cpu_server_ns + (double)s->cpu_helper_ns +
           (double)s->ksoftirqd_ns;
}

static void put_cpu(json_t *o, const struct nb_cell *c, unsigned rounds)
{
    double client[NB_MAX_ROUNDS], server[NB_MAX_ROUNDS], thread[NB_MAX_ROUNDS], soft[NB_MAX_ROUNDS],
        helper[NB_MAX_ROUNDS], total[NB_MAX_ROUNDS];
    size_t n = 0;
    for (unsigned i = 0; i < rounds; i++) {
        const struct nb_sample *s = &c->sample[i];
        double amount = nb_work_amount(c->work, s);
        if (s->ns == 0 || amount <= 0 || cpu_total(s) <= 0)
            continue;
        client[n] = (double)s->cpu_client_ns / amount;
        server[n] = (double)s->cpu_server_ns / amount;
        helper[n] = (double)s->cpu_helper_ns / amount;
        thread[n] = (double)s->ksoftirqd_ns / amount;
        soft[n] = (double)s->softirq_ns / amount;
        total[n++] = cpu_total(s) / amount;
    }
    if (n == 0)
        return; /* a program that does not say */
    json_object_set_new(o, "cpu_ns",
                        json_pack("{s:s,s:f,s:f,s:f,s:f,s:f,s:f}", "per", c->work->per, "client",
                                  nb_median(client, n), "server", nb_median(server, n), "vmm",
                                  nb_median(helper, n), "ksoftirqd", nb_median(thread, n),
                                  "softirq_sampled", nb_median(soft, n), "total",
                                  nb_median(total, n)));
}

static void put_audit(json_t *o, const struct nb_cell *c, unsigned rounds)
{
    struct nb_sample sum = {0};
    for (unsigned i = 0; i < rounds; i++) {
        const struct nb_sample *s = &c->sample[i];
        if (s->ns == 0)
            continue;
        sum.app_bytes += s->app_bytes;
        sum.app_ops += s->app_ops;
        sum.dev_bytes += s->dev_bytes;
        sum.dev_packets += s->dev_packets;
        sum.retrans_bytes += s->retrans_bytes;
        sum.forwarded += s->forwarded;
        sum.sent += s->sent;
        sum.lost += s->lost;
    }
    json_object_set_new(
        o, "audit",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "receiver_bytes", (json_int_t)sum.app_bytes,
                  "receiver_messages", (json_int_t)sum.app_ops, "device_bytes",
                  (json_int_t)sum.dev_bytes, "device_packets", (json_int_t)sum.dev_packets,
                  "retransmitted_bytes", (json_int_t)sum.retrans_bytes, "forwarded_by_stack",
                  (json_int_t)sum.forwarded));
    if ((c->work->kind == NB_UDP_RATE || c->work->kind == NB_TAP_RATE) && sum.sent)
        json_object_set_new(o, "loss", json_real((double)sum.lost / (double)sum.sent));
    if (c->work->kind == NB_UDP_RR)
        json_object_set_new(o, "lost", json_integer((json_int_t)sum.lost));
}

/* Nanoseconds of a machine whose clock is its instruction counter: instructions. */
static void put_count(json_t *o, const struct nb_run *r, const struct nb_cell *c,
                      const struct nb_cell *base)
{
    double own[NB_MAX_ROUNDS], more[NB_MAX_ROUNDS], idle = 0;
    size_t n = 0, pairs = 0;
    json_t *amounts = json_array();
    for (unsigned i = 0; i < r->rounds_done; i++) {
        const struct nb_sample *s = &c->sample[i], *b = base ? &base->sample[i] : NULL;
        double amount = nb_work_count_amount(c->work, s);
        json_array_append_new(amounts, json_real(amount));
        if (s->ns == 0 || amount <= 0)
            continue;
        own[n] = (double)s->ns / amount;
        idle += (double)s->idle_ns / (double)s->ns;
        if (b && b->ns && nb_work_count_amount(c->work, b) > 0)
            more[pairs++] = own[n] / ((double)b->ns / nb_work_count_amount(c->work, b));
        n++;
    }
    json_t *count = json_object();
    json_object_set_new(count, "cell", json_integer((json_int_t)(c - r->cell)));
    json_object_set_new(count, "per", json_string(nb_work_count_per(c->work)));
    json_object_set_new(count, "instructions", est_json(own, n, r->plan->seed));
    json_object_set_new(count, "ratio", est_json(more, pairs, r->plan->seed));
    json_object_set_new(count, "amounts", amounts);
    json_object_set_new(count, "idle", json_real(n ? idle / (double)n : 0));
    json_object_set_new(o, "count", count);
}

static json_t *cell_json(const struct nb_run *r, const struct nb_cell *c)
{
    const struct nb_cell *base = nb_run_baseline(r, c);
    const struct nb_plan *p = r->plan;
    unsigned rounds = r->rounds_done;
    double rate[NB_MAX_ROUNDS], ratio[NB_MAX_ROUNDS], cost[NB_MAX_ROUNDS], p50[NB_MAX_ROUNDS];
    size_t n = 0, pairs = 0, costs = 0, lat = 0;
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s}", "where", nb_where_name[c->where], "workload",
                          c->work->name, "title", c->work->title, "path",
                          r->lane[c->lane].path->name, "unit", c->work->unit);
    json_t *samples = json_array();
    put(o, "baseline", nb_work_baseline(c->work));
    for (unsigned i = 0; i < rounds; i++) {
        const struct nb_sample *s = &c->sample[i];
        json_array_append_new(samples, s->ns ? json_real(nb_work_rate(c->work, s)) : json_null());
        if (s->ns == 0)
            continue;
        rate[n++] = nb_work_rate(c->work, s);
        const struct nb_sample *b = base ? &base->sample[i] : NULL;
        if (!b || b->ns == 0 || nb_work_rate(c->work, b) <= 0)
            continue;
        /* Pair by pair: this round's figure against the same round's baseline. */
        ratio[pairs] = nb_work_rate(c->work, s) / nb_work_rate(c->work, b);
        double own = nb_work_amount(c->work, s), theirs = nb_work_amount(c->work, b);
        if (own > 0 && theirs > 0 && cpu_total(b) > 0 && cpu_total(s) > 0)
            cost[costs++] = (cpu_total(s) / own) / (cpu_total(b) / theirs);
        pairs++;
        if (c->p50[i] > 0 && base->p50[i] > 0)
            p50[lat++] = c->p50[i] / base->p50[i];
    }
    json_object_set_new(o, "samples", samples);
    json_object_set_new(o, "failed", json_integer(c->failed));
    if (c->failed)
        put(o, "failure", c->why);
    json_object_set_new(o, "refused", json_boolean(c->refused));
    if (n == 0 || c->refused)
        return o;
    json_object_set_new(o, "rate", est_json(rate, n, p->seed));
    if (p->requests)
        put_count(o, r, c, base);
    if (pairs) {
        struct nb_est e = nb_bootstrap(ratio, pairs, p->seed);
        json_object_set_new(o, "ratio", est_json(ratio, pairs, p->seed));
        if (costs)
            json_object_set_new(o, "cpu_ratio", est_json(cost, costs, p->seed));
        if (lat)
            json_object_set_new(o, "p50_ratio", est_json(p50, lat, p->seed));
        json_object_set_new(o, "noise_hides",
                            json_boolean(c != base && pairs >= 3 && nb_noise_hides(&e, 1.0)));
    }
    if (c->hist && c->hist->n)
        put_latency(o, c->hist);
    put_cpu(o, c, rounds);
    put_audit(o, c, rounds);
    return o;
}

/* ---- the whole ---- */

static json_t *lanes_json(const struct nb_run *r)
{
    static const char *const state[] = {"measured", "unavailable", "refused"};
    static const char *const group[] = {"host", "container", "microvm"};
    json_t *a = json_array();
    for (unsigned i = 0; i < r->plan->npaths; i++) {
        const struct nb_lane *l = &r->lane[i];
        json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:s}", "name", l->path->name, "title",
                              l->path->title, "group", group[l->path->group], "redirects",
                              l->path->redirects, "state", state[l->state]);
        if (l->why[0])
            put(o, "why", l->why);
        if (l->devices)
            json_object_set(o, "devices", l->devices);
        if (r->plan->set.rules && l->state == NB_OK) {
            const struct nb_site *s = l->has_near ? &l->near : &l->far;
            json_object_set_new(
                o, "services",
                json_pack("{s:i,s:i}", "node a", s->services[0], "node b", s->services[1]));
        }
        json_array_append_new(a, o);
    }
    return a;
}

static void warn(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(json_t *list, const char *fmt, ...)
{
    char text[PW_ERR_LEN + 200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_array_append_new(list, json_string_nocheck(text));
}

static json_t *warnings(const struct nb_run *r, const json_t *results)
{
    json_t *w = json_array(), *c;
    size_t i;
    double load = 0;
    char text[64];
    if (r->stopped)
        warn(w, "Stopped after %u of %u rounds: only whole rounds are shown.", r->rounds_done,
             r->plan->rounds);
    if (r->rounds_done < 3)
        warn(w,
             "%u rounds are too few to tell noise from difference: no ratio here is to be "
             "believed. Take at least 10.",
             r->rounds_done);
    else if (r->rounds_done < 8)
        warn(w, "Only %u rounds: intervals are rough. Take at least 10.", r->rounds_done);
    if (first_line("/proc/loadavg", "", text, sizeof(text)))
        load = strtod(text, NULL);
    if (load > (double)sysconf(_SC_NPROCESSORS_ONLN) + 0.5)
        warn(w,
             "The machine is busy with other work (load %.1f): timings are noisy; counting "
             "(netbench count) does not mind.",
             load);
    if (r->plan->cpu_client == r->plan->cpu_server)
        warn(w, "Both ends share one CPU.");
    json_array_foreach ((json_t *)results, i, c) {
        json_t *ratio = json_object_get(c, "ratio");
        if (json_is_true(json_object_get(c, "refused")))
            warn(w, "%s, %s, %s: refused: %s", nb_str(c, "path"), nb_str(c, "where"),
                 nb_str(c, "workload"), nb_str(c, "failure"));
        else if (nb_num(c, "failed") > 0)
            warn(w, "%s, %s, %s: %.0f of %u rounds failed: %s", nb_str(c, "path"),
                 nb_str(c, "where"), nb_str(c, "workload"), nb_num(c, "failed"), r->rounds_done,
                 nb_str(c, "failure"));
        if (json_is_true(json_object_get(c, "noise_hides")))
            warn(w,
                 "%s, %s, %s: the noise is larger than the difference from the host (ratio "
                 "%.3f, 95 %% interval %.3f to %.3f).",
                 nb_str(c, "path"), nb_str(c, "where"), nb_str(c, "workload"),
                 nb_num(ratio, "median"), nb_num(ratio, "lo"), nb_num(ratio, "hi"));
    }
    return w;
}

json_t *nb_result(const struct nb_run *r, int argc, char **argv)
{
    char when[40];
    time_t now = time(NULL);
    struct tm tm;
    json_t *doc = json_object(), *cmd = json_array(), *results = json_array();
    gmtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(doc, "netbench", json_integer(1));
    put(doc, "version", PW_VERSION);
    put(doc, "taken", when);
    for (int i = 0; i < argc; i++)
        json_array_append_new(cmd, json_string_nocheck(argv[i]));
    json_object_set_new(doc, "command", cmd);
    json_object_set_new(doc, "machine", nb_machine());
    json_object_set_new(doc, "settings", nb_settings_json(r->plan));
    json_object_set_new(doc, "rounds_done", json_integer(r->rounds_done));
    json_object_set_new(doc, "paths", lanes_json(r));
    for (unsigned i = 0; i < r->ncells; i++)
        json_array_append_new(results, cell_json(r, &r->cell[i]));
    json_object_set_new(doc, "results", results);
    json_object_set_new(doc, "warnings", warnings(r, results));
    return doc;
}
