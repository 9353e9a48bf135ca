/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Latency histogram of fixed size with a bounded relative error (the HDR scheme): every power of
 * two is cut into 1024 equal slots, so a value is known to 0.1 %. Recording is one increment and
 * never allocates, so it does not disturb what it measures.
 */
#ifndef PW_BENCH_HIST_H
#define PW_BENCH_HIST_H

#include <stdint.h>

#define NB_HIST_SUB 10 /* log2 of the slots per power of two */
#define NB_HIST_TOP 36 /* values from 2^36 ns (68 s) on are counted as that */
#define NB_HIST_SLOTS ((NB_HIST_TOP - NB_HIST_SUB + 1) << NB_HIST_SUB)

/* Plain value without ownership; all zero is an empty histogram. */
struct nb_hist {
    uint64_t n;
    uint64_t min, max; /* exact, ns; meaningless while n is 0 */
    uint32_t slot[NB_HIST_SLOTS];
};

void nb_hist_add(struct nb_hist *h, uint64_t ns);
/* Add all of `from` to `into`. */
void nb_hist_merge(struct nb_hist *into, const struct nb_hist *from);
/* The smallest value that at least the share q (0..1) of the values does not exceed, in ns, to
 * 0.1 %; 0 when empty. */
uint64_t nb_hist_quantile(const struct nb_hist *h, double q);
/* Lower bound of a slot, ns. */
uint64_t nb_hist_floor(unsigned slot);
/* The slot that counts a value. */
unsigned nb_hist_slot(uint64_t ns);

#endif
