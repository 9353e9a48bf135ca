/* SPDX-License-Identifier: Apache-2.0 */
/* What of the node's routing the programs must know: odd rules and xfrm. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/fib_rules.h>
#include <linux/xfrm.h>

#include "loader/base/cleanup.h"
#include "loader/base/hash.h"
#include "loader/nl/route.h"
#include "loader/node.h"

/* How many xfrm policies there are; a number of policies costs the same as none. */
static int on_spd(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    uint32_t flags, *count = arg;
    struct pw_nlattr a;
    struct xfrmu_spdinfo info;

    (void)err;
    if (msg->type != XFRM_MSG_NEWSPDINFO)
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &flags, sizeof(flags));
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == XFRMA_SPD_INFO && a.len >= sizeof(info)) {
            memcpy(&info, a.data, sizeof(info));
            *count = info.incnt + info.outcnt + info.fwdcnt;
        }
    }
    return 0;
}

/* 0 where the kernel has no xfrm. */
static uint32_t xfrm_policies(void)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    pw_nlsock nl = PW_NL_INIT;
    uint32_t flags = 0, count = 0;

    if (pw_nl_open(&nl, NETLINK_XFRM, NULL))
        return 0;
    pw_nlbatch_add(&b, XFRM_MSG_GETSPDINFO, 0, &flags, sizeof(flags), "count xfrm policies");
    pw_nl_commit(&nl, &b, on_spd, &count, NULL);
    return count;
}

struct rules {
    uint64_t sum;
    bool odd;
    char *why;
};

/*
 * The programs' bpf_fib_lookup goes through the rules with source, destination and device of
 * arrival of the packet, so rules on these are followed. Marks (before 6.10) and ports, protocols,
 * users are not in its question.
 */
static int on_rule(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_rule *r = entry;
    struct rules *rules = arg;

    (void)err;
    rules->sum = pw_hash(rules->sum, &r->priority, sizeof(r->priority));
    rules->sum = pw_hash(rules->sum, &r->table, sizeof(r->table));
    rules->sum = pw_hash(rules->sum, &r->by_mark, 1);
    rules->sum = pw_hash(rules->sum, &r->by_other, 1);
    if (r->by_mark || r->by_other) {
        if (!rules->odd && rules->why)
            snprintf(rules->why, 128, "routing rule %u of IPv%d selects by %s", r->priority,
                     r->family, r->by_mark ? "mark" : "more than addresses and devices");
        rules->odd = true;
    }
    return 0;
}

static int read_rules(struct pw_nl *rtnl, struct rules *rules, struct pw_err *err)
{
    struct pw_list_cb cb = {on_rule, NULL, rules};
    int rc = pw_rule_list(rtnl, 4, &cb, err);

    if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
        rc = 0; /* a kernel without policy routing */
    if (!rc)
        rc = pw_rule_list(rtnl, 6, &cb, err);
    return rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT ? 0 : rc;
}

int pw_routing_odd(struct pw_nl *rtnl, bool *odd, char why[128], struct pw_err *err)
{
    struct rules rules = {.why = why};
    uint32_t policies = xfrm_policies();

    if (policies) {
        if (why)
            snprintf(why, 128, "the node has %u xfrm (IPsec) policies", policies);
        *odd = true;
        return 0;
    }
    int rc = read_rules(rtnl, &rules, err);
    if (!rc)
        *odd = rules.odd;
    return rc;
}

struct route_sum {
    uint64_t sum;
};

static int on_found(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct route_sum *s = arg;
    struct rtmsg m;
    struct pw_nlattr a;

    (void)err;
    if (msg->type != RTM_NEWROUTE)
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    while (pw_nl_next_attr(&cur, &a))
        if (a.type == RTA_OIF || a.type == RTA_MULTIPATH || a.type == RTA_TABLE ||
            a.type == RTA_PRIORITY || a.type == RTA_GATEWAY || a.type == RTA_VIA)
            s->sum = pw_hash(s->sum, a.data, a.len);
    return 0;
}

/* Which route a packet to the outside takes: the route itself, not the choice among its hops. */
static uint64_t default_route(struct pw_nl *rtnl, const char *outside, uint64_t sum)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct route_sum s = {sum};
    struct pw_addr to;

    if (pw_addr_parse(outside, &to, NULL))
        return sum;
    struct rtmsg m = {.rtm_family = to.family == 4 ? AF_INET : AF_INET6,
                      .rtm_dst_len = to.prefix,
                      .rtm_flags = RTM_F_FIB_MATCH};
    pw_nlbatch_add(&b, RTM_GETROUTE, 0, &m, sizeof(m), "look up the default route");
    pw_nl_put_addr(&b.buf, RTA_DST, &to);
    int rc = pw_nl_commit(rtnl, &b, on_found, &s, NULL);
    return pw_hash(s.sum, &rc, sizeof(rc));
}

uint64_t pw_routing_observe(struct pw_nl *rtnl, const struct pw_node_conf *conf)
{
    struct rules rules = {.sum = PW_HASH_START};
    uint32_t policies = xfrm_policies();
    uint64_t h;

    read_rules(rtnl, &rules, NULL);
    h = pw_hash(rules.sum, &policies, sizeof(policies));
    if (conf->uplinks[0][0]) {
        for (size_t i = 0; i < PW_MAX_UPLINKS && conf->uplinks[i][0]; i++) {
            unsigned ifindex = if_nametoindex(conf->uplinks[i]);
            h = pw_hash(h, &ifindex, sizeof(ifindex));
        }
        return h;
    }
    h = default_route(rtnl, "198.18.0.1", h);
    return default_route(rtnl, "2000::1", h);
}
