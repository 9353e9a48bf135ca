/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PW_BASE_CLOCK_H
#define PW_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Time since some beginning, CLOCK_MONOTONIC, which is also what programs read. */
static inline uint64_t pw_clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* The same in ms, signed: what is left until a time may be negative. */
static inline long pw_clock_ms(void)
{
    return (long)(pw_clock_ns() / 1000000);
}

/* The same in seconds. */
static inline double pw_clock_s(void)
{
    return (double)pw_clock_ns() / 1e9;
}

#endif
