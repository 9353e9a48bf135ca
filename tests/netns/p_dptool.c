/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's calls from a shell, for its tests: dptool [-n RANGE]... [-p RANGE]... [-u DEVICE]...
 * [-s RANGE]... [-N NETWORK] [-m MARK] [-f] [-x] COMMAND
 *   -n native range  -p pod range  -u uplink  -s service range  -f forwardAccept  -x no masquerade
 *   load                      open, loading when nothing is pinned
 *   sync                      open and bring the node in line
 *   add IF KIND ADDR...       open, sync, register (KIND: netkit, netkit-l2, veth, tap)
 *   pair IF KIND              make a pair, IF and IFp, down (netkit: blackhole)
 *   del IF [ADDR...]          check IF KIND ADDR...        sweep
 *   conf                      what the programs have: flags, uplinks, ranges
 *   features                  problems                  limits
 *   netkit IF                 what the kernel tells of a netkit's host end
 *   time N IF KIND ADDR...    microseconds, medians of N: what an ADD pays
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/kcompat.h"
#include "loader/dp.h"
#include "loader/nl/link.h"

static struct pw_node_conf conf;
static struct pw_err err = PW_ERR_INIT;

static int fail(void)
{
    fprintf(stderr, "dptool: %s (%d)\n", err.msg, err.code);
    return 1;
}

static void add_range(struct pw_addr *list, size_t *n, const char *text)
{
    if (pw_addr_parse(text, &list[(*n)++], &err))
        exit(fail());
}

static int open_dp(struct pw_dp **dp)
{
    return pw_dp_open(dp, &conf, &err);
}

static enum pw_device kind_of(const char *name)
{
    static const struct {
        const char *name;
        enum pw_device device;
    } kinds[] = {{"netkit", PW_DEV_NETKIT},
                 {"netkit-l2", PW_DEV_NETKIT_L2},
                 {"veth", PW_DEV_VETH},
                 {"tap", PW_DEV_TAP}};

