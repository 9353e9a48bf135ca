/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of all paths, for path.c alone. */
#ifndef PW_BENCH_PATHS_H
#define PW_BENCH_PATHS_H

#include "bench/path.h"

extern const struct nb_path nb_path_host, nb_path_bridge, nb_path_ptp, nb_path_macvlan,
    nb_path_ptp_hop;
extern const struct nb_path nb_path_pw_veth, nb_path_pw_veth_noct, nb_path_pw_netkit,
    nb_path_pw_netkit_noct, nb_path_pw_netkit_l2, nb_path_pw_off, nb_path_pw_veth_nonat,
    nb_path_pw_netkit_nonat;
extern const struct nb_path nb_path_tap_bridge, nb_path_tap_mirred, nb_path_tap_ptp,
    nb_path_tap_pw_veth, nb_path_pw_tap, nb_path_pw_tap_nonat, nb_path_pw_pod_tap,
    nb_path_pw_pod_tap_nonat, nb_path_pw_vhost;

/* ADD of all pods, the plain one too, by the reference plugin `type`; `body` are members of its
 * configuration. */
int nb_reference_add(struct nb_site *s, const char *type, const char *body, struct pw_err *err);
/* Whether podwire's plugin is there; else why not. */
bool nb_podwire_available(const struct nb_settings *set, char why[200]);
/* What podwire's node does with addresses, and so with each packet. */
enum nb_nat {
    NB_NAT,         /* masquerades, the default: connection tracking is asked */
    NB_NO_NAT,      /* translates nothing, so that there is nothing to ask */
    NB_NAT_UNASKED, /* masquerades, and is told not to ask */
};

/* ADD of one pod by podwire with a kind of device. */
int nb_podwire_add(struct nb_site *s, struct nb_pod *pod, const char *device, enum nb_nat nat,
                   struct pw_err *err);
/* Switch redirection off on all nodes of the site. */
int nb_podwire_off(struct nb_site *s, struct pw_err *err);

#endif
