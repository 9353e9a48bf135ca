/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of devices, one row each: what distinguishes them, and the steps in which they differ.
 * All else is common (cni/cmd_add.c, cni/cmd_check.c, cni/cmd_del.c).
 */
#ifndef PW_CNI_KIND_H
#define PW_CNI_KIND_H

#include "cni/iface.h"
#include "cni/state.h"

struct pw_kind {
    enum pw_device device;
    bool l2;    /* frames have MACs */
    bool guest; /* a virtual machine has the addresses: none is set in the pod's namespace */
    bool pod_tap;
    bool backend;                    /* a process of ours has the tap's queues (loader/vhost.h) */
    const struct pw_link_kind *link; /* what the host end is */

    /* Make the devices; all stay down (a pod's end: without carrier). */
    int (*create)(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                  struct pw_made *made, struct pw_err *err);
    /* Inside the pod's namespace, once the host end has its programs; NULL: nothing to do there. */
    int (*configure)(struct pw_dp *dp, const struct pw_plan *plan, const char *ifname,
                     const struct pw_made *made, bool *skipped, struct pw_err *err);
    /* PW_CNI_CHECK when what is inside is not as it was left. With the thread inside; or NULL. */
    int (*check)(const struct pw_state *st, const struct pw_ip_result *want, struct pw_err *err);
    /* Take away what does not go with the host end. With the thread inside; or NULL. */
    int (*remove)(const struct pw_state *st, struct pw_err *err);
};

/* Never NULL for what pw_plan_device chose; NULL for a number that is unknown. */
const struct pw_kind *pw_kind_of(enum pw_device device);

#endif
