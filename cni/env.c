/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/env.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

/* Container ids become parts of file names, with the interface's name, a colon and ".json". */
#define ID_MAX 200

static const struct {
    const char *name;
    enum pw_cni_command command;
    bool attachment, netns;
} commands[] = {
    {"ADD", PW_CNI_ADD, true, true},         {"DEL", PW_CNI_DEL, true, false},
    {"CHECK", PW_CNI_CHECK_CMD, true, true}, {"STATUS", PW_CNI_STATUS, false, false},
    {"GC", PW_CNI_GC, false, false},         {"VERSION", PW_CNI_VERSION_CMD, false, false},
};

bool pw_env_valid_id(const char *id)
{
    size_t n = strlen(id);

    if (n == 0 || n > ID_MAX || !isalnum((unsigned char)id[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && !strchr("_.-", id[i]))
            return false;
    return true;
}

bool pw_env_valid_ifname(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '/' || name[i] == ':' || name[i] == '%' || !isgraph((unsigned char)name[i]))
            return false;
    return true;
}

static const char *get(char *const environ_[], const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; environ_ && environ_[i]; i++)
        if (strncmp(environ_[i], name, n) == 0 && environ_[i][n] == '=')
            return environ_[i] + n + 1;
    return "";
}

static bool valid_args(const char *args)
{
    while (*args) {
        size_t n = strcspn(args, ";");
        if (n && !memchr(args, '=', n))
            return false;
        args += n + (args[n] == ';');
    }
    return true;
}

static void add_name(char *list, size_t size, const char *name)
{
    size_t n = strlen(list);
    snprintf(list + n, size - n, "%s%s", n ? ", " : "", name);
}

int pw_env_read(char *const environ_[], struct pw_env *out, struct pw_err *err)
{
    const char *command = get(environ_, "CNI_COMMAND");
    struct pw_env env = {
        .container_id = get(environ_, "CNI_CONTAINERID"),
        .netns = get(environ_, "CNI_NETNS"),
        .ifname = get(environ_, "CNI_IFNAME"),
        .args = get(environ_, "CNI_ARGS"),
        .path = get(environ_, "CNI_PATH"),
    };
    char missing[128] = "";
    size_t c = 0;

    while (c < PW_ARRAY_SIZE(commands) && strcmp(commands[c].name, command) != 0)
        c++;
    if (!*command)
        return pw_err_set(err, PW_CNI_ENV, "CNI_COMMAND is not set");
    if (c == PW_ARRAY_SIZE(commands))
        return pw_err_set(err, PW_CNI_ENV, "unknown CNI_COMMAND '%.40s'", command);
    env.command = commands[c].command;
    if (env.command == PW_CNI_VERSION_CMD) {
        *out = env;
        return 0;
    }
    if (commands[c].attachment && !*env.container_id)
        add_name(missing, sizeof(missing), "CNI_CONTAINERID");
    if (commands[c].netns && !*env.netns)
        add_name(missing, sizeof(missing), "CNI_NETNS");
    if (commands[c].attachment && !*env.ifname)
        add_name(missing, sizeof(missing), "CNI_IFNAME");
    if (missing[0])
        return pw_err_set(err, PW_CNI_ENV, "%s needs %s", command, missing);
    if (commands[c].attachment && !pw_env_valid_id(env.container_id))
        return pw_err_set(err, PW_CNI_ENV, "invalid CNI_CONTAINERID '%.80s'", env.container_id);
    if (commands[c].attachment && !pw_env_valid_ifname(env.ifname))
        return pw_err_set(err, PW_CNI_ENV, "invalid CNI_IFNAME '%.40s'", env.ifname);
    if (commands[c].attachment && !valid_args(env.args))
        return pw_err_set(err, PW_CNI_ENV, "invalid CNI_ARGS '%.200s': not KEY=VALUE;...",
                          env.args);
    *out = env;
    return 0;
}

bool pw_env_arg(const struct pw_env *env, const char *key, char buf[PW_ENV_ARG_LEN])
{
    size_t k = strlen(key);

    for (const char *p = env->args; *p;) {
        size_t n = strcspn(p, ";");
        if (n > k + 1 && n - k - 1 < PW_ENV_ARG_LEN && strncmp(p, key, k) == 0 && p[k] == '=') {
            memcpy(buf, p + k + 1, n - k - 1);
            buf[n - k - 1] = '\0';
            return true;
        }
        p += n + (p[n] == ';');
    }
    return false;
}
