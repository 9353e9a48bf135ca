/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error object. A function that can fail takes a `struct pw_err *` as its last argument and
 * returns 0 or a negative errno; on failure the message names the operation and the object
 * ("attach from_pod to pw-1a2b: link create: Device or resource busy"). Each layer wraps at most
 * once. Libraries never print: only a program's main shows the message.
 */
#ifndef PW_BASE_ERR_H
#define PW_BASE_ERR_H

#include <errno.h>

#define PW_ERR_LEN 1024

struct pw_err {
    int code;             /* negative errno of the first failure, 0 when none */
    char msg[PW_ERR_LEN]; /* whole sentence, no newline; cut, never overrun */
};

#define PW_ERR_INIT {0, ""}

/* Set code and message. `code` is a negative errno; returns it. `err` may be NULL. */
__attribute__((format(printf, 3, 4))) int pw_err_set(struct pw_err *err, int code, const char *fmt,
                                                     ...);

/* As pw_err_set, and appends ": " and the text of the errno. */
__attribute__((format(printf, 3, 4))) int pw_err_errno(struct pw_err *err, int code,
                                                       const char *fmt, ...);

/* Put a prefix and ": " before the message that is there; returns err->code (-EIO if none). */
__attribute__((format(printf, 2, 3))) int pw_err_wrap(struct pw_err *err, const char *fmt, ...);

#endif
