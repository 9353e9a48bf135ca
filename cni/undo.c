/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/undo.h"

#include <stdlib.h>

void pw_undo_push(struct pw_undo *u, pw_undo_fn fn, void *arg)
{
    if (u->n == PW_UNDO_MAX)
        abort(); /* a mistake in the program: the steps are fixed */
    u->steps[u->n].fn = fn;
    u->steps[u->n].arg = arg;
    u->n++;
}

void pw_undo_run(struct pw_undo *u)
{
    while (u->n && u->steps[u->n - 1].fn(u->steps[u->n - 1].arg) == 0)
        u->n--;
    u->n = 0;
}

void pw_undo_forget(struct pw_undo *u)
{
    u->n = 0;
}
