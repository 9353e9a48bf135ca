/* SPDX-License-Identifier: Apache-2.0 */
/* netbench: commands, and the only file of it that prints. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bench/args.h"
#include "bench/count.h"
#include "bench/result.h"
#include "loader/base/cleanup.h"

struct job {
    const struct nb_args *args;
    int argc;
    char **argv;
};

static int complain(const struct pw_err *err)
{
    fprintf(stderr, "netbench: %s\n", err->msg);
    return 1;
}

static int write_page(const char *path, const json_t *doc, struct pw_err *err)
{
    pw_file *f = fopen(path, "we");
    if (!f)
        return pw_err_errno(err, -errno, "write %s", path);
    nb_page(f, doc);
    return fflush(f) != 0 ? pw_err_errno(err, -errno, "write %s", path) : 0;
}

static int output(const struct nb_args *a, const json_t *doc, struct pw_err *err)
{
    bool json_out = a->json && strcmp(a->json, "-") == 0;
    int rc = 0;
    if (json_out) {
        json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        putchar('\n');
    } else {
        nb_table(stdout, doc, isatty(STDOUT_FILENO));
    }
    if (a->json && !json_out &&
        json_dump_file(doc, a->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0)
        rc = pw_err_errno(err, -errno, "write %s", a->json);
    if (a->report && rc == 0)
        rc = write_page(a->report, doc, err);
    return rc;
}

/* Paths that were asked for by name and could not be measured, and refused samples, are errors. */
static int verdict(const struct nb_run *r)
{
    int rc = r->stopped ? 130 : 0;
    for (unsigned i = 0; i < r->plan->npaths; i++)
        if (r->lane[i].state == NB_REFUSED || (r->plan->named && r->lane[i].state != NB_OK)) {
            fprintf(stderr, "netbench: %s: %s\n", r->lane[i].path->name, r->lane[i].why);
            rc = rc ? rc : 3;
        }
    for (unsigned i = 0; i < r->ncells; i++)
        if (r->cell[i].refused && rc == 0)
            rc = 3;
    return rc;
}

static int copy(const char *from, const char *to, struct pw_err *err)
{
    char buf[65536];
    size_t n;
    pw_file *in = fopen(from, "re");
    pw_file *out = fopen(to, "we");
    if (!in || !out)
        return pw_err_errno(err, -errno, "copy %s to %s", from, to);
    while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
        if (fwrite(buf, 1, n, out) != n)
            return pw_err_errno(err, -errno, "write %s", to);
    return fflush(out) != 0 ? pw_err_errno(err, -errno, "write %s", to) : 0;
}

static int run_in_lab(void *p)
{
    const struct job *j = p;
    struct pw_err err = PW_ERR_INIT;
    struct nb_run run;
    int rc = nb_run(&j->args->plan, &run, &err);
    if (rc == 0 && j->args->kallsyms)
        rc = copy("/proc/kallsyms", j->args->kallsyms, &err);
    if (rc == 0) {
        json_t *doc = nb_result(&run, j->argc, j->argv);
        rc = output(j->args, doc, &err);
        json_decref(doc);
        if (rc == 0) {
            rc = verdict(&run);
            nb_run_free(&run);
            return rc;
        }
    }
    nb_run_free(&run);
    complain(&err);
    return nb_stopping() ? 130 : 1;
}

static int list_in_lab(void *p)
{
    const struct job *j = p;
    char why[200];
    puts("paths");
    for (unsigned i = 0; i < nb_npaths; i++) {
        const struct nb_path *q = nb_paths[i];
        bool ok = q->available(q, &j->args->plan.set, why);
        printf("  %-20s %-34s %s\n", q->name, q->title, ok ? "" : why);
    }
    puts("places");
    for (int i = 0; i < NB_WHERES; i++)
        printf("  %-20s %s\n", nb_where_name[i], nb_where_title[i]);
    puts("workloads");
    for (unsigned i = 0; i < nb_nworks; i++) {
        bool ok = nb_work_available(&nb_works[i], j->args->plan.set.family, why);
        printf("  %-20s %-46s %s\n", nb_works[i].name, nb_works[i].title, ok ? "" : why);
    }
    return 0;
}

/* Read a result document (new reference), or NULL. */
static json_t *load(const char *path, struct pw_err *err)
{
    json_error_t je;
    json_t *doc = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
    if (!doc) {
        pw_err_set(err, -EINVAL, "%s, line %d: %s", path, je.line, je.text);
    } else if (nb_num(doc, "netbench") != 1) {
        pw_err_set(err, -EINVAL, "%s is not a result of netbench", path);
        json_decref(doc);
        doc = NULL;
    }
    return doc;
}

static int remake(const struct nb_args *a)
{
    struct pw_err err = PW_ERR_INIT;
    json_t *doc = load(a->input, &err);
    int rc = doc ? write_page(a->report, doc, &err) : -EINVAL;
    json_decref(doc);
    return rc < 0 ? complain(&err) : 0;
}

static int count(const struct job *j)
{
    const struct nb_args *a = j->args;
    struct pw_err err = PW_ERR_INIT;
    json_t *doc = NULL;
    bool json_out = a->json && strcmp(a->json, "-") == 0;
    int rc = 0;
    if (a->from)
        doc = load(a->from, &err);
    else
        rc = nb_count_run(a, j->argc, j->argv, &doc, &err);
    if (!doc)
        return complain(&err);
    if (json_out)
        json_dumpf(doc, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    else
        nb_count_table(stdout, doc);
    if (a->json && !json_out &&
        json_dump_file(doc, a->json, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0)
        rc = pw_err_errno(&err, -errno, "write %s", a->json);
    if (a->report && rc == 0)
        rc = write_page(a->report, doc, &err);
    if (a->baseline && rc == 0)
        rc = a->update ? nb_count_update(doc, a->kernel, a->baseline, &err)
                       : nb_count_compare(json_out ? stderr : stdout, doc, a->kernel, a->baseline,
                                          a->limit, &err);
    json_decref(doc);
    return rc < 0 ? complain(&err) : rc > 0 ? 4 : 0;
}

static int in_lab(int (*fn)(void *), struct job *j)
{
    struct pw_err err = PW_ERR_INIT;
    nb_gen_init();
    int rc = nb_lab_run(fn, j, &err);
    return rc < 0 ? complain(&err) : rc;
}

int main(int argc, char **argv)
{
    struct nb_args a;
    struct pw_err err = PW_ERR_INIT;
    struct job j = {&a, argc, argv};

    if (nb_args_parse(argc, argv, &a, &err) < 0) {
        complain(&err);
        return 2;
    }
    switch (a.cmd) {
    case NB_CMD_HELP:
        fputs(nb_args_help(), stdout);
        return 0;
    case NB_CMD_VERSION:
        puts("netbench " PW_VERSION);
        return 0;
    case NB_CMD_REPORT:
        return remake(&a);
    case NB_CMD_LIST:
        return in_lab(list_in_lab, &j);
    case NB_CMD_COUNT:
        return count(&j);
    case NB_CMD_GUEST:
    case NB_CMD_RUN:
        return in_lab(run_in_lab, &j);
    }
    return 2;
}
