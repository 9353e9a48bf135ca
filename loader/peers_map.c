/* SPDX-License-Identifier: Apache-2.0 */
/* What programs know of other nodes: whose pods an address is, and by which way it is reached. */
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/dp.h"
#include "loader/peers_int.h"

struct entry {
    struct pw_addr range;
    size_t peer; /* its number */
    struct pw_peer_node node;
    bool there;
};

struct entries {
    struct entry *list; /* in order */
    size_t n;
};

static int by_range(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return pw_range_order(&x->range, &y->range);
}

/* And whose it is: the first that was told of. */
static int by_range_and_peer(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int by = by_range(a, b);

    return by ? by : x->peer < y->peer ? -1 : x->peer > y->peer;
}

static struct entry *find(const struct entries *e, const struct pw_addr *range)
{
    struct entry key = {.range = *range};
    return e->n ? bsearch(&key, e->list, e->n, sizeof(key), by_range) : NULL;
}

static struct pw_peer_node value_of(const struct pw_addr *outer, uint32_t flags)
{
    struct pw_peer_node v = {.flags = flags};

    memcpy(v.addr, outer->b, sizeof(v.addr));
    return v;
}

/* Which lengths of prefixes occur, so that few questions tell whether a range covers an address. */
struct lengths {
    bool has[2][129];
};

static bool covered(const struct entries *e, const struct lengths *l, const struct pw_addr *addr)
{
    for (unsigned bits = 0; bits <= (addr->family == 4 ? 32U : 128U); bits++) {
        struct pw_addr range = *addr;
        range.prefix = (uint8_t)bits;
        range = pw_addr_network(range);
        if (l->has[addr->family == 6][bits] && find(e, &range))
            return true;
    }
    return false;
}

/* The nodes' own addresses, behind the ranges, which are in order already. One that is among pods
 * would take that pod's packets away from it, and by the tunnel its node would speak for that pod;
 * for this node by one that is this node's. */
static size_t add_nodes(const struct pw_plan *p, const struct entries *e, const struct lengths *l,
                        struct entry *more)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_peers; i++) {
        const struct pw_peer *peer = &p->peers[i];
        const struct pw_addr *outer =
            pw_peer_address(peer->node, peer->n_node, p->conf->node[0].family);
        for (size_t j = 0; outer && j < peer->n_node && j < PW_ARRAY_SIZE(peer->node); j++) {
            struct pw_addr a = peer->node[j];
            a.prefix = a.family == 4 ? 32 : 128;
            if (!pw_peer_unfit(p, &a) && !pw_peer_is_us(p, &a) && !covered(e, l, &a))
                more[n++] = (struct entry){a, i, value_of(outer, PW_PEER_NODE), false};
        }
    }
    return n;
}

/* All entries in order, each range once; the caller frees the list. */
static int collect(const struct pw_plan *p, struct entries *out, struct pw_err *err)
{
    struct entries e = {calloc(p->n_want + 2 * p->n_peers + 1, sizeof(*e.list)), 0};
    pw_free struct lengths *l = calloc(1, sizeof(*l));
    size_t n = 0;

    if (!e.list || !l) {
        free(e.list);
        return pw_err_set(err, -ENOMEM, "other nodes: out of memory");
    }
    for (size_t i = 0; i < p->n_want; i++) {
        const struct pw_want *w = &p->want[i];
        if (!w->outer.family)
            continue; /* reached natively only, and nothing of it comes by the tunnel */
        e.list[e.n++] = (struct entry){
            w->pods, w->peer, value_of(&w->outer, w->tunnel && !w->overruled ? PW_PEER_TUNNEL : 0),
            false};
        l->has[w->pods.family == 6][w->pods.prefix] = true;
    }
    e.n += add_nodes(p, &e, l, e.list + e.n);
    qsort(e.list, e.n, sizeof(*e.list), by_range_and_peer);
    for (size_t i = 0; i < e.n; i++)
        if (n == 0 || by_range(&e.list[n - 1], &e.list[i]) != 0)
            e.list[n++] = e.list[i];
    e.n = n;
    *out = e;
    return 0;
}

/* Walk what is there: note what is right, remove what nobody wants. */
static int prune(struct pw_plan *p, struct entries *e, int family, int fd, struct pw_err *err)
{
    struct pw_addr at, next;
    struct pw_peer_node v;

    for (int rc = pw_peer_next(fd, family, NULL, &at); rc == 0; at = next) {
        rc = pw_peer_next(fd, family, &at, &next); /* before `at` may go */
        struct entry *w = find(e, &at);
        if (w) {
            w->there = pw_peer_get(fd, &at, &v) == 0 && memcmp(&v, &w->node, sizeof(v)) == 0;
            continue;
        }
        int bad = pw_peer_del(fd, &at);
        if (bad && bad != -ENOENT)
            return pw_err_errno(err, bad, "remove a range of another node");
        p->report.changes++;
    }
    return 0;
}

int pw_peers_maps(struct pw_plan *p, struct pw_err *err)
{
    int fd[2] = {pw_dp_map(p->dp, PW_MAP_PEERS4, err), pw_dp_map(p->dp, PW_MAP_PEERS6, err)};
    struct entries e = {0};
    int rc = fd[0] < 0 ? fd[0] : fd[1] < 0 ? fd[1] : 0;

    /* Without a tunnel nobody asks. */
    if (!rc && p->tunnel.ifindex)
        rc = collect(p, &e, err);
    for (int i = 0; !rc && i < 2; i++)
        rc = prune(p, &e, i ? 6 : 4, fd[i], err);
    for (size_t i = 0; !rc && i < e.n; i++) {
        if (e.list[i].there)
            continue;
        p->report.changes++;
        rc = pw_peer_set(fd[e.list[i].range.family == 6], &e.list[i].range, &e.list[i].node, err);
    }
    free(e.list);
    return rc;
}
