/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI error codes inside struct pw_err: beyond the range of errno, so that one error object travels
 * up and any layer can say which code the runtime shall see. (CNI 1.1.0, section 5, "Error".)
 */
#ifndef PW_CNI_CNIERR_H
#define PW_CNI_CNIERR_H

#include "loader/base/err.h"

#define PW_CNI_BASE 4096
#define PW_CNI_CODE(n) (-(PW_CNI_BASE + (n)))

enum pw_cni_code {
    PW_CNI_VERSION = PW_CNI_CODE(1),   /* incompatible version */
    PW_CNI_FIELD = PW_CNI_CODE(2),     /* unsupported field */
    PW_CNI_CONTAINER = PW_CNI_CODE(3), /* no such container: no clean-up needed */
    PW_CNI_ENV = PW_CNI_CODE(4),       /* invalid environment variable */
    PW_CNI_IO = PW_CNI_CODE(5),
    PW_CNI_DECODE = PW_CNI_CODE(6), /* not JSON */
    PW_CNI_CONF = PW_CNI_CODE(7),   /* invalid configuration */
    PW_CNI_NETNS = PW_CNI_CODE(8),  /* not a network namespace (libcni's number) */
    PW_CNI_AGAIN = PW_CNI_CODE(11),
    PW_CNI_UNAVAILABLE = PW_CNI_CODE(50),
    PW_CNI_LIMITED = PW_CNI_CODE(51),
    /* Ours. */
    PW_CNI_EXISTS = PW_CNI_CODE(100),    /* attached already, or the interface's name is taken */
    PW_CNI_EXHAUSTED = PW_CNI_CODE(101), /* no address is free */
    PW_CNI_TAKEN = PW_CNI_CODE(102),     /* the requested address is in use */
    PW_CNI_CHECK = PW_CNI_CODE(103),     /* CHECK: not as ADD left it */
    PW_CNI_INTERNAL = PW_CNI_CODE(999),  /* anything else (libcni's number) */
};

/* The number for the runtime: of a CNI code itself, of an errno the nearest. */
unsigned pw_cni_code_of(int code);

#endif
