/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest: a stand-in for a virtual machine behind a tap, whose network is a namespace.
 * usage: guest NS:TAP GUESTNS:IF MAC MTU
 * Opens TAP in NS as a VMM does, makes the guest's interface IF (a tap as well) in GUESTNS and
 * carries frames between the two, headers of offloads included, until either device is gone. Goes
 * into the background once both are there and prints its process id.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "loader/base/addr.h"
#include "loader/nl/link.h"
#include "tests/lib/nsx.h"
#include "vmm-net/tapdev.h"
#include "vmm-net/vmmnet.h"

#define FRAME_MAX (65536 + 64)

__attribute__((noreturn)) static void die(const char *what, const char *why)
{
    fprintf(stderr, "guest: %s: %s\n", what, why);
    exit(2);
}

/* "NS:IF"; the thread is in NS afterwards. */
static const char *enter(char *where)
{
    char *colon = strchr(where, ':');

    if (!colon)
        die(where, "not NS:IF");
    *colon = '\0';
    nsx_enter(where);
    return colon + 1;
}

static int open_tap(const char *name)
{
    struct pw_err err = PW_ERR_INIT;
    int fd = -1;

    if (vmmnet_tap_open(name, 1, &fd, &err) ||
        vn_tap_offload(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, &err))
        die(name, err.msg);
    return fd;
}

static void make_interface(const char *name, const char *mac_text, unsigned long mtu)
{
    struct pw_err err = PW_ERR_INIT;
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    uint32_t ifindex = if_nametoindex(name);
    uint8_t mac[6];

    if (pw_mac_parse(mac_text, mac, &err) || pw_nl_open(&nl, NETLINK_ROUTE, &err))
        die(name, err.msg);
    pw_link_set_mac(&b, ifindex, mac);
    pw_link_set_mtu(&b, ifindex, (uint32_t)mtu);
    if (pw_nl_commit(&nl, &b, NULL, NULL, &err))
        die(name, err.msg);
}

/* What is there, but not for ever: the other way is waiting too. False when the device is gone. */
static bool carry(int from, int to)
{
    static unsigned char frame[FRAME_MAX];

    for (int i = 0; i < 64; i++) {
        ssize_t n = read(from, frame, sizeof(frame));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        /* A device that is down or full loses the frame, as hardware does. */
        if (write(to, frame, (size_t)n) < 0 && errno == EBADFD)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        die("usage", "guest NS:TAP GUESTNS:IF MAC MTU");
    nsx_enter("-");
    int tap = open_tap(enter(argv[1]));
    nsx_enter("-");
    const char *name = enter(argv[2]);
    int own = open_tap(name);
    make_interface(name, argv[3], nsx_number(argv[4]));
    pid_t child = fork();
    if (child < 0)
        die("fork", strerror(errno));
    if (child > 0) {
        printf("%d\n", (int)child);
        return 0;
    }
    if (!freopen("/dev/null", "w", stdout))
        return 2;
    setsid();
    for (;;) {
        struct pollfd p[2] = {{.fd = tap, .events = POLLIN}, {.fd = own, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return 1;
        if ((p[0].revents | p[1].revents) & (POLLERR | POLLHUP | POLLNVAL))
            usleep(1000); /* a device that is down */
        if (!carry(tap, own) || !carry(own, tap))
            return 0;
    }
}
