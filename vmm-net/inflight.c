// SPDX-License-Identifier: Apache-2.0
/*
 * The inflight buffer of the vhost-user protocol ("Inflight I/O tracking"). Buffers are used in
 * order here, so only the index part is needed to go on; the split ring's per-descriptor part is
 * kept as well, so that a back-end that needs it can take over from us. The buffer comes back from
 * the front-end and may hold anything: what is read from it is checked against the ring.
 */
#include "vmm-net/virtq.h"

#include <stddef.h>

#define INFLIGHT_VERSION 1

struct desc_split {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next;
    uint64_t counter;
};

struct region_split {
    uint64_t features;
    uint16_t version, desc_num, last_batch_head, used_idx;
    struct desc_split desc[];
};

struct desc_packed {
    uint8_t inflight, padding;
    uint16_t next, last, num;
    uint64_t counter;
    uint16_t id, flags;
    uint32_t len;
    uint64_t addr;
};

struct region_packed {
    uint64_t features;
    uint16_t version, desc_num, free_head, old_free_head, used_idx, old_used_idx;
    uint8_t used_wrap, old_used_wrap, padding[7];
    struct desc_packed desc[];
};

_Static_assert(sizeof(struct desc_split) == 16, "DescStateSplit");
_Static_assert(offsetof(struct region_split, desc) == 16, "QueueRegionSplit");
_Static_assert(sizeof(struct desc_packed) == 32, "DescStatePacked");
_Static_assert(offsetof(struct region_packed, desc) == 32, "QueueRegionPacked");

#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)

uint64_t vq_inflight_size(bool packed, uint16_t num)
{
    uint64_t n = packed ? sizeof(struct region_packed) + (uint64_t)num * sizeof(struct desc_packed)
                        : sizeof(struct region_split) + (uint64_t)num * sizeof(struct desc_split);
    return (n + 63) & ~63ull;
}

void vq_inflight_pop(struct vn_virtq *q, uint16_t head)
{
    struct region_split *r = (void *)q->inflight;

    STORE(r->desc[head].counter, (uint64_t)q->next_avail);
    STORE(r->desc[head].inflight, 1);
}

void vq_inflight_push(struct vn_virtq *q, uint16_t head)
{
    struct region_split *r = (void *)q->inflight;

    STORE(r->desc[head].next, LOAD(r->last_batch_head));
    STORE(r->last_batch_head, head);
}

void vq_inflight_before(struct vn_virtq *q)
{
    if (!q->packed)
        return;
    struct region_packed *r = (void *)q->inflight;
    STORE(r->used_idx, q->next_used);
    STORE(r->used_wrap, q->used_wrap);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

void vq_inflight_after(struct vn_virtq *q)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (q->packed) {
        struct region_packed *r = (void *)q->inflight;
        STORE(r->old_used_idx, q->next_used);
        STORE(r->old_used_wrap, q->used_wrap);
        return;
    }
    struct region_split *r = (void *)q->inflight;
    uint16_t head = LOAD(r->last_batch_head);
    for (uint16_t n = (uint16_t)(q->next_used - LOAD(r->used_idx)); n && n <= q->num; n--) {
        if (head >= q->num)
            break; /* tampered with: it is the front-end's loss */
        STORE(r->desc[head].inflight, 0);
        head = LOAD(r->desc[head].next);
    }
    STORE(r->used_idx, q->next_used);
}

static bool resume_packed(struct vn_virtq *q, struct region_packed *r)
{
    uint16_t pos = LOAD(r->old_used_idx), next = LOAD(r->used_idx);
    bool wrap = LOAD(r->old_used_wrap) & 1, next_wrap = LOAD(r->used_wrap) & 1;

    if (LOAD(r->version) != INFLIGHT_VERSION || LOAD(r->desc_num) != q->num || pos >= q->num ||
        next >= q->num) {
        STORE(r->features, 0);
        STORE(r->desc_num, q->num);
        STORE(r->version, INFLIGHT_VERSION);
        return false; /* the caller takes positions from elsewhere and notes them */
    }
    if (pos != next || wrap != next_wrap) {
        /* Died between the two notes: whether the guest saw the batch is in the ring itself. What
         * it saw it may have posted anew. */
        uint16_t f = vq_acquire16(q->desc + 16ull * pos + 14);
        if (!!(f & VQ_F_USED) == wrap || !!(f & VQ_F_AVAIL) != wrap) {
            pos = next;
            wrap = next_wrap;
        }
    }
    q->next_used = q->next_avail = pos;
    q->used_wrap = q->avail_wrap = wrap;
    return true;
}

bool vq_inflight_resume(struct vn_virtq *q)
{
    if (q->packed) {
        if (!resume_packed(q, (void *)q->inflight))
            return false;
        vq_inflight_before(q);
        vq_inflight_after(q);
        return true;
    }
    /* Split: the ring's own used index is what the guest has seen; the region follows it. */
    struct region_split *r = (void *)q->inflight;
    STORE(r->features, 0);
    STORE(r->desc_num, q->num);
    STORE(r->version, INFLIGHT_VERSION);
    q->next_used = vq_acquire16(q->used + 2);
    q->next_avail = q->avail_seen = q->next_used;
    STORE(r->used_idx, q->next_used);
    for (uint16_t i = 0; i < q->num; i++)
        STORE(r->desc[i].inflight, 0);
    return true;
}
