/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch.h"

#define KEEP(prefix)                                                                               \
    prefix "metadata.name", prefix "metadata.resourceVersion",                                     \
        prefix "metadata.creationTimestamp", prefix "spec.podCIDR", prefix "spec.podCIDRs",        \
        prefix "status.addresses"
const char *const pw_cluster_keep[] = {KEEP(""), NULL};
const char *const pw_cluster_keep_event[] = {PW_WATCH_KEEP, KEEP("object."), NULL};

/* ---- one node ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static void read_addresses(const json_t *status, struct pw_peer *p)
{
    bool has[2] = {false, false};
    const json_t *item;
    struct pw_addr a;
    size_t i;

    json_array_foreach (json_object_get(status, "addresses"), i, item) {
        if (strcmp(text_of(item, "type"), "InternalIP") != 0 ||
            pw_addr_parse(text_of(item, "address"), &a, NULL) || has[a.family == 6])
            continue;
        a.prefix = a.family == 4 ? 32 : 128;
        has[a.family == 6] = true;
        p->node[p->n_node++] = a;
    }
}

static void add_range(struct pw_peer *p, const char *text)
{
    struct pw_addr a;

    if (p->n_pods < PW_ARRAY_SIZE(p->pods) && strchr(text, '/') && !pw_addr_parse(text, &a, NULL))
        p->pods[p->n_pods++] = pw_addr_network(a);
}

static void read_ranges(const json_t *spec, struct pw_peer *p)
{
    const json_t *list = json_object_get(spec, "podCIDRs"), *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (json_is_string(item))
            add_range(p, json_string_value(item));
    /* What servers from before podCIDRs have. */
    if (p->n_pods == 0)
        add_range(p, text_of(spec, "podCIDR"));
}

static int read_node(const json_t *object, struct pw_node *out, struct pw_err *err)
{
    const json_t *meta = json_object_get(object, "metadata");
    const char *name = text_of(meta, "name");

    memset(out, 0, sizeof(*out));
    if (!*name || strlen(name) >= sizeof(out->peer.name))
        return pw_err_set(err, -EBADMSG, "a Node without a name");
    memcpy(out->peer.name, name, strlen(name));
    snprintf(out->created, sizeof(out->created), "%s", text_of(meta, "creationTimestamp"));
    read_addresses(json_object_get(object, "status"), &out->peer);
    read_ranges(json_object_get(object, "spec"), &out->peer);
    return 0;
}

static bool same_list(const struct pw_addr *a, size_t n, const struct pw_addr *b, size_t m)
{
    bool same = n == m;

    for (size_t i = 0; i < n && same; i++)
        same = pw_addr_same(&a[i], &b[i]) && a[i].prefix == b[i].prefix;
    return same;
}

bool pw_cluster_same(const struct pw_peer *a, const struct pw_peer *b)
{
    return strcmp(a->name, b->name) == 0 && same_list(a->node, a->n_node, b->node, b->n_node) &&
           same_list(a->pods, a->n_pods, b->pods, b->n_pods);
}

/* ---- all of them ---- */

/* Index of the name, or where it belongs. */
static size_t place(const struct pw_cluster *c, const char *name, bool *found)
{
    size_t lo = 0, hi = c->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(c->node[mid].peer.name, name);
        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = false;
    return lo;
}

const struct pw_node *pw_cluster_find(const struct pw_cluster *c, const char *name)
{
    bool found;
    size_t at = place(c, name, &found);

    return found ? &c->node[at] : NULL;
}

void pw_cluster_begin(struct pw_cluster *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->node[i].seen = false;
}

void pw_cluster_end(struct pw_cluster *c, bool *changed)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->n; i++) {
        if (!c->node[i].seen)
            continue;
        if (kept != i)
            c->node[kept] = c->node[i];
        kept++;
    }
    if (kept != c->n || !c->synced)
        *changed = true;
    c->n = kept;
    c->synced = true;
}

static int insert(struct pw_cluster *c, size_t at, const struct pw_node *node, struct pw_err *err)
{
    if (c->n == PW_CLUSTER_MAX)
        return pw_err_set(err, -EFBIG, "more than %d nodes", PW_CLUSTER_MAX);
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap + c->cap / 2 : 16;
        struct pw_node *more = reallocarray(c->node, cap, sizeof(*more));
        if (!more)
            return pw_err_errno(err, -ENOMEM, "remember a node");
        c->node = more;
        c->cap = cap;
    }
    memmove(&c->node[at + 1], &c->node[at], (c->n - at) * sizeof(*c->node));
    c->node[at] = *node;
    c->n++;
    return 0;
}

int pw_cluster_put(struct pw_cluster *c, const json_t *object, bool deleted, bool *changed,
                   struct pw_err *err)
{
    struct pw_node node;
    bool found;
    int rc = read_node(object, &node, err);

