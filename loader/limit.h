/* SPDX-License-Identifier: Apache-2.0 */
/* Bandwidth limits of endpoints: a value in pw_limits and a program for each direction. For the
 * files of this folder; callers outside say it in struct pw_endpoint. */
#ifndef PW_LOADER_LIMIT_H
#define PW_LOADER_LIMIT_H

#include "loader/dp.h"

/* What programs make of it: bytes per second, and how far ahead departure times may run. */
struct pw_limit pw_limit_value(const struct pw_bandwidth *b, uint32_t slot);

/* Set or take off both directions' limits. Its programs come before the others of the endpoint's
 * hooks: called after these are attached. */
int pw_limit_apply(struct pw_dp *dp, const struct pw_endpoint *ep, uint32_t slot,
                   struct pw_err *err);
/* -ESTALE when limits or programs are not as pw_limit_apply leaves them. */
int pw_limit_check(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err);
/* Remove the values of a device that is gone, or going; its links go as the others do. */
int pw_limit_forget(struct pw_dp *dp, uint32_t ifindex, struct pw_err *err);
/* Remove values of devices that do not exist any more; adds to *removed. */
int pw_limit_sweep(struct pw_dp *dp, size_t *removed, struct pw_err *err);

#endif
