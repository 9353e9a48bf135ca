/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/iface.h"

#include <string.h>

#include "cni/kind.h"
#include "cni/sysctl.h"

struct made {
    struct pw_link link;
    bool found;
};

static int take(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct made *m = arg;
    (void)err;
    m->found |= pw_link_read(msg, &m->link);
    return 0;
}

/* The kernel passes over attributes that it does not know: believe only what it tells back. */
static int verify(const struct pw_plan *plan, const struct made *m, struct pw_err *err)
{
    const struct pw_link *l = &m->link;

    if (!m->found)
        return pw_err_set(err, -ENODEV, "device %s is gone", plan->host_if);
    if (strcmp(l->kind, plan->kind->link->name) != 0)
        return pw_err_set(err, -EPROTO, "device %s came out as %s", plan->host_if, l->kind);
    if (plan->kind->link == &pw_link_netkit &&
        (l->netkit.mode != plan->pair.netkit.mode ||
         l->netkit.peer_policy != plan->pair.netkit.peer_policy || !l->netkit.primary))
        return pw_err_set(err, -EPROTO, "netkit %s came out in another mode or policy",
                          plan->host_if);
    return 0;
}

int pw_iface_create(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                    struct pw_made *made, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_pair pair = plan->pair;
    struct made m = {.found = false};

    pair.pod.netns = ns->fd;
    pw_link_add_pair(&b, plan->kind->link, &pair);
    pw_link_ask(&b, plan->host_if);
    int rc = pw_nl_commit(nl, &b, take, &m, err);
    if (rc == -EEXIST)
        return pw_err_set(err, PW_CNI_EXISTS,
                          "interface %s exists in the container, or %s on the node", pair.pod.name,
                          plan->host_if);
    if (!rc)
        rc = verify(plan, &m, err);
    if (!rc)
        *made = (struct pw_made){.host = m.link, .pod_ifindex = m.link.peer};
    return rc;
}

static const uint8_t no_mac[6];

int pw_iface_configure_pod(struct pw_dp *dp, const struct pw_plan *plan, const char *ifname,
                           const struct pw_made *made, bool *skipped, struct pw_err *err)
{
    uint32_t ifindex = made->pod_ifindex;
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    /* Runtimes switch IPv6 off in new namespaces; an address that was given must work. */
    int rc = plan->has6 ? pw_sysctl_ipv6(ifname, "disable_ipv6", '0', err) : 0;

    (void)dp;
    /* Our addresses say so themselves; this is for the link-local one that the kernel makes. */
    if (!rc && plan->has6 && plan->l2)
        rc = pw_sysctl_ipv6(ifname, "accept_dad", '0', err);
    if (!rc)
        rc = pw_nl_open(&nl, NETLINK_ROUTE, err);
    if (rc)
        return rc;
    pw_link_set_up(&b, ifindex, true);
    for (size_t i = 0; i < plan->n_ips; i++)
        pw_addr_add(&b, ifindex, &plan->ips[i], true);
    if (plan->l2 && plan->has4)
        pw_neigh_replace(&b, ifindex, &pw_gateway4, pw_host_mac, false);
    /* Of layer 3 devices too, for what it says beside the MAC. */
    if (plan->has6)
        pw_neigh_replace(&b, ifindex, &pw_gateway6, plan->l2 ? pw_host_mac : no_mac, true);
    for (size_t i = 0; i < plan->n_routes; i++) {
        struct pw_route r = plan->routes[i].route;
        r.oif = ifindex;
        skipped[i] = false;
        if (plan->routes[i].append) {
            pw_route_append(&b, &r);
            continue;
        }
        pw_route_add(&b, &r);
        if (plan->routes[i].may_exist)
            pw_nlbatch_ignore_tell(&b, EEXIST, &skipped[i]);
    }
    return pw_nl_commit(&nl, &b, NULL, NULL, err);
}

int pw_iface_configure_host(struct pw_nl *nl, const struct pw_plan *plan, uint32_t ifindex,
                            struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    int rc = plan->has6 ? pw_sysctl_ipv6(plan->host_if, "disable_ipv6", '0', err) : 0;

    /* Whatever a pod sends, it does not configure its node. */
    if (!rc && plan->has6)
        rc = pw_sysctl_ipv6(plan->host_if, "accept_ra", '0', err);
    if (rc)
        return rc;
    pw_link_set_forwarding(&b, ifindex);
    pw_link_set_up(&b, ifindex, true);
    /* A node without any IPv6 address of its own has one towards its pods: probes need it. */
    if (plan->has6)
        pw_addr_add(&b, ifindex, &pw_gateway6, true);
    for (size_t i = 0; i < plan->n_ips; i++) {
        struct pw_route r = {.dst = plan->ips[i],
                             .oif = ifindex,
                             .scope = plan->ips[i].family == 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE};
        pw_route_replace(&b, &r);
        if (plan->l2)
            pw_neigh_replace(&b, ifindex, &plan->ips[i], plan->mac, false);
    }
    rc = pw_nl_commit(nl, &b, NULL, NULL, err);
    return rc ? pw_err_wrap(err, "%s on the node", plan->host_if) : 0;
}

int pw_iface_settle(const struct pw_netns *ns, uint32_t ifindex, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_link link;
    int rc = pw_netns_enter(ns, err);

    if (rc)
        return rc;
    rc = pw_nl_open(&nl, NETLINK_ROUTE, err);
    pw_netns_leave(ns);
    /* To be asked about the device makes link watch do its work at once (rtnl_getlink(), since 6.8;
     * the host end needs none of this: it goes up last, and with carrier). */
    return rc ? rc : pw_link_get(&nl, ifindex, NULL, &link, err);
}
