/* SPDX-License-Identifier: Apache-2.0 */
/* What keeps the node from taking pods, or makes it slower: for `podwirectl status` and STATUS. */
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/nl/nft.h"
#include "loader/node.h"
#include "loader/obj.h"
#include "loader/vhost.h"

struct list {
    struct pw_problem *out;
    size_t max, n;
};

__attribute__((format(printf, 4, 5))) static void say(struct list *l, bool fatal,
                                                      const char *remedy, const char *fmt, ...)
{
    va_list ap;

    if (l->n < l->max) {
        struct pw_problem *p = &l->out[l->n];
        *p = (struct pw_problem){.fatal = fatal};
        va_start(ap, fmt);
        vsnprintf(p->text, sizeof(p->text), fmt, ap);
        va_end(ap);
        snprintf(p->remedy, sizeof(p->remedy), "%s", remedy);
    }
    l->n++;
}

static void kernel(struct list *l)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_features f;

    int rc = pw_pin_check_fs(&err);
    if (rc == -EROFS)
        say(l, true, "mount -o remount,rw /sys/fs/bpf",
            "bpffs at /sys/fs/bpf is mounted read-only");
    else if (rc)
        say(l, true, "mount -t bpf bpf /sys/fs/bpf, and put it into /etc/fstab",
            "no bpffs is mounted at /sys/fs/bpf");
    if (pw_features_get(&f, &err)) {
        say(l, true, "run as root, with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN",
            "cannot find out what the kernel can do: %.180s", err.msg);
        return;
    }
    if (!f.tcx)
        say(l, true, "run Linux 6.6 or later, built with CONFIG_NET_XGRESS and CONFIG_BPF_SYSCALL",
            "the kernel has no tcx, on which the programs are attached");
    if (!f.ct_lookup)
        say(l, false,
            "load the module nf_conntrack (CONFIG_NF_CONNTRACK with BTF); where pods are there "
            "already, drain the node, `podwirectl unload`, and load anew",
            "connection tracking cannot be asked on this kernel: flows that need the question go "
            "by the slower way through the stack");
}

static void loaded(struct list *l)
{
    struct pw_current cur;
    struct pw_conf conf;
    unsigned abi = pw_pin_abi();
    struct pw_err err = PW_ERR_INIT;

    if (abi && abi != PW_ABI) {
        say(l, true,
            "remove the node's pods, then `podwirectl unload` of the version that loaded it",
            "the datapath that is loaded has ABI %u, this version has %d", abi, PW_ABI);
        return;
    }
    int rc = pw_pin_current(&cur, &err);
    if (rc == -ENOENT)
        return;
    if (rc) {
        say(l, true, "podwirectl unload --force, then podwirectl load", "%.240s", err.msg);
        return;
    }
    if (strcmp(cur.build, pw_obj_build()) != 0)
        say(l, false, "podwirectl upgrade", "loaded is build %s, this program brings %s", cur.build,
            pw_obj_build());
    pw_fd fd = pw_maps_open(PW_MAP_CONF, &err);
    if (fd < 0 || pw_conf_read(fd, &conf, &err))
        say(l, true, "podwirectl unload --force, then podwirectl load", "%.240s", err.msg);
    else if (!(conf.flags & PW_CONF_REDIRECT))
        say(l, false, "podwirectl redirect on", "redirection is switched off");
}

/* Whether pods of the node may have addresses of the family, as far as anybody has told. */
static bool has_pods_of(const struct pw_node_conf *conf, uint8_t nfproto)
{
    int family = nfproto == NFPROTO_IPV4 ? 4 : nfproto == NFPROTO_IPV6 ? 6 : 0;
    bool has = conf->n_pods == 0 || family == 0;

    for (size_t i = 0; i < conf->n_pods; i++)
        has |= conf->pods[i].family == family;
    return has;
}

static void firewall(struct list *l, struct pw_nl *nfnl, const struct pw_node_conf *conf,
                     const struct pw_uplinks *up)
{
    struct pw_forward_drop drop[8];
    struct pw_nft_table table;
    struct pw_err err = PW_ERR_INIT;
    char remedy[256];

    int rc = pw_nft_table_get(nfnl, NFPROTO_INET, "podwire", &table, &err);
    if (rc && rc != -ENOENT) {
        say(l, true, "a kernel with CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET and CONFIG_NFT_MASQ",
            "nftables does not work: %.200s", err.msg);
        return;
    }
    int n = pw_forward_drops(nfnl, up, drop, PW_ARRAY_SIZE(drop), &err);
    for (int i = 0; i < n && i < (int)PW_ARRAY_SIZE(drop); i++) {
        const char *family = drop[i].family == NFPROTO_IPV4   ? "ip"
                             : drop[i].family == NFPROTO_IPV6 ? "ip6"
                                                              : "inet";
        if (drop[i].legacy)
            snprintf(remedy, sizeof(remedy),
                     "set \"forwardAccept\": true, or: %s-legacy -I FORWARD -i " PW_IF_PREFIX
                     "+ -j ACCEPT, and the same with -o",
                     drop[i].family == NFPROTO_IPV4 ? "iptables" : "ip6tables");
        else
            snprintf(remedy, sizeof(remedy),
                     "%s: nft insert rule %s %.48s %.48s iifname \"" PW_IF_PREFIX
                     "*\" accept, and the same with oifname",
                     conf->forward_accept ? "the next ADD adds accept rules, or"
                                          : "set \"forwardAccept\": true, or",
                     family, drop[i].table, drop[i].chain);
        /* Pods without Services, names and outside are none; unless we are to mend it. */
        bool fatal = drop[i].sure && !conf->forward_accept && has_pods_of(conf, drop[i].family);
        say(l, fatal, remedy,
            "%s %s %.48s, chain %.48s, drops forwarded packets by its %s: what the fast path "
            "leaves to the stack is lost",
            drop[i].legacy ? "legacy iptables" : "nftables", family, drop[i].table, drop[i].chain,
            drop[i].by_policy ? "policy" : "last rule");
        if (l->n <= l->max)
            l->out[l->n - 1].limits = fatal;
    }
}

