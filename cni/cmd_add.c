/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cni/guest.h"
#include "cni/kind.h"
#include "cni/result.h"
#include "cni/undo.h"
#include "loader/base/cleanup.h"
#include "loader/guest.h"

/* All that an ADD holds on its way; the undo steps work on it too. */
struct add {
    const struct pw_req *req;
    struct pw_netns ns;
    struct pw_nl nl;
    struct pw_dp *dp;
    struct pw_ip_result ips;
    struct pw_plan plan;
    struct pw_state st;
    struct pw_made made;
    char program[256]; /* the back-end's */
    struct pw_guest guest;
    bool *skipped; /* of each route of the plan */
    struct pw_undo undo;
};

static void add_free(struct add *a)
{
    pw_undo_run(&a->undo);
    free(a->skipped);
    pw_plan_free(&a->plan);
    pw_ip_result_free(&a->ips);
    pw_dp_close(a->dp);
    pw_nl_close(&a->nl);
    pw_netns_close(&a->ns);
}

static int undo_ipam(void *arg)
{
    const struct add *a = arg;
    return pw_ipam_del(a->req, NULL);
}

static int undo_state(void *arg)
{
    const struct add *a = arg;
    return pw_state_remove(a->st.container_id, a->st.ifname, NULL);
}

static int undo_endpoint(void *arg)
{
    const struct add *a = arg;
    return pw_detach_endpoint(&a->st, NULL);
}

static int reuse_or_refuse(const struct pw_req *req, struct pw_nl *nl, struct pw_err *err)
{
    struct pw_state st;
    struct pw_link link;
    int rc = pw_state_read(req->env.container_id, req->env.ifname, &st, err);

    if (rc == -ENOENT)
        return 0;
    /* What is not known to be gone is not cleared away. */
    if (rc && rc != -EBADMSG)
        return rc;
    if (rc) {
        /* Unreadable: what it stood for has the names that follow from the attachment. */
        st = (struct pw_state){0};
        snprintf(st.container_id, sizeof(st.container_id), "%s", req->env.container_id);
        snprintf(st.ifname, sizeof(st.ifname), "%s", req->env.ifname);
    } else if (st.complete) {
        rc = pw_link_get(nl, 0, st.host_if, &link, err);
        if (rc && rc != -ENODEV)
            return rc;
        if (!rc)
            return pw_err_set(
                err, PW_CNI_EXISTS,
                "container %.64s has interface %s on network %s already: DEL it first",
                st.container_id, st.ifname, st.network);
    }
    /* What an ADD that was killed, or a pod whose namespace went without DEL, left. */
    rc = pw_detach_endpoint(&st, err);
    if (!rc)
        rc = pw_state_remove(st.container_id, st.ifname, err);
    return rc ? pw_err_wrap(err, "clear what an earlier ADD left") : 0;
}

static json_t *dns_of(const struct add *a)
{
    return a->req->conf.dns ? a->req->conf.dns : a->ips.dns;
}

static int prepare(struct add *a, struct pw_err *err)
{
    const struct pw_req *req = a->req;
    const struct pw_netconf *conf = &req->conf;
    struct pw_features features;
    struct pw_uplink_limits limits = {0};
    struct pw_plan_device choice;
    int rc = pw_features_get(&features, err);

    if (!rc)
        rc = pw_plan_device(conf, &features, &choice, err);
    if (!rc && choice.device == PW_DEV_VHOST_USER)
        rc = pw_guest_backend_program(conf, a->program, err);
    if (!rc)
        rc = pw_dp_open(&a->dp, &conf->node, err);
    if (!rc) {
        rc = pw_node_sync(a->dp, &conf->node, err);
        if (rc == -EDOM)
            rc = err->code = PW_CNI_CONF;
    }
    if (!rc)
        rc = pw_node_uplink_limits(a->dp, &limits, err);
    /* A pod keeps the MTU that it is given, so none is guessed. */
    if (!rc && conf->node.uplinks[0][0] && limits.uplinks == 0)
        rc = pw_err_set(err, PW_CNI_AGAIN,
                        "none of the devices that 'uplinks' of network %s names exists (%s ...)",
                        conf->name, conf->node.uplinks[0]);
    if (rc)
        return rc;
    rc = pw_ipam_add(req, &a->ips, err);
    if (rc)
        return rc;
    pw_undo_push(&a->undo, undo_ipam, a);
    rc = pw_plan_make(req, &choice, &features, &limits, &a->ips, &a->plan, err);
    if (!rc && a->plan.kind->guest && conf->autoconf)
        rc = pw_guest_autoconf(&a->plan, dns_of(a), &a->guest, err);
    return rc;
}

