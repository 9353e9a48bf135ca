/* SPDX-License-Identifier: Apache-2.0 */
/* What is left in PW_RUN_DIR when the datapath is unloaded. */
#ifndef PW_LOADER_RUNFILES_H
#define PW_LOADER_RUNFILES_H

/* Remove the node's files, and the folders of records and addresses in which nothing is recorded
 * any more: those of pods that still exist, or whose runtime still has to call DEL or GC, stay.
 * Call it with the exclusive lock. */
void pw_run_clean(void);

#endif
