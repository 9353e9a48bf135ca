// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/pump.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vmm-net/dev.h"
#include "vmm-net/uring.h"

/* How long the guest may take to post more buffers before a frame is read into what there is. */
#define STARVED_MS 5

/* ---- from the guest ---- */

/* Copy a header that is spread over segments; the first segment with something left. */
static unsigned tx_gather(struct vnet_hdr *hdr, struct iovec *iov)
{
    uint8_t *to = (uint8_t *)hdr;
    size_t need = sizeof(*hdr);
    unsigned i = 0;

    while (need) {
        size_t n = iov[i].iov_len < need ? iov[i].iov_len : need;
        memcpy(to, iov[i].iov_base, n);
        to += n;
        need -= n;
        iov[i].iov_base = (uint8_t *)iov[i].iov_base + n;
        iov[i].iov_len -= n;
        if (!iov[i].iov_len)
            i++;
    }
    return i;
}

/* Copy the header out and judge the frame. */
static void tx_judge(struct vn_pair *p, struct pump_frame *f, struct iovec *iov)
{
    const struct vmmnet *dev = p->dev;
    unsigned i = 0;

    f->iov = NULL;
    f->len = 0;
    uint64_t limit = VNET_HDR_LEN + VNET_FRAME_MAX;
    if (f->c.too_big || f->c.len < VNET_HDR_LEN + VNET_ETH_MIN || f->c.len > limit) {
        vn_count(&p->count->tx_bad_length, 1);
        return;
    }
    if (iov->iov_len > sizeof(f->hdr)) {
        memcpy(&f->hdr, iov->iov_base, sizeof(f->hdr));
        iov->iov_base = (uint8_t *)iov->iov_base + sizeof(f->hdr);
        iov->iov_len -= sizeof(f->hdr);
    } else {
        i = tx_gather(&f->hdr, iov);
    }
    __asm__ volatile("" : "+m"(f->hdr)); /* the copy, not the guest's bytes again */
    f->len = (uint32_t)(f->c.len - VNET_HDR_LEN);
    if (!vnet_check(&f->hdr, f->len, &dev->rules)) {
        vn_count(&p->count->tx_bad_header, 1);
        return;
    }
    if (!f->hdr.gso_type && dev->mtu && f->len > dev->mtu + 14u + 4u) {
        vn_count(&p->count->tx_bad_length, 1);
        return;
    }
    /* Our copy goes in front of what is left: a slot before iov[0] is ours, or one used up. */
    f->iov = &iov[i] - 1;
    f->iov->iov_base = &f->hdr;
    f->iov->iov_len = sizeof(f->hdr);
    f->segs = (uint16_t)(f->c.segs - i + 1);
}

/* Write frames [0, n); returns how many are done with (all, unless the tap is full). */
static unsigned tx_write(struct vn_pair *p, unsigned n)
{
    struct vn_pump *pump = &p->pump;

    if (p->tap == VMMNET_NULL_TAP) {
        for (unsigned i = 0; i < n; i++)
            pump->tx[i].result = (int)(pump->tx[i].len + VNET_HDR_LEN);
        return n;
    }
    if (pump->uring && n > 1)
        return vn_uring_write(pump->uring, p->tap, pump->tx, n);
    for (unsigned i = 0; i < n; i++) {
        struct pump_frame *f = &pump->tx[i];
        if (!f->iov)
            continue;
        ssize_t r = writev(p->tap, f->iov, f->segs);
        if (r < 0 && errno == EAGAIN)
            return i;
        f->result = r < 0 ? -errno : (int)r;
    }
    return n;
}

