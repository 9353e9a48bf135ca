/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/site.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "bench/rules.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

const char *const nb_where_name[NB_WHERES] = {"local", "remote-host", "remote-pod"};
const char *const nb_where_title[NB_WHERES] = {"Two pods on one node", "Pod to another host",
                                               "Pod to a pod on another node"};

/* Documentation addresses on the wire, private ones for pods. */
static const char *const wire4[2] = {"192.0.2.1/24", "192.0.2.2/24"};
static const char *const wire6[2] = {"fd00:c0::1/64", "fd00:c0::2/64"};
#define WIRE_MAC "02:4e:42:00:00:%02x" /* of node 1 or 2 */
static const char *const pods4[2] = {"10.244.1.0/24", "10.244.2.0/24"};
static const char *const pods6[2] = {"fd00:244:1::/64", "fd00:244:2::/64"};

const char *nb_pod_range(const struct nb_site *s, int node)
{
    return s->set->family == 4 ? pods4[node] : pods6[node];
}

unsigned nb_site_pods(const struct nb_site *s)
{
    return s->far ? NB_POD_B1 + 1 : NB_POD_B1;
}

static int sysctls(const struct nb_spot *at, bool forward, struct pw_err *err)
{
    const char *const always[][2] = {
        {"net.ipv6.conf.default.accept_dad", "0"},
        {"net.ipv6.conf.all.accept_dad", "0"},
        {"net.ipv4.ip_local_port_range", "1024 65535"},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(always); i++) {
        struct pw_err ignored = PW_ERR_INIT; /* a kernel may be without IPv6 */
        nb_sysctl(at, always[i][0], always[i][1], &ignored);
    }
    if (forward) {
        struct pw_err ignored = PW_ERR_INIT;
        nb_sysctl(at, "net.ipv6.conf.all.forwarding", "1", &ignored);
        return nb_sysctl(at, "net.ipv4.ip_forward", "1", err);
    }
    return 0;
}

static int node_net(struct nb_site *s, int i, struct pw_err *err)
{
    struct nb_spot at = {&s->node[i], -1};
    bool v4 = s->set->family == 4;
    char peer[20];
    int rc = sysctls(&at, true, err);

    snprintf(peer, sizeof(peer), v4 ? "192.0.2.%d" : "fd00:c0::%d", 2 - i);
    if (rc < 0 || (rc = nb_cmd(&at, err, "ip link set lo up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link set eth0 up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip addr add %s dev eth0%s", v4 ? wire4[i] : wire6[i],
                     v4 ? "" : " nodad")) < 0 ||
        (rc = nb_cmd(&at, err, "ip route add %s via %s", v4 ? pods4[1 - i] : pods6[1 - i], peer)) <
            0 ||
        (rc = nb_cmd(&at, err, "ip route add default via %s", peer)) < 0)
        return rc;
    /* Whether a neighbour is just being verified depends on who asked first, which differs from
     * path to path, and sends each packet of some seconds by a longer way. */
    if ((rc = nb_cmd(&at, err, "ip neigh replace %s lladdr " WIRE_MAC " dev eth0 nud permanent",
                     peer, 2 - i)) < 0)
        return rc;
    struct nb_end *e = &s->host[i];
    e->spot = at;
    snprintf(e->dev, sizeof(e->dev), "eth0");
    return pw_addr_parse(v4 ? wire4[i] : wire6[i], &e->addr, err);
}

static int wire(struct nb_site *s, struct pw_err *err)
{
    struct nb_spot a = {&s->node[0], -1};
    /* Both ends are made here and one is sent over: `ip` takes a namespace by the path of our
     * descriptor, since nodes have no names. */
    int rc = nb_cmd(&a, err,
                    "ip link add eth0 address " WIRE_MAC " mtu %u type veth peer name eth0 "
                    "address " WIRE_MAC " mtu %u netns /proc/%d/fd/%d",
                    1, s->set->mtu, 2, s->set->mtu, (int)getpid(), s->node[1].net);
    return rc;
}

