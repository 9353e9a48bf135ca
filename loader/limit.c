/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/limit.h"

#include <stdint.h>

#include "loader/base/cleanup.h"
#include "loader/expedite.h"
#include "loader/nl/link.h"

#define NSEC 1000000000U
/* Bytes that pass at once where nobody says: what is sent in a tenth of a second, and a large
 * packet at least. */
#define BURSTS_A_SECOND 10.0
#define BURST_MIN 65536U
/* No packet waits longer, so that fq never drops one for being too far in the future. */
#define DEPTH_MAX (2ULL * NSEC)

struct pw_limit pw_limit_value(const struct pw_bandwidth *b, uint32_t slot)
{
    struct pw_limit l = {.rate = b->rate < 8 ? 1 : b->rate / 8, .slot = slot};
    /* In floating point: rates and bursts are whatever somebody wrote. */
    double bytes = (double)b->burst / 8.0;

    if (b->burst == 0 || b->burst >= INT32_MAX) {
        bytes = (double)l.rate / BURSTS_A_SECOND;
        bytes = bytes < BURST_MIN ? BURST_MIN : bytes;
    }
    double ns = bytes / (double)l.rate * NSEC;
    l.depth = ns > (double)DEPTH_MAX ? DEPTH_MAX : (uint64_t)ns;
    return l;
}

static bool is_netkit(const struct pw_endpoint *ep)
{
    return ep->device == PW_DEV_NETKIT || ep->device == PW_DEV_NETKIT_L2;
}

static enum pw_hook hook_of(const struct pw_endpoint *ep, enum pw_direction dir)
{
    return dir == PW_TO_POD ? PW_HOOK_LIMIT_TO
           : is_netkit(ep)  ? PW_HOOK_LIMIT_NETKIT
                            : PW_HOOK_LIMIT_FROM;
}

static const struct pw_bandwidth *bandwidth_of(const struct pw_endpoint *ep, enum pw_direction dir)
{
    return dir == PW_TO_POD ? &ep->to_pod : &ep->from_pod;
}

static int apply_one(struct pw_dp *dp, const struct pw_endpoint *ep, enum pw_direction dir,
                     uint32_t slot, struct pw_err *err)
{
    const struct pw_bandwidth *b = bandwidth_of(ep, dir);
    enum pw_hook hook = hook_of(ep, dir);
    int fd = pw_dp_map(dp, PW_MAP_LIMITS, err);

    if (fd < 0)
        return fd;
    /* Attached anew, so that it is the first of its hook again. */
    int rc = pw_detach(ep->ifname, hook, err);
    if (rc)
        return rc;
    if (!b->rate) {
        rc = pw_limit_del(fd, ep->ifindex, dir);
        return rc && rc != -ENOENT ? pw_err_errno(err, rc, "bandwidth limit of %s", ep->ifname) : 0;
    }
    struct pw_limit l = pw_limit_value(b, slot);
    rc = pw_limit_set(fd, ep->ifindex, dir, &l, err);
    if (rc)
        return rc;
    pw_fd prog = pw_dp_prog(dp, pw_hook_program(hook), err);
    return prog < 0 ? prog : pw_attach(ep->ifname, ep->ifindex, hook, prog, err);
}

int pw_limit_apply(struct pw_dp *dp, const struct pw_endpoint *ep, uint32_t slot,
                   struct pw_err *err)
{
    pw_expedited;
    int rc = apply_one(dp, ep, PW_FROM_POD, slot, err);
    return rc ? rc : apply_one(dp, ep, PW_TO_POD, slot, err);
}

static int check_one(struct pw_dp *dp, const struct pw_endpoint *ep, enum pw_direction dir,
                     struct pw_err *err)
{
    const struct pw_bandwidth *b = bandwidth_of(ep, dir);
    enum pw_hook hook = hook_of(ep, dir);
    struct pw_attached at = {0};
    struct pw_limit want = pw_limit_value(b, 0), have = {0};
    int fd = pw_dp_map(dp, PW_MAP_LIMITS, err);

    if (fd < 0)
        return fd;
    bool there = pw_limit_get(fd, ep->ifindex, dir, &have) == 0;
    if (there != (b->rate != 0) || (there && (have.rate != want.rate || have.depth != want.depth)))
        return pw_err_set(err, -ESTALE, "%s has another bandwidth limit", ep->ifname);
    if (!there)
        return 0;
    if (pw_attach_info(ep->ifname, hook, &at, NULL) || !pw_attached_to(&at, hook, ep->ifindex))
        return pw_err_set(err, -ESTALE, "program %s is not attached to %s", pw_hook_program(hook),
                          ep->ifname);
    return 0;
}

int pw_limit_check(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err)
{
    int rc = check_one(dp, ep, PW_FROM_POD, err);
    return rc ? rc : check_one(dp, ep, PW_TO_POD, err);
}

int pw_limit_forget(struct pw_dp *dp, uint32_t ifindex, struct pw_err *err)
{
    int fd = pw_dp_map(dp, PW_MAP_LIMITS, err);

    if (fd == -ENOENT)
        return 0; /* loaded by a version that knew none */
    for (unsigned dir = PW_FROM_POD; fd >= 0 && dir <= PW_TO_POD; dir++) {
        int rc = pw_limit_del(fd, ifindex, dir);
        if (rc && rc != -ENOENT)
            return pw_err_errno(err, rc, "remove bandwidth limit of device %u", ifindex);
    }
    return fd < 0 ? fd : 0;
}

int pw_limit_sweep(struct pw_dp *dp, size_t *removed, struct pw_err *err)
{
    struct pw_limit_key key, next;
    int fd = pw_dp_map(dp, PW_MAP_LIMITS, err);

    if (fd < 0)
        return fd;
    for (int rc = pw_limit_next(fd, &key, true); rc == 0; key = next) {
        next = key;
        rc = pw_limit_next(fd, &next, false); /* before `key` may go */
        if (pw_link_gone(key.ifindex) && pw_limit_del(fd, key.ifindex, key.dir) == 0)
            ++*removed;
    }
    return 0;
}
