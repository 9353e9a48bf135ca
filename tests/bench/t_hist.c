/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: host */
/* bench/hist.c: every value lands in a slot that is exact to 0.1 %, quantiles are those of the
 * values, merging is adding. */
#include "bench/hist.h"
#include "bench/stats.h"
#include "tests/lib/tap.h"

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void slots(void)
{
    bool order = true, inside = true;
    for (unsigned i = 1; i < NB_HIST_SLOTS; i++)
        order = order && nb_hist_floor(i) > nb_hist_floor(i - 1);
    ok(order, "slots ascend");
    for (unsigned i = 0; i < NB_HIST_SLOTS; i++)
        inside = inside && nb_hist_slot(nb_hist_floor(i)) == i &&
                 (i + 1 == NB_HIST_SLOTS || nb_hist_slot(nb_hist_floor(i + 1) - 1) == i);
    ok(inside, "a slot holds its first and its last value");
    bool fine = true;
    for (unsigned i = 2048; i + 1 < NB_HIST_SLOTS; i++) {
        double lo = (double)nb_hist_floor(i), hi = (double)nb_hist_floor(i + 1);
        fine = fine && (hi - lo) / lo <= 1.0 / 1024;
    }
    ok(fine, "no slot is wider than a thousandth of its value");
    is_int(nb_hist_slot(UINT64_MAX), NB_HIST_SLOTS - 1, "what is too large goes to the last slot");
}

static void quantiles(void)
{
    static struct nb_hist h, other;
    enum { N = 20000 };
    static uint64_t v[N];
    struct nb_rng rng = {7};
    is_int(nb_hist_quantile(&h, 0.5), 0, "an empty histogram");
    for (int i = 0; i < N; i++) {
        /* Spread over five decades, so that all scales are used. */
        v[i] = 100 + (nb_rng_next(&rng) >> (34 + nb_rng_below(&rng, 18)));
        nb_hist_add(i % 2 ? &h : &other, v[i]);
    }
    nb_hist_merge(&h, &other);
    qsort(v, N, sizeof(v[0]), by_value);
    is_int(h.n, N, "merging adds");
    is_int(nb_hist_quantile(&h, 0), (int64_t)v[0], "the minimum is exact");
    is_int(nb_hist_quantile(&h, 1), (int64_t)v[N - 1], "the maximum is exact");
    const double q[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        double want = (double)v[(size_t)(q[i] * N + 0.5) - 1],
               got = (double)nb_hist_quantile(&h, q[i]);
        ok(got > want * 0.999 && got < want * 1.001, "quantile %g: %.0f for %.0f", q[i], got, want);
    }
}

int main(void)
{
    slots();
    quantiles();
    return tap_done();
}