static void fill_state(struct add *a)
{
    const struct pw_req *req = a->req;
    const struct pw_plan *p = &a->plan;
    struct pw_state *st = &a->st;

    *st = (struct pw_state){
        .device = p->choice.device, .mtu = p->mtu, .has_mac = p->l2, .n_ips = p->n_ips};
    snprintf(st->network, sizeof(st->network), "%s", req->conf.name);
    snprintf(st->container_id, sizeof(st->container_id), "%s", req->env.container_id);
    snprintf(st->ifname, sizeof(st->ifname), "%s", req->env.ifname);
    snprintf(st->host_if, sizeof(st->host_if), "%s", p->host_if);
    snprintf(st->asked, sizeof(st->asked), "%s", pw_choice_name(p->choice.asked));
    snprintf(st->why, sizeof(st->why), "%s", p->choice.why);
    memcpy(st->mac, p->mac, 6);
    memcpy(st->host_mac, pw_host_mac, 6);
    memcpy(st->ips, p->ips, sizeof(st->ips));
    st->from_pod = req->conf.from_pod;
    st->to_pod = req->conf.to_pod;
    st->autoconf = p->kind->guest && req->conf.autoconf;
    if (p->kind->guest && req->conf.kata_dan)
        snprintf(st->dan, sizeof(st->dan), "%s", req->conf.kata_dan);
    if (p->kind->pod_tap) {
        memcpy(st->tap, p->tap.name, sizeof(st->tap));
        snprintf(st->netns, sizeof(st->netns), "%s", req->env.netns);
        st->netns_id = a->ns.id;
    }
}

static int create(struct add *a, struct pw_err *err)
{
    /* Before the first change to the kernel, so that whoever comes after a kill finds its way. */
    int rc = pw_state_write(&a->st, a->req, NULL, err);

    if (rc)
        return rc;
    pw_undo_push(&a->undo, undo_state, a);
    pw_undo_push(&a->undo, undo_endpoint, a);
    rc = a->plan.kind->create(&a->nl, &a->plan, &a->ns, &a->made, err);
    if (rc)
        return rc;
    a->st.host_ifindex = a->made.host.ifindex;
    a->st.pod_ifindex = a->made.pod_ifindex;
    return 0;
}

static int attach(struct add *a, struct pw_err *err)
{
    struct pw_endpoint ep = {.ifindex = a->made.host.ifindex,
                             .device = a->plan.choice.device,
                             .mtu = a->plan.mtu,
                             .addrs = a->plan.ips,
                             .n_addrs = a->plan.n_ips,
                             .from_pod = a->req->conf.from_pod,
                             .to_pod = a->req->conf.to_pod,
                             .guest = a->st.autoconf ? &a->guest : NULL};

    snprintf(ep.ifname, sizeof(ep.ifname), "%s", a->plan.host_if);
    if (a->plan.l2) {
        memcpy(ep.mac, a->plan.mac, 6);
        memcpy(ep.host_mac, pw_host_mac, 6);
    }
    return pw_dp_ep_add(a->dp, &ep, err);
}

static int configure_inside(struct add *a, struct pw_err *err)
{
    const char *ifname = a->req->env.ifname;
    int rc = pw_netns_enter(&a->ns, err);

    if (rc)
        return rc;
    rc = a->plan.kind->configure(a->dp, &a->plan, ifname, &a->made, a->skipped, err);
    pw_netns_leave(&a->ns);
    return rc ? pw_err_wrap(err, "%s in the container", ifname) : 0;
}

static int configure(struct add *a, struct pw_err *err)
{
    int rc = 0;

    a->skipped = calloc(a->plan.n_routes + 1, sizeof(*a->skipped));
    if (!a->skipped)
        return pw_err_errno(err, -ENOMEM, "configure");
    if (a->plan.kind->configure)
        rc = configure_inside(a, err);
    if (!rc)
        rc = pw_iface_configure_host(&a->nl, &a->plan, a->made.host.ifindex, err);
    if (!rc && a->made.pod_ifindex)
        rc = pw_iface_settle(&a->ns, a->made.pod_ifindex, err);
    return rc;
}

