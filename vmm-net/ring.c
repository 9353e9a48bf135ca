// SPDX-License-Identifier: Apache-2.0
/* What the control side configures: features, memory, rings, descriptors. */
#include "vmm-net/dev.h"

#include <fcntl.h>
#include <linux/vhost_types.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/relay.h"
#include "vmm-net/tapdev.h"

static int resolve(struct vmmnet *dev, unsigned ring, struct pw_err *err);

static bool any_live(const struct vmmnet *dev)
{
    for (unsigned i = 0; i < dev->npairs; i++)
        for (unsigned k = 0; k < 2; k++)
            if (dev->pair[i]->ring[k].started && dev->pair[i]->ring[k].positioned)
                return true;
    return false;
}

/* The tap follows what runs: only queues that are read get frames. */
static void update_tap(struct vn_pair *p)
{
    const struct vn_ring *rx = &p->ring[VN_RX];
    bool on = p->index == 0 || (rx->live && rx->enabled);

    if (p->tap == VMMNET_NULL_TAP) {
        p->tap_on = false;
        return;
    }
    if (p->index && on != p->tap_on) {
        if (vn_tap_queue(p->tap, on, NULL))
            return;
    }
    p->tap_on = on;
}

/* ---- features ---- */

int vn_dev_features(struct vmmnet *dev, uint64_t features, struct pw_err *err)
{
    const uint64_t any_time = VHF_LOG_ALL | VHF_PROTOCOL;
    int rc = 0;

    if (features & ~dev->offered)
        return pw_err_set(err, -EINVAL, "features 0x%llx were not offered",
                          (unsigned long long)(features & ~dev->offered));
    if (any_live(dev) && ((features ^ dev->features) & ~any_time))
        return pw_err_set(err, -EBUSY, "features changed while rings run");

    vn_dev_pause(dev);
    unsigned offload = vnet_tun_offload(features);
    if (dev->pair[0]->tap != VMMNET_NULL_TAP &&
        (!dev->have_features || offload != vnet_tun_offload(dev->features)))
        rc = vn_tap_offload(dev->pair[0]->tap, offload, err);
    if (!rc) {
        dev->features = features;
        dev->have_features = true;
        dev->stats->features = features;
        dev->rules = vnet_rules(features);
        dev->hdr_merge = !!(features & VNF_MRG_RXBUF);
        for (unsigned i = 0; i < dev->npairs * 2; i++) {
            if (!(features & VHF_PROTOCOL))
                vn_ring_of(dev, i)->enabled = true;
            (void)resolve(dev, i, NULL);
        }
    }
    vn_dev_resume(dev);
    return rc;
}

/* ---- memory ---- */

static void resolve_all(struct vmmnet *dev)
{
    for (unsigned i = 0; i < dev->npairs * 2; i++)
        (void)resolve(dev, i, NULL);
}

void vn_dev_memory(struct vmmnet *dev, struct vn_mem *mem)
{
    vn_dev_pause(dev);
    vn_mem_move(&dev->mem, mem);
    resolve_all(dev);
    vn_dev_resume(dev);
}

int vn_dev_memory_add(struct vmmnet *dev, const struct vu_region *r, int fd, struct pw_err *err)
{
    vn_dev_pause(dev);
    int rc =
        vn_mem_add(&dev->mem, r->guest_addr, r->user_addr, r->size, fd, r->mmap_offset, NULL, err);
    if (!rc)
        resolve_all(dev);
    vn_dev_resume(dev);
    return rc;
}

int vn_dev_memory_remove(struct vmmnet *dev, const struct vu_region *r, struct pw_err *err)
{
    vn_dev_pause(dev);
    int rc = vn_mem_remove(&dev->mem, r->guest_addr, r->user_addr, r->size, err);
    if (!rc)
        resolve_all(dev);
    vn_dev_resume(dev);
    return rc;
}

void vn_dev_log(struct vmmnet *dev, struct vn_log *log)
{
    vn_dev_pause(dev);
    vn_map_close(&dev->log.map);
    dev->log = *log;
    log->map = (struct vn_map)VN_MAP_INIT;
    resolve_all(dev);
    vn_dev_resume(dev);
}

