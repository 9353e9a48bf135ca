// SPDX-License-Identifier: Apache-2.0
/* Requests about the whole device. The dispatcher has checked size, descriptors and features. */
#include "vmm-net/dev.h"
#include "vmm-net/proto.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/tapdev.h"

#define TMPFS_MAGIC_NR 0x01021994
#define HUGETLBFS_MAGIC_NR 0x958458f6

#define NO_FD                                                                                      \
    do {                                                                                           \
        (void)fd;                                                                                  \
    } while (0)

static int reply_u64(struct vu_msg *m, uint64_t v)
{
    m->p.u64 = v;
    m->h.size = sizeof(v);
    return VN_REPLY;
}

int vn_h_get_features(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    return reply_u64(m, p->dev->offered);
}

int vn_h_set_features(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    return vn_dev_features(p->dev, m->p.u64, err);
}

/* The kernel keeps no inflight buffer; a split ring's own used index says the same. */
static uint64_t protocol_features(const struct vmmnet *dev)
{
    return VN_PROTOCOL_FEATURES & ~(dev->relayed ? 1ull << VU_PF_INFLIGHT_SHMFD : 0);
}

int vn_h_get_protocol(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    return reply_u64(m, protocol_features(p->dev));
}

int vn_h_set_protocol(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    uint64_t odd = m->p.u64 & ~protocol_features(p->dev);
    if (odd)
        return pw_err_set(err, -EINVAL, "protocol features 0x%llx were not offered",
                          (unsigned long long)odd);
    p->features = m->p.u64;
    return VN_DONE;
}

int vn_h_owner(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)p;
    (void)m;
    (void)err;
    return VN_DONE; /* there is one front-end per connection and one connection */
}

int vn_h_reset_owner(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)m;
    (void)err;
    /* Deprecated; the specification recommends this or nothing. */
    for (unsigned i = 0; i < p->dev->npairs * 2; i++)
        vn_ring_enable(p->dev, i, false);
    return VN_DONE;
}

/* ---- memory ---- */

/*
 * Only memory whose pages come from the kernel: a file on a file system that its owner serves
 * (FUSE, network) could make any touch of it wait for ever.
 */
static int check_backing(int fd, struct pw_err *err)
{
    struct statfs fs;

    if (fstatfs(fd, &fs))
        return pw_err_errno(err, -errno, "shared memory: file system");
    if (fs.f_type != TMPFS_MAGIC_NR && (unsigned long)fs.f_type != HUGETLBFS_MAGIC_NR)
        return pw_err_set(err, -EINVAL,
                          "shared memory must be a memfd or a file on tmpfs or hugetlbfs");
    return 0;
}

int vn_h_mem_table(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    struct vu_memory *t = &m->p.memory;
    struct vn_mem mem = {0};
    int rc = 0;

    if (!t->n || t->n > VU_MAX_FDS || t->n != m->nfds ||
        m->h.size != 8 + t->n * sizeof(t->region[0]))
        return pw_err_set(err, -EINVAL, "SET_MEM_TABLE: %u regions, %u descriptors, %u bytes", t->n,
                          m->nfds, m->h.size);
    for (unsigned i = 0; i < t->n && !rc; i++) {
        const struct vu_region *r = &t->region[i];
        rc = check_backing(m->fds[i], err);
        if (!rc)
            rc = vn_mem_add(&mem, r->guest_addr, r->user_addr, r->size, m->fds[i], r->mmap_offset,
                            NULL, err);
    }
    if (!rc)
        vn_dev_memory(p->dev, &mem);
    vn_mem_clear(&mem);
    return rc;
}

int vn_h_max_slots(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)p;
    (void)err;
    return reply_u64(m, VMMNET_MAX_REGIONS);
}

int vn_h_add_mem(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    int rc = check_backing(m->fds[0], err);

    return rc ? rc : vn_dev_memory_add(p->dev, &m->p.mem_reg.region, m->fds[0], err);
}

int vn_h_rem_mem(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    return vn_dev_memory_remove(p->dev, &m->p.mem_reg.region, err);
}

/* ---- dirty log ---- */

int vn_h_log_base(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    struct vn_log log = {.map = VN_MAP_INIT};
    uint64_t top = 0;

    for (unsigned i = 0; i < p->dev->mem.n; i++) {
        uint64_t end = p->dev->mem.r[i].gpa + p->dev->mem.r[i].size;
        top = end > top ? end : top;
    }
    if (m->p.log.size < (top + 32767) / 32768)
        return pw_err_set(err, -EINVAL, "dirty log of %llu bytes does not cover guest memory",
                          (unsigned long long)m->p.log.size);
    int rc = check_backing(m->fds[0], err);
    if (!rc)
        rc = vn_map_open(&log.map, m->fds[0], m->p.log.offset, m->p.log.size, &p->dev->mem.poisoned,
                         err);
    if (rc)
        return pw_err_wrap(err, "dirty log");
    log.size = m->p.log.size;
    vn_dev_log(p->dev, &log);
    return reply_u64(m, 0);
}

