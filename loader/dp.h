/* SPDX-License-Identifier: Apache-2.0 */
/* The handle behind loader/datapath.h, for the files of this folder. */
#ifndef PW_LOADER_DP_H
#define PW_LOADER_DP_H

#include "loader/attach.h"
#include "loader/datapath.h"
#include "loader/maps.h"
#include "loader/pin.h"

struct pw_dp {
    struct pw_current cur; /* as found when the descriptors were opened */
    int map[PW_MAP_COUNT]; /* -1 until used */
};

/* Descriptor of a map, opened at first use; the handle keeps it. */
int pw_dp_map(struct pw_dp *dp, enum pw_map map, struct pw_err *err);
/* A program of the build in use; the caller owns the descriptor. */
int pw_dp_prog(struct pw_dp *dp, const char *name, struct pw_err *err);
/* Its id in the kernel; 0 when it cannot be opened. */
uint32_t pw_dp_prog_id(struct pw_dp *dp, const char *name);
/* With the lock held: whether what the handle has open is still what is in use; opens anew after an
 * upgrade, or an unload and a load. -ENOENT when the datapath was unloaded. */
int pw_dp_refresh(struct pw_dp *dp, struct pw_err *err);
/* Release a slot: what was counted for it is forgotten first. */
int pw_dp_slot_release(struct pw_dp *dp, uint32_t slot, struct pw_err *err);

#endif
