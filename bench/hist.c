/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/hist.h"

unsigned nb_hist_slot(uint64_t ns)
{
    if (ns >= 1ULL << NB_HIST_TOP)
        return NB_HIST_SLOTS - 1;
    if (ns < 2ULL << NB_HIST_SUB)
        return (unsigned)ns;
    unsigned shift = 63U - (unsigned)__builtin_clzll(ns) - NB_HIST_SUB;
    return (shift << NB_HIST_SUB) + (unsigned)(ns >> shift);
}

uint64_t nb_hist_floor(unsigned slot)
{
    if (slot < 2U << NB_HIST_SUB)
        return slot;
    unsigned shift = (slot >> NB_HIST_SUB) - 1;
    return (uint64_t)(slot - (shift << NB_HIST_SUB)) << shift;
}

void nb_hist_add(struct nb_hist *h, uint64_t ns)
{
    if (h->n == 0 || ns < h->min)
        h->min = ns;
    if (h->n == 0 || ns > h->max)
        h->max = ns;
    h->n++;
    h->slot[nb_hist_slot(ns)]++;
}

void nb_hist_merge(struct nb_hist *into, const struct nb_hist *from)
{
    if (from->n == 0)
        return;
    if (into->n == 0 || from->min < into->min)
        into->min = from->min;
    if (into->n == 0 || from->max > into->max)
        into->max = from->max;
    into->n += from->n;
    for (unsigned i = 0; i < NB_HIST_SLOTS; i++)
        into->slot[i] += from->slot[i];
}

uint64_t nb_hist_quantile(const struct nb_hist *h, double q)
{
    if (h->n == 0)
        return 0;
    if (q <= 0)
        return h->min;
    if (q >= 1)
        return h->max;
    /* The number of values that must lie at or below the answer, rounded up. */
    uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
    if ((double)want < q * (double)h->n)
        want++;
    if (want == 0)
        want = 1;
    for (unsigned i = 0; i < NB_HIST_SLOTS; i++) {
        seen += h->slot[i];
        if (seen >= want) {
            uint64_t lo = nb_hist_floor(i);
            uint64_t hi = i + 1 < NB_HIST_SLOTS ? nb_hist_floor(i + 1) : lo + 1;
            uint64_t mid = lo + (hi - lo) / 2;
            /* Never outside what was really seen. */
            return mid < h->min ? h->min : mid > h->max ? h->max : mid;
        }
    }
    return h->max;
}