    for (size_t i = 0; i < PW_ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return kinds[i].device;
    fprintf(stderr, "dptool: kind '%s'\n", name);
    exit(2);
}

static struct pw_addr addrs[64];

static size_t read_addrs(char **argv)
{
    size_t n = 0;

    for (; argv[n] && n < PW_ARRAY_SIZE(addrs); n++)
        if (pw_addr_parse(argv[n], &addrs[n], &err))
            exit(fail());
    return n;
}

static struct pw_endpoint endpoint(char **argv)
{
    struct pw_endpoint ep = {.ifindex = if_nametoindex(argv[0]),
                             .device = kind_of(argv[1]),
                             .mtu = 1500,
                             .mac = {2, 0, 0, 0, 0, 1},
                             .host_mac = {2, 0x70, 0x77, 0, 0, 1},
                             .addrs = addrs,
                             .n_addrs = read_addrs(argv + 2)};
    snprintf(ep.ifname, sizeof(ep.ifname), "%s", argv[0]);
    return ep;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

enum { OPEN, SYNC, ADD, CHECK, DEL, FEATURES, LIMITS, STEPS };

static int measure(size_t n, char **argv)
{
    static const char *const names[STEPS] = {"open",   "sync",     "ep_add", "ep_check",
                                             "ep_del", "features", "limits"};
    double *took[STEPS];
    struct pw_endpoint ep = endpoint(argv);
    struct pw_uplink_limits limits;
    struct pw_features features;

    for (int i = 0; i < STEPS; i++)
        took[i] = calloc(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = NULL;
        double t[STEPS + 1];
        t[0] = now();
        int rc = open_dp(&dp);
        t[1] = now();
        rc = rc ? rc : pw_node_sync(dp, &conf, &err);
        t[2] = now();
        rc = rc ? rc : pw_dp_ep_add(dp, &ep, &err);
        t[3] = now();
        rc = rc ? rc : pw_dp_ep_check(dp, &ep, &err);
        t[4] = now();
        rc = rc ? rc : pw_dp_ep_del(dp, ep.ifname, ep.ifindex, ep.addrs, ep.n_addrs, &err);
        t[5] = now();
        rc = rc ? rc : pw_features_get(&features, &err);
        t[6] = now();
        rc = rc ? rc : pw_node_uplink_limits(dp, &limits, &err);
        t[7] = now();
        if (rc)
            return fail();
        for (int s = 0; s < STEPS; s++)
            took[s][i] = t[s + 1] - t[s];
    }
    for (int s = 0; s < STEPS; s++)
        printf("%s %.1f\n", names[s], median(took[s], n));
    return 0;
}

static int show_conf(void)
{
    struct pw_conf c;
    char text[PW_ADDR_STRLEN];

    pw_fd fd = pw_maps_open(PW_MAP_CONF, &err);
    if (fd < 0 || pw_conf_read(fd, &c, &err))
        return fail();
    printf("flags%s%s%s\nmark 0x%x\n", c.flags & PW_CONF_REDIRECT ? " redirect" : "",
           c.flags & PW_CONF_ASK_CT ? " conntrack" : "", c.flags & PW_CONF_WIRE ? " wire" : "",
           c.mark);
    for (uint32_t i = 0; i < c.n_uplinks; i++) {
        char name[IF_NAMESIZE];
        printf("uplink %s\n", if_indextoname(c.uplinks[i], name) ? name : "?");
    }
    for (uint32_t i = 0; i < c.n_native4 + c.n_except4; i++) {
        bool native = i < c.n_native4;
        const struct pw_range4 *r = native ? &c.native4[i] : &c.except4[i - c.n_native4];
        struct pw_addr a = {.family = 4, .prefix = (uint8_t)__builtin_popcount(r->mask)};
        memcpy(a.b, &r->addr, 4);
        printf("%s %s\n", native ? "native" : "except", pw_addr_text(&a, true, text));
    }
    for (uint32_t i = 0; i < c.n_native6 + c.n_except6; i++) {
        bool native = i < c.n_native6;
        const struct pw_range6 *r = native ? &c.native6[i] : &c.except6[i - c.n_native6];
        struct pw_addr a = {.family = 6};
        for (int w = 0; w < 4; w++)
            a.prefix = (uint8_t)(a.prefix + __builtin_popcount(r->mask[w]));
        memcpy(a.b, r->addr, 16);
        printf("%s %s\n", native ? "native" : "except", pw_addr_text(&a, true, text));
    }
    return 0;
}

static int show_features(void)
{
    struct pw_features f;

    if (pw_features_get(&f, &err))
        return fail();
    printf("tcx %d\nnetkit %d\nnetkit_scrub %d\nnetkit_room %d\nredirect_peer %d\nct_lookup %d\n",
           f.tcx, f.netkit, f.netkit_scrub, f.netkit_room, f.redirect_peer, f.ct_lookup);
    return 0;
}

static int show_problems(void)
{
    struct pw_problem p[16];
    size_t n = pw_node_problems(&conf, p, PW_ARRAY_SIZE(p));

    for (size_t i = 0; i < n; i++)
        printf("%s: %s (%s)\n", p[i].fatal ? "fatal" : "warning", p[i].text, p[i].remedy);
    return 0;
}

static int make_pair(const char *name, enum pw_device device)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    pw_nlsock nl = PW_NL_INIT;
    char peer[16];
    struct pw_pair pair = {
        .host = {.name = name, .netns = -1},
        .pod = {.name = peer, .netns = -1},
        .netkit = {.mode = device == PW_DEV_NETKIT ? PW_NETKIT_MODE_L3 : PW_NETKIT_MODE_L2,
                   .policy = PW_NETKIT_PASS,
                   .peer_policy = PW_NETKIT_BLACKHOLE}};

    snprintf(peer, sizeof(peer), "%.14sp", name);
    if (pw_nl_open(&nl, NETLINK_ROUTE, &err))
        return fail();
    pw_link_add_pair(&b, device == PW_DEV_VETH ? &pw_link_veth : &pw_link_netkit, &pair);
    return pw_nl_commit(&nl, &b, NULL, NULL, &err) ? fail() : 0;
}

static int show_netkit(const char *ifname)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_link l;

