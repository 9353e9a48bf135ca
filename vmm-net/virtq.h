/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of one virtqueue, split or packed (virtio 1.2, 2.7 and 2.8). The rings lie in
 * memory that the guest changes at will: every field is read once into a local copy, every bound
 * is checked on the copy, and a chain is never longer than the ring. What a driver must not write
 * stops the ring: the call returns VQ_BROKEN and `broken` says why.
 *
 * Buffers are used in the order they were made available, so that the position alone says what is
 * outstanding: a crash loses nothing and needs no list.
 */
#ifndef PW_VMM_VIRTQ_H
#define PW_VMM_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm-net/mem.h"

#define VQ_MAX_SEGS 1023 /* segments of one chain that one readv or writev takes, header apart */

enum vq_result { VQ_BROKEN = -1, VQ_NONE = 0, VQ_OK = 1 };

/* A chain popped from the ring. */
struct vq_chain {
    uint16_t id;    /* what to give back: head index, or the packed ring's buffer id */
    uint16_t slots; /* ring entries it takes: 1 on a split ring */
    uint16_t segs;  /* iovecs filled */
    bool too_big;   /* more segments than fit: none filled, use it up with length 0 */
    uint64_t len;   /* bytes in all segments */
};

struct vn_virtq {
    /* set by vq_start */
    const struct vn_mem *mem;
    struct vn_log *log;
    bool packed, event_idx, indirect;
    uint16_t num;
    uint8_t *desc, *avail, *used; /* packed: ring, driver event area, device event area */
    uint64_t desc_gpa;            /* for the dirty log: a packed ring is written in place */
    uint64_t used_log;            /* log address of `used`; meaningful when log_used */
    bool log_used;

    uint16_t next_avail, next_used;
    bool avail_wrap, used_wrap; /* packed */
    uint16_t avail_seen;        /* split: newest avail index read */
    uint16_t signalled;         /* next_used at the last look at the driver's event */
    bool signalled_valid;
    bool armed;

    /* packed: the batch's first descriptor, whose flags make the whole batch visible */
    bool batch_open;
    uint16_t batch_pos, batch_flags;
    uint16_t published; /* next_used that the guest can see */

    uint8_t *inflight; /* this ring's region of the inflight buffer, NULL when not tracked */
    unsigned hint;
    const char *broken;
};

/* Where ring parts lie and how they are used; sizes are checked by vq_start. */
struct vq_layout {
    bool packed, event_idx, indirect;
    uint16_t num;
    uint8_t *desc, *avail, *used;
    uint64_t desc_gpa, used_log;
    bool log_used;
};

/* Bytes of the three parts for `num` descriptors. */
void vq_sizes(bool packed, uint16_t num, uint64_t *desc, uint64_t *avail, uint64_t *used);
/* Set the layout; positions stay. */
void vq_layout(struct vn_virtq *q, const struct vn_mem *mem, struct vn_log *log,
               const struct vq_layout *l);
/*
 * Positions at the start. Split: the used index in the ring, since in-order use makes it the first
 * buffer that is not done, whatever `base` says. Packed: the low half of `base`, index | wrap << 15
 * (front-ends disagree about the high half, and a ring that stopped in order has nothing between
 * the two). An inflight region that has been used before goes before both.
 */
void vq_position(struct vn_virtq *q, uint32_t base);
/* The value VHOST_USER_GET_VRING_BASE reports. */
uint32_t vq_base(const struct vn_virtq *q);

/*
 * Pop one chain. `writable` says which direction it must have (all of it). iov and gpa get at most
 * `max` entries, zero-length descriptors left out.
 */
enum vq_result vq_pop(struct vn_virtq *q, bool writable, struct vq_chain *c, struct iovec *iov,
                      uint64_t *gpa, unsigned max);
/* Put back the newest `chains` popped, which take `slots` ring entries in all. */
void vq_unpop(struct vn_virtq *q, unsigned slots);
/* Give a chain back with `len` bytes written; the guest sees it after vq_publish. */
void vq_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len);
void vq_publish(struct vn_virtq *q);
/* Whether the driver wants an interrupt for what was published since the last call. */
bool vq_want_call(struct vn_virtq *q);
/* Ask for kicks. True: there is something already, do not sleep. */
bool vq_arm(struct vn_virtq *q);
/* Ask for no kicks while we poll. */
void vq_disarm(struct vn_virtq *q);
/* Whether the driver has made something available (a hint, no validation). */
bool vq_pending(const struct vn_virtq *q);

