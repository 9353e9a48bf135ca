/* SPDX-License-Identifier: Apache-2.0 */
/* A batch of tap writes in one system call, where the kernel has io_uring. */
#ifndef PW_VMM_URING_H
#define PW_VMM_URING_H

#include "loader/base/err.h"
#include "vmm-net/pump.h"

/*
 * Make a ring that can do nothing but write, restricted by the kernel to it. -ENOSYS and -EPERM
 * where there is none: writev does it then.
 */
int vn_uring_new(unsigned entries, struct vn_uring **out, struct pw_err *err);
void vn_uring_free(struct vn_uring *u);
/* Write each frame that has an iov to `fd`, in order, without blocking; results in the frames.
 * Returns how many are done with: all, unless `fd` is full. */
unsigned vn_uring_write(struct vn_uring *u, int fd, struct pump_frame *f, unsigned n);

#endif
