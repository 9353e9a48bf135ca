/* SPDX-License-Identifier: Apache-2.0 */
/* The workloads, and how a sample becomes a figure. */
#ifndef PW_BENCH_WORK_H
#define PW_BENCH_WORK_H

#include "bench/gen.h"

struct nb_work {
    const char *name, *title;
    enum nb_kind kind;
    bool many;     /* several flows (--flows) instead of one */
    bool up, down; /* stream directions */
    bool by_default;
    const char *unit; /* of the rate; more is better for all of them */
    const char *per;  /* what CPU time is divided by: "request", "packet", "GB" */
};

extern const struct nb_work nb_works[];
extern const unsigned nb_nworks;
const struct nb_work *nb_work_find(const char *name);
/* The path that others are compared with. */
const char *nb_work_baseline(const struct nb_work *w);

/* The rate in the workload's unit. */
double nb_work_rate(const struct nb_work *w, const struct nb_sample *s);
/* How many requests, packets or gigabytes the window moved. */
double nb_work_amount(const struct nb_work *w, const struct nb_sample *s);
/* Work by number for about `requests` requests' worth of instructions: what to do before the
 * window and in it, in the unit of the job (requests, datagrams, bytes). */
void nb_work_number(const struct nb_work *w, uint64_t requests, uint64_t *warm, uint64_t *run);
/* What a count is given for: "request", "packet", "MB"; and how many of them the sample holds. */
const char *nb_work_count_per(const struct nb_work *w);
double nb_work_count_amount(const struct nb_work *w, const struct nb_sample *s);
/* Whether requests have a latency. */
bool nb_work_has_latency(const struct nb_work *w);
/* False and a reason when the program it needs is missing, or it cannot run over IPv6. */
bool nb_work_available(const struct nb_work *w, int family, char why[200]);

#endif
