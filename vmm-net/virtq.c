// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/virtq.h"

#include <string.h>

void vq_sizes(bool packed, uint16_t num, uint64_t *desc, uint64_t *avail, uint64_t *used)
{
    *desc = 16ull * num;
    /* Split rings: flags, index, entries, event; packed: one event structure each. */
    *avail = packed ? 4 : 6 + 2ull * num;
    *used = packed ? 4 : 6 + 8ull * num;
}

void vq_layout(struct vn_virtq *q, const struct vn_mem *mem, struct vn_log *log,
               const struct vq_layout *l)
{
    q->mem = mem;
    q->log = log;
    q->packed = l->packed;
    q->event_idx = l->event_idx;
    q->indirect = l->indirect;
    q->num = l->num;
    q->desc = l->desc;
    q->avail = l->avail;
    q->used = l->used;
    q->desc_gpa = l->desc_gpa;
    q->used_log = l->used_log;
    q->log_used = l->log_used;
    q->hint = 0;
}

void vq_position(struct vn_virtq *q, uint32_t base)
{
    q->broken = NULL;
    q->batch_open = false;
    q->signalled_valid = false;
    q->armed = true;
    if (q->packed)
        packed_position(q, base);
    else
        split_position(q);
    q->published = q->next_used;
}

uint32_t vq_base(const struct vn_virtq *q)
{
    if (!q->packed)
        return q->next_avail;
    return q->next_avail | (uint32_t)q->avail_wrap << 15 | (uint32_t)q->next_used << 16 |
           (uint32_t)q->used_wrap << 31;
}

enum vq_result vq_break(struct vn_virtq *q, const char *why)
{
    if (!q->broken)
        __atomic_store_n(&q->broken, why, __ATOMIC_RELEASE); /* vmmnet_ring_error looks at it */
    return VQ_BROKEN;
}

struct vq_desc vq_desc_read(const uint8_t *p, bool packed)
{
    struct {
        uint64_t addr;
        uint32_t len;
        uint16_t a, b;
    } d;

    /* The empty asm may have changed `d` for all the compiler knows: it cannot go back to the
     * guest's memory for a field, so what is used is the copy that was checked. */
    memcpy(&d, p, sizeof(d));
    __asm__ volatile("" : "+m"(d));
    return (struct vq_desc){
        .addr = d.addr,
        .len = d.len,
        .flags = packed ? d.b : d.a,
        .other = packed ? d.a : d.b,
    };
}

enum vq_result vq_add(struct vn_virtq *q, const struct vq_desc *d, const struct vq_sink *s,
                      struct vq_chain *c)
{
    if (!!(d->flags & VQ_F_WRITE) != s->writable)
        return vq_break(q, "descriptor of the wrong direction");
    if (!d->len)
        return VQ_OK; /* nothing is read or written there, so its address does not matter */
    void *p = vn_mem_at(q->mem, d->addr, d->len, &q->hint);
    if (!p)
        return vq_break(q, "buffer outside guest memory");
    c->len += d->len;
    if (c->too_big)
        return VQ_OK;
    if (c->segs == s->max) {
        c->too_big = true;
        c->segs = 0;
        return VQ_OK;
    }
    s->iov[c->segs] = (struct iovec){.iov_base = p, .iov_len = d->len};
    s->gpa[c->segs] = d->addr;
    c->segs++;
    return VQ_OK;
}

enum vq_result vq_indirect(struct vn_virtq *q, const struct vq_desc *d, bool sequential,
                           const struct vq_sink *s, struct vq_chain *c)
{
    if (!q->indirect)
        return vq_break(q, "indirect table not negotiated");
    if (!d->len || d->len % 16 || d->len / 16 > q->num)
        return vq_break(q, "indirect table of a wrong size");
    const uint8_t *table = vn_mem_at(q->mem, d->addr, d->len, &q->hint);
    if (!table)
        return vq_break(q, "indirect table outside guest memory");

    uint32_t n = d->len / 16;
    uint32_t at = 0;
    for (uint32_t seen = 0; seen < n; seen++) {
        struct vq_desc e = vq_desc_read(table + 16ull * at, sequential);
        if (e.flags & VQ_F_INDIRECT)
            return vq_break(q, "indirect table inside an indirect table");
        enum vq_result r = vq_add(q, &e, s, c);
        if (r != VQ_OK)
            return r;
        if (sequential) {
            at++;
        } else {
            if (!(e.flags & VQ_F_NEXT))
                return VQ_OK;
            at = e.other;
            if (at >= n)
                return vq_break(q, "next beyond the indirect table");
        }
    }
    return sequential ? VQ_OK : vq_break(q, "loop in an indirect table");
}

enum vq_result vq_pop(struct vn_virtq *q, bool writable, struct vq_chain *c, struct iovec *iov,
                      uint64_t *gpa, unsigned max)
{
    const struct vq_sink s = {.iov = iov, .gpa = gpa, .max = max, .writable = writable};

    if (q->broken)
        return VQ_BROKEN;
    *c = (struct vq_chain){.slots = 1};
    return q->packed ? packed_pop(q, &s, c) : split_pop(q, &s, c);
}

void vq_unpop(struct vn_virtq *q, unsigned slots)
{
    if (!q->packed) {
        q->next_avail = (uint16_t)(q->next_avail - slots);
        return;
    }
    if (slots > q->next_avail) {
        q->next_avail = (uint16_t)(q->next_avail + q->num - slots);
        q->avail_wrap = !q->avail_wrap;
    } else {
        q->next_avail = (uint16_t)(q->next_avail - slots);
    }
}

void vq_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len)
{
    if (q->packed)
        packed_push(q, c, len);
    else
        split_push(q, c, len);
}

void vq_publish(struct vn_virtq *q)
{
    if (q->next_used == q->published && !q->batch_open)
        return;
    if (q->inflight)
        vq_inflight_before(q);
    if (q->packed)
        packed_publish(q);
    else
        split_publish(q);
    q->published = q->next_used;
    if (q->inflight)
        vq_inflight_after(q);
}

bool vq_want_call(struct vn_virtq *q)
{
    return q->packed ? packed_want_call(q) : split_want_call(q);
}

bool vq_arm(struct vn_virtq *q)
{
    if (q->broken)
        return false;
    q->armed = true;
    return q->packed ? packed_arm(q) : split_arm(q);
}

void vq_disarm(struct vn_virtq *q)
{
    if (q->broken || !q->armed)
        return;
    q->armed = false;
    if (q->packed)
        packed_disarm(q);
    else
        split_disarm(q);
}

bool vq_pending(const struct vn_virtq *q)
{
    if (q->broken)
        return false;
    return q->packed ? packed_pending(q) : split_pending(q);
}
