/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As a chained plugin behind any other: a tap beside the interface that is there, joined to it, and
 * the answer that awslabs/tc-redirect-tap gives. Nothing of it is on record: all there is lies in
 * the pod's namespace, and what its programs are pinned as follows from the attachment.
 */
#include "cni/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cni/guest.h"
#include "cni/netns.h"
#include "cni/result.h"
#include "cni/sysctl.h"
#include "loader/base/cleanup.h"

/* No device has this name; it is that of the pins. */
static void pin_name(const struct pw_env *env, char out[16])
{
    char host_if[16];

    pw_plan_host_if(env->container_id, env->ifname, host_if);
    snprintf(out, 16, "tc-%.12s", host_if + strlen(PW_IF_PREFIX));
}

static bool is_pair(const struct pw_link *link)
{
    return strcmp(link->kind, "veth") == 0 || strcmp(link->kind, "netkit") == 0;
}

static int find_link(struct pw_nl *nl, const char *ifname, struct pw_link *out, struct pw_err *err)
{
    int rc = pw_link_get(nl, 0, ifname, out, err);

    if (rc == -ENODEV)
        return pw_err_set(err, PW_CNI_CONF,
                          "the plugin before has made no interface %s in the container", ifname);
    if (!rc && !out->has_mac)
        return pw_err_set(err, PW_CNI_CONF, "interface %s has no MAC, so no guest can use it",
                          ifname);
    return rc;
}

/* ---- ADD ---- */

static int make(const struct pw_req *req, struct pw_dp *dp, struct pw_link *link,
                struct pw_link *tap_link, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_tap tap = req->conf.tap;
    char name[16];
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    if (!rc)
        rc = find_link(&nl, req->env.ifname, link, err);
    if (rc)
        return rc;
    if (!tap.name[0])
        pw_plan_tap_name(req->env.ifname, tap.name);
    tap.ifindex = link->ifindex + PW_TAP_IFINDEX;
    rc = pw_guest_make_tap(&nl, &tap, link->mtu, tap_link, err);
    if (rc)
        return rc;
    pin_name(&req->env, name);
    rc = pw_sysctl_ipv6(tap.name, "disable_ipv6", '1', err);
    if (!rc)
        rc = pw_dp_tap_join(dp, name, link->ifindex, is_pair(link), err);
    pw_link_set_up(&b, tap.ifindex, true);
    return rc ? rc : pw_nl_commit(&nl, &b, NULL, NULL, err);
}

static json_t *interface(const struct pw_req *req, const struct pw_link *tap, const uint8_t *mac,
                         const char *sandbox)
{
    char text[PW_MAC_STRLEN];
    json_t *o = json_pack("{s:s, s:s, s:o}", "name", tap->name, "mac", pw_mac_text(mac, text),
                          "sandbox", pw_json_text(sandbox));

    if (o && req->conf.version >= PW_V110)
        json_object_set_new(o, "mtu", json_integer(tap->mtu));
    return o;
}

/* The result before, the tap, and the guest's end of it with the addresses of our interface. */
static json_t *answer_of(const struct pw_req *req, const struct pw_link *link,
                         const struct pw_link *tap)
{
    json_t *o = json_deep_copy(req->conf.prev_result), *ifs, *ips, *item;
    json_int_t from = pw_result_find_interface(o, req->env.ifname);
    size_t i;

    json_object_set_new(o, "cniVersion", json_string(pw_version_names[req->conf.version]));
    ifs = json_object_get(o, "interfaces");
    if (!json_is_array(ifs)) {
        ifs = json_array();
        json_object_set_new(o, "interfaces", ifs);
    }
    json_array_append_new(ifs, interface(req, tap, tap->mac, req->env.netns));
    json_array_append_new(ifs, interface(req, tap, link->mac, req->env.container_id));
    ips = json_object_get(o, "ips");
    size_t n = json_array_size(ips), guest = json_array_size(ifs) - 1;
    for (i = 0; i < n && (item = json_array_get(ips, i)); i++) {
        const json_t *index = json_object_get(item, "interface");
        if (from < 0 || !json_is_integer(index) || json_integer_value(index) != from)
            continue;
        json_t *copy = json_copy(item);
        json_object_set_new(copy, "interface", json_integer((json_int_t)guest));
        json_array_append_new(ips, copy);
    }
    return o;
}

