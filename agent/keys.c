/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keys.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int wrong(struct pw_err *err, const char *path, const char *what)
{
    return pw_err_set(err, -EINVAL, "'%.100s' must be %s", path, what);
}

static void join(char out[128], const char *path, const char *name)
{
    snprintf(out, 128, "%.60s%s%.60s", path, *path ? "." : "", name);
}

int pw_keys_read(const struct pw_key *table, const char *path, json_t *object, void *to,
                 struct pw_err *err)
{
    char where[128];
    const char *name;
    json_t *v;

    if (!json_is_object(object))
        return wrong(err, *path ? path : "the configuration", "an object");
    json_object_foreach (object, name, v) {
        const struct pw_key *key = table;
        while (key->name && strcmp(key->name, name) != 0)
            key++;
        join(where, path, name);
        if (!key->name)
            return pw_err_set(err, -EINVAL, "unknown key '%.120s'", where);
        int rc = key->read(key, where, v, (char *)to + key->offset, err);
        if (rc)
            return rc;
    }
    return 0;
}

int pw_key_text(const struct pw_key *key, const char *path, json_t *v, void *to, struct pw_err *err)
{
    const char *s = json_string_value(v);

    if (!s || strlen(s) != json_string_length(v))
        return wrong(err, path, "a string");
    if (strlen(s) >= key->size)
        return pw_err_set(err, -EINVAL, "'%.100s' is longer than %zu bytes", path, key->size - 1);
    memcpy(to, s, strlen(s) + 1);
    return 0;
}

int pw_key_bool(const struct pw_key *key, const char *path, json_t *v, void *to, struct pw_err *err)
{
    (void)key;
    if (!json_is_boolean(v))
        return wrong(err, path, "true or false");
    *(bool *)to = json_is_true(v);
    return 0;
}

int pw_key_u32(const struct pw_key *key, const char *path, json_t *v, void *to, struct pw_err *err)
{
    json_int_t n = json_integer_value(v);

    if (!json_is_integer(v) || n < key->min || n > key->max)
        return pw_err_set(err, -EINVAL, "'%.100s' must be a number from %u to %u", path, key->min,
                          key->max);
    *(uint32_t *)to = (uint32_t)n;
    return 0;
}

int pw_key_object(const struct pw_key *key, const char *path, json_t *v, void *to,
                  struct pw_err *err)
{
    return pw_keys_read(key->sub, path, v, to, err);
}

static int keep(json_t *v, void *to)
{
    json_t **out = to;

    json_decref(*out);
    *out = json_incref(v);
    return 0;
}

int pw_key_json_object(const struct pw_key *key, const char *path, json_t *v, void *to,
                       struct pw_err *err)
{
    (void)key;
    return json_is_object(v) ? keep(v, to) : wrong(err, path, "an object");
}

int pw_key_json_array(const struct pw_key *key, const char *path, json_t *v, void *to,
                      struct pw_err *err)
{
    (void)key;
    return json_is_array(v) ? keep(v, to) : wrong(err, path, "an array");
}
