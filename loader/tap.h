/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent taps. A tap outlives whoever made it, until it is deleted or its network namespace
 * goes; a VMM, or a back-end for it, opens its queues by name. One that is not persistent yet goes
 * with its maker, so that being killed leaves nothing half made.
 */
#ifndef PW_LOADER_TAP_H
#define PW_LOADER_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"

#define PW_TAP_MAX_QUEUES 256 /* the kernel's */

struct pw_tap {
    char name[16];
    uint32_t ifindex;          /* 0: the kernel's choice */
    uint32_t queues;           /* up to 1: a tap with a single queue */
    bool has_owner, has_group; /* who may open it; without both only root */
    uint32_t owner, group;
};

/*
 * Make one in the calling thread's network namespace: layer 2, no packet information, with vnet
 * header, down. -EEXIST when the name or index is taken; -ENOENT, -ENODEV where the kernel has no
 * /dev/net/tun. *ifindex is the device's.
 */
int pw_tap_create(const struct pw_tap *tap, uint32_t *ifindex, struct pw_err *err);

#endif