int nb_site_make(struct nb_site *s, const struct nb_settings *set, const char *tag, bool far,
                 struct pw_err *err)
{
    char name[16];
    memset(s, 0, sizeof(*s));
    s->set = set;
    s->far = far;
    for (int i = 0; i < 2; i++)
        s->node[i] = (struct nb_node)NB_NODE_INIT;
    for (int i = 0; i < NB_PODS; i++)
        s->pod[i].net = s->pod[i].guest = s->pod[i].tap = -1;
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        snprintf(name, sizeof(name), "%.10s-%c", tag, 'a' + i);
        rc = nb_node_make(name, &s->node[i], err);
    }
    if (rc == 0)
        rc = wire(s, err);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = node_net(s, i, err);
    return rc < 0 ? pw_err_wrap(err, "nodes of %s", tag) : 0;
}

static bool has_pod(const struct nb_site *s, unsigned i)
{
    return i == NB_POD_PLAIN ? s->plain : i < nb_site_pods(s);
}

int nb_site_pods_make(struct nb_site *s, struct pw_err *err)
{
    static const char *const names[NB_PODS] = {"a1", "a2", "b1", "c1"};
    for (unsigned i = 0; i < NB_PODS; i++) {
        struct nb_pod *p = &s->pod[i];
        if (!has_pod(s, i))
            continue;
        snprintf(p->name, sizeof(p->name), "%s", names[i]);
        snprintf(p->id, sizeof(p->id), "netbench-%s-%s", s->node[0].name, names[i]);
        snprintf(p->dev, sizeof(p->dev), "eth0");
        p->node = i == NB_POD_B1;
        int rc = nb_pod_make(&s->node[p->node], p->name, &p->net, err);
        struct nb_spot at = {&s->node[p->node], p->net};
        if (rc < 0 || (rc = sysctls(&at, false, err)) < 0 ||
            (rc = nb_cmd(&at, err, "ip link set lo up")) < 0)
            return rc;
    }
    return 0;
}

/* ---- CNI ---- */

static int cni(struct nb_site *s, struct nb_pod *p, const char *verb, struct nb_out *out,
               struct pw_err *err)
{
    char command[32], id[64], ns[64], path[300];
    snprintf(command, sizeof(command), "CNI_COMMAND=%s", verb);
    snprintf(id, sizeof(id), "CNI_CONTAINERID=%s", p->id);
    snprintf(ns, sizeof(ns), "CNI_NETNS=/run/netns/%s", p->name);
    snprintf(path, sizeof(path), "CNI_PATH=%s", s->set->cni_dir);
    const char *env[] = {command, id, ns, path, "CNI_IFNAME=eth0", "CNI_ARGS=IgnoreUnknown=1",
                         NULL};
    const char *argv[] = {p->plugin, NULL};
    struct nb_spot at = {&s->node[p->node], -1};
    return nb_exec(&at, argv, env, p->conf, out, err);
}

/* The devices of a CNI result: the pod's own, which a guest takes its MAC from, and the host's. */
static void result_devices(const json_t *doc, struct nb_pod *p)
{
    json_t *dev;
    size_t i;
    p->mac[0] = p->host_if[0] = p->socket[0] = '\0';
    json_array_foreach (json_object_get(doc, "interfaces"), i, dev) {
        const char *name = json_string_value(json_object_get(dev, "name"));
        const char *mac = json_string_value(json_object_get(dev, "mac"));
        const char *sandbox = json_string_value(json_object_get(dev, "sandbox"));
        const char *path = json_string_value(json_object_get(dev, "socketPath"));
        if (!name)
            continue;
        if (path)
            snprintf(p->socket, sizeof(p->socket), "%s", path);
        if (!sandbox || !sandbox[0])
            snprintf(p->host_if, sizeof(p->host_if), "%s", name);
        else if (mac && strcmp(name, "eth0") == 0)
            snprintf(p->mac, sizeof(p->mac), "%s", mac);
    }
}

/* The first address of the wanted family in a CNI result, its gateway, and the devices. */
static int read_result(const char *text, int family, struct nb_pod *p, struct pw_err *err)
{
    json_error_t je;
    json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, &je), *ip;
    size_t i;
    int rc = -ENOENT;
    if (!doc)
        return pw_err_set(err, -EPROTO, "CNI result is not JSON: %s", je.text);
    json_array_foreach (json_object_get(doc, "ips"), i, ip) {
        struct pw_addr a;
        const char *t = json_string_value(json_object_get(ip, "address"));
        const char *gw = json_string_value(json_object_get(ip, "gateway"));
        if (rc < 0 && t && pw_addr_parse(t, &a, err) == 0 && a.family == family) {
            p->addr = a;
            snprintf(p->gateway, sizeof(p->gateway), "%s", gw ? gw : "");
            rc = 0;
        }
    }
    result_devices(doc, p);
    json_decref(doc);
    return rc < 0 ? pw_err_set(err, rc, "CNI result has no IPv%d address", family) : 0;
}

