/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the back-end gives up before the first guest byte. Two steps, since threads and devices are
 * made between them: confine() takes namespaces and privileges, filter() the system calls.
 */
#ifndef VN_SANDBOX_H
#define VN_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "loader/base/err.h"

/*
 * Empty mount, network, IPC and UTS namespaces (with `children` a PID namespace for those that are
 * forked later, too: a process that makes one can start no threads itself), an empty read-only
 * root, no supplementary groups, this uid and gid, no capability and no way to gain one, no core
 * files. Everything that needs a path or a privilege is open by now. Started without root it uses a
 * user namespace of its own; where that is not allowed either, only the parts that need nothing
 * remain.
 */
int vn_sandbox_confine(uid_t uid, gid_t gid, bool children, struct pw_err *err);

/*
 * Allow only the system calls that moving frames and handling messages take, in every thread; any
 * other ends the process. Not to be undone.
 */
int vn_sandbox_filter(struct pw_err *err);

#endif
