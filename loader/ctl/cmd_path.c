/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path: which way a packet would take. The very decision of the programs, asked for by
 * BPF_PROG_TEST_RUN of pw_explain_*, with a packet made for the question; nothing is sent, nothing
 * counted. The words around it are from what this program sees of the node.
 */
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "loader/ctl/gather.h"
#include "loader/ctl/packet.h"
#include "loader/nl/link.h"
#include "loader/nl/route.h"

/* Addresses of documentation: surely nobody's. */
#define OUTSIDE4 "203.0.113.1"
#define OUTSIDE6 "2001:db8::1"

enum place { PLACE_POD, PLACE_NODE, PLACE_NATIVE, PLACE_OUTSIDE };

struct end {
    struct pw_addr addr;
    enum place place;
    const struct ctl_ep *ep; /* of a pod */
};

struct question {
    struct end src, dst;
    int proto;
    uint16_t sport, dport;
    uint8_t ttl;
    size_t size;
    uint32_t device; /* given by --device; 0: the one that belongs to src */
};

#define MAX_STEPS 12
struct answer {
    bool asked; /* a program decided */
    const char *program;
    char device[16]; /* the packet comes by */
    uint32_t via;    /* enum pw_via */
    uint32_t reason; /* enum pw_reason */
    char out[16];    /* device it leaves by */
    bool marked;
    size_t n_steps;
    char step[MAX_STEPS][240];
};

struct world {
    struct pw_dp *dp;
    struct pw_conf conf;
    struct pw_tunnel tunnel;
    struct ctl_eps eps;
    struct pw_nl rtnl;
};

static void world_close(struct world *w)
{
    ctl_eps_free(&w->eps);
    pw_nl_close(&w->rtnl);
}

__attribute__((format(printf, 2, 3))) static void say(struct answer *a, const char *fmt, ...)
{
    va_list ap;

    if (a->n_steps == MAX_STEPS)
        return;
    va_start(ap, fmt);
    vsnprintf(a->step[a->n_steps++], sizeof(a->step[0]), fmt, ap);
    va_end(ap);
}

/* ---- who is who ---- */

static bool in_ranges(const struct pw_conf *c, const struct pw_addr *a, bool except, char text[60])
{
    struct pw_addr r = {.family = a->family};
    uint32_t n = a->family == 4 ? (except ? c->n_except4 : c->n_native4)
                                : (except ? c->n_except6 : c->n_native6);

    for (uint32_t i = 0; i < n && i < PW_MAX_RANGES; i++) {
        uint8_t mask[16] = {0};
        if (a->family == 4) {
            const struct pw_range4 *x = except ? &c->except4[i] : &c->native4[i];
            memcpy(r.b, &x->addr, 4);
            memcpy(mask, &x->mask, 4);
        } else {
            const struct pw_range6 *x = except ? &c->except6[i] : &c->native6[i];
            memcpy(r.b, x->addr, 16);
            memcpy(mask, x->mask, 16);
        }
        r.prefix = 0;
        for (size_t b = 0; b < sizeof(mask); b++)
            r.prefix = (uint8_t)(r.prefix + __builtin_popcount(mask[b]));
        if (pw_addr_in(a, &r)) {
            pw_addr_text(&r, true, text);
            return true;
        }
    }
    return false;
}

struct found_route {
    uint8_t type;
    uint32_t oif;
    struct pw_addr src;
};

static int on_route(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct found_route *f = arg;
    struct rtmsg m;
    struct pw_nlattr at;

    (void)err;
    if (msg->type != RTM_NEWROUTE)
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    f->type = m.rtm_type;
    while (pw_nl_next_attr(&cur, &at)) {
        if (at.type == RTA_OIF)
            f->oif = pw_nl_u32(&at);
        else if (at.type == RTA_PREFSRC)
            pw_nl_addr(&at, &f->src);
    }
    return 0;
}

/* What the node would do with a packet of its own to `to`. */
static bool route(struct world *w, const struct pw_addr *to, struct found_route *out)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct rtmsg m = {.rtm_family = to->family == 4 ? AF_INET : AF_INET6,
                      .rtm_dst_len = to->family == 4 ? 32 : 128};

    *out = (struct found_route){0};
    pw_nlbatch_add(&b, RTM_GETROUTE, 0, &m, sizeof(m), "look up a route");
    pw_nl_put_addr(&b.buf, RTA_DST, to);
    return pw_nl_commit(&w->rtnl, &b, on_route, out, NULL) == 0 && out->type;
}

