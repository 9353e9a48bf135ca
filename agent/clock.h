/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PW_AGENT_CLOCK_H
#define PW_AGENT_CLOCK_H

#include <time.h>

/* Seconds, CLOCK_MONOTONIC. */
static inline double pw_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