static unsigned pump_tx(struct vn_pair *p)
{
    struct vn_pump *pump = &p->pump;
    struct vn_ring *ring = &p->ring[VN_TX];
    struct vmmnet_counters *count = p->count;
    const char *broken = NULL;
    unsigned n = 0, used = 0, frames = 0;
    uint64_t bytes = 0;

    if (!ring->live)
        return 0;
    /* Between its start and its first enabling a ring waits: what the guest posted before a
     * reconnect is sent, not thrown away. A kick is the guest's word that it wants it drained. */
    if (!ring->enabled && !atomic_load_explicit(&ring->kicked, memory_order_relaxed))
        return 0;
    vq_disarm(&ring->q);
    while (n < PUMP_BATCH && used + VQ_MAX_SEGS + 1 <= PUMP_TX_IOV) {
        struct pump_frame *f = &pump->tx[n];
        struct iovec *iov = pump->tx_iov + used + 1;
        enum vq_result r =
            vq_pop(&ring->q, false, &f->c, iov, pump->tx_gpa + used + 1, VQ_MAX_SEGS);
        if (r == VQ_NONE)
            break;
        if (r == VQ_BROKEN) {
            broken = ring->q.broken;
            break;
        }
        used += 1u + f->c.segs;
        f->result = 0;
        if (ring->enabled) {
            tx_judge(p, f, iov);
        } else {
            f->iov = NULL;
            vn_count(&count->tx_discarded, 1);
        }
        n++;
    }

    unsigned done = tx_write(p, n);
    pump->tx_blocked = done < n;
    unsigned slots = 0;
    for (unsigned i = done; i < n; i++)
        slots += pump->tx[i].c.slots;
    vq_unpop(&ring->q, slots);

    for (unsigned i = 0; i < done; i++) {
        struct pump_frame *f = &pump->tx[i];
        if (f->iov && f->result > 0) {
            frames++;
            bytes += f->len;
        } else if (f->iov) {
            vn_count(&count->tx_refused, 1);
            if (f->result == -EFAULT)
                broken = "guest memory vanished";
            else if (f->result == -EBADFD)
                pump->tap_gone = true;
        }
        vq_push(&ring->q, &f->c, 0);
    }
    if (atomic_load_explicit(&p->dev->mem.poisoned, memory_order_relaxed))
        broken = "guest memory vanished";
    if (done) {
        vn_count(&count->tx_frames, frames);
        vn_count(&count->tx_bytes, bytes);
        vq_publish(&ring->q);
        if (vq_want_call(&ring->q))
            vn_ring_signal(p, ring);
    }
    if (broken)
        vn_ring_fail(p, ring, broken);
    return done;
}

/* ---- towards the guest ---- */

/* Write into the window's front, whatever segments it is spread over. */
static void rx_put(struct vn_pump *pump, size_t off, const void *data, size_t len)
{
    const uint8_t *from = data;

    for (unsigned i = pump->iov_head; len && i < pump->iov_tail; i++) {
        const struct iovec *v = &pump->rx_iov[i];
        if (off >= v->iov_len) {
            off -= v->iov_len;
            continue;
        }
        size_t n = v->iov_len - off < len ? v->iov_len - off : len;
        memcpy((uint8_t *)v->iov_base + off, from, n);
        from += n;
        len -= n;
        off = 0;
    }
}

static void rx_compact(struct vn_pump *pump)
{
    if (pump->iov_head) {
        unsigned n = pump->iov_tail - pump->iov_head;
        memmove(pump->rx_iov, pump->rx_iov + pump->iov_head, n * sizeof(pump->rx_iov[0]));
        memmove(pump->rx_gpa, pump->rx_gpa + pump->iov_head, n * sizeof(pump->rx_gpa[0]));
        pump->iov_head = 0;
        pump->iov_tail = n;
    }
    if (pump->rx_head) {
        unsigned n = pump->rx_tail - pump->rx_head;
        memmove(pump->rx, pump->rx + pump->rx_head, n * sizeof(pump->rx[0]));
        pump->rx_head = 0;
        pump->rx_tail = n;
    }
}

/* The most bytes one read of the tap can bring. */
static uint64_t rx_need(const struct vmmnet *dev)
{
    if (dev->features & (VNF_GUEST_TSO4 | VNF_GUEST_TSO6 | VNF_GUEST_USO4 | VNF_GUEST_USO6))
        return VNET_HDR_LEN + VNET_FRAME_MAX;
    /* The tap's own MTU is the host's to choose; 9000 covers what is common, more is truncated
     * only when the guest has posted less. */
    return VNET_HDR_LEN + (dev->mtu > 9000 ? dev->mtu : 9000) + 18;
}

