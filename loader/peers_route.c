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

struct diff {
    struct pw_plan *p;
    int family;           /* that is being listed */
    struct pw_route *old; /* ours that nobody wants as they are */
    size_t n, cap;
    size_t base; /* how many of them are of the family before */
};

static void begin_again(void *arg)
{
    struct diff *d = arg;

    d->n = d->base;
    for (size_t i = 0; i < d->p->n_want; i++)
        if (d->p->want[i].pods.family == d->family)
            d->p->want[i].there = false;
}

static int note_old(struct diff *d, const struct pw_route *r, struct pw_err *err)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 64;
        struct pw_route *old = realloc(d->old, cap * sizeof(*old));
        if (!old)
            return pw_err_set(err, -ENOMEM, "list routes: out of memory");
        d->old = old;
        d->cap = cap;
    }
    d->old[d->n++] = *r;
    return 0;
}

static int on_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *r = entry;
    struct diff *d = arg;

    if (!ours(r) && (r->table != RT_TABLE_MAIN || r->priority != PW_PEER_METRIC))
        return 0;
    struct pw_want *w = wanted(d->p, &r->dst);
    if (!ours(r)) {
        /* Replacing ours by destination and metric would replace it. */
        if (w) {
            w->routed = false;
            pw_plan_refuse(d->p, w, "a route of somebody else with the same metric is there");
        }
        return 0;
    }
    if (w && !w->there && same_route(r, &w->route)) {
        w->there = true;
        return 0;
    }
    return note_old(d, r, err);
}

static int list(struct diff *d, int family, struct pw_err *err)
{
    struct pw_list_cb cb = {on_route, begin_again, d};

    d->family = family;
    d->base = d->n;
    return pw_route_list(d->p->rtnl, family, &cb, err);
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
static int delete_old(struct pw_plan *p, const struct pw_route *old, size_t n, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++) {
        if (old[i].priority == PW_PEER_METRIC && wanted(p, &old[i].dst))
            continue;
        pw_route_del(&b, &old[i]);
        p->report.changes++;
        if (b.n == BATCH)
            rc = pw_nl_commit(p->rtnl, &b, NULL, NULL, err);
    }
    return rc ? rc : pw_nl_commit(p->rtnl, &b, NULL, NULL, err);
}

int pw_peers_routes(struct pw_plan *p, struct pw_err *err)
{
    struct diff d = {.p = p};

    int rc = list(&d, 4, err);
    if (!rc)
        rc = list(&d, 6, err);
    if (!rc) {
        add_wanted(p);
        rc = delete_old(p, d.old, d.n, err);
    }
    free(d.old);
    return rc;
}

int pw_peers_routes_remove(struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT;
    struct pw_plan none = {.rtnl = &rtnl};

    int rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    return rc ? rc : pw_peers_routes(&none, err);
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
