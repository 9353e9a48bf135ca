/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/plot.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "bench/result.h"

void nb_html(FILE *f, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        default:
            fputc(*text, f);
        }
}

/* ---- ratio bars ---- */

enum { ROW = 30, LEFT = 220, WIDTH = 960, PLOT = 430, TOP = 26 };

static double ratio_top(const struct nb_series *s, size_t n)
{
    double top = 1.1;
    for (size_t i = 0; i < n; i++) {
        double hi = nb_num(json_object_get(s[i].result, "ratio"), "hi");
        if (hi > top)
            top = hi;
    }
    /* A lone wild interval must not squeeze everything else into a corner. */
    return top > 2.5 ? 2.5 : ceil(top * 5 + 0.2) / 5;
}

static double clamp(double v, double top)
{
    return v > top ? top : v;
}

void nb_plot_ratio(FILE *f, const struct nb_series *s, size_t n, const char *unit)
{
    char a[24];
    double top = ratio_top(s, n), px = PLOT / top;
    double height = TOP + ROW * (double)n + 8;
    fprintf(f, "<svg class=\"bars\" viewBox=\"0 0 %d %.0f\" role=\"img\">\n", WIDTH, height);
    int step = top > 1.7 ? 5 : 2; /* tenths */
    for (int tenth = 0; tenth <= top * 10 + 1e-6; tenth += step) {
        double t = tenth / 10.0;
        if (tenth == 10)
            continue; /* the host's own line */
        fprintf(f,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"14\">%.1f</text>\n",
                LEFT + t * px, LEFT + t * px, TOP - 6, height - 4, LEFT + t * px, t);
    }
    fprintf(f, "<text class=\"tick one\" x=\"%.1f\" y=\"14\">", LEFT + px);
    nb_html(f, nb_baseline(s[0].result));
    fputs(" = 1</text>\n", f);
    fprintf(f,
            "<text class=\"colhead\" x=\"%d\" y=\"14\">ratio, 95 %% interval</text>"
            "<text class=\"colhead end\" x=\"%d\" y=\"14\">",
            LEFT + PLOT + 20, WIDTH - 6);
    nb_html(f, unit);
    fputs("</text>\n", f);
    for (size_t i = 0; i < n; i++) {
        const json_t *r = s[i].result, *e = json_object_get(r, "ratio");
        double y = TOP + ROW * (double)i, mid = y + ROW / 2.0;
        double m = nb_num(e, "median"), lo = nb_num(e, "lo"), hi = nb_num(e, "hi");
        bool base = strcmp(s[i].name, nb_baseline(r)) == 0,
             hidden = json_is_true(json_object_get(r, "noise_hides"));
        fprintf(f, "<text class=\"name\" x=\"%d\" y=\"%.1f\">", LEFT - 12, mid + 4.5);
        nb_html(f, s[i].title);
        fputs("</text>\n", f);
        if (!e) {
            fprintf(f, "<text class=\"note\" x=\"%d\" y=\"%.1f\">refused: ", LEFT + 8, mid + 4.5);
            nb_html(f, nb_str(r, "failure"));
            fputs("</text>\n", f);
            continue;
        }
        fprintf(
            f,
            "<rect class=\"c%d%s\" x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"3\"/>\n",
            s[i].colour, hidden ? " faint" : "", LEFT, y + 6, clamp(m, top) * px, ROW - 12);
        if (!base)
            fprintf(f, "<path class=\"whisker\" d=\"M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8\"/>\n",
                    LEFT + clamp(lo, top) * px, mid, LEFT + clamp(hi, top) * px,
                    LEFT + clamp(lo, top) * px, mid - 4, LEFT + clamp(hi, top) * px, mid - 4);
        if (!base)
            fprintf(f,
                    "<text class=\"value\" x=\"%d\" y=\"%.1f\">%.3f<tspan class=\"dim\">  %.3f – "
                    "%.3f%s</tspan></text>\n",
                    LEFT + PLOT + 20, mid + 4.5, m, lo, hi, hidden ? "  ≈ noise" : "");
        fprintf(f, "<text class=\"value end\" x=\"%d\" y=\"%.1f\">%s</text>\n", WIDTH - 6,
                mid + 4.5, nb_short(nb_num(json_object_get(r, "rate"), "median"), a));
    }
    fprintf(f, "<line class=\"base\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.0f\"/>\n</svg>\n",
            LEFT + px, LEFT + px, TOP - 6, height - 4);
}

/* ---- latency ---- */

enum { LW = 960, LH = 330, LX = 70, LR = 230, LT = 16, LB = 40 };

/* 0 for the fastest, 4 for the slowest hundredth of a percent: room for the tail. */
static double quantile_x(double q)
{
    return q >= 0.99999 ? 5 : -log10(1 - q);
}