static void place(struct world *w, struct end *e)
{
    struct found_route r;
    char text[60];

    e->ep = ctl_find_addr(&w->eps, &e->addr);
    if (e->ep)
        e->place = PLACE_POD;
    else if (route(w, &e->addr, &r) && r.type == RTN_LOCAL)
        e->place = PLACE_NODE;
    else
        e->place = in_ranges(&w->conf, &e->addr, false, text) ? PLACE_NATIVE : PLACE_OUTSIDE;
}

/* The node's own address towards `other`. */
static bool node_addr(struct world *w, const struct pw_addr *other, struct pw_addr *out)
{
    struct found_route r;

    if (!route(w, other, &r) || !r.src.family)
        return false;
    *out = r.src;
    return true;
}

/* An address, "host", "outside", or the name of a pod. With `family` 0 any address of a pod does.
 */
static int resolve(struct world *w, const char *word, int family, const struct pw_addr *other,
                   struct end *out, struct pw_err *err)
{
    struct pw_addr a;

    if (strcmp(word, "outside") == 0) {
        pw_addr_parse(family == 6 ? OUTSIDE6 : OUTSIDE4, &a, NULL);
    } else if (strcmp(word, "host") == 0 || strcmp(word, "node") == 0) {
        if (!other || !node_addr(w, other, &a))
            return pw_err_set(err, -EINVAL, "'%s': the node has no address towards the other end",
                              word);
    } else if (pw_addr_parse(word, &a, NULL)) {
        const struct ctl_ep *e = ctl_find_name(&w->eps, word);
        size_t i = 0;
        if (!e)
            return pw_err_set(err, -ENOENT,
                              "'%.60s' is no address and no pod of this node (`podwirectl "
                              "endpoints` lists them; 'host' and 'outside' are known too)",
                              word);
        while (i < e->n_addrs && family && e->addrs[i].family != family)
            i++;
        if (i == e->n_addrs)
            return pw_err_set(err, -EINVAL, "pod '%.60s' has no IPv%d address", word, family);
        a = e->addrs[i];
    }
    a.prefix = a.family == 4 ? 32 : 128;
    out->addr = a;
    place(w, out);
    return 0;
}

static bool symbolic(const char *word)
{
    return strcmp(word, "host") == 0 || strcmp(word, "node") == 0 || strcmp(word, "outside") == 0;
}

static int resolve_both(struct world *w, const char *src, const char *dst, struct question *q,
                        struct pw_err *err)
{
    /* Who says a family goes first; "host" needs to know where to. */
    bool dst_first = symbolic(src) || pw_addr_parse(src, &q->src.addr, NULL) != 0;
    struct end *first = dst_first ? &q->dst : &q->src, *second = dst_first ? &q->src : &q->dst;
    const char *first_word = dst_first ? dst : src, *second_word = dst_first ? src : dst;

    if (strcmp(first_word, "outside") != 0 && symbolic(first_word)) {
        struct end *e = first;
        const char *word = first_word;
        first = second;
        first_word = second_word;
        second = e;
        second_word = word;
    }
    int rc = resolve(w, first_word, 0, NULL, first, err);
    if (!rc)
        rc = resolve(w, second_word, first->addr.family, &first->addr, second, err);
    if (!rc && q->src.addr.family != q->dst.addr.family)
        rc = pw_err_set(err, -EINVAL, "'%.60s' and '%.60s' are of different families", src, dst);
    return rc;
}

static const char *name_of(const struct end *e, char buf[160])
{
    char pod[96], addr[PW_ADDR_STRLEN];

    pw_addr_text(&e->addr, false, addr);
    if (e->place == PLACE_POD) {
        ctl_pod_name(e->ep, pod);
        snprintf(buf, 160, "%.45s (pod%s%.80s, %.15s)", addr, pod[0] ? " " : "", pod,
                 e->ep->ifname);
    } else {
        snprintf(buf, 160, "%s (%s)", addr,
                 e->place == PLACE_NODE     ? "this node"
                 : e->place == PLACE_NATIVE ? "a native range"
                                            : "outside");
    }
    return buf;
}

