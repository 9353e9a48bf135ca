/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/nl/route.h"

#include <endian.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/lwtunnel.h>
#include <linux/neighbour.h>

static uint8_t af(const struct pw_addr *a)
{
    return a->family == 4 ? AF_INET : AF_INET6;
}

static uint8_t family_of(uint8_t family)
{
    return family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0;
}

/* ---- addresses ---- */

static void addr_msg(struct pw_nlbatch *b, uint16_t type, uint16_t flags, uint32_t ifindex,
                     const struct pw_addr *addr, const char *what)
{
    char text[PW_ADDR_STRLEN];
    struct ifaddrmsg m = {
        .ifa_family = af(addr), .ifa_prefixlen = addr->prefix, .ifa_index = ifindex};

    pw_nlbatch_add(b, type, flags, &m, sizeof(m), "%s address %s", what,
                   pw_addr_text(addr, true, text));
    pw_nl_put_addr(&b->buf, IFA_LOCAL, addr);
    pw_nl_put_addr(&b->buf, IFA_ADDRESS, addr);
}

void pw_addr_add(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr,
                 bool no_prefix_route)
{
    uint32_t flags = (addr->family == 6 ? IFA_F_NODAD : 0) | IFA_F_PERMANENT |
                     (no_prefix_route ? IFA_F_NOPREFIXROUTE : 0);

    addr_msg(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, addr, "add");
    pw_nl_put_u32(&b->buf, IFA_FLAGS, flags);
}

void pw_addr_del(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr)
{
    addr_msg(b, RTM_DELADDR, 0, ifindex, addr, "delete");
    pw_nlbatch_ignore(b, EADDRNOTAVAIL);
}

struct lister {
    const struct pw_list_cb *cb;
    uint32_t ifindex;
};

static void restart(void *arg)
{
    const struct lister *l = arg;
    if (l->cb->restart)
        l->cb->restart(l->cb->arg);
}

static int read_addr(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct ifaddrmsg m;
    struct pw_nlattr a;
    struct pw_ifaddr e = {0};
    struct pw_addr local = {0}, address = {0};

    if (msg->type != RTM_NEWADDR || msg->len < sizeof(m))
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    e.ifindex = m.ifa_index;
    e.flags = m.ifa_flags;
    e.scope = m.ifa_scope;
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == IFA_LOCAL)
            pw_nl_addr(&a, &local);
        else if (a.type == IFA_ADDRESS)
            pw_nl_addr(&a, &address);
        else if (a.type == IFA_FLAGS)
            e.flags = pw_nl_u32(&a);
    }
    e.addr = local.family ? local : address;
    e.addr.prefix = m.ifa_prefixlen;
    /* The kernel may ignore the filter that was asked for. */
    if (!e.addr.family || (l->ifindex && e.ifindex != l->ifindex))
        return 0;
    return l->cb->fn(&e, l->cb->arg, err);
}

int pw_addr_list(struct pw_nl *nl, uint32_t ifindex, const struct pw_list_cb *cb,
                 struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct ifaddrmsg m = {.ifa_index = ifindex};
    struct lister l = {cb, ifindex};

    pw_nlbatch_add(&b, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m), "list addresses");
    return pw_nl_dump(nl, &b, read_addr, restart, &l, err);
}

/* ---- routes ---- */

/* LWTUNNEL_IP_FLAGS, in network order: UDP checksum. Without one, receivers drop what comes by IPv6
 * (RFC 8200, 8.1). */
#define ENCAP_CSUM htobe16(1)

/* The numbers of the attributes are the same for both families. */
static void put_encap(struct pw_nlbuf *b, const struct pw_encap *e)
{
    uint64_t id = htobe64(e->id);

    pw_nl_put_u16(b, RTA_ENCAP_TYPE, e->dst.family == 4 ? LWTUNNEL_ENCAP_IP : LWTUNNEL_ENCAP_IP6);
    size_t nest = pw_nl_nest(b, RTA_ENCAP);
    pw_nl_put(b, LWTUNNEL_IP_ID, &id, sizeof(id));
    pw_nl_put_addr(b, LWTUNNEL_IP_DST, &e->dst);
    if (e->src.family)
        pw_nl_put_addr(b, LWTUNNEL_IP_SRC, &e->src);
    if (e->dst.family == 6)
        pw_nl_put_u16(b, LWTUNNEL_IP_FLAGS, ENCAP_CSUM);
    pw_nl_nest_end(b, nest);
}

