/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/backends.h"
#include "agent/reconcile.h"
#include "loader/base/clock.h"
#include "loader/pin.h"

#define RETRY 5.0       /* seconds, after a failure */
#define LOOK_EVERY 30.0 /* whether the node is as it should be */
#define BACKENDS_EVERY 5.0
#define FIRST_ANSWER 10.0 /* seconds */
#define SWEEP_EVERY 300.0
#define SAY_AGAIN 600.0
#define MAX_PROBLEMS 16

/* ---- what the API says ---- */

static void nodes_begin(void *arg)
{
    struct pw_agent *a = arg;
    pw_cluster_begin(&a->cluster);
}

static int nodes_put(void *arg, const json_t *object, bool deleted, struct pw_err *err)
{
    struct pw_agent *a = arg;
    return pw_cluster_put(&a->cluster, object, deleted, &a->changed, err);
}

static void nodes_end(void *arg)
{
    struct pw_agent *a = arg;

    if (!a->cluster.synced)
        pw_log(PW_LOG_INFO, "API: %zu nodes", a->cluster.n);
    pw_cluster_end(&a->cluster, &a->changed);
    malloc_trim(0);
}

static const struct pw_watch_ops nodes_ops = {nodes_begin, nodes_put, nodes_end};

/* This node, out of the cluster's. */
static void read_self(struct pw_agent *a)
{
    const struct pw_node *self;

    if (!a->cluster.synced)
        return;
    self = pw_cluster_find(&a->cluster, a->conf.node_name);
    a->known = true;
    a->has_node = self != NULL;
    if (self && !pw_cluster_same(&self->peer, &a->self)) {
        a->self = self->peer;
        a->node_in = false;
        a->next_look = 0;
    }
}

/* ---- the datapath ---- */

static int load(struct pw_dp **dp, bool upgrade, size_t *moved, bool *loaded, struct pw_err *err)
{
    int rc = pw_dp_load(dp, loaded, err);

    *moved = 0;
    if (!rc && upgrade && !*loaded)
        rc = pw_dp_upgrade(moved, err);
    /* The kernel's type information and the like are not needed again. */
    malloc_trim(0);
    return rc;
}

static void load_datapath(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    bool loaded = false;
    size_t moved;

    if (load(&a->dp, a->conf.upgrade, &moved, &loaded, &err)) {
        pw_dp_close(a->dp);
        a->dp = NULL;
        a->next_load = now + RETRY;
        pw_log_new(&a->load_trouble, now, SAY_AGAIN, PW_LOG_ERROR, "datapath: %s", err.msg);
        return;
    }
    pw_log_well(&a->load_trouble, "datapath: loaded");
    if (loaded)
        pw_log(PW_LOG_INFO, "datapath: loaded");
    if (moved)
        pw_log(PW_LOG_INFO, "datapath: %zu links moved to this version's programs", moved);
    a->next_look = a->next_sweep = 0;
    a->changed = true;
}

/* What this network says of the node, as the plugin will say with the list. */
static void node_conf(const struct pw_agent *a, struct pw_node_conf *out)
{
    *out = a->conf.node;
    for (size_t i = 0; i < a->self.n_pods; i++) {
        bool there = false;
        out->pods[out->n_pods++] = a->self.pods[i];
        for (size_t j = 0; j < out->n_native; j++)
            there |= pw_addr_same(&out->native[j], &a->self.pods[i]) &&
                     out->native[j].prefix == a->self.pods[i].prefix;
        if (!there && out->n_native < PW_ARRAY_SIZE(out->native))
            out->native[out->n_native++] = a->self.pods[i];
    }
}

static void sync_node(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_node_conf conf;

    node_conf(a, &conf);
    int rc = pw_node_sync(a->dp, a->self.n_pods ? &conf : NULL, &err);
    a->node_in = rc == 0;
    if (rc == -ENOENT) {
        /* Unloaded by somebody: load again. */
        pw_dp_close(a->dp);
        a->dp = NULL;
        a->next_load = 0;
    } else if (rc) {
        pw_log_new(&a->node_trouble, now, SAY_AGAIN, PW_LOG_ERROR, "node: %s", err.msg);
    } else {
        pw_log_well(&a->node_trouble, "node: in line");
    }
}

/* ---- other nodes ---- */

static int sync_peers(struct pw_agent *a, char why[320], struct pw_err *err)
{
    const struct pw_node_conf *node = &a->conf.node;
    pw_free struct pw_peer *peers = NULL;
    struct pw_peers_conf conf;
    size_t n = 0;

    pw_peers_conf_default(&conf);
    conf.routing = a->conf.routing;
    conf.vni = a->conf.vni;
    conf.port = (uint16_t)a->conf.port;
    conf.n_node = a->self.n_node;
    memcpy(conf.node, a->self.node, sizeof(conf.node));
    conf.n_pods = a->self.n_pods;
    memcpy(conf.pods, a->self.pods, sizeof(conf.pods));
    int rc = pw_cluster_peers(&a->cluster, a->conf.node_name, node->native, node->n_native, &peers,
                              &n, &a->refused, why, err);
    return rc ? rc : pw_peers_sync(a->dp, &conf, peers, n, &a->peers, err);
}

