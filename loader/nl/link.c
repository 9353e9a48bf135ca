/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/nl/link.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "loader/base/kcompat.h"

static void fill_veth(struct pw_nlbuf *b, const struct pw_pair *pair)
{
    (void)b;
    (void)pair;
}

static void fill_netkit(struct pw_nlbuf *b, const struct pw_pair *pair)
{
    pw_nl_put_u32(b, PW_IFLA_NETKIT_MODE, pair->netkit.mode);
    pw_nl_put_u32(b, PW_IFLA_NETKIT_POLICY, pair->netkit.policy);
    pw_nl_put_u32(b, PW_IFLA_NETKIT_PEER_POLICY, pair->netkit.peer_policy);
    if (pair->netkit.set_scrub) {
        pw_nl_put_u32(b, PW_IFLA_NETKIT_SCRUB, pair->netkit.scrub);
        pw_nl_put_u32(b, PW_IFLA_NETKIT_PEER_SCRUB, pair->netkit.peer_scrub);
    }
    if (pair->netkit.headroom)
        pw_nl_put_u16(b, PW_IFLA_NETKIT_HEADROOM, (uint16_t)pair->netkit.headroom);
    if (pair->netkit.tailroom)
        pw_nl_put_u16(b, PW_IFLA_NETKIT_TAILROOM, (uint16_t)pair->netkit.tailroom);
}

const struct pw_link_kind pw_link_veth = {"veth", VETH_INFO_PEER, fill_veth};
const struct pw_link_kind pw_link_netkit = {"netkit", PW_IFLA_NETKIT_PEER_INFO, fill_netkit};
const struct pw_link_kind pw_link_tap = {"tun", 0, NULL};

static void put_end(struct pw_nlbuf *b, const struct pw_link_end *end, const struct pw_pair *pair)
{
    pw_nl_put_str(b, IFLA_IFNAME, end->name);
    if (end->netns >= 0)
        pw_nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)end->netns);
    if (end->has_mac)
        pw_nl_put(b, IFLA_ADDRESS, end->mac, 6);
    if (pair->mtu)
        pw_nl_put_u32(b, IFLA_MTU, pair->mtu);
    /* IPv6's sizes first: setting them lowers or raises IPv4's on the way. */
    if (pair->gso_max)
        pw_nl_put_u32(b, IFLA_GSO_MAX_SIZE, pair->gso_max);
    if (pair->gro_max)
        pw_nl_put_u32(b, IFLA_GRO_MAX_SIZE, pair->gro_max);
    if (pair->gso4_max)
        pw_nl_put_u32(b, IFLA_GSO_IPV4_MAX_SIZE, pair->gso4_max);
    if (pair->gro4_max)
        pw_nl_put_u32(b, IFLA_GRO_IPV4_MAX_SIZE, pair->gro4_max);
}

void pw_link_add_pair(struct pw_nlbatch *b, const struct pw_link_kind *kind,
                      const struct pw_pair *pair)
{
    struct ifinfomsg host = {0}, pod = {0};

    pw_nlbatch_add(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &host, sizeof(host),
                   "create %s pair %s", kind->name, pair->host.name);
    put_end(&b->buf, &pair->host, pair);
    size_t info = pw_nl_nest(&b->buf, IFLA_LINKINFO);
    pw_nl_put_str(&b->buf, IFLA_INFO_KIND, kind->name);
    size_t data = pw_nl_nest(&b->buf, IFLA_INFO_DATA);
    kind->fill(&b->buf, pair);
    size_t peer = pw_nl_nest(&b->buf, kind->peer_attr);
    pw_nl_put_raw(&b->buf, &pod, sizeof(pod));
    put_end(&b->buf, &pair->pod, pair);
    pw_nl_nest_end(&b->buf, peer);
    pw_nl_nest_end(&b->buf, data);
    pw_nl_nest_end(&b->buf, info);
}

