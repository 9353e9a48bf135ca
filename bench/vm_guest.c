/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/vm_guest.h"

#include <linux/if_tun.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "loader/base/cleanup.h"
#include "vmm-net/tapdev.h"
#include "vmm-net/vmmnet.h"
#include "vmm-net/vnet.h"

#define RING 512
#define MEMORY (4u << 20)
#define PAGE 4096u
/* Where things lie in guest memory, whose guest addresses begin at 0. */
#define DESC(r) (0x10000u * (r))
#define AVAIL(r) (DESC(r) + 0x4000u)
#define USED(r) (DESC(r) + 0x8000u)
#define TABLE 0x20000u /* the frame's pages, for an indirect descriptor */
#define FRAME 0x40000u
#define BUFFER(i) (0x100000u + PAGE * (i))

#define F_WRITE 2u
#define F_NEXT 1u
#define F_INDIRECT 4u
#define NO_NOTIFY 1u

#define FEATURES                                                                                   \
    (VIF_VERSION_1 | VIF_INDIRECT_DESC | VNF_MRG_RXBUF | VNF_CSUM | VNF_GUEST_CSUM |               \
     VNF_HOST_TSO4 | VNF_HOST_TSO6 | VNF_GUEST_TSO4 | VNF_GUEST_TSO6)

static uint16_t *half(struct nb_guest *g, uint32_t at)
{
    void *p = g->mem + at;
    return p;
}

static void describe(struct nb_guest *g, uint32_t at, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags, next;
    } d = {addr, len, flags, next};
    memcpy(g->mem + at, &d, sizeof(d));
}

/* Make `n` more descriptors available, and kick if the device asks for it. */
static void publish(struct nb_guest *g, unsigned r, unsigned n)
{
    uint64_t one = 1;
    g->avail[r] = (uint16_t)(g->avail[r] + n);
    __atomic_store_n(half(g, AVAIL(r) + 2), g->avail[r], __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(__atomic_load_n(half(g, USED(r)), __ATOMIC_RELAXED) & NO_NOTIFY) &&
        write(g->kick[r], &one, sizeof(one)) < 0)
        return; /* full: it has been told */
}

static int start_rings(struct nb_guest *g, struct pw_err *err)
{
    struct vmmnet_region region = {0, MEMORY, g->mem};
    int rc = vmmnet_ack_features(g->net, FEATURES, err);
    if (rc == 0)
        rc = vmmnet_set_memory(g->net, &region, 1, err);
    for (unsigned r = 0; r < 2 && rc == 0; r++) {
        for (unsigned i = 0; i < RING; i++) {
            *half(g, AVAIL(r) + 4 + 2 * i) = (uint16_t)i;
            if (r == 0)
                describe(g, DESC(r) + 16 * i, BUFFER(i), PAGE, F_WRITE, 0);
        }
        *half(g, AVAIL(r)) = 1; /* no interrupts: we look by ourselves */
        g->kick[r] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        g->call[r] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        struct vmmnet_ring ring = {.size = RING,
                                   .desc = DESC(r),
                                   .avail = AVAIL(r),
                                   .used = USED(r),
                                   .kick = g->kick[r],
                                   .call = g->call[r]};
        rc = vmmnet_ring_start(g->net, r, &ring, err);
    }
    if (rc == 0)
        publish(g, 0, RING);
    return rc;
}

static int start_backend(struct nb_guest *g, int cpu, struct pw_err *err)
{
    struct vmmnet_conf conf = {.pairs = 1, .tap = &g->tap, .busy_poll_us = 50};
    cpu_set_t mine, worker;
    /* The worker inherits where its maker may run. */
    CPU_ZERO(&worker);
    CPU_SET((unsigned)cpu, &worker);
    if (sched_getaffinity(0, sizeof(mine), &mine) < 0 ||
        sched_setaffinity(0, sizeof(worker), &worker) < 0)
        return pw_err_errno(err, -errno, "pin the back-end to CPU %d", cpu);
    int rc = vmmnet_new(&conf, &g->net, err);
    sched_setaffinity(0, sizeof(mine), &mine);
    return rc < 0 ? rc : start_rings(g, err);
}