/* ---- asking ---- */

static int run_program(struct world *w, const struct question *q, const struct pw_link *dev,
                       struct answer *a, struct pw_err *err)
{
    static uint8_t frame[CTL_PACKET_MAX];
    struct ctl_packet p = {.src = q->src.addr,
                           .dst = q->dst.addr,
                           .proto = (uint8_t)q->proto,
                           .sport = q->sport,
                           .dport = q->dport,
                           .ttl = q->ttl,
                           .size = q->size};
    struct __sk_buff ctx = {.ifindex = dev->ifindex}, out = {0};
    char name[IF_NAMESIZE];

    /* As the pod behind the device would send it, whosever the address is. */
    const struct ctl_ep *sender = q->src.ep;
    for (size_t i = 0; i < w->eps.n; i++)
        if (w->eps.ep[i].ep.ifindex == dev->ifindex)
            sender = &w->eps.ep[i];
    if (sender && (sender->ep.flags & PW_EP_L2))
        memcpy(p.src_mac, sender->ep.mac, 6);
    if (dev->has_mac)
        memcpy(p.dst_mac, dev->mac, 6);
    size_t len = ctl_packet_build(&p, frame);
    if (!len)
        return pw_err_set(err, -EINVAL, "--size %zu: at most %d", q->size, CTL_PACKET_MAX - 14);
    pw_fd prog = pw_dp_prog(w->dp, a->program, err);
    if (prog < 0)
        return prog;
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
                .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .ctx_out = &out,
                .ctx_size_out = sizeof(out), .repeat = 1);
    int rc = bpf_prog_test_run_opts(prog, &opts);
    if (rc)
        return pw_err_errno(err, rc, "ask %s", a->program);
    a->asked = true;
    a->via = out.cb[PW_CB_VIA];
    a->reason = out.cb[PW_CB_REASON];
    a->marked = out.cb[PW_CB_MARKED];
    if (out.cb[PW_CB_IFINDEX])
        snprintf(a->out, sizeof(a->out), "%s",
                 if_indextoname(out.cb[PW_CB_IFINDEX], name) ? name : "?");
    return 0;
}

/* The device by which a packet from elsewhere would come. */
static uint32_t uplink_of(struct world *w, const struct end *src)
{
    struct found_route r;
    struct pw_addr node;

    if (ctl_peer_of(w->dp, &w->tunnel, &src->addr, &node))
        return w->tunnel.ifindex;

    if (route(w, &src->addr, &r) && r.oif)
        for (uint32_t i = 0; i < w->conf.n_uplinks && i < PW_MAX_UPLINKS; i++)
            if (w->conf.uplinks[i] == r.oif)
                return r.oif;
    return w->conf.n_uplinks ? w->conf.uplinks[0] : 0;
}

/* The tunnel's device is one too: its program has only looked at the node before. */
static bool is_uplink(const struct world *w, uint32_t ifindex)
{
    for (uint32_t i = 0; i < w->conf.n_uplinks && i < PW_MAX_UPLINKS; i++)
        if (w->conf.uplinks[i] == ifindex)
            return true;
    return ifindex && ifindex == w->tunnel.ifindex;
}

/* ---- telling ---- */

static void tell_stack_way(struct world *w, const struct question *q, struct answer *a)
{
    struct found_route r;
    char name[IF_NAMESIZE];

    if (q->dst.place == PLACE_NODE)
        say(a, "The node's stack takes it in.");
    else if (!route(w, &q->dst.addr, &r) || !r.oif)
        say(a, "The node's stack has no route to it.");
    else
        say(a, "The node's stack routes it to %s.", if_indextoname(r.oif, name) ? name : "?");
}