void pw_link_add_vxlan(struct pw_nlbatch *b, const char *name, uint16_t port, uint32_t mtu)
{
    struct ifinfomsg ifi = {.ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};

    pw_nlbatch_add(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi),
                   "create VXLAN device %s (UDP port %u)", name, port);
    pw_nl_put_str(&b->buf, IFLA_IFNAME, name);
    pw_nl_put_u32(&b->buf, IFLA_MTU, mtu);
    size_t info = pw_nl_nest(&b->buf, IFLA_LINKINFO);
    pw_nl_put_str(&b->buf, IFLA_INFO_KIND, "vxlan");
    size_t data = pw_nl_nest(&b->buf, IFLA_INFO_DATA);
    pw_nl_put_u8(&b->buf, IFLA_VXLAN_COLLECT_METADATA, 1);
    pw_nl_put_u8(&b->buf, IFLA_VXLAN_LEARNING, 0);
    pw_nl_put_u16(&b->buf, IFLA_VXLAN_PORT, htons(port));
    pw_nl_nest_end(&b->buf, data);
    pw_nl_nest_end(&b->buf, info);
}

static void ask(struct pw_nlbatch *b, uint32_t ifindex, const char *name, bool stats)
{
    struct ifinfomsg ifi = {.ifi_index = (int)ifindex};

    pw_nlbatch_add(b, RTM_GETLINK, 0, &ifi, sizeof(ifi), "device %s", name ? name : "");
    if (!ifindex)
        pw_nl_put_str(&b->buf, IFLA_IFNAME, name);
    pw_nl_put_u32(&b->buf, IFLA_EXT_MASK, stats ? 0 : RTEXT_FILTER_SKIP_STATS);
}

void pw_link_ask(struct pw_nlbatch *b, const char *name)
{
    ask(b, 0, name, false);
}

static void read_netkit(struct pw_nlcur cur, struct pw_link *l)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case PW_IFLA_NETKIT_PRIMARY:
            l->netkit.primary = pw_nl_u8(&a);
            break;
        case PW_IFLA_NETKIT_POLICY:
            l->netkit.policy = (uint8_t)pw_nl_u32(&a);
            break;
        case PW_IFLA_NETKIT_PEER_POLICY:
            l->netkit.peer_policy = (uint8_t)pw_nl_u32(&a);
            break;
        case PW_IFLA_NETKIT_MODE:
            l->netkit.mode = (uint8_t)pw_nl_u32(&a);
            break;
        case PW_IFLA_NETKIT_SCRUB:
            l->netkit.scrub = (uint8_t)pw_nl_u32(&a);
            l->netkit.has_scrub = true;
            break;
        case PW_IFLA_NETKIT_PEER_SCRUB:
            l->netkit.peer_scrub = (uint8_t)pw_nl_u32(&a);
            break;
        case PW_IFLA_NETKIT_HEADROOM:
            l->netkit.headroom = pw_nl_u16(&a);
            l->netkit.has_room = true;
            break;
        case PW_IFLA_NETKIT_TAILROOM:
            l->netkit.tailroom = pw_nl_u16(&a);
            break;
        default:
            break;
        }
    }
}

static void read_tun(struct pw_nlcur cur, struct pw_link *l)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case IFLA_TUN_TYPE:
            l->tun.tap = pw_nl_u8(&a) == IFF_TAP;
            break;
        case IFLA_TUN_PERSIST:
            l->tun.persist = pw_nl_u8(&a);
            break;
        case IFLA_TUN_MULTI_QUEUE:
            l->tun.multi_queue = pw_nl_u8(&a);
            break;
        case IFLA_TUN_NUM_QUEUES:
        case IFLA_TUN_NUM_DISABLED_QUEUES:
            l->tun.queues += pw_nl_u32(&a);
            break;
        default:
            break;
        }
    }
}

static void read_vxlan(struct pw_nlcur cur, struct pw_link *l)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == IFLA_VXLAN_COLLECT_METADATA)
            l->vxlan.external = pw_nl_u8(&a);
        else if (a.type == IFLA_VXLAN_PORT)
            l->vxlan.port = ntohs(pw_nl_u16(&a));
    }
}

