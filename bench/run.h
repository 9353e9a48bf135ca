/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a run, its interleaved rounds, and everything they brought. */
#ifndef PW_BENCH_RUN_H
#define PW_BENCH_RUN_H

#include "bench/path.h"
#include "bench/work.h"

#define NB_MAX_PATHS 24
#define NB_MAX_WORKS 16

struct nb_plan {
    struct nb_settings set;
    const struct nb_path *path[NB_MAX_PATHS]; /* path[0] is the host, the baseline */
    unsigned npaths;
    const struct nb_work *work[NB_MAX_WORKS];
    unsigned nworks;
    bool where[NB_WHERES];
    bool named; /* the paths were named by the user: one that cannot be had is an error */
    unsigned rounds, flows, size;
    uint64_t warm_ns, run_ns;
    int cpu_client, cpu_server;
    uint64_t seed;
    bool progress;
    /* Count instead of timing: a fixed number of requests, in a fixed order, in a machine whose
     * clock is its instruction counter. 0: measure by time. */
    uint64_t requests;
};

enum nb_state { NB_OK, NB_UNAVAILABLE, NB_REFUSED };

/* One path with its sites. */
struct nb_lane {
    const struct nb_path *path;
    struct nb_site near, far;
    bool has_near, has_far;
    enum nb_state state;
    char why[PW_ERR_LEN];
    json_t *devices; /* owned */
};

/* All samples of one path, in one place, under one workload. */
struct nb_cell {
    unsigned lane;
    enum nb_where where;
    const struct nb_work *work;
    struct nb_sample *sample; /* owned, one for each round; ns 0: failed */
    struct nb_hist *hist;     /* owned, all rounds together; NULL without latencies */
    double *p50, *p99;        /* owned, one for each round, ns */
    unsigned failed;
    char why[PW_ERR_LEN]; /* of the last failure */
    bool refused;         /* the samples do not prove what they claim: none is reported */
};

struct nb_run {
    const struct nb_plan *plan;
    struct nb_lane lane[NB_MAX_PATHS];
    struct nb_cell *cell; /* owned */
    unsigned ncells, rounds_done;
    bool stopped;
};

/* Set up all sites and measure. Failures of single paths are recorded, not returned. */
int nb_run(const struct nb_plan *plan, struct nb_run *out, struct pw_err *err);
/* Cells of the baseline for a cell, or NULL. */
const struct nb_cell *nb_run_baseline(const struct nb_run *r, const struct nb_cell *c);
void nb_run_free(struct nb_run *r);
/* Set up and verify one lane for the places of the plan; records the state. */
void nb_lane_up(struct nb_lane *l, const struct nb_path *p, const struct nb_plan *plan);
void nb_lane_down(struct nb_lane *l);
/* The site of a lane for a place. */
const struct nb_site *nb_lane_site(const struct nb_lane *l, enum nb_where where);

#endif