/* Take buffers until a frame of any size fits. False: the ring is broken. */
static bool rx_fill(struct vn_pair *p, struct vn_ring *ring, uint64_t need)
{
    struct vn_pump *pump = &p->pump;
    bool merge = p->dev->hdr_merge;

    pump->rx_full = false;
    while (merge ? pump->rx_bytes < need : pump->rx_tail == pump->rx_head) {
        if (pump->iov_tail > PUMP_RX_IOV / 2 || pump->rx_tail == PUMP_RX_IOV)
            rx_compact(pump);
        unsigned room = PUMP_RX_IOV - pump->iov_tail;
        if (pump->rx_tail == PUMP_RX_IOV || !room) {
            pump->rx_full = true;
            return true;
        }
        struct vq_chain *c = &pump->rx[pump->rx_tail];
        enum vq_result r = vq_pop(&ring->q, true, c, pump->rx_iov + pump->iov_tail,
                                  pump->rx_gpa + pump->iov_tail, room);
        if (r == VQ_NONE)
            return true;
        if (r == VQ_OK && c->too_big) {
            vq_unpop(&ring->q, c->slots);
            if (pump->rx_tail != pump->rx_head) {
                pump->rx_full = true;
                return true;
            }
            r = vq_break(&ring->q, "receive buffer of too many segments");
        }
        if (r == VQ_OK && !c->len)
            r = vq_break(&ring->q, "empty receive buffer");
        if (r == VQ_BROKEN)
            return false;
        pump->rx_tail++;
        pump->iov_tail += c->segs;
        pump->rx_bytes += c->len;
        pump->rx_slots += c->slots;
    }
    return true;
}

/* Give the front of the window to the guest: `len` bytes lie in it. */
static void rx_deliver(struct vn_pair *p, struct vn_ring *ring, uint64_t len)
{
    struct vn_pump *pump = &p->pump;
    uint16_t buffers = 0;
    uint64_t left = len;
    unsigned last = pump->rx_head;

    do {
        uint64_t room = pump->rx[last++].len;
        left -= left < room ? left : room;
        buffers++;
    } while (left);
    rx_put(pump, offsetof(struct vnet_hdr, num_buffers), &buffers, sizeof(buffers));
    if (!(p->dev->features & VNF_GUEST_CSUM)) {
        uint8_t none = 0; /* a driver that took no checksum offload must see no flags */
        rx_put(pump, offsetof(struct vnet_hdr, flags), &none, sizeof(none));
    }

    left = len;
    while (buffers--) {
        const struct vq_chain *c = &pump->rx[pump->rx_head++];
        uint32_t take = (uint32_t)(left < c->len ? left : c->len);
        if (ring->q.log) {
            uint64_t todo = take;
            for (unsigned i = 0; i < c->segs && todo; i++) {
                size_t n = pump->rx_iov[pump->iov_head + i].iov_len;
                n = n < todo ? n : todo;
                vn_log_mark(ring->q.log, pump->rx_gpa[pump->iov_head + i], n);
                todo -= n;
            }
        }
        vq_push(&ring->q, c, take);
        pump->iov_head += c->segs;
        pump->rx_bytes -= c->len;
        pump->rx_slots -= c->slots;
        left -= take;
    }
    if (pump->rx_head == pump->rx_tail)
        pump->rx_head = pump->rx_tail = pump->iov_head = pump->iov_tail = 0;
}

/* Whether to read now although a large frame might not fit. */
static bool rx_enough(struct vn_pump *pump, const struct vn_ring *ring, uint64_t need, bool merge)
{
    if (pump->rx_head == pump->rx_tail)
        return false;
    if (!merge || pump->rx_bytes >= need)
        return true;
    /* A guest with at least half its ring posted may think that this is enough and post no more. */
    return pump->rx_slots * 2 >= ring->q.num || pump->rx_force || pump->rx_full;
}