/* What somebody took away; STATUS and every ADD put it back. */
static void damage(struct list *l, struct pw_nl *nfnl, const struct pw_node_conf *conf,
                   const struct pw_uplinks *up)
{
    char name[IF_NAMESIZE];

    if (pw_pin_current(&(struct pw_current){0}, NULL))
        return;
    for (size_t i = 0; i < up->n; i++)
        if (!pw_uplink_attached(up->ifindex[i]) && if_indextoname(up->ifindex[i], name))
            say(l, false, "podwirectl load",
                "uplink %s does not carry its program: what arrives by it goes by the stack, and "
                "answers may be lost",
                name);
    pw_fd fd = pw_maps_open(PW_MAP_TUNNEL, NULL);
    struct pw_tunnel tunnel;
    if (fd >= 0 && pw_tunnel_read(fd, &tunnel, NULL) == 0 && tunnel.ifindex &&
        !if_indextoname(tunnel.ifindex, name))
        say(l, false, "nothing need be done where the agent runs: it makes the device anew",
            "the tunnel's device is gone: packets to other nodes are lost");
    if (!pw_nft_in_place(nfnl, conf))
        say(l, false, "podwirectl load",
            "the nftables table inet podwire is missing or was changed: masquerading, and what the "
            "fast path leaves to the stack, may fail");
}

static void uplinks(struct list *l, struct pw_nl *rtnl, const struct pw_node_conf *conf,
                    struct pw_uplinks *found)
{
    struct pw_uplinks up;
    bool odd = false;
    char why[128] = "";

    *found = (struct pw_uplinks){0};
    if (pw_uplinks_find(rtnl, conf, &up, NULL))
        return;
    *found = up;
    if (up.missing[0])
        say(l, up.n == 0 && !up.unfit[0], "correct \"uplinks\", or create the device",
            "%s: \"uplinks\" names what is no device of this node%s", up.missing,
            up.n ? "" : ", and nothing else");
    else if (up.n == 0)
        say(l, false, "add a default route, or name the devices in \"uplinks\"",
            "no uplink was found%s: packets to other nodes go by the stack",
            conf->uplinks[0][0] ? " by the configured names" : " (there is no default route)");
    if (up.unfit[0])
        say(l, false, "nothing need be done; \"uplinks\" may name others",
            "%s is no Ethernet device: packets that leave by it go by the stack", up.unfit);
    if (up.too_many)
        say(l, false, "name the devices in \"uplinks\"",
            "the node has more than %d uplinks: the others are left to the stack", PW_MAX_UPLINKS);
    char beside[16];
    if (pw_uplinks_beside(rtnl, conf, &up, beside, NULL) == 0 && beside[0])
        say(l, false, "name it in \"uplinks\", beside all others by which such packets come or go",
            "a route within the native ranges leads by %s, which is no uplink: packets to and from "
            "there go by the stack",
            beside);
    if (pw_routing_odd(rtnl, &odd, why, NULL) == 0 && odd)
        say(l, false, "nothing need be done: correct, but slower to other nodes",
            "%s: packets to the wire go by the stack", why);
}

static void backend(const char *tap, void *arg)
{
    struct pw_err err = PW_ERR_INIT;
    char remedy[64];

    if (!pw_vhost_check(tap, NULL, &err))
        return;
    snprintf(remedy, sizeof(remedy), "podwirectl vm restart %s", tap);
    say(arg, false, remedy, "%.200s", err.msg);
}

size_t pw_node_problems(const struct pw_node_conf *conf, struct pw_problem *out, size_t max)
{
    pw_free struct pw_node_state *state = malloc(sizeof(*state));
    pw_free struct pw_node_conf *all = calloc(1, sizeof(*all));
    pw_nlsock rtnl = PW_NL_INIT, nfnl = PW_NL_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct list l = {out, max, 0};
    struct pw_uplinks up;
    bool changed;

    if (!state || !all)
        return 0;
    kernel(&l);
    loaded(&l);
    pw_node_state_read(state);
    int rc = conf ? pw_node_state_put(state, conf, &changed, &err) : 0;
    if (!rc)
        rc = pw_node_join(state, all, &err);
    if (rc) {
        say(&l, true, "correct the network's configuration", "%.240s", err.msg);
        return l.n;
    }
    if (pw_nl_open(&rtnl, NETLINK_ROUTE, &err) || pw_nl_open(&nfnl, NETLINK_NETFILTER, &err)) {
        say(&l, true, "run as root", "%.240s", err.msg);
        return l.n;
    }
    uplinks(&l, &rtnl, all, &up);
    firewall(&l, &nfnl, all, &up);
    if (state->n)
        damage(&l, &nfnl, all, &up);
    pw_vhost_each(backend, &l, NULL);
    return l.n;
}
