/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON that others wrote: keys match without regard to case (runtimes spell them both
 * ways), null is as good as absent, a value of the wrong type is an error that names its key.
 */
#ifndef PW_CNI_JSON_H
#define PW_CNI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cni/cnierr.h"
#include "loader/base/json.h"

/* The value, or NULL where absent or null. Borrowed. An exact match goes before others. */
json_t *pw_json_get(const json_t *object, const char *key);

/* Typed reads: 0 and *out untouched where absent; PW_CNI_CONF for the wrong type or range. Strings
 * with a NUL inside are refused: they would be cut. */
int pw_json_str(const json_t *object, const char *key, const char **out, struct pw_err *err);
int pw_json_bool(const json_t *object, const char *key, bool *out, struct pw_err *err);
int pw_json_u32(const json_t *object, const char *key, uint32_t max, uint32_t *out,
                struct pw_err *err);
/* Not negative. */
int pw_json_u64(const json_t *object, const char *key, uint64_t *out, struct pw_err *err);
/* An array or object; *out NULL where absent or wrong. */
int pw_json_list(const json_t *object, const char *key, json_t **out, struct pw_err *err);
int pw_json_map(const json_t *object, const char *key, json_t **out, struct pw_err *err);
/* The element as a string; `key` only for the message. */
int pw_json_item_str(const json_t *item, const char *key, const char **out, struct pw_err *err);

/* A string made of bytes from anywhere: what is no UTF-8 becomes '?'. New reference, NULL without
 * memory. */
json_t *pw_json_text(const char *text);

#endif
