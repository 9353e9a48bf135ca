/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/node.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/run.h"

/* What changes without a sign that is cheap to see (a route to a native range by another device, a
 * rule of a firewall) is looked at when an ADD comes this long after the last look. */
#define RESYNC_NS 10000000000ULL

void pw_node_conf_default(struct pw_node_conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    conf->masquerade = true;
    conf->ask_conntrack = true;
    conf->mark = PW_MARK_DEFAULT;
}

bool pw_node_has_conntrack(void)
{
    /* There with the module, not with its sysctl in this namespace alone. */
    return access("/sys/module/nf_conntrack", F_OK) == 0 ||
           access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) == 0;
}

void pw_node_need_conntrack(void)
{
    char modprobe[256];

    if (pw_node_has_conntrack() ||
        pw_file_read_text("/proc/sys/kernel/modprobe", modprobe, sizeof(modprobe), NULL) <= 0)
        return;
    pw_run_quiet((const char *[]){modprobe, "-q", "nf_conntrack", NULL});
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void fill_ranges(const struct pw_addr *from, size_t n, struct pw_range4 *r4, uint32_t *n4,
                        struct pw_range6 *r6, uint32_t *n6)
{
    for (size_t i = 0; i < n; i++) {
        struct pw_addr ones = {.family = from[i].family, .prefix = from[i].prefix};
        memset(ones.b, 0xff, sizeof(ones.b));
        ones = pw_addr_network(ones);
        if (from[i].family == 4 && *n4 < PW_MAX_RANGES) {
            memcpy(&r4[*n4].addr, from[i].b, 4);
            memcpy(&r4[(*n4)++].mask, ones.b, 4);
        } else if (from[i].family == 6 && *n6 < PW_MAX_RANGES) {
            memcpy(r6[*n6].addr, from[i].b, 16);
            memcpy(r6[(*n6)++].mask, ones.b, 16);
        }
    }
}

static struct pw_conf conf_of(const struct pw_node_conf *all, const struct pw_uplinks *up,
                              bool wire, bool redirect)
{
    struct pw_conf c = {.mark = all->mark, .n_uplinks = (uint32_t)up->n};

    c.flags = (redirect ? PW_CONF_REDIRECT : 0) | (all->ask_conntrack ? PW_CONF_ASK_CT : 0) |
              (wire ? PW_CONF_WIRE : 0);
    memcpy(c.uplinks, up->ifindex, sizeof(c.uplinks));
    fill_ranges(all->native, all->n_native, c.native4, &c.n_native4, c.native6, &c.n_native6);
    fill_ranges(all->services, all->n_services, c.except4, &c.n_except4, c.except6, &c.n_except6);
    return c;
}

static bool knob_is(const char *path, const char *value)
{
    char now[16];

    return pw_file_read_text(path, now, sizeof(now), NULL) > 0 && strcmp(now, value) == 0;
}

/* The stack has to forward what the programs leave to it. */
static int set_forwarding(const struct pw_uplinks *up, struct pw_err *err)
{
    static const char v4[] = "/proc/sys/net/ipv4/ip_forward";
    static const char v6[] = "/proc/sys/net/ipv6/conf/all/forwarding";
    char name[IF_NAMESIZE], accept_ra[96];

    if (!knob_is(v4, "1") && pw_knob_write(v4, "1", err))
        return pw_err_wrap(err, "the stack does not forward packets, and cannot be told to");
    if (!knob_is(v6, "0"))
        return 0; /* set, or no IPv6 here */
    /* A forwarding node no longer listens to router advertisements, by which an uplink may have
     * its default route, unless told to. */
    for (size_t i = 0; i < up->n; i++) {
        if (!if_indextoname(up->ifindex[i], name))
            continue;
        snprintf(accept_ra, sizeof(accept_ra), "/proc/sys/net/ipv6/conf/%s/accept_ra", name);
        if (knob_is(accept_ra, "1"))
            pw_knob_write(accept_ra, "2", NULL);
    }
    if (pw_knob_write(v6, "1", err))
        return pw_err_wrap(err, "the stack does not forward packets, and cannot be told to");
    return 0;
}

static bool same_conf(const struct pw_conf *a, const struct pw_conf *b)
{
    struct pw_conf x = *a, y = *b;

    x.generation = y.generation = 0;
    x.trace_until = y.trace_until = 0;
    return memcmp(&x, &y, sizeof(x)) == 0;
}

static int write_conf(struct pw_dp *dp, struct pw_conf *next, struct pw_err *err)
{
    struct pw_conf now;
    int fd = pw_dp_map(dp, PW_MAP_CONF, err);
    int rc = fd < 0 ? fd : pw_conf_read(fd, &now, err);

    if (rc || same_conf(&now, next))
        return rc;
    next->trace_until = now.trace_until;
    return pw_conf_write(fd, next, err);
}

/* Chains may be many: they are walked only where our rules are wanted, or were. */
static int keep_forward(struct pw_nl *nfnl, struct pw_node_state *state,
                        const struct pw_node_conf *all, struct pw_err *err)
{
    int rc = 0;

    if (all->forward_accept && !state->accepting) {
        /* Noted before the first rule is made, so that none is forgotten after a kill. */
        state->accepting = true;
        rc = pw_node_state_write(state, err);
    }
    if (!rc && all->forward_accept)
        rc = pw_forward_accept(nfnl, err);
    else if (!rc && state->accepting)
        rc = pw_forward_restore(nfnl, err);
    state->accepting = rc ? state->accepting : all->forward_accept;
    return rc;
}

/* Everything, in an order in which each step finds done what it relies on: programs on an uplink
 * before pods may leave by it, the notrack rule before the mark is used. */
static int bring_in_line(struct pw_dp *dp, struct pw_node_state *state,
                         const struct pw_node_conf *all, struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT, nfnl = PW_NL_INIT;
    struct pw_uplinks up = {0};
    bool odd = false;

    int rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    if (!rc)
        rc = pw_nl_open(&nfnl, NETLINK_NETFILTER, err);
    if (!rc)
        rc = pw_uplinks_find(&rtnl, all, &up, err);
    if (!rc)
        rc = set_forwarding(&up, err);
    if (!rc)
        rc = pw_uplinks_attach(dp, &up, err);
    if (!rc)
        rc = pw_routing_odd(&rtnl, &odd, NULL, err);
    if (!rc && !pw_nft_in_place(&nfnl, all))
        rc = pw_nft_apply(&nfnl, all, err);
    if (!rc)
        rc = keep_forward(&nfnl, state, all, err);
    if (rc)
        return rc;
    struct pw_conf next = conf_of(all, &up, !odd, !state->redirect_off);
    rc = write_conf(dp, &next, err);
    if (!rc)
        rc = pw_uplinks_detach_others(&up, err);
    if (rc)
        return rc;
    state->observed = pw_routing_observe(&rtnl, all);
    state->synced = now_ns();
    state->current = dp->cur.ino;
    return pw_node_state_write(state, err);
}

/* What an ADD pays when nothing has changed: a few questions whose answers do not grow. */
static bool in_line(struct pw_dp *dp, const struct pw_node_state *state,
                    const struct pw_node_conf *all)
{
    pw_nlsock rtnl = PW_NL_INIT, nfnl = PW_NL_INIT;

    if (state->current != dp->cur.ino || now_ns() - state->synced > RESYNC_NS ||
        pw_nl_open(&rtnl, NETLINK_ROUTE, NULL) || pw_nl_open(&nfnl, NETLINK_NETFILTER, NULL))
        return false;
    return pw_routing_observe(&rtnl, all) == state->observed && pw_nft_in_place(&nfnl, all);
}

struct sync {
    struct pw_node_state state;
    struct pw_node_conf all;
};

static int read_and_join(struct sync *s, const struct pw_node_conf *conf, bool *changed,
                         struct pw_err *err)
{
    pw_node_state_read(&s->state);
    *changed = false;
    int rc = conf ? pw_node_state_put(&s->state, conf, changed, err) : 0;
    return rc ? rc : pw_node_join(&s->state, &s->all, err);
}

static bool configured(struct pw_dp *dp)
{
    struct pw_conf conf;
    int fd = pw_dp_map(dp, PW_MAP_CONF, NULL);

    return fd >= 0 && pw_conf_read(fd, &conf, NULL) == 0 && (conf.n_native4 || conf.n_native6);
}

int pw_node_sync(struct pw_dp *dp, const struct pw_node_conf *conf, struct pw_err *err)
{
    pw_free struct sync *s = malloc(sizeof(*s));
    bool changed;

    if (!s)
        return pw_err_set(err, -ENOMEM, "node configuration: out of memory");
    int rc = read_and_join(s, conf, &changed, err);
    if (rc)
        return rc;
    if (conf && !changed && in_line(dp, &s->state, &s->all))
        return 0;
    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    rc = pw_dp_refresh(dp, err);
    if (!rc)
        rc = read_and_join(s, conf, &changed, err);
    /* The record was lost, or is another version's: what is in force stays until a network speaks.
     */
    if (!rc && !conf && s->state.n == 0 && configured(dp))
        return 0;
    /* The one who held the lock may have done it. */
    if (!rc && (!conf || changed || !in_line(dp, &s->state, &s->all)))
        rc = bring_in_line(dp, &s->state, &s->all, err);
    return rc;
}

int pw_node_keep(const struct pw_node_conf *conf, struct pw_err *err)
{
    pw_free struct pw_node_state *state = malloc(sizeof(*state));
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;

    if (!state)
        return pw_err_set(err, -ENOMEM, "node configuration: out of memory");
    pw_node_state_read(state);
    /* Not for one that is only asked about: what it says would count from then on. */
    if (!pw_node_state_knows(state, conf->network))
        return 0;
    int rc = pw_dp_open(&dp, NULL, err);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    return pw_node_sync(dp, conf, err);
}

int pw_node_redirect(struct pw_dp *dp, bool on, struct pw_err *err)
{
    pw_free struct pw_node_state *state = malloc(sizeof(*state));
    struct pw_conf conf;

    if (!state)
        return pw_err_set(err, -ENOMEM, "switch redirection: out of memory");
    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    int fd = rc ? rc : pw_dp_map(dp, PW_MAP_CONF, err);
    rc = fd < 0 ? fd : pw_conf_read(fd, &conf, err);
    if (rc)
        return rc;
    /* The record first: should this be killed in between, the next sync does the rest. */
    pw_node_state_read(state);
    state->redirect_off = !on;
    state->synced = 0;
    rc = pw_node_state_write(state, err);
    if (rc)
        return rc;
    conf.flags &= ~(uint32_t)PW_CONF_REDIRECT;
    if (on)
        conf.flags |= PW_CONF_REDIRECT;
    return pw_conf_write(fd, &conf, err);
}