static unsigned pump_rx(struct vn_pair *p)
{
    struct vn_pump *pump = &p->pump;
    struct vn_ring *ring = &p->ring[VN_RX];
    bool merge = p->dev->hdr_merge;
    uint64_t need = rx_need(p->dev);
    const char *broken = NULL;
    unsigned n = 0, got = 0;

    if (!ring->live || !ring->enabled || !p->tap_on || pump->tap_gone)
        return 0;
    vq_disarm(&ring->q);
    if (pump->rx_timeout)
        pump->rx_force = pump->rx_starved;
    pump->rx_timeout = false;
    for (; n < PUMP_BATCH; n++) {
        if (!rx_fill(p, ring, need)) {
            broken = ring->q.broken;
            break;
        }
        if (!rx_enough(pump, ring, need, merge)) {
            if (!pump->rx_starved)
                vn_count(&p->count->rx_starved, 1);
            pump->rx_starved = true;
            break;
        }
        pump->rx_starved = false;

        /* One byte of ours behind the guest's buffers tells whether the frame was cut. */
        uint8_t spill;
        unsigned segs = merge ? pump->iov_tail - pump->iov_head : pump->rx[pump->rx_head].segs;
        uint64_t room = merge ? pump->rx_bytes : pump->rx[pump->rx_head].len;
        struct iovec *end = &pump->rx_iov[pump->iov_head + segs];
        struct iovec keep = *end;
        *end = (struct iovec){.iov_base = &spill, .iov_len = 1};
        ssize_t r = readv(p->tap, &pump->rx_iov[pump->iov_head], (int)segs + 1);
        int e = errno;
        *end = keep;
        if (r < 0) {
            if (e == EFAULT)
                broken = "guest memory vanished";
            else if (e == EBADFD)
                pump->tap_gone = true;
            break;
        }
        if (r < VNET_HDR_LEN)
            break;
        pump->rx_force = false; /* for the next frame the guest has as long again */
        if ((uint64_t)r > room) {
            vn_count(&p->count->rx_truncated, 1);
            continue;
        }
        rx_deliver(p, ring, (uint64_t)r);
        vn_count(&p->count->rx_frames, 1);
        vn_count(&p->count->rx_bytes, (uint64_t)r - VNET_HDR_LEN);
        got++;
    }
    if (atomic_load_explicit(&p->dev->mem.poisoned, memory_order_relaxed))
        broken = "guest memory vanished";
    if (got) {
        vq_publish(&ring->q);
        if (vq_want_call(&ring->q))
            vn_ring_signal(p, ring);
    }
    if (broken)
        vn_ring_fail(p, ring, broken);
    return n;
}

/* ---- both ---- */

unsigned vn_pump_run(struct vn_pair *p)
{
    return pump_tx(p) + pump_rx(p);
}

static void watch_tap(struct vn_pair *p, uint32_t events)
{
    struct vn_pump *pump = &p->pump;
    struct epoll_event ev = {.events = events, .data.u32 = 0};

    if (p->tap == VMMNET_NULL_TAP || events == pump->tap_events || p->epoll < 0)
        return;
    /* A tap that is not watched must be out of the set: its errors are always reported. */
    int op = !events ? EPOLL_CTL_DEL : pump->tap_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (!epoll_ctl(p->epoll, op, p->tap, &ev) || !events)
        pump->tap_events = events;
}

bool vn_pump_arm(struct vn_pair *p, int *timeout_ms)
{
    struct vn_pump *pump = &p->pump;
    struct vn_ring *tx = &p->ring[VN_TX], *rx = &p->ring[VN_RX];
    uint32_t events = 0;
    bool more = false;

    *timeout_ms = -1;
    if (tx->live) {
        if (pump->tx_blocked)
            events |= EPOLLOUT;
        else
            more = vq_arm(&tx->q) && (tx->enabled || atomic_load(&tx->kicked));
        if (tx->polled)
            *timeout_ms = 1;
    }
    if (rx->live && rx->enabled && p->tap_on && !pump->tap_gone) {
        if (pump->rx_starved) {
            more |= vq_arm(&rx->q);
            if (pump->rx_head != pump->rx_tail)
                *timeout_ms = STARVED_MS;
        } else {
            events |= EPOLLIN;
        }
        if (rx->polled)
            *timeout_ms = 1;
    }
    watch_tap(p, pump->tap_gone ? 0 : events);
    return more;
}

void vn_pump_rewind(struct vn_pair *p)
{
    struct vn_pump *pump = &p->pump;

    if (pump->rx_slots && p->ring[VN_RX].positioned)
        vq_unpop(&p->ring[VN_RX].q, pump->rx_slots);
    pump->rx_head = pump->rx_tail = pump->iov_head = pump->iov_tail = 0;
    pump->rx_slots = 0;
    pump->rx_bytes = 0;
    pump->rx_starved = pump->rx_force = false;
}