static void tell_decision(struct world *w, const struct question *q, struct answer *a)
{
    const struct pw_reason_text *reason = pw_reason_find((uint16_t)a->reason);
    const char *text = reason ? reason->text : "a reason that this version does not know";
    struct pw_addr node;
    char range[60];

    if (a->via == PW_VIA_DROP) {
        say(a, "Dropped: %s.", text);
        return;
    }
    if (q->src.place == PLACE_POD)
        say(a, "The source check finds its address among the pod's.");
    if (q->dst.place == PLACE_POD)
        say(a, "The destination is a pod of this node, on %s.", q->dst.ep->ifname);
    else if (q->dst.place == PLACE_NODE)
        say(a, "The destination is this node.");
    else if (in_ranges(&w->conf, &q->dst.addr, true, range))
        say(a, "The destination is in %s, which is left to the stack (service range).", range);
    else if (in_ranges(&w->conf, &q->dst.addr, false, range))
        say(a, "The destination is in the native range %s.", range);
    else if (q->dst.place == PLACE_OUTSIDE)
        say(a, "The destination is in no native range.");
    if (a->via == PW_VIA_STACK) {
        if (a->reason == PW_REASON_NONE)
            say(a, "It is for no pod: the program leaves it alone.");
        else if (q->dst.place == PLACE_NODE && a->reason == PW_OUTSIDE)
            say(a, "Handed to the node's stack: %s.", pw_reason_find(PW_TO_HOST)->text);
        else
            say(a, "Handed to the node's stack: %s.", text);
        if (a->marked)
            say(a, "It is marked, so that connection tracking sees none of the flow rather than "
                   "half of it.");
        tell_stack_way(w, q, a);
        return;
    }
    if (w->conf.flags & PW_CONF_ASK_CT)
        say(a, "Connection tracking was asked: the flow is not translated.");
    switch (a->via) {
    case PW_VIA_PEER:
        say(a, "Redirected straight into the pod behind %s (bpf_redirect_peer).", a->out);
        break;
    case PW_VIA_REDIRECT:
        say(a, "Redirected to %s (bpf_redirect).", a->out);
        break;
    case PW_VIA_PASS:
        say(a, "Redirected to the program on %s, which hands it on into the pod.", a->out);
        break;
    case PW_VIA_NEIGH:
        say(a,
            "Redirected to %s, where the kernel first asks for the neighbour's address "
            "(bpf_redirect_neigh).",
            a->out);
        break;
    case PW_VIA_REPLY:
        say(a, "Answered by the program itself.");
        break;
    case PW_VIA_TUNNEL:
        if (ctl_peer_of(w->dp, &w->tunnel, &q->dst.addr, &node))
            say(a, "Sent by the tunnel device %s to node %s (bpf_skb_set_tunnel_key).", a->out,
                pw_addr_text(&node, false, range));
        break;
    default:
        say(a, "Carried on in a way that this version does not know (%u).", a->via);
        break;
    }
}

static int answer(struct world *w, const struct question *q, struct answer *a, struct pw_err *err)
{
    struct pw_link dev;
    char src[160], dst[160];

    *a = (struct answer){.via = PW_VIA_STACK};
    uint32_t ifindex = q->device                    ? q->device
                       : q->src.ep                  ? q->src.ep->ep.ifindex
                       : q->src.place == PLACE_NODE ? 0
                                                    : uplink_of(w, &q->src);
    name_of(&q->src, src);
    name_of(&q->dst, dst);
    if (!ifindex && q->src.place == PLACE_NODE) {
        say(a, "The node sends it itself: no program is on the way to a pod.");
        tell_stack_way(w, q, a);
        return 0;
    }
    if (!ifindex) {
        say(a, "It comes by a device that carries no program of podwire: there is no uplink.");
        tell_stack_way(w, q, a);
        return 0;
    }
    int rc = pw_link_get(&w->rtnl, ifindex, NULL, &dev, err);
    if (rc)
        return rc;
    snprintf(a->device, sizeof(a->device), "%s", dev.name);
    if (is_uplink(w, ifindex))
        a->program = "pw_explain_from_uplink";
    else if (strncmp(dev.name, PW_IF_PREFIX, strlen(PW_IF_PREFIX)) == 0)
        a->program = "pw_explain_from_pod";
    else
        return pw_err_set(err, -EINVAL,
                          "%s carries no program of podwire (uplinks and the host "
                          "ends of pods do)",
                          dev.name);
    if (is_uplink(w, ifindex))
        say(a, "It comes from %s by %s, and meets the program there.",
            ifindex == w->tunnel.ifindex ? "the tunnel" : "the wire", dev.name);
    else
        say(a, "The pod sends it, and it meets the program on %s.", dev.name);
    rc = run_program(w, q, &dev, a, err);
    if (!rc)
        tell_decision(w, q, a);
    return rc;
}

