/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object file that is embedded in this program: its build id, and loading it. Loading verifies
 * the programs in the kernel (tens of milliseconds), so it happens once per boot and version.
 */
#ifndef PW_LOADER_OBJ_H
#define PW_LOADER_OBJ_H

#include "loader/base/err.h"

/* "VERSION-CHECKSUM" of the embedded object, dots of the version as '_' (it names a folder on
 * bpffs). Computed at the first call. */
const char *pw_obj_build(void);

/*
 * Load the embedded object with the maps that are pinned already, pin the others, and pin the
 * programs as progs/BUILD. What is in use stays in use: the caller moves links and `current`.
 * The caller holds the lock exclusively. Errors carry the verifier's last words.
 */
int pw_obj_load(struct pw_err *err);

#endif