static void read_info(struct pw_nlcur cur, struct pw_link *l)
{
    struct pw_nlattr a;

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == IFLA_INFO_KIND)
            pw_nl_str(&a, l->kind, sizeof(l->kind));
        else if (a.type == IFLA_INFO_DATA && strcmp(l->kind, "netkit") == 0)
            read_netkit(pw_nl_nested(&a), l);
        else if (a.type == IFLA_INFO_DATA && strcmp(l->kind, "tun") == 0)
            read_tun(pw_nl_nested(&a), l);
        else if (a.type == IFLA_INFO_DATA && strcmp(l->kind, "vxlan") == 0)
            read_vxlan(pw_nl_nested(&a), l);
    }
}

static void read_stats(const struct pw_nlattr *a, struct pw_link *l)
{
    struct rtnl_link_stats64 s = {0};

    memcpy(&s, a->data, a->len < sizeof(s) ? a->len : sizeof(s));
    l->rx_dropped = s.rx_dropped;
    l->tx_dropped = s.tx_dropped;
    l->rx_packets = s.rx_packets;
    l->tx_packets = s.tx_packets;
    l->rx_bytes = s.rx_bytes;
    l->tx_bytes = s.tx_bytes;
}

bool pw_link_read(const struct pw_nlmsg *msg, struct pw_link *out)
{
    struct ifinfomsg ifi;
    struct pw_nlattr a;
    struct pw_link l = {0};

    if (msg->type != RTM_NEWLINK || msg->len < sizeof(ifi))
        return false;
    struct pw_nlcur cur = pw_nl_fixed(msg, &ifi, sizeof(ifi));
    l.ifindex = (uint32_t)ifi.ifi_index;
    l.flags = ifi.ifi_flags;
    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case IFLA_IFNAME:
            pw_nl_str(&a, l.name, sizeof(l.name));
            break;
        case IFLA_ADDRESS:
            l.has_mac = pw_nl_mac(&a, l.mac);
            break;
        case IFLA_MTU:
            l.mtu = pw_nl_u32(&a);
            break;
        case IFLA_LINK:
            l.peer = pw_nl_u32(&a);
            break;
        case IFLA_MASTER:
            l.master = pw_nl_u32(&a);
            break;
        case IFLA_GSO_MAX_SIZE:
            l.gso_max = pw_nl_u32(&a);
            break;
        case IFLA_GRO_MAX_SIZE:
            l.gro_max = pw_nl_u32(&a);
            break;
        case IFLA_GSO_IPV4_MAX_SIZE:
            l.gso4_max = pw_nl_u32(&a);
            break;
        case IFLA_GRO_IPV4_MAX_SIZE:
            l.gro4_max = pw_nl_u32(&a);
            break;
        case IFLA_TSO_MAX_SIZE:
            l.tso_max = pw_nl_u32(&a);
            break;
        case IFLA_STATS64:
            read_stats(&a, &l);
            break;
        case IFLA_LINKINFO:
            read_info(pw_nl_nested(&a), &l);
            break;
        default:
            break;
        }
    }
    *out = l;
    return true;
}

static void set_flags(struct pw_nlbatch *b, uint32_t ifindex, uint32_t flags, uint32_t change,
                      const char *what)
{
    struct ifinfomsg ifi = {.ifi_index = (int)ifindex, .ifi_flags = flags, .ifi_change = change};
    pw_nlbatch_add(b, RTM_NEWLINK, 0, &ifi, sizeof(ifi), "%s device %u", what, ifindex);
}

void pw_link_set_up(struct pw_nlbatch *b, uint32_t ifindex, bool up)
{
    set_flags(b, ifindex, up ? IFF_UP : 0, IFF_UP, up ? "bring up" : "bring down");
}

void pw_link_set_mtu(struct pw_nlbatch *b, uint32_t ifindex, uint32_t mtu)
{
    set_flags(b, ifindex, 0, 0, "set MTU of");
    pw_nl_put_u32(&b->buf, IFLA_MTU, mtu);
}

void pw_link_set_mac(struct pw_nlbatch *b, uint32_t ifindex, const uint8_t mac[6])
{
    set_flags(b, ifindex, 0, 0, "set MAC of");
    pw_nl_put(&b->buf, IFLA_ADDRESS, mac, 6);
}

