/* SPDX-License-Identifier: Apache-2.0 */
/* Running a delegated IPAM plugin (CNI 1.1.0, section 4, "Delegated plugin execution procedure").
 */
#ifndef PW_CNI_IPAM_EXEC_H
#define PW_CNI_IPAM_EXEC_H

#include "cni/req.h"

/*
 * Find conf.ipam_type in CNI_PATH and run it with our environment (CNI_COMMAND set to `command`),
 * our stdin byte for byte, and our stderr. Its error comes back with its own code. `answer` (may
 * be NULL) gets its stdout as a new reference. It is killed, with what it started, after
 * conf.ipam_timeout seconds: PW_CNI_AGAIN.
 */
int pw_ipam_exec(const struct pw_req *req, const char *command, json_t **answer,
                 struct pw_err *err);

#endif
