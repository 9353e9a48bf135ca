/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the back-end gives up before the first guest byte. Two steps, since threads and devices are
 * made between them: confine() takes namespaces and privileges, filter() the system calls.
 */
#ifndef PW_VMM_SANDBOX_H
#define PW_VMM_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "loader/base/err.h"

#define VN_SANDBOX_VHOST_NET "/vhost-net"

/*
 * Empty mount, network, IPC and UTS namespaces, an empty read-only root, no supplementary groups,
 * this uid and gid, no capability and no way to gain one, no core files. Everything that needs a
 * path or a privilege is open by now. Started without root it uses a user namespace of its own
 * and keeps its ids; where that is not allowed either, only the parts that need nothing remain.
 * No PID namespace: the filter leaves no system call that takes a PID.
 *
 * `vhost_net` (with root only): that one device lies in the root, as VN_SANDBOX_VHOST_NET, so that
 * a back-end that is started again after a death can open it anew: the kernel ties an open one to
 * the memory of the process that used it.
 */
int vn_sandbox_confine(uid_t uid, gid_t gid, bool vhost_net, struct pw_err *err);

/*
 * Allow only the system calls that moving frames and handling messages take, in every thread; any
 * other ends the process. Not to be undone. `vhost_net`: and those that hand rings to the kernel.
 */
int vn_sandbox_filter(bool vhost_net, struct pw_err *err);

#endif
