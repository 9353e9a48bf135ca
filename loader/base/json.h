/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound references to JSON values, as loader/base/cleanup.h has them for the rest. */
#ifndef PW_BASE_JSON_H
#define PW_BASE_JSON_H

#include <jansson.h>

#include "loader/base/cleanup.h"

static inline void pw_json_decrefp(json_t **j)
{
    json_decref(*j);
    *j = NULL;
}
#define pw_json pw_cleanup(pw_json_decrefp) json_t

#endif
