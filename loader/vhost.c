/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/vhost.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "loader/base/addr.h"
#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/json.h"
#include "loader/nl/link.h"

#define RECORD_MAX 4096
#define FLOCK_MS 15000 /* longer than a start may take */

static void path_of(const char *tap, const char *suffix, char out[64])
{
    snprintf(out, 64, PW_VHOST_DIR "/%.15s%s", tap, suffix);
}

void pw_vhost_stats_path(const char *tap, char out[64])
{
    path_of(tap, ".stats", out);
}

/* ---- the program ---- */

int pw_vhost_default_program(char out[256], struct pw_err *err)
{
    static const char name[] = "podwire-vhost";
    char self[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return pw_err_errno(err, -errno, "read /proc/self/exe");
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash || (size_t)(slash + 1 - self) + sizeof(name) > sizeof(self))
        return pw_err_set(err, -ENAMETOOLONG, "%s beside %s: the path is too long", name, self);
    memcpy(slash + 1, name, sizeof(name));
    snprintf(out, 256, "%s", self);
    return 0;
}

int pw_vhost_program_check(const char *program, struct pw_err *err)
{
    if (access(program, X_OK) == 0)
        return 0;
    return pw_err_set(err, -ENOENT,
                      "the back-end %s cannot be run: %s (install podwire-vhost there, or name it "
                      "in \"vhostUser\": {\"program\": ...})",
                      program, strerror(errno));
}

/* ---- the record ---- */

static int write_record(int fd, const struct pw_vhost *v, const char *path, struct pw_err *err)
{
    char mac[PW_MAC_STRLEN];
    pw_json *o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:i, s:i, s:s}", "tap", v->tap,
                           "program", v->program, "socket", v->socket, "connect", v->connect,
                           "madeDir", v->made_dir, "vhostNet", v->vhost_net, "queues",
                           (int)v->queues, "mtu", (int)v->mtu, "mac", pw_mac_text(v->mac, mac));

    if (o && v->has_owner)
        json_object_set_new(o, "owner", json_integer(v->owner));
    if (o && v->has_group)
        json_object_set_new(o, "group", json_integer(v->group));
    pw_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text)
        return pw_err_errno(err, -ENOMEM, "write %s", path);
    errno = EIO;
    if (ftruncate(fd, 0) || pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
        return pw_err_errno(err, -errno, "write %s", path);
    return 0;
}

static uint32_t number(const json_t *o, const char *key, bool *has)
{
    const json_t *v = json_object_get(o, key);
    json_int_t n = json_integer_value(v);

    *has = json_is_integer(v) && n >= 0 && n <= UINT32_MAX;
    return *has ? (uint32_t)n : 0;
}

static bool text(const json_t *o, const char *key, char *out, size_t size)
{
    const char *s = json_string_value(json_object_get(o, key));
    int n = snprintf(out, size, "%s", s ? s : "");
    return n > 0 && (size_t)n < size;
}

static int parse(const char *data, size_t len, const char *tap, struct pw_vhost *out)
{
    pw_json *o = json_loadb(data, len, 0, NULL);
    struct pw_vhost v = {.connect = json_is_true(json_object_get(o, "connect")),
                         .made_dir = json_is_true(json_object_get(o, "madeDir")),
                         .vhost_net = json_is_true(json_object_get(o, "vhostNet"))};
    char mac[PW_MAC_STRLEN];
    bool queues, mtu;

    v.queues = number(o, "queues", &queues);
    v.mtu = number(o, "mtu", &mtu);
    v.owner = number(o, "owner", &v.has_owner);
    v.group = number(o, "group", &v.has_group);
    if (!queues || !mtu || !text(o, "tap", v.tap, sizeof(v.tap)) || strcmp(v.tap, tap) != 0 ||
        !text(o, "program", v.program, sizeof(v.program)) || v.program[0] != '/' ||
        !text(o, "socket", v.socket, sizeof(v.socket)) || v.socket[0] != '/' ||
        !text(o, "mac", mac, sizeof(mac)) || pw_mac_parse(mac, v.mac, NULL))
        return -EBADMSG;
    *out = v;
    return 0;
}

int pw_vhost_read(const char *tap, struct pw_vhost *out, struct pw_err *err)
{
    char path[64], data[RECORD_MAX];

    path_of(tap, ".json", path);
    ssize_t n = pw_file_read(path, data, sizeof(data), err);
    if (n < 0)
        return (int)n;
    if (parse(data, (size_t)n, tap, out))
        return pw_err_set(err, -EBADMSG, "%s cannot be understood", path);
    return 0;
}

