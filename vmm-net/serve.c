// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define RETRY_MS 100 /* between attempts to connect */
#define ACCEPTS_AT_ONCE 16

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

static int unix_socket(struct pw_err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? pw_err_errno(err, -errno, "unix socket") : fd;
}

static int address(struct sockaddr_un *a, const char *path, struct pw_err *err)
{
    if (!*path || strlen(path) >= sizeof(a->sun_path))
        return pw_err_set(err, -ENAMETOOLONG, "socket path %s: 1 to %zu characters", path,
                          sizeof(a->sun_path) - 1);
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, path, strlen(path));
    return 0;
}

/* Of the socket itself: whoever may write to its folder could have put something else there. */
static int give(const char *path, uid_t uid, gid_t gid, struct pw_err *err)
{
    pw_fd fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        return pw_err_errno(err, -errno, "socket %s", path);
    if (!S_ISSOCK(st.st_mode))
        return pw_err_set(err, -ENOTSOCK, "socket %s was replaced by something else", path);
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH))
        return pw_err_errno(err, -errno, "owner of socket %s", path);
    return 0;
}

int vn_server_listen(struct vn_server *s, const char *path, mode_t mode, uid_t uid, gid_t gid,
                     struct pw_err *err)
{
    struct sockaddr_un a;
    struct stat st;
    int rc = address(&a, path, err);
    if (rc)
        return rc;
    pw_fd fd = unix_socket(err);
    if (fd < 0)
        return fd;

    if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
        /* Left behind by one that was killed: nobody answers. Somebody who does keeps it. */
        pw_fd probe = unix_socket(err);
        if (probe < 0)
            return probe;
        if (!connect(probe, (struct sockaddr *)&a, sizeof(a)) || errno != ECONNREFUSED)
            return pw_err_set(err, -EADDRINUSE, "socket %s is in use", path);
        (void)unlink(path);
    }
    /* Mode before it can be connected to: nobody gets in while it is still open to all. */
    mode_t old = umask(0777 & ~mode);
    rc = bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
    umask(old);
    if (rc)
        return pw_err_errno(err, rc, "bind %s", path);
    if (uid != (uid_t)-1 || gid != (gid_t)-1)
        rc = give(path, uid, gid, err);
    if (rc)
        return rc;
    if (listen(fd, 16))
        return pw_err_errno(err, -errno, "listen on %s", path);
    s->listen = PW_TAKE_FD(fd);
    return 0;
}

int vn_server_connect(struct vn_server *s, const char *path, struct pw_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char dir[4096] = ".";

    if (!*name || strlen(name) >= sizeof(s->name))
        return pw_err_set(err, -ENAMETOOLONG, "socket path %s: bad name", path);
    if (slash) {
        size_t n = slash == path ? 1 : (size_t)(slash - path);
        if (n >= sizeof(dir))
            return pw_err_set(err, -ENAMETOOLONG, "socket path %s", path);
        memcpy(dir, path, n);
        dir[n] = '\0';
    }
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | O_CLOEXEC);
    if (fd < 0)
        fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pw_err_errno(err, -errno, "open directory %s", dir);
    s->dir = fd;
    memcpy(s->name, name, strlen(name) + 1);
    return 0;
}

int vn_server_fd(struct vn_server *s, int fd, struct pw_err *err)
{
    int listening = 0, family = 0, type = 0;
    socklen_t len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) || family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len))
        return pw_err_set(err, -ENOTSOCK, "descriptor %d is not a unix stream socket", fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK))
        return pw_err_errno(err, -errno, "descriptor %d", fd);
    if (listening)
        s->listen = fd;
    else
        s->connected = fd;
    return 0;
}

void vn_server_close(struct vn_server *s)
{
    pw_closep(&s->listen);
    pw_closep(&s->connected);
    pw_closep(&s->dir);
}

static bool allowed(const struct vn_server *s, int fd)
{
    struct ucred c;
    socklen_t len = sizeof(c);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len))
        return false;
    for (unsigned i = 0; i < s->nallow; i++)
        if (s->allow[i] == c.uid)
            return true;
    return s->has_group && s->group == c.gid;
}

/* Take who is waiting; all but the first allowed one are turned away at once. */
static void accept_waiting(struct vmmnet *net, struct vmmnet_stats *stats, struct vn_server *s)
{
    for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
        pw_fd fd = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (vmmnet_fd(net) >= 0 || !allowed(s, fd) || vmmnet_connection(net, fd, NULL)) {
            __atomic_store_n(&stats->refused, stats->refused + 1, __ATOMIC_RELAXED);
            continue;
        }
        (void)PW_TAKE_FD(fd); /* the device's now */
    }
}

static void try_connect(struct vmmnet *net, struct vn_server *s)
{
    struct sockaddr_un a;

    if (address(&a, s->name, NULL))
        return;
    pw_fd fd = unix_socket(NULL);
    if (fd < 0)
        return;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) || vmmnet_connection(net, fd, NULL))
        return;
    (void)PW_TAKE_FD(fd);
}

int vn_serve(struct vmmnet *net, struct vmmnet_stats *stats, struct vn_server *s, int stop,
             struct pw_err *err)
{
    if (s->connected >= 0) {
        int rc = vmmnet_connection(net, s->connected, err);
        if (rc)
            return rc;
        s->connected = -1;
    }

    bool lost = false; /* just now: a VMM that hangs up is not besieged */
    for (;;) {
        int front = vmmnet_fd(net);
        if (front < 0 && s->dir >= 0 && !lost) {
            try_connect(net, s);
            front = vmmnet_fd(net);
        }
        struct pollfd p[3] = {
            {.fd = stop, .events = POLLIN},
            {.fd = s->listen, .events = POLLIN},
            {.fd = front, .events = POLLIN},
        };
        if (poll(p, 3, front < 0 && s->dir >= 0 ? RETRY_MS : -1) < 0 && errno != EINTR)
            return pw_err_errno(err, -errno, "poll");
        if (p[0].revents)
            return 0;
        lost = p[2].revents && vmmnet_handle(net, NULL) < 0;
        if (lost && (s->once || (s->listen < 0 && s->dir < 0)))
            return 0;
        if (p[1].revents)
            accept_waiting(net, stats, s);
    }
}