void vn_dev_inflight(struct vmmnet *dev, struct vn_map *map, uint16_t queues, uint16_t size)
{
    vn_dev_pause(dev);
    vn_map_close(&dev->inflight);
    dev->inflight = *map;
    *map = (struct vn_map)VN_MAP_INIT;
    dev->inflight_queues = queues;
    dev->inflight_size = size;
    dev->inflight_packed = dev->features & VIF_RING_PACKED;
    resolve_all(dev);
    vn_dev_resume(dev);
}

/* ---- one ring ---- */

static void *part(const struct vmmnet *dev, const struct vn_ring *r, uint64_t addr, uint64_t len,
                  uint64_t *gpa)
{
    unsigned hint = 0;

    if (!r->by_guest)
        return vn_mem_at_user(&dev->mem, addr, len, gpa);
    if (gpa)
        *gpa = addr;
    return vn_mem_at(&dev->mem, addr, len, &hint);
}

/* The region of this ring in the inflight buffer, NULL when it has none. */
static uint8_t *inflight_of(const struct vmmnet *dev, unsigned ring, uint32_t num, bool packed)
{
    if (!dev->inflight.data || packed != dev->inflight_packed || ring >= dev->inflight_queues ||
        num > dev->inflight_size)
        return NULL;
    return dev->inflight.data + ring * vq_inflight_size(packed, dev->inflight_size);
}

/*
 * Turn addresses into pointers, and start the ring if it can be. Called with the pair paused after
 * everything that may make a difference. An error says why a ring that should run cannot.
 */
static int resolve(struct vmmnet *dev, unsigned ring, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);
    struct vn_pair *p = vn_pair_of(dev, ring);
    bool packed = dev->features & VIF_RING_PACKED;
    uint64_t len[3];

    r->live = false;
    if (!r->started || !r->num || !r->have_addr || !dev->have_features || !dev->mem.n)
        goto out;
    /* Not with SET_FEATURES: front-ends may ack bit by bit what their driver does. */
    if (!(dev->features & VIF_VERSION_1))
        return pw_err_set(err, -EINVAL,
                          "ring %u: legacy virtio (without VIRTIO_F_VERSION_1) is not served",
                          ring);
    if (!packed && (r->num & (r->num - 1)))
        return pw_err_set(err, -EINVAL, "ring %u: size %u is not a power of two", ring, r->num);
    if ((r->addr.desc & 15) || (r->addr.avail & (packed ? 3 : 1)) || (r->addr.used & 3))
        return pw_err_set(err, -EINVAL, "ring %u: addresses are not aligned", ring);

    struct vq_layout l = {
        .packed = packed,
        .event_idx = dev->features & VIF_EVENT_IDX,
        .indirect = dev->features & VIF_INDIRECT_DESC,
        .num = (uint16_t)r->num,
        .used_log = r->addr.log,
    };
    vq_sizes(packed, l.num, &len[0], &len[1], &len[2]);
    l.desc = part(dev, r, r->addr.desc, len[0], &l.desc_gpa);
    l.avail = part(dev, r, r->addr.avail, len[1], NULL);
    l.used = part(dev, r, r->addr.used, len[2], NULL);
    if (!l.desc || !l.avail || !l.used)
        return pw_err_set(err, -EFAULT, "ring %u: addresses are not in guest memory", ring);
    /* A host mapping may be less aligned than the address inside it: check what is dereferenced. */
    if (((uintptr_t)l.desc & 15) || ((uintptr_t)l.avail & (packed ? 3 : 1)) ||
        ((uintptr_t)l.used & 3))
        return pw_err_set(err, -EINVAL, "ring %u: guest memory is not aligned", ring);

    bool logging = (dev->features & VHF_LOG_ALL) && dev->log.size;
    l.log_used = logging && (r->addr.flags & (1u << VHOST_VRING_F_LOG));
    if (l.log_used) {
        uint64_t last;
        if (__builtin_add_overflow(r->addr.log, len[2] - 1, &last) ||
            last / 4096 / 8 >= dev->log.size)
            return pw_err_set(err, -EINVAL, "ring %u: used ring lies beyond the dirty log", ring);
    }
    vq_layout(&r->q, &dev->mem, logging ? &dev->log : NULL, &l);
    r->q.inflight = inflight_of(dev, ring, r->num, packed);
    if (!r->positioned) {
        if (packed && (r->base & 0x7fff) >= r->num)
            return pw_err_set(err, -EINVAL, "ring %u: base %u is beyond the ring", ring,
                              r->base & 0x7fff);
        vq_position(&r->q, r->base);
        r->positioned = true;
    }
    r->live = !r->q.broken && !atomic_load(&dev->mem.poisoned);
