/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part about counts: instructions over the host's, and the functions they go to. */
#include <math.h>
#include <string.h>

#include "bench/page_count.h"
#include "bench/result.h"
#include "loader/base/cleanup.h"

bool nb_page_counted(const json_t *doc)
{
    json_t *r;
    size_t i;
    json_array_foreach (json_object_get(doc, "results"), i, r)
        if (json_object_get(r, "count"))
            return true;
    return false;
}

static bool is_base(const struct nb_series *s)
{
    return strcmp(s->name, nb_baseline(s->result)) == 0;
}

/* ---- bars ---- */

enum { ROW = 30, LEFT = 220, WIDTH = 960, PLOT = 380, TOP = 26, TEXT = LEFT + PLOT + 44 };

/* Percent over the host; a lone wild figure must not squeeze everything else into a corner. */
static double over_host(const json_t *count, const char *which)
{
    double v = nb_num(json_object_get(count, "ratio"), which) * 100 - 100;
    return v > 300 ? 300 : v < -100 ? -100 : v;
}

struct axis {
    double lo, hi, step;
};

static struct axis axis_of(const struct nb_series *s, size_t n)
{
    static const double steps[] = {1, 2, 5, 10, 20, 50, 100};
    struct axis a = {.lo = 0, .hi = 5};
    for (size_t i = 0; i < n; i++) {
        const json_t *c = json_object_get(s[i].result, "count");
        if (!c)
            continue;
        a.lo = fmin(a.lo, over_host(c, "lo"));
        a.hi = fmax(a.hi, over_host(c, "hi"));
    }
    for (size_t i = 0; i < PW_ARRAY_SIZE(steps); i++) {
        a.step = steps[i];
        if ((a.hi - a.lo) / a.step <= 7)
            break;
    }
    a.lo = floor(a.lo / a.step) * a.step;
    a.hi = ceil(a.hi / a.step) * a.step;
    return a;
}

static void grid(FILE *f, const struct axis *a, double px, double height, const char *base,
                 const char *per)
{
    int ticks = (int)lround((a->hi - a->lo) / a->step);
    for (int i = 0; i <= ticks; i++) {
        double v = a->lo + i * a->step, x = LEFT + (v - a->lo) * px;
        bool zero = fabs(v) < a->step / 2;
        fprintf(f,
                "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\"/>"
                "<text class=\"tick%s\" x=\"%.1f\" y=\"14\">",
                zero ? "base" : "grid", x, x, TOP - 6, height - 4, zero ? " one" : "", x);
        if (zero)
            nb_html(f, base);
        else
            fprintf(f, "%+.0f %%", v);
        fputs("</text>\n", f);
    }
    fprintf(f,
            "<text class=\"colhead\" x=\"%d\" y=\"14\">difference, 95 %% interval</text>"
            "<text class=\"colhead end\" x=\"%d\" y=\"14\">per ",
            TEXT, WIDTH - 6);
    nb_html(f, per);
    fputs("</text>\n", f);
}

static void bar(FILE *f, const struct nb_series *s, const struct axis *a, double px, double y)
{
    const json_t *c = json_object_get(s->result, "count"), *e = json_object_get(c, "ratio");
    double mid = y + ROW / 2.0, zero = LEFT - a->lo * px, m = over_host(c, "median") * px;
    double lo = zero + over_host(c, "lo") * px, hi = zero + over_host(c, "hi") * px;
    char b[24];
    fprintf(f, "<text class=\"value end\" x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - 6, mid + 4.5,
            nb_short(nb_num(json_object_get(c, "instructions"), "median"), b));
    if (is_base(s))
        return;
    fprintf(f,
            "<rect class=\"c%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>"
            "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>\n",
            s->colour, m < 0 ? zero + m : zero, y + 6, fabs(m), ROW - 12, lo, mid, hi, lo, mid - 4,
            hi, mid - 4);
    fprintf(f,
            "<text class=\"value\" x=\"%d\" y=\"%.1f\">%+.2f %%<tspan class=\"dim\">  %+.2f – "
            "%+.2f</tspan></text>\n",
            TEXT, mid + 4.5, nb_num(e, "median") * 100 - 100, nb_num(e, "lo") * 100 - 100,
            nb_num(e, "hi") * 100 - 100);
}

static void plot(FILE *f, const struct nb_series *s, size_t n, const char *per)
{
    const struct axis a = axis_of(s, n);
    double px = PLOT / (a.hi - a.lo), height = TOP + ROW * (double)n + 8;
    fprintf(f, "<svg class=\"counts\" viewBox=\"0 0 %d %.0f\" role=\"img\">\n", WIDTH, height);
    grid(f, &a, px, height, nb_baseline(s[0].result), per);
    for (size_t i = 0; i < n; i++) {
        double y = TOP + ROW * (double)i;
        fprintf(f, "<text class=\"name\" x=\"%d\" y=\"%.1f\">", LEFT - 12, y + ROW / 2.0 + 4.5);
        nb_html(f, s[i].title);
        fputs("</text>\n", f);
        if (json_object_get(s[i].result, "count")) {
            bar(f, &s[i], &a, px, y);
            continue;
        }
        fprintf(f, "<text class=\"note\" x=\"%d\" y=\"%.1f\">refused: ", LEFT + 8,
                y + ROW / 2.0 + 4.5);
        nb_html(f, nb_str(s[i].result, "failure"));
        fputs("</text>\n", f);
    }
    fputs("</svg>\n", f);
}

