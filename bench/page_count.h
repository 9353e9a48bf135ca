/* SPDX-License-Identifier: Apache-2.0 */
/* The report's part about counts of instructions. */
#ifndef PW_BENCH_PAGE_COUNT_H
#define PW_BENCH_PAGE_COUNT_H

#include <stdbool.h>

#include "bench/plot.h"

/* Whether a result document has counts (netbench count), and not timings. */
bool nb_page_counted(const json_t *doc);
/* What its bars mean. */
void nb_page_count_lead(FILE *f);
/* One place and workload: bars, table, and a breakdown by function for each path that has one. */
void nb_page_count(FILE *f, const struct nb_series *s, size_t n);

#endif
