// SPDX-License-Identifier: Apache-2.0
/* Packed virtqueues: virtio 1.2, 2.8. */
#include "vmm-net/virtq.h"

#define EVENT_ENABLE 0u
#define EVENT_DISABLE 1u
#define EVENT_DESC 2u

static uint8_t *slot(const struct vn_virtq *q, uint16_t i)
{
    return q->desc + 16ull * i;
}

static bool is_avail(uint16_t flags, bool wrap)
{
    return !!(flags & VQ_F_AVAIL) == wrap && !!(flags & VQ_F_USED) != wrap;
}

void packed_position(struct vn_virtq *q, uint32_t base)
{
    if (q->inflight && vq_inflight_resume(q))
        return;
    q->next_avail = base & 0x7fff;
    q->avail_wrap = base >> 15 & 1;
    q->next_used = q->next_avail;
    q->used_wrap = q->avail_wrap;
    if (q->inflight) {
        vq_inflight_before(q);
        vq_inflight_after(q);
    }
}

bool packed_pending(const struct vn_virtq *q)
{
    return is_avail(vq_load16(slot(q, q->next_avail) + 14), q->avail_wrap);
}

static void advance(const struct vn_virtq *q, uint16_t *pos, bool *wrap, unsigned n)
{
    unsigned p = *pos + n;

    if (p >= q->num) {
        p -= q->num;
        *wrap = !*wrap;
    }
    *pos = (uint16_t)p;
}

enum vq_result packed_pop(struct vn_virtq *q, const struct vq_sink *s, struct vq_chain *c)
{
    uint16_t flags = vq_acquire16(slot(q, q->next_avail) + 14);
    if (!is_avail(flags, q->avail_wrap))
        return VQ_NONE;

    /* Slots that are popped and not yet used are ours: never walk into them a second time. */
    unsigned left = q->avail_wrap == q->used_wrap
                        ? (unsigned)(q->num - q->next_avail + q->next_used)
                        : (unsigned)(q->next_used - q->next_avail);
    if (!left || left > q->num)
        return vq_break(q, "more buffers than the ring has");

    uint16_t pos = q->next_avail;
    bool wrap = q->avail_wrap;
    for (unsigned seen = 0;; seen++) {
        if (seen == left)
            return vq_break(q, "loop in a chain");
        struct vq_desc d = vq_desc_read(slot(q, pos), true);
        /* The first one's flags were read with acquire and decide; read once means that copy. */
        uint16_t f = seen ? d.flags : flags;
        enum vq_result r;
        d.flags = f;
        if (f & VQ_F_INDIRECT) {
            if (f & VQ_F_NEXT)
                return vq_break(q, "indirect descriptor with a next");
            if (seen)
                return vq_break(q, "indirect descriptor inside a chain");
            r = vq_indirect(q, &d, true, s, c);
        } else {
            r = vq_add(q, &d, s, c);
        }
        if (r != VQ_OK)
            return r;
        advance(q, &pos, &wrap, 1);
        if (!(f & VQ_F_NEXT)) {
            c->id = d.other;
            c->slots = (uint16_t)(seen + 1);
            break;
        }
    }
    if (c->id >= q->num)
        return vq_break(q, "buffer id beyond the ring");
    q->next_avail = pos;
    q->avail_wrap = wrap;
    return VQ_OK;
}

/* After the write: a mark before it could be taken, with the page, in between. */
static void log_slot(struct vn_virtq *q, uint16_t i)
{
    if (q->log_used)
        vn_log_mark(q->log, q->desc_gpa + 16ull * i, 16);
}

void packed_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len)
{
    uint8_t *d = slot(q, q->next_used);
    uint16_t flags =
        (uint16_t)((q->used_wrap ? VQ_F_AVAIL | VQ_F_USED : 0) | (len ? VQ_F_WRITE : 0));

    vq_store32((d + 8), len);
    vq_store16(d + 12, c->id);
    if (!q->batch_open) {
        q->batch_open = true;
        q->batch_pos = q->next_used;
        q->batch_flags = flags;
    } else {
        /* Not seen before the first: the driver looks at descriptors in order. */
        vq_release16(d + 14, flags);
    }
    log_slot(q, q->next_used);
    advance(q, &q->next_used, &q->used_wrap, c->slots);
}

void packed_publish(struct vn_virtq *q)
{
    if (!q->batch_open)
        return;
    vq_release16(slot(q, q->batch_pos) + 14, q->batch_flags);
    log_slot(q, q->batch_pos);
    q->batch_open = false;
}

bool packed_want_call(struct vn_virtq *q)
{
    uint16_t now = q->next_used, old = q->signalled;
    bool valid = q->signalled_valid;

    q->signalled = now;
    q->signalled_valid = true;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* One load for both halves: off_wrap and flags belong together. */
    uint32_t ev = vq_load32(q->avail);
    uint16_t flags = ev >> 16 & 3;
    if (flags != EVENT_DESC || !q->event_idx)
        return flags != EVENT_DISABLE;
    if (!valid)
        return true;
    uint16_t off = ev & 0x7fff;
    bool wrap = ev >> 15 & 1;
    if (wrap != q->used_wrap)
        off = (uint16_t)(off - q->num);
    if (now <= old)
        old = (uint16_t)(old - q->num);
    return (uint16_t)(now - off - 1) < (uint16_t)(now - old);
}

static void set_event(struct vn_virtq *q, uint16_t off_wrap, uint16_t flags)
{
    vq_store32(q->used, off_wrap | (uint32_t)flags << 16);
    if (q->log_used)
        vn_log_mark(q->log, q->used_log, 4);
}

bool packed_arm(struct vn_virtq *q)
{
    if (q->event_idx)
        set_event(q, (uint16_t)(q->next_avail | (unsigned)q->avail_wrap << 15), EVENT_DESC);
    else
        set_event(q, 0, EVENT_ENABLE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return packed_pending(q);
}

void packed_disarm(struct vn_virtq *q)
{
    set_event(q, 0, EVENT_DISABLE);
}