void pw_link_set_forwarding(struct pw_nlbatch *b, uint32_t ifindex)
{
    set_flags(b, ifindex, 0, 0, "set IPv4 forwarding of");
    size_t spec = pw_nl_nest(&b->buf, IFLA_AF_SPEC);
    size_t family = pw_nl_nest(&b->buf, AF_INET);
    size_t conf = pw_nl_nest(&b->buf, IFLA_INET_CONF);
    pw_nl_put_u32(&b->buf, IPV4_DEVCONF_FORWARDING, 1);
    pw_nl_put_u32(&b->buf, IPV4_DEVCONF_RP_FILTER, 0);
    pw_nl_nest_end(&b->buf, conf);
    pw_nl_nest_end(&b->buf, family);
    pw_nl_nest_end(&b->buf, spec);
    pw_link_set_addrgen_none(b, ifindex);
}

void pw_link_set_addrgen_none(struct pw_nlbatch *b, uint32_t ifindex)
{
    set_flags(b, ifindex, 0, 0, "set IPv6 addresses of");
    pw_nlbatch_ignore(b, EAFNOSUPPORT);
    size_t spec = pw_nl_nest(&b->buf, IFLA_AF_SPEC);
    size_t family = pw_nl_nest(&b->buf, AF_INET6);
    pw_nl_put_u8(&b->buf, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    pw_nl_nest_end(&b->buf, family);
    pw_nl_nest_end(&b->buf, spec);
}

void pw_link_del(struct pw_nlbatch *b, uint32_t ifindex, const char *name)
{
    struct ifinfomsg ifi = {.ifi_index = (int)ifindex};

    pw_nlbatch_add(b, RTM_DELLINK, 0, &ifi, sizeof(ifi), "delete device %s (%u)", name ? name : "",
                   ifindex);
    if (!ifindex)
        pw_nl_put_str(&b->buf, IFLA_IFNAME, name);
    pw_nlbatch_ignore(b, ENODEV);
}

/* Other errors are of the socket by which the C library asks. */
bool pw_link_gone(uint32_t ifindex)
{
    char name[IF_NAMESIZE];
    return !if_indextoname(ifindex, name) && errno == ENXIO;
}

bool pw_link_gone_name(const char *name)
{
    return !if_nametoindex(name) && errno == ENODEV;
}

struct one {
    struct pw_link *link;
    bool found;
};

static int take_one(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct one *o = arg;
    (void)err;
    o->found |= pw_link_read(msg, o->link);
    return 0;
}

int pw_link_get(struct pw_nl *nl, uint32_t ifindex, const char *name, struct pw_link *out,
                struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_link l;
    struct one o = {&l, false};

    ask(&b, ifindex, name, true);
    int rc = pw_nl_commit(nl, &b, take_one, &o, err);
    if (rc)
        return rc;
    if (!o.found)
        return pw_err_errno(err, -ENODEV, "device %s", name ? name : "");
    *out = l;
    return 0;
}

struct many {
    struct pw_link *list;
    size_t n, cap;
};

static int take_many(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct many *m = arg;

    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 32;
        struct pw_link *list = realloc(m->list, cap * sizeof(*list));
        if (!list)
            return pw_err_errno(err, -ENOMEM, "list devices");
        m->list = list;
        m->cap = cap;
    }
    m->n += pw_link_read(msg, &m->list[m->n]);
    return 0;
}

static void drop_many(void *arg)
{
    struct many *m = arg;
    m->n = 0;
}

int pw_link_list(struct pw_nl *nl, struct pw_link **out, size_t *n, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct ifinfomsg ifi = {0};
    struct many m = {0};

    pw_nlbatch_add(&b, RTM_GETLINK, NLM_F_DUMP, &ifi, sizeof(ifi), "list devices");
    int rc = pw_nl_dump(nl, &b, take_many, drop_many, &m, err);
    if (rc) {
        free(m.list);
        return rc;
    }
    *out = m.list;
    *n = m.n;
    return 0;
}
