/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/conflist.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/pin.h"

#define UNFINISHED ".podwire.new"
#define LIST_MAX (256 * 1024)

/* ---- what they say ---- */

static json_t *texts(const struct pw_addr *list, size_t n)
{
    char text[PW_ADDR_STRLEN];
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(a, json_string(pw_addr_text(&list[i], true, text)));
    return a;
}

static json_t *ipam(const struct pw_addr *pods, size_t n)
{
    char text[PW_ADDR_STRLEN];
    json_t *ranges = json_array(), *routes = json_array();
    bool has[2] = {false, false};

    for (size_t i = 0; i < n; i++) {
        bool v6 = pods[i].family == 6;
        pw_addr_text(&pods[i], true, text);
        json_array_append_new(ranges, json_pack("[{s:s}]", "subnet", text));
        if (!has[v6])
            json_array_append_new(routes, json_pack("{s:s}", "dst", v6 ? "::/0" : "0.0.0.0/0"));
        has[v6] = true;
    }
    return json_pack("{s:s, s:o, s:o}", "type", "podwire", "ranges", ranges, "routes", routes);
}

static json_t *uplinks(const struct pw_agent_conf *conf)
{
    json_t *a = json_array();

    for (size_t i = 0; i < PW_MAX_UPLINKS && conf->node.uplinks[i][0]; i++)
        json_array_append_new(a, json_string(conf->node.uplinks[i]));
    return a;
}

static json_t *entry(const struct pw_agent_conf *conf, const struct pw_agent_class *class,
                     const struct pw_addr *pods, size_t n_pods)
{
    const struct pw_node_conf *node = &conf->node;
    char mark[16];

    snprintf(mark, sizeof(mark), "0x%x", node->mark);
    json_t *e = json_pack(
        "{s:s, s:s, s:i, s:o, s:o, s:o, s:b, s:b, s:b, s:s, s:{s:b, s:b, s:b, s:b, s:b}, s:o}",
        "type", "podwire", "device", class ? class->device : conf->device, "mtu", (int)conf->mtu,
        "uplinks", uplinks(conf), "nativeRanges", texts(node->native, node->n_native),
        "serviceRanges", texts(node->services, node->n_services), "masquerade", node->masquerade,
        "conntrack", node->ask_conntrack, "forwardAccept", node->forward_accept, "mark", mark,
        "capabilities", "mac", true, "ips", true, "ipRanges", true, "bandwidth", true,
        "io.kubernetes.cri.pod-annotations", true, "ipam", ipam(pods, n_pods));
    if (!e)
        return NULL;
    /* A RuntimeClass says what its pods can use, so they have no other choice. */
    if (!class && conf->pod_devices)
        json_object_set(e, "podDevices", conf->pod_devices);
    if (!class && conf->namespaces)
        json_object_set(e, "namespaceDevices", conf->namespaces);
    if (!class && pw_agent_conf_looks_up(conf))
        json_object_set_new(e, "lookup", json_string(PW_AGENT_SOCKET));
    if (!class && conf->lookup_required)
        json_object_set_new(e, "lookupRequired", json_true());
    if (conf->plugin)
        json_object_update(e, conf->plugin);
    if (class && class->plugin)
        json_object_update(e, class->plugin);
    return e;
}

json_t *pw_conflist_make(const struct pw_agent_conf *conf, const struct pw_agent_class *class,
                         const struct pw_addr *pods, size_t n_pods)
{
    json_t *plugins = json_array(), *item;
    size_t i;

    json_array_append_new(plugins, entry(conf, class, pods, n_pods));
    if (conf->after) {
        json_array_foreach (conf->after, i, item)
            json_array_append(plugins, item);
    } else {
        json_array_append_new(plugins, json_pack("{s:s, s:{s:b}}", "type", "portmap",
                                                 "capabilities", "portMappings", true));
    }
    /* Old clients take the first key, newer ones the newest version that both know. */
    return json_pack("{s:s, s:[s,s,s], s:s, s:o}", "cniVersion", "0.4.0", "cniVersions", "0.4.0",
                     "1.0.0", "1.1.0", "name", conf->node.network, "plugins", plugins);
}

/* ---- when they are there ---- */

enum pw_conflist_action pw_conflist_decide(bool known, bool can, double now, double patience,
                                           double *since)
{
    if (can || !known) {
        *since = 0;
        return known ? PW_CONFLIST_WRITE : PW_CONFLIST_KEEP;
    }
    if (*since == 0)
        *since = now;
    return now - *since >= patience ? PW_CONFLIST_WITHDRAW : PW_CONFLIST_KEEP;
}

/* ---- files ---- */

static int open_folder(const char *path, bool create, struct pw_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && create && mkdir(path, 0755) == 0)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pw_err_errno(err, -errno, "folder %s", path) : fd;
}

static bool same(int dir, const char *name, const char *text, size_t len)
{
    pw_free char *have = malloc(len + 1);
    pw_fd fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    return have && fd >= 0 && read(fd, have, len + 1) == (ssize_t)len &&
           memcmp(have, text, len) == 0;
}

