/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of kinds whose other end is a virtual machine's tap: in the node's namespace, where the
 * tap is the host end itself, or in the pod's, joined to the pod's interface.
 */
#ifndef PW_CNI_GUEST_H
#define PW_CNI_GUEST_H

#include "cni/iface.h"
#include "cni/state.h"

/* What the guest of a planned attachment needs to know, of the result made for it: see
 * loader/guest.h. New reference, or NULL without memory. */
json_t *pw_guest_describe(const struct pw_plan *plan, const struct pw_req *req,
                          const json_t *result);

/* What it is told when it asks: options of answers, from the plan and the network's DNS (a CNI
 * "dns" object, or NULL). PW_CNI_CONF where they cannot be told. */
int pw_guest_autoconf(const struct pw_plan *plan, const json_t *dns, struct pw_guest *out,
                      struct pw_err *err);

/*
 * A tap in the thread's namespace, with a socket of that namespace; it stays down. What the kernel
 * tells back decides: before a tap has its owner anybody could open a further queue.
 */
int pw_guest_make_tap(struct pw_nl *nl, const struct pw_tap *tap, uint32_t mtu,
                      struct pw_link *link, struct pw_err *err);
/* Delete the tap beside an interface, with the thread inside; `beside` is that one's number in case
 * it is gone, or 0. Found by its number: another of the same name is not ours. Success when gone.
 */
int pw_guest_remove_tap(const char *ifname, uint32_t beside, struct pw_err *err);

/* The back-end that a configuration asks for; PW_CNI_CONF when it cannot be run. */
int pw_guest_backend_program(const struct pw_netconf *conf, char out[256], struct pw_err *err);

/* See struct pw_kind. */
int pw_guest_create_tap(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                        struct pw_made *made, struct pw_err *err);
int pw_guest_create_joined(struct pw_nl *nl, const struct pw_plan *plan, const struct pw_netns *ns,
                           struct pw_made *made, struct pw_err *err);
int pw_guest_configure_joined(struct pw_dp *dp, const struct pw_plan *plan, const char *ifname,
                              const struct pw_made *made, bool *skipped, struct pw_err *err);
int pw_guest_check_joined(const struct pw_state *st, const struct pw_ip_result *want,
                          struct pw_err *err);
int pw_guest_remove_joined(const struct pw_state *st, struct pw_err *err);

#endif