int nb_cni_add(struct nb_site *s, struct nb_pod *p, const char *plugin, const char *conf,
               struct pw_err *err)
{
    pw_cleanup(nb_out_free) struct nb_out out = {0};
    snprintf(p->plugin, sizeof(p->plugin), "%s", plugin);
    free(p->conf);
    p->conf = strdup(conf);
    if (!p->conf)
        return pw_err_set(err, -ENOMEM, "out of memory");
    uint64_t t0 = pw_clock_ns();
    int rc = cni(s, p, "ADD", &out, err);
    s->add_ms[p - s->pod] = (double)(pw_clock_ns() - t0) / 1e6;
    if (rc < 0)
        return pw_err_wrap(err, "ADD of pod %s", p->name);
    return read_result(out.text ? out.text : "", s->set->family, p, err);
}

/* ---- ends ---- */

static struct nb_end pod_end(const struct nb_site *s, const struct nb_pod *p)
{
    struct nb_end e = {.spot = {&s->node[p->node], p->guest >= 0 ? p->guest : p->net},
                       .addr = p->addr};
    snprintf(e.dev, sizeof(e.dev), "%s", p->dev);
    return e;
}

bool nb_site_ends(const struct nb_site *s, enum nb_where where, bool host, struct nb_end *client,
                  struct nb_end *server)
{
    if (host) {
        *client = s->host[0];
        *server = s->host[where == NB_LOCAL ? 0 : 1];
        if (where == NB_LOCAL) {
            snprintf(client->dev, sizeof(client->dev), "lo");
            snprintf(server->dev, sizeof(server->dev), "lo");
        }
        return true;
    }
    if (where == NB_REMOTE_POD && !s->far)
        return false;
    *client = pod_end(s, &s->pod[NB_POD_A1]);
    *server = where == NB_LOCAL         ? pod_end(s, &s->pod[NB_POD_A2])
              : where == NB_REMOTE_HOST ? s->host[1]
                                        : pod_end(s, &s->pod[NB_POD_B1]);
    return true;
}

bool nb_site_tap_ends(const struct nb_site *s, enum nb_where where, struct nb_end *client,
                      struct nb_end *server)
{
    const struct nb_pod *from = &s->pod[NB_POD_A1], *to = &s->pod[NB_POD_PLAIN];
    if (from->tap < 0 || where == NB_REMOTE_POD || (where == NB_LOCAL && to->addr.family == 0))
        return false;
    *client = pod_end(s, from);
    client->tap = from->tap;
    *server = where == NB_LOCAL ? pod_end(s, to) : s->host[1];
    return true;
}

/* ---- settings ---- */

/* Call fn for each network namespace of the site. */
static int each_net(struct nb_site *s,
                    int (*fn)(struct nb_site *, const struct nb_spot *, const char *, void *,
                              struct pw_err *),
                    void *arg, struct pw_err *err)
{
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        struct nb_spot at = {&s->node[i], -1};
        rc = fn(s, &at, i ? "node b" : "node a", arg, err);
    }
    for (unsigned i = 0; i < NB_PODS && rc == 0; i++) {
        const struct nb_pod *p = &s->pod[i];
        struct nb_spot at = {&s->node[p->node], p->net};
        char name[32];
        snprintf(name, sizeof(name), "pod %s", p->name);
        if (p->net >= 0)
            rc = fn(s, &at, name, arg, err);
        snprintf(name, sizeof(name), "guest %s", p->name);
        at.net = p->guest;
        if (p->guest >= 0 && rc == 0)
            rc = fn(s, &at, name, arg, err);
    }
    return rc;
}

static json_t *links(const struct nb_spot *at)
{
    const char *argv[] = {"ip", "-j", "-d", "link", "show", NULL};
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    struct pw_err err = PW_ERR_INIT;
    if (nb_exec(at, argv, NULL, NULL, &o, &err) < 0 || !o.text)
        return json_array();
    json_t *v = json_loads(o.text, 0, NULL);
    return v ? v : json_array();
}