int nb_guest_open(struct nb_guest *g, const char *tap, bool rings, int worker_cpu,
                  struct pw_err *err)
{
    *g = (struct nb_guest){.tap = -1, .kick = {-1, -1}, .call = {-1, -1}};
    g->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
                  -1, 0);
    if (g->mem == MAP_FAILED) {
        g->mem = NULL;
        return pw_err_errno(err, -errno, "guest memory");
    }
    int rc = vmmnet_tap_open(tap, 1, &g->tap, err);
    if (rc == 0)
        rc = rings ? start_backend(g, worker_cpu, err)
                   : vn_tap_offload(g->tap, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
                                    err);
    return rc;
}

void nb_guest_close(struct nb_guest *g)
{
    if (g->net)
        vmmnet_free(g->net);
    else
        pw_closep(&g->tap);
    g->net = NULL;
    for (int r = 0; r < 2; r++) {
        pw_closep(&g->kick[r]);
        pw_closep(&g->call[r]);
    }
    if (g->mem)
        munmap(g->mem, MEMORY);
    g->mem = NULL;
}

void nb_guest_frame(struct nb_guest *g, const void *frame, size_t len)
{
    unsigned pages = 0;
    memcpy(g->mem + FRAME, frame, len);
    g->len = len;
    if (!g->net)
        return;
    for (size_t at = 0; at < len; at += PAGE, pages++)
        describe(g, TABLE + 16 * pages, FRAME + at, (uint32_t)(len - at < PAGE ? len - at : PAGE),
                 len - at > PAGE ? F_NEXT : 0, (uint16_t)(pages + 1));
    for (unsigned i = 0; i < RING; i++)
        if (pages == 1)
            describe(g, DESC(1) + 16 * i, FRAME, (uint32_t)len, 0, 0);
        else
            describe(g, DESC(1) + 16 * i, TABLE, 16 * pages, F_INDIRECT, 0);
}

unsigned nb_guest_send(struct nb_guest *g, unsigned n)
{
    unsigned sent = 0;
    if (!g->net) {
        while (sent < n && write(g->tap, g->mem + FRAME, g->len) > 0)
            sent++;
        return sent;
    }
    uint16_t used = __atomic_load_n(half(g, USED(1) + 2), __ATOMIC_ACQUIRE);
    unsigned room = RING - (uint16_t)(g->avail[1] - used);
    sent = n < room ? n : room;
    if (sent)
        publish(g, 1, sent);
    return sent;
}

size_t nb_guest_receive(struct nb_guest *g, const uint8_t **frame)
{
    if (!g->net) {
        ssize_t n = read(g->tap, g->mem, FRAME);
        *frame = g->mem + VNET_HDR_LEN;
        return n > VNET_HDR_LEN ? (size_t)n - VNET_HDR_LEN : 0;
    }
    uint16_t at = g->used[0], end = __atomic_load_n(half(g, USED(0) + 2), __ATOMIC_ACQUIRE);
    size_t len = 0;
    if (at == end)
        return 0;
    uint16_t buffers = 1;
    for (uint16_t i = 0; i < buffers && at != end; i++, at++) {
        uint32_t e[2];
        memcpy(e, g->mem + USED(0) + 4 + 8 * (at % RING), sizeof(e));
        if (i == 0) {
            memcpy(&buffers, g->mem + BUFFER(e[0]) + 10, sizeof(buffers));
            *frame = g->mem + BUFFER(e[0]) + VNET_HDR_LEN;
        }
        len += e[1];
        *half(g, AVAIL(0) + 4 + 2 * ((unsigned)(g->avail[0] + i) % RING)) = (uint16_t)e[0];
    }
    publish(g, 0, (uint16_t)(at - g->used[0]));
    g->used[0] = at;
    return len - VNET_HDR_LEN;
}
