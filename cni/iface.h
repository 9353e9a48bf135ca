/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out a plan: the pair of devices, the pod's side, the node's side. */
#ifndef PW_CNI_IFACE_H
#define PW_CNI_IFACE_H

#include "cni/netns.h"
#include "cni/plan.h"

/* What was made, as the kernel tells it. */
struct pw_made {
    struct pw_link host;
    uint32_t pod_ifindex; /* 0: nothing in the pod's namespace */
};

/* Make the pair; both ends stay down (the pod's without carrier). PW_CNI_EXISTS where a name is
 * taken. */
int pw_iface_create(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                    struct pw_made *made, struct pw_err *err);

/* Addresses, neighbours and routes in the pod, with the thread inside. `skipped[i]` is set for
 * routes of the plan that another interface of the pod has already; it has plan->n_routes elements.
 */
int pw_iface_configure_pod(struct pw_dp *dp, const struct pw_plan *plan, const char *ifname,
                           const struct pw_made *made, bool *skipped, struct pw_err *err);

/* Routes and neighbours on the node, and the host end up: from then on packets pass. */
int pw_iface_configure_host(struct pw_nl *nl, const struct pw_plan *plan, uint32_t ifindex,
                            struct pw_err *err);

/* Wait until the pod's end sends what it is given. Its carrier came with the host end's going up,
 * and until the kernel's link watch has seen that, in its own time, what the pod sends is lost. */
int pw_iface_settle(const struct pw_netns *ns, uint32_t ifindex, struct pw_err *err);

#endif