int pw_redirect_add(const struct pw_req *req, json_t **answer, struct pw_err *err)
{
    pw_cleanup(pw_netns_close) struct pw_netns ns = PW_NETNS_INIT;
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    struct pw_link link, tap;
    bool loaded;

    if (!req->conf.prev_result)
        return pw_err_set(err, PW_CNI_CONF,
                          "no previous result was found: this plugin stands behind another");
    if (req->conf.from_pod.rate || req->conf.to_pod.rate)
        return pw_err_set(err, PW_CNI_CONF,
                          "runtimeConfig.bandwidth: behind another plugin podwire has no device to "
                          "limit; take the capability bandwidth out, or use podwire's own taps");
    int rc = pw_netns_open(&ns, req->env.netns, err);
    if (!rc)
        rc = pw_dp_load(&dp, &loaded, err);
    if (!rc)
        rc = pw_netns_enter(&ns, err);
    if (rc)
        return rc;
    rc = make(req, dp, &link, &tap, err);
    pw_netns_leave(&ns);
    if (!rc) {
        *answer = answer_of(req, &link, &tap);
        return *answer ? 0 : pw_err_errno(err, -ENOMEM, "result");
    }
    if (rc != PW_CNI_EXISTS)
        pw_redirect_del(req, NULL);
    return rc;
}

/* ---- DEL, CHECK ---- */

int pw_redirect_del(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_netns_close) struct pw_netns ns = PW_NETNS_INIT;
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    char name[16];
    int rc = 0;

    /* Gone already: so is all that was in it. */
    if (pw_netns_open(&ns, req->env.netns, NULL) == 0) {
        rc = pw_netns_enter(&ns, err);
        if (rc)
            return rc;
        rc = pw_guest_remove_tap(req->env.ifname, 0, err);
        pw_netns_leave(&ns);
    }
    if (rc)
        return rc;
    rc = pw_dp_open(&dp, NULL, err);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    pin_name(&req->env, name);
    return pw_dp_ep_del(dp, name, 0, NULL, 0, err);
}

static int check_inside(const struct pw_req *req, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_link link, tap;
    char name[16];
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    if (!rc)
        rc = find_link(&nl, req->env.ifname, &link, err);
    if (rc)
        return rc;
    rc = pw_link_get(&nl, link.ifindex + PW_TAP_IFINDEX, NULL, &tap, err);
    if (!rc && !(tap.flags & IFF_UP))
        rc = pw_err_set(err, PW_CNI_CHECK, "%s is down", tap.name);
    pin_name(&req->env, name);
    if (!rc)
        rc = pw_dp_tap_check(name, link.ifindex, is_pair(&link), err);
    if (rc)
        rc = err->code = PW_CNI_CHECK;
    return rc;
}

int pw_redirect_check(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_netns_close) struct pw_netns ns = PW_NETNS_INIT;
    int rc = pw_netns_open(&ns, req->env.netns, err);

    if (!rc)
        rc = pw_netns_enter(&ns, err);
    if (rc)
        return rc;
    rc = check_inside(req, err);
    pw_netns_leave(&ns);
    return rc;
}

/* Pins of namespaces that went without DEL. */
int pw_redirect_gc(struct pw_err *err)
{
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    int rc = pw_dp_open(&dp, NULL, err);

    if (!rc)
        rc = pw_dp_sweep(dp, NULL, err);
    return rc == -ENOENT ? 0 : rc;
}
