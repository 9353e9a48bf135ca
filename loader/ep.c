/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints: registering, removing, checking them, and sweeping up what crashes left. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "loader/base/cleanup.h"
#include "loader/dp.h"
#include "loader/expedite.h"
#include "loader/limit.h"
#include "loader/nl/link.h"

/* Hooks of a kind of device, in the order in which they are attached. */
static size_t hooks_of(enum pw_device device, enum pw_hook out[2])
{
    switch (device) {
    case PW_DEV_NETKIT:
    case PW_DEV_NETKIT_L2:
        /* The guard first: when the peer hook opens the pair, the way round it is shut. */
        out[0] = PW_HOOK_NETKIT_GUARD;
        out[1] = PW_HOOK_NETKIT_FROM_POD;
        return 2;
    case PW_DEV_VETH:
    case PW_DEV_TAP:
    case PW_DEV_POD_TAP:
    case PW_DEV_VHOST_USER:
        out[0] = PW_HOOK_FROM_POD;
        return 1;
    }
    return 0;
}

static const enum pw_hook pod_hooks[] = {
    PW_HOOK_NETKIT_GUARD, PW_HOOK_NETKIT_FROM_POD, PW_HOOK_FROM_POD,
    PW_HOOK_GUEST_IN,     PW_HOOK_GUEST_OUT,       PW_HOOK_GUEST_SEND,
    PW_HOOK_LIMIT_NETKIT, PW_HOOK_LIMIT_FROM,      PW_HOOK_LIMIT_TO};

static enum pw_map ip_map(const struct pw_addr *a)
{
    return a->family == 4 ? PW_MAP_IP4 : PW_MAP_IP6;
}

/* Who has a tap's queues is nothing to the programs. */
static uint16_t stored_device(enum pw_device device)
{
    return (uint16_t)(device == PW_DEV_VHOST_USER ? PW_DEV_TAP : device);
}

static struct pw_ep value_of(const struct pw_endpoint *ep, uint32_t slot)
{
    struct pw_ep v = {.ifindex = ep->ifindex,
                      .slot = slot,
                      .mtu = ep->mtu,
                      .device = stored_device(ep->device),
                      .flags = (ep->device == PW_DEV_NETKIT ? 0 : PW_EP_L2) |
                               (ep->to_pod.rate ? PW_EP_LIMITED : 0)};

    memcpy(v.mac, ep->mac, sizeof(v.mac));
    memcpy(v.host_mac, ep->host_mac, sizeof(v.host_mac));
    return v;
}

static bool same_ep(const struct pw_ep *a, const struct pw_ep *b)
{
    return a->ifindex == b->ifindex && a->slot == b->slot && a->mtu == b->mtu &&
           a->device == b->device && a->flags == b->flags && memcmp(a->mac, b->mac, 6) == 0 &&
           memcmp(a->host_mac, b->host_mac, 6) == 0;
}

static bool listed(const struct pw_addr *a, const struct pw_addr *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pw_addr_same(a, &addrs[i]))
            return true;
    return false;
}

/* Walk one address map; entries for which `doomed` says so are removed. */
static int prune_ips(struct pw_dp *dp, int family,
                     bool (*doomed)(const struct pw_addr *a, const struct pw_ep *ep, void *arg),
                     void *arg, size_t *removed, struct pw_err *err)
{
    int fd = pw_dp_map(dp, family == 4 ? PW_MAP_IP4 : PW_MAP_IP6, err);
    struct pw_addr at, next;
    struct pw_ep ep;

    if (fd < 0)
        return fd;
    int rc = pw_ip_next(fd, family, NULL, &at);
    while (rc == 0) {
        rc = pw_ip_next(fd, family, &at, &next); /* before `at` may go */
        if (pw_ip_get(fd, &at, &ep) == 0 && doomed(&at, &ep, arg) && pw_ip_del(fd, &at) == 0)
            ++*removed;
        at = next;
    }
    return 0;
}

struct keep {
    uint32_t ifindex;
    const struct pw_addr *addrs;
    size_t n;
};

static bool no_longer_listed(const struct pw_addr *a, const struct pw_ep *ep, void *arg)
{
    const struct keep *k = arg;
    return ep->ifindex == k->ifindex && !listed(a, k->addrs, k->n);
}

