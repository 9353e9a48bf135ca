// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/relay.h"

#include <linux/vhost.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/dev.h"

#define MISC_MAJOR 10
#define VHOST_NET_MINOR 238

/* Bits that whoever serves the rings must know; all others are the tap's or the VMM's business. */
#define RING_FEATURES                                                                              \
    (VNF_MRG_RXBUF | VIF_INDIRECT_DESC | VIF_EVENT_IDX | VIF_IN_ORDER | VIF_VERSION_1 | VHF_LOG_ALL)

int vn_relay_probe(int fd, uint64_t *features, struct pw_err *err)
{
    struct stat st;

    if (fstat(fd, &st))
        return pw_err_errno(err, -errno, "vhost-net descriptor %d", fd);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(MISC_MAJOR, VHOST_NET_MINOR))
        return pw_err_set(err, -EINVAL, "descriptor %d is not /dev/vhost-net", fd);
    if (ioctl(fd, VHOST_GET_FEATURES, features))
        return pw_err_errno(err, -errno, "vhost-net: get features");
    if (!(*features & VIF_VERSION_1))
        return pw_err_set(err, -EOPNOTSUPP, "this kernel's vhost-net knows no virtio 1");
    return 0;
}

uint64_t vn_relay_offer(uint64_t offer, uint64_t kernel)
{
    /* Positions of packed rings are not taken over from the kernel here. */
    return offer & ~(RING_FEATURES & ~kernel) & ~VIF_RING_PACKED;
}

static int set_file(int fd, unsigned long request, unsigned ring, int file)
{
    struct vhost_vring_file f = {.index = ring, .fd = file};

    return ioctl(fd, request, &f) ? -errno : 0;
}

static int set_state(int fd, unsigned long request, unsigned ring, unsigned num)
{
    struct vhost_vring_state s = {.index = ring, .num = num};

    return ioctl(fd, request, &s) ? -errno : 0;
}

void vn_relay_detach(struct vn_pair *p)
{
    struct vn_relay *v = &p->relay;

    for (unsigned k = 0; k < 2; k++) {
        struct vn_ring *r = &p->ring[k];
        struct vhost_vring_state s = {.index = k};
        if (!v->has[k])
            continue;
        v->has[k] = false;
        /* Waits until the kernel's worker is outside. */
        (void)set_file(v->fd, VHOST_NET_SET_BACKEND, k, -1);
        if (!ioctl(v->fd, VHOST_GET_VRING_BASE, &s))
            r->q.next_avail = r->q.next_used = (uint16_t)s.num;
        (void)set_file(v->fd, VHOST_SET_VRING_KICK, k, -1);
        (void)set_file(v->fd, VHOST_SET_VRING_CALL, k, -1);
        (void)set_file(v->fd, VHOST_SET_VRING_ERR, k, -1);
    }
}

static int set_memory(int fd, const struct vn_mem *mem)
{
    size_t size =
        sizeof(struct vhost_memory) + VMMNET_MAX_REGIONS * sizeof(struct vhost_memory_region);
    pw_free struct vhost_memory *m = calloc(1, size);

    if (!m)
        return -ENOMEM;
    for (unsigned i = 0; i < mem->n; i++)
        m->regions[m->nregions++] =
            (struct vhost_memory_region){.guest_phys_addr = mem->r[i].gpa,
                                         .memory_size = mem->r[i].size,
                                         .userspace_addr = (uintptr_t)mem->r[i].host};
    return ioctl(fd, VHOST_SET_MEM_TABLE, m) ? -errno : 0;
}

/* Regions may have come after the log, and the kernel does not know where it ends. */
static bool log_covers(const struct vmmnet *dev)
{
    for (unsigned i = 0; i < dev->mem.n; i++)
        if ((dev->mem.r[i].gpa + dev->mem.r[i].size - 1) / 4096 / 8 >= dev->log.size)
            return false;
    return true;
}

/* What holds for both rings. */
static int set_device(struct vn_pair *p, const char **step)
{
    const struct vmmnet *dev = p->dev;
    struct vn_relay *v = &p->relay;
    uint64_t features = dev->features & v->features & RING_FEATURES;

    *step = "owner";
    if (!v->owned && ioctl(v->fd, VHOST_SET_OWNER, NULL))
        return -errno;
    v->owned = true;
    *step = "memory table";
    int rc = set_memory(v->fd, &dev->mem);
    if (rc)
        return rc;
    if (!dev->log.size)
        features &= ~VHF_LOG_ALL;
    if (features & VHF_LOG_ALL) {
        uint64_t base = (uintptr_t)dev->log.map.data;
        *step = "dirty log";
        if (!log_covers(dev))
            return -ERANGE;
        if (ioctl(v->fd, VHOST_SET_LOG_BASE, &base))
            return -errno;
    }
    *step = "features";
    return ioctl(v->fd, VHOST_SET_FEATURES, &features) ? -errno : 0;
}

static int set_ring(struct vn_pair *p, unsigned k, const char **step)
{
    struct vn_ring *r = &p->ring[k];
    int fd = p->relay.fd;
    struct vhost_vring_addr a = {
        .index = k,
        .flags = r->q.log_used ? 1u << VHOST_VRING_F_LOG : 0,
        .desc_user_addr = (uintptr_t)r->q.desc,
        .avail_user_addr = (uintptr_t)r->q.avail,
        .used_user_addr = (uintptr_t)r->q.used,
        .log_guest_addr = r->q.used_log,
    };
    int rc;

    *step = "ring size";
    if ((rc = set_state(fd, VHOST_SET_VRING_NUM, k, r->q.num)))
        return rc;
    *step = "ring base";
    if ((rc = set_state(fd, VHOST_SET_VRING_BASE, k, r->q.next_avail)))
        return rc;
    *step = "ring addresses";
    if (ioctl(fd, VHOST_SET_VRING_ADDR, &a))
        return -errno;
    *step = "eventfds";
    if ((rc = set_file(fd, VHOST_SET_VRING_CALL, k, r->call)) ||
        (rc = set_file(fd, VHOST_SET_VRING_ERR, k, r->err)) ||
        (rc = set_file(fd, VHOST_SET_VRING_KICK, k, r->kick)))
        return rc;
    *step = "tap";
    p->relay.has[k] = true; /* and what was set is taken back in any case */
    return set_file(fd, VHOST_NET_SET_BACKEND, k, p->tap);
}

static void refused(struct vn_pair *p, struct vn_ring *r, const char *step, int rc)
{
    char text[96];

    vn_ring_fail(p, r, "the kernel's vhost-net refuses the ring");
    snprintf(text, sizeof(text), "vhost-net refuses the %s: %s", step, strerror(-rc));
    vn_dev_note(p->dev, text);
}

void vn_relay_attach(struct vn_pair *p)
{
    const char *step = "";
    bool set = false;

    for (unsigned k = 0; k < 2; k++) {
        struct vn_ring *r = &p->ring[k];
        uint64_t one = 1;
        int rc = 0;
        if (!r->live || !r->enabled)
            continue;
        if (!set)
            rc = set_device(p, &step);
        set = !rc;
        if (!rc)
            rc = set_ring(p, k, &step);
        if (rc)
            refused(p, r, step, rc);
        /* A kick that came while the ring was here has been forgotten. */
        else if (write(r->kick, &one, sizeof(one)) < 0) {
            /* full: it will be seen */
        }
    }
}

void vn_relay_reset(struct vn_pair *p)
{
    if (p->relay.owned)
        (void)ioctl(p->relay.fd, VHOST_RESET_OWNER, NULL);
    p->relay.owned = false;
}
