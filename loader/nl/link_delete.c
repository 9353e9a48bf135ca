/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device is deleted without waiting for the kernel to free it.
 *
 * unregister_netdevice_many() takes a device out of service (closed, unlisted, programs gone) and
 * tells so by RTM_DELLINK; only then, still within the request, netdev_run_todo() waits for every
 * RCU callback that anybody has queued, to free the memory. No option of netlink leaves that wait
 * out, so a child waits in our place and we go on as soon as the device is gone.
 */
#include "loader/nl/link.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define RECV_SIZE (32 * 1024)

/* What the child says when the request has been answered. Within PIPE_BUF, so whole or not at all.
 */
struct answer {
    int rc;
    struct pw_err err;
};

static int listen_links(struct pw_nl *nl, struct pw_err *err)
{
    struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int rc = pw_nl_open(nl, NETLINK_ROUTE, err);

    if (!rc && bind(nl->fd, (struct sockaddr *)&all, sizeof(all)) < 0)
        rc = pw_err_errno(err, -errno, "listen to changes of devices");
    return rc;
}

/* In the child. It may wait for long, so it keeps nothing of ours: no lock, nobody's output. */
__attribute__((noreturn)) static void request(int pipe_fd, uint32_t ifindex, const char *name)
{
    struct answer a = {0};
    struct pw_nl nl = PW_NL_INIT;
    struct pw_nlbatch b = PW_NLBATCH_INIT;

    if (dup2(pipe_fd, 0) < 0 || close_range(1, ~0U, 0) < 0)
        _exit(1);
    pw_link_del(&b, ifindex, name);
    a.rc = pw_nl_open(&nl, NETLINK_ROUTE, &a.err);
    if (!a.rc)
        a.rc = pw_nl_commit(&nl, &b, NULL, NULL, &a.err);
    _exit(write(0, &a, sizeof(a)) == sizeof(a) ? 0 : 1);
}

/* True when one of the messages that are there says that the device is gone. */
static bool gone(struct pw_nl *nl, uint32_t ifindex)
{
    uint8_t buf[RECV_SIZE];
    struct pw_nlmsg msg;
    struct ifinfomsg ifi;
    ssize_t n;

    while ((n = recv(nl->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
        struct pw_nlcur cur = {buf, (size_t)n};
        while (pw_nl_next_msg(&cur, &msg)) {
            pw_nl_fixed(&msg, &ifi, sizeof(ifi));
            /* The family of a bridge tells of a port that left. */
            if (msg.type == RTM_DELLINK && ifi.ifi_family == AF_UNSPEC &&
                (uint32_t)ifi.ifi_index == ifindex)
                return true;
        }
    }
    return false;
}

static int await(struct pw_nl *nl, int pipe_fd, uint32_t ifindex, const char *name,
                 struct pw_err *err)
{
    struct pollfd on[2] = {{.fd = pipe_fd, .events = POLLIN}, {.fd = nl->fd, .events = POLLIN}};
    struct answer a;

    for (;;) {
        if (poll(on, 2, -1) < 0 && errno != EINTR)
            return pw_err_errno(err, -errno, "delete device %s", name);
        if (on[0].revents) {
            if (read(pipe_fd, &a, sizeof(a)) != sizeof(a))
                return pw_err_set(err, -ECHILD, "delete device %s: child ended early", name);
            if (a.rc && err)
                *err = a.err;
            return a.rc;
        }
        /* Messages that were lost are no loss: the child answers in the end. */
        if (on[1].revents && gone(nl, ifindex))
            return 0;
    }
}

int pw_link_delete(const char *name, struct pw_err *err)
{
    pw_nlsock changes = PW_NL_INIT;
    uint32_t ifindex = if_nametoindex(name);
    int ends[2];

    if (!ifindex)
        return errno == ENODEV ? 0 : pw_err_errno(err, -errno, "look for device %s", name);
    int rc = listen_links(&changes, err);
    if (rc)
        return rc;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return pw_err_errno(err, -errno, "delete device %s: pipe", name);
    pw_fd rd = ends[0], wr = ends[1];
    pid_t child = fork();
    if (child < 0)
        return pw_err_errno(err, -errno, "delete device %s: fork", name);
    if (child == 0)
        request(wr, ifindex, name);
    pw_closep(&wr);
    return await(&changes, rd, ifindex, name, err);
}
