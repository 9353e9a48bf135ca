/* SPDX-License-Identifier: Apache-2.0 */
/* podwirectl: what its commands share. A command parses its arguments, asks the library, and prints
 * either text or one JSON document. */
#ifndef PW_CTL_H
#define PW_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "loader/base/cleanup.h"
#include "loader/dp.h"

/* Exit codes, documented in podwirectl(8). */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NOT_READY = 3 };

struct ctl {
    bool json;   /* --json */
    bool colour; /* standard output is a terminal that takes it */
};

struct ctl_cmd {
    const char *name, *args, *help;
    int (*run)(struct ctl *ctl, int argc, char **argv);
    const char *details; /* the rest of `podwirectl NAME --help` */
};
extern const struct ctl_cmd ctl_status, ctl_endpoints, ctl_drops, ctl_path, ctl_redirect, ctl_load,
    ctl_unload, ctl_upgrade, ctl_sweep, ctl_version, ctl_vm, ctl_peers;

/* "podwirectl: MESSAGE" on standard error; returns CTL_FAILED. With --json nothing else: standard
 * output stays empty. */
int ctl_fail(const struct pw_err *err);
/* Says what is wrong with the arguments; returns CTL_USAGE. */
__attribute__((format(printf, 2, 3))) int ctl_usage(const struct ctl_cmd *cmd, const char *fmt,
                                                    ...);
/* For getopt loops of commands whose only options are the common ones (--json, --help). Returns
 * -1 to go on with argv[optind], else the exit code. */
int ctl_options(struct ctl *ctl, const struct ctl_cmd *cmd, int argc, char **argv);
int ctl_help(const struct ctl_cmd *cmd);

/* Print and free a JSON document. Returns CTL_OK. */
int ctl_print_json(json_t *doc);

/* Open what is loaded; an error that says what to do when there is nothing. */
int ctl_open(struct pw_dp **dp, struct pw_err *err);
#define ctl_dp __attribute__((cleanup(pw_dp_closep))) struct pw_dp

enum ctl_paint { PAINT_PLAIN, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW };
/* Escape sequences, or "" without colour. */
const char *ctl_paint(const struct ctl *ctl, enum ctl_paint p);

/* The tunnel to other nodes, as programs know it; false, and all zero, when there is none. */
bool ctl_tunnel_read(struct pw_tunnel *out);
json_t *ctl_tunnel_json(const struct pw_tunnel *t);
/* The node to which the tunnel leads for `addr`; false where it does not. */
bool ctl_peer_of(struct pw_dp *dp, const struct pw_tunnel *t, const struct pw_addr *addr,
                 struct pw_addr *node);
/* An address of the outer header. */
struct pw_addr ctl_outer_addr(const struct pw_tunnel *t, const __be32 addr[4]);

/* ---- tables: columns as wide as their widest cell ---- */

#define CTL_COLUMNS 10
struct ctl_table {
    size_t columns, rows, cap;
    char **cell;             /* owned; rows * columns */
    bool right[CTL_COLUMNS]; /* numbers */
};
/* `titles`: "NAME" or ">NAME" for a column of numbers; NULL ends them. */
void ctl_table_init(struct ctl_table *t, const char *const *titles);
__attribute__((format(printf, 2, 3))) void ctl_table_add(struct ctl_table *t, const char *fmt, ...);
/* Print and free. */
void ctl_table_print(struct ctl_table *t, const struct ctl *ctl);

/* "1.2 MB", "17 kB", "311 B" */
const char *ctl_bytes(uint64_t n, char buf[24]);

#endif
