/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back-ends of vhost-user devices: one podwire-vhost with its supervisor for each tap that a VMM
 * does not open itself (vmm-net/). Whoever starts one is gone soon; a back-end lives until it is
 * removed.
 *
 * Its files in PW_VHOST_DIR:
 *   TAP.json   the record: all that it is started with. Written before it is started and removed
 *              after all else of it; so there is one as long as there may be anything to remove.
 *              Whoever starts or removes it holds an exclusive flock on it, a new process until it
 *              has the lock below.
 *   TAP.lock   empty. The supervisor has a record lock (fcntl) on it from before it is executed
 *              until its end: whether it runs, and who it is, is asked of the kernel, and no number
 *              of a process is kept.
 *   TAP.stats  its counters
 *   TAP.sock   by default its socket
 */
#ifndef PW_LOADER_VHOST_H
#define PW_LOADER_VHOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/err.h"
#include "loader/datapath.h"

#define PW_VHOST_DIR PW_RUN_DIR "/vhost"
#define PW_VHOST_MAX_QUEUES 16
/* Name of the control group, in the unified hierarchy, or in those by which processes are tracked
 * where there are several. */
#define PW_VHOST_CGROUP "podwire"

/* Plain value. */
struct pw_vhost {
    char tap[16]; /* in the node's namespace; the back-end goes by its name */
    char program[256];
    char socket[108];
    bool connect;              /* the VMM listens there */
    bool made_dir;             /* the socket's folder is ours, and goes with it */
    bool vhost_net;            /* rings go to the kernel's vhost-net */
    bool has_owner, has_group; /* the VMM's user and group; without both root */
    uint32_t owner, group;
    uint32_t queues, mtu;
    uint8_t mac[6];
};

/* The program that belongs to this one: podwire-vhost in the same folder. */
int pw_vhost_default_program(char out[256], struct pw_err *err);
/* -ENOENT, and what to do, when it cannot be run. */
int pw_vhost_program_check(const char *program, struct pw_err *err);

/*
 * Start the back-end of a tap that exists, in the calling thread's network namespace, and wait
 * until it serves front-ends (in connecting mode: until it looks for one). `made_dir` is found out.
 * What is there on failure, or when the caller is killed, goes by pw_vhost_remove.
 */
int pw_vhost_start(const struct pw_vhost *asked, struct pw_err *err);

/* End it and remove all of it; success when there is nothing. */
int pw_vhost_remove(const char *tap, struct pw_err *err);

/* What is on record. -ENOENT when there is none, -EBADMSG when it cannot be understood. */
int pw_vhost_read(const char *tap, struct pw_vhost *out, struct pw_err *err);

/* Whether it runs and its socket is there; -ESRCH when it does not, -ENOENT when something of it is
 * missing. *pid (may be NULL) is its supervisor's, 0 when that is in another pid namespace. */
int pw_vhost_check(const char *tap, pid_t *pid, struct pw_err *err);

/* Start it again by its record, if it does not run or its socket is gone. *started: it was. */
int pw_vhost_restart(const char *tap, bool *started, struct pw_err *err);

/* Of all on record: start those again that do not run, remove those whose tap is gone. Goes on
 * after a failure and returns the first. */
int pw_vhost_keep(struct pw_err *err);

/* Names of the taps that have a back-end. `fn` may remove it. */
int pw_vhost_each(void (*fn)(const char *tap, void *arg), void *arg, struct pw_err *err);

/* Path of its counters (vmm-net/vmmnet.h: vmmnet_stats_read). */
void pw_vhost_stats_path(const char *tap, char out[64]);

/* ---- loader/vhost_run.c ---- */

/*
 * Run the program as a process that has nothing of ours (session, control group, descriptors,
 * environment) but a lock on the file `lock`, and wait until it says that it is ready. The caller
 * holds the flock on the record.
 */
int pw_vhost_run(const struct pw_vhost *v, const char *lock, struct pw_err *err);
/* The process that has the lock: 0 when there is none. *foreign: there is one, in a pid namespace
 * that we do not see. */
pid_t pw_vhost_holder(int lock, bool *foreign);
/* End the process that has it, and wait for its end. */
int pw_vhost_end(int lock, struct pw_err *err);

#endif
