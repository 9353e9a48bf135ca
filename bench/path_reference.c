/* SPDX-License-Identifier: Apache-2.0 */
/* The host's own network, and the reference plugins. */
#include <stdio.h>
#include <string.h>

#include "bench/paths.h"
#include "loader/base/cleanup.h"

static bool host_available(const struct nb_path *p, const struct nb_settings *set, char why[200])
{
    (void)p;
    (void)set;
    if (nb_have("ip"))
        return true;
    snprintf(why, 200, "the program 'ip' (Debian: iproute2) is missing");
    return false;
}

static int host_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    (void)p;
    (void)s;
    (void)err;
    return 0;
}

const struct nb_path nb_path_host = {
    .name = "host",
    .title = "host network",
    .group = NB_GROUP_HOST,
    .by_default = true,
    .available = host_available,
    .setup = host_setup,
};

static bool plugin_there(const struct nb_settings *set, const char *type, char why[200])
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", set->cni_dir, type);
    if (nb_have(path))
        return true;
    snprintf(why, 200, "no plugin %.150s (Debian: containernetworking-plugins)", path);
    return false;
}

static bool reference_available(const struct nb_path *p, const struct nb_settings *set,
                                char why[200])
{
    return plugin_there(set, "host-local", why) && plugin_there(set, p->data, why);
}

int nb_reference_add(struct nb_site *s, const char *type, const char *body, struct pw_err *err)
{
    char plugin[300], conf[1200];
    int rc = 0;
    snprintf(plugin, sizeof(plugin), "%s/%s", s->set->cni_dir, type);
    for (unsigned i = 0; i < NB_PODS && rc == 0; i++) {
        struct nb_pod *p = &s->pod[i];
        if (p->net < 0)
            continue;
        const char *any = s->set->family == 4 ? "0.0.0.0/0" : "::/0";
        snprintf(conf, sizeof(conf),
                 "{\"cniVersion\":\"1.0.0\",\"name\":\"netbench\",\"type\":\"%s\",\"mtu\":%u,%s,"
                 "\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"%s\"}]],"
                 "\"routes\":[{\"dst\":\"%s\"}]}}",
                 type, s->set->mtu, body, nb_pod_range(s, p->node), any);
        rc = nb_cni_add(s, p, plugin, conf, err);
    }
    return rc;
}

static int bridge_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    return nb_reference_add(s, p->data, "\"bridge\":\"cni0\",\"isGateway\":true,\"ipMasq\":false",
                            err);
}

const struct nb_path nb_path_bridge = {
    .name = "bridge",
    .title = "bridge (reference)",
    .group = NB_GROUP_CONTAINER,
    .by_default = true,
    .data = "bridge",
    .available = reference_available,
    .setup = bridge_setup,
};

static int ptp_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    return nb_reference_add(s, p->data, "\"ipMasq\":false", err);
}

const struct nb_path nb_path_ptp = {
    .name = "ptp",
    .title = "ptp (reference)",
    .group = NB_GROUP_CONTAINER,
    .by_default = true,
    .data = "ptp",
    .available = reference_available,
    .setup = ptp_setup,
};

/* macvlan pods are on the wire itself, with addresses of its subnet. */
static int macvlan_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    char plugin[300], conf[600];
    bool v4 = s->set->family == 4;
    int rc = 0;
    snprintf(plugin, sizeof(plugin), "%s/%s", s->set->cni_dir, (const char *)p->data);
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++) {
        struct nb_pod *pod = &s->pod[i];
        const char *subnet = v4 ? "192.0.2.0/24" : "fd00:c0::/64";
        const char *base = v4 ? "192.0.2." : "fd00:c0::";
        snprintf(
            conf, sizeof(conf),
            "{\"cniVersion\":\"1.0.0\",\"name\":\"netbench\",\"type\":\"macvlan\",\"mtu\":%u,"
            "\"master\":\"eth0\",\"mode\":\"bridge\",\"ipam\":{\"type\":\"host-local\","
            "\"ranges\":[[{\"subnet\":\"%s\",\"rangeStart\":\"%s%d\",\"rangeEnd\":\"%s%d\"}]]}}",
            s->set->mtu, subnet, base, pod->node ? 70 : 40, base, pod->node ? 90 : 60);
        rc = nb_cni_add(s, pod, plugin, conf, err);
    }
    return rc;
}

