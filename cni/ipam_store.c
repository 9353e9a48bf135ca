/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ipam_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"

#define BLOCK_BITS 65536U
#define BLOCK_BYTES (BLOCK_BITS / 8)
#define OWNER_MAX 64 /* addresses in an owner's file */

static int set_dirty(struct pw_store *s, bool dirty, struct pw_err *err)
{
    if (pwrite(s->lock, dirty ? "1" : "0", 1, 0) != 1)
        return pw_err_errno(err, -errno, "address store: mark a change");
    return 0;
}

size_t pw_store_parse(const char *text, size_t len, struct pw_addr *out, size_t max)
{
    size_t n = 0;

    while (len && n < max) {
        const char *nl = memchr(text, '\n', len);
        size_t line = nl ? (size_t)(nl - text) : len;
        char buf[PW_ADDR_STRLEN];
        if (line < sizeof(buf)) {
            memcpy(buf, text, line);
            buf[line] = '\0';
            n += pw_addr_parse(buf, &out[n], NULL) == 0;
        }
        line += nl != NULL;
        text += line;
        len -= line;
    }
    return n;
}

/* ---- bit maps ---- */

static void block_name(int family, pw_num base, char name[64])
{
    struct pw_addr a = pw_num_addr(base, family);
    char text[PW_ADDR_STRLEN];
    snprintf(name, 64, "used-%s", pw_addr_text(&a, false, text));
}

/* Read a block; one that was never written is all free. */
static int block_read(struct pw_store *s, int family, pw_num base, uint8_t map[BLOCK_BYTES],
                      struct pw_err *err)
{
    char name[64];

    block_name(family, base, name);
    pw_fd fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    if (fd >= 0)
        n = pread(fd, map, BLOCK_BYTES, 0);
    else if (errno != ENOENT)
        n = -1;
    if (n < 0)
        return pw_err_errno(err, -errno, "address store: read %s", name);
    memset(map + n, 0, BLOCK_BYTES - (size_t)n);
    return 0;
}

static int set_used(struct pw_store *s, const struct pw_addr *a, bool used, struct pw_err *err)
{
    pw_num n = pw_addr_num(a);
    unsigned bit = (unsigned)(n % BLOCK_BITS);
    uint8_t byte = 0;
    char name[64];

    block_name(a->family, n - bit, name);
    pw_fd fd = openat(s->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pread(fd, &byte, 1, bit / 8) < 0)
        return pw_err_errno(err, -errno, "address store: %s", name);
    byte = (uint8_t)(used ? byte | 1U << bit % 8 : byte & ~(1U << bit % 8));
    if (pwrite(fd, &byte, 1, bit / 8) != 1)
        return pw_err_errno(err, -errno, "address store: write %s", name);
    return 0;
}

int pw_store_is_used(struct pw_store *s, const struct pw_addr *a, bool *used, struct pw_err *err)
{
    uint8_t map[BLOCK_BYTES];
    pw_num n = pw_addr_num(a);
    unsigned bit = (unsigned)(n % BLOCK_BITS);
    int rc = block_read(s, a->family, n - bit, map, err);

    if (!rc)
        *used = map[bit / 8] >> bit % 8 & 1;
    return rc;
}

int pw_store_find(struct pw_store *s, int family, pw_num from, pw_num to, pw_num *out, bool *found,
                  struct pw_err *err)
{
    uint8_t map[BLOCK_BYTES];

    *found = false;
    while (from <= to) {
        unsigned bit = (unsigned)(from % BLOCK_BITS);
        pw_num base = from - bit;
        int rc = block_read(s, family, base, map, err);
        if (rc)
            return rc;
        for (; bit < BLOCK_BITS && base + bit <= to; bit++) {
            if (bit % 8 == 0 && map[bit / 8] == 0xff) {
                bit += 7;
                continue;
            }
            if (!(map[bit / 8] >> bit % 8 & 1)) {
                *out = base + bit;
                *found = true;
                return 0;
            }
        }
        if (to - base < BLOCK_BITS)
            break;
        from = base + BLOCK_BITS;
    }
    return 0;
}

