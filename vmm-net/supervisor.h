/* SPDX-License-Identifier: Apache-2.0 */
/* A parent that only waits: starts the back-end again when it dies, with the same descriptors. */
#ifndef PW_VMM_SUPERVISOR_H
#define PW_VMM_SUPERVISOR_H

#include "loader/base/err.h"
#include "vmm-net/vmmnet.h"

/* Descriptors of whoever started us (--ready-fd, --lock-fd), -1: none. */
struct vn_starter {
    int ready_fd; /* told once that we serve, or what failed; then closed */
    int lock_fd;  /* a record lock on it says that we live; never with who serves a guest */
};

/*
 * Fork the back-end and stay. Returns 1 in each child (go on and serve), and in the parent when it
 * is all over: 0 after a child ended well or we were told to end (SIGTERM, SIGINT: the child is
 * ended too, by force after a second), negative when it could not be started. A child that dies is
 * replaced at once, one that keeps dying after longer and longer waits. The child dies with its
 * parent. `stats` (may be NULL) counts the deaths.
 */
int vn_supervise(struct vn_starter *starter, struct vmmnet_stats *stats, struct pw_err *err);

#endif
