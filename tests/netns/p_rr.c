/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rr: requests and their answers, one after the other. usage: rr FROM TO ADDR N
 * A process in namespace TO answers 64-byte datagrams to ADDR, port 7077; one in FROM asks N times.
 * Prints nanoseconds per request. In a guest that counts instructions (tests/vm/run --icount) these
 * are instructions.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/nsx.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int open_in(const char *ns, const union nsx_addr *a)
{
    nsx_enter("-");
    nsx_enter(ns);
    int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval stall = {.tv_sec = 5};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)))
        exit(2);
    return fd;
}

int main(int argc, char **argv)
{
    union nsx_addr to, from;
    char buf[64] = "";

    if (argc != 5 || !nsx_parse(&to, argv[3], 7077))
        return 2;
    unsigned long n = nsx_number(argv[4]);
    int server = open_in(argv[2], &to), client = open_in(argv[1], &to);
    if (bind(server, &to.sa, nsx_len(&to)) || connect(client, &to.sa, nsx_len(&to)))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            socklen_t len = sizeof(from);
            if (recvfrom(server, buf, sizeof(buf), 0, &from.sa, &len) < 0)
                _exit(0);
            sendto(server, buf, sizeof(buf), 0, &from.sa, len);
        }
    }
    double start = 0;
    /* The first ones learn neighbours and paths. */
    for (unsigned long i = 0; i < n + 50; i++) {
        if (i == 50)
            start = now();
        if (send(client, buf, sizeof(buf), 0) < 0 || recv(client, buf, sizeof(buf), 0) < 0) {
            fprintf(stderr, "rr: no answer\n");
            kill(child, SIGKILL);
            return 1;
        }
    }
    printf("%.0f\n", (now() - start) / (double)n);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
