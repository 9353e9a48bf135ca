/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/sysctl.h"

#include <fcntl.h>
#include <stdio.h>

#include "loader/base/cleanup.h"

int pw_sysctl_ipv6(const char *ifname, const char *key, char want, struct pw_err *err)
{
    char path[128], is = '\0';

    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", ifname, key);
    pw_fd fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || pread(fd, &is, 1, 0) != 1)
        return pw_err_errno(err, -errno, "%s", path);
    if (is != want && pwrite(fd, &want, 1, 0) != 1)
        return pw_err_errno(err, -errno, "set %s to %c", path, want);
    return 0;
}