/* ---- tables ---- */

static void figures(FILE *f, const struct nb_series *s, size_t n, const char *per)
{
    fputs("<table class=\"counts\"><tr><th>path</th><th>instructions per ", f);
    nb_html(f, per);
    fputs("</th><th>95 % interval</th><th>more than ", f);
    nb_html(f, nb_baseline(s[0].result));
    fputs("</th><th>over that</th><th>repeats to</th><th>idle</th><th>by stack</th></tr>\n", f);
    double base = 0;
    for (size_t i = 0; i < n; i++)
        if (is_base(&s[i]))
            base = nb_num(json_object_get(json_object_get(s[i].result, "count"), "instructions"),
                          "median");
    for (size_t i = 0; i < n; i++) {
        const json_t *r = s[i].result, *c = json_object_get(r, "count");
        const json_t *e = json_object_get(c, "instructions");
        double m = nb_num(e, "median"), lo = nb_num(e, "lo"), hi = nb_num(e, "hi");
        if (!c)
            continue;
        fputs("<tr><td>", f);
        nb_html(f, s[i].title);
        fprintf(f, "</td><td>%.0f</td><td>%.0f – %.0f</td>", m, lo, hi);
        if (is_base(&s[i]))
            fputs("<td></td><td></td>", f);
        else
            fprintf(f, "<td>%+.0f</td><td>%+.2f %%</td>", base > 0 ? m - base : 0,
                    nb_num(json_object_get(c, "ratio"), "median") * 100 - 100);
        fprintf(f, "<td>%.2f %%</td><td>%.2f %%</td><td>%.0f</td></tr>\n",
                m > 0 ? (hi - lo) / m * 100 : 0, nb_num(c, "idle") * 100,
                nb_num(json_object_get(r, "audit"), "forwarded_by_stack"));
    }
    fputs("</table>\n", f);
}

/* What the document sums up has no bar: it would dwarf those of the functions. */
static bool is_rest(const json_t *fn)
{
    return nb_str(fn, "function")[0] == '[';
}

static double more_of(const json_t *fn)
{
    return nb_num(fn, "path") - nb_num(fn, "host");
}

/* Functions in the order of their difference, with bars to both sides of a middle line. */
static void breakdown(FILE *f, const struct nb_series *s, const char *per, bool open)
{
    const json_t *list = json_object_get(json_object_get(s->result, "count"), "functions");
    double top = 0, host = 0, path = 0;
    json_t *fn;
    size_t i;
    json_array_foreach (list, i, fn) {
        if (!is_rest(fn))
            top = fmax(top, fabs(more_of(fn)));
        host += nb_num(fn, "host");
        path += nb_num(fn, "path");
    }
    if (top <= 0 || is_base(s))
        return;
    fprintf(f, "<details class=\"functions\"%s><summary>functions: where ", open ? " open" : "");
    nb_html(f, s->title);
    fputs(" differs</summary><table><tr><th>function</th><th>baseline</th><th>path</th>"
          "<th>more per ",
          f);
    nb_html(f, per);
    fputs("</th><th style=\"text-align:center\">less ¦ more</th></tr>\n", f);
    json_array_foreach (list, i, fn) {
        double more = more_of(fn), width = fabs(more) / top * 50;
        fputs("<tr><td><code>", f);
        nb_html(f, nb_str(fn, "function"));
        fprintf(f, "</code></td><td>%.1f</td><td>%.1f</td><td>%+.1f</td><td class=\"fbar\">",
                nb_num(fn, "host"), nb_num(fn, "path"), more);
        if (!is_rest(fn))
            fprintf(f, "<i class=\"%s\" style=\"margin-left:%.1f%%;width:%.1f%%\"></i>",
                    more < 0 ? "less" : "more", more < 0 ? 50 - width : 50, width);
        fputs("</td></tr>\n", f);
    }
    fprintf(f,
            "<tr><td>all</td><td>%.1f</td><td>%.1f</td><td>%+.1f</td><td></td></tr>"
            "</table></details>\n",
            host, path, path - host);
}

void nb_page_count(FILE *f, const struct nb_series *s, size_t n)
{
    const char *per = "";
    bool open = true;
    for (size_t i = 0; i < n && !per[0]; i++)
        per = nb_str(json_object_get(s[i].result, "count"), "per");
    plot(f, s, n, per);
    figures(f, s, n, per);
    /* One stands open, to show that they are there: the first of ours. */
    for (size_t i = 0; i < n; i++) {
        bool ours = strncmp(s[i].name, "podwire", 7) == 0;
        breakdown(f, &s[i], per, ours && open);
        open = open && !ours;
    }
}

void nb_page_count_lead(FILE *f)
{
    fputs("<p class=\"lead\">Instructions that the guest executed, counted by the emulator: bars "
          "show by how much each path's are over those of plain host networking in the same round, "
          "shorter is better, left of the line is below the host. Whiskers are 95 % bootstrap "
          "intervals of the median over all rounds. An instruction is not a cycle: counts say what "
          "a path does more or less than another, timing says what that costs on a machine.</p>\n",
          f);
}
