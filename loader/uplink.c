/* SPDX-License-Identifier: Apache-2.0 */
/* Uplinks: the devices by which packets of pods leave the node and come back. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/expedite.h"
#include "loader/nl/link.h"
#include "loader/nl/route.h"
#include "loader/node.h"

#define UPLINK_PIN "uplink-"

static bool has(const struct pw_uplinks *up, uint32_t ifindex)
{
    for (size_t i = 0; i < up->n; i++)
        if (up->ifindex[i] == ifindex)
            return true;
    return false;
}

static void consider(struct pw_nl *rtnl, struct pw_uplinks *up, uint32_t ifindex)
{
    struct pw_link link;

    if (!ifindex || has(up, ifindex))
        return;
    if (pw_link_get(rtnl, ifindex, NULL, &link, NULL))
        return; /* gone meanwhile */
    if ((link.flags & IFF_LOOPBACK) || strncmp(link.name, PW_IF_PREFIX, 3) == 0)
        return;
    if (!link.has_mac) {
        snprintf(up->unfit, sizeof(up->unfit), "%s", link.name);
        return;
    }
    if (up->n == PW_MAX_UPLINKS) {
        up->too_many = true;
        return;
    }
    up->ifindex[up->n++] = ifindex;
}

static void note_missing(struct pw_uplinks *up, const char *name)
{
    size_t len = strlen(up->missing);

    snprintf(up->missing + len, sizeof(up->missing) - len, "%s%s", len ? ", " : "", name);
}

struct finder {
    struct pw_nl *rtnl; /* a second socket: the first is in the middle of a dump */
    struct pw_uplinks *up;
};

static int on_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *r = entry;
    struct finder *f = arg;

    (void)err;
    if (r->dst.prefix == 0 && r->type == RTN_UNICAST &&
        (r->table == RT_TABLE_MAIN || r->table == RT_TABLE_DEFAULT))
        consider(f->rtnl, f->up, r->oif);
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int pw_uplinks_find(struct pw_nl *rtnl, const struct pw_node_conf *conf, struct pw_uplinks *out,
                    struct pw_err *err)
{
    struct pw_uplinks up = {0};
    int rc = 0;

    if (conf->uplinks[0][0]) {
        for (size_t i = 0; i < PW_MAX_UPLINKS && conf->uplinks[i][0]; i++) {
            uint32_t ifindex = if_nametoindex(conf->uplinks[i]);
            if (!ifindex)
                note_missing(&up, conf->uplinks[i]);
            consider(rtnl, &up, ifindex);
        }
    } else {
        pw_nlsock other = PW_NL_INIT;
        rc = pw_nl_open(&other, NETLINK_ROUTE, err);
        struct finder f = {&other, &up};
        struct pw_list_cb cb = {on_route, NULL, &f};
        if (!rc)
            rc = pw_route_list(rtnl, 4, &cb, err);
        if (!rc)
            rc = pw_route_list(rtnl, 6, &cb, err);
    }
    if (rc)
        return rc;
    qsort(up.ifindex, up.n, sizeof(up.ifindex[0]), by_number);
    *out = up;
    return 0;
}

struct beside {
    struct pw_nl *rtnl; /* a second socket */
    const struct pw_node_conf *conf;
    const struct pw_uplinks *up;
    uint32_t seen; /* the last device that was looked at */
    char *name;
};

static int on_way(const void *entry, void *arg, struct pw_err *err)
{
    static const char *const others[] = {"vxlan", "geneve", "bridge"};
    const struct pw_route *r = entry;
    struct beside *b = arg;
    struct pw_link link;

    (void)err;
    if (r->type != RTN_UNICAST || r->table != RT_TABLE_MAIN || !r->oif || r->oif == b->seen ||
        b->name[0] || has(b->up, r->oif) ||
        !pw_addr_within(&r->dst, b->conf->native, b->conf->n_native) ||
        pw_addr_within(&r->dst, b->conf->pods, b->conf->n_pods))
        return 0;
    b->seen = r->oif;
    if (pw_link_get(b->rtnl, r->oif, NULL, &link, NULL) || !link.has_mac ||
        strncmp(link.name, PW_IF_PREFIX, strlen(PW_IF_PREFIX)) == 0)
        return 0;
    for (size_t i = 0; i < PW_ARRAY_SIZE(others); i++)
        if (strcmp(link.kind, others[i]) == 0)
            return 0;
    memcpy(b->name, link.name, sizeof(link.name));
    return 0;
}

