/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/backends.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/vhost.h"

#define SECONDS 15
#define SAY_AGAIN 600.0

struct dead {
    size_t n;
    char first[16];
};

static void look(const char *tap, void *arg)
{
    struct dead *d = arg;

    if (pw_vhost_check(tap, NULL, NULL) && d->n++ == 0)
        snprintf(d->first, sizeof(d->first), "%s", tap);
}

/*
 * Out of a container's control groups, with whose end a runtime kills whatever is in them. Only
 * with hierarchies side by side: in a unified one back-ends have a group of their own
 * (loader/vhost.h).
 */
static void leave_groups(void)
{
    char path[320];
    const struct dirent *e;
    pw_dir *d = access("/sys/fs/cgroup/cgroup.procs", F_OK) ? opendir("/sys/fs/cgroup") : NULL;

    while (d && (e = readdir(d))) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", e->d_name);
        if (e->d_name[0] != '.')
            pw_knob_write(path, "0", NULL);
    }
}

/* To the node itself, from a container: where its first process is. */
static int enter_node(struct pw_err *err)
{
    struct stat own, init;

    pw_fd groups = open("/proc/1/ns/cgroup", O_RDONLY | O_CLOEXEC);
    pw_fd fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &init) || stat("/proc/self/ns/mnt", &own))
        return pw_err_errno(err, -errno, "look at the node's first process");
    if (own.st_ino == init.st_ino && own.st_dev == init.st_dev)
        return 0;
    /* From another one the node's groups cannot be joined. */
    if (groups >= 0 && setns(groups, CLONE_NEWCGROUP))
        return pw_err_errno(err, -errno, "enter the node's namespace of control groups");
    if (setns(fd, CLONE_NEWNS))
        return pw_err_errno(err, -errno, "enter the node's mount namespace");
    leave_groups();
    return 0;
}

/* In a child. Its children are to have nothing of the agent's. */
static void keep(int report)
{
    struct pw_err err = PW_ERR_INIT;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    int rc = enter_node(&err);
    if (!rc)
        rc = pw_vhost_keep(&err);
    if (rc && write(report, err.msg, strlen(err.msg)) < 0)
        _exit(2);
    _exit(rc ? 1 : 0);
}

/* What the child says; "" when all went well. */
static void keep_in_child(char said[512])
{
    int pipes[2];

    said[0] = '\0';
    if (pipe2(pipes, O_CLOEXEC)) {
        snprintf(said, 512, "pipe: %m");
        return;
    }
    pw_fd in = pipes[0];
    pw_fd out = pipes[1];
    pid_t pid = fork();
    if (pid == 0)
        keep(out);
    pw_closep(&out);
    if (pid < 0) {
        snprintf(said, 512, "fork: %m");
        return;
    }
    struct pollfd p = {.fd = in, .events = POLLIN};
    if (poll(&p, 1, SECONDS * 1000) == 0) {
        kill(pid, SIGKILL);
        snprintf(said, 512, "took longer than %d s", SECONDS);
    }
    ssize_t n = said[0] ? 0 : read(in, said, 511);
    if (n > 0)
        said[n] = '\0';
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void pw_backends_keep(struct pw_agent *a, double now)
{
    struct dead dead = {0};
    char said[512];

    if (access(PW_VHOST_DIR, F_OK) || pw_vhost_each(look, &dead, NULL) || !dead.n) {
        pw_log_well(&a->backends_trouble, "vhost back-ends: all run");
        return;
    }
    if (getpid() == 1) {
        pw_log_new(&a->backends_trouble, now, SAY_AGAIN, PW_LOG_WARN,
                   "vhost back-ends: %zu do not run, the first is that of %s; an agent in a "
                   "container without hostPID cannot start them: podwirectl vm restart does",
                   dead.n, dead.first);
        return;
    }
    keep_in_child(said);
    if (said[0]) {
        pw_log_new(&a->backends_trouble, now, SAY_AGAIN, PW_LOG_WARN, "vhost back-ends: %s", said);
        return;
    }
    a->restarted += dead.n;
    pw_log(PW_LOG_INFO, "vhost back-ends: %zu started again, the first is that of %s", dead.n,
           dead.first);
}