static void read_encap(struct pw_nlcur cur, struct pw_encap *e)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == LWTUNNEL_IP_ID)
            e->id = (uint32_t)be64toh(pw_nl_u64(&a));
        else if (a.type == LWTUNNEL_IP_DST)
            pw_nl_addr(&a, &e->dst);
        else if (a.type == LWTUNNEL_IP_SRC)
            pw_nl_addr(&a, &e->src);
    }
}

static void route_msg(struct pw_nlbatch *b, uint16_t type, uint16_t flags, const struct pw_route *r,
                      const char *what)
{
    char text[PW_ADDR_STRLEN];
    uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
    struct rtmsg m = {.rtm_family = af(&r->dst),
                      .rtm_dst_len = r->dst.prefix,
                      .rtm_table = table < 256 ? (uint8_t)table : RT_TABLE_UNSPEC,
                      .rtm_protocol = r->protocol ? r->protocol : PW_RTPROT,
                      .rtm_scope = r->scope,
                      .rtm_type = r->type ? r->type : RTN_UNICAST,
                      .rtm_flags = r->onlink ? RTNH_F_ONLINK : 0};

    pw_nlbatch_add(b, type, flags, &m, sizeof(m), "%s route %s", what,
                   pw_addr_text(&r->dst, true, text));
    if (r->dst.prefix)
        pw_nl_put_addr(&b->buf, RTA_DST, &r->dst);
    if (r->gw.family)
        pw_nl_put_addr(&b->buf, RTA_GATEWAY, &r->gw);
    if (r->src.family)
        pw_nl_put_addr(&b->buf, RTA_PREFSRC, &r->src);
    if (r->oif)
        pw_nl_put_u32(&b->buf, RTA_OIF, r->oif);
    if (r->priority)
        pw_nl_put_u32(&b->buf, RTA_PRIORITY, r->priority);
    if (table >= 256)
        pw_nl_put_u32(&b->buf, RTA_TABLE, table);
    if (r->encap.dst.family)
        put_encap(&b->buf, &r->encap);
    if (r->mtu || r->advmss) {
        size_t metrics = pw_nl_nest(&b->buf, RTA_METRICS);
        if (r->mtu)
            pw_nl_put_u32(&b->buf, RTAX_MTU, r->mtu);
        if (r->advmss)
            pw_nl_put_u32(&b->buf, RTAX_ADVMSS, r->advmss);
        pw_nl_nest_end(&b->buf, metrics);
    }
}

void pw_route_replace(struct pw_nlbatch *b, const struct pw_route *r)
{
    route_msg(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r, "replace");
}

void pw_route_append(struct pw_nlbatch *b, const struct pw_route *r)
{
    route_msg(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, r, "append");
}

void pw_route_add(struct pw_nlbatch *b, const struct pw_route *r)
{
    route_msg(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r, "add");
}

void pw_route_del(struct pw_nlbatch *b, const struct pw_route *r)
{
    route_msg(b, RTM_DELROUTE, 0, r, "delete");
    pw_nlbatch_ignore(b, ESRCH);
}

/* Gateway of another family (RFC 5549): struct rtvia is a family and an address. */
static void read_via(const struct pw_nlattr *a, struct pw_addr *gw)
{
    struct pw_nlattr addr = *a;
    if (a->len > 2) {
        addr.data += 2;
        addr.len -= 2;
        pw_nl_addr(&addr, gw);
    }
}

static void read_metrics(struct pw_nlcur cur, struct pw_route *r)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == RTAX_MTU)
            r->mtu = pw_nl_u32(&a);
        else if (a.type == RTAX_ADVMSS)
            r->advmss = pw_nl_u32(&a);
    }
}

