/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/lab.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "loader/base/cleanup.h"

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
    (void)sig;
    stopping = 1;
}

bool nb_stopping(void)
{
    return stopping;
}

/* As nb_wait, but without the laboratory's signals ending it early. */
int nb_wait(pid_t pid)
{
    int st;
    while (waitpid(pid, &st, 0) < 0)
        if (errno != EINTR)
            return 127;
    return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

void nb_signal(int sig, void (*handler)(int))
{
    struct sigaction sa = {.sa_handler = handler};
    sigaction(sig, &sa, NULL);
}

static int lab_init(int life, int (*fn)(void *), void *arg)
{
    struct pollfd p = {.fd = life, .events = POLLIN};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have died before that took hold; its end of the pipe is closed then. */
    if (poll(&p, 1, 0) > 0)
        return 128 + SIGKILL;
    nb_signal(SIGINT, on_stop);
    nb_signal(SIGTERM, on_stop);
    nb_signal(SIGPIPE, SIG_IGN);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", 0, NULL) < 0) {
        fprintf(stderr, "netbench: private mounts: %s\n", strerror(errno));
        return 1;
    }
    return fn(arg);
}

int nb_lab_run(int (*fn)(void *), void *arg, struct pw_err *err)
{
    int life[2];
    if (pipe2(life, O_CLOEXEC) < 0)
        return pw_err_errno(err, -errno, "pipe");
    fflush(NULL);
    /* A plain fork with new namespaces: the child becomes process 1 of its pid namespace. */
    pid_t pid = (pid_t)syscall(SYS_clone,
                               CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | SIGCHLD,
                               NULL, NULL, NULL, NULL);
    if (pid < 0) {
        int rc = -errno;
        close(life[0]);
        close(life[1]);
        return pw_err_errno(err, rc, "make namespaces (netbench needs root)");
    }
    if (pid == 0) {
        close(life[1]);
        int rc = lab_init(life[0], fn, arg);
        fflush(NULL);
        _exit(rc);
    }
    close(life[0]);
    /* Ctrl-C reaches the laboratory too; it decides what is still printed. A SIGTERM sent to us
     * alone ends us, and with us the laboratory. */
    nb_signal(SIGINT, SIG_IGN);
    int rc = nb_wait(pid);
    nb_signal(SIGINT, SIG_DFL);
    close(life[1]);
    return rc;
}

static int enter(const struct nb_spot *at)
{
    if (at->node &&
        (setns(at->node->mnt, CLONE_NEWNS) < 0 || setns(at->node->uts, CLONE_NEWUTS) < 0))
        return -errno;
    int net = at->net >= 0 ? at->net : at->node ? at->node->net : -1;
    if (net >= 0 && setns(net, CLONE_NEWNET) < 0)
        return -errno;
    return 0;
}

pid_t nb_spawn(const struct nb_spot *at, int (*fn)(void *), void *arg, struct pw_err *err)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return pw_err_errno(err, -errno, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        nb_signal(SIGINT, SIG_DFL);
        nb_signal(SIGTERM, SIG_DFL);
        _exit(enter(at) < 0 ? 126 : fn(arg));
    }
    return pid;
}

/* ---- nodes and pods ---- */

struct make_arg {
    const char *name;
    int ready[2], done[2];
};

static int fresh_dir(const char *dir)
{
    char path[256];
    snprintf(path, sizeof(path), "%s", dir);
    for (char *s = path + 1; *s; s++)
        if (*s == '/') {
            *s = '\0';
            mkdir(path, 0755);
            *s = '/';
        }
    mkdir(path, 0755);
    return mount("tmpfs", path, "tmpfs", 0, "mode=755");
}

/* Runs in a child: take fresh namespaces, furnish them, and keep them until the parent holds them.
 */
static int node_child(void *p)
{
    struct make_arg *a = p;
    char c = 'x';
    if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        sethostname(a->name, strlen(a->name)) < 0 || mount("sysfs", "/sys", "sysfs", 0, NULL) < 0 ||
        fresh_dir("/run") < 0 || fresh_dir("/etc/cni") < 0 || fresh_dir("/var/lib/cni") < 0)
        return errno;
    if (mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0)
        return errno;
    mkdir("/run/netns", 0755);
    mkdir("/run/lock", 0755);
    /* Plugins and podwire mount namespaces below /run: those must be seen by every later process
     * of the node, which all share this mount namespace, so nothing more is needed. */
    if (write(a->ready[1], &c, 1) != 1)
        return errno;
    close(a->done[1]);
    return read(a->done[0], &c, 1) < 0 ? errno : 0;
}

