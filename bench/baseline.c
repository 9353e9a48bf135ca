/* SPDX-License-Identifier: Apache-2.0 */
/* The baseline file of counts. */
#include <stdbool.h>
#include <string.h>

#include "bench/count.h"
#include "bench/result.h"
#include "bench/scan.h"
#include "loader/base/cleanup.h"

struct row {
    char kernel[32], where[24], work[32], path[32];
    double insns, ratio;
};

/* A line into a row: 1, or 0 for comments and blanks, or -EINVAL. */
static int parse_row(const char *line, struct row *r)
{
    const char *s = line + strspn(line, " \t\n");
    if (*s == '\0' || *s == '#')
        return 0;
    bool ok = nb_scan_word(&s, r->kernel, sizeof(r->kernel)) &&
              nb_scan_word(&s, r->where, sizeof(r->where)) &&
              nb_scan_word(&s, r->work, sizeof(r->work)) &&
              nb_scan_word(&s, r->path, sizeof(r->path)) && nb_scan_double(&s, &r->insns) &&
              nb_scan_double(&s, &r->ratio) && nb_scan_end(s);
    return ok && r->insns > 0 && r->ratio > 0 ? 1 : -EINVAL;
}

static json_t *result_of(const json_t *doc, const struct row *row)
{
    json_t *r;
    size_t i;
    json_array_foreach (json_object_get(doc, "results"), i, r)
        if (strcmp(nb_str(r, "where"), row->where) == 0 &&
            strcmp(nb_str(r, "workload"), row->work) == 0 &&
            strcmp(nb_str(r, "path"), row->path) == 0)
            return r;
    return NULL;
}

/* Whether the document measured that place and workload at all (a part may be run alone). */
static bool group_run(const json_t *doc, const struct row *row)
{
    const struct nb_work *w = nb_work_find(row->work);
    struct row base = *row;
    snprintf(base.path, sizeof(base.path), "%s", w ? nb_work_baseline(w) : "host");
    return result_of(doc, &base) != NULL;
}

static bool path_wanted(const json_t *doc, const char *path)
{
    json_t *p;
    size_t i;
    json_array_foreach (json_object_get(doc, "paths"), i, p)
        if (strcmp(nb_str(p, "name"), path) == 0)
            return true;
    return false;
}

static bool ours(const char *path)
{
    return strncmp(path, "podwire", 7) == 0;
}

int nb_count_compare(FILE *f, const json_t *doc, const char *kernel, const char *baseline,
                     double limit, struct pw_err *err)
{
    char line[256];
    int bad = 0, judged = 0;
    pw_file *in = fopen(baseline, "re");
    if (!in)
        return pw_err_errno(err, -errno, "open %s", baseline);
    for (unsigned nr = 1; fgets(line, sizeof(line), in); nr++) {
        struct row row;
        int rc = parse_row(line, &row);
        if (rc < 0)
            return pw_err_set(err, rc, "%s, line %u: not understood", baseline, nr);
        if (rc == 0 || strcmp(row.kernel, kernel) != 0 || !ours(row.path) ||
            !group_run(doc, &row) || !path_wanted(doc, row.path))
            continue;
        const json_t *r = result_of(doc, &row);
        double now = nb_num(json_object_get(json_object_get(r, "count"), "ratio"), "median");
        judged++;
        if (now <= 0) {
            bad++;
            fprintf(f, "FAIL %s %s %s: in the baseline, but not measured now\n", row.where,
                    row.work, row.path);
            continue;
        }
        double rise = (now / row.ratio - 1) * 100;
        if (rise > limit) {
            bad++;
            fprintf(f, "FAIL %s %s %s: %.4f of its baseline, was %.4f: %+.2f %% (limit %.2g %%)\n",
                    row.where, row.work, row.path, now, row.ratio, rise, limit);
        } else if (rise < -limit) {
            fprintf(f,
                    "better %s %s %s: %.4f of its baseline, was %.4f: %+.2f %%; take it with "
                    "--update\n",
                    row.where, row.work, row.path, now, row.ratio, rise);
        }
    }
    if (judged == 0)
        return pw_err_set(err, -ENODATA, "%s has no line for what was counted on %s", baseline,
                          kernel);
    fprintf(f, "%d counts compared with %s, %d worse\n", judged, baseline, bad);
    return bad;
}

static void write_rows(FILE *f, const json_t *doc, const char *kernel)
{
    json_t *r;
    size_t i;
    json_array_foreach (json_object_get(doc, "results"), i, r) {
        const json_t *c = json_object_get(r, "count");
        if (c && json_object_get(r, "rate"))
            fprintf(f, "%-7s %-12s %-16s %-20s %10.0f %7.4f\n", kernel, nb_str(r, "where"),
                    nb_str(r, "workload"), nb_str(r, "path"),
                    nb_num(json_object_get(c, "instructions"), "median"),
                    nb_num(json_object_get(c, "ratio"), "median"));
    }
}

int nb_count_update(const json_t *doc, const char *kernel, const char *baseline, struct pw_err *err)
{
    pw_free char *text = NULL;
    size_t len = 0;
    char line[256];
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return pw_err_errno(err, -errno, "memory");
    pw_file *in = fopen(baseline, "re");
    /* What was counted now replaces its line; everything else stays as it is. */
    while (in && fgets(line, sizeof(line), in)) {
        struct row row;
        if (parse_row(line, &row) == 1 && strcmp(row.kernel, kernel) == 0 && result_of(doc, &row))
            continue;
        fputs(line, out);
    }
    if (!in)
        fputs("# SPDX-License-Identifier: Apache-2.0\n"
              "# Instructions of the guest: kernel, place, workload, path, per request (packet, "
              "MB),\n"
              "# ratio to the host (tap-rate: to tap-mirred-ptp). Written by: netbench count "
              "--baseline FILE --update\n",
              out);
    write_rows(out, doc, kernel);
    if (fclose(out) != 0)
        return pw_err_set(err, -ENOMEM, "out of memory");
    FILE *f = fopen(baseline, "we");
    if (!f)
        return pw_err_errno(err, -errno, "write %s", baseline);
    bool ok = fputs(text, f) >= 0;
    return fclose(f) != 0 || !ok ? pw_err_errno(err, -errno, "write %s", baseline) : 0;
}
