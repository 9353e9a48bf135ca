// SPDX-License-Identifier: Apache-2.0
/* A tap's queues handed over a unix socket: whole or not at all, whoever is at the other end. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "tests/vhost/fe.h"

static int sock[2];
static struct pw_err err;

/* Something else than a handover: refused, and its descriptors are closed. */
static void refused(const char *what, const void *msg, size_t len, const int *fds, unsigned n)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * 32)];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec iov = {(void *)msg, len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    int got[4];
    char name[16];
    unsigned count = 99, before = fe_count_fds();

    if (n) {
        mh.msg_control = ctl.buf;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    ok(sendmsg(sock[0], &mh, 0) == (ssize_t)len, "%s", what);
    ok(vmmnet_tap_recv(sock[1], name, got, 4, &count, &err) < 0, "%s: refused", what);
    is_int(count, 99, "%s: nothing is given", what);
    is_int(fe_count_fds(), before, "%s: no descriptor is left", what);
}

int main(void)
{
    struct {
        uint32_t magic;
        char name[16];
    } good = {0x50415456u, "ho0"}, bad = good;
    int fds[4], got[4], many[32];
    char name[16] = "";
    unsigned n = 0;

    if (vmmnet_tap_open("ho0", 4, fds, &err))
        skip_all("no tap can be made here");
    ok(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), "a socket");
    ok(!vmmnet_tap_send(sock[0], "ho0", fds, 4, &err), "four queues are sent");
    ok(!vmmnet_tap_recv(sock[1], name, got, 4, &n, &err), "and received");
    is_int(n, 4, "all of them");
    is_str(name, "ho0", "by their name");
    ok(fcntl(got[3], F_GETFD) & FD_CLOEXEC, "not for programs started later");

    struct vmmnet_conf conf = {.pairs = 4, .tap = got};
    struct vmmnet *net = NULL;
    ok(!vmmnet_new(&conf, &net, &err), "a device over them");
    vmmnet_free(net);

    for (unsigned i = 0; i < 32; i++)
        many[i] = fds[0];
    bad.magic++;
    refused("another message", &bad, sizeof(bad), fds, 2);
    refused("no descriptors", &good, sizeof(good), NULL, 0);
    refused("more than there is room for", &good, sizeof(good), many, 5);
    refused("more than any device has", &good, sizeof(good), many, 32);
    bad = good;
    memset(bad.name, 'x', sizeof(bad.name));
    refused("a name without an end", &bad, sizeof(bad), fds, 1);
    ok(vmmnet_tap_send(sock[0], "a-name-that-is-too-long", fds, 1, &err) == -EINVAL,
       "a name that is too long is not sent");
    ok(vmmnet_tap_send(sock[0], "ho0", fds, 0, &err) == -EINVAL, "nor is nothing");
    ok(send(sock[0], &good, 7, 0) == 7 && !shutdown(sock[0], SHUT_WR), "half a message, the end");
    ok(vmmnet_tap_recv(sock[1], name, got, 4, &n, &err) < 0, "refused");
    close(sock[1]);
    ok(vmmnet_tap_send(sock[0], "ho0", fds, 1, &err) < 0, "nobody there: said, not died of");
    return tap_done();
}
