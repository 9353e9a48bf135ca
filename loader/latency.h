/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the plugin's requests took, added up over all of them: a file in PW_RUN_DIR of counters
 * that each plugin process maps and adds to. No lock, no log that grows, and nobody needs to run to
 * collect it; a process that is killed has counted or not. About 20 us for each request.
 */
#ifndef PW_LOADER_LATENCY_H
#define PW_LOADER_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"

enum pw_latency_command { PW_LATENCY_ADD, PW_LATENCY_DEL, PW_LATENCY_COMMANDS };
const char *pw_latency_name(enum pw_latency_command command);

/* Upper bounds of the buckets in microseconds; the last bucket has none. */
#define PW_LATENCY_BOUNDS                                                                          \
    {500,   1000,  1500,   2000,   3000,   5000,    7500,   10000,                                 \
     20000, 50000, 100000, 200000, 500000, 1000000, 5000000}
#define PW_LATENCY_BUCKETS 16

struct pw_latency {
    struct pw_latency_row {
        uint64_t bucket[PW_LATENCY_BUCKETS]; /* not cumulated */
        uint64_t sum_us;
    } row[PW_LATENCY_COMMANDS][2]; /* failed, succeeded */
};

/* Count one request. Does nothing where there is no PW_RUN_DIR, or the file is not ours. */
void pw_latency_note(enum pw_latency_command command, bool succeeded, uint64_t us);
/* All zero, and -ENOENT, where nothing was counted. */
int pw_latency_read(struct pw_latency *out, struct pw_err *err);
/* Upper bound of a bucket in microseconds; UINT64_MAX for the last. */
uint64_t pw_latency_bound(unsigned bucket);
void pw_latency_remove(void);

#endif