out:
    update_tap(p);
    return 0;
}

int vn_ring_num(struct vmmnet *dev, unsigned ring, uint32_t num, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);
    bool packed = dev->have_features && (dev->features & VIF_RING_PACKED);

    if (r->started && r->positioned)
        return pw_err_set(err, -EBUSY, "ring %u: size changed while it runs", ring);
    if (!num || num > VMMNET_MAX_RING || (!packed && (num & (num - 1))))
        return pw_err_set(err, -EINVAL, "ring %u: size %u is not possible", ring, num);
    vn_pair_pause(vn_pair_of(dev, ring));
    r->num = num;
    int rc = resolve(dev, ring, err);
    vn_pair_resume(vn_pair_of(dev, ring));
    return rc;
}

int vn_ring_base(struct vmmnet *dev, unsigned ring, uint32_t base, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);

    if (r->started && r->positioned)
        return pw_err_set(err, -EBUSY, "ring %u: base changed while it runs", ring);
    r->base = base;
    r->positioned = false;
    return 0;
}

int vn_ring_addr(struct vmmnet *dev, unsigned ring, const struct vu_addr *a, bool by_guest,
                 struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);

    if (a->flags & ~(1u << VHOST_VRING_F_LOG))
        return pw_err_set(err, -EINVAL, "ring %u: unknown flags 0x%x", ring, a->flags);
    if ((a->desc & 15) || (a->avail & 1) || (a->used & 3))
        return pw_err_set(err, -EINVAL, "ring %u: addresses are not aligned", ring);
    vn_pair_pause(vn_pair_of(dev, ring));
    r->addr = *a;
    r->by_guest = by_guest;
    r->have_addr = true;
    /* The front-end expects to hear now of addresses that are nowhere. */
    int rc = 0;
    if (dev->mem.n && (!part(dev, r, a->desc, 16, NULL) || !part(dev, r, a->avail, 4, NULL) ||
                       !part(dev, r, a->used, 4, NULL)))
        rc = pw_err_set(err, -EFAULT, "ring %u: addresses are not in guest memory", ring);
    if (rc) {
        r->have_addr = false;
        r->live = false;
    } else {
        rc = resolve(dev, ring, err);
    }
    vn_pair_resume(vn_pair_of(dev, ring));
    return rc;
}

int vn_eventfd_claim(int fd)
{
    struct stat st;

    /*
     * An eventfd has no file type, and takes no write shorter than 8 bytes. What else answers so
     * cannot be written at all, and does no harm.
     */
    if (fstat(fd, &st) || (st.st_mode & S_IFMT) || write(fd, "", 0) != -1 || errno != EINVAL)
        return -EINVAL;
    int fl = fcntl(fd, F_GETFL);
    return fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) ? -errno : 0;
}

static int claim(unsigned ring, int fd, struct pw_err *err)
{
    return fd >= 0 && vn_eventfd_claim(fd)
               ? pw_err_set(err, -EINVAL, "ring %u: descriptor is not an eventfd", ring)
               : 0;
}

int vn_ring_kick(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);
    struct vn_pair *p = vn_pair_of(dev, ring);
    /* Edge triggered and never read: each kick is one event, and nobody can block us in a read. */
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u32 = VN_EV_KICK + ring % 2};
    struct pollfd old = {.fd = *fd, .events = POLLIN};

    if (claim(ring, *fd, err))
        return -EINVAL;
    if (*fd < 0 && dev->relayed)
        return pw_err_set(err, -EOPNOTSUPP, "ring %u: vhost-net does not poll: kicks are needed",
                          ring);
    vn_pair_pause(p);
    int rc = 0;
    atomic_store(&r->stale_kick, *fd >= 0 && poll(&old, 1, 0) == 1);
    atomic_store(&r->kicked, false);
    if (*fd >= 0 && epoll_ctl(p->epoll, EPOLL_CTL_ADD, *fd, &ev))
        rc = pw_err_errno(err, -errno, "ring %u: watch its kicks", ring);
    if (!rc) {
        if (r->kick >= 0)
            (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, r->kick, NULL);
        pw_closep(&r->kick);
        r->polled = *fd < 0;
        r->kick = PW_TAKE_FD(*fd);
        r->started = true;
        rc = resolve(dev, ring, err);
    }
    vn_pair_resume(p);
    return rc;
}

