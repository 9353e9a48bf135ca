/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "loader/ctl/gather.h"
#include "loader/nl/link.h"
#include "loader/node.h"
#include "loader/obj.h"
#include "loader/peers.h"

#define MAX_PROBLEMS 32

struct status {
    struct utsname kernel;
    bool have_features, loaded, have_maps;
    struct pw_features features;
    struct pw_current cur;
    unsigned abi;
    struct pw_conf conf;
    struct pw_tunnel tunnel;
    size_t native, tunnelled;    /* ranges of other nodes' pods */
    struct pw_node_state *state; /* owned */
    struct pw_node_conf *all;    /* owned */
    struct ctl_eps eps;
    uint64_t map_bytes;
    size_t stale_links; /* whose program is not the one of the build in use */
    struct pw_problem problems[MAX_PROBLEMS];
    size_t n_problems;
};

static void status_free(struct status *s)
{
    free(s->state);
    free(s->all);
    ctl_eps_free(&s->eps);
}

struct stale {
    struct pw_dp *dp;
    uint32_t id[PW_HOOK_COUNT];
    size_t n;
};

static int look_at_link(const char *name, void *arg, struct pw_err *err)
{
    struct stale *s = arg;
    struct pw_attached at;
    enum pw_hook hook;
    char device[32];

    (void)err;
    if (pw_hook_of_pin(name, device, &hook) && pw_attach_info(device, hook, &at, NULL) == 0 &&
        at.ifindex && at.prog_id != s->id[hook])
        s->n++;
    return 0;
}

static size_t stale_links(struct pw_dp *dp)
{
    struct stale s = {.dp = dp};

    for (unsigned h = 0; h < PW_HOOK_COUNT; h++)
        s.id[h] = pw_dp_prog_id(dp, pw_hook_program(h));
    pw_pin_each(PW_PIN_LINKS, look_at_link, &s, NULL);
    return s.n;
}

static void count_peers(struct status *s)
{
    pw_free struct pw_peer_way *ways = NULL;
    size_t n = 0;

    ctl_tunnel_read(&s->tunnel);
    if (pw_peers_list(&ways, &n, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        s->tunnelled += ways[i].tunnel;
        s->native += !ways[i].tunnel;
    }
}

static int collect(struct status *s, struct pw_err *err)
{
    ctl_dp *dp = NULL;

    uname(&s->kernel);
    s->have_features = pw_features_get(&s->features, NULL) == 0;
    s->abi = pw_pin_abi();
    s->state = calloc(1, sizeof(*s->state));
    s->all = calloc(1, sizeof(*s->all));
    if (!s->state || !s->all)
        return pw_err_set(err, -ENOMEM, "status: out of memory");
    pw_node_state_read(s->state);
    pw_node_join(s->state, s->all, NULL);
    size_t n = pw_node_problems(NULL, s->problems, MAX_PROBLEMS);
    s->n_problems = n < MAX_PROBLEMS ? n : MAX_PROBLEMS;
    s->loaded = pw_pin_current(&s->cur, NULL) == 0;
    /* What cannot be opened is among the problems already. */
    if (!s->loaded || pw_dp_open(&dp, NULL, NULL))
        return 0;
    int fd = pw_dp_map(dp, PW_MAP_CONF, NULL);
    s->have_maps = fd >= 0 && pw_conf_read(fd, &s->conf, NULL) == 0;
    for (unsigned m = 0; m < PW_MAP_COUNT; m++) {
        fd = pw_dp_map(dp, m, NULL);
        s->map_bytes += fd >= 0 ? pw_maps_memory(fd) : 0;
    }
    s->stale_links = stale_links(dp);
    count_peers(s);
    return ctl_gather(dp, &s->eps, err);
}

static bool fatal(const struct status *s)
{
    for (size_t i = 0; i < s->n_problems; i++)
        if (s->problems[i].fatal)
            return true;
    return false;
}

/* What went by the stack, over all endpoints. */
static size_t fallbacks(const struct status *s, struct ctl_reason *out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < s->eps.n; i++) {
        const struct ctl_ep *e = &s->eps.ep[i];
        for (size_t j = 0; j < e->n_reasons; j++) {
            const struct ctl_reason *r = &e->reasons[j];
            size_t k = 0;
            if (!r->reason || r->reason->kind != PW_KIND_STACK)
                continue;
            while (k < n && out[k].number != r->number)
                k++;
            if (k == max)
                continue;
            if (k == n) {
                out[n] = *r;
                out[n++].count = (struct pw_count){0};
            }
            out[k].count.packets += r->count.packets;
            out[k].count.bytes += r->count.bytes;
        }
    }
    for (size_t i = 1; i < n; i++) {
        for (size_t k = i; k > 0 && out[k].count.packets > out[k - 1].count.packets; k--) {
            struct ctl_reason t = out[k];
            out[k] = out[k - 1];
            out[k - 1] = t;
        }
    }
    return n;
}

