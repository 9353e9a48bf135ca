/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

json_t *pw_cmd_version(enum pw_version version)
{
    json_t *o = json_object(), *list = json_array();

    for (int v = 0; v < PW_VERSIONS; v++)
        json_array_append_new(list, json_string(pw_version_names[v]));
    json_object_set_new(o, "cniVersion", json_string(pw_version_names[version]));
    json_object_set_new(o, "supportedVersions", list);
    return o;
}
