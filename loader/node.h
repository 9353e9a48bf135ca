/* SPDX-License-Identifier: Apache-2.0 */
/* The node as a whole: what keeps it in line with the configuration. For the files of this folder;
 * callers outside use loader/datapath.h. */
#ifndef PW_LOADER_NODE_H
#define PW_LOADER_NODE_H

#include "loader/dp.h"
#include "loader/nl/nlsock.h"

/* Make the kernel's connection tracking available before the programs are loaded: where it is a
 * module that is not loaded, its function is missing for good. Starts modprobe at most once;
 * whether it helped says pw_node_has_conntrack. */
void pw_node_need_conntrack(void);
bool pw_node_has_conntrack(void);

/* Put the programs of `build`, which are pinned, into every pinned link. With the lock held. */
int pw_links_move(const char *build, size_t *moved, struct pw_err *err);

/* ---- node_state.c: what the networks of the node said, kept in PW_RUN_DIR/node ---- */

#define PW_MAX_NETWORKS 8

struct pw_node_state {
    uint32_t n;        /* networks */
    bool redirect_off; /* the operator's word */
    bool accepting;    /* rules of ours are in others' FORWARD chains, or may be */
    uint64_t observed; /* pw_node_observe when the node was last brought in line ... */
    uint64_t synced;   /* ... and when: CLOCK_BOOTTIME, ns */
    uint64_t current;  /* ... for which load: inode of `current` */
    struct pw_node_conf conf[PW_MAX_NETWORKS];
};
/* A file that is missing, or is not as we write it, gives an empty state; false then. */
bool pw_node_state_read(struct pw_node_state *out);
int pw_node_state_write(const struct pw_node_state *state, struct pw_err *err);
/* Whether the network has said something. */
bool pw_node_state_knows(const struct pw_node_state *state, const char *network);
/* Put in what a network says now. *changed: it said something else before. */
int pw_node_state_put(struct pw_node_state *state, const struct pw_node_conf *conf, bool *changed,
                      struct pw_err *err);
/* What all of them say, joined. -EINVAL when they contradict each other. */
int pw_node_join(const struct pw_node_state *state, struct pw_node_conf *out, struct pw_err *err);

/* ---- uplink.c ---- */

struct pw_uplinks {
    size_t n;
    uint32_t ifindex[PW_MAX_UPLINKS];
    bool too_many;
    /* A device that cannot be one: no Ethernet. Empty when there is none. */
    char unfit[16];
    /* Configured, and not there: names with commas between. */
    char missing[PW_MAX_UPLINKS * 18];
};
/* Devices of the default routes of both families, or the configured ones that exist. */
int pw_uplinks_find(struct pw_nl *rtnl, const struct pw_node_conf *conf, struct pw_uplinks *out,
                    struct pw_err *err);
/* The name of a device by which a route within the native ranges leads away, and that is none of
 * `up`; "" when there is none. Another network's bridge or overlay is not meant. */
int pw_uplinks_beside(struct pw_nl *rtnl, const struct pw_node_conf *conf,
                      const struct pw_uplinks *up, char name[16], struct pw_err *err);
/* Attach the program to the uplinks; those that carry it already are left alone. */
int pw_uplinks_attach(struct pw_dp *dp, const struct pw_uplinks *up, struct pw_err *err);
/* Whether this device carries it. */
bool pw_uplink_attached(uint32_t ifindex);
/* Take it off every other device. */
int pw_uplinks_detach_others(const struct pw_uplinks *up, struct pw_err *err);

/* ---- routing.c ---- */

/* xfrm policies, or rules that the programs' own lookup does not follow: packets to the wire have
 * to go by the stack. `why` (may be NULL) says what was found. */
int pw_routing_odd(struct pw_nl *rtnl, bool *odd, char why[128], struct pw_err *err);
/* A number that changes when default routes, rules or xfrm policies do. Cheap, and does not grow
 * with the number of routes. */
uint64_t pw_routing_observe(struct pw_nl *rtnl, const struct pw_node_conf *conf);

/* ---- nft.c: tables inet podwire and inet podwire-tunnel ---- */

/* Whether the table is as pw_nft_apply leaves it. */
bool pw_nft_in_place(struct pw_nl *nfnl, const struct pw_node_conf *conf);
/* Make it so, in one step. */
int pw_nft_apply(struct pw_nl *nfnl, const struct pw_node_conf *conf, struct pw_err *err);
int pw_nft_remove(struct pw_nl *nfnl, struct pw_err *err);
/* From now on what the tunnel sends from the `n` addresses of the node, and gets there, is not
 * tracked; counts into *changes what it made. And no longer. */
int pw_nft_tunnel_up(struct pw_nl *nfnl, uint16_t port, const struct pw_addr *node, size_t n,
                     size_t *changes, struct pw_err *err);
int pw_nft_tunnel_down(struct pw_nl *nfnl, size_t *changes, struct pw_err *err);

/* ---- forward.c: does something drop what is forwarded for pods? ---- */

/* A chain that drops forwarded packets, for which it has no rule that accepts those of pods. */
struct pw_forward_drop {
    uint8_t family;            /* NFPROTO_* */
    char table[64], chain[64]; /* of nftables; table "filter" of legacy iptables */
    bool legacy, by_policy;    /* else by its last rule */
    /* Nothing in it lets a pod open a TCP or UDP flow to the outside; else some rule might, by
     * address, port or whatever else. */
    bool sure;
};
/* Fills at most `max`, returns how many there are, or a negative errno. `up`: where the outside is.
 */
int pw_forward_drops(struct pw_nl *nfnl, const struct pw_uplinks *up, struct pw_forward_drop *out,
                     size_t max, struct pw_err *err);
/* Insert rules that accept packets from and to pods at the head of these chains. */
int pw_forward_accept(struct pw_nl *nfnl, struct pw_err *err);
/* Remove them from wherever they are. */
int pw_forward_restore(struct pw_nl *nfnl, struct pw_err *err);

#endif
