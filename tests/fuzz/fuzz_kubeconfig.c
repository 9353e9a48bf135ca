/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig, from YAML to where the API is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_kube k = {0};

    if (pw_kubeconfig_parse((const char *)data, size, "/etc", &k, &err)) {
        if (!err.msg[0] || k.server)
            abort();
        return 0;
    }
    if (!k.server || (k.ca_file && k.ca_file[0] != '/'))
        abort();
    pw_kube_free(&k);
    return 0;
}