static int pod_child(void *p)
{
    struct make_arg *a = p;
    char path[64], c = 'x';
    snprintf(path, sizeof(path), "/run/netns/%s", a->name);
    if (unshare(CLONE_NEWNET) < 0)
        return errno;
    pw_fd f = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
    if (f < 0 || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        return errno;
    if (write(a->ready[1], &c, 1) != 1)
        return errno;
    close(a->done[1]);
    return read(a->done[0], &c, 1) < 0 ? errno : 0;
}

static int ns_fd(pid_t pid, const char *kind)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Start `child`, wait until it says ready, let `take` open what it needs, and end it. */
static int with_child(const struct nb_spot *at, const char *name, int (*child)(void *),
                      int (*take)(pid_t, void *), void *out, struct pw_err *err)
{
    struct make_arg a = {.name = name};
    char c;
    if (pipe2(a.ready, O_CLOEXEC) < 0)
        return pw_err_errno(err, -errno, "pipe");
    if (pipe2(a.done, O_CLOEXEC) < 0) {
        close(a.ready[0]);
        close(a.ready[1]);
        return pw_err_errno(err, -errno, "pipe");
    }
    pid_t pid = nb_spawn(at, child, &a, err);
    close(a.ready[1]);
    close(a.done[0]);
    int rc = pid < 0 ? pid : 0;
    bool ready = rc == 0 && read(a.ready[0], &c, 1) == 1;
    if (ready)
        rc = take(pid, out);
    close(a.done[1]);
    close(a.ready[0]);
    if (pid > 0) {
        int status = nb_wait(pid);
        if (!ready)
            return pw_err_errno(err, status ? -status : -EIO, "make namespace %s", name);
    }
    if (rc < 0 && ready)
        return pw_err_errno(err, rc, "open namespaces of %s", name);
    return rc;
}

static int take_node(pid_t pid, void *out)
{
    struct nb_node *n = out;
    n->net = ns_fd(pid, "net");
    n->mnt = ns_fd(pid, "mnt");
    n->uts = ns_fd(pid, "uts");
    return n->net < 0 || n->mnt < 0 || n->uts < 0 ? -EMFILE : 0;
}

static int take_pod(pid_t pid, void *out)
{
    int fd = ns_fd(pid, "net");
    if (fd < 0)
        return -errno;
    *(int *)out = fd;
    return 0;
}

int nb_node_make(const char *name, struct nb_node *out, struct pw_err *err)
{
    struct nb_node n = NB_NODE_INIT;
    struct nb_spot here = {NULL, -1};
    snprintf(n.name, sizeof(n.name), "%s", name);
    int rc = with_child(&here, name, node_child, take_node, &n, err);
    if (rc < 0) {
        nb_node_drop(&n);
        return rc;
    }
    *out = n;
    return 0;
}

void nb_node_drop(struct nb_node *node)
{
    pw_closep(&node->net);
    pw_closep(&node->mnt);
    pw_closep(&node->uts);
}

int nb_pod_make(const struct nb_node *node, const char *name, int *net, struct pw_err *err)
{
    struct nb_spot at = {node, -1};
    return with_child(&at, name, pod_child, take_pod, net, err);
}

int nb_open_at(const struct nb_spot *at, const char *path, int flags, struct pw_err *err)
{
    pw_fd own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int net = at->net >= 0 ? at->net : at->node->net;
    if (own < 0 || setns(net, CLONE_NEWNET) < 0)
        return pw_err_errno(err, -errno, "enter network namespace");
    int fd = open(path, flags | O_CLOEXEC), rc = -errno;
    if (setns(own, CLONE_NEWNET) < 0) {
        pw_closep(&fd);
        return pw_err_errno(err, -errno, "leave network namespace");
    }
    return fd < 0 ? pw_err_errno(err, rc, "open %s", path) : fd;
}

/* ---- commands ---- */

void nb_out_free(struct nb_out *o)
{
    free(o->text);
    o->text = NULL;
    o->len = 0;
}

struct exec_arg {
    const char *const *argv, *const *env;
    int in[2], out[2], err[2];
};

static int exec_child(void *p)
{
    struct exec_arg *a = p;
    if (dup2(a->in[0], 0) < 0 || dup2(a->out[1], 1) < 0 || dup2(a->err[1], 2) < 0)
        return 127;
    for (size_t i = 0; a->env && a->env[i]; i++)
        putenv((char *)a->env[i]);
    nb_signal(SIGPIPE, SIG_DFL);
    execvp(a->argv[0], (char *const *)a->argv);
    dprintf(2, "%s", strerror(errno));
    return 127;
}

static void close2(int fd[2])
{
    pw_closep(&fd[0]);
    pw_closep(&fd[1]);
}

static int append(struct nb_out *o, const char *buf, size_t n)
{
    char *t = realloc(o->text, o->len + n + 1);
    if (!t)
        return -ENOMEM;
    memcpy(t + o->len, buf, n);
    o->text = t;
    o->len += n;
    o->text[o->len] = '\0';
    return 0;
}

/* Feed stdin and drain stdout and stderr together, so that no side blocks on a full pipe. */
static int pump(int *in, int out, int errfd, const char *input, struct nb_out *o)
{
    size_t sent = 0, total = input ? strlen(input) : 0, errlen = 0;
    bool out_open = true, err_open = true;
    char buf[8192];

    if (total == 0)
        pw_closep(in);
    while (out_open || err_open) {
        struct pollfd p[3] = {{out_open ? out : -1, POLLIN, 0},
                              {err_open ? errfd : -1, POLLIN, 0},
                              {*in, POLLOUT, 0}};
        if (poll(p, 3, -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (p[0].revents) {
            ssize_t n = read(out, buf, sizeof(buf));
            if (n <= 0)
                out_open = false;
            else if (append(o, buf, (size_t)n) < 0)
                return -ENOMEM;
            else if (o->watch)
                o->watch(o->arg, o->text);
        }
        if (p[1].revents) {
            ssize_t n = read(errfd, buf, sizeof(buf));
            size_t room = sizeof(o->errtext) - 1 - errlen;
            if (n <= 0)
                err_open = false;
            else {
                size_t k = (size_t)n < room ? (size_t)n : room;
                memcpy(o->errtext + errlen, buf, k);
                errlen += k;
            }
        }
        if (*in >= 0 && p[2].revents) {
            ssize_t n = write(*in, input + sent, total - sent);
            if (n > 0)
                sent += (size_t)n;
            if (n <= 0 || sent == total)
                pw_closep(in);
        }
    }
    o->errtext[errlen] = '\0';
    return 0;
}

/* Text of a failed command on one line. */
static void one_line(char *s)
{
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == ' '))
        s[--n] = '\0';
    for (; *s; s++)
        if (*s == '\n' || *s == '\t')
            *s = ' ';
}

int nb_exec(const struct nb_spot *at, const char *const argv[], const char *const env[],
            const char *input, struct nb_out *out, struct pw_err *err)
{
    struct exec_arg a = {argv, env, {-1, -1}, {-1, -1}, {-1, -1}};
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    char line[160] = "";
    if (out) {
        o.watch = out->watch;
        o.arg = out->arg;
    }

    if (pipe2(a.in, O_CLOEXEC) < 0 || pipe2(a.out, O_CLOEXEC) < 0 || pipe2(a.err, O_CLOEXEC) < 0) {
        int rc = -errno;
        close2(a.in);
        close2(a.out);
        close2(a.err);
        return pw_err_errno(err, rc, "pipe");
    }
    pid_t pid = nb_spawn(at, exec_child, &a, err);
    pw_closep(&a.in[0]);
    pw_closep(&a.out[1]);
    pw_closep(&a.err[1]);
    int rc = pid < 0 ? pid : pump(&a.in[1], a.out[0], a.err[0], input, &o);
    close2(a.in);
    close2(a.out);
    close2(a.err);
    if (pid < 0)
        return rc;
    int status = nb_wait(pid);
    if (rc < 0)
        /* `o` has a cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return pw_err_errno(err, rc, "%s", argv[0]);
    if (status != 0) {
        size_t n = 0;
        for (size_t i = 0; argv[i] && n < sizeof(line) - 1; i++)
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? " " : "", argv[i]);
        /* CNI plugins put their error on stdout, as JSON. */
        one_line(o.errtext);
        if (!o.errtext[0] && o.text)
            snprintf(o.errtext, sizeof(o.errtext), "%s",
                     o.text + (o.len < sizeof(o.errtext) ? 0 : o.len - sizeof(o.errtext) + 1));
        one_line(o.errtext);
        return pw_err_set(err, -EIO, "'%s' failed (%d): %s", line, status, o.errtext);
    }
    if (out) {
        *out = o;
        o.text = NULL;
    }
    return 0;
}

