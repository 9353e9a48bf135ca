/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result document: the one form in which figures leave a run. The table, the page and --json
 * are all made from it, so they cannot differ.
 */
#ifndef PW_BENCH_RESULT_H
#define PW_BENCH_RESULT_H

#include <jansson.h>
#include <stdio.h>

#include "bench/run.h"

/* New reference; never NULL but for want of memory. */
json_t *nb_result(const struct nb_run *r, int argc, char **argv);
/* Description of machine, kernel and settings (new references). */
json_t *nb_machine(void);
json_t *nb_settings_json(const struct nb_plan *p);

/* Aligned tables for people. `color`: bold and dim on a terminal. */
void nb_table(FILE *f, const json_t *doc, bool color);
/* One self-contained page. */
void nb_page(FILE *f, const json_t *doc);

/* Helpers for readers of the document: missing members are 0 or "". */
double nb_num(const json_t *o, const char *key);
const char *nb_str(const json_t *o, const char *key);
/* The path that a result is compared with. */
const char *nb_baseline(const json_t *result);
/* "1.23 M", "45.6 k": three significant digits. */
const char *nb_short(double v, char buf[24]);
/* Duration given in ns: "850 ns", "12.3 us", "4.56 ms". */
const char *nb_dur(double ns, char buf[24]);

#endif
