/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/tunnel.h"

#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/dp.h"
#include "loader/expedite.h"
#include "loader/nl/link.h"
#include "loader/nl/route.h"
#include "loader/node.h"

/* Outer IP, UDP and VXLAN headers, and the Ethernet header inside. */
#define OVERHEAD4 (20 + 8 + 8 + 14)
#define OVERHEAD6 (40 + 8 + 8 + 14)
#define MIN_MTU 1280 /* RFC 8200, 5 */

/* ---- underlay ---- */

struct find {
    const struct pw_addr *addr;
    uint32_t ifindex;
};

static int on_addr(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_ifaddr *a = entry;
    struct find *f = arg;

    (void)err;
    if (pw_addr_same(&a->addr, f->addr))
        f->ifindex = a->ifindex;
    return 0;
}

/* How large a packet may be inside the tunnel: by the device that has the node's address. */
static int inner_mtu(struct pw_nl *rtnl, const struct pw_addr *local, uint32_t *mtu,
                     struct pw_err *err)
{
    struct find f = {local, 0};
    struct pw_list_cb cb = {on_addr, NULL, &f};
    char text[PW_ADDR_STRLEN];
    struct pw_link link = {0};

    int rc = pw_addr_list(rtnl, 0, &cb, err);
    if (rc)
        return rc;
    if (!f.ifindex)
        return pw_err_set(err, -EADDRNOTAVAIL,
                          "tunnel: the node's own address %s is on no device of it",
                          pw_addr_text(local, false, text));
    rc = pw_link_get(rtnl, f.ifindex, NULL, &link, err);
    if (rc)
        return rc;
    uint32_t overhead = local->family == 4 ? OVERHEAD4 : OVERHEAD6;
    if (link.mtu < MIN_MTU + overhead)
        return pw_err_set(err, -EINVAL,
                          "tunnel: the MTU of %s, %u, leaves %u for pods, and %d is the least that "
                          "IPv6 takes",
                          link.name, link.mtu, link.mtu > overhead ? link.mtu - overhead : 0,
                          MIN_MTU);
    *mtu = link.mtu - overhead;
    return 0;
}

/* ---- the device ---- */

static int port_taken(uint16_t port, struct pw_err *err)
{
    return pw_err_set(err, -EEXIST,
                      "tunnel: UDP port %u is taken, by another VXLAN device (another overlay "
                      "network, say) or a program: choose another port, the same on all nodes",
                      port);
}

static int create(struct pw_nl *rtnl, uint16_t port, uint32_t mtu, struct pw_link *link,
                  struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;

    pw_link_add_vxlan(&b, PW_TUNNEL_DEVICE, port, mtu);
    int rc = pw_nl_commit(rtnl, &b, NULL, NULL, err);
    if (rc == -EEXIST)
        return port_taken(port, err);
    if (rc == -EOPNOTSUPP)
        return pw_err_set(err, rc, "tunnel: the kernel has no VXLAN (module vxlan)");
    return rc ? rc : pw_link_get(rtnl, 0, PW_TUNNEL_DEVICE, link, err);
}

static bool made_by_us(const struct pw_link *l)
{
    return strcmp(l->kind, "vxlan") == 0 && l->vxlan.external;
}

/* The device as it is; made where it is not, or is another port's. */
static int ensure(struct pw_nl *rtnl, uint16_t port, uint32_t mtu, struct pw_link *link,
                  size_t *changes, struct pw_err *err)
{
    int rc = pw_link_get(rtnl, 0, PW_TUNNEL_DEVICE, link, NULL);

    if (!rc && !made_by_us(link))
        return pw_err_set(err, -EEXIST, "tunnel: a device %s is there and not podwire's",
                          PW_TUNNEL_DEVICE);
    if (!rc && link->vxlan.port != port) {
        rc = pw_tunnel_down(rtnl, changes, err);
        if (rc)
            return rc;
        rc = -ENODEV;
    }
    if (rc && rc != -ENODEV)
        return pw_err_errno(err, rc, "tunnel: device %s", PW_TUNNEL_DEVICE);
    if (rc == -ENODEV) {
        ++*changes;
        return create(rtnl, port, mtu, link, err);
    }
    return 0;
}

static int attach(struct pw_dp *dp, uint32_t ifindex, size_t *changes, struct pw_err *err)
{
    struct pw_attached at;

    if (pw_attach_info(PW_TUNNEL_DEVICE, PW_HOOK_FROM_OVERLAY, &at, NULL) == 0 &&
        at.ifindex == ifindex)
        return 0;
    pw_fd prog = pw_dp_prog(dp, pw_hook_program(PW_HOOK_FROM_OVERLAY), err);
    if (prog < 0)
        return prog;
    ++*changes;
    pw_expedited;
    return pw_attach(PW_TUNNEL_DEVICE, ifindex, PW_HOOK_FROM_OVERLAY, prog, err);
}

