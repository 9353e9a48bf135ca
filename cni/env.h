/* SPDX-License-Identifier: Apache-2.0 */
/* The request's parameters from the environment (CNI 1.1.0, section 2, "Parameters"). */
#ifndef PW_CNI_ENV_H
#define PW_CNI_ENV_H

#include <stdbool.h>

#include "cni/cnierr.h"

enum pw_cni_command {
    PW_CNI_ADD,
    PW_CNI_DEL,
    PW_CNI_CHECK_CMD,
    PW_CNI_STATUS,
    PW_CNI_GC,
    PW_CNI_VERSION_CMD,
};

/* All strings point into the environment, "" where not set. */
struct pw_env {
    enum pw_cni_command command;
    const char *container_id, *netns, *ifname, *args, *path;
    bool redirect_tap; /* called by the name of tc-redirect-tap; set by main */
};

#define PW_ENV_ARG_LEN 256

/* Read and check what the command needs; `environ_` as main has it. PW_CNI_ENV, and the message
 * names the variables. VERSION looks at nothing but CNI_COMMAND: podman sends "dummy" for the rest.
 */
int pw_env_read(char *const environ_[], struct pw_env *out, struct pw_err *err);

/* Value of a key of CNI_ARGS ("K=V;K=V"). False when absent or empty. PW_CNI_ENV is only found by
 * pw_env_read: pairs without '=' are refused there, unknown keys are not. */
bool pw_env_arg(const struct pw_env *env, const char *key, char buf[PW_ENV_ARG_LEN]);

/* Names as the spec and the kernel allow them. */
bool pw_env_valid_id(const char *id);
bool pw_env_valid_ifname(const char *name);

#endif