static int tell_hops(const struct pw_nlattr *multipath, const struct pw_route *route,
                     const struct pw_list_cb *cb, struct pw_err *err)
{
    struct pw_nlcur cur = pw_nl_nested(multipath);
    struct rtnexthop nh;

    while (cur.len >= sizeof(nh)) {
        memcpy(&nh, cur.p, sizeof(nh));
        if (nh.rtnh_len < sizeof(nh) || nh.rtnh_len > cur.len)
            break;
        struct pw_route r = *route;
        struct pw_nlcur attrs = {cur.p + sizeof(nh), nh.rtnh_len - sizeof(nh)};
        struct pw_nlattr a;
        r.oif = (uint32_t)nh.rtnh_ifindex;
        while (pw_nl_next_attr(&attrs, &a)) {
            if (a.type == RTA_GATEWAY)
                pw_nl_addr(&a, &r.gw);
            else if (a.type == RTA_VIA)
                read_via(&a, &r.gw);
        }
        int rc = cb->fn(&r, cb->arg, err);
        if (rc)
            return rc;
        size_t step = (nh.rtnh_len + 3U) & ~3U;
        if (step > cur.len)
            break;
        cur.p += step;
        cur.len -= step;
    }
    return 0;
}

static int read_route(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct rtmsg m;
    struct pw_nlattr a, hops = {0}, encap = {0};
    uint16_t encap_type = 0;
    struct pw_route r = {0};

    if (msg->type != RTM_NEWROUTE || msg->len < sizeof(m))
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    r.dst.family = family_of(m.rtm_family);
    if (!r.dst.family || (m.rtm_flags & RTM_F_CLONED))
        return 0;
    r.table = m.rtm_table;
    r.protocol = m.rtm_protocol;
    r.scope = m.rtm_scope;
    r.type = m.rtm_type;
    r.onlink = m.rtm_flags & RTNH_F_ONLINK;
    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case RTA_DST:
            pw_nl_addr(&a, &r.dst);
            break;
        case RTA_GATEWAY:
            pw_nl_addr(&a, &r.gw);
            break;
        case RTA_VIA:
            read_via(&a, &r.gw);
            break;
        case RTA_PREFSRC:
            pw_nl_addr(&a, &r.src);
            break;
        case RTA_OIF:
            r.oif = pw_nl_u32(&a);
            break;
        case RTA_PRIORITY:
            r.priority = pw_nl_u32(&a);
            break;
        case RTA_TABLE:
            r.table = pw_nl_u32(&a);
            break;
        case RTA_METRICS:
            read_metrics(pw_nl_nested(&a), &r);
            break;
        case RTA_MULTIPATH:
            hops = a;
            break;
        case RTA_ENCAP_TYPE:
            encap_type = pw_nl_u16(&a);
            break;
        case RTA_ENCAP:
            encap = a;
            break;
        default:
            break;
        }
    }
    r.dst.prefix = m.rtm_dst_len;
    if (encap.data && (encap_type == LWTUNNEL_ENCAP_IP || encap_type == LWTUNNEL_ENCAP_IP6))
        read_encap(pw_nl_nested(&encap), &r.encap);
    if (hops.data)
        return tell_hops(&hops, &r, l->cb, err);
    return l->cb->fn(&r, l->cb->arg, err);
}

int pw_route_list(struct pw_nl *nl, int family, const struct pw_list_cb *cb, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct rtmsg m = {.rtm_family = family == 4 ? AF_INET : AF_INET6};
    struct lister l = {cb, 0};

    pw_nlbatch_add(&b, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof(m), "list routes");
    return pw_nl_dump(nl, &b, read_route, restart, &l, err);
}

static int take_route(const void *entry, void *arg, struct pw_err *err)
{
    (void)err;
    *(struct pw_route *)arg = *(const struct pw_route *)entry;
    return 0;
}

int pw_route_get(struct pw_nl *nl, const struct pw_addr *to, struct pw_route *out)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct rtmsg m = {.rtm_family = af(to),
                      .rtm_dst_len = to->family == 4 ? 32 : 128,
                      .rtm_flags = RTM_F_FIB_MATCH};
    struct pw_route r = {0};
    struct pw_list_cb cb = {take_route, NULL, &r};
    struct lister l = {&cb, 0};

    pw_nlbatch_add(&b, RTM_GETROUTE, 0, &m, sizeof(m), "look up a route");
    pw_nl_put_addr(&b.buf, RTA_DST, to);
    int rc = pw_nl_commit(nl, &b, read_route, &l, NULL);
    if (!rc && !r.dst.family)
        rc = -ENETUNREACH;
    if (!rc)
        *out = r;
    return rc;
}

