/* SPDX-License-Identifier: Apache-2.0 */
/* Order statistics and bootstrap intervals over small samples. Pure; nothing here allocates
 * beyond the call. */
#ifndef PW_BENCH_STATS_H
#define PW_BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NB_MAX_ROUNDS 1000

/* Small repeatable generator (splitmix64): the same seed gives the same order of rounds and the
 * same interval, so a result can be computed again from its samples. */
struct nb_rng {
    uint64_t state;
};
uint64_t nb_rng_next(struct nb_rng *r);
/* Uniform in 0..n-1, without modulo bias; n > 0. */
uint32_t nb_rng_below(struct nb_rng *r, uint32_t n);
/* Fisher-Yates. */
void nb_shuffle(struct nb_rng *r, unsigned *v, size_t n);

/* An estimate with its 95 % interval. */
struct nb_est {
    double median, lo, hi;
    size_t n;
};

/* Median; the mean of the middle two when n is even, 0 when n is 0. `v` keeps its order. */
double nb_median(const double *v, size_t n);
/* Quantile by linear interpolation between order statistics (Hyndman and Fan's type 7). */
double nb_quantile(const double *v, size_t n, double q);
/* Median with a percentile-bootstrap interval. With fewer than 3 samples there is no honest
 * interval: lo and hi are the extremes. At most NB_MAX_ROUNDS samples are used. */
struct nb_est nb_bootstrap(const double *v, size_t n, uint64_t seed);
/* Whether the interval says nothing about a difference from `null` (it contains it). */
bool nb_noise_hides(const struct nb_est *e, double null);
/* Whether two intervals have no value in common. */
bool nb_apart(const struct nb_est *a, const struct nb_est *b);

#endif
