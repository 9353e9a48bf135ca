/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>
#include <linux/nsfs.h>

#include "loader/base/cleanup.h"

int pw_netns_open(struct pw_netns *ns, const char *path, struct pw_err *err)
{
    struct statfs fs;
    struct stat theirs, own;
    /* Not to hang on what turns out to be a FIFO. */
    pw_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return pw_err_set(err, errno == ENOENT || errno == ENOTDIR ? PW_CNI_CONTAINER : PW_CNI_IO,
                          "network namespace %.300s: %s", path, strerrordesc_np(errno));
    if (fstatfs(fd, &fs) || fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        return pw_err_set(err, PW_CNI_NETNS, "%.300s is no network namespace", path);
    pw_fd host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (host < 0 || fstat(host, &own) || fstat(fd, &theirs))
        return pw_err_set(err, PW_CNI_IO, "/proc/self/ns/net: %s", strerrordesc_np(errno));
    if (own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev)
        return pw_err_set(err, PW_CNI_NETNS, "%.300s is the node's own network namespace", path);
    ns->fd = PW_TAKE_FD(fd);
    ns->id = theirs.st_ino;
    ns->host = PW_TAKE_FD(host);
    return 0;
}

void pw_netns_close(struct pw_netns *ns)
{
    pw_closep(&ns->fd);
    pw_closep(&ns->host);
}

int pw_netns_enter(const struct pw_netns *ns, struct pw_err *err)
{
    if (setns(ns->fd, CLONE_NEWNET))
        return pw_err_errno(err, -errno, "enter the network namespace");
    return 0;
}

void pw_netns_leave(const struct pw_netns *ns)
{
    if (setns(ns->host, CLONE_NEWNET))
        abort();
}
