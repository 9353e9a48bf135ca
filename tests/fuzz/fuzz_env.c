/* SPDX-License-Identifier: Apache-2.0 */
/* The environment: lines become variables. What is accepted is safe as a file's name. */
#include "cni/env.h"
#include "cni/plan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *vars[33] = {NULL}, *save = NULL, buf[PW_ENV_ARG_LEN], host[16];
    char *text = malloc(size + 1);
    struct pw_err err = PW_ERR_INIT;
    struct pw_env env;
    size_t n = 0;

    memcpy(text, data, size);
    text[size] = '\0';
    for (char *p = strtok_r(text, "\n", &save); p && n < 32; p = strtok_r(NULL, "\n", &save))
        vars[n++] = p;
    int rc = pw_env_read(vars, &env, &err);
    if (rc && (rc != PW_CNI_ENV || !err.msg[0]))
        abort();
    if (!rc) {
        pw_env_arg(&env, "K8S_POD_NAME", buf);
        pw_env_arg(&env, "IP", buf);
        if (env.command <= PW_CNI_CHECK_CMD) {
            if (strchr(env.container_id, '/') || strchr(env.ifname, '/') ||
                strchr(env.container_id, ':') || strlen(env.ifname) > 15)
                abort();
            pw_plan_host_if(env.container_id, env.ifname, host);
        }
    }
    free(text);
    return 0;
}
