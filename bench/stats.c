/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/stats.h"

#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define RESAMPLES 4000

uint64_t nb_rng_next(struct nb_rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t nb_rng_below(struct nb_rng *r, uint32_t n)
{
    uint32_t limit = UINT32_MAX - UINT32_MAX % n, x;
    do
        x = (uint32_t)(nb_rng_next(r) >> 32);
    while (x >= limit);
    return x % n;
}

void nb_shuffle(struct nb_rng *r, unsigned *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = nb_rng_below(r, (uint32_t)i);
        unsigned t = v[i - 1];
        v[i - 1] = v[j];
        v[j] = t;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sorted_quantile(const double *v, size_t n, double q)
{
    if (n == 0)
        return 0;
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return v[n - 1];
    return v[i] + (at - (double)i) * (v[i + 1] - v[i]);
}

double nb_quantile(const double *v, size_t n, double q)
{
    double s[NB_MAX_ROUNDS];
    if (n > NB_MAX_ROUNDS)
        n = NB_MAX_ROUNDS;
    memcpy(s, v, n * sizeof(*v));
    qsort(s, n, sizeof(*s), by_value);
    return sorted_quantile(s, n, q);
}

double nb_median(const double *v, size_t n)
{
    return nb_quantile(v, n, 0.5);
}

struct nb_est nb_bootstrap(const double *v, size_t n, uint64_t seed)
{
    if (n > NB_MAX_ROUNDS)
        n = NB_MAX_ROUNDS;
    struct nb_est e = {.median = nb_median(v, n), .n = n};
    e.lo = nb_quantile(v, n, 0);
    e.hi = nb_quantile(v, n, 1);
    if (n < 3)
        return e;
    pw_free double *med = calloc(RESAMPLES, sizeof(*med));
    if (!med)
        return e; /* the extremes are the widest honest interval */
    struct nb_rng rng = {seed};
    double draw[NB_MAX_ROUNDS];
    for (size_t i = 0; i < RESAMPLES; i++) {
        for (size_t k = 0; k < n; k++)
            draw[k] = v[nb_rng_below(&rng, (uint32_t)n)];
        med[i] = nb_median(draw, n);
    }
    qsort(med, RESAMPLES, sizeof(*med), by_value);
    e.lo = sorted_quantile(med, RESAMPLES, 0.025);
    e.hi = sorted_quantile(med, RESAMPLES, 0.975);
    return e;
}

bool nb_noise_hides(const struct nb_est *e, double null)
{
    return e->n < 3 || (e->lo <= null && null <= e->hi);
}

bool nb_apart(const struct nb_est *a, const struct nb_est *b)
{
    return a->n >= 3 && b->n >= 3 && (a->hi < b->lo || b->hi < a->lo);
}