static void keep_peers(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    char why[320] = "";

    /* Without a node of its own it knows neither the others' way to it nor its ranges: what there
     * is stays. */
    if (!a->has_node || !a->self.n_node)
        return;
    a->syncs++;
    if (sync_peers(a, why, &err)) {
        a->sync_failures++;
        a->peers_in = false;
        a->next_peers = now + RETRY;
        pw_log_new(&a->peers_trouble, now, SAY_AGAIN, PW_LOG_ERROR, "other nodes: %s", err.msg);
        return;
    }
    a->changed = false;
    a->peers_in = true;
    a->next_peers = 0;
    pw_log_well(&a->peers_trouble, "other nodes: in line");
    if (a->peers.changes)
        pw_log(PW_LOG_INFO, "other nodes: %zu native, %zu by tunnel, %zu by the node's own routes",
               a->peers.native, a->peers.tunnel, a->peers.left);
    if (a->refused || a->peers.refused)
        pw_log_new(&a->refused_trouble, now, SAY_AGAIN, PW_LOG_WARN, "other nodes: %zu refused: %s",
                   a->refused + a->peers.refused, a->refused ? why : a->peers.why);
    else
        pw_log_well(&a->refused_trouble, "other nodes: none refused any more");
}

/* ---- whether the node can take pods ---- */

/* What does not keep the node from taking pods is told all the same. */
static void tell_warnings(struct pw_agent *a, const struct pw_problem *problems, size_t n,
                          double now)
{
    char text[1024] = "";
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        if (!problems[i].fatal && len < sizeof(text))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s (%s)", len ? "; " : "",
                                    problems[i].text, problems[i].remedy);
    if (len)
        pw_log_new(&a->warned, now, SAY_AGAIN, PW_LOG_WARN, "node: %s", text);
    else
        pw_log_well(&a->warned, "node: nothing to warn of any more");
}

/* In order of what has to be mended first; "" when nothing is. */
static void find_why_not(struct pw_agent *a, double now)
{
    struct pw_problem problems[MAX_PROBLEMS];
    struct pw_err err = PW_ERR_INIT;
    struct pw_node_conf conf;

    a->why_not[0] = '\0';
    node_conf(a, &conf);
    size_t n = pw_node_problems(&conf, problems, MAX_PROBLEMS);
    a->problems = n;
    n = n < MAX_PROBLEMS ? n : MAX_PROBLEMS;
    tell_warnings(a, problems, n, now);
    for (size_t i = 0; i < n; i++) {
        if (!problems[i].fatal)
            continue;
        snprintf(a->why_not, sizeof(a->why_not), "%.255s (%.255s)", problems[i].text,
                 problems[i].remedy);
        return;
    }
    if (!a->dp || !a->node_in)
        snprintf(a->why_not, sizeof(a->why_not), "datapath: %.500s",
                 !a->dp ? a->load_trouble.text : a->node_trouble.text);
    else if (!a->known)
        snprintf(a->why_not, sizeof(a->why_not), "the API server has not answered yet");
    else if (!a->has_node)
        snprintf(a->why_not, sizeof(a->why_not), "the API has no Node '%s'", a->conf.node_name);
    else if (!a->self.n_pods)
        snprintf(a->why_not, sizeof(a->why_not),
                 "Node '%s' has no spec.podCIDRs: run kube-controller-manager with "
                 "--allocate-node-cidrs and --cluster-cidr",
                 a->conf.node_name);
    else if (!a->peers_in)
        snprintf(a->why_not, sizeof(a->why_not), "other nodes: %.500s",
                 a->self.n_node ? a->peers_trouble.text : "this Node has no InternalIP");
    else if (pw_conflist_plugins(&a->conf, &err))
        snprintf(a->why_not, sizeof(a->why_not), "%.600s", err.msg);
}

/* The lists are closed first. They go when nothing is left that needs one to be taken away, and not
 * in the same moment: an ADD that is under way is by the open list. */
static int withdraw_lists(const struct pw_agent *a, struct pw_err *err)
{
    size_t left = pw_reconcile_attached(a->conf.node.network), changed = 0;
    int rc = pw_conflist_close(&a->conf, a->self.pods, left ? a->self.n_pods : 0, a->why_not,
                               &changed, err);

    if (rc)
        return rc;
    if (changed) {
        pw_log(PW_LOG_WARN,
               "CNI lists: %zu closed, the node takes no pods any more; %zu interfaces of pods are "
               "left",
               changed, left);
    } else if (!left) {
        rc = pw_conflist_remove(&a->conf, &changed, err);
        if (changed)
            pw_log(PW_LOG_WARN, "CNI lists: removed, no pods are left");
    }
    return rc;
}

