/* SPDX-License-Identifier: Apache-2.0 */
/* The report: one page that needs nothing but itself, in the reader's light or dark theme. */
#include <string.h>

#include "bench/page_count.h"
#include "bench/plot.h"
#include "bench/result.h"
#include "loader/base/cleanup.h"

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fbfaf8;--card:#fff;--ink:#1d2129;--dim:#6a7180;"
    "--grid:#e6e4df;--rule:#d8d5ce;--warn:#8a5a00;--warnbg:#fff6e0;"
    "--s0:#8b93a3;--s1:#c08a3e;--s2:#a9705a;--s3:#7d8f4e;--s4:#1667c9;--s5:#5fa3ea;--s6:#0f8f7a;"
    "--s7:#55bfa9;--s8:#7a55c7;--s9:#b5bac4;--s10:#c9506b;--s11:#b0578e;--s12:#8d6aa8;"
    "--s13:#3d9bb3;--s14:#2c6f8a}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14161b;--card:#1c1f26;--ink:#e7e9ee;"
    "--dim:#969eae;--grid:#2c313b;--rule:#363c48;--warn:#f0c674;--warnbg:#2d2716;"
    "--s0:#9aa3b5;--s1:#d9a65c;--s2:#cf9079;--s3:#a3b76c;--s4:#5aa2f5;--s5:#9ccbff;--s6:#35c2a8;"
    "--s7:#8fe0cf;--s8:#a98bf0;--s9:#6d7482;--s10:#f07c95;--s11:#d583b5;--s12:#b695d1;"
    "--s13:#6cc4da;--s14:#9bd3ea}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',sans-serif}"
    "main{max-width:1060px;margin:0 auto;padding:36px 24px 80px}"
    "h1{font-size:28px;margin:0 0 4px;letter-spacing:-.01em}h2{font-size:21px;margin:44px 0 6px;"
    "padding-bottom:6px;border-bottom:1px solid var(--rule)}h3{font-size:16px;margin:0 0 8px}"
    "p{margin:6px 0}.lead{color:var(--dim);max-width:72ch}"
    "section.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;"
    "padding:18px 20px 12px;margin:16px 0}"
    "svg{width:100%;height:auto;display:block;font:13px system-ui,'Liberation Sans',sans-serif;"
    "overflow:visible}svg text{fill:var(--ink)}"
    ".grid{stroke:var(--grid)}.base{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 "
    "3;opacity:.7}"
    "svg .tick{fill:var(--dim);font-size:11.5px;text-anchor:middle}svg .one{fill:var(--ink)}"
    "svg .colhead{fill:var(--dim);font-size:11.5px}svg .end{text-anchor:end}"
    "svg .name{text-anchor:end}svg .value{font-variant-numeric:tabular-nums;white-space:pre}"
    "svg .dim{fill:var(--dim);font-size:12px}svg .note{fill:var(--warn)}"
    ".whisker{stroke:var(--ink);stroke-width:1.6;fill:none}.faint{opacity:.45}"
    ".line{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .linelabel{font-size:12px}"
    "section.warn{background:var(--warnbg);border-color:transparent;color:var(--warn)}"
    ".warn ul{margin:6px 0;padding-left:20px}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:6px 0}"
    "dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}"
    "th,td{text-align:right;padding:4px 8px;border-bottom:1px solid var(--grid)}"
    "th{color:var(--dim);font-weight:500}th:first-child,td:first-child{text-align:left}"
    "td.l,th.l{text-align:left}details{margin:10px 0 4px}summary{cursor:pointer;color:var(--dim);"
    "font-size:13px}code{font:12.5px ui-monospace,'Liberation Mono',monospace}"
    "table.counts{margin:10px 0 6px}td.fbar{width:34%;padding:0 8px;text-align:left;background:"
    "linear-gradient(90deg,transparent calc(50% - .5px),var(--rule) calc(50% - .5px),var(--rule) "
    "calc(50% + .5px),transparent calc(50% + .5px))}td.fbar i{display:block;height:10px;min-width:"
    "1px;border-radius:2px}i.more{background:var(--s10)}i.less{background:var(--s6)}"
    ".two{display:grid;grid-template-columns:1fr 1fr;gap:0 28px}"
    "@media(max-width:760px){.two{grid-template-columns:1fr}}";

