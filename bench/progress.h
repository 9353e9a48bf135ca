/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr: how far, what now, how long still. Silent where that is no terminal. */
#ifndef PW_BENCH_PROGRESS_H
#define PW_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct nb_progress {
    bool on;
    uint64_t start;
    unsigned total;
};

void nb_progress_start(struct nb_progress *p, bool wanted, unsigned total);
__attribute__((format(printf, 3, 4))) void nb_progress_step(struct nb_progress *p, unsigned done,
                                                            const char *fmt, ...);
void nb_progress_end(struct nb_progress *p);

#endif
