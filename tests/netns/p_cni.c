/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni: call the plugins of a list as a runtime does; prevResult is handed on, runtimeConfig given
 * to those that declare the capability. usage: cni add|del|check LIST ID NETNS IFNAME environment:
 * CNI_PATH, CNI_RUNTIME (JSON object, what the runtime offers), CNI_CACHE (folder where results are
 * kept from ADD to DEL) ADD prints the result; with CNI_VARS=1 instead "ip4=.. ip6=.. hostif=.."
 * (and cidr4, gw4, cidr6, gw6, mac of the pod's interface, mtu) for a shell to evaluate. Exit code:
 * 0, 1 when a plugin failed (its answer is printed), 2 wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noreturn)) static void die(const char *what, const char *which)
{
    fprintf(stderr, "cni: %s: %s\n", what, which);
    exit(2);
}

static const char *env(const char *name, const char *fallback)
{
    const char *v = getenv(name);
    return v && *v ? v : fallback;
}

static void find(char out[512], const char *type)
{
    char dirs[1024], *save = NULL, *d;

    snprintf(dirs, sizeof(dirs), "%s", env("CNI_PATH", "/opt/cni/bin"));
    for (d = strtok_r(dirs, ":", &save); d; d = strtok_r(NULL, ":", &save)) {
        snprintf(out, 512, "%s/%s", d, type);
        if (access(out, X_OK) == 0)
            return;
    }
    die("no such plugin in CNI_PATH", type);
}

static json_t *conf_of(json_t *list, json_t *plugin, json_t *prev)
{
    static const char *const from_list[] = {"cniVersion", "name"};
    json_t *conf = json_deep_copy(plugin), *runtime, *offered, *value;
    const char *key;
    json_error_t e;

    for (unsigned i = 0; i < 2; i++)
        json_object_set(conf, from_list[i], json_object_get(list, from_list[i]));
    if (prev)
        json_object_set(conf, "prevResult", prev);
    offered = json_loads(env("CNI_RUNTIME", "{}"), 0, &e);
    if (!offered)
        die("CNI_RUNTIME", e.text);
    runtime = json_object();
    json_object_foreach (json_object_get(plugin, "capabilities"), key, value) {
        if (json_is_true(value) && json_object_get(offered, key))
            json_object_set(runtime, key, json_object_get(offered, key));
    }
    if (json_object_size(runtime))
        json_object_set(conf, "runtimeConfig", runtime);
    return conf;
}

/* Run a plugin; its standard output in `out`. */
static int call(const char *command, json_t *conf, char *const args[3], char *out, size_t size)
{
    const char *type = json_string_value(json_object_get(conf, "type"));
    char path[512], *text = json_dumps(conf, JSON_COMPACT);
    int in[2], back[2], status = -1;
    size_t got = 0;
    ssize_t n;
    pid_t pid;

    if (!type)
        die("plugin without type", text);
    find(path, type);
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
        die("pipe", strerror(errno));
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(back[1], 1);
        close(in[1]);
        close(back[0]);
        setenv("CNI_COMMAND", command, 1);
        setenv("CNI_CONTAINERID", args[0], 1);
        setenv("CNI_NETNS", args[1], 1);
        setenv("CNI_IFNAME", args[2], 1);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(back[1]);
    if (write(in[1], text, strlen(text)) < 0)
        die("write", strerror(errno));
    close(in[1]);
    while (got + 1 < size && (n = read(back[0], out + got, size - got - 1)) > 0)
        got += (size_t)n;
    out[got] = '\0';
    close(back[0]);
    waitpid(pid, &status, 0);
    free(text);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static void print_vars(json_t *result, const char *ifname)
{
    json_t *item;
    size_t i;
    const char *first[2] = {NULL, NULL}, *gw[2] = {NULL, NULL}, *host = NULL, *mac = NULL;
    json_int_t mtu = 0;

    json_array_foreach (json_object_get(result, "ips"), i, item) {
        const char *a = json_string_value(json_object_get(item, "address"));
        bool v6 = a && strchr(a, ':');
        if (a && !first[v6]) {
            first[v6] = a;
            gw[v6] = json_string_value(json_object_get(item, "gateway"));
        }
    }
    json_array_foreach (json_object_get(result, "interfaces"), i, item) {
        const char *sandbox = json_string_value(json_object_get(item, "sandbox"));
        if (!host && (!sandbox || !*sandbox))
            host = json_string_value(json_object_get(item, "name"));
        if (sandbox && *sandbox &&
            strcmp(json_string_value(json_object_get(item, "name")), ifname) == 0) {
            mac = json_string_value(json_object_get(item, "mac"));
            mtu = json_integer_value(json_object_get(item, "mtu"));
        }
    }
    printf("ip4=%.*s ip6=%.*s hostif=%s\n", first[0] ? (int)strcspn(first[0], "/") : 0,
           first[0] ? first[0] : "", first[1] ? (int)strcspn(first[1], "/") : 0,
           first[1] ? first[1] : "", host ? host : "");
    for (int v6 = 0; v6 < 2; v6++)
        printf("cidr%d=%s gw%d=%s\n", v6 ? 6 : 4, first[v6] ? first[v6] : "", v6 ? 6 : 4,
               gw[v6] ? gw[v6] : "");
    printf("mac=%s mtu=%lld\n", mac ? mac : "", (long long)mtu);
}

int main(int argc, char **argv)
{
    static char out[1 << 16];
    char cache[512];
    json_t *list, *plugins, *prev = NULL, *conf;
    json_error_t e;
    bool add, del;
    int rc = 0;

    if (argc != 6)
        die("usage", "cni add|del|check LIST ID NETNS IFNAME");
    add = strcmp(argv[1], "add") == 0;
    del = strcmp(argv[1], "del") == 0;
    list = json_load_file(argv[2], 0, &e);
    plugins = list ? json_object_get(list, "plugins") : NULL;
    if (!json_is_array(plugins))
        die(argv[2], list ? "no plugins" : e.text);
    snprintf(cache, sizeof(cache), "%s/cni-%s-%s.json", env("CNI_CACHE", env("TMP", "/tmp")),
             argv[3], argv[5]);
    if (!add)
        prev = json_load_file(cache, 0, &e);
    for (size_t i = 0, n = json_array_size(plugins); i < n; i++) {
        conf = conf_of(list, json_array_get(plugins, del ? n - 1 - i : i), prev);
        if (call(add ? "ADD" : del ? "DEL" : "CHECK", conf, argv + 3, out, sizeof(out))) {
            printf("%s\n", out);
            rc = 1;
            if (add)
                return rc;
        }
        json_decref(conf);
        if (add && !(prev = json_loads(out, 0, &e)))
            die("result cannot be read", out);
    }
    if (add) {
        if (json_dump_file(prev, cache, JSON_COMPACT))
            die("cannot keep the result", cache);
        if (getenv("CNI_VARS"))
            print_vars(prev, argv[5]);
        else
            printf("%s\n", out);
    } else if (del && rc == 0) {
        unlink(cache);
    }
    return rc;
}
