/* SPDX-License-Identifier: Apache-2.0 */
/* What ADD has done so far, to be undone in reverse when a later step fails. DEL never needs it. */
#ifndef PW_CNI_UNDO_H
#define PW_CNI_UNDO_H

#include <stddef.h>

/* Gives 0, or a negative value when something is left: what was pushed before it is kept then, so
 * that the state record stays for GC. */
typedef int (*pw_undo_fn)(void *arg);

#define PW_UNDO_MAX 8
struct pw_undo {
    struct {
        pw_undo_fn fn;
        void *arg;
    } steps[PW_UNDO_MAX];
    size_t n;
};
#define PW_UNDO_INIT {.n = 0}

void pw_undo_push(struct pw_undo *u, pw_undo_fn fn, void *arg);
void pw_undo_run(struct pw_undo *u);
/* All went well: forget the steps. */
void pw_undo_forget(struct pw_undo *u);

#endif
