/* SPDX-License-Identifier: Apache-2.0 */
/* Counting instead of timing: the same run in an emulated machine whose clock is its instruction
 * counter, tables of the counts, where the difference goes, and the comparison with a baseline. */
#ifndef PW_BENCH_COUNT_H
#define PW_BENCH_COUNT_H

#include <jansson.h>
#include <stdio.h>

#include "bench/args.h"

/* Boot the kernel, run there what argv asks for, and read the result document (new reference in
 * *out), with breakdowns by function when they were asked for. */
int nb_count_run(const struct nb_args *a, int argc, char **argv, json_t **out, struct pw_err *err);

/* Tables of counts; with the breakdowns that the document has. */
void nb_count_table(FILE *f, const json_t *doc);

/*
 * Compare with a baseline file: lines "KERNEL WHERE WORKLOAD PATH INSTRUCTIONS RATIO". Judged is
 * the ratio to the host of podwire's own paths, since the absolute number moves with every kernel
 * package. Returns how many have risen by more than `limit` percent or are missing; says on `f`
 * what it found.
 */
int nb_count_compare(FILE *f, const json_t *doc, const char *kernel, const char *baseline,
                     double limit, struct pw_err *err);
/* Replace the kernel's lines in the baseline file by the document's. */
int nb_count_update(const json_t *doc, const char *kernel, const char *baseline,
                    struct pw_err *err);

/* Add to each result of a document the functions to which its difference from the host goes. */
int nb_count_functions(json_t *doc, const char *windows, const char *kallsyms, struct pw_err *err);

#endif
