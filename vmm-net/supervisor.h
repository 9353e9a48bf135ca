/* SPDX-License-Identifier: Apache-2.0 */
/* A parent that only waits: starts the back-end again when it dies, with the same descriptors. */
#ifndef PW_VMM_SUPERVISOR_H
#define PW_VMM_SUPERVISOR_H

#include "loader/base/err.h"

/*
 * Fork the back-end and stay. Returns 1 in each child (go on and serve), and in the parent when it
 * is all over: 0 after a child ended well or we were told to end (SIGTERM, SIGINT: the child is
 * ended too), negative when it could not be started. A child that dies is replaced at once, one
 * that keeps dying after longer and longer waits. The child dies with its parent.
 */
int vn_supervise(struct pw_err *err);

#endif
