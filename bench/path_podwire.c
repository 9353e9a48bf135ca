/* SPDX-License-Identifier: Apache-2.0 */
/* podwire's own ways into a container, by its plugin, with its defaults unless the name says
 * otherwise. */
#include <stdio.h>
#include <string.h>

#include "bench/paths.h"
#include "loader/base/cleanup.h"

struct flavour {
    const char *device;
    enum nb_nat nat;
    bool off; /* redirection switched off: everything by the stack */
};

bool nb_podwire_available(const struct nb_settings *set, char why[200])
{
    if (nb_have(set->podwire))
        return true;
    snprintf(why, 200, "no plugin %.150s (make all)", set->podwire);
    return false;
}

static bool podwire_available(const struct nb_path *p, const struct nb_settings *set, char why[200])
{
    const struct flavour *f = p->data;
    if (!nb_podwire_available(set, why))
        return false;
    if (f->off && !nb_have(set->podwirectl)) {
        snprintf(why, 200, "no program %.150s (make all)", set->podwirectl);
        return false;
    }
    return true;
}

int nb_podwire_off(struct nb_site *s, struct pw_err *err)
{
    for (int i = 0; i < 1 + s->far; i++) {
        struct nb_spot at = {&s->node[i], -1};
        int rc = nb_cmd(&at, err, "%s redirect off", s->set->podwirectl);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int nb_podwire_add(struct nb_site *s, struct nb_pod *pod, const char *device, enum nb_nat nat,
                   struct pw_err *err)
{
    bool v4 = s->set->family == 4;
    char conf[1200];
    /* The wire's subnet and the other node's pods see pods' own addresses, as in a cluster with
     * native routing. */
    snprintf(conf, sizeof(conf),
             "{\"cniVersion\":\"1.1.0\",\"name\":\"podwire\",\"type\":\"podwire\","
             "\"device\":\"%s\",\"mtu\":%u,\"uplinks\":[\"eth0\"],\"nativeRanges\":[%s],"
             "\"masquerade\":%s,\"conntrack\":%s,\"ipam\":{\"type\":\"podwire\",\"ranges\":[[{"
             "\"subnet\":\"%s\"}]],"
             "\"routes\":[{\"dst\":\"%s\"}]}}",
             device, s->set->mtu,
             v4 ? "\"10.244.0.0/16\",\"192.0.2.0/24\"" : "\"fd00:244::/32\",\"fd00:c0::/64\"",
             nat == NB_NO_NAT ? "false" : "true", nat == NB_NAT_UNASKED ? "false" : "true",
             nb_pod_range(s, pod->node), v4 ? "0.0.0.0/0" : "::/0");
    return nb_cni_add(s, pod, s->set->podwire, conf, err);
}

static int podwire_setup(const struct nb_path *p, struct nb_site *s, struct pw_err *err)
{
    const struct flavour *f = p->data;
    int rc = 0;
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++)
        rc = nb_podwire_add(s, &s->pod[i], f->device, f->nat, err);
    if (rc == 0 && (f->off || s->set->deny_redirect))
        rc = nb_podwire_off(s, err);
    return rc;
}

#define PODWIRE(var, n, t, dev, with, is_off, is_default)                                          \
    static const struct flavour var##_flavour = {.device = dev, .nat = with, .off = is_off};       \
    const struct nb_path nb_path_##var = {                                                         \
        .name = n,                                                                                 \
        .title = t,                                                                                \
        .group = NB_GROUP_CONTAINER,                                                               \
        .redirects = !(is_off),                                                                    \
        .by_default = is_default,                                                                  \
        .data = &var##_flavour,                                                                    \
        .available = podwire_available,                                                            \
        .setup = podwire_setup,                                                                    \
    }

PODWIRE(pw_veth, "podwire-veth", "podwire, veth", "veth", NB_NAT, false, true);
PODWIRE(pw_veth_noct, "podwire-veth-noct", "podwire, veth, conntrack off", "veth", NB_NAT_UNASKED,
        false, true);
PODWIRE(pw_veth_nonat, "podwire-veth-nonat", "podwire, veth, no NAT", "veth", NB_NO_NAT, false,
        false);
PODWIRE(pw_netkit, "podwire-netkit", "podwire, netkit", "netkit", NB_NAT, false, true);
PODWIRE(pw_netkit_noct, "podwire-netkit-noct", "podwire, netkit, conntrack off", "netkit",
        NB_NAT_UNASKED, false, true);
PODWIRE(pw_netkit_nonat, "podwire-netkit-nonat", "podwire, netkit, no NAT", "netkit", NB_NO_NAT,
        false, false);
PODWIRE(pw_netkit_l2, "podwire-netkit-l2", "podwire, netkit layer 2", "netkit-l2", NB_NAT, false,
        true);
PODWIRE(pw_off, "podwire-off", "podwire, redirection off", "veth", NB_NAT, true, true);