/* As those of a RuntimeClass without a folder, "" is none: success. */
static int write_one(const struct pw_agent_conf *conf, const char *folder, json_t *list,
                     size_t *changed, struct pw_err *err)
{
    if (!*folder)
        return 0;
    pw_free char *text = list ? json_dumps(list, JSON_INDENT(2)) : NULL;

    if (!text)
        return pw_err_errno(err, -ENOMEM, "CNI list");
    pw_fd dir = open_folder(folder, true, err);
    if (dir < 0)
        return dir;
    size_t len = strlen(text);
    if (same(dir, conf->cni_file, text, len))
        return 0;
    pw_fd fd = openat(dir, UNFINISHED, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    errno = fd < 0 ? errno : EIO;
    if (fd < 0 || write(fd, text, len) != (ssize_t)len ||
        renameat(dir, UNFINISHED, dir, conf->cni_file)) {
        int rc = -errno;
        unlinkat(dir, UNFINISHED, 0);
        return pw_err_errno(err, rc, "write %s/%s", folder, conf->cni_file);
    }
    ++*changed;
    return 0;
}

int pw_conflist_write(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                      size_t *changed, struct pw_err *err)
{
    int rc = 0;

    *changed = 0;
    /* That of most pods last: it is what makes the node ready. */
    for (uint32_t i = 0; i < conf->n_classes && !rc; i++) {
        pw_json *list = pw_conflist_make(conf, &conf->classes[i], pods, n_pods);
        rc = write_one(conf, conf->classes[i].directory, list, changed, err);
    }
    if (rc)
        return rc;
    pw_json *list = pw_conflist_make(conf, NULL, pods, n_pods);
    return write_one(conf, conf->cni_dir, list, changed, err);
}

static json_t *read_one(const struct pw_agent_conf *conf, const char *folder)
{
    pw_free char *text = malloc(LIST_MAX);
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", folder, conf->cni_file);
    ssize_t n = text ? pw_file_read(path, text, LIST_MAX, NULL) : -1;
    return n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
}

/* As it is there, since that is what its pods came by. */
static int close_one(const struct pw_agent_conf *conf, const struct pw_agent_class *class,
                     const struct pw_addr *pods, size_t n_pods, const char *why, size_t *changed,
                     struct pw_err *err)
{
    const char *folder = class ? class->directory : conf->cni_dir;
    if (!*folder)
        return 0;
    pw_json *list = read_one(conf, folder);
    json_t *plugin = json_array_get(json_object_get(list, "plugins"), 0);

    if (!json_is_object(plugin)) {
        if (!n_pods)
            return 0;
        json_decref(list);
        list = pw_conflist_make(conf, class, pods, n_pods);
        plugin = json_array_get(json_object_get(list, "plugins"), 0);
    }
    json_object_set_new(plugin, "closed", json_string(why));
    return write_one(conf, folder, list, changed, err);
}

int pw_conflist_close(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                      const char *why, size_t *changed, struct pw_err *err)
{
    *changed = 0;
    int rc = close_one(conf, NULL, pods, n_pods, why, changed, err);
    for (uint32_t i = 0; i < conf->n_classes && !rc; i++)
        rc = close_one(conf, &conf->classes[i], pods, n_pods, why, changed, err);
    return rc;
}

static int remove_one(const struct pw_agent_conf *conf, const char *folder, size_t *removed,
                      struct pw_err *err)
{
    if (!*folder)
        return 0;
    pw_fd dir = open_folder(folder, false, err);

    if (dir < 0)
        return dir == -ENOENT ? 0 : dir;
    unlinkat(dir, UNFINISHED, 0);
    if (unlinkat(dir, conf->cni_file, 0) == 0)
        ++*removed;
    else if (errno != ENOENT)
        return pw_err_errno(err, -errno, "remove %s/%s", folder, conf->cni_file);
    return 0;
}

int pw_conflist_remove(const struct pw_agent_conf *conf, size_t *removed, struct pw_err *err)
{
    *removed = 0;
    int rc = remove_one(conf, conf->cni_dir, removed, err);
    for (uint32_t i = 0; i < conf->n_classes && !rc; i++)
        rc = remove_one(conf, conf->classes[i].directory, removed, err);
    return rc;
}

bool pw_conflist_there(const struct pw_agent_conf *conf)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", conf->cni_dir, conf->cni_file);
    return access(path, F_OK) == 0;
}

int pw_conflist_plugins(const struct pw_agent_conf *conf, struct pw_err *err)
{
    char path[512];
    json_t *list, *item;
    size_t i;

    if (!conf->plugin_dir[0])
        return 0;
    pw_json *whole = list = pw_conflist_make(conf, NULL, NULL, 0);
    json_array_foreach (json_object_get(list, "plugins"), i, item) {
        const char *type = json_string_value(json_object_get(item, "type"));
        snprintf(path, sizeof(path), "%s/%.200s", conf->plugin_dir, type ? type : "");
        if (access(path, X_OK))
            return pw_err_set(err, -ENOENT,
                              "the CNI plugin %s is not there: install it, or leave it out of "
                              "'cni.after'",
                              path);
    }
    return whole ? 0 : pw_err_errno(err, -ENOMEM, "CNI list");
}
