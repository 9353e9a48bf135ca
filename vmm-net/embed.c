// SPDX-License-Identifier: Apache-2.0
/* The device inside a VMM's own process: the same steps without messages. */
#include "vmm-net/dev.h"

#include <fcntl.h>

#include "loader/base/cleanup.h"

int vmmnet_ack_features(struct vmmnet *dev, uint64_t features, struct pw_err *err)
{
    if (!(features & VIF_VERSION_1))
        return pw_err_set(err, -EINVAL, "legacy virtio (without VIRTIO_F_VERSION_1) is not served");
    /* Rings run when they are started: no enabling as with protocol features. */
    return vn_dev_features(dev, features & ~VHF_PROTOCOL, err);
}

int vmmnet_set_memory(struct vmmnet *dev, const struct vmmnet_region *regions, unsigned n,
                      struct pw_err *err)
{
    struct vn_mem mem = {0};
    int rc = 0;

    for (unsigned i = 0; i < n && !rc; i++)
        rc = vn_mem_add(&mem, regions[i].guest_addr, regions[i].guest_addr, regions[i].size, -1, 0,
                        regions[i].host, err);
    if (!rc)
        vn_dev_memory(dev, &mem);
    return rc;
}

static int dup_fd(int fd, int *out, struct pw_err *err)
{
    *out = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return fd >= 0 && *out < 0 ? pw_err_errno(err, -errno, "duplicate descriptor %d", fd) : 0;
}

static int check_ring(const struct vmmnet *dev, unsigned index, struct pw_err *err)
{
    return index >= dev->npairs * 2
               ? pw_err_set(err, -EINVAL, "ring %u of %u", index, dev->npairs * 2)
               : 0;
}

int vmmnet_ring_start(struct vmmnet *dev, unsigned index, const struct vmmnet_ring *ring,
                      struct pw_err *err)
{
    struct vu_addr a = {
        .index = index, .desc = ring->desc, .avail = ring->avail, .used = ring->used};
    pw_fd kick = -1;
    pw_fd call = -1;
    int rc = check_ring(dev, index, err);

    if (rc || (rc = dup_fd(ring->kick, &kick, err)) || (rc = dup_fd(ring->call, &call, err)))
        return rc;
    if ((rc = vn_ring_num(dev, index, ring->size, err)) ||
        (rc = vn_ring_base(dev, index, ring->base, err)) ||
        (rc = vn_ring_addr(dev, index, &a, true, err)) ||
        (rc = vn_ring_call(dev, index, &call, err)) ||
        (rc = vn_ring_kick(dev, index, &kick, err))) {
        (void)vn_ring_stop(dev, index);
        return rc;
    }
    return 0;
}

int vmmnet_ring_stop(struct vmmnet *dev, unsigned index, uint16_t *base, struct pw_err *err)
{
    int rc = check_ring(dev, index, err);

    if (rc)
        return rc;
    uint32_t b = vn_ring_stop(dev, index);
    if (base)
        *base = (uint16_t)b;
    return 0;
}

const char *vmmnet_ring_error(const struct vmmnet *dev, unsigned index)
{
    return index < dev->npairs * 2
               ? __atomic_load_n(&dev->pair[index / 2]->ring[index % 2].q.broken, __ATOMIC_ACQUIRE)
               : NULL;
}