static void series_style(FILE *f)
{
    for (int i = 0; i < 15; i++)
        fprintf(
            f,
            ".c%d{fill:var(--s%d)}.s%d{stroke:var(--s%d);stroke-width:%s}svg .t%d{fill:var(--s%d)}",
            i, i, i, i, i >= 4 && i <= 8 ? "2.6" : "1.8", i, i);
}

/* The same path has the same colour in every plot of every report. */
static int colour_of(const char *path)
{
    static const char *const order[] = {"host",
                                        "bridge",
                                        "ptp",
                                        "macvlan",
                                        "podwire-veth",
                                        "podwire-veth-noct",
                                        "podwire-netkit",
                                        "podwire-netkit-noct",
                                        "podwire-netkit-l2",
                                        "podwire-off",
                                        "ptp-hop",
                                        "tap-bridge",
                                        "tap-mirred",
                                        "podwire-tap",
                                        "podwire-pod-tap"};
    for (int i = 0; i < (int)PW_ARRAY_SIZE(order); i++)
        if (strcmp(order[i], path) == 0)
            return i;
    return 14;
}

static const char *path_title(const json_t *doc, const char *name)
{
    json_t *p;
    size_t i;
    json_array_foreach (json_object_get(doc, "paths"), i, p)
        if (strcmp(nb_str(p, "name"), name) == 0)
            return nb_str(p, "title");
    return name;
}

static void cell(FILE *f, const char *text)
{
    fputs("<td>", f);
    nb_html(f, text);
    fputs("</td>", f);
}

static void figures(FILE *f, const struct nb_series *s, size_t n)
{
    char a[24], b[64];
    const json_t *lat = json_object_get(s[0].result, "latency_ns");
    const json_t *cpu0 = json_object_get(s[0].result, "cpu_ns");
    fputs("<details><summary>all figures</summary><table><tr><th>path</th><th>", f);
    nb_html(f, nb_str(s[0].result, "unit"));
    fputs("</th>", f);
    if (lat)
        fputs("<th>p50</th><th>p90</th><th>p99</th><th>p99.9</th>", f);
    fputs("<th>CPU per ", f);
    nb_html(f, nb_str(cpu0, "per"));
    fputs("</th><th>client</th><th>server</th><th>VMM</th><th>softirq*</th><th>CPU × host</th>"
          "<th>bytes: receiver / device</th><th>by stack</th><th>lost</th></tr>\n",
          f);
    for (size_t i = 0; i < n; i++) {
        const json_t *r = s[i].result, *l = json_object_get(r, "latency_ns");
        const json_t *cpu = json_object_get(r, "cpu_ns"), *audit = json_object_get(r, "audit");
        fputs("<tr>", f);
        cell(f, s[i].title);
        cell(f, nb_short(nb_num(json_object_get(r, "rate"), "median"), a));
        static const char *const q[] = {"p50", "p90", "p99", "p99.9"};
        for (int k = 0; lat && k < 4; k++)
            cell(f, l ? nb_dur(nb_num(l, q[k]), a) : "");
        static const char *const c[] = {"total", "client", "server", "vmm", "softirq_sampled"};
        for (int k = 0; k < 5; k++)
            cell(f, cpu ? nb_dur(nb_num(cpu, c[k]), a) : "");
        snprintf(b, sizeof(b), "%.3f", nb_num(json_object_get(r, "cpu_ratio"), "median"));
        cell(f, json_object_get(r, "cpu_ratio") ? b : "");
        char x[24], y[24];
        snprintf(b, sizeof(b), "%s / %s", nb_short(nb_num(audit, "receiver_bytes"), x),
                 nb_short(nb_num(audit, "device_bytes"), y));
        cell(f, nb_num(audit, "receiver_bytes") > 0 ? b : "");
        cell(f, audit ? nb_short(nb_num(audit, "forwarded_by_stack"), a) : "");
        snprintf(b, sizeof(b), "%.1f %%", 100 * nb_num(r, "loss"));
        cell(f, json_object_get(r, "loss") ? b : "");
        fputs("</tr>\n", f);
    }
    fputs("</table><p class=\"lead\">* softirq time is sampled by the timer tick on the whole "
          "machine and is "
          "also part of the ends' time. “By stack”: packets that a node's IP stack "
          "forwarded.</p></details>\n",
          f);
}

