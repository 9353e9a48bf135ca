/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: host */
/* bench/stats.c: medians, and intervals that cover the truth as often as they say. */
#include "bench/stats.h"

#include <math.h>

#include "tests/lib/tap.h"

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

/* Standard normal by the sum of twelve uniforms; good enough here. */
static double normal(struct nb_rng *r)
{
    double s = -6;
    for (int i = 0; i < 12; i++)
        s += (double)(nb_rng_next(r) >> 11) / 9007199254740992.0;
    return s;
}

static void order_statistics(void)
{
    const double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, one[] = {7};
    ok(near(nb_median(odd, 3), 3), "median of an odd number");
    ok(near(nb_median(even, 4), 2.5), "median of an even number");
    ok(near(odd[0], 5) && near(odd[1], 1), "the samples keep their order");
    ok(near(nb_median(one, 1), 7), "median of one");
    ok(near(nb_median(one, 0), 0), "median of nothing");
    ok(near(nb_quantile(even, 4, 0.25), 1.75), "quantiles interpolate");
    ok(near(nb_quantile(even, 4, 1), 4), "the last quantile is the maximum");
}

static void intervals(void)
{
    const double two[] = {1, 9};
    struct nb_est e = nb_bootstrap(two, 2, 1);
    ok(near(e.lo, 1) && near(e.hi, 9), "two samples: the interval is all there is");
    ok(nb_noise_hides(&e, 100), "and says nothing");

    double same[10];
    for (int i = 0; i < 10; i++)
        same[i] = 0.5;
    e = nb_bootstrap(same, 10, 1);
    ok(near(e.lo, 0.5) && near(e.hi, 0.5), "no spread, no width");
    ok(!nb_noise_hides(&e, 1.0) && nb_noise_hides(&e, 0.5), "told apart from 1, not from itself");

    double v[15];
    struct nb_rng rng = {3};
    for (int i = 0; i < 15; i++)
        v[i] = normal(&rng);
    struct nb_est a = nb_bootstrap(v, 15, 42), b = nb_bootstrap(v, 15, 42);
    ok(near(a.lo, b.lo) && near(a.hi, b.hi), "the same seed, the same interval");
    ok(a.lo <= a.median && a.median <= a.hi, "the median lies inside");

    /* Does a 95 % interval hold the true median (0) about 95 times in a hundred? */
    int held = 0;
    for (int k = 0; k < 400; k++) {
        for (int i = 0; i < 15; i++)
            v[i] = normal(&rng);
        e = nb_bootstrap(v, 15, (uint64_t)k);
        held += e.lo <= 0 && 0 <= e.hi;
    }
    ok(held >= 360 && held <= 396, "coverage of 400 intervals: %d", held);
}

static void apart(void)
{
    struct nb_est a = {1, 0.9, 1.1, 10}, b = {1.3, 1.2, 1.4, 10}, c = {1.15, 1.05, 1.25, 10};
    ok(nb_apart(&a, &b) && nb_apart(&b, &a), "disjoint intervals are apart");
    ok(!nb_apart(&a, &c) && !nb_apart(&c, &b), "overlapping ones are not");
    b.n = 2;
    ok(!nb_apart(&a, &b), "two samples prove nothing");
}

static void shuffles(void)
{
    unsigned v[10], seen = 0, first[10] = {0};
    struct nb_rng rng = {5};
    for (int k = 0; k < 1000; k++) {
        for (unsigned i = 0; i < 10; i++)
            v[i] = i;
        nb_shuffle(&rng, v, 10);
        first[v[0]]++;
    }
    for (unsigned i = 0; i < 10; i++)
        seen |= 1U << v[i];
    is_int(seen, 0x3ff, "a shuffle keeps every element");
    bool fair = true;
    for (unsigned i = 0; i < 10; i++)
        fair = fair && first[i] > 60 && first[i] < 140;
    ok(fair, "each is first about as often");
    bool below = true;
    for (int i = 0; i < 1000; i++)
        below = below && nb_rng_below(&rng, 3) < 3;
    ok(below, "numbers stay below their bound");
}

int main(void)
{
    order_statistics();
    intervals();
    apart();
    shuffles();
    return tap_done();
}
