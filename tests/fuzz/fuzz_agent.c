/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's configuration, from bytes to the list that follows from it. */
#include <stdlib.h>
#include <string.h>

#include "agent/conf.h"
#include "agent/conflist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void list(const struct pw_agent_conf *conf, const struct pw_agent_class *class)
{
    struct pw_addr pods[2];

    pw_addr_parse("10.244.1.0/24", &pods[0], NULL);
    pw_addr_parse("fd00:1::/64", &pods[1], NULL);
    pw_json *l = pw_conflist_make(conf, class, pods, 2);
    const json_t *e = json_array_get(json_object_get(l, "plugins"), 0);
    if (!pw_agent_device_known(json_string_value(json_object_get(e, "device"))) ||
        json_array_size(json_object_get(json_object_get(e, "ipam"), "ranges")) != 2)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_agent_conf conf;

    pw_agent_conf_init(&conf);
    int rc = pw_agent_conf_parse((const char *)data, size, &conf, &err);
    if (!rc)
        rc = pw_agent_conf_check(&conf, &err);
    if (rc && (rc != -EINVAL || !err.msg[0]))
        abort();
    if (!rc) {
        list(&conf, NULL);
        for (uint32_t i = 0; i < conf.n_classes; i++)
            list(&conf, &conf.classes[i]);
    }
    pw_agent_conf_free(&conf);
    return 0;
}
