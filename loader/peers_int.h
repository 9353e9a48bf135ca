/* SPDX-License-Identifier: Apache-2.0 */
/* What peers.c decides and peers_route.c carries out. */
#ifndef PW_LOADER_PEERS_INT_H
#define PW_LOADER_PEERS_INT_H

#include "bpf/abi/podwire.h"
#include "loader/nl/route.h"
#include "loader/peers.h"

/* A range of a peer's pods, and the way to it. */
struct pw_want {
    size_t peer; /* its number */
    struct pw_addr pods;
    struct pw_addr outer; /* the node's address in the tunnel's family; family 0: none */
    struct pw_route route;
    bool tunnel;
    bool routed; /* there is to be a route of ours */
    bool there;  /* it is, and is right */
    /* Somebody else's route to the range goes before ours: the stack takes it, and so programs must
     * look at routes too. */
    bool overruled;
};

struct pw_way {
    bool native, tunnel, left, refused;
};

struct pw_plan {
    struct pw_dp *dp;
    struct pw_nl *rtnl;
    const struct pw_peers_conf *conf;
    const struct pw_peer *peers;
    size_t n_peers;
    struct pw_way *ways;  /* one for each peer */
    struct pw_want *want; /* in order of pw_want_order */
    size_t n_want;
    size_t refused;
    struct pw_route *old; /* routes of ours that are not as wanted; owned */
    size_t n_old, cap_old;
    struct pw_tunnel tunnel; /* ifindex 0: none */
    struct pw_peers_report report;
};

/* Ranges in order: by family, address, prefix. */
int pw_range_order(const struct pw_addr *a, const struct pw_addr *b);
/* Orders wants by range, which is what tells one from another. */
int pw_want_order(const void *a, const void *b);
/* The first address of a family; NULL: none. */
const struct pw_addr *pw_peer_address(const struct pw_addr *list, size_t n, int family);
/* Whether it is an address of this node. */
bool pw_peer_is_us(const struct pw_plan *p, const struct pw_addr *a);
/* Why no other node can have the range: it is no network, none for pods, or this node's pods have
 * it. NULL: it can. */
const char *pw_peer_unfit(const struct pw_plan *p, const struct pw_addr *a);
/* There is no way to the range, and why. */
void pw_plan_refuse(struct pw_plan *p, const struct pw_want *w, const char *why);

/* ---- peers_route.c ---- */

/* See which routes are there. */
int pw_peers_routes_read(struct pw_plan *p, struct pw_err *err);
/* Make the kernel's routes those that are wanted: new ones first, then those that nobody wants
 * away. */
int pw_peers_routes_write(struct pw_plan *p, struct pw_err *err);
/* Remove all of ours. */
int pw_peers_routes_remove(struct pw_err *err);

/* ---- peers_map.c ---- */

/* Make the programs' maps say what is wanted; empty where there is no tunnel. */
int pw_peers_maps(struct pw_plan *p, struct pw_err *err);

#endif
