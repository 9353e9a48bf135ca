/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

#include <stdio.h>
#include <string.h>

#include "cni/kind.h"
#include "cni/netns.h"
#include "cni/result.h"
#include "loader/base/cleanup.h"
#include "loader/vhost.h"

/* What is looked for in a listing; `found` counts by address or route. */
struct look {
    const struct pw_ip_result *want;
    uint32_t ifindex;
    bool *found;
};

static int see_addr(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_ifaddr *e = entry;
    struct look *l = arg;

    (void)err;
    for (size_t i = 0; i < l->want->n_ips; i++)
        l->found[i] |= pw_addr_same(&e->addr, &l->want->ips[i]);
    return 0;
}

/* A route counts in whatever table and by whatever device, sbr and others move them; and one that
 * is gone because a wider one leads there by our interface (sbr drops those that its own default
 * route stands for). */
static int see_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *e = entry;
    struct look *l = arg;

    (void)err;
    for (size_t i = 0; i < l->want->n_routes; i++) {
        const struct pw_addr *dst = &l->want->routes[i].dst;
        l->found[i] |= e->dst.prefix == dst->prefix && pw_addr_same(&e->dst, dst);
        l->found[i] |=
            e->oif == l->ifindex && e->dst.prefix < dst->prefix && pw_addr_in(dst, &e->dst);
    }
    return 0;
}

/* The node's own route to an address. */
static int see_host_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *e = entry;
    struct look *l = arg;

    (void)err;
    for (size_t i = 0; i < l->want->n_ips; i++)
        l->found[i] |= e->oif == l->ifindex && pw_addr_same(&e->dst, &l->want->ips[i]);
    return 0;
}

static int missing(const bool *found, const struct pw_addr *of, size_t stride, size_t n,
                   const char *what, struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];

    for (size_t i = 0; i < n; i++) {
        const struct pw_addr *a = (const struct pw_addr *)((const char *)of + i * stride);
        if (!found[i])
            return pw_err_set(err, PW_CNI_CHECK, "%s %s is missing", what,
                              pw_addr_text(a, true, text));
    }
    return 0;
}

int pw_check_pod(const struct pw_state *st, const struct pw_ip_result *want, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_link link;
    size_t n = want->n_ips + want->n_routes + 1;
    pw_free bool *found = calloc(n, sizeof(*found));
    struct look look = {.want = want, .found = found};
    struct pw_list_cb cb = {see_addr, NULL, &look};
    int rc;

    if (!found)
        return pw_err_errno(err, -ENOMEM, "check");
    rc = pw_nl_open(&nl, NETLINK_ROUTE, err);
    if (rc)
        /* The analyzer overlooks the cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return rc;
    rc = pw_link_get(&nl, 0, st->ifname, &link, err);
    if (rc == -ENODEV)
        return pw_err_set(err, PW_CNI_CHECK, "interface %s is missing", st->ifname);
    if (!rc && !(link.flags & IFF_UP))
        rc = pw_err_set(err, PW_CNI_CHECK, "interface %s is down", st->ifname);
    if (!rc && st->has_mac && link.has_mac && memcmp(link.mac, st->mac, 6) != 0)
        rc = pw_err_set(err, PW_CNI_CHECK,
                        "MAC of %s was changed, so that its packets are dropped as spoofed: "
                        "give the MAC to podwire (capability mac)",
                        st->ifname);
    if (!rc)
        rc = pw_addr_list(&nl, link.ifindex, &cb, err);
    if (!rc)
        rc = missing(found, want->ips, sizeof(*want->ips), want->n_ips, "address", err);
    memset(found, 0, n * sizeof(*found));
    cb.fn = see_route;
    look.ifindex = link.ifindex;
    for (int family = 4; !rc && want->n_routes && family <= 6; family += 2)
        rc = pw_route_list(&nl, family, &cb, err);
    if (!rc && want->n_routes)
        rc = missing(found, &want->routes[0].dst, sizeof(*want->routes), want->n_routes, "route",
                     err);
    return rc;
}

static int check_host(const struct pw_state *st, const struct pw_ip_result *want,
                      struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    struct pw_link link;
    bool found[PW_MAX_IPS] = {false};
    struct look look = {.want = want, .found = found};
    struct pw_list_cb cb = {see_host_route, NULL, &look};
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    if (rc)
        return rc;
    rc = pw_link_get(&nl, 0, st->host_if, &link, err);
    if (rc == -ENODEV || (!rc && link.ifindex != st->host_ifindex))
        return pw_err_set(err, PW_CNI_CHECK, "host end %s is missing", st->host_if);
    if (!rc && !(link.flags & IFF_UP))
        rc = pw_err_set(err, PW_CNI_CHECK, "host end %s is down", st->host_if);
    look.ifindex = link.ifindex;
    for (int family = 4; !rc && family <= 6; family += 2)
        rc = pw_route_list(&nl, family, &cb, err);
    if (!rc)
        rc = missing(found, want->ips, sizeof(*want->ips), want->n_ips, "the node's route to", err);
    if (rc)
        return rc;
    static const struct pw_guest none;
    struct pw_endpoint ep = {.ifindex = st->host_ifindex,
                             .device = st->device,
                             .mtu = st->mtu,
                             .addrs = st->ips,
                             .n_addrs = st->n_ips,
                             .from_pod = st->from_pod,
                             .to_pod = st->to_pod,
                             .guest = st->autoconf ? &none : NULL};
    snprintf(ep.ifname, sizeof(ep.ifname), "%s", st->host_if);
    if (st->has_mac) {
        memcpy(ep.mac, st->mac, 6);
        memcpy(ep.host_mac, st->host_mac, 6);
    }
    rc = pw_dp_open(&dp, NULL, err);
    if (!rc)
        rc = pw_dp_ep_check(dp, &ep, err);
    if (!rc && st->device == PW_DEV_VHOST_USER)
        rc = pw_vhost_check(st->host_if, NULL, err);
    if (rc && err)
        err->code = PW_CNI_CHECK;
    return rc;
}

int pw_cmd_check(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_netns_close) struct pw_netns ns = PW_NETNS_INIT;
    pw_cleanup(pw_ip_result_free) struct pw_ip_result want = PW_IP_RESULT_INIT;
    struct pw_state st;
    int rc;

    if (!req->conf.prev_result)
        return pw_err_set(err, PW_CNI_CONF, "CHECK needs 'prevResult'");
    rc = pw_result_parse_of(req->conf.prev_result, req->env.ifname, &want, err);
    if (rc)
        return pw_err_wrap(err, "prevResult");
    rc = pw_netns_open(&ns, req->env.netns, err);
    if (rc)
        return rc;
    rc = pw_state_read(req->env.container_id, req->env.ifname, &st, err);
    if (rc || !st.complete || strcmp(st.network, req->conf.name) != 0)
        return pw_err_set(err, PW_CNI_CHECK,
                          "container %.64s has no interface %s on network %s on record",
                          req->env.container_id, req->env.ifname, req->conf.name);
    const struct pw_kind *kind = pw_kind_of(st.device);
    if (kind && kind->check) {
        rc = pw_netns_enter(&ns, err);
        if (rc)
            return rc;
        rc = kind->check(&st, &want, err);
        pw_netns_leave(&ns);
    }
    if (!rc)
        rc = check_host(&st, &want, err);
    return rc ? rc : pw_ipam_check(req, want.ips, want.n_ips, err);
}
