/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/json.h"

#include <string.h>
#include <strings.h>

#include "loader/base/cleanup.h"

json_t *pw_json_get(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key), *item;
    const char *k;

    if (!v)
        json_object_foreach ((json_t *)object, k, item)
            if (!v && strcasecmp(k, key) == 0)
                v = item;
    return json_is_null(v) ? NULL : v;
}

static int wrong(const char *key, const char *want, struct pw_err *err)
{
    return pw_err_set(err, PW_CNI_CONF, "'%s' must be %s", key, want);
}

int pw_json_item_str(const json_t *item, const char *key, const char **out, struct pw_err *err)
{
    if (!json_is_string(item))
        return wrong(key, "a string", err);
    if (strlen(json_string_value(item)) != json_string_length(item))
        return wrong(key, "a string without NUL", err);
    *out = json_string_value(item);
    return 0;
}

int pw_json_str(const json_t *object, const char *key, const char **out, struct pw_err *err)
{
    const json_t *v = pw_json_get(object, key);
    return v ? pw_json_item_str(v, key, out, err) : 0;
}

int pw_json_bool(const json_t *object, const char *key, bool *out, struct pw_err *err)
{
    const json_t *v = pw_json_get(object, key);

    if (v && !json_is_boolean(v))
        return wrong(key, "true or false", err);
    if (v)
        *out = json_is_true(v);
    return 0;
}

int pw_json_u32(const json_t *object, const char *key, uint32_t max, uint32_t *out,
                struct pw_err *err)
{
    const json_t *v = pw_json_get(object, key);

    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
        return pw_err_set(err, PW_CNI_CONF, "'%s' must be a whole number of at most %u", key, max);
    *out = (uint32_t)json_integer_value(v);
    return 0;
}

int pw_json_u64(const json_t *object, const char *key, uint64_t *out, struct pw_err *err)
{
    const json_t *v = pw_json_get(object, key);

    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return wrong(key, "a whole number that is not negative", err);
    *out = (uint64_t)json_integer_value(v);
    return 0;
}

int pw_json_list(const json_t *object, const char *key, json_t **out, struct pw_err *err)
{
    json_t *v = pw_json_get(object, key);

    *out = json_is_array(v) ? v : NULL;
    return v && !*out ? wrong(key, "a list", err) : 0;
}

int pw_json_map(const json_t *object, const char *key, json_t **out, struct pw_err *err)
{
    json_t *v = pw_json_get(object, key);

    *out = json_is_object(v) ? v : NULL;
    return v && !*out ? wrong(key, "an object", err) : 0;
}

json_t *pw_json_text(const char *text)
{
    json_t *j = json_string(text);
    if (j)
        return j;
    pw_free char *copy = strdup(text);
    if (!copy)
        return NULL;
    for (char *p = copy; *p; p++)
        if (*p & 0x80)
            *p = '?';
    /* The analyzer overlooks the cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return json_string(copy);
}
