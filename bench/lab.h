/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The laboratory: netbench works as process 1 of namespaces of its own (pid, net, mount, uts), and
 * every node and pod in it exists only through file descriptors of that process. When it ends, in
 * whatever way, the kernel kills all that it started and removes every namespace, device, mount
 * and pin: there is no clean-up to forget.
 */
#ifndef PW_BENCH_LAB_H
#define PW_BENCH_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "loader/base/err.h"

/* Run fn(arg) inside a laboratory and return its exit status (128 + signal if it was killed).
 * The laboratory dies with the caller. Needs root. */
int nb_lab_run(int (*fn)(void *), void *arg, struct pw_err *err);

/* Set a signal's handler (or SIG_IGN, SIG_DFL); system calls it interrupts are not restarted. */
void nb_signal(int sig, void (*handler)(int));
/* Whether SIGINT or SIGTERM has asked the laboratory to stop. */
bool nb_stopping(void);

/* A machine: net, mount and uts namespaces with an own /run, /var/lib/cni, bpffs. Owns its fds. */
struct nb_node {
    char name[16];
    int net, mnt, uts;
};
#define NB_NODE_INIT {"", -1, -1, -1}

int nb_node_make(const char *name, struct nb_node *out, struct pw_err *err);
/* Close the descriptors; with the last process gone the kernel removes the rest. Repeatable. */
void nb_node_drop(struct nb_node *node);

/* A network namespace named /run/netns/NAME within the node. The returned fd is the caller's. */
int nb_pod_make(const struct nb_node *node, const char *name, int *net, struct pw_err *err);

/* Where a process runs: on a node, in the node's network or in that of a pod. Borrows all fds. */
struct nb_spot {
    const struct nb_node *node;
    int net; /* -1: the node's own */
};

/* Open a file that belongs to the network namespace in which it is opened: its counters, a tap. */
int nb_open_at(const struct nb_spot *at, const char *path, int flags, struct pw_err *err);

/* Fork a child that runs fn(arg) at the spot and exits with its result. The child dies with the
 * laboratory. Returns the pid or a negative errno. */
pid_t nb_spawn(const struct nb_spot *at, int (*fn)(void *), void *arg, struct pw_err *err);
/* Wait for a child: its exit status, or 128 + signal. */
int nb_wait(pid_t pid);

/* Output of a command: what it wrote on stdout (and stderr, cut), NUL-terminated. */
struct nb_out {
    char *text; /* owned; free() */
    size_t len;
    char errtext[400];
    /* Set beforehand: is called with what has come on stdout so far, each time that some comes. */
    void (*watch)(void *arg, const char *text);
    void *arg;
};
void nb_out_free(struct nb_out *o);

/* Run argv (argv[0] is looked up in PATH) at the spot with `input` on stdin and the extra
 * environment `env` ("K=V" strings, may be NULL). 0 only when it exits with 0; else -EIO and the
 * message holds the command and what it said. `out` may be NULL; else it is zero but for `watch`.
 */
int nb_exec(const struct nb_spot *at, const char *const argv[], const char *const env[],
            const char *input, struct nb_out *out, struct pw_err *err);
/* The same for a line that is split at blanks (no quoting): nb_cmd(at, err, "ip link set %s up").
 */
__attribute__((format(printf, 3, 4))) int nb_cmd(const struct nb_spot *at, struct pw_err *err,
                                                 const char *fmt, ...);
/* Write a value into /proc/sys/NAME of the spot (dots or slashes). */
int nb_sysctl(const struct nb_spot *at, const char *name, const char *value, struct pw_err *err);
/* Whether a program is found in PATH (or is an executable path). */
bool nb_have(const char *prog);

#endif
