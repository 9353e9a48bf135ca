/* SPDX-License-Identifier: Apache-2.0 */
/* FNV-1a of 64 bits: tells contents apart, guards against nothing. */
#ifndef PW_BASE_HASH_H
#define PW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define PW_HASH_START 0xcbf29ce484222325U
#define PW_HASH_PRIME 0x100000001b3U

/* The hash of what `h` is the hash of and these bytes after it; the first follow PW_HASH_START. */
static inline uint64_t pw_hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * PW_HASH_PRIME;
    return h;
}

#endif