static void group(FILE *f, bool counted, const struct nb_series *s, size_t n)
{
    fputs("<section class=\"card\"><h3>", f);
    nb_html(f, nb_str(s[0].result, "title"));
    fputs("</h3>\n", f);
    if (counted) {
        nb_page_count(f, s, n);
        fputs("</section>\n", f);
        return;
    }
    nb_plot_ratio(f, s, n, nb_str(s[0].result, "unit"));
    if (json_object_get(s[0].result, "distribution")) {
        fputs("<h3 style=\"margin-top:18px\">Latency</h3>\n", f);
        nb_plot_latency(f, s, n);
    }
    figures(f, s, n);
    fputs("</section>\n", f);
}

static void results(FILE *f, const json_t *doc)
{
    struct nb_series s[NB_PLOT_MAX];
    size_t n = 0, i;
    json_t *r;
    const char *where = "", *work = "";
    bool counted = nb_page_counted(doc);
    json_array_foreach (json_object_get(doc, "results"), i, r) {
        bool place = strcmp(where, nb_str(r, "where")) != 0;
        if (place || strcmp(work, nb_str(r, "workload")) != 0) {
            if (n)
                group(f, counted, s, n);
            n = 0;
            where = nb_str(r, "where");
            work = nb_str(r, "workload");
            for (int k = 0; place && k < NB_WHERES; k++)
                if (strcmp(nb_where_name[k], where) == 0)
                    fprintf(f, "<h2>%s</h2>\n", nb_where_title[k]);
        }
        if (n < NB_PLOT_MAX) {
            s[n] = (struct nb_series){nb_str(r, "path"), path_title(doc, nb_str(r, "path")), r, 0};
            s[n].colour = colour_of(s[n].name);
            n++;
        }
    }
    if (n)
        group(f, counted, s, n);
}

static void facts(FILE *f, const char *title, const json_t *o)
{
    const char *key;
    json_t *v;
    fprintf(f, "<div><h3>%s</h3><dl>", title);
    json_object_foreach ((json_t *)o, key, v) {
        fputs("<dt>", f);
        for (const char *c = key; *c; c++)
            fputc(*c == '_' ? ' ' : *c, f);
        fputs("</dt><dd>", f);
        if (json_is_string(v))
            nb_html(f, json_string_value(v));
        else if (json_is_boolean(v))
            fputs(json_is_true(v) ? "yes" : "no", f);
        else
            fprintf(f, "%.12g", json_number_value(v));
        fputs("</dd>", f);
    }
    fputs("</dl></div>\n", f);
}

static void devices(FILE *f, const json_t *doc)
{
    json_t *p, *d;
    size_t i, k;
    fputs(
        "<details><summary>devices of every path, as they really were "
        "set</summary><table><tr><th>path</th>"
        "<th class=\"l\">where</th><th class=\"l\">device</th><th class=\"l\">kind</th><th>MTU</th>"
        "<th class=\"l\">qdisc</th><th>GSO max</th><th>GSO max IPv4</th><th>GRO</th></tr>\n",
        f);
    json_array_foreach (json_object_get(doc, "paths"), i, p)
        json_array_foreach (json_object_get(p, "devices"), k, d) {
            fputs("<tr>", f);
            cell(f, k ? "" : nb_str(p, "title"));
            static const char *const text[] = {"where", "device", "kind"};
            for (int t = 0; t < 3; t++) {
                fputs("<td class=\"l\">", f);
                nb_html(f, nb_str(d, text[t]));
                fputs("</td>", f);
            }
            fprintf(f, "<td>%.0f</td><td class=\"l\">", nb_num(d, "mtu"));
            nb_html(f, nb_str(d, "qdisc"));
            fprintf(f, "</td><td>%.0f</td><td>%.0f</td><td>%s</td></tr>\n",
                    nb_num(d, "gso_max_size"), nb_num(d, "gso_ipv4_max_size"),
                    json_is_true(json_object_get(d, "gro")) ? "on" : "off");
        }
    fputs("</table></details>\n", f);
}