int vn_h_log_fd(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)p;
    (void)m;
    (void)err;
    return VN_DONE; /* optional notification that nobody waits for: closed by the dispatcher */
}

/* ---- config space ---- */

#define CONFIG_SIZE 60

static void put16(uint8_t *at, uint16_t v)
{
    memcpy(at, &v, sizeof(v));
}

/* struct virtio_net_config: mac 6, status 2, max pairs 2, mtu 2, then fields we do not offer. */
static void build_config(const struct vmmnet *dev, uint8_t c[CONFIG_SIZE])
{
    memset(c, 0, CONFIG_SIZE);
    memcpy(c, dev->mac, 6);
    put16(c + 6, 1); /* link up */
    put16(c + 8, (uint16_t)dev->npairs);
    put16(c + 10, dev->mtu);
}

/* Offset and size inside the config space and inside what was sent. */
static bool config_ok(const struct vu_msg *m)
{
    const struct vu_config *c = &m->p.config;

    return c->size && c->size <= VU_CONFIG_MAX && m->h.size == 12 + c->size &&
           c->offset <= CONFIG_SIZE && c->size <= CONFIG_SIZE - c->offset;
}

int vn_h_get_config(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    struct vu_config *c = &m->p.config;
    uint8_t space[CONFIG_SIZE];

    /* Front-ends ask for the whole of the 256 bytes that the message can carry, too. */
    if (c->offset == 0 && c->size > CONFIG_SIZE && c->size <= VU_CONFIG_MAX &&
        m->h.size == 12 + c->size) {
        memset(c->data, 0, c->size);
        build_config(p->dev, c->data);
        return VN_REPLY;
    }
    if (!config_ok(m)) {
        p->dev->stats->bad_messages++;
        m->h.size = 0; /* how the specification says no */
        return VN_REPLY;
    }
    build_config(p->dev, space);
    memcpy(c->data, space + c->offset, c->size);
    return VN_REPLY;
}

int vn_h_set_config(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)p;
    if (!config_ok(m))
        return pw_err_set(err, -EINVAL, "SET_CONFIG: offset %u, size %u", m->p.config.offset,
                          m->p.config.size);
    /* All fields are read-only in virtio 1; a migration sends them, and ours come from the host. */
    if (m->p.config.flags != 1)
        return pw_err_set(err, -EPERM, "SET_CONFIG: the config space is read-only");
    return VN_DONE;
}

int vn_h_queue_num(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    /* Rings: Cloud Hypervisor and Dragonball want as many as they have. QEMU has pairs in mind, but
     * asks only whether it wants more than that. */
    return reply_u64(m, 2ull * p->dev->npairs);
}

int vn_h_rarp(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    const struct vmmnet *dev = p->dev;
    const uint8_t *mac = m->p.bytes;
    int tap = dev->pair[0]->tap;

    if ((mac[0] & 1) || memcmp(mac, "\0\0\0\0\0", 6) == 0)
        return pw_err_set(err, -EINVAL, "RARP: not a station's address");
    if (dev->have_mac && memcmp(mac, dev->mac, 6) != 0)
        return pw_err_set(err, -EPERM, "RARP: not this device's address");
    return tap == VMMNET_NULL_TAP ? VN_DONE : vn_tap_announce(tap, mac, err);
}

int vn_h_mtu(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    /* The host's MTU is the host's to say: agree to what we could have offered. */
    if (m->p.u64 < 68 || m->p.u64 > 65535 || (p->dev->mtu && m->p.u64 > p->dev->mtu))
        return pw_err_set(err, -EINVAL, "NET_SET_MTU: %llu", (unsigned long long)m->p.u64);
    return VN_DONE;
}

