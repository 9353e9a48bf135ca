/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: strict, so that a typing error never measures something else. */
#ifndef PW_BENCH_ARGS_H
#define PW_BENCH_ARGS_H

#include "bench/run.h"

enum nb_command {
    NB_CMD_RUN,
    NB_CMD_LIST,
    NB_CMD_REPORT,
    NB_CMD_COUNT,
    NB_CMD_GUEST,
    NB_CMD_HELP,
    NB_CMD_VERSION
};

struct nb_args {
    enum nb_command cmd;
    struct nb_plan plan;
    const char *json;   /* "-" is stdout; NULL: none */
    const char *report; /* NULL: none */
    const char *input;  /* report: the document */
    bool quiet;
    /* count */
    const char *kernel, *baseline;
    const char *from; /* a result counted before, instead of counting */
    bool update, functions;
    const char *kallsyms; /* guest: where to put the symbols while our programs are loaded */
    uint64_t requests;
    double limit; /* allowed rise, percent */
};

/* What holds where nothing is said. */
void nb_args_default(struct nb_args *a);
/* Text is borrowed from argv. -EINVAL with a sentence that says what to write instead. */
int nb_args_parse(int argc, char **argv, struct nb_args *out, struct pw_err *err);
const char *nb_args_help(void);

/* A whole number in decimal within lo..hi, nothing before or after it. */
int nb_parse_u64(const char *name, const char *text, uint64_t lo, uint64_t hi, uint64_t *out,
                 struct pw_err *err);
/* A duration in seconds, "1" or "0.25"; in ns. */
int nb_parse_seconds(const char *name, const char *text, double lo, double hi, uint64_t *out,
                     struct pw_err *err);

#endif
