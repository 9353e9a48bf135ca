/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/nsx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void nsx_enter(const char *name)
{
    static int start = -1;
    char path[128];
    int fd = -1;

    if (start < 0)
        start = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (strcmp(name, "-") == 0 || strcmp(name, "node") == 0) {
        if (setns(start, CLONE_NEWNET) == 0)
            return;
    } else {
        snprintf(path, sizeof(path), "/run/netns/%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && setns(fd, CLONE_NEWNET) == 0) {
            close(fd);
            return;
        }
    }
    fprintf(stderr, "cannot enter namespace '%s': %s\n", name, strerror(errno));
    exit(2);
}

int nsx_socket(const char *name, int family, int type, int protocol)
{
    int fd = -1, saved;

    nsx_enter("-"); /* so that the start namespace is remembered before any other */
    nsx_enter(name);
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    saved = errno;
    nsx_enter("-");
    errno = saved;
    return fd;
}

bool nsx_parse(union nsx_addr *out, const char *text, unsigned port)
{
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        return true;
    }
    return false;
}

socklen_t nsx_len(const union nsx_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

unsigned nsx_port(const union nsx_addr *a)
{
    return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

const char *nsx_text(const union nsx_addr *a)
{
    static char ring[4][80];
    static unsigned at;
    char *out = ring[at++ % 4], host[INET6_ADDRSTRLEN];

    if (a->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
        snprintf(out, sizeof(ring[0]), "[%s]:%u", host, nsx_port(a));
    } else {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
        snprintf(out, sizeof(ring[0]), "%s:%u", host, nsx_port(a));
    }
    return out;
}

unsigned long nsx_number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 0);

    if (end == text || *end) {
        fprintf(stderr, "not a number: '%s'\n", text);
        exit(2);
    }
    return n;
}

unsigned long long nsx_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (unsigned long long)ts.tv_sec * 1000 + (unsigned long long)ts.tv_nsec / 1000000;
}
