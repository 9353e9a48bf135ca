/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/count.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/progress.h"
#include "bench/result.h"
#include "bench/scan.h"
#include "bench/symbols.h"
#include "loader/base/cleanup.h"

#define TOP 25 /* functions of a breakdown */

/* ---- the machine ---- */

/* The source tree that this program was built in ("" for what is not there), and the name of its
 * build folder: guests are booted by the tree's tests/vm/run. */
static int find_tree(char tree[PATH_MAX], char build[NAME_MAX + 1], struct pw_err *err)
{
    char run[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", tree, PATH_MAX - 1);
    if (n < 0)
        return pw_err_errno(err, -errno, "find own program");
    tree[n] = '\0';
    char *slash = strrchr(tree, '/');
    *slash = '\0';
    slash = strrchr(tree, '/');
    snprintf(build, NAME_MAX + 1, "%.*s", NAME_MAX, slash ? slash + 1 : "");
    if (slash)
        *slash = '\0';
    snprintf(run, sizeof(run), "%s/tests/vm/run", tree);
    if (access(run, X_OK) != 0)
        return pw_err_set(err, -ENOENT, "no program %.300s: counting needs the source tree", run);
    return 0;
}

/* The counter for the QEMU that is installed: its plugin interface has changed on the way. */
static int plugin_api(struct pw_err *err)
{
    const char *argv[] = {"qemu-system-x86_64", "--version", NULL};
    struct nb_spot here = {NULL, -1};
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    uint64_t major = 0;
    int rc = nb_exec(&here, argv, NULL, NULL, &o, err);
    if (rc < 0)
        return rc;
    const char *at = o.text ? strstr(o.text, "version ") : NULL;
    if (!at || !nb_scan_text(&at, "version ") || !nb_scan_u64(&at, 10, &major))
        return pw_err_set(err, -EPROTO, "version of qemu-system-x86_64 not understood");
    return major >= 10 ? 4 : 1;
}

static void remove_dir(char **dir)
{
    static const char *const files[] = {"result.json", "windows", "kallsyms", "log"};
    char path[PATH_MAX];
    if (!*dir)
        return;
    for (size_t i = 0; i < PW_ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", *dir, files[i]);
        unlink(path);
    }
    rmdir(*dir);
}

/* What of our own command line goes to the guest: all but what concerns this side. */
static size_t guest_args(int argc, char **argv, const char *out[], size_t room)
{
    static const char *const with_value[] = {"--kernel", "--baseline", "--limit", "--json",
                                             "--report"};
    static const char *const alone[] = {"--functions", "--update", "--quiet"};
    size_t n = 0;
    for (int i = 2; i < argc && n + 1 < room; i++) {
        bool skip = false;
        for (size_t k = 0; k < PW_ARRAY_SIZE(with_value); k++) {
            size_t len = strlen(with_value[k]);
            if (strcmp(argv[i], with_value[k]) == 0) {
                skip = true;
                i++;
                break;
            }
            if (strncmp(argv[i], with_value[k], len) == 0 && argv[i][len] == '=')
                skip = true;
        }
        for (size_t k = 0; k < PW_ARRAY_SIZE(alone); k++)
            skip = skip || strcmp(argv[i], alone[k]) == 0;
        if (!skip)
            out[n++] = argv[i];
    }
    out[n] = NULL;
    return n;
}

/* What the guest runs; "$@" are the arguments for netbench. Programs of BPF have names only where
 * the kernel is told to show them, and only as long as they are loaded. */
static const char guest_script[] =
    "sysctl -qw net.core.bpf_jit_kallsyms=1; build=$1 functions=$2 steps=$3; shift 3; "
    "[ $steps = 0 ] || export " NB_STEPS_ENV "=1; "
    "[ $functions = 0 ] || set -- \"$@\" --test-kallsyms \"$OUT/kallsyms\"; "
    "\"$build/netbench\" guest --json \"$OUT/result.json\" \"$@\" 3>&1 >\"$OUT/log\" 2>&1; "
    "rc=$?; "
    "[ $rc = 0 ] || [ $rc = 3 ] || cat \"$OUT/log\"; [ -s \"$OUT/result.json\" ]";

int nb_count_run(const struct nb_args *a, int argc, char **argv, json_t **out, struct pw_err *err)
{
    char tree[PATH_MAX], build[NAME_MAX + 1], run[PATH_MAX + 16], plugin[2 * PATH_MAX],
        file[PATH_MAX], syms[PATH_MAX], env[NAME_MAX + 8], name[] = "/tmp/netbench-count.XXXXXX";
    const char *args[96];
    char limit[24];
    struct nb_progress bar;
    pw_cleanup(nb_out_free) struct nb_out o = {.watch = nb_progress_follow, .arg = &bar};
    struct nb_spot here = {NULL, -1};
    size_t n = 0;
    int rc = find_tree(tree, build, err), api = 0;
    if (rc == 0 && a->functions)
        rc = api = plugin_api(err);
    if (rc < 0)
        return rc;
    pw_cleanup(remove_dir) char *dir = mkdtemp(name);
    if (!dir)
        return pw_err_errno(err, -errno, "temporary directory");
    snprintf(run, sizeof(run), "%s/tests/vm/run", tree);
    snprintf(plugin, sizeof(plugin), "%s/%s/netbench-icount-%d.so,out=%s/windows", tree, build, api,
             dir);
    snprintf(env, sizeof(env), "BUILD=%s", build);
    const char *const envs[] = {env, NULL};
    /* Emulated, the rules of 1000 Services take a node ten seconds, many times that on a machine
     * with other work, and each path has two nodes. */
    snprintf(limit, sizeof(limit), "%u", 1800 + a->plan.npaths * a->plan.set.rules * 300 / 1000);
    nb_progress_start(&bar, a->plan.progress, 1);
    nb_progress_step(&bar, 0, "boot");
    const char *const head[] = {run,         "--icount", "--kernel", a->kernel,
                                "--timeout", limit,      "--out",    dir};
    for (size_t i = 0; i < PW_ARRAY_SIZE(head); i++)
        args[n++] = head[i];
    if (a->functions) {
        args[n++] = "--plugin";
        args[n++] = plugin;
    }
    const char *const tail[] = {"--",
                                "bash",
                                "-c",
                                guest_script,
                                "guest",
                                build,
                                a->functions ? "1" : "0",
                                bar.on ? "1" : "0"};
    for (size_t i = 0; i < PW_ARRAY_SIZE(tail); i++)
        args[n++] = tail[i];
    guest_args(argc, argv, args + n, PW_ARRAY_SIZE(args) - n);
    rc = nb_exec(&here, args, envs, NULL, &o, err);
    nb_progress_end(&bar);
    if (rc < 0)
        return rc;
    json_error_t je;
    snprintf(file, sizeof(file), "%s/result.json", dir);
    json_t *doc = json_load_file(file, JSON_REJECT_DUPLICATES, &je);
    if (!doc)
        return pw_err_set(err, -EPROTO, "result of the guest, line %d: %s", je.line, je.text);
    if (a->functions) {
        snprintf(file, sizeof(file), "%s/windows", dir);
        snprintf(syms, sizeof(syms), "%s/kallsyms", dir);
        if ((rc = nb_count_functions(doc, file, syms, err)) < 0) {
            json_decref(doc);
            return rc;
        }
    }
    *out = doc;
    return 0;
}

/* ---- breakdown ---- */

static json_t *baseline_of(const json_t *doc, const json_t *r)
{
    json_t *o;
    size_t i;
    json_array_foreach (json_object_get(doc, "results"), i, o)
        if (strcmp(nb_str(o, "path"), nb_baseline(r)) == 0 &&
            strcmp(nb_str(o, "where"), nb_str(r, "where")) == 0 &&
            strcmp(nb_str(o, "workload"), nb_str(r, "workload")) == 0)
            return o;
    return NULL;
}

struct delta {
    const char *name;
    double host, path;
};

static int by_size(const void *a, const void *b)
{
    const struct delta *x = a, *y = b;
    double dx = fabs(x->path - x->host), dy = fabs(y->path - y->host);
    return (dx < dy) - (dx > dy);
}

/* All functions of either window, each with its instructions for one request. */
static size_t deltas(const struct nb_window_count *host, double nh,
                     const struct nb_window_count *path, double np, struct delta *out)
{
    size_t i = 0, k = 0, n = 0;
    while (i < host->n || k < path->n) {
        int c = i == host->n ? 1 : k == path->n ? -1 : strcmp(host->v[i].name, path->v[k].name);
        out[n].name = c <= 0 ? host->v[i].name : path->v[k].name;
        out[n].host = c <= 0 ? (double)host->v[i].insns / nh : 0;
        out[n].path = c >= 0 ? (double)path->v[k].insns / np : 0;
        i += c <= 0;
        k += c >= 0;
        n++;
    }
    qsort(out, n, sizeof(*out), by_size);
    return n;
}

/* Window and amount of a result: its last round, when everything is warm. */
static const struct nb_window_count *window_of(const json_t *doc, const json_t *r,
                                               const struct nb_windows *w, double *amount)
{
    const json_t *count = json_object_get(r, "count"), *amounts = json_object_get(count, "amounts");
    size_t rounds = json_array_size(amounts);
    if (rounds == 0)
        return NULL;
    *amount = json_number_value(json_array_get(amounts, rounds - 1));
    unsigned cells = (unsigned)json_array_size(json_object_get(doc, "results"));
    const struct nb_window_count *c =
        nb_windows_find(w, (unsigned)(rounds - 1) * cells + (unsigned)nb_num(count, "cell"));
    return *amount > 0 ? c : NULL;
}

static int add_functions(json_t *doc, json_t *r, const struct nb_windows *w, struct pw_err *err)
{
    double nh = 0, np = 0;
    json_t *host = baseline_of(doc, r);
    const struct nb_window_count *h = host ? window_of(doc, host, w, &nh) : NULL;
    const struct nb_window_count *p = window_of(doc, r, w, &np);
    if (!h || !p)
        return 0;
    pw_free struct delta *d = calloc(h->n + p->n + 1, sizeof(*d));
    if (!d)
        return pw_err_set(err, -ENOMEM, "out of memory");
    size_t n = deltas(h, nh, p, np, d);
    json_t *list = json_array();
    double rest_host = 0, rest_path = 0;
    for (size_t i = 0; i < n; i++) {
        if (i >= TOP) {
            rest_host += d[i].host;
            rest_path += d[i].path;
            continue;
        }
        json_array_append_new(list, json_pack("{s:s,s:f,s:f}", "function", d[i].name, "host",
                                              d[i].host, "path", d[i].path));
    }
    json_array_append_new(list, json_pack("{s:s,s:f,s:f}", "function", "[all others]", "host",
                                          rest_host, "path", rest_path));
    json_object_set_new(json_object_get(r, "count"), "functions", list);
    /* The plugin counts what is executed; the guest's clock also runs while it is idle. */
    json_object_set_new(json_object_get(r, "count"), "executed", json_real((double)p->total / np));
    return 0;
}

int nb_count_functions(json_t *doc, const char *windows, const char *kallsyms, struct pw_err *err)
{
    pw_cleanup(nb_symbols_free) struct nb_symbols s = {0};
    pw_cleanup(nb_windows_free) struct nb_windows w = {0};
    json_t *r;
    size_t i;
    int rc = nb_symbols_load(kallsyms, &s, err);
    if (rc == 0)
        rc = nb_windows_load(windows, &s, &w, err);
    json_array_foreach (json_object_get(doc, "results"), i, r) {
        if (rc == 0)
            rc = add_functions(doc, r, &w, err);
    }
    return rc;
}

/* ---- tables ---- */

static void breakdown(FILE *f, const json_t *r)
{
    json_t *fn;
    size_t i;
    const json_t *count = json_object_get(r, "count");
    const char *base = nb_baseline(r);
    if (!json_object_get(count, "functions") || strcmp(nb_str(r, "path"), base) == 0)
        return;
    fprintf(f, "\n    where %s differs from %s%s, instructions per %s\n", nb_str(r, "path"),
            strcmp(base, "host") == 0 ? "the " : "", base, nb_str(count, "per"));
    fprintf(f, "    %10s %10s %10s  function\n", "baseline", "path", "more");
    json_array_foreach (json_object_get(count, "functions"), i, fn)
        fprintf(f, "    %10.1f %10.1f %+10.1f  %s\n", nb_num(fn, "host"), nb_num(fn, "path"),
                nb_num(fn, "path") - nb_num(fn, "host"), nb_str(fn, "function"));
    fputc('\n', f);
}

void nb_count_table(FILE *f, const json_t *doc)
{
    json_t *r, *p;
    size_t i;
    const char *where = "", *work = "";
    fprintf(f, "guest kernel %s, %.0f rounds, instructions counted by the emulator\n",
            nb_str(json_object_get(doc, "machine"), "kernel"), nb_num(doc, "rounds_done"));
    json_array_foreach (json_object_get(doc, "results"), i, r) {
        const json_t *c = json_object_get(r, "count"), *e = json_object_get(c, "instructions");
        const json_t *ratio = json_object_get(c, "ratio");
        if (strcmp(where, nb_str(r, "where")) != 0 || strcmp(work, nb_str(r, "workload")) != 0) {
            where = nb_str(r, "where");
            work = nb_str(r, "workload");
            fprintf(f, "\n%s: %s\n  %-20s %14s %10s %12s  (over %s)\n", where, nb_str(r, "title"),
                    "path", nb_str(c, "per"), "over", "repeats to", nb_baseline(r));
        }
        if (!c) {
            fprintf(f, "  %-20s refused: %s\n", nb_str(r, "path"), nb_str(r, "failure"));
            continue;
        }
        double m = nb_num(e, "median");
        fprintf(f, "  %-20s %14.0f %+9.2f%% %11.2f%%%s\n", nb_str(r, "path"), m,
                (nb_num(ratio, "median") - 1) * 100,
                m > 0 ? (nb_num(e, "hi") - nb_num(e, "lo")) / m * 100 : 0,
                nb_num(c, "idle") > 0.005 ? "  idle in between: counts include waiting" : "");
        breakdown(f, r);
    }
    json_array_foreach (json_object_get(doc, "paths"), i, p)
        if (strcmp(nb_str(p, "state"), "measured") != 0)
            fprintf(f, "  %-20s %s: %s\n", nb_str(p, "name"), nb_str(p, "state"), nb_str(p, "why"));
}