/* ---- between virtq.c, split.c, packed.c and inflight.c ---- */

/* Guest memory changes under us: each access is one load or store that no compiler repeats. */
static inline uint16_t vq_load16(const void *p)
{
    const uint16_t *v = p;
    return __atomic_load_n(v, __ATOMIC_RELAXED);
}
static inline uint16_t vq_acquire16(const void *p)
{
    const uint16_t *v = p;
    return __atomic_load_n(v, __ATOMIC_ACQUIRE);
}
static inline uint32_t vq_load32(const void *p)
{
    const uint32_t *v = p;
    return __atomic_load_n(v, __ATOMIC_RELAXED);
}
static inline void vq_store16(void *p, uint16_t x)
{
    uint16_t *v = p;
    __atomic_store_n(v, x, __ATOMIC_RELAXED);
}
static inline void vq_release16(void *p, uint16_t x)
{
    uint16_t *v = p;
    __atomic_store_n(v, x, __ATOMIC_RELEASE);
}
static inline void vq_store32(void *p, uint32_t x)
{
    uint32_t *v = p;
    __atomic_store_n(v, x, __ATOMIC_RELAXED);
}

struct vq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, other; /* next, or the packed ring's id */
};

#define VQ_F_NEXT 1u
#define VQ_F_WRITE 2u
#define VQ_F_INDIRECT 4u
#define VQ_F_AVAIL (1u << 7)
#define VQ_F_USED (1u << 15)

struct vq_sink {
    struct iovec *iov;
    uint64_t *gpa;
    unsigned max;
    bool writable;
};

enum vq_result vq_break(struct vn_virtq *q, const char *why);
/* Copy a 16-byte descriptor, read once; the two ring formats order its last fields differently. */
struct vq_desc vq_desc_read(const uint8_t *p, bool packed);
/* Check one data descriptor and add it to the chain. */
enum vq_result vq_add(struct vn_virtq *q, const struct vq_desc *d, const struct vq_sink *s,
                      struct vq_chain *c);
/* Walk an indirect table. `sequential`: entries in order (packed), else by their next field. */
enum vq_result vq_indirect(struct vn_virtq *q, const struct vq_desc *d, bool sequential,
                           const struct vq_sink *s, struct vq_chain *c);

enum vq_result split_pop(struct vn_virtq *q, const struct vq_sink *s, struct vq_chain *c);
void split_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len);
void split_publish(struct vn_virtq *q);
bool split_want_call(struct vn_virtq *q);
bool split_arm(struct vn_virtq *q);
void split_disarm(struct vn_virtq *q);
bool split_pending(const struct vn_virtq *q);
void split_position(struct vn_virtq *q);

enum vq_result packed_pop(struct vn_virtq *q, const struct vq_sink *s, struct vq_chain *c);
void packed_push(struct vn_virtq *q, const struct vq_chain *c, uint32_t len);
void packed_publish(struct vn_virtq *q);
bool packed_want_call(struct vn_virtq *q);
bool packed_arm(struct vn_virtq *q);
void packed_disarm(struct vn_virtq *q);
bool packed_pending(const struct vn_virtq *q);
void packed_position(struct vn_virtq *q, uint32_t base);

/* ---- inflight.c: the buffer of VHOST_USER_GET_INFLIGHT_FD, so that a restart knows its place ----
 */

/* Bytes of one ring's region. */
uint64_t vq_inflight_size(bool packed, uint16_t num);
/* Note a popped head, a pushed one, and the two sides of making a batch visible. */
void vq_inflight_pop(struct vn_virtq *q, uint16_t head);
void vq_inflight_push(struct vn_virtq *q, uint16_t head);
void vq_inflight_before(struct vn_virtq *q);
void vq_inflight_after(struct vn_virtq *q);
/* Take positions from a region that was in use; false: it is fresh, and is initialised. */
bool vq_inflight_resume(struct vn_virtq *q);

#endif
