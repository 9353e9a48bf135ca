/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files: state under /run, knobs under /proc/sys and /sys. Nothing is synced to disk: after a
 * power loss a file need only be readable or be recognised as bad.
 */
#ifndef PW_BASE_FS_H
#define PW_BASE_FS_H

#include <stddef.h>
#include <sys/types.h>

#include "loader/base/err.h"

/* Read at most `size` bytes; returns how many, -EFBIG when the file has more, else negative errno.
 * Only regular files and the kernel's (sysctl, sysfs) are read, and a symbolic link is not
 * followed. No NUL is added. */
ssize_t pw_file_read(const char *path, void *buf, size_t size, struct pw_err *err);

/* As text: at most size-1 bytes, NUL-terminated, trailing newlines cut. Returns the length. */
ssize_t pw_file_read_text(const char *path, char *buf, size_t size, struct pw_err *err);

/* Replace a file in one step (a new file is renamed over it), so that a reader sees the old or the
 * new content whole, whoever is killed when. Mode 0600. */
int pw_file_replace(const char *path, const void *data, size_t n, struct pw_err *err);

/* Write a kernel knob. */
int pw_knob_write(const char *path, const char *value, struct pw_err *err);

/* Make a directory (mode 0700) unless it is there; its parents must exist. -ENOTDIR when something
 * else has the name. */
int pw_dir_ensure(const char *path, struct pw_err *err);

#endif