    if (rc)
        return rc;
    size_t at = place(c, node.peer.name, &found);
    if (deleted) {
        if (found)
            memmove(&c->node[at], &c->node[at + 1], (--c->n - at) * sizeof(*c->node));
        *changed |= found;
        return 0;
    }
    node.seen = true;
    if (found) {
        *changed |= !pw_cluster_same(&c->node[at].peer, &node.peer) ||
                    strcmp(c->node[at].created, node.created) != 0;
        c->node[at] = node;
        return 0;
    }
    *changed = true;
    return insert(c, at, &node, err);
}

void pw_cluster_free(struct pw_cluster *c)
{
    free(c->node);
    *c = (struct pw_cluster){0};
}

/* ---- what follows ---- */

struct claim {
    struct pw_addr range;
    size_t node, index; /* whose, and which of its ranges */
    bool refused;
};

static bool overlap(const struct pw_addr *a, const struct pw_addr *b)
{
    return a->prefix <= b->prefix ? pw_addr_in(b, a) : pw_addr_in(a, b);
}

static int by_range(const void *x, const void *y)
{
    const struct claim *a = x, *b = y;
    int order = (int)a->range.family - (int)b->range.family;

    if (!order)
        order = memcmp(a->range.b, b->range.b, sizeof(a->range.b));
    return order ? order : (int)a->range.prefix - (int)b->range.prefix;
}

/* The older; of two as old, the first by name. */
static bool older(const struct pw_cluster *c, const struct claim *a, const struct claim *b)
{
    int order = strcmp(c->node[a->node].created, c->node[b->node].created);
    return order ? order < 0 : a->node < b->node;
}

static void refuse(const struct pw_cluster *c, struct claim *claim, const char *because,
                   size_t *refused, char why[320])
{
    char text[PW_ADDR_STRLEN];

    claim->refused = true;
    if ((*refused)++ == 0)
        snprintf(why, 320, "node %.120s: range %s %.140s", c->node[claim->node].peer.name,
                 pw_addr_text(&claim->range, true, text), because);
}

static void judge(const struct pw_cluster *c, const struct pw_node *self, struct claim *claims,
                  size_t n, const struct pw_addr *ranges, size_t n_ranges, size_t *refused,
                  char why[320])
{
    struct claim *held = NULL; /* the last one that stands: ranges are nested or apart */
    char because[160];

    for (size_t i = 0; i < n; i++) {
        struct claim *cl = &claims[i];
        bool mine = false;
        for (size_t j = 0; self && j < self->peer.n_pods; j++)
            mine |= overlap(&cl->range, &self->peer.pods[j]);
        if (!pw_addr_within(&cl->range, ranges, n_ranges)) {
            refuse(c, cl, "is not within the cluster's ranges (clusterRanges)", refused, why);
        } else if (mine) {
            refuse(c, cl, "overlaps this node's own", refused, why);
        } else if (held && overlap(&held->range, &cl->range)) {
            if (held->node == cl->node)
                continue; /* the wider one says it all */
            struct claim *loser = older(c, held, cl) ? cl : held;
            struct claim *winner = loser == cl ? held : cl;
            snprintf(because, sizeof(because), "overlaps that of the older node %.100s",
                     c->node[winner->node].peer.name);
            refuse(c, loser, because, refused, why);
            held = winner;
        } else {
            held = cl;
        }
    }
}

/* Others' ranges, sorted by address. */
static struct claim *claims_of(const struct pw_cluster *c, const struct pw_node *self, size_t *n)
{
    size_t max = 0;

    *n = 0;
    for (size_t i = 0; i < c->n; i++)
        max += c->node[i].peer.n_pods;
    struct claim *claims = calloc(max + 1, sizeof(*claims));
    for (size_t i = 0; claims && i < c->n; i++)
        for (size_t j = 0; &c->node[i] != self && j < c->node[i].peer.n_pods; j++)
            claims[(*n)++] = (struct claim){c->node[i].peer.pods[j], i, j, false};
    if (claims)
        qsort(claims, *n, sizeof(*claims), by_range);
    return claims;
}

int pw_cluster_peers(const struct pw_cluster *c, const char *self_name,
                     const struct pw_addr *ranges, size_t n_ranges, struct pw_peer **out, size_t *n,
                     size_t *refused, char why[320], struct pw_err *err)
{
    const struct pw_node *self = pw_cluster_find(c, self_name);
    size_t n_claims;
    pw_free struct claim *claims = claims_of(c, self, &n_claims);
    struct pw_peer *peers = calloc(c->n + 1, sizeof(*peers));

    if (!claims || !peers) {
        free(peers);
        return pw_err_errno(err, -ENOMEM, "list the peers");
    }
    *refused = 0;
    judge(c, self, claims, n_claims, ranges, n_ranges, refused, why);
    /* By index in the cluster first; `self`, and gaps, are closed afterwards. */
    for (size_t i = 0; i < c->n; i++) {
        peers[i] = c->node[i].peer;
        peers[i].n_pods = 0;
    }
    for (size_t i = 0; i < n_claims; i++) {
        struct pw_peer *p = &peers[claims[i].node];
        if (!claims[i].refused)
            p->pods[p->n_pods++] = claims[i].range;
    }
    *n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (&c->node[i] != self && peers[i].n_pods)
            peers[(*n)++] = peers[i];
    *out = peers;
    return 0;
}
