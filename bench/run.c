/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/run.h"

#include <stdio.h>
#include <string.h>

#include "bench/progress.h"
#include "bench/stats.h"
#include "loader/base/cleanup.h"

const struct nb_site *nb_lane_site(const struct nb_lane *l, enum nb_where where)
{
    if (where == NB_REMOTE_POD && l->path->group != NB_GROUP_HOST)
        return l->has_far ? &l->far : NULL;
    return l->has_near ? &l->near : NULL;
}

static void refuse(struct nb_lane *l, enum nb_state state, const char *why)
{
    l->state = state;
    snprintf(l->why, sizeof(l->why), "%s", why);
}

void nb_lane_up(struct nb_lane *l, const struct nb_path *p, const struct nb_plan *plan)
{
    char why[200];
    struct pw_err err = PW_ERR_INIT;
    memset(l, 0, sizeof(*l));
    l->path = p;
    if (!p->available(p, &plan->set, why)) {
        refuse(l, NB_UNAVAILABLE, why);
        return;
    }
    bool far = plan->where[NB_REMOTE_POD] && p->group != NB_GROUP_HOST;
    bool near = !far || plan->where[NB_LOCAL] || plan->where[NB_REMOTE_HOST];
    int rc = 0;
    if (near) {
        l->has_near = true;
        rc = nb_path_up(p, &l->near, &plan->set, false, &err);
    }
    if (far && rc == 0) {
        l->has_far = true;
        rc = nb_path_up(p, &l->far, &plan->set, true, &err);
    }
    for (int w = 0; w < NB_WHERES && rc == 0; w++)
        if (plan->where[w])
            rc = nb_path_verify(p, nb_lane_site(l, w), w, &err);
    if (rc < 0)
        refuse(l, NB_REFUSED, err.msg);
    else
        l->devices = nb_site_describe(l->has_near ? &l->near : &l->far);
}

void nb_lane_down(struct nb_lane *l)
{
    if (l->has_near)
        nb_site_drop(&l->near);
    if (l->has_far)
        nb_site_drop(&l->far);
    l->has_near = l->has_far = false;
    json_decref(l->devices);
    l->devices = NULL;
}

/* The two ends of a workload; false where the path does not have them. */
static bool ends(const struct nb_lane *l, enum nb_where where, const struct nb_work *w,
                 struct nb_end *client, struct nb_end *server)
{
    const struct nb_site *s = nb_lane_site(l, where);
    return w->kind == NB_TAP_RATE
               ? s && nb_site_tap_ends(s, where, client, server)
               : s && nb_site_ends(s, where, l->path->group == NB_GROUP_HOST, client, server);
}

const struct nb_cell *nb_run_baseline(const struct nb_run *r, const struct nb_cell *c)
{
    const struct nb_path *base = nb_path_find(nb_work_baseline(c->work));
    for (unsigned i = 0; i < r->ncells; i++)
        if (r->lane[r->cell[i].lane].path == base && r->cell[i].where == c->where &&
            r->cell[i].work == c->work)
            return &r->cell[i];
    return NULL;
}

static int make_cells(struct nb_run *r, struct pw_err *err)
{
    const struct nb_plan *p = r->plan;
    size_t most = (size_t)NB_WHERES * p->nworks * p->npaths;
    r->cell = calloc(most ? most : 1, sizeof(*r->cell));
    if (!r->cell)
        return pw_err_set(err, -ENOMEM, "out of memory");
    /* Places and workloads outside, paths inside: cells of one group are next to each other. */
    for (int w = 0; w < NB_WHERES; w++)
        for (unsigned k = 0; p->where[w] && k < p->nworks; k++)
            for (unsigned i = 0; i < p->npaths; i++) {
                struct nb_end client, server;
                if (r->lane[i].state != NB_OK ||
                    !ends(&r->lane[i], w, p->work[k], &client, &server))
                    continue;
                struct nb_cell *c = &r->cell[r->ncells++];
                *c = (struct nb_cell){.lane = i, .where = w, .work = p->work[k]};
                c->sample = calloc(p->rounds, sizeof(*c->sample));
                c->p50 = calloc(p->rounds, sizeof(*c->p50));
                c->p99 = calloc(p->rounds, sizeof(*c->p99));
                if (nb_work_has_latency(p->work[k]))
                    c->hist = calloc(1, sizeof(*c->hist));
                if (!c->sample || !c->p50 || !c->p99 ||
                    (nb_work_has_latency(p->work[k]) && !c->hist))
                    return pw_err_set(err, -ENOMEM, "out of memory");
            }
    return 0;
}

