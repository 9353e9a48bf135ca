/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "bench/result.h"
#include "loader/base/cleanup.h"

#define COLS 8

/* Rows are collected as text first, then printed with columns as wide as their widest cell. */
struct grid {
    char cell[NB_MAX_PATHS + 1][COLS][96];
    bool dim[NB_MAX_PATHS + 1];
    unsigned rows, cols;
};

static void grid_print(FILE *f, const struct grid *g, bool color)
{
    int width[COLS] = {0};
    for (unsigned c = 0; c < g->cols; c++)
        for (unsigned r = 0; r < g->rows; r++)
            if ((int)strlen(g->cell[r][c]) > width[c])
                width[c] = (int)strlen(g->cell[r][c]);
    for (unsigned r = 0; r < g->rows; r++) {
        if (color && (r == 0 || g->dim[r]))
            fputs(r == 0 ? "\033[1m" : "\033[2m", f);
        fputs("  ", f);
        for (unsigned c = 0; c < g->cols; c++) {
            bool last = c + 1 == g->cols;
            /* Names and notes to the left, figures to the right. */
            fprintf(f,
                    c == 0 ? "%-*s"
                    : last ? "%.*s"
                           : "%*s",
                    last ? 95 : width[c], g->cell[r][c]);
            if (!last)
                fputs("  ", f);
        }
        if (color && (r == 0 || g->dim[r]))
            fputs("\033[0m", f);
        fputc('\n', f);
    }
}

static void head(struct grid *g, const json_t *c, bool latency)
{
    static const char *const plain[COLS] = {"path", "", "", "", "95 % interval", "", "", "note"};
    for (unsigned i = 0; i < COLS; i++)
        snprintf(g->cell[0][i], sizeof(g->cell[0][i]), "%s", plain[i]);
    snprintf(g->cell[0][1], sizeof(g->cell[0][1]), "%s", nb_str(c, "unit"));
    snprintf(g->cell[0][2], sizeof(g->cell[0][2]), "%s", latency ? "p50 / p99" : "");
    snprintf(g->cell[0][3], sizeof(g->cell[0][3]), "x %.80s", nb_baseline(c));
    const json_t *cpu = json_object_get(c, "cpu_ns");
    if (cpu) {
        snprintf(g->cell[0][5], sizeof(g->cell[0][5]), "CPU per %s", nb_str(cpu, "per"));
        snprintf(g->cell[0][6], sizeof(g->cell[0][6]), "CPU x %.80s", nb_baseline(c));
    }
    g->rows = 1;
    g->cols = COLS;
}

static void row(struct grid *g, const json_t *c)
{
    char a[24], b[24];
    unsigned r = g->rows++;
    char(*out)[96] = g->cell[r];
    json_t *ratio = json_object_get(c, "ratio"), *lat = json_object_get(c, "latency_ns");
    json_t *cpu = json_object_get(c, "cpu_ns"), *cost = json_object_get(c, "cpu_ratio");
    bool base = strcmp(nb_str(c, "path"), nb_baseline(c)) == 0;
    for (unsigned i = 0; i < COLS; i++)
        out[i][0] = '\0';
    g->dim[r] = json_is_true(json_object_get(c, "noise_hides"));
    snprintf(out[0], 96, "%s", nb_str(c, "path"));
    if (json_is_true(json_object_get(c, "refused")) || !json_object_get(c, "rate")) {
        snprintf(out[7], 96, "refused: %.80s", nb_str(c, "failure"));
        return;
    }
    snprintf(out[1], 96, "%s", nb_short(nb_num(json_object_get(c, "rate"), "median"), a));
    if (lat)
        snprintf(out[2], 96, "%s / %s", nb_dur(nb_num(lat, "p50"), a),
                 nb_dur(nb_num(lat, "p99"), b));
    if (ratio && !base) {
        snprintf(out[3], 96, "%.3f", nb_num(ratio, "median"));
        snprintf(out[4], 96, "%.3f - %.3f", nb_num(ratio, "lo"), nb_num(ratio, "hi"));
        if (cost)
            snprintf(out[6], 96, "%.3f", nb_num(cost, "median"));
    } else if (base) {
        snprintf(out[3], 96, "1");
        snprintf(out[6], 96, "%s", cpu ? "1" : "");
    }
    if (cpu)
        snprintf(out[5], 96, "%s", nb_dur(nb_num(cpu, "total"), a));
    if (json_object_get(c, "loss"))
        snprintf(out[7], 96, "%.1f %% lost%s", 100 * nb_num(c, "loss"),
                 g->dim[r] ? "; noise hides the difference" : "");
    else if (g->dim[r])
        snprintf(out[7], 96, "noise hides the difference");
}

static const char *place_title(const char *name)
{
    for (int i = 0; i < NB_WHERES; i++)
        if (strcmp(nb_where_name[i], name) == 0)
            return nb_where_title[i];
    return name;
}

void nb_table(FILE *f, const json_t *doc, bool color)
{
    json_t *c, *p, *w, *m = json_object_get(doc, "machine"), *s = json_object_get(doc, "settings");
    size_t i;
    const char *where = "", *work = "";
    pw_free struct grid *g = calloc(1, sizeof(*g));
    if (!g)
        return;
    fprintf(f, "kernel %s, %s, %.0f CPUs; %.0f rounds of %.1f s, %s, MTU %.0f, %s%s\n",
            nb_str(m, "kernel"), nb_str(m, "cpu"), nb_num(m, "cpus"), nb_num(doc, "rounds_done"),
            nb_num(s, "seconds"), nb_str(s, "congestion_control"), nb_num(s, "mtu"),
            nb_num(s, "family") == 6 ? "IPv6" : "IPv4",
            nb_num(s, "rules") > 0 ? ", with rules" : "");
    json_array_foreach (json_object_get(doc, "results"), i, c) {
        if (strcmp(where, nb_str(c, "where")) != 0 || strcmp(work, nb_str(c, "workload")) != 0) {
            if (g->rows)
                grid_print(f, g, color);
            where = nb_str(c, "where");
            work = nb_str(c, "workload");
            fprintf(f, "\n%s: %s\n", place_title(where), nb_str(c, "title"));
            head(g, c, json_object_get(c, "latency_ns") != NULL);
        }
        row(g, c);
    }
    if (g->rows)
        grid_print(f, g, color);
    /* `g` has a cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    bool first = true;
    json_array_foreach (json_object_get(doc, "paths"), i, p)
        if (strcmp(nb_str(p, "state"), "measured") != 0) {
            fputs(first ? "\nNot measured\n" : "", f);
            first = false;
            fprintf(f, "  %-20s %s: %s\n", nb_str(p, "name"), nb_str(p, "state"), nb_str(p, "why"));
        }
    first = true;
    json_array_foreach (json_object_get(doc, "warnings"), i, w) {
        fputs(first ? "\nWarnings\n" : "", f);
        first = false;
        fprintf(f, "  %s\n", json_string_value(w));
    }
}