/* ---- neighbours ---- */

void pw_neigh_replace(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr,
                      const uint8_t mac[6], bool router)
{
    char text[PW_ADDR_STRLEN];
    struct ndmsg m = {.ndm_family = af(addr),
                      .ndm_ifindex = (int)ifindex,
                      .ndm_state = NUD_PERMANENT,
                      .ndm_flags = router ? NTF_ROUTER : 0};

    pw_nlbatch_add(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m), "add neighbour %s",
                   pw_addr_text(addr, false, text));
    pw_nl_put_addr(&b->buf, NDA_DST, addr);
    pw_nl_put(&b->buf, NDA_LLADDR, mac, 6);
}

static int read_neigh(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct ndmsg m;
    struct pw_nlattr a;
    struct pw_neigh e = {0};

    if (msg->type != RTM_NEWNEIGH || msg->len < sizeof(m))
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    e.ifindex = (uint32_t)m.ndm_ifindex;
    e.state = m.ndm_state;
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NDA_DST)
            pw_nl_addr(&a, &e.addr);
        else if (a.type == NDA_LLADDR)
            e.has_mac = pw_nl_mac(&a, e.mac);
    }
    if (!e.addr.family || (l->ifindex && e.ifindex != l->ifindex))
        return 0;
    return l->cb->fn(&e, l->cb->arg, err);
}

int pw_neigh_list(struct pw_nl *nl, uint32_t ifindex, const struct pw_list_cb *cb,
                  struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct ndmsg m = {0};
    struct lister l = {cb, ifindex};

    pw_nlbatch_add(&b, RTM_GETNEIGH, NLM_F_DUMP, &m, sizeof(m), "list neighbours");
    if (ifindex)
        pw_nl_put_u32(&b.buf, NDA_IFINDEX, ifindex);
    return pw_nl_dump(nl, &b, read_neigh, restart, &l, err);
}

/* ---- rules ---- */

static int read_rule(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct fib_rule_hdr m;
    struct pw_nlattr a;
    struct pw_rule e = {0};

    if (msg->type != RTM_NEWRULE || msg->len < sizeof(m))
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    e.family = family_of(m.family);
    e.action = m.action;
    e.table = m.table;
    e.by_other = m.tos != 0;
    e.selective = m.src_len || m.dst_len || m.tos || (m.flags & FIB_RULE_INVERT);
    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case FRA_TABLE:
            e.table = pw_nl_u32(&a);
            break;
        case FRA_PRIORITY:
            e.priority = pw_nl_u32(&a);
            break;
        case FRA_SUPPRESS_IFGROUP:
        case FRA_SUPPRESS_PREFIXLEN:
            /* Told with -1 by rules that have none. */
            e.selective |= pw_nl_u32(&a) != UINT32_MAX;
            break;
        case FRA_PROTOCOL:
        case FRA_PAD:
            break;
        case FRA_FWMARK:
        case FRA_FWMASK:
            e.by_mark = true;
            e.selective = true;
            break;
        case FRA_SRC:
        case FRA_DST:
        case FRA_IIFNAME:
            e.selective = true;
            break;
        default:
            e.selective = true;
            e.by_other = true;
            break;
        }
    }
    if (!e.family)
        return 0;
    return l->cb->fn(&e, l->cb->arg, err);
}

int pw_rule_list(struct pw_nl *nl, int family, const struct pw_list_cb *cb, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct fib_rule_hdr m = {.family = family == 4 ? AF_INET : AF_INET6};
    struct lister l = {cb, 0};

    pw_nlbatch_add(&b, RTM_GETRULE, NLM_F_DUMP, &m, sizeof(m), "list rules");
    return pw_nl_dump(nl, &b, read_rule, restart, &l, err);
}
