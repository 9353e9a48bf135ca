/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/pin.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"

#define CURRENT_TARGET "progs/"
#define CURRENT_NEW PW_PIN_DIR "/current-new"

/* What pw_obj_build() makes: nothing that leads out of the folder. */
static bool build_ok(const char *build)
{
    size_t n = strspn(build, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+");
    return n > 0 && n < PW_BUILD_LEN && build[n] == '\0';
}

int pw_pin_current(struct pw_current *out, struct pw_err *err)
{
    const size_t skip = sizeof(CURRENT_TARGET) - 1;
    char target[sizeof(CURRENT_TARGET) + PW_BUILD_LEN];
    struct stat st;
    ssize_t n = readlink(PW_PIN_CURRENT, target, sizeof(target) - 1);

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return pw_err_set(err, -ENOENT, "no datapath is loaded");
    if (n < 0)
        return pw_err_errno(err, -errno, "read %s", PW_PIN_CURRENT);
    target[n] = '\0';
    if (strncmp(target, CURRENT_TARGET, skip) != 0 || !build_ok(target + skip))
        return pw_err_set(err, -EPROTO, "%s points to '%s': not made by podwire", PW_PIN_CURRENT,
                          target);
    if (lstat(PW_PIN_CURRENT, &st) < 0)
        return pw_err_errno(err, -errno, "read %s", PW_PIN_CURRENT);
    memcpy(out->build, target + skip, strlen(target + skip) + 1); /* build_ok: it fits */
    out->ino = st.st_ino;
    return 0;
}

int pw_pin_set_current(const char *build, struct pw_err *err)
{
    char target[sizeof(CURRENT_TARGET) + PW_BUILD_LEN];

    snprintf(target, sizeof(target), CURRENT_TARGET "%s", build);
    unlink(CURRENT_NEW); /* a killed process may have left it */
    if (symlink(target, CURRENT_NEW) < 0)
        return pw_err_errno(err, -errno, "make %s", CURRENT_NEW);
    if (rename(CURRENT_NEW, PW_PIN_CURRENT) < 0)
        return pw_err_errno(err, -errno, "make %s", PW_PIN_CURRENT);
    return 0;
}

int pw_pin_check_fs(struct pw_err *err)
{
    struct statfs fs;

    if (statfs(PW_PIN_DIR, &fs) == 0 || statfs("/sys/fs/bpf", &fs) == 0) {
        if ((unsigned long)fs.f_type == BPF_FS_MAGIC && (fs.f_flags & ST_RDONLY))
            return pw_err_set(err, -EROFS,
                              "bpffs at /sys/fs/bpf is mounted read-only (mount -o remount,rw "
                              "/sys/fs/bpf)");
        if ((unsigned long)fs.f_type == BPF_FS_MAGIC)
            return 0;
    }
    return pw_err_set(err, -ENOTSUP,
                      "no bpffs at /sys/fs/bpf (mount -t bpf bpf /sys/fs/bpf, and in /etc/fstab)");
}

int pw_pin_make_dirs(struct pw_err *err)
{
    static const char *const dirs[] = {PW_PIN_DIR, PW_PIN_MAPS, PW_PIN_PROGS, PW_PIN_LINKS};

    for (size_t i = 0; i < PW_ARRAY_SIZE(dirs); i++) {
        int rc = pw_dir_ensure(dirs[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

int pw_pin_each(const char *dir, int (*fn)(const char *name, void *arg, struct pw_err *err),
                void *arg, struct pw_err *err)
{
    pw_dir *d = opendir(dir);
    const struct dirent *e;
    int rc = 0;

    if (!d)
        return errno == ENOENT ? 0 : pw_err_errno(err, -errno, "list %s", dir);
    while (!rc && (errno = 0, e = readdir(d))) {
        if (e->d_name[0] != '.')
            rc = fn(e->d_name, arg, err);
    }
    if (!rc && errno)
        rc = pw_err_errno(err, -errno, "list %s", dir);
    return rc;
}

struct remove_in {
    const char *dir;
};

static int remove_entry(const char *name, void *arg, struct pw_err *err)
{
    const struct remove_in *in = arg;
    char path[PW_PIN_PATH];

    snprintf(path, sizeof(path), "%s/%.100s", in->dir, name);
    if (unlink(path) < 0 && errno != ENOENT)
        return pw_err_errno(err, -errno, "remove %s", path);
    return 0;
}

int pw_pin_remove(const char *path, struct pw_err *err)
{
    struct remove_in in = {path};
    struct stat st;
    int rc;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : pw_err_errno(err, -errno, "remove %s", path);
    if (!S_ISDIR(st.st_mode)) {
        if (unlink(path) < 0 && errno != ENOENT)
            return pw_err_errno(err, -errno, "remove %s", path);
        return 0;
    }
    /* bpffs lists newest first and forgets its place when entries go: repeat until it is empty. */
    for (int tries = 0;; tries++) {
        rc = pw_pin_each(path, remove_entry, &in, err);
        if (rc)
            return rc;
        if (rmdir(path) == 0 || errno == ENOENT)
            return 0;
        if (errno != ENOTEMPTY || tries == 8)
            return pw_err_errno(err, -errno, "remove %s", path);
    }
}

static int find_abi(const char *name, void *arg, struct pw_err *err)
{
    unsigned *abi = arg;
    char *end;

    (void)err;
    if (strncmp(name, "maps-", 5) != 0 || *abi == PW_ABI)
        return 0;
    unsigned long n = strtoul(name + 5, &end, 10);
    if (name[5] && !*end && n && n <= 99999)
        *abi = (unsigned)n;
    return 0;
}

unsigned pw_pin_abi(void)
{
    unsigned abi = 0;

    pw_pin_each(PW_PIN_DIR, find_abi, &abi, NULL);
    return abi;
}

int pw_pin_check_abi(struct pw_err *err)
{
    unsigned abi = pw_pin_abi();

    if (abi == 0 || abi == PW_ABI)
        return 0;
    return pw_err_set(err, -EPROTO,
                      "the datapath that is loaded has ABI %u, this version has %d: remove the "
                      "node's pods and run `podwirectl unload` of the version that loaded it",
                      abi, PW_ABI);
}

static int open_lock(const char *path, struct pw_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 && errno == ENOENT) {
        int rc = pw_dir_ensure(PW_RUN_DIR, err);
        if (rc)
            return rc;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    }
    return fd < 0 ? pw_err_errno(err, -errno, "open %s", path) : fd;
}

/* `how` as flock(2) has it. */
static int lock_file(const char *path, int how, struct pw_err *err)
{
    for (;;) {
        struct stat st;
        pw_fd fd = open_lock(path, err);
        if (fd < 0)
            return fd;
        if (flock(fd, how) < 0) {
            if (errno == EINTR)
                continue;
            return pw_err_errno(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "lock %s", path);
        }
        if (fstat(fd, &st) < 0)
            return pw_err_errno(err, -errno, "lock %s", path);
        /* An unload that was waited for has removed the file: lock the new one. */
        if (st.st_nlink > 0)
            return PW_TAKE_FD(fd);
    }
}

int pw_lock(enum pw_lock_kind kind, struct pw_err *err)
{
    return lock_file(PW_LOCK_FILE, kind == PW_LOCK_SHARED ? LOCK_SH : LOCK_EX, err);
}

int pw_lock_agent(struct pw_err *err)
{
    return lock_file(PW_AGENT_LOCK_FILE, LOCK_EX | LOCK_NB, err);
}
