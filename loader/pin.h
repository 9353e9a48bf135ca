/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things are pinned, and the lock under which they change.
 *
 *   PW_PIN_DIR/maps-ABI/MAP           shared by all builds of one PW_ABI
 *   PW_PIN_DIR/progs/BUILD/PROGRAM    BUILD is pw_obj_build()
 *   PW_PIN_DIR/current -> progs/BUILD moved by rename: always names a complete folder
 *   PW_PIN_DIR/links/DEVICE:HOOK
 *
 * A folder under progs/ that `current` does not name is what a killed load left, and is removed by
 * the next. Names on bpffs have no '.': the kernel keeps these for itself.
 */
#ifndef PW_LOADER_PIN_H
#define PW_LOADER_PIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "loader/base/err.h"
#include "loader/datapath.h"

#define PW_PIN_STR_(x) #x
#define PW_PIN_STR(x) PW_PIN_STR_(x)
#define PW_PIN_MAPS PW_PIN_DIR "/maps-" PW_PIN_STR(PW_ABI)
#define PW_PIN_PROGS PW_PIN_DIR "/progs"
#define PW_PIN_LINKS PW_PIN_DIR "/links"
#define PW_PIN_CURRENT PW_PIN_DIR "/current"

#define PW_PIN_PATH 256
#define PW_BUILD_LEN 64

/* Which build is in use. `ino` tells one `current` from another that names the same build. */
struct pw_current {
    char build[PW_BUILD_LEN];
    ino_t ino;
};

/* -ENOENT when nothing is loaded; -EPROTO when `current` is nothing that we could have made. */
int pw_pin_current(struct pw_current *out, struct pw_err *err);
/* Make `current` name `build`, in one step. */
int pw_pin_set_current(const char *build, struct pw_err *err);

/* -ENOTSUP with the remedy when no bpffs is mounted where PW_PIN_DIR lies, -EROFS when it cannot be
 * written. */
int pw_pin_check_fs(struct pw_err *err);
/* Make PW_PIN_DIR and the folders in it. */
int pw_pin_make_dirs(struct pw_err *err);

/* Which PW_ABI a datapath that is there has: 0 when there is none, PW_ABI, or another one's
 * number (the first found). */
unsigned pw_pin_abi(void);
/* -EPROTO when it is another one's: the numbers in its maps mean something else. */
int pw_pin_check_abi(struct pw_err *err);

/* Called for each name in a folder of pins, in no order; a negative value ends the walk and is
 * returned. The entry may be removed meanwhile. A folder that is not there is empty. */
int pw_pin_each(const char *dir, int (*fn)(const char *name, void *arg, struct pw_err *err),
                void *arg, struct pw_err *err);
/* Remove a folder and the pins in it, or one pin; success when there is none. */
int pw_pin_remove(const char *path, struct pw_err *err);

/*
 * The lock, PW_RUN_DIR/lock: shared while one endpoint changes, exclusive while the datapath as a
 * whole does (load, upgrade, unload, node sync). Returns a descriptor that holds it until closed;
 * a killed process holds nothing.
 */
#define PW_LOCK_FILE PW_RUN_DIR "/lock"
enum pw_lock_kind { PW_LOCK_SHARED, PW_LOCK_EXCLUSIVE };
int pw_lock(enum pw_lock_kind kind, struct pw_err *err);

/* The same of the one agent of a node, for as long as it runs. -EBUSY: another has it. */
#define PW_AGENT_LOCK_FILE PW_RUN_DIR "/agent.lock"
int pw_lock_agent(struct pw_err *err);
/* Where the plugin asks it for the device of a pod (agent/lookup.h). */
#define PW_AGENT_SOCKET PW_RUN_DIR "/agent.sock"

#endif