static bool latency_range(const struct nb_series *s, size_t n, double *lo, double *hi)
{
    *lo = 1e18;
    *hi = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *point;
        size_t k;
        json_array_foreach (json_object_get(s[i].result, "distribution"), k, point) {
            double q = json_number_value(json_array_get(point, 0));
            double v = json_number_value(json_array_get(point, 1));
            if (q > 0.99995 || q < 0.001 || v <= 0)
                continue;
            *lo = v < *lo ? v : *lo;
            *hi = v > *hi ? v : *hi;
        }
    }
    return *hi > 0;
}

/* A round duration, without the digits that it does not have. */
static const char *tick(double ns, char buf[24])
{
    if (ns < 999)
        snprintf(buf, 24, "%.0f ns", ns);
    else if (ns < 999e3)
        snprintf(buf, 24, "%.0f us", ns / 1e3);
    else if (ns < 999e6)
        snprintf(buf, 24, "%.0f ms", ns / 1e6);
    else
        snprintf(buf, 24, "%.0f s", ns / 1e9);
    return buf;
}

struct label {
    double y;
    size_t series;
};

/* Labels stand beside the ends of their lines, moved apart where they would cover each other. */
static void place_labels(struct label *l, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && l[k].y < l[k - 1].y; k--) {
            struct label t = l[k];
            l[k] = l[k - 1];
            l[k - 1] = t;
        }
    for (size_t i = 1; i < n; i++)
        if (l[i].y < l[i - 1].y + 15)
            l[i].y = l[i - 1].y + 15;
    double over = n ? l[n - 1].y - (LH - LB) : 0;
    for (size_t i = n; over > 0 && i > 0; i--)
        if (i == n)
            l[i - 1].y -= over;
        else if (l[i - 1].y > l[i].y - 15)
            l[i - 1].y = l[i].y - 15;
}

void nb_plot_latency(FILE *f, const struct nb_series *s, size_t n)
{
    static const struct {
        double q;
        const char *text;
    } ticks[] = {{0, "0"},      {.5, "50 %"},     {.9, "90 %"},
                 {.99, "99 %"}, {.999, "99.9 %"}, {.9999, "99.99 %"}};
    struct label label[NB_PLOT_MAX];
    size_t labels = 0;
    char a[24];
    double lo, hi;
    if (!latency_range(s, n, &lo, &hi))
        return;
    double l0 = log10(lo * 0.9), l1 = log10(hi * 1.15), w = LW - LX - LR, h = LH - LT - LB;
#define X(q) (LX + quantile_x(q) / 4.0 * w)
#define Y(v) (LT + (l1 - log10(v)) / (l1 - l0) * h)
    fprintf(f, "<svg class=\"latency\" viewBox=\"0 0 %d %d\" role=\"img\">\n", LW, LH);
    for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++)
        fprintf(f,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"tick\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                X(ticks[i].q), X(ticks[i].q), LT, LH - LB, X(ticks[i].q), LH - LB + 18,
                ticks[i].text);
    for (int decade = (int)floor(l0); decade < l1; decade++)
        for (int k = 1; k < 10; k = k == 1 ? 2 : k == 2 ? 5 : 10) {
            double v = pow(10, decade) * k;
            if (v < pow(10, l0) || v > pow(10, l1))
                continue;
            fprintf(f,
                    "<line class=\"grid\" x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    "<text class=\"tick end\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                    LX, LX + w, Y(v), Y(v), LX - 8, Y(v) + 4, tick(v, a));
        }
    fprintf(f,
            "<text class=\"tick\" x=\"%.1f\" y=\"%d\">share of requests answered within the "
            "time</text>\n",
            LX + w / 2, LH - 4);
    for (size_t i = 0; i < n; i++) {
        json_t *point;
        size_t k;
        double last = 0;
        bool first = true;
        json_array_foreach (json_object_get(s[i].result, "distribution"), k, point) {
            double q = json_number_value(json_array_get(point, 0));
            double v = json_number_value(json_array_get(point, 1));
            if (q > 0.99995 || q < 0.001 || v <= 0)
                continue;
            if (first)
                fprintf(f, "<path class=\"line s%d\" d=\"", s[i].colour);
            fprintf(f, "%s%.1f %.1f", first ? "M" : "L", X(q), Y(v));
            first = false;
            last = Y(v);
        }
        if (!first) {
            fputs("\"/>\n", f);
            if (labels < NB_PLOT_MAX)
                label[labels++] = (struct label){last, i};
        }
    }
    place_labels(label, labels);
    for (size_t i = 0; i < labels; i++) {
        fprintf(f, "<text class=\"linelabel t%d\" x=\"%.1f\" y=\"%.1f\">",
                s[label[i].series].colour, LX + w + 8, label[i].y + 4);
        nb_html(f, s[label[i].series].title);
        fputs("</text>\n", f);
    }
#undef X
#undef Y
    fputs("</svg>\n", f);
}