/* Last: from then on there is somebody to use what was made. */
static int start_backend(struct add *a, struct pw_err *err)
{
    if (!a->plan.kind->backend)
        return 0;
    memcpy(a->plan.vhost.program, a->program, sizeof(a->program));
    return pw_vhost_start(&a->plan.vhost, err);
}

static json_t *result_of(const struct add *a)
{
    const struct pw_req *req = a->req;
    const struct pw_plan *p = &a->plan;
    struct pw_result_if ifs[4] = {
        {.name = p->host_if, .mac = p->l2 ? pw_host_mac : NULL, .mtu = p->mtu},
        {.name = req->env.ifname,
         .mac = p->l2 ? p->mac : NULL,
         .mtu = p->mtu,
         .sandbox = req->env.netns,
         .socket_path = p->kind->backend ? p->vhost.socket : NULL,
         .n_ips = p->n_ips},
        /* As awslabs/tc-redirect-tap tells of a tap: itself, and under its name the guest's end of
         * it. Readers want one address on that. */
        {.name = p->tap.name, .mac = pw_host_mac, .mtu = p->mtu, .sandbox = req->env.netns},
        {.name = p->tap.name,
         .mac = p->mac,
         .mtu = p->mtu,
         .sandbox = req->env.container_id,
         .n_ips = p->n_ips ? 1 : 0},
    };
    pw_free struct pw_ip_route *routes = calloc(p->n_routes + 1, sizeof(*routes));
    struct pw_result r = {.version = req->conf.version,
                          .ifs = ifs,
                          .n_ifs = p->kind->pod_tap ? 4 : 2,
                          .ips = p->shown,
                          .gw4 = &p->gw4,
                          .gw6 = &p->gw6,
                          .routes = routes,
                          .dns = dns_of(a),
                          .prev = req->conf.prev_result};

    if (!routes)
        return NULL;
    for (size_t i = 0; i < p->n_routes; i++) {
        if (!p->routes[i].of || a->skipped[i])
            continue;
        routes[r.n_routes] = *p->routes[i].of;
        routes[r.n_routes++].gw = p->routes[i].route.gw;
    }
    return pw_result_make(&r);
}

/* For Kata, when the operator wants it: a file that its shim reads. */
static int write_dan(const struct add *a, const json_t *guest, struct pw_err *err)
{
    const struct pw_env *env = &a->req->env;
    const char *netns = a->plan.kind->pod_tap ? env->netns : NULL;
    pw_json *device = pw_guest_dan_device(guest, env->ifname);

    if (!device)
        return pw_err_errno(err, -ENOMEM, "Kata's file");
    return pw_guest_dan_file(a->st.dan, env->container_id, env->ifname, netns, device, err);
}

int pw_cmd_add(const struct pw_req *req, json_t **answer, struct pw_err *err)
{
    pw_cleanup(add_free) struct add a = {.req = req, .ns = PW_NETNS_INIT, .nl = PW_NL_INIT};
    int rc = pw_netns_open(&a.ns, req->env.netns, err);

    if (!rc)
        rc = pw_nl_open(&a.nl, NETLINK_ROUTE, err);
    if (!rc)
        rc = reuse_or_refuse(req, &a.nl, err);
    if (!rc)
        rc = prepare(&a, err);
    if (rc)
        return rc;
    fill_state(&a);
    rc = create(&a, err);
    if (!rc)
        rc = attach(&a, err);
    if (!rc)
        rc = configure(&a, err);
    if (rc)
        return rc;
    pw_json *result = result_of(&a);
    pw_json *guest = a.plan.kind->guest ? pw_guest_describe(&a.plan, req, result) : NULL;
    if (!result || (a.plan.kind->guest && !guest))
        return pw_err_errno(err, -ENOMEM, "result");
    rc = start_backend(&a, err);
    if (!rc && a.st.dan[0])
        rc = write_dan(&a, guest, err);
    a.st.complete = true;
    if (!rc)
        rc = pw_state_write(&a.st, req, guest, err);
    if (rc)
        return rc;
    pw_undo_forget(&a.undo);
    *answer = PW_TAKE_PTR(result);
    return 0;
}
