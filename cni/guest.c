/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/guest.h"

#include <stdio.h>
#include <string.h>

#include "cni/kind.h"
#include "cni/sysctl.h"
#include "loader/expedite.h"

int pw_guest_make_tap(struct pw_nl *nl, const struct pw_tap *tap, uint32_t mtu,
                      struct pw_link *link, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    uint32_t ifindex = 0;
    int rc = pw_tap_create(tap, &ifindex, err);

    if (rc == -EEXIST)
        return pw_err_set(err, PW_CNI_EXISTS, "interface %s exists already", tap->name);
    if (rc)
        return rc;
    pw_link_set_mac(&b, ifindex, pw_host_mac);
    pw_link_set_mtu(&b, ifindex, mtu);
    pw_link_set_addrgen_none(&b, ifindex);
    rc = pw_nl_commit(nl, &b, NULL, NULL, err);
    if (!rc)
        rc = pw_link_get(nl, ifindex, NULL, link, err);
    if (!rc && (strcmp(link->kind, pw_link_tap.name) != 0 || !link->tun.tap || !link->tun.persist ||
                link->tun.multi_queue != (tap->queues > 1)))
        rc = pw_err_set(err, -EPROTO, "tap %s came out as another device", tap->name);
    if (!rc && link->tun.queues)
        rc = pw_err_set(err, -EPERM, "somebody has opened tap %s already", tap->name);
    return rc;
}

static json_t *text_of(const struct pw_addr *a, bool with_prefix)
{
    char text[PW_ADDR_STRLEN];
    return json_string(pw_addr_text(a, with_prefix, text));
}

static void add_neighbour(json_t *list, const struct pw_addr *gw)
{
    char mac[PW_MAC_STRLEN];
    json_array_append_new(list, json_pack("{s:o, s:s}", "address", text_of(gw, false), "mac",
                                          pw_mac_text(pw_host_mac, mac)));
}

json_t *pw_guest_describe(const struct pw_plan *plan, const struct pw_req *req,
                          const json_t *result)
{
    char mac[PW_MAC_STRLEN];
    json_t *addresses = json_array(), *neighbours = json_array();

    for (size_t i = 0; i < plan->n_ips; i++)
        json_array_append_new(addresses, text_of(&plan->shown[i], true));
    if (plan->has4)
        add_neighbour(neighbours, &plan->gw4);
    if (plan->has6)
        add_neighbour(neighbours, &plan->gw6);
    json_t *o = json_pack("{s:s, s:s*, s:i, s:s, s:i, s:o, s:o, s:O*, s:O*}", "tap", plan->tap.name,
                          "netns", plan->kind->pod_tap ? req->env.netns : NULL, "queues",
                          plan->tap.queues > 1 ? (int)plan->tap.queues : 1, "mac",
                          pw_mac_text(plan->mac, mac), "mtu", (int)plan->mtu, "addresses",
                          addresses, "neighbours", neighbours, "routes",
                          json_object_get(result, "routes"), "dns", json_object_get(result, "dns"));
    bool backend = plan->kind->backend;
    if (o && (backend ? plan->vhost.has_owner : plan->tap.has_owner))
        json_object_set_new(o, "owner", json_integer(plan->tap.owner));
    if (o && (backend ? plan->vhost.has_group : plan->tap.has_group))
        json_object_set_new(o, "group", json_integer(plan->tap.group));
    if (o && backend) {
        json_object_set_new(o, "socket", pw_json_text(plan->vhost.socket));
        json_object_set_new(o, "listens", json_string(plan->vhost.connect ? "vmm" : "backend"));
    }
    return o;
}

int pw_guest_backend_program(const struct pw_netconf *conf, char out[256], struct pw_err *err)
{
    int rc = 0;

    if (conf->vhost.program)
        snprintf(out, 256, "%s", conf->vhost.program);
    else
        rc = pw_vhost_default_program(out, err);
    if (!rc)
        rc = pw_vhost_program_check(out, err);
    return rc && err ? err->code = PW_CNI_CONF : rc;
}

static int read_dns(const json_t *dns, struct pw_autoconf *c, struct pw_err *err)
{
    json_t *list = NULL, *item;
    unsigned n4 = 0, n6 = 0;
    size_t i;
    int rc = pw_json_str(dns, "domain", &c->domain, err);

    if (!rc)
        rc = pw_json_list(dns, "nameservers", &list, err);
    json_array_foreach (list, i, item) {
        const char *text;
        struct pw_addr a;
        if (!rc)
            rc = pw_json_item_str(item, "dns.nameservers", &text, err);
        if (rc)
            break;
        if (pw_addr_parse(text, &a, err))
            return pw_err_set(err, PW_CNI_CONF, "'dns.nameservers': '%.60s' is no address", text);
        unsigned *of_family = a.family == 4 ? &n4 : &n6;
        if ((*of_family)++ < PW_AUTOCONF_DNS / 2)
            c->dns[c->n_dns++] = a;
    }
    if (!rc)
        rc = pw_json_list(dns, "search", &list, err);
    json_array_foreach (list, i, item) {
        if (!rc && c->n_search < PW_AUTOCONF_SEARCH)
            rc = pw_json_item_str(item, "dns.search", &c->search[c->n_search++], err);
    }
    if (c->domain && !*c->domain)
        c->domain = NULL;
    return rc;
}