static const char *via_name(uint32_t via)
{
    static const char *const names[] = {
        [PW_VIA_STACK] = "stack",       [PW_VIA_DROP] = "drop",   [PW_VIA_PEER] = "peer",
        [PW_VIA_REDIRECT] = "redirect", [PW_VIA_NEIGH] = "neigh", [PW_VIA_REPLY] = "reply",
        [PW_VIA_TUNNEL] = "tunnel",     [PW_VIA_PASS] = "pass"};
    return via < PW_ARRAY_SIZE(names) ? names[via] : "unknown";
}

static json_t *answer_json(const struct question *q, const struct answer *a)
{
    static const char *const places[] = {"pod", "node", "native", "outside"};
    const struct pw_reason_text *r = pw_reason_find((uint16_t)a->reason);
    char src[PW_ADDR_STRLEN], dst[PW_ADDR_STRLEN], proto[16];
    json_t *steps = json_array();

    for (size_t i = 0; i < a->n_steps; i++)
        json_array_append_new(steps, json_string(a->step[i]));
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:b, s:o}", "src",
        pw_addr_text(&q->src.addr, false, src), "dst", pw_addr_text(&q->dst.addr, false, dst),
        "srcPlace", places[q->src.place], "dstPlace", places[q->dst.place], "proto",
        ctl_proto_text((uint8_t)q->proto, proto), "sport", q->sport, "dport", q->dport, "via",
        via_name(a->via), "reason", r ? json_string(r->name) : json_null(), "text",
        r ? json_string(r->text) : json_null(), "arrivesBy",
        a->device[0] ? json_string(a->device) : json_null(), "leavesBy",
        a->out[0] ? json_string(a->out) : json_null(), "untracked", a->marked, "steps", steps);
}

static void show(const struct ctl *ctl, const struct question *q, const struct answer *a,
                 const char *prefix)
{
    enum ctl_paint p = a->via == PW_VIA_DROP    ? PAINT_RED
                       : a->via == PW_VIA_STACK ? PAINT_YELLOW
                                                : PAINT_GREEN;
    const char *fast = a->via == PW_VIA_DROP    ? "dropped"
                       : a->via == PW_VIA_STACK ? "by the stack"
                                                : "fast path";
    char src[160], dst[160], proto[16];

    printf("%s%s%s %s -> %s: %s%s%s\n", prefix, ctl_paint(ctl, PAINT_BOLD),
           ctl_proto_text((uint8_t)q->proto, proto), name_of(&q->src, src), name_of(&q->dst, dst),
           ctl_paint(ctl, p), fast, ctl_paint(ctl, PAINT_PLAIN));
    for (size_t i = 0; i < a->n_steps; i++)
        printf("  %zu. %s\n", i + 1, a->step[i]);
}

/* ---- arguments ---- */

static int number(const char *name, const char *text, unsigned long max, unsigned long *out)
{
    char *end;

    *out = strtoul(text, &end, 10);
    if (!*text || *end || *out > max || *text == '-')
        return ctl_usage(&ctl_path, "--%s '%s' is not a number up to %lu", name, text, max);
    return -1;
}

struct args {
    const char *src, *dst, *proto, *device;
    unsigned long sport, dport, ttl, size;
};

