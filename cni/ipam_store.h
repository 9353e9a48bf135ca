/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses of a network are given out, and to whom. A folder of small files under a lock:
 *
 *   owners/ID:IFNAME   the truth: one line per address; appears and goes atomically
 *   used-BASE          bit map of 65,536 addresses from BASE on; made from the owners
 *   last-FIRST         the address last given out of the range that begins with FIRST
 *   lock               flock; its first byte is '1' while a change is under way
 *
 * Who takes the lock and finds '1' knows that a process was killed in a change, and makes the bit
 * maps anew from the owners. Nothing is synced: /run does not outlive the kernel.
 */
#ifndef PW_CNI_IPAM_STORE_H
#define PW_CNI_IPAM_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "cni/ipam_range.h"

struct pw_store {
    int dir;  /* the folder */
    int lock; /* held while open */
};
#define PW_STORE_INIT {-1, -1}

/* Open under the lock. With `create` the folder is made; without, -ENOENT where there is none. */
int pw_store_open(struct pw_store *s, const char *root, const char *network, bool create,
                  struct pw_err *err);
void pw_store_close(struct pw_store *s);

/* An address that is free, from..to, or *found false. */
int pw_store_find(struct pw_store *s, int family, pw_num from, pw_num to, pw_num *out, bool *found,
                  struct pw_err *err);
int pw_store_is_used(struct pw_store *s, const struct pw_addr *a, bool *used, struct pw_err *err);
/* Number of addresses given out from..to; stops counting at `enough`. */
int pw_store_count(struct pw_store *s, int family, pw_num from, pw_num to, size_t enough, size_t *n,
                   struct pw_err *err);

/* Give `n` addresses to an owner that has none. */
int pw_store_take(struct pw_store *s, const char *owner, const struct pw_addr *addrs, size_t n,
                  struct pw_err *err);
/* Release all that the owner has; success when it has nothing. */
int pw_store_release(struct pw_store *s, const char *owner, struct pw_err *err);
/* What the owner has; *n 0 when nothing. */
int pw_store_owned(struct pw_store *s, const char *owner, struct pw_addr *out, size_t max,
                   size_t *n, struct pw_err *err);
/* Release all of every owner that `keep` says no to. */
int pw_store_sweep(struct pw_store *s, bool (*keep)(const char *owner, void *arg), void *arg,
                   struct pw_err *err);

/* Where the search in a range goes on. Family 0 where nothing was given out yet. */
void pw_store_last(struct pw_store *s, const struct pw_addr *first, struct pw_addr *out);
int pw_store_set_last(struct pw_store *s, const struct pw_addr *first, const struct pw_addr *last,
                      struct pw_err *err);

/* Lines of addresses, as in an owner's file; what is none is passed over. Gives how many. */
size_t pw_store_parse(const char *text, size_t len, struct pw_addr *out, size_t max);

#endif