int pw_store_count(struct pw_store *s, int family, pw_num from, pw_num to, size_t enough, size_t *n,
                   struct pw_err *err)
{
    uint8_t map[BLOCK_BYTES];

    *n = 0;
    while (from <= to && *n < enough) {
        unsigned bit = (unsigned)(from % BLOCK_BITS);
        pw_num base = from - bit;
        size_t before = *n;
        int rc = block_read(s, family, base, map, err);
        if (rc)
            return rc;
        for (; bit < BLOCK_BITS && base + bit <= to; bit++)
            *n += map[bit / 8] >> bit % 8 & 1;
        /* A block that has room is all that the callers want to know of large ranges. */
        if (to - base < BLOCK_BITS || *n - before < BLOCK_BITS / 2)
            break;
        from = base + BLOCK_BITS;
    }
    return 0;
}

/* ---- owners ---- */

static void owner_path(const char *owner, char path[300])
{
    snprintf(path, 300, "owners/%s", owner);
}

int pw_store_owned(struct pw_store *s, const char *owner, struct pw_addr *out, size_t max,
                   size_t *n, struct pw_err *err)
{
    char path[300], text[OWNER_MAX * PW_ADDR_STRLEN];

    owner_path(owner, path);
    *n = 0;
    pw_fd fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
    if (len < 0)
        return pw_err_errno(err, -errno, "address store: read %s", path);
    *n = pw_store_parse(text, (size_t)len, out, max);
    return 0;
}

static int write_owner(struct pw_store *s, const char *owner, const struct pw_addr *addrs, size_t n,
                       struct pw_err *err)
{
    char path[300], text[OWNER_MAX * PW_ADDR_STRLEN], buf[PW_ADDR_STRLEN];
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n",
                                pw_addr_text(&addrs[i], false, buf));
    owner_path(owner, path);
    pw_fd fd = openat(s->dir, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || renameat(s->dir, "new", s->dir, path))
        return pw_err_errno(err, errno ? -errno : -EIO, "address store: write %s", path);
    return 0;
}

static int rebuild(struct pw_store *s, struct pw_err *err);

int pw_store_take(struct pw_store *s, const char *owner, const struct pw_addr *addrs, size_t n,
                  struct pw_err *err)
{
    if (n > OWNER_MAX)
        return pw_err_set(err, -E2BIG, "address store: more than %d addresses", OWNER_MAX);
    int rc = set_dirty(s, true, err);
    for (size_t i = 0; i < n && !rc; i++)
        rc = set_used(s, &addrs[i], true, err);
    if (!rc)
        rc = write_owner(s, owner, addrs, n, err);
    if (!rc)
        rc = set_dirty(s, false, err);
    if (rc) {
        /* The maps are made anew from the owners; where that fails too, the mark stays and the next
         * to come does it. */
        struct pw_err ignored = PW_ERR_INIT;
        char path[300];
        owner_path(owner, path);
        unlinkat(s->dir, path, 0);
        rebuild(s, &ignored);
    }
    return rc;
}

int pw_store_release(struct pw_store *s, const char *owner, struct pw_err *err)
{
    struct pw_addr addrs[OWNER_MAX];
    char path[300];
    size_t n;
    int rc = pw_store_owned(s, owner, addrs, OWNER_MAX, &n, err);

    if (rc)
        return rc;
    owner_path(owner, path);
    rc = set_dirty(s, true, err);
    if (!rc && unlinkat(s->dir, path, 0) && errno != ENOENT)
        rc = pw_err_errno(err, -errno, "address store: remove %s", path);
    for (size_t i = 0; i < n && !rc; i++)
        rc = set_used(s, &addrs[i], false, err);
    return rc ? rc : set_dirty(s, false, err);
}

int pw_store_sweep(struct pw_store *s, bool (*keep)(const char *owner, void *arg), void *arg,
                   struct pw_err *err)
{
    int fd = openat(s->dir, "owners", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pw_dir *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    int rc = 0;

    if (!d)
        return pw_err_errno(err, -errno, "address store: list owners");
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || keep(e->d_name, arg))
            continue;
        int one = pw_store_release(s, e->d_name, rc ? NULL : err);
        if (one && !rc)
            rc = one;
    }
    return rc;
}

/* ---- last ---- */

