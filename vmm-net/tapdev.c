// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/tapdev.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/vmmnet.h"
#include "vmm-net/vnet.h"

/* Bytes a guest may have under way in the host's stack before it must wait. */
#define SEND_BUFFER (4 << 20)

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

int vn_tap_prepare(int fd, struct pw_err *err)
{
    struct ifreq ifr = {0};
    int len = VNET_HDR_LEN, sndbuf = SEND_BUFFER, little = 1;

    if (ioctl(fd, TUNGETIFF, &ifr))
        return pw_err_errno(err, -errno, "tap fd %d: get its interface", fd);
    if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI) ||
        !(ifr.ifr_flags & IFF_VNET_HDR))
        return pw_err_set(err, -EINVAL, "%s is not a tap with vnet header (and no packet info)",
                          ifr.ifr_name);
    if (ioctl(fd, TUNSETVNETHDRSZ, &len) || ioctl(fd, TUNSETVNETLE, &little))
        return pw_err_errno(err, -errno, "tap %s: set vnet header", ifr.ifr_name);
    if (ioctl(fd, TUNSETSNDBUF, &sndbuf))
        return pw_err_errno(err, -errno, "tap %s: set send buffer", ifr.ifr_name);
    int fl = fcntl(fd, F_GETFL);
    if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK))
        return pw_err_errno(err, -errno, "tap %s: set non-blocking", ifr.ifr_name);
    return 0;
}

unsigned vn_tap_probe_offload(int fd)
{
    unsigned base = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    unsigned uso = base | TUN_F_USO4 | TUN_F_USO6;
    unsigned have = 0;

    if (!ioctl(fd, TUNSETOFFLOAD, uso))
        have = uso;
    else if (!ioctl(fd, TUNSETOFFLOAD, base))
        have = base;
    (void)ioctl(fd, TUNSETOFFLOAD, 0);
    return have;
}

int vn_tap_offload(int fd, unsigned tun_f, struct pw_err *err)
{
    if (ioctl(fd, TUNSETOFFLOAD, tun_f))
        return pw_err_errno(err, -errno, "tap: set offloads 0x%x", tun_f);
    return 0;
}

int vn_tap_queue(int fd, bool on, struct pw_err *err)
{
    struct ifreq ifr = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

    /* EINVAL: not multi queue, or the queue is in that state already. */
    if (ioctl(fd, TUNSETQUEUE, &ifr) && errno != EINVAL)
        return pw_err_errno(err, -errno, "tap: switch a queue %s", on ? "on" : "off");
    return 0;
}

int vn_tap_announce(int fd, const uint8_t mac[6], struct pw_err *err)
{
    uint8_t f[VNET_HDR_LEN + 60] = {0};
    uint8_t *e = f + VNET_HDR_LEN;
    static const uint8_t rarp[] = {0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3};

    memset(e, 0xff, 6);
    memcpy(e + 6, mac, 6);
    memcpy(e + 12, rarp, sizeof(rarp));
    memcpy(e + 22, mac, 6);
    memcpy(e + 32, mac, 6);
    return write(fd, f, sizeof(f)) < 0 ? pw_err_errno(err, -errno, "RARP: write to tap") : 0;
}

int vmmnet_tap_open(const char *name, unsigned pairs, int *fds, struct pw_err *err)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int tmp[VMMNET_MAX_PAIRS];
    int rc = 0;

    if (strlen(name) >= IFNAMSIZ || !pairs || pairs > VMMNET_MAX_PAIRS)
        return pw_err_set(err, -EINVAL, "open tap %s: bad name or number of queues", name);
    memcpy(ifr.ifr_name, name, strlen(name));
    if (pairs > 1)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    for (unsigned i = 0; i < pairs; i++)
        tmp[i] = -1;
    for (unsigned i = 0; i < pairs && !rc; i++) {
        tmp[i] = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (tmp[i] < 0)
            rc = pw_err_errno(err, -errno, "open /dev/net/tun");
        else if (ioctl(tmp[i], TUNSETIFF, &ifr))
            rc = pw_err_errno(err, -errno, "open queue %u of tap %s", i, name);
        /* A tap that was made multi queue wants the flag from a single user too. */
        if (rc == -EINVAL && !i && pairs == 1 && !(ifr.ifr_flags & IFF_MULTI_QUEUE)) {
            ifr.ifr_flags |= IFF_MULTI_QUEUE;
            rc = ioctl(tmp[i], TUNSETIFF, &ifr) ? rc : 0;
        }
        if (!rc)
            rc = vn_tap_prepare(tmp[i], err);
    }
    for (unsigned i = 0; i < pairs; i++) {
        if (!rc)
            fds[i] = tmp[i];
        else if (tmp[i] >= 0)
            close(tmp[i]);
    }
    return rc;
}

/* One message: magic and name, the descriptors beside it. */
struct handover {
    uint32_t magic;
    char name[16];
};
#define HANDOVER_MAGIC 0x50415456u /* "VTAP" */

int vmmnet_tap_send(int sock, const char *name, const int *fds, unsigned n, struct pw_err *err)
{
    struct handover h = {.magic = HANDOVER_MAGIC};
    union {
        char buf[CMSG_SPACE(sizeof(int) * VMMNET_MAX_PAIRS)];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec iov = {.iov_base = &h, .iov_len = sizeof(h)};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf};

    if (!n || n > VMMNET_MAX_PAIRS || strlen(name) >= sizeof(h.name))
        return pw_err_set(err, -EINVAL, "hand over tap %s: bad name or number of queues", name);
    memcpy(h.name, name, strlen(name));
    mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    if (sendmsg(sock, &mh, MSG_NOSIGNAL) != (ssize_t)sizeof(h))
        return pw_err_errno(err, -errno, "hand over tap %s", name);
    return 0;
}

int vmmnet_tap_recv(int sock, char name[16], int *fds, unsigned max, unsigned *n,
                    struct pw_err *err)
{
    struct handover h = {0};
    union {
        char buf[CMSG_SPACE(sizeof(int) * VMMNET_MAX_PAIRS)];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec iov = {.iov_base = &h, .iov_len = sizeof(h)};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = ctl.buf,
                        .msg_controllen = sizeof(ctl.buf)};
    int got[VMMNET_MAX_PAIRS];
    unsigned count = 0;

    ssize_t len = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    if (len < 0)
        return pw_err_errno(err, -errno, "receive a tap");
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < k && count < VMMNET_MAX_PAIRS; i++)
            memcpy(&got[count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    bool ok = len == (ssize_t)sizeof(h) && h.magic == HANDOVER_MAGIC && count && count <= max &&
              !(mh.msg_flags & MSG_CTRUNC) && memchr(h.name, 0, sizeof(h.name));
    if (!ok) {
        for (unsigned i = 0; i < count; i++)
            close(got[i]);
        return pw_err_set(err, -EPROTO, "receive a tap: not a handover of up to %u queues", max);
    }
    memcpy(name, h.name, sizeof(h.name));
    memcpy(fds, got, sizeof(int) * count);
    *n = count;
    return 0;
}
