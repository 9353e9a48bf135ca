/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/path.h"

#include <stdio.h>
#include <string.h>

#include "bench/paths.h"
#include "loader/base/cleanup.h"

const struct nb_path *const nb_paths[] = {
    &nb_path_host,          &nb_path_bridge,           &nb_path_ptp,
    &nb_path_macvlan,       &nb_path_pw_veth,          &nb_path_pw_veth_noct,
    &nb_path_pw_netkit,     &nb_path_pw_netkit_noct,   &nb_path_pw_netkit_l2,
    &nb_path_pw_veth_nonat, &nb_path_pw_netkit_nonat,  &nb_path_pw_off,
    &nb_path_ptp_hop,       &nb_path_tap_bridge,       &nb_path_tap_mirred,
    &nb_path_tap_ptp,       &nb_path_tap_pw_veth,      &nb_path_pw_tap,
    &nb_path_pw_tap_nonat,  &nb_path_pw_pod_tap_nonat, &nb_path_pw_pod_tap,
    &nb_path_pw_vhost,
};
const unsigned nb_npaths = PW_ARRAY_SIZE(nb_paths);

const struct nb_path *nb_path_find(const char *name)
{
    for (unsigned i = 0; i < nb_npaths; i++)
        if (strcmp(nb_paths[i]->name, name) == 0)
            return nb_paths[i];
    return NULL;
}

int nb_path_up(const struct nb_path *p, struct nb_site *s, const struct nb_settings *set, bool far,
               struct pw_err *err)
{
    int rc = nb_site_make(s, set, p->name, far, err);
    s->plain = set->taps && !far && p->group == NB_GROUP_VM;
    if (rc == 0 && p->group != NB_GROUP_HOST)
        rc = nb_site_pods_make(s, err);
    if (rc == 0)
        rc = p->setup(p, s, err);
    if (rc == 0)
        rc = nb_site_tune(s, err);
    return rc < 0 ? pw_err_wrap(err, "path %s", p->name) : 0;
}

bool nb_path_leaks(const struct nb_path *p, const struct nb_sample *s)
{
    /* Neighbour discovery and the first packets of a flow may take the stack; a path that is not
     * redirecting forwards every packet. A fiftieth of the packets lies far from both. */
    return p->redirects && s->forwarded * 50 > s->dev_packets;
}

int nb_path_verify(const struct nb_path *p, const struct nb_site *s, enum nb_where where,
                   struct pw_err *err)
{
    struct nb_end client, server;
    struct nb_probe probe;
    struct nb_sample sample;
    char why[200];
    struct nb_job job = {.kind = NB_UDP_RR,
                         .flows = 1,
                         .size = 64,
                         .warm_n = 20,
                         .run_n = 400,
                         .cpu_client = -1,
                         .cpu_server = -1};
    if (!nb_site_ends(s, where, p->group == NB_GROUP_HOST, &client, &server))
        return pw_err_set(err, -ENOENT, "path %s has no such ends", p->name);
    int rc = nb_probe_open(&client, &server, &s->node[0], &s->node[1], &probe, err);
    if (rc < 0)
        return rc;
    probe.helper = s->helper;
    probe.nhelpers = s->nhelpers;
    rc = nb_gen_run(&job, &client, &server, &probe, &sample, NULL, err);
    nb_probe_close(&probe);
    if (rc < 0)
        return pw_err_wrap(err, "path %s, %s: no traffic", p->name, nb_where_name[where]);
    if (!nb_audit(&job, &sample, why))
        return pw_err_set(err, -EBADMSG, "path %s, %s: %s", p->name, nb_where_name[where], why);
    if (nb_path_leaks(p, &sample))
        return pw_err_set(err, -EPERM,
                          "redirection not in use: path %s, %s: the node's stack forwarded %llu of "
                          "%llu packets",
                          p->name, nb_where_name[where], (unsigned long long)sample.forwarded,
                          (unsigned long long)sample.dev_packets);
    return 0;
}
