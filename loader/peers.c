/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/peers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/dp.h"
#include "loader/nl/route.h"
#include "loader/peers_int.h"
#include "loader/tunnel.h"

void pw_peers_conf_default(struct pw_peers_conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    conf->vni = PW_TUNNEL_VNI;
    conf->port = PW_TUNNEL_PORT;
}

static int check_conf(const struct pw_peers_conf *c, struct pw_err *err)
{
    if (c->n_node == 0 || c->n_node > PW_ARRAY_SIZE(c->node) || c->n_pods > PW_ARRAY_SIZE(c->pods))
        return pw_err_set(err, -EINVAL, "other nodes: this node's own address is not known");
    for (size_t i = 0; i < c->n_node; i++)
        if (c->node[i].family != 4 && c->node[i].family != 6)
            return pw_err_set(err, -EINVAL, "other nodes: this node's own address is none");
    if (c->vni == 0 || c->vni > 0xffffff)
        return pw_err_set(err, -EINVAL, "tunnel: network number %u is not in 1 to 16777215",
                          c->vni);
    if (c->port == 0)
        return pw_err_set(err, -EINVAL, "tunnel: UDP port 0");
    return 0;
}

/* ---- what is wanted ---- */

/* Of a peer something is of no use; told once for each, and of the first. */
__attribute__((format(printf, 3, 4))) static void refuse(struct pw_plan *p, size_t peer,
                                                         const char *fmt, ...)
{
    va_list ap;

    if (p->refused == 0) {
        size_t len = (size_t)snprintf(p->report.why, sizeof(p->report.why),
                                      "node %.80s: ", p->peers[peer].name);
        va_start(ap, fmt);
        vsnprintf(p->report.why + len, sizeof(p->report.why) - len, fmt, ap);
        va_end(ap);
    }
    if (!p->ways[peer].refused)
        p->refused++;
    p->ways[peer].refused = true;
}

const struct pw_addr *pw_peer_address(const struct pw_addr *list, size_t n, int family)
{
    for (size_t i = 0; i < n && i < 2; i++)
        if (list[i].family == family)
            return &list[i];
    return NULL;
}

static bool is_own(const struct pw_plan *p, const struct pw_addr *range)
{
    for (size_t i = 0; i < p->conf->n_pods; i++)
        if (pw_addr_in(range, &p->conf->pods[i]) || pw_addr_in(&p->conf->pods[i], range))
            return true;
    return false;
}

bool pw_peer_is_us(const struct pw_plan *p, const struct pw_addr *a)
{
    for (size_t i = 0; i < p->conf->n_node; i++)
        if (pw_addr_same(a, &p->conf->node[i]))
            return true;
    return false;
}

const char *pw_peer_unfit(const struct pw_plan *p, const struct pw_addr *a)
{
    struct pw_addr net = pw_addr_network(*a);

    if ((a->family != 4 && a->family != 6) || a->prefix == 0 ||
        a->prefix > (a->family == 4 ? 32 : 128))
        return "is no range";
    if (!pw_addr_same(a, &net))
        return "is no network (bits beyond its prefix)";
    if (a->family == 4
            ? a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224 || (a->b[0] == 169 && a->b[1] == 254)
            : a->b[0] == 0xff || (a->b[0] == 0xfe && a->b[1] >= 0x80) ||
                  (a->b[0] == 0 && a->b[1] == 0))
        return "is no range that pods can have";
    return is_own(p, a) ? "is this node's own" : NULL;
}

/* `node`: by a route to this address of it, out of `oif`; NULL: by the tunnel. */
static void want(struct pw_plan *p, size_t peer, const struct pw_addr *pods,
                 const struct pw_addr *outer, const struct pw_addr *node, uint32_t oif)
{
    struct pw_want *w = &p->want[p->n_want++];

    *w = (struct pw_want){
        .peer = peer, .pods = *pods, .tunnel = node == NULL, .routed = oif != 0 || !node};
    if (outer)
        w->outer = *outer;
    w->route = (struct pw_route){.dst = *pods,
                                 .oif = oif,
                                 .priority = PW_PEER_METRIC,
                                 .protocol = PW_RTPROT_PEER,
                                 .onlink = true};
    if (node) {
        w->route.gw = *node;
        return;
    }
    /* One next hop for all, so that the device needs one neighbour and not one for each pod. */
    pw_addr_parse(pods->family == 4 ? "169.254.1.1" : "fe80::1", &w->route.gw, NULL);
    w->route.oif = p->tunnel.ifindex;
    w->route.encap = (struct pw_encap){*outer, p->conf->node[0], p->conf->vni};
}

/* By which device the address is reached without a router; 0 when it is not. */
static uint32_t on_segment(struct pw_plan *p, const struct pw_addr *node)
{
    struct pw_route r;

    if (pw_route_get(p->rtnl, node, &r) || r.type != RTN_UNICAST || r.gw.family ||
        r.oif == p->tunnel.ifindex)
        return 0;
    return r.oif;
}

