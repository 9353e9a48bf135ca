/* SPDX-License-Identifier: Apache-2.0 */
/* Routes to other nodes' pods. Ours are told by their protocol number and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/peers_int.h"

/* Requests in one system call: well below what a netlink message may be. */
#define BATCH 256

static bool ours(const struct pw_route *r)
{
    return r->protocol == PW_RTPROT_PEER && r->table == RT_TABLE_MAIN;
}

static bool same_addr(const struct pw_addr *a, const struct pw_addr *b)
{
    return a->family == b->family && (!a->family || pw_addr_same(a, b));
}

static bool same_route(const struct pw_route *a, const struct pw_route *b)
{
    return a->oif == b->oif && a->priority == b->priority && same_addr(&a->gw, &b->gw) &&
           same_addr(&a->encap.dst, &b->encap.dst) && same_addr(&a->encap.src, &b->encap.src) &&
           a->encap.id == b->encap.id;
}

/* Who wants a route of ours to it; NULL: nobody. */
static struct pw_want *wanted(struct pw_plan *p, const struct pw_addr *dst)
{
    struct pw_want key = {.pods = *dst};
    struct pw_want *w =
        p->n_want ? bsearch(&key, p->want, p->n_want, sizeof(key), pw_want_order) : NULL;

    return w && w->routed ? w : NULL;
}

struct reading {
    struct pw_plan *p;
    int family;  /* that is being listed */
    size_t base; /* how many of p->old are of the family before */
};

static void begin_again(void *arg)
{
    struct reading *r = arg;

    r->p->n_old = r->base;
    for (size_t i = 0; i < r->p->n_want; i++)
        if (r->p->want[i].pods.family == r->family)
            r->p->want[i].there = r->p->want[i].overruled = false;
}

static int note_old(struct pw_plan *p, const struct pw_route *r, struct pw_err *err)
{
    if (p->n_old == p->cap_old) {
        size_t cap = p->cap_old ? 2 * p->cap_old : 64;
        struct pw_route *old = realloc(p->old, cap * sizeof(*old));
        if (!old)
            return pw_err_set(err, -ENOMEM, "list routes: out of memory");
        p->old = old;
        p->cap_old = cap;
    }
    p->old[p->n_old++] = *r;
    return 0;
}

static int on_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *r = entry;
    struct pw_plan *p = ((struct reading *)arg)->p;

    if (r->table != RT_TABLE_MAIN)
        return 0;
    struct pw_want *w = wanted(p, &r->dst);
    if (!ours(r)) {
        if (w && r->priority < PW_PEER_METRIC)
            w->overruled = true;
        /* Replacing ours by destination and metric would replace it. */
        if (w && r->priority == PW_PEER_METRIC) {
            w->routed = false;
            pw_plan_refuse(p, w, "a route of somebody else with the same metric is there");
        }
        return 0;
    }
    if (w && !w->there && same_route(r, &w->route)) {
        w->there = true;
        return 0;
    }
    return note_old(p, r, err);
}

int pw_peers_routes_read(struct pw_plan *p, struct pw_err *err)
{
    struct reading r = {.p = p};
    struct pw_list_cb cb = {on_route, begin_again, &r};
    int rc = 0;

    for (r.family = 4; !rc && r.family <= 6; r.family += 2) {
        r.base = p->n_old;
        rc = pw_route_list(p->rtnl, r.family, &cb, err);
    }
    return rc;
}

/* What of a batch failed is found by sending it again one by one, so that one route that the kernel
 * does not take keeps no other away. */
static void add_singly(struct pw_plan *p, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        pw_nlbatch_auto b = PW_NLBATCH_INIT;
        struct pw_err why = PW_ERR_INIT;
        if (!p->want[i].routed || p->want[i].there)
            continue;
        pw_route_replace(&b, &p->want[i].route);
        if (pw_nl_commit(p->rtnl, &b, NULL, NULL, &why))
            pw_plan_refuse(p, &p->want[i], why.msg);
    }
}

static void add_wanted(struct pw_plan *p)
{
    for (size_t from = 0, to; from < p->n_want; from = to) {
        pw_nlbatch_auto b = PW_NLBATCH_INIT;
        for (to = from; to < p->n_want && b.n < BATCH; to++)
            if (p->want[to].routed && !p->want[to].there)
                pw_route_replace(&b, &p->want[to].route);
        p->report.changes += b.n;
        if (pw_nl_commit(p->rtnl, &b, NULL, NULL, NULL))
            add_singly(p, from, to);
    }
}

/* Not of a destination that was just replaced: IPv6 deletes by destination, gateway and metric,
 * which may be those of the new one. */
static int delete_old(struct pw_plan *p, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    int rc = 0;

    for (size_t i = 0; !rc && i < p->n_old; i++) {
        if (p->old[i].priority == PW_PEER_METRIC && wanted(p, &p->old[i].dst))
            continue;
        pw_route_del(&b, &p->old[i]);
        p->report.changes++;
        if (b.n == BATCH)
            rc = pw_nl_commit(p->rtnl, &b, NULL, NULL, err);
    }
    return rc ? rc : pw_nl_commit(p->rtnl, &b, NULL, NULL, err);
}

int pw_peers_routes_write(struct pw_plan *p, struct pw_err *err)
{
    add_wanted(p);
    return delete_old(p, err);
}

int pw_peers_routes_remove(struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT;
    struct pw_plan none = {.rtnl = &rtnl};

    int rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    if (!rc)
        rc = pw_peers_routes_read(&none, err);
    if (!rc)
        rc = pw_peers_routes_write(&none, err);
    free(none.old);
    return rc;
}

struct ways {
    struct pw_peer_way *list;
    size_t n, cap;
};

static void forget(void *arg)
{
    ((struct ways *)arg)->n = 0;
}

static int on_way(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *r = entry;
    struct ways *w = arg;

    if (!ours(r))
        return 0;
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        struct pw_peer_way *list = realloc(w->list, cap * sizeof(*list));
        if (!list)
            return pw_err_set(err, -ENOMEM, "list routes: out of memory");
        w->list = list;
        w->cap = cap;
    }
    bool tunnel = r->encap.dst.family != 0;
    w->list[w->n++] = (struct pw_peer_way){r->dst, tunnel ? r->encap.dst : r->gw, tunnel, r->oif};
    return 0;
}

int pw_peers_list(struct pw_peer_way **out, size_t *n, struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT;
    struct ways four = {0}, six = {0};
    struct pw_list_cb cb4 = {on_way, forget, &four}, cb6 = {on_way, forget, &six};

    int rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    if (!rc)
        rc = pw_route_list(&rtnl, 4, &cb4, err);
    if (!rc)
        rc = pw_route_list(&rtnl, 6, &cb6, err);
    struct pw_peer_way *all = rc ? NULL : realloc(four.list, (four.n + six.n + 1) * sizeof(*all));
    if (!all) {
        free(four.list);
        free(six.list);
        return rc ? rc : pw_err_set(err, -ENOMEM, "list routes: out of memory");
    }
    if (six.n)
        memcpy(all + four.n, six.list, six.n * sizeof(*all));
    free(six.list);
    *out = all;
    *n = four.n + six.n;
    return 0;
}