static void keep_lists(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    bool can = a->why_not[0] == '\0';
    size_t changed = 0;
    int rc = 0;

    enum pw_conflist_action action =
        pw_conflist_decide(a->known, can, now, a->conf.remove_after, &a->since);
    if (action == PW_CONFLIST_WRITE) {
        rc = pw_conflist_write(&a->conf, a->self.pods, a->self.n_pods, &changed, &err);
        if (changed)
            pw_log(PW_LOG_INFO, "CNI lists: %zu written, the node takes pods", changed);
    } else if (action == PW_CONFLIST_WITHDRAW) {
        rc = withdraw_lists(a, &err);
    }
    if (rc)
        pw_log_new(&a->list_trouble, now, SAY_AGAIN, PW_LOG_ERROR, "CNI lists: %s", err.msg);
    else
        pw_log_well(&a->list_trouble, "CNI lists: in line");
    if (can)
        pw_log_well(&a->not_trouble, "the node can take pods");
    else
        pw_log_new(&a->not_trouble, now, SAY_AGAIN, PW_LOG_WARN, "the node cannot take pods: %s",
                   a->why_not);
    a->listed = pw_conflist_there(&a->conf);
}

/* ---- all in turn ---- */

int pw_agent_init(struct pw_agent *a, struct pw_agent_conf *conf, struct pw_kube *kube,
                  struct pw_err *err)
{
    memset(a, 0, sizeof(*a));
    a->multi = curl_multi_init();
    if (!a->multi)
        return pw_err_errno(err, -ENOMEM, "curl");
    a->conf = *conf;
    a->kube = *kube;
    memset(conf, 0, sizeof(*conf));
    memset(kube, 0, sizeof(*kube));
    a->started = pw_clock_s();
    a->nodes = (struct pw_watch){.what = "nodes",
                                 .path = "/api/v1/nodes",
                                 .keep = pw_cluster_keep,
                                 .keep_event = pw_cluster_keep_event,
                                 .ops = &nodes_ops,
                                 .arg = a,
                                 .multi = a->multi,
                                 .kube = &a->kube,
                                 .idle = a->conf.idle_timeout};
    return 0;
}

static double sooner(double a, double b)
{
    return a < b ? a : b;
}

double pw_agent_run(struct pw_agent *a, double now)
{
    double next = pw_watch_run(&a->nodes, now);
    bool moved = false;

    read_self(a);
    if (!a->dp && now >= a->next_load)
        load_datapath(a, now);
    if (a->dp && now >= a->next_look)
        sync_node(a, now);
    if (a->dp && a->known && (a->changed || now >= a->next_look) && now >= a->next_peers) {
        moved = a->changed;
        keep_peers(a, now);
    }
    /* Nothing is decided, nor complained of, before the API had a moment to answer. */
    if ((now >= a->next_look || moved) && (a->known || now >= a->started + FIRST_ANSWER)) {
        find_why_not(a, now);
        keep_lists(a, now);
        a->next_look = now + (a->why_not[0] ? RETRY : LOOK_EVERY);
    }
    if (a->dp && a->self.n_pods && now >= a->next_sweep) {
        pw_reconcile(a, now);
        a->next_sweep = now + SWEEP_EVERY;
    }
    if (a->dp && now >= a->next_backends) {
        pw_backends_keep(a, now);
        a->next_backends = now + BACKENDS_EVERY;
    }
    next = sooner(next, pw_reconcile_run(a, now));
    next = sooner(next, a->dp ? a->next_backends : next);
    next = sooner(next, sooner(a->known ? a->next_look : a->started + FIRST_ANSWER,
                               !a->dp           ? a->next_load
                               : a->self.n_pods ? a->next_sweep
                                                : now + 3600));
    if (a->dp && a->changed && a->known && a->has_node)
        next = sooner(next, a->next_peers);
    return next;
}

void pw_agent_transfers(struct pw_agent *a, double now)
{
    const CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(a->multi, &left))) {
        struct pw_watch *w = NULL;
        CURLcode result = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&w);
        pw_watch_done(w, result, now);
    }
}

void pw_agent_close(struct pw_agent *a)
{
    if (!a->multi)
        return;
    pw_watch_stop(&a->nodes);
    pw_reconcile_stop(a);
    curl_multi_cleanup(a->multi);
    pw_cluster_free(&a->cluster);
    pw_dp_close(a->dp);
    pw_kube_free(&a->kube);
    pw_agent_conf_free(&a->conf);
    memset(a, 0, sizeof(*a));
}

int pw_agent_cleanup(const struct pw_agent_conf *conf, struct pw_err *err)
{
    size_t changed, left = 0;
    int rc =
        pw_conflist_close(conf, NULL, 0, "podwire is being taken off this node", &changed, err);

    if (!rc)
        left = pw_reconcile_attached(NULL);
    if (left)
        rc = pw_err_set(err, -EBUSY,
                        "%zu interfaces of pods are left (" PW_RUN_DIR "/endpoints): drain the "
                        "node. Until they are gone the CNI lists stay, closed to new ones: a "
                        "runtime cannot take a pod away without",
                        left);
    if (!rc)
        rc = pw_dp_unload(false, err);
    return rc ? rc : pw_conflist_remove(conf, &changed, err);
}