static int not_tracked(const struct pw_peers_conf *conf, size_t *changes, struct pw_err *err)
{
    pw_nlsock nfnl = PW_NL_INIT;

    if (pw_nl_open(&nfnl, NETLINK_NETFILTER, NULL))
        return 0; /* no netfilter, nothing is tracked */
    return pw_nft_tunnel_up(&nfnl, conf->port, conf->node, conf->n_node, changes, err);
}

/* ---- its addresses ---- */

struct addrs {
    struct pw_addr want[8];
    bool there[8];
    size_t n;
    struct pw_nlbatch *b;
    uint32_t ifindex;
    size_t changes;
};

static int on_own(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_ifaddr *a = entry;
    struct addrs *l = arg;
    bool wanted = false;

    (void)err;
    for (size_t i = 0; i < l->n; i++)
        if (pw_addr_same(&a->addr, &l->want[i]) && a->addr.prefix == l->want[i].prefix)
            l->there[i] = wanted = true;
    if (!wanted) {
        pw_addr_del(l->b, l->ifindex, &a->addr);
        l->changes++;
    }
    return 0;
}

static int set_addrs(struct pw_nl *rtnl, uint32_t ifindex, const struct pw_peers_conf *conf,
                     size_t *changes, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct addrs l = {.b = &b, .ifindex = ifindex};
    struct pw_list_cb cb = {on_own, NULL, &l};

    for (size_t i = 0; i < conf->n_pods; i++) {
        struct pw_addr a = pw_addr_network(conf->pods[i]);
        a.prefix = a.family == 4 ? 32 : 128;
        l.want[l.n++] = a;
    }
    int rc = pw_addr_list(rtnl, ifindex, &cb, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < l.n; i++) {
        if (l.there[i])
            continue;
        pw_addr_add(&b, ifindex, &l.want[i], true);
        l.changes++;
    }
    *changes += l.changes;
    return pw_nl_commit(rtnl, &b, NULL, NULL, err);
}

int pw_tunnel_up(struct pw_dp *dp, struct pw_nl *rtnl, const struct pw_peers_conf *conf,
                 struct pw_tunnel *tunnel, size_t *changes, struct pw_err *err)
{
    const struct pw_addr *local = &conf->node[0];
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_link link = {0};
    uint32_t mtu = 0;

    int rc = inner_mtu(rtnl, local, &mtu, err);
    if (!rc)
        rc = ensure(rtnl, conf->port, mtu, &link, changes, err);
    if (!rc)
        rc = attach(dp, link.ifindex, changes, err);
    if (!rc)
        rc = not_tracked(conf, changes, err);
    if (!rc)
        rc = set_addrs(rtnl, link.ifindex, conf, changes, err);
    if (rc)
        return rc;
    if (link.mtu != mtu) {
        pw_link_set_mtu(&b, link.ifindex, mtu);
        ++*changes;
    }
    if (!(link.flags & IFF_UP)) {
        pw_link_set_forwarding(&b, link.ifindex);
        pw_link_set_up(&b, link.ifindex, true);
        ++*changes;
    }
    rc = pw_nl_commit(rtnl, &b, NULL, NULL, err);
    if (rc == -EADDRINUSE)
        return port_taken(conf->port, err); /* it is bound when the device comes up */
    if (rc)
        return rc;
    *tunnel = (struct pw_tunnel){
        .ifindex = link.ifindex, .mtu = mtu, .vni = conf->vni, .family = local->family};
    memcpy(tunnel->local, local->b, sizeof(tunnel->local));
    return 0;
}

int pw_tunnel_tell(struct pw_dp *dp, const struct pw_tunnel *tunnel, size_t *changes,
                   struct pw_err *err)
{
    struct pw_tunnel now;
    int fd = pw_dp_map(dp, PW_MAP_TUNNEL, err);
    int rc = fd < 0 ? fd : pw_tunnel_read(fd, &now, err);

    if (rc || memcmp(&now, tunnel, sizeof(now)) == 0)
        return rc;
    ++*changes;
    return pw_tunnel_write(fd, tunnel, err);
}

int pw_tunnel_down(struct pw_nl *rtnl, size_t *changes, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    pw_nlsock nfnl = PW_NL_INIT;
    struct pw_link link;

    int rc = pw_link_get(rtnl, 0, PW_TUNNEL_DEVICE, &link, NULL);
    if (!rc && made_by_us(&link)) {
        /* The device before its program: nothing passes unchecked in between. */
        pw_link_del(&b, link.ifindex, PW_TUNNEL_DEVICE);
        ++*changes;
        rc = pw_nl_commit(rtnl, &b, NULL, NULL, err);
        if (rc)
            return rc;
    } else if (rc && rc != -ENODEV) {
        return pw_err_errno(err, rc, "tunnel: device %s", PW_TUNNEL_DEVICE);
    }
    rc = pw_detach(PW_TUNNEL_DEVICE, PW_HOOK_FROM_OVERLAY, err);
    if (rc || pw_nl_open(&nfnl, NETLINK_NETFILTER, NULL))
        return rc;
    return pw_nft_tunnel_down(&nfnl, changes, err);
}
