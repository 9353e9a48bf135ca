// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/supervisor.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define SHORT_LIFE_S 5 /* a back-end that dies earlier was not well */
#define LONGEST_WAIT_MS 5000
#define END_MS 1000 /* to end when told to; then it is killed */

static time_t seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Wait for `ms` or until told to end. */
static bool told_to_end(const sigset_t *set, long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    for (;;) {
        int sig = sigtimedwait(set, NULL, &t);
        if (sig == SIGTERM || sig == SIGINT)
            return true;
        if (sig < 0)
            return false;
    }
}

/* With SIGCHLD blocked: until the back-end has ended, or `ms` are over. */
static bool ended(const sigset_t *set, pid_t pid, long ms, int *status)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (waitpid(pid, status, WNOHANG) == 0)
        if (sigtimedwait(set, NULL, &t) < 0 && errno == EAGAIN)
            return false;
    return true;
}

int vn_supervise(struct vn_starter *starter, struct vmmnet_stats *stats, struct pw_err *err)
{

    sigset_t set;
    long wait_ms = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);

    for (;;) {
        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid < 0)
            return pw_err_errno(err, -errno, "start the back-end");
        if (!pid) {
            /* Without its supervisor nobody would end it. */
            if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent)
                _exit(1);
            sigprocmask(SIG_UNBLOCK, &set, NULL);
            pw_closep(&starter->lock_fd);
            return 1;
        }
        /* The first one says how it went, and its end is heard when we do not hold on to it. */
        pw_closep(&starter->ready_fd);
        time_t born = seconds();
        int status = 0;
        for (;;) {
            int sig = sigwaitinfo(&set, NULL);
            if (sig == SIGTERM || sig == SIGINT) {
                kill(pid, SIGTERM);
                if (!ended(&set, pid, END_MS, &status)) {
                    kill(pid, SIGKILL);
                    waitpid(pid, &status, 0);
                }
                return 0;
            }
            if (waitpid(pid, &status, WNOHANG) == pid)
                break;
        }
        if (WIFEXITED(status) && !WEXITSTATUS(status))
            return 0;
        if (stats) {
            stats->last_status = (uint32_t)status;
            __atomic_store_n(&stats->restarts, stats->restarts + 1, __ATOMIC_RELAXED);
        }
        if (seconds() - born >= SHORT_LIFE_S)
            wait_ms = 0;
        if (wait_ms && told_to_end(&set, wait_ms))
            return 0;
        wait_ms = wait_ms ? wait_ms * 2 : 50;
        if (wait_ms > LONGEST_WAIT_MS)
            wait_ms = LONGEST_WAIT_MS;
    }
}