static int parse(struct ctl *ctl, int argc, char **argv, struct args *a)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"proto", required_argument, NULL, 'p'},
                                            {"sport", required_argument, NULL, 's'},
                                            {"dport", required_argument, NULL, 'd'},
                                            {"ttl", required_argument, NULL, 't'},
                                            {"size", required_argument, NULL, 'S'},
                                            {"device", required_argument, NULL, 'D'},
                                            {NULL, 0, NULL, 0}};
    int c, rc = -1;

    *a =
        (struct args){.src = "", .dst = "", .proto = "tcp", .sport = 40000, .dport = 80, .ttl = 64};
    optind = 0;
    opterr = 0;
    while (rc < 0 && (c = getopt_long(argc, argv, "jhp:", options, NULL)) != -1) {
        switch (c) {
        case 'j':
            ctl->json = true;
            break;
        case 'h':
            return ctl_help(&ctl_path);
        case 'p':
            a->proto = optarg;
            break;
        case 's':
            rc = number("sport", optarg, 65535, &a->sport);
            break;
        case 'd':
            rc = number("dport", optarg, 65535, &a->dport);
            break;
        case 't':
            rc = number("ttl", optarg, 255, &a->ttl);
            break;
        case 'S':
            rc = number("size", optarg, CTL_PACKET_MAX - 14, &a->size);
            break;
        case 'D':
            a->device = optarg;
            break;
        default:
            return ctl_usage(&ctl_path, "unknown option, or no value: '%s'", argv[optind - 1]);
        }
    }
    if (rc >= 0)
        return rc;
    if (argc - optind != 2)
        return ctl_usage(&ctl_path, "two ends are needed, SRC and DST");
    a->src = argv[optind];
    a->dst = argv[optind + 1];
    return -1;
}

static int ask(struct world *w, const struct args *a, struct question *q, struct pw_err *err)
{
    *q = (struct question){.sport = (uint16_t)a->sport,
                           .dport = (uint16_t)a->dport,
                           .ttl = (uint8_t)a->ttl,
                           .size = a->size};
    int rc = pw_nl_open(&w->rtnl, NETLINK_ROUTE, err);
    int fd = rc ? rc : pw_dp_map(w->dp, PW_MAP_CONF, err);
    rc = fd < 0 ? fd : pw_conf_read(fd, &w->conf, err);
    if (!rc)
        rc = ctl_gather(w->dp, &w->eps, err);
    ctl_tunnel_read(&w->tunnel);
    if (!rc)
        rc = resolve_both(w, a->src, a->dst, q, err);
    if (rc)
        return rc;
    q->proto = ctl_proto_parse(a->proto, q->src.addr.family);
    if (q->proto < 0)
        return pw_err_set(err, -EINVAL, "--proto '%.40s': tcp, udp, icmp, or a number up to 255",
                          a->proto);
    if (a->device) {
        q->device = if_nametoindex(a->device);
        if (!q->device)
            return pw_err_set(err, -ENODEV, "--device '%.40s': there is no such device", a->device);
    }
    return 0;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    __attribute__((cleanup(world_close))) struct world w = {.rtnl = PW_NL_INIT};
    struct pw_err err = PW_ERR_INIT;
    struct question q, back;
    struct answer there, again;
    struct args args;
    ctl_dp *dp = NULL;

    int rc = parse(ctl, argc, argv, &args);
    if (rc >= 0)
        return rc;
    if (ctl_open(&dp, &err))
        return ctl_fail(&err);
    w.dp = dp;
    if (ask(&w, &args, &q, &err) || answer(&w, &q, &there, &err))
        return ctl_fail(&err);
    /* The other direction: both take the fast path, or neither does. */
    back = q;
    back.src = q.dst;
    back.dst = q.src;
    back.sport = q.dport;
    back.dport = q.sport;
    back.device = 0;
    back.ttl = 64;
    bool returns = there.via != PW_VIA_DROP && answer(&w, &back, &again, NULL) == 0;
    if (ctl->json) {
        json_t *o = answer_json(&q, &there);
        json_object_set_new(o, "back", returns ? answer_json(&back, &again) : json_null());
        return ctl_print_json(o);
    }
    show(ctl, &q, &there, "");
    if (returns)
        show(ctl, &back, &again, "And back: ");
    return CTL_OK;
}

const struct ctl_cmd ctl_path = {
    "path", "SRC DST [options]", "says which way a packet would take, and why", run,
    "SRC and DST: an address, a pod (name, namespace/name, device, container id), 'host' (this\n"
    "node) or 'outside'. A source that is no pod's and not the node's comes from the wire.\n"
    "The loaded programs themselves decide; nothing is sent and nothing is counted.\n"
    "  -p, --proto P   tcp (default), udp, icmp, or a number\n"
    "  --sport N, --dport N   ports (40000, 80)\n"
    "  --ttl N         TTL or hop limit (64)\n"
    "  --size N        bytes at layer 3\n"
    "  --device IF     the device by which the packet comes\n"
    "  --json          see podwirectl(8)\n"};
