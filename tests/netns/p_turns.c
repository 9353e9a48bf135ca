/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turns: a UDP socket asks a server by its own address and by a Service's in turns, without a
 * pause: what a datapath remembers of the one flow must not be applied to the other.
 *
 * usage: turns FROM TO ADDR PORT SERVICE-ADDR SERVICE-PORT N
 *
 * N sockets in namespace FROM, one after the other; the server is in TO. Each answer must come from
 * where its question went. Prints a line for each of the first failures; exit code 1 with any.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/nsx.h"

#define PATIENCE 3000 /* ms */
#define MAX_FAILED 5

static int server;
static unsigned seq, failed;

static bool wait_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE) == 1;
}

/* NULL, or what is wrong with the answer. */
static const char *ask(int client, const union nsx_addr *to)
{
    union nsx_addr from;
    socklen_t len = sizeof(from);
    unsigned got;

    seq++;
    if (sendto(client, &seq, sizeof(seq), 0, &to->sa, nsx_len(to)) < 0)
        return "not sent";
    if (!wait_for(server) || recvfrom(server, &got, sizeof(got), 0, &from.sa, &len) < 0)
        return "did not arrive";
    if (sendto(server, &got, sizeof(got), 0, &from.sa, len) < 0)
        return "no answer sent";
    len = sizeof(from);
    if (!wait_for(client) || recvfrom(client, &got, sizeof(got), 0, &from.sa, &len) < 0)
        return "no answer came";
    if (got != seq)
        return "another answer came";
    return strcmp(nsx_text(&from), nsx_text(to)) == 0 ? NULL : "answered by somebody else";
}

int main(int argc, char **argv)
{
    static const char steps[] = "dddssddsds"; /* direct, by the Service */
    union nsx_addr direct, service;

    if (argc != 8 || !nsx_parse(&direct, argv[3], (unsigned)nsx_number(argv[4])) ||
        !nsx_parse(&service, argv[5], (unsigned)nsx_number(argv[6])))
        return 2;
    server = nsx_socket(argv[2], direct.sa.sa_family, SOCK_DGRAM, 0);
    if (server < 0 || bind(server, &direct.sa, nsx_len(&direct))) {
        perror("turns: server");
        return 2;
    }
    unsigned long n = nsx_number(argv[7]);
    for (unsigned long i = 0; i < n && failed < MAX_FAILED; i++) {
        int client = nsx_socket(argv[1], direct.sa.sa_family, SOCK_DGRAM, 0);
        const char *why = client < 0 ? "no socket" : NULL;
        for (size_t k = 0; steps[k] && !why; k++) {
            const union nsx_addr *to = steps[k] == 'd' ? &direct : &service;
            why = ask(client, to);
            if (why)
                printf("socket %lu, question %zu, to %s: %s\n", i + 1, k + 1, nsx_text(to), why);
        }
        failed += why != NULL;
        close(client);
    }
    return failed ? 1 : 0;
}
