/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's nodes as the API tells of them, reduced to what is needed, and what follows from
 * them for this node. Pure: JSON in, peers out.
 */
#ifndef PW_AGENT_CLUSTER_H
#define PW_AGENT_CLUSTER_H

#include <stdbool.h>

#include "loader/base/json.h"
#include "loader/peers.h"

#define PW_CLUSTER_MAX 20000 /* nodes; more than Kubernetes itself can have */

struct pw_node {
    struct pw_peer peer;
    char created[24]; /* creationTimestamp, sorts by age */
    bool seen;        /* in the list that is under way */
};

struct pw_cluster {
    struct pw_node *node; /* by name; owned */
    size_t n, cap;
    bool synced; /* a whole list was seen */
};

/* The members of a Node that are looked at, for agent/pick.h; in a list, and in a watch's event. */
extern const char *const pw_cluster_keep[], *const pw_cluster_keep_event[];

/* A list begins; at its end what it did not have is gone. *changed is set, never cleared. */
void pw_cluster_begin(struct pw_cluster *c);
void pw_cluster_end(struct pw_cluster *c, bool *changed);
/* A node as it is now, or, `deleted`, as it was last. -EBADMSG when it is none; what is of no use
 * in it (an address that cannot be read) is left out. */
int pw_cluster_put(struct pw_cluster *c, const json_t *object, bool deleted, bool *changed,
                   struct pw_err *err);
const struct pw_node *pw_cluster_find(const struct pw_cluster *c, const char *name);
/* Whether both say the same. */
bool pw_cluster_same(const struct pw_peer *a, const struct pw_peer *b);
void pw_cluster_free(struct pw_cluster *c);

/*
 * All nodes but `self`, as peers; `*out` is a new array that the caller frees. A range is left out
 * that is not within one of `ranges` (the cluster's), that overlaps one of this node's, or that
 * overlaps one of an older node: a node that lies about its range must not draw others' packets.
 * *refused counts them, `why` speaks of one.
 */
int pw_cluster_peers(const struct pw_cluster *c, const char *self, const struct pw_addr *ranges,
                     size_t n_ranges, struct pw_peer **out, size_t *n, size_t *refused,
                     char why[320], struct pw_err *err);

#endif
