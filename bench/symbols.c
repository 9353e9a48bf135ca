/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/symbols.h"
#include "bench/scan.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define USER_END (1ULL << 47)

static int by_addr(const void *a, const void *b)
{
    const struct nb_symbol *x = a, *y = b;
    return (x->addr > y->addr) - (x->addr < y->addr);
}

/* The name as people know it: no ".constprop.0", no tag of a BPF program. */
static char *plain_name(const char *raw)
{
    char name[300];
    const char *bpf = NULL;
    if (strncmp(raw, "bpf_prog_", 9) == 0) {
        /* bpf_prog_TAG_NAME, the tag being 16 hexadecimal digits */
        if (strspn(raw + 9, "0123456789abcdef") == 16 && raw[25] == '_')
            bpf = raw + 26;
    }
    snprintf(name, sizeof(name), "%s%s", bpf ? "bpf: " : "", bpf ? bpf : raw);
    static const char *const cut[] = {".isra.", ".constprop.", ".part.", ".cold", ".llvm."};
    for (size_t i = 0; i < PW_ARRAY_SIZE(cut); i++) {
        char *dot = strstr(name, cut[i]);
        if (dot)
            *dot = '\0';
    }
    return strdup(name);
}

static int add_symbol(struct nb_symbols *s, size_t *room, uint64_t addr, const char *name)
{
    if (s->n == *room) {
        size_t want = *room ? *room * 2 : 65536;
        struct nb_symbol *v = reallocarray(s->v, want, sizeof(*v));
        if (!v)
            return -ENOMEM;
        s->v = v;
        *room = want;
    }
    char *copy = plain_name(name);
    if (!copy)
        return -ENOMEM;
    s->v[s->n++] = (struct nb_symbol){addr, copy};
    return 0;
}

int nb_symbols_load(const char *path, struct nb_symbols *out, struct pw_err *err)
{
    pw_cleanup(nb_symbols_free) struct nb_symbols s = {0};
    size_t room = 0;
    char line[512], name[256], type[2];
    uint64_t addr;
    pw_file *f = fopen(path, "re");
    if (!f)
        return pw_err_errno(err, -errno, "open %s", path);
    while (fgets(line, sizeof(line), f)) {
        const char *at = line;
        if (!nb_scan_u64(&at, 16, &addr) || !nb_scan_word(&at, type, sizeof(type)) ||
            !nb_scan_word(&at, name, sizeof(name)) || !strchr("tTwW", type[0]) || addr < USER_END)
            continue;
        if (add_symbol(&s, &room, addr, name) < 0)
            return pw_err_set(err, -ENOMEM, "out of memory");
    }
    if (s.n == 0)
        return pw_err_set(err, -ENODATA, "%s: no symbols", path);
    qsort(s.v, s.n, sizeof(*s.v), by_addr);
    *out = s;
    s = (struct nb_symbols){0};
    return 0;
}

void nb_symbols_free(struct nb_symbols *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i].name);
    free(s->v);
    s->v = NULL;
    s->n = 0;
}

const char *nb_symbols_name(const struct nb_symbols *s, uint64_t addr)
{
    size_t lo = 0, hi = s->n;
    if (addr < USER_END)
        return "[user space]";
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->v[mid].addr <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    /* No function is that long: beyond the last of a section lies something without a name. */
    return lo == 0 || addr - s->v[lo - 1].addr > 1 << 17 ? "[unknown]" : s->v[lo - 1].name;
}

/* ---- windows ---- */

static int by_name(const void *a, const void *b)
{
    const struct nb_func *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Sort by name and add up equal names. */
static void fold(struct nb_window_count *w)
{
    size_t n = 0;
    if (w->n == 0)
        return;
    qsort(w->v, w->n, sizeof(*w->v), by_name);
    for (size_t i = 1; i < w->n; i++) {
        if (strcmp(w->v[i].name, w->v[n].name) == 0)
            w->v[n].insns += w->v[i].insns;
        else
            w->v[++n] = w->v[i];
    }
    w->n = n + 1;
}

static int new_window(struct nb_windows *w, unsigned number, uint64_t total)
{
    struct nb_window_count *v = reallocarray(w->v, w->n + 1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    w->v = v;
    w->v[w->n++] = (struct nb_window_count){.number = number, .total = total};
    return 0;
}

static int add_block(struct nb_window_count *c, const char *name, uint64_t insns)
{
    if ((c->n & (c->n - 1)) == 0) { /* room grows by doubling */
        struct nb_func *v = reallocarray(c->v, c->n ? c->n * 2 : 1, sizeof(*v));
        if (!v)
            return -ENOMEM;
        c->v = v;
    }
    c->v[c->n++] = (struct nb_func){name, insns};
    return 0;
}

int nb_windows_load(const char *path, const struct nb_symbols *s, struct nb_windows *out,
                    struct pw_err *err)
{
    pw_cleanup(nb_windows_free) struct nb_windows w = {0};
    char line[128];
    uint64_t number, addr, insns;
    pw_file *f = fopen(path, "re");
    if (!f)
        return pw_err_errno(err, -errno, "open %s", path);
    while (fgets(line, sizeof(line), f)) {
        int rc = 0;
        const char *at = line;
        if (nb_scan_text(&at, "window ") && nb_scan_u64(&at, 10, &number) &&
            nb_scan_u64(&at, 10, &insns))
            rc = new_window(&w, (unsigned)number, insns);
        else if (w.n && nb_scan_u64(&at, 16, &addr) && nb_scan_u64(&at, 10, &insns))
            rc = add_block(&w.v[w.n - 1], nb_symbols_name(s, addr), insns);
        else
            return pw_err_set(err, -EPROTO, "%s: not understood: %.40s", path, line);
        if (rc < 0)
            return pw_err_set(err, rc, "out of memory");
    }
    for (size_t i = 0; i < w.n; i++)
        fold(&w.v[i]);
    *out = w;
    w = (struct nb_windows){0};
    return 0;
}

void nb_windows_free(struct nb_windows *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i].v);
    free(w->v);
    w->v = NULL;
    w->n = 0;
}

const struct nb_window_count *nb_windows_find(const struct nb_windows *w, unsigned number)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->v[i].number == number)
            return &w->v[i];
    return NULL;
}

uint64_t nb_window_insns(const struct nb_window_count *w, const char *name)
{
    struct nb_func key = {name, 0};
    const struct nb_func *f = w->n ? bsearch(&key, w->v, w->n, sizeof(*w->v), by_name) : NULL;
    return f ? f->insns : 0;
}
