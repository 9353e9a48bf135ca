/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out a plan: the pair of devices, the pod's side, the node's side. */
#ifndef PW_CNI_IFACE_H
#define PW_CNI_IFACE_H

#include "cni/netns.h"
#include "cni/plan.h"

/* Make the pair; both ends stay down (the pod's without carrier). `host` is the host end, read
 * back. PW_CNI_EXISTS where a name is taken. */
int pw_iface_create(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                    struct pw_link *host, struct pw_err *err);

/* Addresses, neighbours and routes in the pod. `skipped[i]` is set for routes of the plan that
 * another interface of the pod has already; it has plan->n_routes elements. */
int pw_iface_configure_pod(const struct pw_plan *plan, const struct pw_netns *ns,
                           const char *ifname, uint32_t ifindex, bool *skipped, struct pw_err *err);

/* Routes and neighbours on the node, and the host end up: from then on packets pass. */
int pw_iface_configure_host(struct pw_nl *nl, const struct pw_plan *plan, uint32_t ifindex,
                            struct pw_err *err);

#endif
