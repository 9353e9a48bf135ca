/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: shared mappings that a hostile process owns with us. Addresses are used only
 * through vn_mem_at() (whole range or nothing). A mapping whose file is truncated under us does
 * not kill the process: the region turns into empty memory and `poisoned` is set.
 */
#ifndef PW_VMM_MEM_H
#define PW_VMM_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "vmm-net/vmmnet.h"

/* A shared mapping that is safe to touch. Unmapped by vn_map_close. */
struct vn_map {
    void *base; /* page (or huge page) aligned start, NULL when there is none */
    size_t len;
    uint8_t *data; /* the asked-for offset */
    int guard;     /* its slot in the fault handler's table, -1: none */
};

#define VN_MAP_INIT {.guard = -1}

/*
 * Map `size` bytes at `offset` of `fd`, which must have them (and stays the caller's). When the
 * memory is lost later, *poisoned becomes true.
 */
int vn_map_open(struct vn_map *m, int fd, uint64_t offset, uint64_t size, atomic_bool *poisoned,
                struct pw_err *err);
void vn_map_close(struct vn_map *m);

struct vn_region {
    uint64_t gpa, uva, size;
    uint8_t *host;
    struct vn_map map; /* empty for memory that the embedding VMM mapped itself */
};

struct vn_mem {
    unsigned n;
    struct vn_region r[VMMNET_MAX_REGIONS];
    atomic_bool poisoned;
};

/* Install the SIGBUS handler, once per process. */
int vn_mem_init(struct pw_err *err);

/*
 * Add a region: from `fd` (mapped here; stays the caller's), or at `host` when fd is -1. Refused:
 * empty, wrapping round, overlapping another in guest or user addresses, larger than its file.
 */
int vn_mem_add(struct vn_mem *m, uint64_t gpa, uint64_t uva, uint64_t size, int fd, uint64_t offset,
               void *host, struct pw_err *err);
/* Remove the region with exactly these values. -ENOENT. */
int vn_mem_remove(struct vn_mem *m, uint64_t gpa, uint64_t uva, uint64_t size, struct pw_err *err);
void vn_mem_clear(struct vn_mem *m);
/* Move all regions of `from` into `to`, which is cleared first. */
void vn_mem_move(struct vn_mem *to, struct vn_mem *from);

/*
 * Where [gpa, gpa + len) is mapped, NULL unless all of it lies in one region. `hint` is the
 * caller's memory of the last hit.
 */
static inline void *vn_mem_at(const struct vn_mem *m, uint64_t gpa, uint64_t len, unsigned *hint)
{
    unsigned h = *hint;

    for (unsigned i = 0; i <= m->n; i++) {
        unsigned k = i ? i - 1 : h;
        if (k >= m->n)
            continue;
        const struct vn_region *r = &m->r[k];
        uint64_t off = gpa - r->gpa;
        if (off < r->size && len <= r->size - off) {
            *hint = k;
            return r->host + off;
        }
    }
    return NULL;
}

/* The same by the front-end's user address, for ring addresses; *gpa (may be NULL) gets the guest
 * address. */
void *vn_mem_at_user(const struct vn_mem *m, uint64_t uva, uint64_t len, uint64_t *gpa);

/* The dirty page log of a migration (4 KiB pages, one bit each). */
struct vn_log {
    struct vn_map map;
    uint64_t size; /* bytes; 0: not logging */
};

/* Mark the pages of [gpa, gpa + len), which have been written. Pages beyond the log are left out:
 * bounds come first. */
void vn_log_mark(struct vn_log *log, uint64_t gpa, uint64_t len);

#endif
