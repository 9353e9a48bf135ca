// SPDX-License-Identifier: Apache-2.0
/* burst IFNAME COUNT SIZE GAP_US: send test frames out of an interface, 32 at a time. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint8_t f[9216] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};

    if (argc != 5) {
        fputs("usage: burst IFNAME COUNT SIZE GAP_US\n", stderr);
        return 2;
    }
    struct sockaddr_ll ll = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(0x88b5),
                             .sll_ifindex = (int)if_nametoindex(argv[1])};
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    size_t size = strtoul(argv[3], NULL, 10);
    unsigned long n = strtoul(argv[2], NULL, 10), gap = strtoul(argv[4], NULL, 10);
    if (s < 0 || size > sizeof(f) || bind(s, (struct sockaddr *)&ll, sizeof(ll))) {
        perror("burst");
        return 1;
    }
    for (unsigned long i = 0; i < n; i++) {
        if (send(s, f, size, 0) != (ssize_t)size) {
            perror("burst: send");
            return 1;
        }
        if (i % 32 == 31)
            usleep((useconds_t)gap);
    }
    return 0;
}
