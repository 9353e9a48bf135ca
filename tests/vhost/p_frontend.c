// SPDX-License-Identifier: Apache-2.0
/*
 * A front-end as a program.
 *   frontend SOCKET COUNT              send COUNT frames through a back-end that listens
 *   frontend --spawn PROGRAM ARG...    run a back-end with --fd=N, send frames, hang up, see it end
 *   frontend --spawn-tap TAP PROGRAM   the same with a tap's queue by --tap-fd, checked on the tap
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/vhost/fe.h"

static unsigned send_frames(struct fe *fe, unsigned n)
{
    unsigned got = 0;

    for (unsigned i = 0; i < n; i++) {
        struct fe_seg s = {FE_BUF(1, i % 64), VNET_HDR_LEN + 60, 0};
        fe_frame(fe, s.addr, 60);
        fe_post(fe, 1, &s, 1);
        fe_kick(fe, 1);
        got += fe_wait(fe, 1, 1);
    }
    return got;
}

static int spawn(char **argv, int tap)
{
    char fd_arg[32], tap_arg[32];
    char *args[32];
    unsigned n = 0;
    int sv[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
        return 1;
    fcntl(sv[0], F_SETFD, FD_CLOEXEC);
    snprintf(fd_arg, sizeof(fd_arg), "--fd=%d", sv[1]);
    snprintf(tap_arg, sizeof(tap_arg), "--tap-fd=%d", tap);
    while (*argv && n < 28)
        args[n++] = *argv++;
    args[n++] = fd_arg;
    if (tap >= 0) {
        fcntl(tap, F_SETFD, 0);
        args[n++] = tap_arg;
    }
    args[n] = NULL;
    pid_t pid = fork();
    if (!pid) {
        execv(args[0], args);
        _exit(127);
    }
    close(sv[1]);
    struct fe fe;
    struct fe_conf conf = {0};
    fe_open_socket(&fe, &conf, sv[0]);
    fe_up(&fe, &conf);
    unsigned got = send_frames(&fe, 50);
    fe_close(&fe);
    int status = 1;
    waitpid(pid, &status, 0);
    printf("%u of 50 frames, back-end's status %d\n", got, status);
    return got == 50 && !status ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct fe_conf conf = {0};
    struct fe fe;

    if (argc > 2 && !strcmp(argv[1], "--spawn"))
        return spawn(argv + 2, -1);
    if (argc > 3 && !strcmp(argv[1], "--spawn-tap")) {
        int tap = -1;
        if (vmmnet_tap_open(argv[2], 1, &tap, &fe.err)) {
            fprintf(stderr, "%s\n", fe.err.msg);
            return 1;
        }
        return spawn(argv + 3, tap);
    }
    if (argc != 3) {
        fputs("usage: frontend SOCKET COUNT\n", stderr);
        return 2;
    }
    fe_open_path(&fe, &conf, argv[1]);
    fe_up(&fe, &conf);
    unsigned want = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned got = send_frames(&fe, want);
    fe_close(&fe);
    return got == want ? 0 : 1;
}