/*
 * Open the record and have its flock, waiting for it at most `ms`: -EAGAIN. -ENOENT when there is
 * none, or it was removed meanwhile. Returns the descriptor.
 */
static int own(const char *tap, int flags, int ms, struct pw_err *err)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    char path[64];
    struct stat st;

    path_of(tap, ".json", path);
    pw_fd fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
    if (fd < 0)
        return pw_err_errno(err, -errno, "open %s", path);
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += 5) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return pw_err_errno(err, -errno, "lock %s", path);
        if (waited >= ms)
            return pw_err_set(err, -EAGAIN, "somebody else is busy with the back-end of %s", tap);
        nanosleep(&pause, NULL);
    }
    if (fstat(fd, &st) || st.st_nlink == 0)
        return pw_err_set(err, -ENOENT, "the back-end of %s was removed meanwhile", tap);
    return PW_TAKE_FD(fd);
}

/* ---- folders ---- */

/* The socket's folder; false when there is no room for it, or it is the root. */
static bool folder_of(const char *socket, char out[108])
{
    const char *slash = strrchr(socket, '/');

    if (!slash || slash == socket)
        return false;
    snprintf(out, 108, "%.*s", (int)(slash - socket), socket);
    return true;
}

static int make_folder(const struct pw_vhost *v, struct pw_err *err)
{
    char dir[108];

    if (!v->made_dir || !folder_of(v->socket, dir))
        return 0;
    if (mkdir(dir, 0700))
        return pw_err_errno(err, -errno, "make %s", dir);
    if ((v->has_owner || v->has_group) &&
        lchown(dir, v->has_owner ? v->owner : 0, v->has_group ? v->group : (gid_t)-1))
        return pw_err_errno(err, -errno, "owner of %s", dir);
    if (v->has_group && chmod(dir, 0770))
        return pw_err_errno(err, -errno, "mode of %s", dir);
    return 0;
}

/* Of a folder that is ours goes whatever is in it, as far as it is no folder. */
static void remove_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    pw_dir *list = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!list) {
        pw_closep(&fd);
        return;
    }
    while ((e = readdir(list)))
        unlinkat(fd, e->d_name, 0);
    rmdir(path);
}

