/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/ctl.h"

const char *ctl_paint(const struct ctl *ctl, enum ctl_paint p)
{
    static const char *const codes[] = {
        [PAINT_PLAIN] = "\033[0m", [PAINT_BOLD] = "\033[1m",   [PAINT_DIM] = "\033[2m",
        [PAINT_RED] = "\033[31m",  [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m"};

    return ctl->colour ? codes[p] : "";
}

int ctl_print_json(json_t *doc)
{
    if (!doc) {
        fputs("podwirectl: out of memory, or text that is not UTF-8\n", stderr);
        return CTL_FAILED;
    }
    json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(doc);
    return CTL_OK;
}

int ctl_open(struct pw_dp **dp, struct pw_err *err)
{
    int rc = pw_dp_open(dp, NULL, err);

    if (rc == -ENOENT)
        pw_err_set(err, rc,
                   "no datapath is loaded on this node (the first pod loads it, or "
                   "`podwirectl load`)");
    else if (rc == -EACCES || rc == -EPERM)
        pw_err_set(err, rc, "%s: not permitted (run as root)", PW_PIN_DIR);
    return rc;
}

/* One row, cells divided by tabs. */
static void add_row(struct ctl_table *t, const char *cells)
{
    const char *p = cells;

    if (t->rows == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 16;
        char **cell = realloc(t->cell, cap * t->columns * sizeof(*cell));
        if (!cell)
            return;
        t->cell = cell;
        t->cap = cap;
    }
    for (size_t i = 0; i < t->columns; i++) {
        size_t n = strcspn(p, "\t");
        t->cell[t->rows * t->columns + i] = strndup(p, n);
        p += n;
        p += *p == '\t';
    }
    t->rows++;
}

void ctl_table_init(struct ctl_table *t, const char *const *titles)
{
    char row[512] = "";

    *t = (struct ctl_table){0};
    for (; titles[t->columns] && t->columns < CTL_COLUMNS; t->columns++) {
        const char *title = titles[t->columns];
        t->right[t->columns] = title[0] == '>';
        size_t n = strlen(row);
        snprintf(row + n, sizeof(row) - n, "%s%s", t->columns ? "\t" : "",
                 title + t->right[t->columns]);
    }
    add_row(t, row);
}

void ctl_table_add(struct ctl_table *t, const char *fmt, ...)
{
    pw_free char *row = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&row, fmt, ap) < 0)
        row = NULL;
    va_end(ap);
    if (row)
        add_row(t, row);
}

void ctl_table_print(struct ctl_table *t, const struct ctl *ctl)
{
    size_t width[CTL_COLUMNS] = {0};

    for (size_t i = 0; i < t->rows * t->columns; i++) {
        size_t n = t->cell[i] ? strlen(t->cell[i]) : 0;
        if (n > width[i % t->columns])
            width[i % t->columns] = n;
    }
    for (size_t r = 0; r < t->rows; r++) {
        if (r == 0)
            fputs(ctl_paint(ctl, PAINT_BOLD), stdout);
        for (size_t c = 0; c < t->columns; c++) {
            const char *cell = t->cell[r * t->columns + c];
            int w = (int)width[c];
            /* No blanks at the end of a line. */
            if (c + 1 == t->columns && !t->right[c])
                w = 0;
            printf("%s%*s", c ? "  " : "", t->right[c] ? w : -w, cell ? cell : "");
        }
        if (r == 0)
            fputs(ctl_paint(ctl, PAINT_PLAIN), stdout);
        putchar('\n');
    }
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->cell[i]);
    free(t->cell);
    *t = (struct ctl_table){0};
}

const char *ctl_bytes(uint64_t n, char buf[24])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    double v = (double)n / 1000;
    size_t u = 0;

    if (n < 1000) {
        snprintf(buf, 24, "%llu B", (unsigned long long)n);
        return buf;
    }
    while (v >= 999.5 && u + 1 < PW_ARRAY_SIZE(units)) {
        v /= 1000;
        u++;
    }
    snprintf(buf, 24, v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}