static void warnings(FILE *f, const json_t *doc)
{
    json_t *w, *p;
    size_t i;
    bool any = json_array_size(json_object_get(doc, "warnings")) > 0;
    if (any) {
        fprintf(f, "<section class=\"card warn\"><details%s><summary>%zu warnings</summary><ul>\n",
                json_array_size(json_object_get(doc, "warnings")) <= 6 ? " open" : "",
                json_array_size(json_object_get(doc, "warnings")));
        json_array_foreach (json_object_get(doc, "warnings"), i, w) {
            fputs("<li>", f);
            nb_html(f, json_string_value(w));
            fputs("</li>\n", f);
        }
        fputs("</ul></details></section>\n", f);
    }
    any = false;
    json_array_foreach (json_object_get(doc, "paths"), i, p) {
        if (strcmp(nb_str(p, "state"), "measured") == 0)
            continue;
        fputs(any ? "" : "<section class=\"card\"><h3>Not measured</h3><dl>", f);
        any = true;
        fputs("<dt>", f);
        nb_html(f, nb_str(p, "title"));
        fputs("</dt><dd>", f);
        nb_html(f, nb_str(p, "state"));
        fputs(": ", f);
        nb_html(f, nb_str(p, "why"));
        fputs("</dd>\n", f);
    }
    fputs(any ? "</dl></section>\n" : "", f);
}

void nb_page(FILE *f, const json_t *doc)
{
    json_t *w;
    size_t i;
    const json_t *m = json_object_get(doc, "machine"), *s = json_object_get(doc, "settings");
    bool counted = nb_page_counted(doc);
    fputs("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<title>netbench: ways into a pod</title><style>",
          f);
    fputs(style, f);
    series_style(f);
    fputs(
        "</style></head><body><main>\n<h1>What each way into a pod costs</h1>\n<p class=\"lead\">",
        f);
    fputs("podwire netbench ", f);
    nb_html(f, nb_str(doc, "version"));
    fputs(", ", f);
    nb_html(f, nb_str(doc, "taken"));
    fputs("; kernel ", f);
    nb_html(f, nb_str(m, "kernel"));
    fputs(", ", f);
    nb_html(f, nb_str(m, "cpu"));
    fprintf(f, ", %.0f CPUs; %.0f rounds", nb_num(m, "cpus"), nb_num(doc, "rounds_done"));
    if (counted)
        fputs(", in an emulator.</p>\n", f);
    else
        fprintf(f, " of %.2g s.</p>\n", nb_num(s, "seconds"));
    if (counted)
        nb_page_count_lead(f);
    else
        fputs("<p class=\"lead\">Bars show each path's rate as a ratio to plain host networking in "
              "the "
              "same round: 1 is as fast as the host, longer is better. Whiskers are 95 % bootstrap "
              "intervals of the median over all rounds; a pale bar means that the noise is larger "
              "than the difference.</p>\n",
              f);
    warnings(f, doc);
    results(f, doc);
    fputs("<h2>Machine and settings</h2><section class=\"card\"><div class=\"two\">", f);
    facts(f, "Machine", m);
    facts(f, "Settings, alike on all paths", s);
    fputs("</div>", f);
    devices(f, doc);
    fputs("<p class=\"lead\">Command: <code>", f);
    json_array_foreach (json_object_get(doc, "command"), i, w) {
        fputs(i ? " " : "", f);
        nb_html(f, json_string_value(w));
    }
    fputs("</code></p></section>\n</main></body></html>\n", f);
}
