/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: a variable marked with one of these frees what it holds when it goes out
 * of scope; a value that escapes does so through PW_TAKE_FD or PW_TAKE_PTR, so that each function
 * can be checked for leaks by itself. File descriptors start at -1.
 */
#ifndef PW_BASE_CLEANUP_H
#define PW_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

#define pw_cleanup(fn) __attribute__((cleanup(fn)))

static inline void pw_closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void pw_freep(void *p)
{
    void **pp = p;
    free(*pp);
    *pp = NULL;
}

static inline void pw_fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
    *f = NULL;
}

static inline void pw_closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
    *d = NULL;
}

#define pw_fd pw_cleanup(pw_closep) int
#define pw_free pw_cleanup(pw_freep)
#define pw_file pw_cleanup(pw_fclosep) FILE
#define pw_dir pw_cleanup(pw_closedirp) DIR

#define PW_TAKE_FD(fd)                                                                             \
    ({                                                                                             \
        int pw_taken_ = (fd);                                                                      \
        (fd) = -1;                                                                                 \
        pw_taken_;                                                                                 \
    })

#define PW_TAKE_PTR(p)                                                                             \
    ({                                                                                             \
        __typeof__(p) pw_taken_ = (p);                                                             \
        (p) = NULL;                                                                                \
        pw_taken_;                                                                                 \
    })

#define PW_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