static void plan_peer(struct pw_plan *p, size_t i)
{
    const struct pw_peer *peer = &p->peers[i];
    const struct pw_addr *outer =
        pw_peer_address(peer->node, peer->n_node, p->conf->node[0].family);
    char text[PW_ADDR_STRLEN];

    for (size_t j = 0; j < peer->n_node && j < PW_ARRAY_SIZE(peer->node); j++)
        if (pw_peer_is_us(p, &peer->node[j])) {
            refuse(p, i, "%s is this node's own address",
                   pw_addr_text(&peer->node[j], false, text));
            return;
        }
    for (size_t j = 0; j < peer->n_pods && j < PW_ARRAY_SIZE(peer->pods); j++) {
        const struct pw_addr *pods = &peer->pods[j];
        const char *why = pw_peer_unfit(p, pods);
        if (why) {
            refuse(p, i, "range %s %s", pw_addr_text(pods, true, text), why);
            continue;
        }
        /* IPv4 pods are reached by an IPv4 address of the node where it has one, and likewise IPv6;
         * where not, the tunnel carries either in either. */
        const struct pw_addr *node = pw_peer_address(peer->node, peer->n_node, pods->family);
        uint32_t oif = p->conf->routing == PW_ROUTING_VXLAN || !node ? 0 : on_segment(p, node);
        if (oif) {
            want(p, i, pods, outer, node, oif);
        } else if (p->tunnel.ifindex && outer) {
            want(p, i, pods, outer, NULL, 0);
        } else if (node && p->conf->routing == PW_ROUTING_NATIVE) {
            want(p, i, pods, outer, node, 0);
        } else {
            refuse(p, i, "no IPv%d address, which the way to %s needs",
                   p->tunnel.ifindex ? p->conf->node[0].family : pods->family,
                   pw_addr_text(pods, true, text));
        }
    }
}

int pw_range_order(const struct pw_addr *a, const struct pw_addr *b)
{
    int by = (int)a->family - (int)b->family;

    by = by ? by : memcmp(a->b, b->b, sizeof(a->b));
    return by ? by : (int)a->prefix - (int)b->prefix;
}

int pw_want_order(const void *a, const void *b)
{
    const struct pw_want *x = a, *y = b;
    return pw_range_order(&x->pods, &y->pods);
}

/* Two peers with one range: the first one told has it. */
static void drop_doubles(struct pw_plan *p)
{
    struct pw_want *list = p->want;
    char text[PW_ADDR_STRLEN];
    size_t n = 0;

    for (size_t i = 0; i < p->n_want; i++) {
        if (n == 0 || pw_want_order(&list[n - 1], &list[i]) != 0) {
            list[n++] = list[i];
            continue;
        }
        struct pw_want *kept = &list[n - 1], other = list[i];
        if (other.peer < kept->peer) {
            other = *kept;
            *kept = list[i];
        }
        if (other.peer != kept->peer)
            refuse(p, other.peer, "range %s is node %.80s's already",
                   pw_addr_text(&other.pods, true, text), p->peers[kept->peer].name);
    }
    p->n_want = n;
}

/* ---- in line ---- */

/* Each step finds done what it relies on: the device before anything goes by it, the programs' maps
 * before they are told of it; on the way back routes and programs leave it before it goes. */
static int apply(struct pw_plan *p, struct pw_err *err)
{
    bool tunnel = p->conf->routing != PW_ROUTING_NATIVE;
    size_t *changes = &p->report.changes;
    int rc = 0;

    if (tunnel)
        rc = pw_tunnel_up(p->dp, p->rtnl, p->conf, &p->tunnel, changes, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < p->n_peers; i++)
        plan_peer(p, i);
    qsort(p->want, p->n_want, sizeof(*p->want), pw_want_order);
    drop_doubles(p);
    rc = pw_peers_routes_read(p, err);
    if (!rc && tunnel)
        rc = pw_peers_maps(p, err);
    if (!rc)
        rc = pw_peers_routes_write(p, err);
    if (!rc)
        rc = pw_tunnel_tell(p->dp, &p->tunnel, changes, err);
    int fd = rc ? rc : pw_dp_map(p->dp, PW_MAP_CONF, err);
    rc = fd < 0 ? fd : *changes ? pw_conf_touch(fd, err) : 0;
    if (rc || tunnel)
        return rc;
    rc = pw_peers_maps(p, err);
    return rc ? rc : pw_tunnel_down(p->rtnl, changes, err);
}

void pw_plan_refuse(struct pw_plan *p, const struct pw_want *w, const char *why)
{
    char text[PW_ADDR_STRLEN];

    refuse(p, w->peer, "route to %s: %.200s", pw_addr_text(&w->pods, true, text), why);
}

static void count(struct pw_plan *p)
{
    for (size_t i = 0; i < p->n_want; i++) {
        const struct pw_want *w = &p->want[i];
        struct pw_way *way = &p->ways[w->peer];
        if (w->overruled || (!w->tunnel && !w->route.oif))
            way->left = true;
        else if (w->tunnel)
            way->tunnel = true;
        else
            way->native = true;
    }
    for (size_t i = 0; i < p->n_peers; i++) {
        p->report.native += p->ways[i].native;
        p->report.tunnel += p->ways[i].tunnel;
        p->report.left += p->ways[i].left;
    }
    p->report.refused = p->refused;
}

int pw_peers_sync(struct pw_dp *dp, const struct pw_peers_conf *conf, const struct pw_peer *peers,
                  size_t n, struct pw_peers_report *report, struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT;
    pw_free struct pw_want *wants = calloc(n * PW_ARRAY_SIZE(peers->pods) + 1, sizeof(*wants));
    pw_free struct pw_way *ways = calloc(n + 1, sizeof(*ways));
    struct pw_plan p = {.dp = dp,
                        .rtnl = &rtnl,
                        .conf = conf,
                        .peers = peers,
                        .n_peers = n,
                        .ways = ways,
                        .want = wants};

    if (!wants || !ways)
        return pw_err_set(err, -ENOMEM, "other nodes: out of memory");
    int rc = check_conf(conf, err);
    if (rc)
        return rc;
    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    rc = pw_dp_refresh(dp, err);
    if (!rc)
        rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    if (!rc)
        rc = apply(&p, err);
    free(p.old);
    if (rc)
        return pw_err_wrap(err, "ways to other nodes");
    count(&p);
    if (report)
        *report = p.report;
    return 0;
}