int nb_cmd(const struct nb_spot *at, struct pw_err *err, const char *fmt, ...)
{
    char line[512];
    const char *argv[48];
    size_t n = 0;
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof(line))
        return pw_err_set(err, -E2BIG, "command too long: %.60s", fmt);
    char *save = NULL;
    for (char *w = strtok_r(line, " ", &save); w && n < 47; w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    argv[n] = NULL;
    return nb_exec(at, argv, NULL, NULL, NULL, err);
}

struct sysctl_arg {
    const char *name, *value;
};

static int sysctl_child(void *p)
{
    struct sysctl_arg *a = p;
    char path[200];
    int n = snprintf(path, sizeof(path), "/proc/sys/%s", a->name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return ENAMETOOLONG;
    for (char *s = path + 10; *s; s++)
        if (*s == '.')
            *s = '/';
    pw_fd fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t len = strlen(a->value);
    return fd < 0 || write(fd, a->value, len) != (ssize_t)len ? errno : 0;
}

int nb_sysctl(const struct nb_spot *at, const char *name, const char *value, struct pw_err *err)
{
    struct sysctl_arg a = {name, value};
    pid_t pid = nb_spawn(at, sysctl_child, &a, err);
    if (pid < 0)
        return pid;
    int status = nb_wait(pid);
    return status ? pw_err_errno(err, -status, "set %s=%s", name, value) : 0;
}

bool nb_have(const char *prog)
{
    if (strchr(prog, '/'))
        return access(prog, X_OK) == 0;
    const char *path = getenv("PATH");
    char copy[1024], full[1200];
    snprintf(copy, sizeof(copy), "%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    char *save = NULL;
    for (char *d = strtok_r(copy, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
        snprintf(full, sizeof(full), "%s/%s", d, prog);
        if (access(full, X_OK) == 0)
            return true;
    }
    return false;
}