int vn_ring_call(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);

    if (claim(ring, *fd, err))
        return -EINVAL;
    vn_pair_pause(vn_pair_of(dev, ring));
    pw_closep(&r->call);
    r->call = PW_TAKE_FD(*fd);
    /* What was signalled on the old one may not have been seen. */
    if (r->live)
        vn_ring_signal(vn_pair_of(dev, ring), r);
    vn_pair_resume(vn_pair_of(dev, ring));
    return 0;
}

int vn_ring_errfd(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err)
{
    struct vn_ring *r = vn_ring_of(dev, ring);

    if (claim(ring, *fd, err))
        return -EINVAL;
    vn_pair_pause(vn_pair_of(dev, ring));
    pw_closep(&r->err);
    r->err = PW_TAKE_FD(*fd);
    vn_pair_resume(vn_pair_of(dev, ring));
    return 0;
}

void vn_ring_enable(struct vmmnet *dev, unsigned ring, bool on)
{
    vn_pair_pause(vn_pair_of(dev, ring));
    vn_ring_of(dev, ring)->enabled = on;
    update_tap(vn_pair_of(dev, ring));
    vn_pair_resume(vn_pair_of(dev, ring));
}

uint32_t vn_ring_stop(struct vmmnet *dev, unsigned ring)
{
    struct vn_ring *r = vn_ring_of(dev, ring);
    struct vn_pair *p = vn_pair_of(dev, ring);

    vn_pair_pause(p);
    uint32_t base = r->positioned ? vq_base(&r->q) : r->base;
    r->base = base;
    r->started = r->positioned = r->live = false;
    r->q.broken = NULL;
    if (r->kick >= 0)
        (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, r->kick, NULL);
    pw_closep(&r->kick);
    pw_closep(&r->call);
    update_tap(p);
    vn_pair_resume(p);
    return base;
}

void vn_dev_reset(struct vmmnet *dev, bool keep_memory)
{
    vn_dev_pause(dev);
    for (unsigned i = 0; i < dev->npairs * 2; i++) {
        struct vn_ring *r = vn_ring_of(dev, i);
        (void)vn_ring_stop(dev, i);
        pw_closep(&r->err);
        r->num = r->base = 0;
        r->have_addr = r->enabled = r->by_guest = r->polled = false;
        memset(&r->q, 0, sizeof(r->q));
    }
    for (unsigned i = 0; i < dev->npairs; i++)
        vn_relay_reset(dev->pair[i]);
    if (dev->have_features && dev->pair[0]->tap != VMMNET_NULL_TAP)
        (void)vn_tap_offload(dev->pair[0]->tap, 0, NULL);
    dev->features = dev->stats->features = 0;
    dev->have_features = false;
    atomic_store(&dev->status, 0);
    if (!keep_memory) {
        vn_mem_clear(&dev->mem);
        vn_map_close(&dev->log.map);
        dev->log.size = 0;
        vn_map_close(&dev->inflight);
        dev->inflight_queues = dev->inflight_size = 0;
    }
    vn_dev_resume(dev);
}

/* ---- for the pump ---- */

#define STATUS_NEEDS_RESET 0x40

void vn_ring_signal(struct vn_pair *p, struct vn_ring *r)
{
    uint64_t one = 1;

    if (r->call < 0)
        return;
    vn_count(&p->count->calls, 1);
    if (write(r->call, &one, sizeof(one)) < 0) {
        /* Full: the guest has an interrupt waiting for it. */
    }
}

void vn_ring_fail(struct vn_pair *p, struct vn_ring *r, const char *why)
{
    uint64_t one = 1;

    (void)vq_break(&r->q, why);
    r->live = false;
    vn_count(&p->count->ring_errors, 1);
    if (atomic_load(&p->dev->mem.poisoned))
        p->dev->stats->faults++;
    atomic_fetch_or(&p->dev->status, STATUS_NEEDS_RESET);
    vn_dev_note(p->dev, why);
    if (r->err >= 0 && write(r->err, &one, sizeof(one)) < 0) {
        /* full: it has been told */
    }
}
