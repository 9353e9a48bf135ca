/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/tap.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "loader/base/cleanup.h"

static int set(int fd, unsigned long what, unsigned long value, const char *name,
               struct pw_err *err)
{
    return ioctl(fd, what, value) ? pw_err_errno(err, -errno, "set up tap %s", name) : 0;
}

/* Who may open it. The kernel lets everybody where nobody is named, and asks both where both are.
 */
static int set_owner(int fd, const struct pw_tap *tap, struct pw_err *err)
{
    int rc = 0;

    if (tap->has_owner || !tap->has_group)
        rc = set(fd, TUNSETOWNER, tap->has_owner ? tap->owner : 0, tap->name, err);
    if (!rc && tap->has_group)
        rc = set(fd, TUNSETGROUP, tap->group, tap->name, err);
    return rc;
}

int pw_tap_create(const struct pw_tap *tap, uint32_t *ifindex, struct pw_err *err)
{
    struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL)};
    pw_fd fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return pw_err_errno(err, -errno, "open /dev/net/tun (is the module tun there?)");
    memcpy(ifr.ifr_name, tap->name, strnlen(tap->name, IFNAMSIZ - 1));
    if (tap->queues > 1)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    if (tap->ifindex && ioctl(fd, TUNSETIFINDEX, &tap->ifindex))
        return pw_err_errno(err, -errno, "choose the index of tap %s", tap->name);
    if (ioctl(fd, TUNSETIFF, &ifr)) {
        /* EBUSY: a device of that name; EINVAL: the same, and it is no tap. */
        bool taken = errno == EBUSY || errno == EEXIST || if_nametoindex(tap->name);
        return pw_err_errno(err, taken ? -EEXIST : -errno, "create tap %s", tap->name);
    }
    int rc = set_owner(fd, tap, err);
    if (!rc)
        rc = set(fd, TUNSETPERSIST, 1, tap->name, err);
    if (rc)
        return rc;
    unsigned made = if_nametoindex(tap->name);
    if (!made)
        return pw_err_errno(err, -errno, "tap %s", tap->name);
    *ifindex = made;
    return 0;
}
