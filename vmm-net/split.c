// SPDX-License-Identifier: Apache-2.0
/* Split virtqueues: virtio 1.2, 2.7. */
#include "vmm-net/virtq.h"

#define USED_F_NO_NOTIFY 1u
#define AVAIL_F_NO_INTERRUPT 1u

static uint16_t mask(const struct vn_virtq *q)
{
    return (uint16_t)(q->num - 1);
}

static const uint8_t *used_event(const struct vn_virtq *q)
{
    return q->avail + 4 + 2ull * q->num;
}

static uint8_t *avail_event(const struct vn_virtq *q)
{
    return q->used + 4 + 8ull * q->num;
}

static void log_used(struct vn_virtq *q, uint64_t off, uint64_t len)
{
    if (q->log_used)
        vn_log_mark(q->log, q->used_log + off, len);
}

void split_position(struct vn_virtq *q)
{
    if (q->inflight && vq_inflight_resume(q))
        return;
    q->next_used = vq_load16(q->used + 2);
    q->next_avail = q->next_used;
    q->avail_seen = q->next_avail;
}

bool split_pending(const struct vn_virtq *q)
{
    return vq_load16(q->avail + 2) != q->next_avail;
}

enum vq_result split_pop(struct vn_virtq *q, const struct vq_sink *s, struct vq_chain *c)
{
    if (q->next_avail == q->avail_seen) {
        uint16_t idx = vq_acquire16(q->avail + 2);
        if (idx == q->next_avail)
            return VQ_NONE;
        if ((uint16_t)(idx - q->next_used) > q->num)
            return vq_break(q, "avail index jumps by more than the ring");
        q->avail_seen = idx;
    }

    uint16_t head = vq_load16(q->avail + 4 + 2ull * (q->next_avail & mask(q)));
    if (head >= q->num)
        return vq_break(q, "head beyond the ring");
    c->id = head;

    uint16_t at = head;
    for (unsigned seen = 0;; seen++) {
        if (seen == q->num)
            return vq_break(q, "loop in a chain");
        struct vq_desc d = vq_desc_read(q->desc + 16ull * at, false);
        enum vq_result r;
        if (d.flags & VQ_F_INDIRECT) {
            if (d.flags & VQ_F_NEXT)
                return vq_break(q, "indirect descriptor with a next");
            r = vq_indirect(q, &d, false, s, c);
        } else {
            r = vq_add(q, &d, s, c);
        }
        if (r != VQ_OK)
            return r;
        if (!(d.flags & VQ_F_NEXT))
            break;
        at = d.other;
        if (at >= q->num)
            return vq_break(q, "next beyond the ring");
    }
    if (q->inflight)
        vq_inflight_pop(q, head);
    q->next_avail++;
    return VQ_OK;
}

void split_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len)
{
    uint64_t off = 4 + 8ull * (q->next_used & mask(q));

    vq_store32((q->used + off), (uint32_t)c->id);
    vq_store32((q->used + off + 4), len);
    log_used(q, off, 8);
    if (q->inflight)
        vq_inflight_push(q, c->id);
    q->next_used++;
}

void split_publish(struct vn_virtq *q)
{
    vq_release16(q->used + 2, q->next_used);
    log_used(q, 2, 2);
}

bool split_want_call(struct vn_virtq *q)
{
    uint16_t now = q->published, old = q->signalled;
    bool valid = q->signalled_valid;

    /* The driver writes its event, then reads the index; we do it the other way round. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!q->event_idx)
        return !(vq_load16(q->avail) & AVAIL_F_NO_INTERRUPT);
    q->signalled = now;
    q->signalled_valid = true;
    if (!valid)
        return true;
    uint16_t event = vq_load16(used_event(q));
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

bool split_arm(struct vn_virtq *q)
{
    if (q->event_idx) {
        vq_store16(avail_event(q), q->next_avail);
        log_used(q, 4 + 8ull * q->num, 2);
    } else {
        vq_store16(q->used, 0);
        log_used(q, 0, 2);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return split_pending(q);
}

void split_disarm(struct vn_virtq *q)
{
    /* With event index the stale event does it: kicks come only when it is crossed. */
    if (q->event_idx)
        return;
    vq_store16(q->used, USED_F_NO_NOTIFY);
    log_used(q, 0, 2);
}
