/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a device that netlink cannot change, in the namespace that the thread is in. */
#ifndef PW_CNI_SYSCTL_H
#define PW_CNI_SYSCTL_H

#include "loader/base/err.h"

/* Set net.ipv6.conf.IFNAME.KEY to the digit `want`, unless it is that already: writing takes the
 * lock of all network configuration. Success where the kernel has no such key. */
int pw_sysctl_ipv6(const char *ifname, const char *key, char want, struct pw_err *err);

#endif
