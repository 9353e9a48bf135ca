/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of back-ends: started, found by the lock that they hold, ended. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "loader/base/addr.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/fs.h"
#include "loader/vhost.h"

#define READY_MS 10000 /* from its start until it serves */
#define END_MS 3000    /* from SIGTERM until SIGKILL: the supervisor itself waits for one second */
#define KILL_MS 3000

/* Descriptors in the new program, after the standard ones. */
#define READY_FD 3
#define LOCK_FD 4

/* ---- control group ---- */

static bool join_group(const char *root)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/cgroup.procs", root);
    if (access(path, W_OK))
        return false;
    for (int i = 0; i < 10; i++) {
        snprintf(path, sizeof(path), "%s/" PW_VHOST_CGROUP, root);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "%s/" PW_VHOST_CGROUP "/cgroup.procs", root);
        /* Whoever ends the last one takes the group away, maybe just now. */
        if (pw_knob_write(path, "0", NULL) == 0)
            return true;
    }
    return false;
}

/*
 * Out of the runtime's, which a service manager ends with the service. With several hierarchies
 * those count by which processes are tracked; resource controllers are left as they are.
 */
static void leave_group(void)
{
    if (join_group("/sys/fs/cgroup"))
        return;
    join_group("/sys/fs/cgroup/systemd");
    join_group("/sys/fs/cgroup/unified");
}

/* When it is empty. */
static void remove_group(void)
{
    rmdir("/sys/fs/cgroup/" PW_VHOST_CGROUP);
    rmdir("/sys/fs/cgroup/systemd/" PW_VHOST_CGROUP);
    rmdir("/sys/fs/cgroup/unified/" PW_VHOST_CGROUP);
}

/* ---- start ---- */

#define ARGS 20

/* The command line; strings are kept in `text`. */
struct command {
    char *argv[ARGS];
    size_t n, used;
    char text[2048];
};

__attribute__((format(printf, 2, 3))) static void add(struct command *c, const char *fmt, ...)
{
    va_list ap;

    if (c->n == ARGS - 1)
        return;
    c->argv[c->n++] = c->text + c->used;
    va_start(ap, fmt);
    int n = vsnprintf(c->text + c->used, sizeof(c->text) - c->used, fmt, ap);
    va_end(ap);
    if (n > 0)
        c->used += (size_t)n + 1;
}

static void build(struct command *c, const struct pw_vhost *v)
{
    char mac[PW_MAC_STRLEN], stats[64];

    pw_vhost_stats_path(v->tap, stats);
    add(c, "%s", v->program);
    add(c, "--socket-path=%s", v->socket);
    add(c, "--tap=%s", v->tap);
    add(c, "--queues=%u", v->queues);
    add(c, "--mac=%s", pw_mac_text(v->mac, mac));
    add(c, "--mtu=%u", v->mtu);
    add(c, "--stats=%s", stats);
    add(c, "--supervise");
    if (v->vhost_net)
        add(c, "--vhost-net");
    add(c, "--ready-fd=%d", READY_FD);
    add(c, "--lock-fd=%d", LOCK_FD);
    if (v->connect) {
        add(c, "--client");
        return;
    }
    if (v->has_group)
        add(c, "--socket-owner=%u:%u", v->has_owner ? v->owner : 0, v->group);
    else if (v->has_owner)
        add(c, "--socket-owner=%u", v->owner);
    add(c, "--socket-mode=%s", v->has_group ? "0660" : "0600");
    if (v->has_owner)
        add(c, "--peer-uid=%u", v->owner);
    if (v->has_group)
        add(c, "--peer-gid=%u", v->group);
}

