/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON object read into a struct by a table of its keys. Strict: a key that the table does not
 * have, a value of the wrong type or out of its bounds is an error that names the key with its path
 * ("vxlan.port"). What is absent leaves the struct as it is. Pure.
 */
#ifndef PW_AGENT_KEYS_H
#define PW_AGENT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/json.h"
#include "loader/base/err.h"

struct pw_key;
/* Reads `v` into `to`; `path` is for messages. -EINVAL. */
typedef int (*pw_key_fn)(const struct pw_key *key, const char *path, json_t *v, void *to,
                         struct pw_err *err);

struct pw_key {
    const char *name;
    pw_key_fn read;
    size_t offset, size;      /* of the member of the struct */
    uint32_t min, max;        /* pw_key_u32 */
    const struct pw_key *sub; /* pw_key_object: the table of its keys, ended by an empty row */
};

int pw_keys_read(const struct pw_key *table, const char *path, json_t *object, void *to,
                 struct pw_err *err);

int pw_key_text(const struct pw_key *key, const char *path, json_t *v, void *to,
                struct pw_err *err); /* char[] */
int pw_key_bool(const struct pw_key *key, const char *path, json_t *v, void *to,
                struct pw_err *err); /* bool */
int pw_key_u32(const struct pw_key *key, const char *path, json_t *v, void *to,
               struct pw_err *err); /* uint32_t */
/* The same struct, by the table `sub`. */
int pw_key_object(const struct pw_key *key, const char *path, json_t *v, void *to,
                  struct pw_err *err);
/* json_t *: a new reference; of any object, or of any array. */
int pw_key_json_object(const struct pw_key *key, const char *path, json_t *v, void *to,
                       struct pw_err *err);
int pw_key_json_array(const struct pw_key *key, const char *path, json_t *v, void *to,
                      struct pw_err *err);

#endif
