/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rr: requests and their answers, one after the other. usage: rr udp|tcp FROM TO ADDR N
 * A process in namespace TO answers messages of 64 bytes to ADDR, port 7077; one in FROM asks N
 * times. Prints nanoseconds per request. In a guest that counts instructions (tests/vm/run
 * --icount) these are instructions.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int open_in(const char *ns, const union nsx_addr *a, int type)
{
    nsx_enter("-");
    nsx_enter(ns);
    int fd = socket(a->sa.sa_family, type | SOCK_CLOEXEC, 0), one = 1;
    struct timeval stall = {.tv_sec = 5};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall)) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
        exit(2);
    return fd;
}

static void serve(int fd, bool stream)
{
    union nsx_addr from;
    char buf[64];

    if (stream)
        fd = accept(fd, NULL, NULL);
    for (;;) {
        socklen_t len = sizeof(from);
        ssize_t got = recvfrom(fd, buf, sizeof(buf), 0, &from.sa, &len);
        if (got <= 0)
            _exit(0);
        sendto(fd, buf, (size_t)got, 0, stream ? NULL : &from.sa, stream ? 0 : len);
    }
}

int main(int argc, char **argv)
{
    union nsx_addr to;
    char buf[64] = "";

    if (argc != 6 || !nsx_parse(&to, argv[4], 7077))
        return 2;
    bool stream = strcmp(argv[1], "tcp") == 0;
    int type = stream ? SOCK_STREAM : SOCK_DGRAM;
    unsigned long n = nsx_number(argv[5]);
    int server = open_in(argv[3], &to, type), client = open_in(argv[2], &to, type);
    if (bind(server, &to.sa, nsx_len(&to)) || (stream && listen(server, 1)) ||
        connect(client, &to.sa, nsx_len(&to)))
        return 2;
    pid_t child = fork();
    if (child == 0)
        serve(server, stream);
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
