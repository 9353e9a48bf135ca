/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other nodes: the ways to their pods. Whoever knows the cluster's nodes (the agent) tells them
 * all, each time something changed, and pw_peers_sync makes the kernel's routes, the tunnel and the
 * programs' maps agree.
 *
 * What it makes: routes of protocol PW_RTPROT_PEER in the main table, the device PW_TUNNEL_DEVICE
 * with its program and its nftables table, and entries of the maps pw_peers4 and pw_peers6. These
 * and nothing else it changes and removes; pw_dp_unload removes them all. They outlive any process.
 */
#ifndef PW_LOADER_PEERS_H
#define PW_LOADER_PEERS_H

#include "loader/datapath.h"

/* Protocol number and metric of the routes to other nodes' pods. A route of somebody else to the
 * same range with a lower metric goes before them: the stack takes it, and so do programs. */
#define PW_RTPROT_PEER 120
#define PW_PEER_METRIC 120

/* Not with PW_IF_PREFIX: it is no pod's. Rules on pods' devices cover what it carries, since one
 * end of that is always a pod here. */
#define PW_TUNNEL_DEVICE "podwire-vxlan"
#define PW_TUNNEL_VNI 7079
#define PW_TUNNEL_PORT 4789 /* RFC 7348 */

enum pw_routing {
    PW_ROUTING_AUTO, /* native where the node's address is on a segment of ours, else the tunnel */
    PW_ROUTING_NATIVE, /* never the tunnel: to nodes beyond a router lead the node's own routes */
    PW_ROUTING_VXLAN,  /* always the tunnel */
};

/* Another node. Plain value, no ownership. */
struct pw_peer {
    char name[254];         /* for errors */
    struct pw_addr node[2]; /* its addresses, the first of each family counts */
    size_t n_node;
    struct pw_addr pods[8]; /* its pods' ranges */
    size_t n_pods;
};

/* This node. */
struct pw_peers_conf {
    enum pw_routing routing;
    /* Its addresses, as the others have them in pw_peer::node. The family of the first is the
     * tunnel's. */
    struct pw_addr node[2];
    size_t n_node;
    /* Its pods' ranges. Their first addresses (10.244.1.0), which no pod has, become the tunnel
     * device's, so that what the node itself sends to pods elsewhere is answered through the
     * tunnel.
     */
    struct pw_addr pods[8];
    size_t n_pods;
    uint32_t vni;  /* 1 to 16777215 */
    uint16_t port; /* UDP */
};
/* routing auto; number and port as above. Addresses are the caller's to fill in. */
void pw_peers_conf_default(struct pw_peers_conf *conf);

struct pw_peers_report {
    size_t native; /* peers reached by routes to their address */
    size_t tunnel; /* peers reached by the tunnel */
    size_t left;   /* left to the node's own routes: native, and beyond a router; or overruled */
    /* Peers of which something is of no use: no address of the right family, a range that is no
     * network or that another peer has too, a route of somebody else in the way. What is of use is
     * used. `why` speaks of the first. */
    size_t refused;
    char why[320];
    size_t changes; /* routes and entries made or removed */
};

/*
 * Make the node's ways to other nodes those to `peers` (without this node). Idempotent: with
 * nothing to change it writes nothing. Finishes what a killed call left; removes what is
 * no longer wanted. `report` may be NULL. -EINVAL when `conf` cannot be; a single peer's mistake is
 * no error.
 */
int pw_peers_sync(struct pw_dp *dp, const struct pw_peers_conf *conf, const struct pw_peer *peers,
                  size_t n, struct pw_peers_report *report, struct pw_err *err);

/* A way to a range of another node's pods, as it is in the kernel. */
struct pw_peer_way {
    struct pw_addr pods, node;
    bool tunnel;
    uint32_t ifindex; /* by which device */
};
/* All of them; `*out` is a new array that the caller frees. Needs no loaded datapath. */
int pw_peers_list(struct pw_peer_way **out, size_t *n, struct pw_err *err);

#endif
