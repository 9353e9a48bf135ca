/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ipam_exec.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define ANSWER_MAX (4UL * 1024 * 1024)

static int find_plugin(const struct pw_req *req, char path[PATH_MAX], struct pw_err *err)
{
    const char *p = req->env.path;

    while (*p) {
        size_t n = strcspn(p, ":");
        if (n && snprintf(path, PATH_MAX, "%.*s/%s", (int)n, p, req->conf.ipam_type) < PATH_MAX &&
            access(path, X_OK) == 0)
            return 0;
        p += n + (p[n] == ':');
    }
    return pw_err_set(err, PW_CNI_CONF, "IPAM plugin %s is not in CNI_PATH (%.300s)",
                      req->conf.ipam_type, req->env.path);
}

/* Our environment with another CNI_COMMAND; the strings are borrowed. */
static char **make_env(char *command)
{
    size_t n = 0, k = 0;

    while (environ[n])
        n++;
    char **env = calloc(n + 2, sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "CNI_COMMAND=", 12) != 0)
            env[k++] = environ[i];
    env[k] = command;
    return env;
}

struct child {
    pid_t pid;
    int in, out; /* its stdin and stdout */
};

static int start(const char *path, const char *command, struct child *c, struct pw_err *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    char var[64];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;

    snprintf(var, sizeof(var), "CNI_COMMAND=%s", command);
    pw_free char **env = make_env(var);
    if (!env || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
        /* The analyzer overlooks the cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        int e = env ? errno : ENOMEM;
        pw_closep(&in[0]);
        pw_closep(&in[1]);
        return pw_err_errno(err, -e, "run %s", path);
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigaddset(&none, SIGPIPE);
    posix_spawnattr_setsigdefault(&attr, &none);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    char *const argv[] = {(char *)path, NULL};
    int rc = posix_spawn(&c->pid, path, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
    if (!rc)
        return 0;
    pw_closep(&c->in);
    pw_closep(&c->out);
    return pw_err_errno(err, -rc, "run %s", path);
}

/* Write stdin and read stdout side by side until the child closes its stdout. */
static int talk(struct child *c, const struct pw_req *req, char **answer, size_t *len,
                struct pw_err *err)
{
    long end = pw_clock_ms() + req->conf.ipam_timeout * 1000L;
    size_t sent = 0, n = 0, cap = 4096;
    pw_free char *buf = malloc(cap);

    if (!buf)
        return pw_err_errno(err, -ENOMEM, "read answer");
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    for (;;) {
        struct pollfd p[2] = {{c->out, POLLIN, 0}, {c->in, POLLOUT, 0}};
        long left = end - pw_clock_ms();
        if (left <= 0)
            /* The analyzer overlooks the cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
            return pw_err_set(err, PW_CNI_AGAIN, "no answer after %u seconds",
                              req->conf.ipam_timeout);
        if (poll(p, c->in >= 0 ? 2 : 1, (int)(left < 1000 ? left : 1000)) < 0 && errno != EINTR)
            return pw_err_errno(err, -errno, "poll");
        if (c->in >= 0 && p[1].revents) {
            ssize_t w = write(c->in, req->text + sent, req->len - sent);
            if (w > 0)
                sent += (size_t)w;
            /* A plugin that does not read all of it may still answer. */
            if (sent == req->len || (w < 0 && errno != EAGAIN && errno != EINTR))
                pw_closep(&c->in);
        }
        if (!p[0].revents)
            continue;
        ssize_t r = read(c->out, buf + n, cap - n);
        if (r < 0 && errno != EINTR)
            return pw_err_errno(err, -errno, "read answer");
        if (r == 0)
            break;
        n += r > 0 ? (size_t)r : 0;
        if (n > ANSWER_MAX)
            return pw_err_set(err, PW_CNI_DECODE, "answer of more than %lu bytes", ANSWER_MAX);
        if (n == cap) {
            char *more = realloc(buf, cap *= 2);
            if (!more)
                return pw_err_errno(err, -ENOMEM, "read answer");
            buf = more;
        }
    }
    *answer = PW_TAKE_PTR(buf);
    *len = n;
    return 0;
}

/* A child that closed its stdout has the rest of the time to end. */
static int wait_end(const struct child *c, unsigned seconds, int *status, struct pw_err *err)
{
    long end = pw_clock_ms() + seconds * 1000L;
    struct timespec nap = {0, 200000};

    for (;;) {
        pid_t got = waitpid(c->pid, status, WNOHANG);
        if (got == c->pid)
            return 0;
        if (got < 0 && errno != EINTR)
            return pw_err_errno(err, -errno, "wait");
        if (pw_clock_ms() > end)
            return pw_err_set(err, PW_CNI_AGAIN, "does not end after %u seconds", seconds);
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 10000000)
            nap.tv_nsec *= 2;
    }
}

/* What the plugin says of its failure, with its code. */
static int plugin_error(const json_t *answer, int status, struct pw_err *err)
{
    const char *msg = "", *details = "";
    uint32_t code = 999;

    if (!json_is_object(answer)) {
        if (WIFSIGNALED(status))
            return pw_err_set(err, PW_CNI_INTERNAL, "killed by signal %d", WTERMSIG(status));
        return pw_err_set(err, PW_CNI_INTERNAL, "failed with exit code %d and no error in JSON",
                          WEXITSTATUS(status));
    }
    pw_json_str(answer, "msg", &msg, NULL);
    pw_json_str(answer, "details", &details, NULL);
    pw_json_u32(answer, "code", 100000, &code, NULL);
    return pw_err_set(err, PW_CNI_CODE((int)code), "%.400s%s%.400s", msg, *details ? "; " : "",
                      details);
}

int pw_ipam_exec(const struct pw_req *req, const char *command, json_t **answer, struct pw_err *err)
{
    struct child c = {-1, -1, -1};
    char path[PATH_MAX];
    pw_free char *text = NULL;
    size_t len = 0;
    int status = 0;
    int rc = find_plugin(req, path, err);

    if (!rc)
        rc = start(path, command, &c, err);
    if (rc)
        return rc;
    rc = talk(&c, req, &text, &len, err);
    if (!rc)
        rc = wait_end(&c, req->conf.ipam_timeout, &status, err);
    if (rc) {
        /* All that it started, while it still holds the group's number. */
        kill(-c.pid, SIGKILL);
        while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    pw_closep(&c.in);
    pw_closep(&c.out);
    pw_json *json = text && len ? json_loadb(text, len, 0, NULL) : NULL;
    if (!rc && (!WIFEXITED(status) || WEXITSTATUS(status)))
        rc = plugin_error(json, status, err);
    else if (!rc && answer && !json)
        rc = pw_err_set(err, PW_CNI_DECODE, "its answer is not JSON");
    if (rc) {
        pw_err_wrap(err, "IPAM plugin %s, %s", req->conf.ipam_type, command);
        return rc;
    }
    if (answer)
        *answer = PW_TAKE_PTR(json);
    return 0;
}