int pw_uplinks_beside(struct pw_nl *rtnl, const struct pw_node_conf *conf,
                      const struct pw_uplinks *up, char name[16], struct pw_err *err)
{
    pw_nlsock other = PW_NL_INIT;
    struct beside b = {.rtnl = &other, .conf = conf, .up = up, .name = name};
    struct pw_list_cb cb = {on_way, NULL, &b};

    name[0] = '\0';
    int rc = pw_nl_open(&other, NETLINK_ROUTE, err);
    if (!rc)
        rc = pw_route_list(rtnl, 4, &cb, err);
    return rc ? rc : pw_route_list(rtnl, 6, &cb, err);
}

/* By index: the names of uplinks may have dots. */
static void pin_of(uint32_t ifindex, char device[32])
{
    snprintf(device, 32, UPLINK_PIN "%u", ifindex);
}

bool pw_uplink_attached(uint32_t ifindex)
{
    struct pw_attached at;
    char device[32];

    pin_of(ifindex, device);
    return pw_attach_info(device, PW_HOOK_FROM_UPLINK, &at, NULL) == 0 && at.ifindex == ifindex;
}

int pw_uplinks_attach(struct pw_dp *dp, const struct pw_uplinks *up, struct pw_err *err)
{
    pw_fd prog = -1;

    for (size_t i = 0; i < up->n; i++) {
        char device[32];
        if (pw_uplink_attached(up->ifindex[i]))
            continue;
        pin_of(up->ifindex[i], device);
        if (prog < 0)
            prog = pw_dp_prog(dp, pw_hook_program(PW_HOOK_FROM_UPLINK), err);
        if (prog < 0)
            return prog;
        pw_expedited;
        int rc = pw_attach(device, up->ifindex[i], PW_HOOK_FROM_UPLINK, prog, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int detach_other(const char *name, void *arg, struct pw_err *err)
{
    const struct pw_uplinks *up = arg;
    enum pw_hook hook;
    char device[32];

    if (!pw_hook_of_pin(name, device, &hook) || hook != PW_HOOK_FROM_UPLINK)
        return 0;
    if (strncmp(device, UPLINK_PIN, strlen(UPLINK_PIN)) == 0 &&
        has(up, (uint32_t)strtoul(device + strlen(UPLINK_PIN), NULL, 10)))
        return 0;
    pw_expedited;
    return pw_detach(device, hook, err);
}

int pw_uplinks_detach_others(const struct pw_uplinks *up, struct pw_err *err)
{
    struct pw_uplinks copy = *up;
    return pw_pin_each(PW_PIN_LINKS, detach_other, &copy, err);
}

/* The smaller of two sizes, where 0 is "not said". */
static uint32_t smaller(uint32_t a, uint32_t b)
{
    return !a ? b : !b ? a : a < b ? a : b;
}

static void take_smaller(struct pw_uplink_limits *limits, const struct pw_link *link)
{
    limits->mtu = smaller(limits->mtu, link->mtu);
    limits->gso_max = smaller(limits->gso_max, smaller(link->gso_max, link->tso_max));
    limits->gro_max = smaller(limits->gro_max, link->gro_max);
    limits->gso4_max = smaller(limits->gso4_max, smaller(link->gso4_max, link->tso_max));
    limits->gro4_max = smaller(limits->gro4_max, link->gro4_max);
}

/* The tunnel's device has room left for its headers, and the kernel makes no BIG TCP go by it. */
static int by_tunnel(struct pw_dp *dp, struct pw_nl *rtnl, struct pw_uplink_limits *limits,
                     struct pw_err *err)
{
    struct pw_tunnel tunnel;
    struct pw_link link;
    int fd = pw_dp_map(dp, PW_MAP_TUNNEL, err);
    int rc = fd < 0 ? fd : pw_tunnel_read(fd, &tunnel, err);

    if (fd == -ENOENT)
        return 0; /* loaded by a version that knew none */
    if (!rc && tunnel.ifindex && pw_link_get(rtnl, tunnel.ifindex, NULL, &link, NULL) == 0)
        take_smaller(limits, &link);
    return rc;
}

int pw_node_uplink_limits(struct pw_dp *dp, struct pw_uplink_limits *out, struct pw_err *err)
{
    struct pw_uplink_limits limits = {0};
    pw_nlsock rtnl = PW_NL_INIT;
    struct pw_conf conf;
    struct pw_link link;

    int fd = pw_dp_map(dp, PW_MAP_CONF, err);
    int rc = fd < 0 ? fd : pw_conf_read(fd, &conf, err);
    if (!rc)
        rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < conf.n_uplinks && i < PW_MAX_UPLINKS; i++) {
        if (pw_link_get(&rtnl, conf.uplinks[i], NULL, &link, NULL))
            continue; /* gone */
        limits.uplinks++;
        take_smaller(&limits, &link);
    }
    rc = by_tunnel(dp, &rtnl, &limits, err);
    if (rc)
        return rc;
    *out = limits;
    return 0;
}