int pw_guest_autoconf(const struct pw_plan *plan, const json_t *dns, struct pw_guest *out,
                      struct pw_err *err)
{
    struct pw_autoconf c = {.gw4 = plan->gw4, .mtu = plan->mtu};
    int rc = read_dns(dns, &c, err);

    for (size_t i = plan->n_ips; i-- > 0;) /* the first of each family */
        *(plan->shown[i].family == 4 ? &c.ip4 : &c.ip6) = plan->shown[i];
    memcpy(c.mac, plan->mac, 6);
    memcpy(c.host_mac, pw_host_mac, 6);
    for (size_t i = 0; i < plan->n_routes && !rc; i++) {
        const struct pw_route *r = &plan->routes[i].route;
        if (r->table) /* cannot be told */
            continue;
        if (c.n_routes == PW_AUTOCONF_ROUTES)
            rc = pw_err_set(err, -ENOSPC, "more than %d routes", PW_AUTOCONF_ROUTES);
        else
            c.routes[c.n_routes++] = (typeof(c.routes[0])){r->dst, r->scope == RT_SCOPE_LINK};
    }
    if (!rc)
        rc = pw_autoconf_make(&c, out, err);
    if (!rc)
        return 0;
    if (err)
        err->code = PW_CNI_CONF;
    return pw_err_wrap(err, "what the guest is to be told (\"autoconf\": false: nothing)");
}

int pw_guest_create_tap(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                        struct pw_made *made, struct pw_err *err)
{
    (void)ns;
    return pw_guest_make_tap(nl, &plan->tap, plan->mtu, &made->host, err);
}

static int make_tap_inside(const struct pw_plan *plan, const struct pw_made *made,
                           struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_tap tap = plan->tap;
    struct pw_link link;
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    tap.ifindex = made->pod_ifindex + PW_TAP_IFINDEX;
    return rc ? rc : pw_guest_make_tap(&nl, &tap, plan->mtu, &link, err);
}

int pw_guest_create_joined(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                           struct pw_made *made, struct pw_err *err)
{
    int rc = pw_iface_create(nl, plan, ns, made, err);

    if (!rc)
        rc = pw_netns_enter(ns, err);
    if (rc)
        return rc;
    rc = make_tap_inside(plan, made, err);
    pw_netns_leave(ns);
    return rc ? pw_err_wrap(err, "%s in the container", plan->tap.name) : 0;
}

int pw_guest_configure_joined(struct pw_dp *dp, const struct pw_plan *plan, const char *ifname,
                              const struct pw_made *made, bool *skipped, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    uint32_t ifindex = made->pod_ifindex;
    int rc = pw_dp_tap_join(dp, plan->host_if, ifindex, true, err);

    (void)skipped;
    /* The guest alone speaks by these devices, with its own MAC. */
    if (!rc)
        rc = pw_sysctl_ipv6(ifname, "disable_ipv6", '1', err);
    if (!rc)
        rc = pw_sysctl_ipv6(plan->tap.name, "disable_ipv6", '1', err);
    if (!rc)
        rc = pw_nl_open(&nl, NETLINK_ROUTE, err);
    if (rc)
        return rc;
    pw_link_set_up(&b, ifindex + PW_TAP_IFINDEX, true);
    pw_link_set_up(&b, ifindex, true);
    return pw_nl_commit(&nl, &b, NULL, NULL, err);
}

static int see_device(struct pw_nl *nl, uint32_t ifindex, const char *name, struct pw_err *err)
{
    struct pw_link link;
    int rc = pw_link_get(nl, ifindex, NULL, &link, err);

    if (rc == -ENODEV)
        return pw_err_set(err, PW_CNI_CHECK, "interface %s is missing in the container", name);
    if (!rc && !(link.flags & IFF_UP))
        return pw_err_set(err, PW_CNI_CHECK, "interface %s is down", name);
    return rc;
}

int pw_guest_check_joined(const struct pw_state *st, const struct pw_ip_result *want,
                          struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    (void)want;
    if (!rc)
        rc = see_device(&nl, st->pod_ifindex, st->ifname, err);
    if (!rc)
        rc = see_device(&nl, st->pod_ifindex + PW_TAP_IFINDEX, st->tap, err);
    if (!rc && pw_dp_tap_check(st->host_if, st->pod_ifindex, true, err))
        rc = err->code = PW_CNI_CHECK;
    return rc;
}

/* By its number, which follows from that of the pod's interface: another of that name is not ours.
 */
int pw_guest_remove_tap(const char *ifname, uint32_t beside, struct pw_err *err)
{
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_link link;
    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);

    if (rc)
        return rc;
    /* A record from before the devices were made does not know. */
    rc = pw_link_get(&nl, 0, ifname, &link, err);
    if (!rc)
        beside = link.ifindex;
    if (rc && (rc != -ENODEV || !beside))
        return rc == -ENODEV ? 0 : rc;
    rc = pw_link_get(&nl, beside + PW_TAP_IFINDEX, NULL, &link, err);
    if (rc || strcmp(link.kind, pw_link_tap.name) != 0)
        return rc == -ENODEV ? 0 : rc;
    pw_link_del(&b, link.ifindex, NULL);
    pw_expedited;
    return pw_nl_commit(&nl, &b, NULL, NULL, err);
}

int pw_guest_remove_joined(const struct pw_state *st, struct pw_err *err)
{
    return pw_guest_remove_tap(st->ifname, st->pod_ifindex, err);
}
