/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of all paths, for path.c alone. */
#ifndef PW_BENCH_PATHS_H
#define PW_BENCH_PATHS_H

#include "bench/path.h"

extern const struct nb_path nb_path_host, nb_path_bridge, nb_path_ptp, nb_path_macvlan,
    nb_path_ptp_hop;
extern const struct nb_path nb_path_pw_veth, nb_path_pw_veth_noct, nb_path_pw_netkit,
    nb_path_pw_netkit_noct, nb_path_pw_netkit_l2, nb_path_pw_off;
extern const struct nb_path nb_path_tap_bridge, nb_path_tap_mirred, nb_path_pw_tap,
    nb_path_pw_vhost;

/* ADD of all pods by the reference plugin `type`; `body` are members of its configuration. */
int nb_reference_add(struct nb_site *s, const char *type, const char *body, struct pw_err *err);

#endif