const struct nb_path nb_path_macvlan = {
    .name = "macvlan",
    .title = "macvlan (reference)",
    .group = NB_GROUP_CONTAINER,
    .by_default = true,
    .data = "macvlan",
    .available = reference_available,
    .setup = macvlan_setup,
};

/* ptp with one more router in the way, known to be slower: what shows that a difference of that
 * size is seen. The pod's default route leads through a namespace in between. */
static int hop_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    int rc = ptp_setup(p, s, err);
    if (rc < 0)
        return rc;
    /* A second network between the pods and the node: packets for other pods leave the node by
     * hop0, are routed back by the namespace `hop`, and only then reach their pod. */
    struct nb_spot node = {&s->node[0], -1}, hop;
    int net = -1;
    if ((rc = nb_pod_make(&s->node[0], "hop", &net, err)) < 0)
        return rc;
    pw_fd owned = net;
    hop = (struct nb_spot){&s->node[0], owned};
    bool v4 = s->set->family == 4;
    const char *near = v4 ? "198.51.100.1/24" : "fd00:ee::1/64";
    const char *far = v4 ? "198.51.100.2/24" : "fd00:ee::2/64";
    const char *back = v4 ? "198.51.100.1" : "fd00:ee::1",
               *via = v4 ? "198.51.100.2" : "fd00:ee::2";
    const char *flag = v4 ? "" : " nodad";
    if ((rc =
             nb_cmd(&node, err, "ip link add hop0 mtu %u type veth peer name eth0 mtu %u netns hop",
                    s->set->mtu, s->set->mtu)) < 0 ||
        (rc = nb_cmd(&node, err, "ip addr add %s dev hop0%s", near, flag)) < 0 ||
        (rc = nb_cmd(&node, err, "ip link set hop0 up")) < 0 ||
        (rc = nb_cmd(&hop, err, "ip addr add %s dev eth0%s", far, flag)) < 0 ||
        (rc = nb_cmd(&hop, err, "ip link set eth0 up")) < 0 ||
        (rc = nb_cmd(&hop, err, "ip route add default via %s", back)) < 0 ||
        (rc = nb_sysctl(&hop, v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding", "1",
                        err)) < 0)
        return rc;
    /* Whatever comes from a pod goes through the hop; what comes from the hop goes on as usual. */
    const char *fam = v4 ? "-4" : "-6";
    if ((rc = nb_cmd(&node, err, "ip %s rule add pref 90 iif hop0 lookup main", fam)) < 0 ||
        (rc = nb_cmd(&node, err, "ip %s rule add pref 100 from %s lookup 100", fam,
                     nb_pod_range(s, 0))) < 0 ||
        (rc = nb_cmd(&node, err, "ip %s route add default via %s table 100", fam, via)) < 0)
        return rc;
    const char *loose[] = {"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.hop0.rp_filter",
                           "net.ipv4.conf.all.send_redirects", "net.ipv4.conf.hop0.send_redirects"};
    for (size_t i = 0; i < PW_ARRAY_SIZE(loose); i++)
        if ((rc = nb_sysctl(&node, loose[i], "0", err)) < 0)
            return rc;
    return 0;
}

const struct nb_path nb_path_ptp_hop = {
    .name = "ptp-hop",
    .title = "ptp + an extra hop",
    .group = NB_GROUP_CONTAINER,
    .data = "ptp",
    .available = reference_available,
    .setup = hop_setup,
};