static size_t of_kind(const struct status *s, uint16_t device)
{
    size_t n = 0;

    for (size_t i = 0; i < s->eps.n; i++)
        n += s->eps.ep[i].ep.device == device;
    return n;
}

/* ---- JSON ---- */

static json_t *ranges_json(const struct pw_addr *list, size_t n)
{
    char text[PW_ADDR_STRLEN];
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_string(pw_addr_text(&list[i], true, text)));
    return a;
}

static json_t *node_json(const struct status *s)
{
    char mark[16], name[IF_NAMESIZE];
    json_t *uplinks = json_array(), *networks = json_array();

    for (uint32_t i = 0; i < s->conf.n_uplinks && i < PW_MAX_UPLINKS; i++)
        json_array_append_new(uplinks,
                              json_pack("{s:s, s:i}", "device",
                                        if_indextoname(s->conf.uplinks[i], name) ? name : "",
                                        "ifindex", (int)s->conf.uplinks[i]));
    for (uint32_t i = 0; i < s->state->n; i++)
        json_array_append_new(
            networks, json_stringn(s->state->conf[i].network, strlen(s->state->conf[i].network)));
    snprintf(mark, sizeof(mark), "0x%x", s->conf.mark);
    return json_pack("{s:b, s:b, s:b, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:i, s:i}}",
                     "redirect", s->conf.flags & PW_CONF_REDIRECT, "conntrack",
                     s->conf.flags & PW_CONF_ASK_CT, "wire", s->conf.flags & PW_CONF_WIRE,
                     "masquerade", s->all->masquerade, "forwardAccept", s->all->forward_accept,
                     "mark", mark, "uplinks", uplinks, "nativeRanges",
                     ranges_json(s->all->native, s->all->n_native), "podRanges",
                     ranges_json(s->all->pods, s->all->n_pods), "serviceRanges",
                     ranges_json(s->all->services, s->all->n_services), "networks", networks,
                     "tunnel", s->tunnel.ifindex ? ctl_tunnel_json(&s->tunnel) : json_null(),
                     "peerRanges", "native", (int)s->native, "tunnel", (int)s->tunnelled);
}

static json_t *features_json(const struct pw_features *f)
{
    return json_pack("{s:b, s:b, s:b, s:b, s:b, s:b}", "tcx", f->tcx, "netkit", f->netkit,
                     "netkitScrub", f->netkit_scrub, "netkitRoom", f->netkit_room, "redirectPeer",
                     f->redirect_peer, "conntrackLookup", f->ct_lookup);
}

static int show_json(const struct status *s)
{
    struct ctl_reason fall[64];
    json_t *problems = json_array(), *fell = json_array();
    size_t n = fallbacks(s, fall, PW_ARRAY_SIZE(fall));

    for (size_t i = 0; i < s->n_problems; i++)
        json_array_append_new(problems,
                              json_pack("{s:b, s:s, s:s}", "fatal", s->problems[i].fatal, "text",
                                        s->problems[i].text, "remedy", s->problems[i].remedy));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(fell, json_pack("{s:s, s:s, s:I, s:I}", "reason",
                                              fall[i].reason->name, "text", fall[i].reason->text,
                                              "packets", (json_int_t)fall[i].count.packets, "bytes",
                                              (json_int_t)fall[i].count.bytes));
    json_t *o = json_pack(
        "{s:b, s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i}, s:o, s:o}",
        "ready", !fatal(s), "version", PW_VERSION, "build", pw_obj_build(), "abi", PW_ABI, "kernel",
        s->kernel.release, "features", s->have_features ? features_json(&s->features) : json_null(),
        "loaded",
        s->loaded
            ? json_pack("{s:s, s:i, s:b, s:I, s:i}", "build", s->cur.build, "abi", (int)s->abi,
                        "sameAsThis", strcmp(s->cur.build, pw_obj_build()) == 0, "mapBytes",
                        (json_int_t)s->map_bytes, "staleLinks", (int)s->stale_links)
            : json_null(),
        "node", s->have_maps ? node_json(s) : json_null(), "endpoints", "total", (int)s->eps.n,
        "netkit", (int)of_kind(s, PW_DEV_NETKIT), "netkit-l2", (int)of_kind(s, PW_DEV_NETKIT_L2),
        "veth", (int)of_kind(s, PW_DEV_VETH), "tap", (int)of_kind(s, PW_DEV_TAP), "pod-tap",
        (int)of_kind(s, PW_DEV_POD_TAP), "vhost-user", (int)of_kind(s, PW_DEV_VHOST_USER),
        "fallbacks", fell, "problems", problems);
    ctl_print_json(o);
    return fatal(s) ? CTL_NOT_READY : CTL_OK;
}

