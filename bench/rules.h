/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that real nodes have, and device features that `ip` cannot set. */
#ifndef PW_BENCH_RULES_H
#define PW_BENCH_RULES_H

#include "bench/site.h"

/* Load what kube-proxy would for `n` Services with one endpoint each, in its nftables or its
 * iptables shape, with conntrack and the drop of INVALID packets. */
int nb_rules_load(const struct nb_spot *at, enum nb_rules kind, int family, unsigned n,
                  struct pw_err *err);
/* Of how many Services the node at a spot holds the rules, as the kernel tells them, or a negative
 * errno. */
int nb_rules_held(const struct nb_spot *at, enum nb_rules kind, int family, struct pw_err *err);

/* Switch generic receive offload of a device; devices without it are left alone. */
void nb_set_gro(const struct nb_spot *at, const char *dev, bool on);
/* 1, 0, or -1 where the device does not say. */
int nb_get_gro(const struct nb_spot *at, const char *dev);

#endif