static int measure(struct nb_run *r, struct nb_cell *c, unsigned round, struct nb_hist *hist,
                   struct pw_err *err)
{
    const struct nb_plan *p = r->plan;
    struct nb_lane *l = &r->lane[c->lane];
    const struct nb_site *s = nb_lane_site(l, c->where);
    struct nb_end client, server;
    struct nb_probe probe;
    struct nb_sample sample;
    char why[200];
    struct nb_job job = {.kind = c->work->kind,
                         .flows = c->work->many ? p->flows : 1,
                         .up = c->work->up,
                         .down = c->work->down,
                         .size = p->size,
                         .warm_ns = p->warm_ns,
                         .run_ns = p->run_ns,
                         .cpu_client = p->cpu_client,
                         .cpu_server = p->cpu_server,
                         .cc = p->set.cc};
    if (!ends(l, c->where, c->work, &client, &server))
        return pw_err_set(err, -ENOENT, "no such ends");
    if (p->requests) {
        nb_work_number(c->work, p->requests, &job.warm_n, &job.run_n);
        job.mark = true;
        job.mark_number = round * r->ncells + (unsigned)(c - r->cell);
    }
    int rc = nb_probe_open(&client, &server, &s->node[0], &s->node[1], &probe, err);
    if (rc < 0)
        return rc;
    probe.helper = s->helper;
    probe.nhelpers = s->nhelpers;
    hist->n = 0;
    rc = nb_gen_run(&job, &client, &server, &probe, &sample, hist, err);
    nb_probe_close(&probe);
    if (rc < 0)
        return rc;
    if (!nb_audit(&job, &sample, why)) {
        c->refused = true;
        return pw_err_set(err, -EBADMSG, "%s", why);
    }
    if (nb_path_leaks(l->path, &sample)) {
        c->refused = true;
        return pw_err_set(err, -EPERM,
                          "redirection not in use: the node's stack forwarded %llu packets",
                          (unsigned long long)sample.forwarded);
    }
    c->sample[round] = sample;
    if (c->hist && sample.has_hist) {
        nb_hist_merge(c->hist, hist);
        c->p50[round] = (double)nb_hist_quantile(hist, 0.50);
        c->p99[round] = (double)nb_hist_quantile(hist, 0.99);
    }
    return 0;
}

/* One round: every group of cells in turn, the paths of a group in an order drawn anew, so that
 * no path always follows the same one. */
static int one_round(struct nb_run *r, unsigned round, struct nb_rng *rng, struct nb_progress *bar,
                     unsigned *done, struct nb_hist *hist)
{
    unsigned order[NB_MAX_PATHS];
    for (unsigned at = 0, n; at < r->ncells; at += n) {
        for (n = 0; at + n < r->ncells && r->cell[at + n].where == r->cell[at].where &&
                    r->cell[at + n].work == r->cell[at].work;
             n++)
            order[n] = at + n;
        if (!r->plan->requests)
            nb_shuffle(rng, order, n);
        for (unsigned i = 0; i < n; i++) {
            struct nb_cell *c = &r->cell[order[i]];
            struct pw_err err = PW_ERR_INIT;
            if (nb_stopping())
                return -EINTR;
            nb_progress_step(bar, (*done)++, "round %u/%u  %s  %s  %s", round + 1, r->plan->rounds,
                             nb_where_name[c->where], c->work->name, r->lane[c->lane].path->name);
            int rc = measure(r, c, round, hist, &err);
            if (rc == -EINTR)
                return rc;
            if (rc < 0) {
                c->failed++;
                snprintf(c->why, sizeof(c->why), "%s", err.msg);
            }
        }
    }
    return 0;
}

int nb_run(const struct nb_plan *plan, struct nb_run *out, struct pw_err *err)
{
    struct nb_progress bar;
    struct nb_rng rng = {plan->seed};
    unsigned done = 0;
    pw_free struct nb_hist *hist = calloc(1, sizeof(*hist));
    memset(out, 0, sizeof(*out));
    out->plan = plan;
    if (!hist)
        return pw_err_set(err, -ENOMEM, "out of memory");
    nb_progress_start(&bar, plan->progress, plan->npaths);
    for (unsigned i = 0; i < plan->npaths && !nb_stopping(); i++) {
        nb_progress_step(&bar, i, "set up %s", plan->path[i]->name);
        nb_lane_up(&out->lane[i], plan->path[i], plan);
    }
    nb_progress_end(&bar);
    if (nb_stopping())
        /* `hist` has a cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return pw_err_set(err, -EINTR, "stopped before the first round");
    if (out->lane[0].state != NB_OK)
        return pw_err_set(err, -EIO, "the baseline cannot be had: %.900s", out->lane[0].why);
    int rc = make_cells(out, err);
    if (rc < 0)
        return rc;
    nb_progress_start(&bar, plan->progress, out->ncells * plan->rounds);
    for (unsigned i = 0; i < plan->rounds; i++) {
        if (one_round(out, i, &rng, &bar, &done, hist) < 0) {
            out->stopped = true;
            break;
        }
        out->rounds_done = i + 1;
    }
    nb_progress_end(&bar);
    return 0;
}

void nb_run_free(struct nb_run *r)
{
    for (unsigned i = 0; i < r->ncells; i++) {
        free(r->cell[i].sample);
        free(r->cell[i].hist);
        free(r->cell[i].p50);
        free(r->cell[i].p99);
    }
    free(r->cell);
    r->cell = NULL;
    r->ncells = 0;
    for (unsigned i = 0; r->plan && i < r->plan->npaths; i++)
        nb_lane_down(&r->lane[i]);
}