static int tune_net(struct nb_site *s, const struct nb_spot *at, const char *name, void *arg,
                    struct pw_err *err)
{
    (void)name;
    (void)arg;
    json_t *all = links(at), *l;
    size_t i;
    int rc = 0;
    json_array_foreach (all, i, l) {
        const char *dev = json_string_value(json_object_get(l, "ifname"));
        struct pw_err ignored = PW_ERR_INIT;
        if (!dev || strcmp(dev, "lo") == 0 || rc < 0)
            continue;
        /* Some device kinds refuse a size or have no queue; what holds in the end is recorded. */
        nb_cmd(at, &ignored, "ip link set dev %s gso_max_size %u", dev, s->set->gso_max);
        nb_cmd(at, &ignored, "ip link set dev %s gso_ipv4_max_size %u", dev, s->set->gso_max);
        nb_set_gro(at, dev, s->set->gro);
        if (s->set->qdisc)
            rc = nb_cmd(at, err, "tc qdisc replace dev %s root %s", dev, s->set->qdisc);
    }
    json_decref(all);
    return rc;
}

int nb_site_tune(struct nb_site *s, struct pw_err *err)
{
    int rc = each_net(s, tune_net, NULL, err);
    for (int i = 0; i < 2 && rc == 0 && s->set->rules; i++) {
        struct nb_spot at = {&s->node[i], -1};
        rc = nb_rules_load(&at, s->set->rules_kind, s->set->family, s->set->rules, err);
        if (rc == 0)
            rc = s->services[i] = nb_rules_held(&at, s->set->rules_kind, s->set->family, err);
        if (rc >= 0)
            rc = s->services[i] == (int)s->set->rules
                     ? 0
                     : pw_err_set(err, -EIO, "node %c holds the rules of %d Services, not %u",
                                  'a' + i, s->services[i], s->set->rules);
    }
    return rc;
}

static int describe_net(struct nb_site *s, const struct nb_spot *at, const char *name, void *arg,
                        struct pw_err *err)
{
    static const char *const keep[] = {
        "mtu", "qdisc", "gso_max_size", "gso_ipv4_max_size", "gro_max_size", "tso_max_size"};
    json_t *out = arg, *all = links(at), *l;
    size_t i;
    (void)s;
    (void)err;
    json_array_foreach (all, i, l) {
        const char *dev = json_string_value(json_object_get(l, "ifname"));
        json_t *o = json_object(), *info = json_object_get(l, "linkinfo"), *v;
        json_object_set_new(o, "where", json_string(name));
        json_object_set_new(o, "device", json_string(dev ? dev : "?"));
        v = json_object_get(info, "info_kind");
        json_object_set(o, "kind", v ? v : json_object_get(l, "link_type"));
        for (size_t k = 0; k < PW_ARRAY_SIZE(keep); k++)
            if ((v = json_object_get(l, keep[k])))
                json_object_set(o, keep[k], v);
        int gro = dev ? nb_get_gro(at, dev) : -1;
        if (gro >= 0)
            json_object_set_new(o, "gro", json_boolean(gro));
        json_array_append_new(out, o);
    }
    json_decref(all);
    return 0;
}

json_t *nb_site_describe(const struct nb_site *s)
{
    json_t *out = json_array();
    struct pw_err err = PW_ERR_INIT;
    each_net((struct nb_site *)s, describe_net, out, &err);
    return out;
}

void nb_site_drop(struct nb_site *s)
{
    for (unsigned i = 0; i < s->nhelpers; i++)
        if (s->ours & 1U << i) {
            kill(s->helper[i], SIGKILL);
            nb_wait(s->helper[i]);
        }
    s->nhelpers = s->ours = 0;
    for (int i = 0; i < NB_PODS; i++) {
        struct nb_pod *p = &s->pod[i];
        struct pw_err ignored = PW_ERR_INIT;
        pw_closep(&p->tap);
        /* The namespaces go in any case; DEL is what a runtime would do, and what ends the
         * plugin's own records. */
        if (p->plugin[0] && p->conf && !nb_stopping())
            cni(s, p, "DEL", NULL, &ignored);
        free(p->conf);
        p->conf = NULL;
        p->plugin[0] = '\0';
        pw_closep(&p->net);
        pw_closep(&p->guest);
    }
    nb_node_drop(&s->node[0]);
    nb_node_drop(&s->node[1]);
}