static void last_name(const struct pw_addr *first, char name[64])
{
    char text[PW_ADDR_STRLEN];
    snprintf(name, 64, "last-%s", pw_addr_text(first, false, text));
}

void pw_store_last(struct pw_store *s, const struct pw_addr *first, struct pw_addr *out)
{
    char name[64], text[PW_ADDR_STRLEN];

    last_name(first, name);
    *out = (struct pw_addr){0};
    pw_fd fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n <= 0 || pw_store_parse(text, (size_t)n, out, 1) != 1 || out->family != first->family)
        *out = (struct pw_addr){0};
}

int pw_store_set_last(struct pw_store *s, const struct pw_addr *first, const struct pw_addr *last,
                      struct pw_err *err)
{
    char name[64], addr[PW_ADDR_STRLEN], text[PW_ADDR_STRLEN + 2];

    last_name(first, name);
    snprintf(text, sizeof(text), "%s\n", pw_addr_text(last, false, addr));
    pw_fd fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return pw_err_errno(err, -errno, "address store: write %s", name);
    return 0;
}

/* ---- open ---- */

/* And what a killed process had begun to write. */
static int forget_maps(struct pw_store *s, struct pw_err *err)
{
    int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pw_dir *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!d)
        return pw_err_errno(err, -errno, "address store: list");
    while ((e = readdir(d)))
        if ((strncmp(e->d_name, "used-", 5) == 0 || strcmp(e->d_name, "new") == 0) &&
            unlinkat(s->dir, e->d_name, 0))
            return pw_err_errno(err, -errno, "address store: remove %s", e->d_name);
    return 0;
}

static int rebuild(struct pw_store *s, struct pw_err *err)
{
    struct pw_addr addrs[OWNER_MAX];
    struct dirent *e;
    size_t n;
    int rc = forget_maps(s, err);
    if (rc)
        return rc;
    int fd = openat(s->dir, "owners", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pw_dir *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return pw_err_errno(err, -errno, "address store: list owners");
    while (!rc && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        rc = pw_store_owned(s, e->d_name, addrs, OWNER_MAX, &n, err);
        for (size_t i = 0; !rc && i < n; i++)
            rc = set_used(s, &addrs[i], true, err);
    }
    return rc ? rc : set_dirty(s, false, err);
}

static int make_folders(const char *root, const char *network, struct pw_err *err)
{
    char path[400];
    size_t n = strlen(root);

    /* root, root/ipam, root/ipam/NETWORK */
    snprintf(path, sizeof(path), "%s/ipam/%s", root, network);
    for (;;) {
        char kept = path[n];
        path[n] = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return pw_err_errno(err, -errno, "make %s", path);
        path[n] = kept;
        if (!kept)
            return 0;
        n += 1 + strcspn(path + n + 1, "/");
    }
}

int pw_store_open(struct pw_store *s, const char *root, const char *network, bool create,
                  struct pw_err *err)
{
    char path[400], byte = '0';
    int rc;

    snprintf(path, sizeof(path), "%s/ipam/%s", root, network);
    pw_fd dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 && errno == ENOENT && create) {
        rc = make_folders(root, network, err);
        if (rc)
            return rc;
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir < 0)
        return pw_err_errno(err, -errno, "address store %s", path);
    pw_fd lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return pw_err_errno(err, -errno, "address store %s: lock", path);
    while (flock(lock, LOCK_EX))
        if (errno != EINTR)
            return pw_err_errno(err, -errno, "address store %s: lock", path);
    ssize_t n = pread(lock, &byte, 1, 0);
    /* An empty file: new, or whoever made it was killed before its first change. */
    if (n < 0 || (n == 0 && mkdirat(dir, "owners", 0700) && errno != EEXIST))
        return pw_err_errno(err, -errno, "address store %s: lock", path);
    struct pw_store opened = {dir, lock};
    if (byte != '0') {
        rc = rebuild(&opened, err);
        if (rc)
            return rc;
    }
    *s = (struct pw_store){PW_TAKE_FD(dir), PW_TAKE_FD(lock)};
    return 0;
}

void pw_store_close(struct pw_store *s)
{
    pw_closep(&s->lock);
    pw_closep(&s->dir);
}
