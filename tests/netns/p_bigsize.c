/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bigsize: set the BIG TCP sizes of a device, which the iproute2 of Debian 12 cannot for IPv4.
 * usage: bigsize IF SIZE
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/nsx.h"

int main(int argc, char **argv)
{
    /* IPv6 first: the kernel takes over its size for IPv4 where that was never larger. */
    static const uint16_t types[] = {IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE,
                                     IFLA_GRO_IPV4_MAX_SIZE};
    struct {
        struct nlmsghdr h;
        struct ifinfomsg link;
        struct {
            struct rtattr head;
            uint32_t value;
        } attr[4];
    } m = {.h = {.nlmsg_len = sizeof(m),
                 .nlmsg_type = RTM_NEWLINK,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK}};
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[256];
    } answer = {0};
    int fd = -1;

    if (argc != 3) {
        fprintf(stderr, "usage: bigsize IF SIZE\n");
        return 2;
    }
    m.link.ifi_index = (int)if_nametoindex(argv[1]);
    for (unsigned i = 0; i < 4; i++) {
        m.attr[i].head = (struct rtattr){.rta_len = 8, .rta_type = types[i]};
        m.attr[i].value = (uint32_t)nsx_number(argv[2]);
    }
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || send(fd, &m, sizeof(m), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0) {
        perror("bigsize");
        return 1;
    }
    close(fd);
    if (answer.e.error) {
        fprintf(stderr, "bigsize: %s: %s\n", argv[1], strerror(-answer.e.error));
        return 1;
    }
    return 0;
}
