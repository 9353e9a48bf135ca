// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/uring.h"

#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

struct vn_uring {
    int fd;
    void *rings;
    size_t rings_len;
    struct io_uring_sqe *sqes;
    size_t sqes_len;
    unsigned *sq_tail, *sq_array, *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask;
    struct io_uring_cqe *cqes;
};

static int sys_setup(unsigned entries, struct io_uring_params *p)
{
    return (int)syscall(SYS_io_uring_setup, entries, p);
}

static int sys_enter(int fd, unsigned submit, unsigned wait)
{
    return (int)syscall(SYS_io_uring_enter, fd, submit, wait, IORING_ENTER_GETEVENTS, NULL, 0);
}

static int sys_register(int fd, unsigned op, const void *arg, unsigned n)
{
    return (int)syscall(SYS_io_uring_register, fd, op, arg, n);
}

/*
 * Writes and nothing else, for the life of the ring. The tap is not registered with it: a ring is
 * taken down some time after its process has died, and would keep the tap's queue busy for the
 * next one.
 */
static int restrict_to_writes(int ring)
{
    struct io_uring_restriction r[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
    };

    if (sys_register(ring, IORING_REGISTER_RESTRICTIONS, r, PW_ARRAY_SIZE(r)) ||
        sys_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
        return -errno;
    return 0;
}

static int setup(struct vn_uring *u, unsigned entries)
{
    struct io_uring_params pr = {.flags = IORING_SETUP_R_DISABLED};

    u->fd = sys_setup(entries, &pr);
    if (u->fd < 0)
        return -errno;
    if (!(pr.features & IORING_FEAT_SINGLE_MMAP))
        return -ENOSYS;
    size_t sq = pr.sq_off.array + pr.sq_entries * sizeof(unsigned);
    size_t cq = pr.cq_off.cqes + pr.cq_entries * sizeof(struct io_uring_cqe);
    u->rings_len = sq > cq ? sq : cq;
    uint8_t *b = mmap(NULL, u->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
                      IORING_OFF_SQ_RING);
    if (b == MAP_FAILED)
        return -errno;
    u->rings = b;
    u->sqes_len = pr.sq_entries * sizeof(struct io_uring_sqe);
    void *sqes = mmap(NULL, u->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
                      IORING_OFF_SQES);
    if (sqes == MAP_FAILED)
        return -errno;
    u->sqes = sqes;
    u->sq_tail = (void *)(b + pr.sq_off.tail);
    u->sq_array = (void *)(b + pr.sq_off.array);
    memcpy(&u->sq_mask, b + pr.sq_off.ring_mask, sizeof(u->sq_mask));
    u->cq_head = (void *)(b + pr.cq_off.head);
    u->cq_tail = (void *)(b + pr.cq_off.tail);
    memcpy(&u->cq_mask, b + pr.cq_off.ring_mask, sizeof(u->cq_mask));
    u->cqes = (void *)(b + pr.cq_off.cqes);
    return restrict_to_writes(u->fd);
}

int vn_uring_new(unsigned entries, struct vn_uring **out, struct pw_err *err)
{
    struct vn_uring *u = calloc(1, sizeof(*u));

    if (!u)
        return pw_err_set(err, -ENOMEM, "io_uring: out of memory");
    int rc = setup(u, entries);
    if (rc) {
        vn_uring_free(u);
        return pw_err_errno(err, rc, "io_uring");
    }
    *out = u;
    return 0;
}

void vn_uring_free(struct vn_uring *u)
{
    if (!u)
        return;
    if (u->sqes)
        munmap(u->sqes, u->sqes_len);
    if (u->rings)
        munmap(u->rings, u->rings_len);
    pw_closep(&u->fd);
    free(u);
}

unsigned vn_uring_write(struct vn_uring *u, int fd, struct pump_frame *f, unsigned n)
{
    unsigned tail = *u->sq_tail, submit = 0, seen = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!f[i].iov)
            continue;
        unsigned k = tail & u->sq_mask;
        struct io_uring_sqe *s = &u->sqes[k];
        memset(s, 0, sizeof(*s));
        s->opcode = IORING_OP_WRITEV;
        s->fd = fd;
        s->addr = (uint64_t)(uintptr_t)f[i].iov;
        s->len = f[i].segs;
        s->off = (uint64_t)-1;
        s->rw_flags = RWF_NOWAIT; /* or it waits until the tap takes more, and we with it */
        s->user_data = i;
        u->sq_array[k] = k;
        f[i].result = -EAGAIN;
        tail++;
        submit++;
    }
    if (!submit)
        return n;
    __atomic_store_n(u->sq_tail, tail, __ATOMIC_RELEASE);
    unsigned left = submit;
    while (seen < submit) {
        int r = sys_enter(u->fd, left, submit - seen);
        if (r < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY)
            break;
        left -= r > 0 ? (unsigned)r : 0;
        unsigned head = *u->cq_head, end = __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE);
        for (; head != end; head++, seen++) {
            const struct io_uring_cqe *c = &u->cqes[head & u->cq_mask];
            if (c->user_data < n)
                f[c->user_data].result = c->res;
        }
        __atomic_store_n(u->cq_head, head, __ATOMIC_RELEASE);
    }
    /* The tap was full for some: once more, one by one. */
    for (unsigned i = 0; i < n; i++) {
        if (!f[i].iov || f[i].result != -EAGAIN)
            continue;
        ssize_t r = writev(fd, f[i].iov, f[i].segs);
        f[i].result = r < 0 ? -errno : (int)r;
        if (f[i].result == -EAGAIN)
            break;
    }
    /* Full again: those with none written behind them wait, others are lost. */
    unsigned done = n;
    for (unsigned i = n; i && (!f[i - 1].iov || f[i - 1].result == -EAGAIN); i--)
        if (f[i - 1].iov)
            done = i - 1;
    return done;
}
