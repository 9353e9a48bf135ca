/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as one value: what it was told, what it knows, and how far it is. Everything runs in
 * one thread; nothing that pods need runs in it.
 */
#ifndef PW_AGENT_AGENT_H
#define PW_AGENT_AGENT_H

#include "agent/cluster.h"
#include "agent/conf.h"
#include "agent/conflist.h"
#include "agent/watch.h"

struct pw_agent {
    struct pw_agent_conf conf;
    struct pw_kube kube;
    CURLM *multi; /* owned */
    struct pw_watch nodes;
    struct pw_cluster cluster;
    struct pw_dp *dp; /* owned; NULL until the datapath is loaded */
    double started;

    /* This node, as the API had it last. */
    struct pw_peer self;
    bool known, has_node; /* a list of nodes was seen; this node was in it */

    /* When what is due next: 0 at once. */
    double next_load, next_peers, next_look, next_sweep, next_backends;
    bool changed;  /* nodes, since the last pw_peers_sync */
    bool peers_in; /* the last pw_peers_sync succeeded */
    bool node_in;  /* the last pw_node_sync did */
    struct pw_peers_report peers;
    size_t refused; /* ranges, by the cluster's map */
    double since;   /* of pw_conflist_decide */

    size_t problems;   /* what `podwirectl status` would tell of */
    char why_not[640]; /* why the node cannot take pods; "" when it can */
    bool listed;       /* the list is there */

    struct pw_log_again load_trouble, node_trouble, peers_trouble, refused_trouble, list_trouble,
        not_trouble, warned, sweep_trouble, backends_trouble;
    /* Endpoints whose pod seems to be gone, while the API is asked (agent/reconcile.h). */
    struct pw_suspect *suspects; /* owned */
    size_t n_suspects;
    struct pw_watch pods;
    char pods_selector[800];
    struct pw_lookup *lookup; /* opened and closed by main; NULL: nothing is looked up */

    unsigned long syncs, sync_failures, swept, reconciled, restarted;
};

/* `conf` and `kube` are taken over. The caller frees with pw_agent_close, which changes nothing of
 * the node. */
int pw_agent_init(struct pw_agent *a, struct pw_agent_conf *conf, struct pw_kube *kube,
                  struct pw_err *err);
/* Do what is due; returns when it wants to be called next, at the latest. */
double pw_agent_run(struct pw_agent *a, double now);
/* curl's transfers that have ended. */
void pw_agent_transfers(struct pw_agent *a, double now);
void pw_agent_close(struct pw_agent *a);

/* Remove from the node what the agent and the datapath put there: the lists, and all that is
 * loaded. -EBUSY while pods are there: then the lists are closed (agent/conflist.h). */
int pw_agent_cleanup(const struct pw_agent_conf *conf, struct pw_err *err);

#endif
