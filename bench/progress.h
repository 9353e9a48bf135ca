/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr: how far, what now, how long still. Silent where that is no terminal, but for
 * a guest, whose host shows the line: it is told the steps. */
#ifndef PW_BENCH_PROGRESS_H
#define PW_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define NB_STEPS_ENV "NETBENCH_STEPS" /* set: tell the steps on a descriptor of that number */
#define NB_STEPS_FD 3
#define NB_STEP "@step "

struct nb_progress {
    bool on, told;
    uint64_t start;
    unsigned total;
};

void nb_progress_start(struct nb_progress *p, bool wanted, unsigned total);
__attribute__((format(printf, 3, 4))) void nb_progress_step(struct nb_progress *p, unsigned done,
                                                            const char *fmt, ...);
void nb_progress_end(struct nb_progress *p);
/* Show the last step that a guest has told in `text`; to be watched (nb_out). */
void nb_progress_follow(void *progress, const char *text);

#endif