    if (pw_nl_open(&nl, NETLINK_ROUTE, &err) || pw_link_get(&nl, 0, ifname, &l, &err))
        return fail();
    printf("%s primary %d policy %d peer %d", l.kind, l.netkit.primary, l.netkit.policy,
           l.netkit.peer_policy);
    if (l.netkit.has_scrub)
        printf(" scrub %d peer %d", l.netkit.scrub, l.netkit.peer_scrub);
    if (l.netkit.has_room)
        printf(" headroom %u tailroom %u", l.netkit.headroom, l.netkit.tailroom);
    putchar('\n');
    return 0;
}

static int run(char **argv)
{
    __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = NULL;
    const char *cmd = argv[0];
    size_t removed = 0;

    if (strcmp(cmd, "conf") == 0)
        return show_conf();
    if (strcmp(cmd, "features") == 0)
        return show_features();
    if (strcmp(cmd, "problems") == 0)
        return show_problems();
    if (strcmp(cmd, "pair") == 0)
        return make_pair(argv[1], kind_of(argv[2]));
    if (strcmp(cmd, "netkit") == 0)
        return show_netkit(argv[1]);
    if (strcmp(cmd, "time") == 0)
        return measure(strtoul(argv[1], NULL, 10), argv + 2);
    int rc = open_dp(&dp);
    if (!rc && strcmp(cmd, "limits") == 0) {
        struct pw_uplink_limits l = {0};
        rc = pw_node_uplink_limits(dp, &l, &err);
        printf("mtu %u\ngso_max %u\ngro_max %u\ngso4_max %u\ngro4_max %u\n", l.mtu, l.gso_max,
               l.gro_max, l.gso4_max, l.gro4_max);
    }
    if (!rc && strcmp(cmd, "sync") == 0)
        rc = pw_node_sync(dp, &conf, &err);
    if (!rc && strcmp(cmd, "add") == 0) {
        struct pw_endpoint ep = endpoint(argv + 1);
        rc = pw_node_sync(dp, &conf, &err);
        rc = rc ? rc : pw_dp_ep_add(dp, &ep, &err);
    }
    if (!rc && strcmp(cmd, "check") == 0) {
        struct pw_endpoint ep = endpoint(argv + 1);
        rc = pw_dp_ep_check(dp, &ep, &err);
    }
    if (!rc && strcmp(cmd, "del") == 0)
        rc = pw_dp_ep_del(dp, argv[1], if_nametoindex(argv[1]), addrs, read_addrs(argv + 2), &err);
    if (!rc && strcmp(cmd, "sweep") == 0) {
        rc = pw_dp_sweep(dp, &removed, &err);
        printf("removed %zu\n", removed);
    }
    return rc ? fail() : 0;
}

int main(int argc, char **argv)
{
    size_t uplinks = 0;
    int c;

    pw_node_conf_default(&conf);
    snprintf(conf.network, sizeof(conf.network), "test");
    while ((c = getopt(argc, argv, "+n:p:u:s:N:m:fx")) != -1) {
        switch (c) {
        case 'n':
            add_range(conf.native, &conf.n_native, optarg);
            break;
        case 'p':
            add_range(conf.pods, &conf.n_pods, optarg);
            break;
        case 's':
            add_range(conf.services, &conf.n_services, optarg);
            break;
        case 'u':
            snprintf(conf.uplinks[uplinks++], sizeof(conf.uplinks[0]), "%s", optarg);
            break;
        case 'N':
            snprintf(conf.network, sizeof(conf.network), "%s", optarg);
            break;
        case 'm':
            conf.mark = (uint32_t)strtoul(optarg, NULL, 0);
            break;
        case 'f':
            conf.forward_accept = true;
            break;
        case 'x':
            conf.masquerade = false;
            break;
        default:
            return 2;
        }
    }
    if (!argv[optind])
        return 2;
    return run(argv + optind);
}
