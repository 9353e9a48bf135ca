/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/fs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"

ssize_t pw_file_read(const char *path, void *buf, size_t size, struct pw_err *err)
{
    struct stat st;
    size_t len = 0;
    /* O_NONBLOCK: opening a FIFO that someone put there must not hang. */
    pw_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return pw_err_errno(err, -errno, "read %s", path);
    if (fstat(fd, &st) < 0)
        return pw_err_errno(err, -errno, "read %s", path);
    if (!S_ISREG(st.st_mode))
        return pw_err_set(err, -EINVAL, "read %s: not a regular file", path);
    for (;;) {
        char more;
        void *to = len < size ? (char *)buf + len : &more;
        ssize_t n = read(fd, to, len < size ? size - len : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pw_err_errno(err, -errno, "read %s", path);
        if (n == 0)
            return (ssize_t)len;
        if (len == size)
            return pw_err_set(err, -EFBIG, "read %s: more than %zu bytes", path, size);
        len += (size_t)n;
    }
}

ssize_t pw_file_read_text(const char *path, char *buf, size_t size, struct pw_err *err)
{
    ssize_t n = pw_file_read(path, buf, size - 1, err);

    if (n < 0)
        return n;
    while (n > 0 && buf[n - 1] == '\n')
        n--;
    buf[n] = '\0';
    return n;
}

static int write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int pw_file_replace(const char *path, const void *data, size_t n, struct pw_err *err)
{
    char tmp[4096];
    int rc;

    /* The process id keeps writers apart; what a killed one left under the same id is removed. */
    rc = snprintf(tmp, sizeof(tmp), "%s.%d", path, (int)getpid());
    if (rc < 0 || (size_t)rc >= sizeof(tmp))
        return pw_err_set(err, -ENAMETOOLONG, "write %.200s: name too long", path);
    unlink(tmp);
    pw_fd fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pw_err_errno(err, -errno, "create %s", tmp);
    rc = write_all(fd, data, n);
    if (!rc && rename(tmp, path) < 0)
        rc = -errno;
    if (rc) {
        unlink(tmp);
        return pw_err_errno(err, rc, "write %s", path);
    }
    return 0;
}

int pw_knob_write(const char *path, const char *value, struct pw_err *err)
{
    pw_fd fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return pw_err_errno(err, -errno, "write %s", path);
    int rc = write_all(fd, value, strlen(value));
    return rc ? pw_err_errno(err, rc, "write '%s' to %s", value, path) : 0;
}

int pw_dir_ensure(const char *path, struct pw_err *err)
{
    struct stat st;

    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return pw_err_errno(err, -errno, "make directory %s", path);
    if (lstat(path, &st) < 0)
        return pw_err_errno(err, -errno, "make directory %s", path);
    if (!S_ISDIR(st.st_mode))
        return pw_err_set(err, -ENOTDIR, "%s is there and is not a directory", path);
    return 0;
}