static void remove_socket(const struct pw_vhost *v)
{
    char dir[108];
    struct stat st;

    /* One that the VMM made in a folder that is not ours is the VMM's. */
    if (!v->connect && lstat(v->socket, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(v->socket);
    if (v->made_dir && folder_of(v->socket, dir))
        remove_folder(dir);
}

static bool has_socket(const struct pw_vhost *v)
{
    struct stat st;
    return v->connect || (lstat(v->socket, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* ---- start and end ---- */

static int touch(const char *path, struct pw_err *err)
{
    pw_fd fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? pw_err_errno(err, -errno, "make %s", path) : 0;
}

static int end(const char *lock, struct pw_err *err)
{
    pw_fd fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? 0 : pw_vhost_end(fd, err);
}

static bool running(const char *lock, pid_t *pid)
{
    pw_fd fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool foreign = false;

    *pid = fd < 0 ? 0 : pw_vhost_holder(fd, &foreign);
    return *pid || foreign;
}

int pw_vhost_start(const struct pw_vhost *asked, struct pw_err *err)
{
    struct pw_vhost v = *asked;
    char path[64], dir[108];
    struct stat st;
    int rc = pw_vhost_program_check(v.program, err);

    if (rc)
        return rc;
    if (mkdir(PW_VHOST_DIR, 0711) && errno != EEXIST)
        return pw_err_errno(err, -errno, "make " PW_VHOST_DIR);
    /* A VMM that is not root must get through to its socket; what else is there is root's. */
    if ((v.has_owner || v.has_group) && chmod(PW_RUN_DIR, 0711))
        return pw_err_errno(err, -errno, "mode of " PW_RUN_DIR);
    v.made_dir = folder_of(v.socket, dir) && lstat(dir, &st) && errno == ENOENT;
    pw_fd fd = own(v.tap, O_CREAT, FLOCK_MS, err);
    if (fd < 0)
        return fd;
    path_of(v.tap, ".json", path);
    rc = write_record(fd, &v, path, err);
    if (!rc)
        rc = make_folder(&v, err);
    path_of(v.tap, ".lock", path);
    if (!rc)
        rc = touch(path, err);
    return rc ? rc : pw_vhost_run(&v, path, err);
}

static int restart(const char *tap, int wait_ms, bool *started, struct pw_err *err)
{
    struct pw_vhost v;
    char lock[64];
    pid_t pid;

    *started = false;
    pw_fd fd = own(tap, 0, wait_ms, err);
    if (fd < 0)
        return fd;
    path_of(tap, ".lock", lock);
    int rc = pw_vhost_read(tap, &v, err);
    if (!rc)
        rc = pw_vhost_program_check(v.program, err);
    if (rc || (running(lock, &pid) && has_socket(&v)))
        return rc;
    rc = end(lock, err);
    if (!rc)
        rc = touch(lock, err);
    if (!rc)
        rc = pw_vhost_run(&v, lock, err);
    *started = !rc;
    return rc;
}

int pw_vhost_restart(const char *tap, bool *started, struct pw_err *err)
{
    return restart(tap, FLOCK_MS, started, err);
}

/* ---- remove ---- */

int pw_vhost_remove(const char *tap, struct pw_err *err)
{
    char path[64];
    struct pw_vhost v;
    struct pw_err why = PW_ERR_INIT;

    pw_fd fd = own(tap, 0, FLOCK_MS, &why);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return pw_err_set(err, fd, "%s", why.msg);
    path_of(tap, ".lock", path);
    int rc = end(path, err);
    if (rc)
        return rc;
    /* One that was not written to its end has started nothing. */
    if (pw_vhost_read(tap, &v, NULL) == 0)
        remove_socket(&v);
    unlink(path);
    path_of(tap, ".stats", path);
    unlink(path);
    path_of(tap, ".json", path);
    return unlink(path) && errno != ENOENT ? pw_err_errno(err, -errno, "remove %s", path) : 0;
}

/* ---- look ---- */

int pw_vhost_check(const char *tap, pid_t *pid, struct pw_err *err)
{
    struct pw_vhost v;
    char lock[64];
    pid_t holder;
    int rc = pw_vhost_read(tap, &v, NULL);

    if (pid)
        *pid = 0;
    if (rc)
        return pw_err_set(err, -ENOENT, "the back-end of %s is not on record", tap);
    path_of(tap, ".lock", lock);
    if (!running(lock, &holder))
        return pw_err_set(err, -ESRCH,
                          "the back-end of %s is not running (podwirectl vm restart %s starts it)",
                          tap, tap);
    if (pid)
        *pid = holder;
    if (!has_socket(&v))
        return pw_err_set(err, -ENOENT,
                          "the socket %s of the back-end of %s is gone (podwirectl vm restart %s "
                          "makes it anew)",
                          v.socket, tap, tap);
    return 0;
}

int pw_vhost_each(void (*fn)(const char *tap, void *arg), void *arg, struct pw_err *err)
{
    pw_dir *d = opendir(PW_VHOST_DIR);
    const struct dirent *e;
    char tap[16];

    if (!d)
        return errno == ENOENT ? 0 : pw_err_errno(err, -errno, "list " PW_VHOST_DIR);
    while ((e = readdir(d))) {
        size_t n = strlen(e->d_name);
        if (n <= 5 || n - 5 >= sizeof(tap) || strcmp(e->d_name + n - 5, ".json") != 0)
            continue;
        memcpy(tap, e->d_name, n - 5);
        tap[n - 5] = '\0';
        fn(tap, arg);
    }
    return 0;
}

struct keep {
    struct pw_err *err;
    int rc;
};

static void keep_one(const char *tap, void *arg)
{
    struct keep *k = arg;
    char lock[64];
    bool started;
    pid_t pid;
    int rc;

    path_of(tap, ".lock", lock);
    if (pw_link_gone_name(tap))
        rc = pw_vhost_remove(tap, k->rc ? NULL : k->err);
    else if (!running(lock, &pid))
        rc = restart(tap, 0, &started, k->rc ? NULL : k->err);
    else
        return;
    /* Being started or removed just now by another. */
    if (rc && rc != -EAGAIN && rc != -ENOENT && rc != -EBADMSG && !k->rc)
        k->rc = rc;
}

int pw_vhost_keep(struct pw_err *err)
{
    struct keep k = {.err = err};
    int rc = pw_vhost_each(keep_one, &k, err);
    return k.rc ? k.rc : rc;
}