/* An address is registered for another device. Taken over only from one that is gone. */
static int take_over(int fd, const struct pw_addr *a, const struct pw_ep *v, struct pw_err *err)
{
    char text[PW_ADDR_STRLEN], name[IF_NAMESIZE];
    struct pw_ep other;

    if (pw_ip_get(fd, a, &other) == 0 && other.ifindex != v->ifindex &&
        !pw_link_gone(other.ifindex))
        return pw_err_set(err, -EADDRINUSE, "register address %s: it is %s's",
                          pw_addr_text(a, false, text),
                          if_indextoname(other.ifindex, name) ? name : "another device");
    return pw_ip_set(fd, a, v, true, err);
}

static int set_addrs(struct pw_dp *dp, const struct pw_endpoint *ep, const struct pw_ep *v,
                     struct pw_err *err)
{
    for (size_t i = 0; i < ep->n_addrs; i++) {
        const struct pw_addr *a = &ep->addrs[i];
        int fd = pw_dp_map(dp, ip_map(a), err);
        if (fd < 0)
            return fd;
        int rc = pw_ip_set(fd, a, v, false, err);
        if (rc == -EEXIST)
            rc = take_over(fd, a, v, err);
        if (rc)
            return rc;
    }
    return 0;
}

static int attach_all(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err)
{
    enum pw_hook hooks[2];
    size_t n = hooks_of(ep->device, hooks);
    pw_fd first = -1, second = -1;
    int *progs[] = {&first, &second};

    if (n == 0)
        return pw_err_set(err, -EINVAL, "unknown kind of device %d", (int)ep->device);
    for (size_t i = 0; i < n; i++) {
        *progs[i] = pw_dp_prog(dp, pw_hook_program(hooks[i]), err);
        if (*progs[i] < 0)
            return *progs[i];
    }
    pw_expedited;
    for (size_t i = 0; i < n; i++) {
        int rc = pw_attach(ep->ifname, ep->ifindex, hooks[i], *progs[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static bool has_pin(const char *ifname)
{
    char path[PW_PIN_PATH];

    for (size_t i = 0; i < PW_ARRAY_SIZE(pod_hooks); i++) {
        snprintf(path, sizeof(path), "%s/%.31s:%s", PW_PIN_LINKS, ifname,
                 pw_hook_name(pod_hooks[i]));
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* Programs remember for a moment where packets go. */
static int forget_flows(struct pw_dp *dp, struct pw_err *err)
{
    int fd = pw_dp_map(dp, PW_MAP_CONF, err);
    return fd < 0 ? fd : pw_conf_touch(fd, err);
}

/* Links first, so that no packet counts for the slot while it is cleared; the endpoint's entry
 * last, because it says which slot is to be released when this is done again. */
static int remove_all(struct pw_dp *dp, const char *ifname, uint32_t ifindex, struct pw_err *err)
{
    struct pw_ep v;
    uint32_t owner;
    int rc = 0;

    if (has_pin(ifname)) {
        pw_expedited;
        for (size_t i = 0; !rc && i < PW_ARRAY_SIZE(pod_hooks); i++)
            rc = pw_detach(ifname, pod_hooks[i], err);
        if (rc)
            return rc;
    }
    if (!ifindex)
        return 0;
    int fd = pw_dp_map(dp, PW_MAP_ENDPOINTS, err), slots = pw_dp_map(dp, PW_MAP_SLOTS, err);
    if (fd < 0 || slots < 0)
        return fd < 0 ? fd : slots;
    rc = pw_endpoint_get(fd, ifindex, &v);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return pw_err_errno(err, rc, "read endpoint %u", ifindex);
    if (pw_slot_owner(slots, v.slot, &owner) == 0 && owner == ifindex) {
        rc = pw_dp_slot_release(dp, v.slot, err);
        if (rc)
            return rc;
    }
    rc = pw_limit_forget(dp, ifindex, err);
    if (rc)
        return rc;
    int guests = pw_dp_map(dp, PW_MAP_GUESTS, NULL);
    rc = guests < 0 ? 0 : pw_guest_del(guests, ifindex);
    if (rc && rc != -ENOENT)
        return pw_err_errno(err, rc, "remove the guest of endpoint %u", ifindex);
    rc = pw_endpoint_del(fd, ifindex);
    if (rc && rc != -ENOENT)
        return pw_err_errno(err, rc, "remove endpoint %u", ifindex);
    return forget_flows(dp, err);
}

static int del_addrs(struct pw_dp *dp, uint32_t ifindex, const struct pw_addr *addrs, size_t n,
                     struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];
    struct pw_ep v;

    for (size_t i = 0; i < n; i++) {
        int fd = pw_dp_map(dp, ip_map(&addrs[i]), err);
        if (fd < 0)
            return fd;
        if (pw_ip_get(fd, &addrs[i], &v) || v.ifindex != ifindex)
            continue;
        int rc = pw_ip_del(fd, &addrs[i]);
        if (rc && rc != -ENOENT)
            return pw_err_errno(err, rc, "remove address %s", pw_addr_text(&addrs[i], false, text));
    }
    return 0;
}

/* An older datapath that was not upgraded yet has not the map: nobody is answered then. */
static int guest_map(struct pw_dp *dp, struct pw_err *err)
{
    int fd = pw_dp_map(dp, PW_MAP_GUESTS, err);

    return fd != -ENOENT
               ? fd
               : pw_err_set(err, -ENOENT,
                            "the datapath that is loaded answers no DHCP: `podwirectl upgrade`, or "
                            "set \"autoconf\": false");
}

static int set_guest(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err)
{
    int fd = guest_map(dp, ep->guest ? err : NULL);

    if (ep->guest)
        return fd < 0 ? fd : pw_guest_set(fd, ep->ifindex, ep->guest, err);
    if (fd >= 0)
        pw_guest_del(fd, ep->ifindex); /* of a device that is gone and had this index */
    return 0;
}

static int ep_add(struct pw_dp *dp, const struct pw_endpoint *ep, bool *fresh, struct pw_err *err)
{
    int fd = pw_dp_map(dp, PW_MAP_ENDPOINTS, err), slots = pw_dp_map(dp, PW_MAP_SLOTS, err);
    struct pw_ep old, v;
    uint32_t slot, owner;
    size_t pruned = 0;
    int rc;

    if (fd < 0 || slots < 0)
        return fd < 0 ? fd : slots;
    *fresh = pw_endpoint_get(fd, ep->ifindex, &old) != 0;
    if (!*fresh && pw_slot_owner(slots, old.slot, &owner) == 0 && owner == ep->ifindex) {
        slot = old.slot;
    } else {
        /* Indexes of devices rise: the hint is nearly always free. */
        rc = pw_slot_claim(slots, ep->ifindex, ep->ifindex, &slot, err);
        if (rc)
            return rc;
    }
    v = value_of(ep, slot);
    rc = pw_endpoint_set(fd, ep->ifindex, &v, err);
    if (rc) {
        pw_slot_free(slots, slot);
        return rc;
    }
    if (!*fresh) {
        /* Registered before, or a gone device had this index: no address but the listed ones. */
        struct keep k = {ep->ifindex, ep->addrs, ep->n_addrs};
        rc = prune_ips(dp, 4, no_longer_listed, &k, &pruned, err);
        if (!rc)
            rc = prune_ips(dp, 6, no_longer_listed, &k, &pruned, err);
    }
    if (!rc)
        rc = set_guest(dp, ep, err);
    if (!rc)
        rc = set_addrs(dp, ep, &v, err);
    if (!rc)
        rc = forget_flows(dp, err);
    if (!rc)
        rc = attach_all(dp, ep, err);
    /* Only who has limits, or may have had, has anything to do with them. */
    if (!rc && (ep->from_pod.rate || ep->to_pod.rate || !*fresh))
        rc = pw_limit_apply(dp, ep, slot, err);
    return rc;
}

int pw_dp_ep_add(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err)
{
    bool fresh = false;

    pw_fd lock = pw_lock(PW_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    if (rc)
        return rc;
    rc = ep_add(dp, ep, &fresh, err);
    if (rc && fresh) {
        del_addrs(dp, ep->ifindex, ep->addrs, ep->n_addrs, NULL);
        remove_all(dp, ep->ifname, ep->ifindex, NULL);
    }
    return rc ? pw_err_wrap(err, "register %s", ep->ifname) : 0;
}

/* Which device an endpoint had that is gone: told by its addresses, where no living device has
 * them. 0 when they do not say. */
static uint32_t former_ifindex(struct pw_dp *dp, const struct pw_addr *addrs, size_t n)
{
    struct pw_ep v;

    for (size_t i = 0; i < n; i++) {
        int fd = pw_dp_map(dp, ip_map(&addrs[i]), NULL);
        if (fd >= 0 && pw_ip_get(fd, &addrs[i], &v) == 0 && pw_link_gone(v.ifindex))
            return v.ifindex;
    }
    return 0;
}

int pw_dp_ep_del(struct pw_dp *dp, const char *ifname, uint32_t ifindex,
                 const struct pw_addr *addrs, size_t n_addrs, struct pw_err *err)
{
    size_t pruned = 0;

    pw_fd lock = pw_lock(PW_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    if (rc)
        return rc == -ENOENT ? 0 : rc; /* unloaded: all is gone */
    if (!ifindex)
        ifindex = if_nametoindex(ifname);
    if (!ifindex)
        ifindex = former_ifindex(dp, addrs, n_addrs);
    if (ifindex && n_addrs) {
        rc = del_addrs(dp, ifindex, addrs, n_addrs, err);
    } else if (ifindex) {
        /* Nobody knows its addresses any more. */
        struct keep k = {ifindex, NULL, 0};
        rc = prune_ips(dp, 4, no_longer_listed, &k, &pruned, err);
        if (!rc)
            rc = prune_ips(dp, 6, no_longer_listed, &k, &pruned, err);
    }
    if (!rc)
        rc = remove_all(dp, ifname, ifindex, err);
    return rc ? pw_err_wrap(err, "remove endpoint %s", ifname) : 0;
}

int pw_dp_ep_check(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err)
{
    enum pw_hook hooks[2];
    size_t n = hooks_of(ep->device, hooks);
    char text[PW_ADDR_STRLEN];
    struct pw_ep v, have;
    uint32_t owner;

    pw_fd lock = pw_lock(PW_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    if (rc)
        return rc;
    int fd = pw_dp_map(dp, PW_MAP_ENDPOINTS, err), slots = pw_dp_map(dp, PW_MAP_SLOTS, err);
    if (fd < 0 || slots < 0)
        return fd < 0 ? fd : slots;
    if (pw_endpoint_get(fd, ep->ifindex, &have))
        return pw_err_set(err, -ESTALE, "%s is not registered", ep->ifname);
    v = value_of(ep, have.slot);
    if (!same_ep(&v, &have))
        return pw_err_set(err, -ESTALE, "%s is registered with other properties", ep->ifname);
    if (pw_slot_owner(slots, have.slot, &owner) || owner != ep->ifindex)
        return pw_err_set(err, -ESTALE, "%s has no counter slot", ep->ifname);
    struct pw_guest guest;
    fd = pw_dp_map(dp, PW_MAP_GUESTS, NULL);
    if (ep->guest && (fd < 0 || pw_guest_get(fd, ep->ifindex, &guest)))
        return pw_err_set(err, -ESTALE, "%s has nothing to tell its guest", ep->ifname);
    for (size_t i = 0; i < ep->n_addrs; i++) {
        fd = pw_dp_map(dp, ip_map(&ep->addrs[i]), err);
        if (fd < 0)
            return fd;
        if (pw_ip_get(fd, &ep->addrs[i], &have) || !same_ep(&v, &have))
            return pw_err_set(err, -ESTALE, "address %s is not registered for %s",
                              pw_addr_text(&ep->addrs[i], false, text), ep->ifname);
    }
    for (size_t i = 0; i < n; i++) {
        struct pw_attached at;
        rc = pw_attach_info(ep->ifname, hooks[i], &at, err);
        if (rc && rc != -ENOENT)
            return rc;
        if (rc || !pw_attached_to(&at, hooks[i], ep->ifindex))
            return pw_err_set(err, -ESTALE, "program %s is not attached to %s",
                              pw_hook_program(hooks[i]), ep->ifname);
    }
    return pw_limit_check(dp, ep, err);
}

/* A hook of a tap in a pod's namespace and its device, counted from the pod's interface. */
struct guest_hook {
    enum pw_hook hook;
    uint32_t offset;
};

static void guest_hooks(bool pair, struct guest_hook out[2])
{
    out[0] = (struct guest_hook){PW_HOOK_GUEST_IN, 0};
    out[1] = (struct guest_hook){pair ? PW_HOOK_GUEST_OUT : PW_HOOK_GUEST_SEND, PW_TAP_IFINDEX};
}

static int join(struct pw_dp *dp, const char *name, uint32_t ifindex, bool pair, struct pw_err *err)
{
    struct guest_hook hooks[2];

    guest_hooks(pair, hooks);
    for (size_t i = 0; i < PW_ARRAY_SIZE(hooks); i++) {
        enum pw_hook hook = hooks[i].hook;
        pw_fd prog = pw_dp_prog(dp, pw_hook_program(hook), err);
        if (prog < 0)
            return prog;
        pw_expedited;
        int rc = pw_attach(name, ifindex + hooks[i].offset, hook, prog, err);
        if (rc)
            return rc;
    }
    return 0;
}

int pw_dp_tap_join(struct pw_dp *dp, const char *name, uint32_t ifindex, bool pair,
                   struct pw_err *err)
{
    pw_fd lock = pw_lock(PW_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    if (!rc)
        rc = join(dp, name, ifindex, pair, err);
    return rc ? pw_err_wrap(err, "join the tap to the interface of %s", name) : 0;
}

int pw_dp_tap_check(const char *name, uint32_t ifindex, bool pair, struct pw_err *err)
{
    struct guest_hook hooks[2];

    guest_hooks(pair, hooks);
    for (size_t i = 0; i < PW_ARRAY_SIZE(hooks); i++) {
        enum pw_hook hook = hooks[i].hook;
        struct pw_attached at;
        int rc = pw_attach_info(name, hook, &at, err);
        if (rc && rc != -ENOENT)
            return rc;
        if (rc || !pw_attached_to(&at, hook, ifindex + hooks[i].offset))
            return pw_err_set(err, -ESTALE, "program %s of %s is not attached",
                              pw_hook_program(hook), name);
    }
    return 0;
}

static bool orphan(const struct pw_addr *a, const struct pw_ep *ep, void *arg)
{
    struct pw_dp *dp = arg;
    struct pw_ep v;

    (void)a;
    return pw_endpoint_get(dp->map[PW_MAP_ENDPOINTS], ep->ifindex, &v) != 0;
}

struct sweep {
    struct pw_dp *dp;
    size_t removed;
};

static int sweep_link(const char *name, void *arg, struct pw_err *err)
{
    struct sweep *s = arg;
    struct pw_attached at;
    enum pw_hook hook;
    char device[32];

    if (!pw_hook_of_pin(name, device, &hook))
        return 0;
    if (pw_attach_info(device, hook, &at, NULL) || at.ifindex != 0)
        return 0;
    s->removed++;
    return pw_detach(device, hook, err);
}

static int sweep_endpoints(struct sweep *s, struct pw_err *err)
{
    int fd = pw_dp_map(s->dp, PW_MAP_ENDPOINTS, err);
    int slots = pw_dp_map(s->dp, PW_MAP_SLOTS, err);
    uint32_t at, next, owner;
    struct pw_ep v;

    if (fd < 0 || slots < 0)
        return fd < 0 ? fd : slots;
    for (int rc = pw_key_next(fd, NULL, &at); rc == 0; at = next) {
        rc = pw_key_next(fd, &at, &next);
        if (pw_link_gone(at) && pw_endpoint_del(fd, at) == 0)
            s->removed++;
    }
    int guests = pw_dp_map(s->dp, PW_MAP_GUESTS, NULL);
    for (int rc = guests < 0 ? guests : pw_key_next(guests, NULL, &at); rc == 0; at = next) {
        rc = pw_key_next(guests, &at, &next);
        if (pw_endpoint_get(fd, at, &v) && pw_guest_del(guests, at) == 0)
            s->removed++;
    }
    /* A slot whose endpoint is gone, or that its endpoint does not use. */
    for (int rc = pw_key_next(slots, NULL, &at); rc == 0; at = next) {
        rc = pw_key_next(slots, &at, &next);
        if (pw_slot_owner(slots, at, &owner) == 0 &&
            (pw_endpoint_get(fd, owner, &v) || v.slot != at)) {
            int bad = pw_dp_slot_release(s->dp, at, err);
            if (bad)
                return bad;
            s->removed++;
        }
    }
    return 0;
}

int pw_dp_sweep(struct pw_dp *dp, size_t *removed, struct pw_err *err)
{
    struct sweep s = {dp, 0};

    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    int rc = pw_dp_refresh(dp, err);
    if (!rc)
        rc = sweep_endpoints(&s, err);
    if (!rc)
        rc = prune_ips(dp, 4, orphan, dp, &s.removed, err);
    if (!rc)
        rc = prune_ips(dp, 6, orphan, dp, &s.removed, err);
    if (!rc)
        rc = pw_limit_sweep(dp, &s.removed, err);
    if (!rc && s.removed)
        rc = forget_flows(dp, err);
    if (!rc)
        rc = pw_pin_each(PW_PIN_LINKS, sweep_link, &s, err);
    if (removed)
        *removed = s.removed;
    return rc;
}
