/* SPDX-License-Identifier: Apache-2.0 */
/* Run a program of the node, with nothing of ours: no environment, standard streams on /dev/null.
 */
#ifndef PW_BASE_RUN_H
#define PW_BASE_RUN_H

#include <stdbool.h>

/* Wait for it; true when it ended with exit code 0. `argv` ends with NULL; argv[0] is a path. */
bool pw_run_quiet(const char *const *argv);

#endif
