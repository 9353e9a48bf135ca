/* SPDX-License-Identifier: Apache-2.0 */
/* Function names of a kernel, from its /proc/kallsyms, and counts of instructions by function. */
#ifndef PW_BENCH_SYMBOLS_H
#define PW_BENCH_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

struct nb_symbol {
    uint64_t addr;
    char *name; /* owned by the table */
};

struct nb_symbols {
    struct nb_symbol *v; /* owned, by address */
    size_t n;
};

/* Read code symbols; lines that are none are skipped, a file without any is an error. */
int nb_symbols_load(const char *path, struct nb_symbols *out, struct pw_err *err);
void nb_symbols_free(struct nb_symbols *s);
/* Name of the function that holds an address: "[user space]" below the kernel, "[unknown]" where
 * no symbol lies before it. Compilers' suffixes (".isra.0") and tags of BPF programs are cut. */
const char *nb_symbols_name(const struct nb_symbols *s, uint64_t addr);

/* Instructions of one window, by function. */
struct nb_func {
    const char *name; /* borrowed from the symbols */
    uint64_t insns;
};
struct nb_window_count {
    unsigned number;
    uint64_t total;
    struct nb_func *v; /* owned, by name */
    size_t n;
};
struct nb_windows {
    struct nb_window_count *v; /* owned */
    size_t n;
};

/* Read what the QEMU plugin wrote (bench/icount_plugin.c). */
int nb_windows_load(const char *path, const struct nb_symbols *s, struct nb_windows *out,
                    struct pw_err *err);
void nb_windows_free(struct nb_windows *w);
/* The window of that number, or NULL. */
const struct nb_window_count *nb_windows_find(const struct nb_windows *w, unsigned number);
/* Instructions of a function in a window. */
uint64_t nb_window_insns(const struct nb_window_count *w, const char *name);

#endif