/* ---- text ---- */

static void key(const struct ctl *ctl, const char *name)
{
    printf("%s%-13s%s", ctl_paint(ctl, PAINT_BOLD), name, ctl_paint(ctl, PAINT_PLAIN));
}

static void feature(const struct ctl *ctl, bool has, const char *name, const char *without)
{
    const char *p = ctl_paint(ctl, has ? PAINT_GREEN : PAINT_YELLOW);

    printf("  %s%-3s%s  %s%s%s\n", p, has ? "yes" : "no", ctl_paint(ctl, PAINT_PLAIN), name,
           has ? "" : ": ", has ? "" : without);
}

static void show_ranges(const struct ctl *ctl, const char *name, const struct pw_addr *list,
                        size_t n, const char *none)
{
    char text[PW_ADDR_STRLEN];

    key(ctl, name);
    if (!n)
        fputs(none, stdout);
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i ? ", " : "", pw_addr_text(&list[i], true, text));
    putchar('\n');
}

static void show_node(const struct ctl *ctl, const struct status *s)
{
    char name[IF_NAMESIZE];

    key(ctl, "redirection");
    puts(s->conf.flags & PW_CONF_REDIRECT ? "on" : "off: every packet goes by the stack");
    key(ctl, "conntrack");
    puts(s->conf.flags & PW_CONF_ASK_CT
             ? "asked for each flow: translated ones go by the stack"
             : "not asked (configured so): right only where nothing is translated");
    key(ctl, "uplinks");
    if (!s->conf.n_uplinks)
        fputs("none", stdout);
    for (uint32_t i = 0; i < s->conf.n_uplinks && i < PW_MAX_UPLINKS; i++)
        printf("%s%s", i ? ", " : "", if_indextoname(s->conf.uplinks[i], name) ? name : "(gone)");
    puts(s->conf.flags & PW_CONF_WIRE || !s->conf.n_uplinks
             ? ""
             : ", used by the stack alone (xfrm or routing rules)");
    show_ranges(ctl, "native", s->all->native, s->all->n_native, "none");
    if (s->all->n_services)
        show_ranges(ctl, "services", s->all->services, s->all->n_services, "none");
    if (s->native || s->tunnelled || s->tunnel.ifindex) {
        key(ctl, "other nodes");
        printf("%zu range%s by routes", s->native, s->native == 1 ? "" : "s");
        if (s->tunnel.ifindex)
            printf(", %zu by the tunnel %s (VXLAN %u, packets of up to %u bytes)", s->tunnelled,
                   if_indextoname(s->tunnel.ifindex, name) ? name : "(gone)", s->tunnel.vni,
                   s->tunnel.mtu);
        putchar('\n');
    }
    key(ctl, "masquerade");
    puts(s->all->masquerade ? "pods' packets to anywhere else" : "no");
}

static void show_endpoints(const struct ctl *ctl, const struct status *s)
{
    static const uint16_t kinds[] = {PW_DEV_NETKIT, PW_DEV_NETKIT_L2, PW_DEV_VETH,
                                     PW_DEV_TAP,    PW_DEV_POD_TAP,   PW_DEV_VHOST_USER};
    struct pw_count fast = {0}, dropped = {0};
    struct ctl_reason fall[64];
    char bytes[24];
    bool some = false;
    size_t n = fallbacks(s, fall, PW_ARRAY_SIZE(fall));

    key(ctl, "endpoints");
    printf("%zu", s->eps.n);
    for (size_t i = 0; i < PW_ARRAY_SIZE(kinds); i++) {
        size_t k = of_kind(s, kinds[i]);
        if (k)
            printf("%s%zu %s", some ? ", " : " (", k, pw_device_name(kinds[i]));
        some |= k > 0;
    }
    puts(some ? ")" : "");
    for (size_t i = 0; i < s->eps.n; i++) {
        const struct ctl_ep *e = &s->eps.ep[i];
        fast.packets += e->counters.from_pod.packets;
        fast.bytes += e->counters.from_pod.bytes;
        /* What another endpoint sent is counted there already. */
        dropped.packets += e->dropped.packets;
        dropped.bytes += e->dropped.bytes;
    }
    key(ctl, "sent fast");
    printf("%llu packets, %s\n", (unsigned long long)fast.packets, ctl_bytes(fast.bytes, bytes));
    key(ctl, "dropped");
    printf("%llu packets%s\n", (unsigned long long)dropped.packets,
           dropped.packets ? " (podwirectl drops)" : "");
    for (size_t i = 0; i < n; i++) {
        key(ctl, i ? "" : "by the stack");
        printf("%llu packets: %s\n", (unsigned long long)fall[i].count.packets,
               fall[i].reason->text);
    }
}

