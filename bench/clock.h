/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PW_BENCH_CLOCK_H
#define PW_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Monotonic time, ns. */
static inline uint64_t nb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

#endif
