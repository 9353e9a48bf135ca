/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the CNI specification, one file each. All return 0 or what err.code says. */
#ifndef PW_CNI_CMD_H
#define PW_CNI_CMD_H

#include "cni/req.h"
#include "cni/state.h"

/* `answer` gets the result as a new reference. */
int pw_cmd_add(const struct pw_req *req, json_t **answer, struct pw_err *err);
int pw_cmd_del(const struct pw_req *req, struct pw_err *err);
int pw_cmd_check(const struct pw_req *req, struct pw_err *err);
int pw_cmd_status(const struct pw_req *req, struct pw_err *err);
int pw_cmd_gc(const struct pw_req *req, struct pw_err *err);
json_t *pw_cmd_version(enum pw_version version);

/* The same for whoever stands behind another plugin (cni/cmd_redirect.c). */
int pw_redirect_add(const struct pw_req *req, json_t **answer, struct pw_err *err);
int pw_redirect_del(const struct pw_req *req, struct pw_err *err);
int pw_redirect_check(const struct pw_req *req, struct pw_err *err);
int pw_redirect_gc(struct pw_err *err);

/* Take away what an attachment has in the kernel: devices (and with them addresses and routes),
 * programs, map entries. `st` as far as it is known: container_id and ifname always. Goes on after
 * a failure and returns the first. */
int pw_detach_endpoint(const struct pw_state *st, struct pw_err *err);

/* Whether the pod has what `want` says, with the thread in its namespace. PW_CNI_CHECK when not. */
int pw_check_pod(const struct pw_state *st, const struct pw_ip_result *want, struct pw_err *err);

#endif
