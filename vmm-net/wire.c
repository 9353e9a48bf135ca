// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void vu_msg_reset(struct vu_msg *m)
{
    for (unsigned i = 0; i < VU_MAX_FDS; i++) {
        if (m->fds[i] >= 0)
            close(m->fds[i]);
        m->fds[i] = -1;
    }
    m->nfds = 0;
    m->got = 0;
    memset(&m->h, 0, sizeof(m->h));
    memset(&m->p, 0, sizeof(m->p));
}

/* Keep every descriptor the kernel installed, so that vu_msg_reset closes each of them. */
static int take_fds(struct vu_msg *m, struct msghdr *mh)
{
    int rc = mh->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd = -1;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (m->nfds < VU_MAX_FDS) {
                m->fds[m->nfds++] = fd;
            } else {
                close(fd);
                rc = -EPROTO;
            }
        }
    }
    return rc;
}

int vu_recv(int sock, struct vu_msg *m)
{
    for (;;) {
        size_t want = sizeof(m->h);
        if (m->got >= sizeof(m->h))
            want += m->h.size;
        if (m->got == want)
            return 1;

        /* Only the header may bring descriptors: with the payload they belong to no message. */
        union {
            char buf[CMSG_SPACE(sizeof(int) * VU_MAX_FDS)];
            struct cmsghdr align;
        } ctl;
        bool head = m->got < sizeof(m->h);
        struct iovec iov = {
            .iov_base = head ? (uint8_t *)&m->h + m->got : m->p.bytes + m->got - sizeof(m->h),
            .iov_len = want - m->got,
        };
        struct msghdr mh = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = head ? ctl.buf : NULL,
                            .msg_controllen = head ? sizeof(ctl.buf) : 0};
        ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -ECONNRESET;
        if (head && take_fds(m, &mh))
            return -EPROTO;
        if (!head && (mh.msg_flags & MSG_CTRUNC))
            return -EPROTO;
        m->got += (size_t)n;
        if (head && m->got == sizeof(m->h)) {
            if ((m->h.flags & VU_VERSION_MASK) != VU_VERSION || (m->h.flags & VU_REPLY) ||
                m->h.size > sizeof(m->p))
                return -EPROTO;
        }
    }
}

int vu_send(int sock, struct vu_msg *m, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec iov[2] = {
        {.iov_base = &m->h, .iov_len = sizeof(m->h)},
        {.iov_base = m->p.bytes, .iov_len = m->h.size},
    };
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

    if (fd >= 0) {
        mh.msg_control = ctl.buf;
        mh.msg_controllen = sizeof(ctl.buf);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    ssize_t n;
    do {
        n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    /* A reply that only half fits means that none of the earlier ones were read. */
    return (size_t)n == sizeof(m->h) + m->h.size ? 0 : -EAGAIN;
}
