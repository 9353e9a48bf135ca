/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device of a pod by what its runtime does not tell, such as its RuntimeClass: podwired on this
 * node knows, and is asked by a socket. It has seconds; ADD never hangs, and fails for it only
 * where the configuration says so. (The other end, and what is said: agent/lookup.h.)
 */
#ifndef PW_CNI_LOOKUP_H
#define PW_CNI_LOOKUP_H

#include "cni/conf.h"

/* Keys "lookup" and "lookupRequired" of the configuration. PW_CNI_CONF. */
int pw_lookup_read(struct pw_netconf *conf, struct pw_err *err);
/* Ask where the configuration wants it and nothing has chosen yet, and put the answer into it; it
 * must stay where it is from then on. PW_CNI_AGAIN without an answer, when it is required. */
int pw_lookup_device(struct pw_netconf *conf, const struct pw_env *env, struct pw_err *err);

/* Put an answer into it, whoever has sent it. Without effect when it fails. Pure. */
int pw_lookup_take(struct pw_netconf *conf, const char *text, size_t len, struct pw_err *err);

#endif