int vn_h_backend_req(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    int type = 0;
    socklen_t len = sizeof(type);

    if (getsockopt(m->fds[0], SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
        return pw_err_set(err, -EINVAL, "SET_BACKEND_REQ_FD: not a stream socket");
    pw_closep(&p->backend_req);
    p->backend_req = PW_TAKE_FD(m->fds[0]);
    return VN_DONE;
}

/* ---- reset, status ---- */

int vn_h_reset(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)m;
    (void)err;
    vn_dev_reset(p->dev, true);
    return VN_DONE;
}

int vn_h_set_status(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    if (m->p.u64 > 255)
        return pw_err_set(err, -EINVAL, "SET_STATUS: %llu", (unsigned long long)m->p.u64);
    /* Zero only notes it: positions are asked for afterwards, by GET_VRING_BASE. */
    atomic_store(&p->dev->status, (uint8_t)m->p.u64);
    return VN_DONE;
}

int vn_h_get_status(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    return reply_u64(m, atomic_load(&p->dev->status));
}

/* ---- inflight ---- */

static int inflight_fits(const struct vn_proto *p, const struct vu_inflight *i, struct pw_err *err)
{
    if (!i->queues || i->queues > p->dev->npairs * 2 || !i->queue_size ||
        i->queue_size > VMMNET_MAX_RING)
        return pw_err_set(err, -EINVAL, "inflight buffer: %u queues of %u", i->queues,
                          i->queue_size);
    return 0;
}

static uint64_t inflight_bytes(const struct vn_proto *p, const struct vu_inflight *i)
{
    return i->queues * vq_inflight_size(p->dev->features & VIF_RING_PACKED, i->queue_size);
}

int vn_h_get_inflight(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    struct vu_inflight *i = &m->p.inflight;
    int rc = inflight_fits(p, i, err);

    if (rc)
        return rc;
    uint64_t size = inflight_bytes(p, i);
    pw_fd mem = memfd_create("podwire-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (mem < 0 || ftruncate(mem, (off_t)size) ||
        fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return pw_err_errno(err, -errno, "inflight buffer");
    struct vn_map map = VN_MAP_INIT;
    rc = vn_map_open(&map, mem, 0, size, &p->dev->mem.poisoned, err);
    if (rc)
        return rc;
    vn_dev_inflight(p->dev, &map, i->queues, i->queue_size);
    i->mmap_size = size;
    i->mmap_offset = 0;
    *fd = PW_TAKE_FD(mem);
    return VN_REPLY;
}

int vn_h_set_inflight(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    struct vu_inflight *i = &m->p.inflight;
    struct vn_map map = VN_MAP_INIT;
    int rc = inflight_fits(p, i, err);

    if (!rc && ((i->mmap_offset & 63) || i->mmap_size < inflight_bytes(p, i)))
        rc = pw_err_set(err, -EINVAL, "inflight buffer of %llu bytes at %llu for %u queues of %u",
                        (unsigned long long)i->mmap_size, (unsigned long long)i->mmap_offset,
                        i->queues, i->queue_size);
    if (!rc)
        rc = check_backing(m->fds[0], err);
    if (!rc)
        rc = vn_map_open(&map, m->fds[0], i->mmap_offset, i->mmap_size, &p->dev->mem.poisoned, err);
    if (rc)
        return rc;
    vn_dev_inflight(p->dev, &map, i->queues, i->queue_size);
    return VN_DONE;
}

/* ---- device state of a migration ---- */

/* All state that is not in guest memory or in messages of its own. */
struct saved_state {
    uint32_t magic, version;
    uint64_t features;
};
#define STATE_MAGIC 0x53575056u /* "VPWS" */
#define STATE_NOFD 0x100u

int vn_h_state_fd(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    struct saved_state s = {
        .magic = STATE_MAGIC, .version = 1, .features = p->dev->features & ~VHF_LOG_ALL};
    uint32_t direction = m->p.device_state.direction;

    (void)err;
    if (direction > 1 || m->p.device_state.phase)
        return reply_u64(m, 1);
    int fl = fcntl(m->fds[0], F_GETFL);
    if (fl < 0 || fcntl(m->fds[0], F_SETFL, fl | O_NONBLOCK))
        return reply_u64(m, 1);
    p->state_bad = false;
    if (direction == 0) /* save: it fits any pipe, the end of file is our close */
        p->state_bad = write(m->fds[0], &s, sizeof(s)) != (ssize_t)sizeof(s);
    pw_closep(&p->state_fd);
    if (direction == 1)
        p->state_fd = PW_TAKE_FD(m->fds[0]);
    return reply_u64(m, STATE_NOFD | (p->state_bad ? 1 : 0));
}

int vn_h_check_state(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    NO_FD;
    (void)err;
    if (p->state_fd >= 0) {
        struct saved_state s[2]; /* one more than there should be */
        ssize_t n = read(p->state_fd, s, sizeof(s));
        p->state_bad = n != (ssize_t)sizeof(s[0]) || s[0].magic != STATE_MAGIC ||
                       s[0].version != 1 || (s[0].features & ~p->dev->offered);
        pw_closep(&p->state_fd);
    }
    return reply_u64(m, p->state_bad);
}