static int show(const struct ctl *ctl, const struct status *s)
{
    char bytes[24];

    key(ctl, "podwire");
    printf("%s, build %s, Linux %s\n", PW_VERSION, pw_obj_build(), s->kernel.release);
    key(ctl, "loaded");
    if (!s->loaded)
        puts("no: the first pod loads it, or `podwirectl load`");
    else if (strcmp(s->cur.build, pw_obj_build()) == 0)
        printf("this build, %s of maps\n", ctl_bytes(s->map_bytes, bytes));
    else
        printf("%s%s%s, another build (`podwirectl upgrade` replaces it), %s of maps\n",
               ctl_paint(ctl, PAINT_YELLOW), s->cur.build, ctl_paint(ctl, PAINT_PLAIN),
               ctl_bytes(s->map_bytes, bytes));
    if (s->stale_links)
        printf("             %s%zu device%s with programs of another build%s: `podwirectl "
               "upgrade` again\n",
               ctl_paint(ctl, PAINT_YELLOW), s->stale_links, s->stale_links == 1 ? "" : "s",
               ctl_paint(ctl, PAINT_PLAIN));
    if (s->have_maps) {
        show_node(ctl, s);
        show_endpoints(ctl, s);
    }
    if (s->have_features) {
        const struct pw_features *f = &s->features;
        printf("\n%sThis kernel has%s\n", ctl_paint(ctl, PAINT_BOLD), ctl_paint(ctl, PAINT_PLAIN));
        feature(ctl, f->tcx, "tcx", "podwire cannot work");
        feature(ctl, f->netkit, "netkit", "pods get veth pairs");
        if (f->netkit) {
            feature(ctl, f->netkit_scrub, "netkit scrub control", "marks are cleared");
            feature(ctl, f->netkit_room, "netkit head- and tailroom", "some packets are copied");
        }
        feature(ctl, f->ct_lookup, "connection tracking that can be asked",
                "flows go by the stack");
    }
    putchar('\n');
    for (size_t i = 0; i < s->n_problems; i++) {
        const struct pw_problem *p = &s->problems[i];
        printf("%s%s%s: %s.\n  Remedy: %s.\n", ctl_paint(ctl, p->fatal ? PAINT_RED : PAINT_YELLOW),
               p->fatal ? "error" : "warning", ctl_paint(ctl, PAINT_PLAIN), p->text, p->remedy);
    }
    if (fatal(s))
        printf("%sThe node cannot take pods.%s\n", ctl_paint(ctl, PAINT_RED),
               ctl_paint(ctl, PAINT_PLAIN));
    else
        printf("%sThe node can take pods.%s\n", ctl_paint(ctl, PAINT_GREEN),
               ctl_paint(ctl, PAINT_PLAIN));
    return fatal(s) ? CTL_NOT_READY : CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    __attribute__((cleanup(status_free))) struct status s = {0};
    struct pw_err err = PW_ERR_INIT;

    int rc = ctl_options(ctl, &ctl_status, argc, argv);
    if (rc >= 0)
        return rc;
    if (argv[optind])
        return ctl_usage(&ctl_status, "unexpected argument '%s'", argv[optind]);
    if (collect(&s, &err))
        return ctl_fail(&err);
    return ctl->json ? show_json(&s) : show(ctl, &s);
}

const struct ctl_cmd ctl_status = {
    "status", "[--json]", "says whether the node can take pods, what is loaded, and what is wrong",
    run,
    "Features are found by trying them, once per boot. Exit code 3 when the node cannot take "
    "pods.\n"};
