/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that read the configuration. */
#ifndef PW_CNI_CONF_INT_H
#define PW_CNI_CONF_INT_H

#include "cni/conf.h"

/* What is asked for by the pod or its runtime, into `c`, whose root is read; what only an ADD acts
 * on fails an ADD only. */
int pw_netconf_read_asked(struct pw_netconf *c, const struct pw_env *env, struct pw_err *err);

#endif
