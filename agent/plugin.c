/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/plugin.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/conflist.h"
#include "loader/base/cleanup.h"

#define SECONDS 10
#define OUTPUT 1024

static int memory_file(const char *text, struct pw_err *err)
{
    pw_fd fd = memfd_create("cni", MFD_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
        lseek(fd, 0, SEEK_SET) != 0)
        return pw_err_errno(err, -errno, "hand over a configuration");
    return PW_TAKE_FD(fd);
}

/* Its end, waited for; killed when it takes too long. */
static int wait_for(pid_t pid)
{
    pw_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int status = 0;

    if (pidfd >= 0 && poll(&p, 1, SECONDS * 1000) == 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int spawn(const char *path, char *const env[], int in, int out, pid_t *pid)
{
    char *const argv[] = {(char *)(uintptr_t)path, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, out, 2);
    posix_spawnattr_init(&attr);
    /* Not with the signals that we block. */
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(pid, path, &files, &attr, argv, env);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return -rc;
}

static int run(const struct pw_agent_conf *conf, const json_t *plugin, const char *id,
               const char *ifname, struct pw_err *err)
{
    const char *type = json_string_value(json_object_get(plugin, "type"));
    const char *folder = conf->plugin_dir[0] ? conf->plugin_dir : "/opt/cni/bin";
    char path[512], var_id[300], var_if[64], var_path[300], output[OUTPUT] = "";
    char command[] = "CNI_COMMAND=DEL", netns[] = "CNI_NETNS=";
    char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *const env[] = {command, netns, search, var_id, var_if, var_path, NULL};
    pw_free char *text = json_dumps(plugin, JSON_COMPACT);
    pid_t pid;

    if (!text || !type)
        return pw_err_errno(err, -ENOMEM, "DEL");
    snprintf(path, sizeof(path), "%s/%.200s", folder, type);
    snprintf(var_id, sizeof(var_id), "CNI_CONTAINERID=%.256s", id);
    snprintf(var_if, sizeof(var_if), "CNI_IFNAME=%.32s", ifname);
    snprintf(var_path, sizeof(var_path), "CNI_PATH=%s", folder);
    pw_fd in = memory_file(text, err);
    pw_fd out = in < 0 ? -1 : memory_file("", err);
    if (out < 0)
        return -EIO;
    int rc = spawn(path, env, in, out, &pid);
    if (rc)
        return pw_err_errno(err, rc, "run %s", path);
    int status = wait_for(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (pread(out, output, sizeof(output) - 1, 0) < 0)
        output[0] = '\0';
    return pw_err_set(err, -EIO, "%s: DEL of %.64s %s: %.300s", path, id, ifname,
                      WIFSIGNALED(status) ? "killed" : output);
}

/* portmap takes away what has the container's id, but nothing at all where it is told of no port.
 * Which ones the pod had, its runtime knew. */
static void tell_of_ports(json_t *plugin)
{
    const json_t *capabilities = json_object_get(plugin, "capabilities");

    if (json_is_true(json_object_get(capabilities, "portMappings")))
        json_object_set_new(plugin, "runtimeConfig",
                            json_pack("{s:[{s:i, s:i, s:s}]}", "portMappings", "hostPort", 1,
                                      "containerPort", 1, "protocol", "tcp"));
}

int pw_plugin_del(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                  const char *container_id, const char *ifname, struct pw_err *err)
{
    pw_json *list = pw_conflist_make(conf, NULL, pods, n_pods);
    json_t *plugins = json_object_get(list, "plugins");
    int first = 0;

    for (size_t i = json_array_size(plugins); i-- > 0;) {
        json_t *plugin = json_array_get(plugins, i);
        json_object_set_new(plugin, "name", json_string(conf->node.network));
        json_object_set_new(plugin, "cniVersion", json_string("1.0.0"));
        tell_of_ports(plugin);
        int rc = run(conf, plugin, container_id, ifname, first ? NULL : err);
        if (rc && !first)
            first = rc;
    }
    return first;
}