static void no_signals(void)
{
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < SIGRTMIN; sig++)
        sigaction(sig, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process: what it has in common with ours is given up, then the program. The record's
 * flock is ours too until then. */
__attribute__((noreturn)) static void become(struct command *c, const char *lock, int ready)
{
    static char *const env[] = {NULL};
    struct flock held = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    const char *what = lock;
    int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 64);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    no_signals();
    umask(022);
    leave_group();
    ready = fcntl(ready, F_DUPFD_CLOEXEC, 64);
    for (int i = 0; i <= 2; i++)
        dup2(null, i);
    dup2(ready, READY_FD);
    if (high < 0 || null < 0 || dup2(high, LOCK_FD) < 0)
        goto failed;
    /* Before the lock is taken: it ends when any descriptor of its file is closed. */
    close(high);
    if (fd != LOCK_FD)
        close(fd);
    if (fcntl(LOCK_FD, F_SETLK, &held))
        goto failed;
    what = c->argv[0];
    if (chdir("/") == 0 && syscall(SYS_close_range, LOCK_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        execve(c->argv[0], c->argv, env);
failed:
    dprintf(READY_FD, "%s: %s\n", what, strerror(errno));
    _exit(1);
}

/* What it says until it closes its end, or is ready. */
static int hear(int fd, const struct pw_vhost *v, struct pw_err *err)
{
    char text[512] = "";
    size_t n = 0;
    long end = pw_clock_ms() + READY_MS;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        long left = end - pw_clock_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return pw_err_set(err, -ETIMEDOUT, "the back-end of %s was not ready within %d seconds",
                              v->tap, READY_MS / 1000);
        ssize_t k = read(fd, text + n, sizeof(text) - 1 - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return pw_err_errno(err, -errno, "start the back-end of %s", v->tap);
        n += (size_t)k;
        text[n] = '\0';
        if (strcmp(text, "ready\n") == 0)
            return 0;
        if (k == 0)
            break;
    }
    text[strcspn(text, "\n")] = '\0';
    return pw_err_set(err, -ECHILD, "the back-end of %s did not start: %s", v->tap,
                      *text ? text : "it ended without a word");
}

int pw_vhost_run(const struct pw_vhost *v, const char *lock, struct pw_err *err)
{
    struct command c = {.n = 0};
    int ends[2], status;

    build(&c, v);
    if (pipe2(ends, O_CLOEXEC))
        return pw_err_errno(err, -errno, "start the back-end of %s", v->tap);
    pw_fd ready = ends[0];
    pw_fd theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return pw_err_errno(err, -errno, "start the back-end of %s", v->tap);
    if (pid == 0) {
        /* Twice: it shall be no child of whoever called us, and no leader of a session. */
        setsid();
        pid = fork();
        if (pid == 0)
            become(&c, lock, theirs);
        _exit(pid < 0 ? 1 : 0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    pw_closep(&theirs);
    return hear(ready, v, err);
}

/* ---- find, end ---- */

pid_t pw_vhost_holder(int lock, bool *foreign)
{
    struct flock held = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    *foreign = false;
    if (fcntl(lock, F_GETLK, &held) || held.l_type == F_UNLCK)
        return 0;
    *foreign = held.l_pid <= 0;
    return held.l_pid > 0 ? held.l_pid : 0;
}

static int wait_end(int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;

    while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR)
        ;
    return n > 0 ? 0 : -ETIMEDOUT;
}

int pw_vhost_end(int lock, struct pw_err *err)
{
    bool foreign, some = false;
    pid_t pid;

    while ((pid = pw_vhost_holder(lock, &foreign)) != 0) {
        pw_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0 && errno == ESRCH)
            continue;
        if (pidfd < 0)
            return pw_err_errno(err, -errno, "end back-end %d", (int)pid);
        /* It held the lock before and holds it now: the descriptor is that process's. */
        if (pw_vhost_holder(lock, &foreign) != pid)
            continue;
        some = true;
        syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
        /* One that somebody has stopped shall still end its back-end in good order. */
        syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0);
        if (wait_end(pidfd, END_MS) == 0)
            continue;
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        if (wait_end(pidfd, KILL_MS))
            return pw_err_set(err, -ETIMEDOUT, "back-end %d does not end", (int)pid);
    }
    if (foreign)
        return pw_err_set(err, -EPERM,
                          "the back-end runs in another pid namespace: end it from there");
    if (some)
        remove_group();
    return 0;
}
