/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/keys.h"
#include "agent/log.h"
#include "loader/kind.h"

bool pw_agent_device_known(const char *name)
{
    return strcmp(name, "auto") == 0 || pw_device_find(name) != 0;
}

static int check_device(const char *path, const json_t *v, struct pw_err *err)
{
    const char *name = json_string_value(v);

    if (name && pw_agent_device_known(name))
        return 0;
    return pw_err_set(err, -EINVAL, "'%.100s': '%.40s' is no device (podwire(8) lists them)", path,
                      name ? name : "?");
}

static int read_device(const struct pw_key *key, const char *path, json_t *v, void *to,
                       struct pw_err *err)
{
    int rc = pw_key_text(key, path, v, to, err);
    return rc ? rc : check_device(path, v, err);
}

static int read_devices(const struct pw_key *key, const char *path, json_t *v, void *to,
                        struct pw_err *err)
{
    json_t *item;
    size_t i;
    int rc = pw_key_json_array(key, path, v, to, err);

    json_array_foreach (v, i, item)
        if (!rc)
            rc = check_device(path, item, err);
    return rc;
}

static int read_namespaces(const struct pw_key *key, const char *path, json_t *v, void *to,
                           struct pw_err *err)
{
    const char *name;
    json_t *item;
    int rc = pw_key_json_object(key, path, v, to, err);

    json_object_foreach (v, name, item)
        if (!rc)
            rc = check_device(path, item, err);
    return rc;
}

static int read_routing(const struct pw_key *key, const char *path, json_t *v, void *to,
                        struct pw_err *err)
{
    static const char *const names[] = {
        [PW_ROUTING_AUTO] = "auto", [PW_ROUTING_NATIVE] = "native", [PW_ROUTING_VXLAN] = "vxlan"};
    const char *s = json_string_value(v);

    (void)key;
    for (size_t i = 0; s && i < PW_ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], s) == 0) {
            *(enum pw_routing *)to = (enum pw_routing)i;
            return 0;
        }
    }
    return pw_err_set(err, -EINVAL, "'%.100s' must be \"auto\", \"native\" or \"vxlan\"", path);
}

/* Ranges into `list`, at most PW_MAX_RANGES of a family. */
static int read_ranges(const char *path, json_t *v, struct pw_addr *list, size_t *n,
                       struct pw_err *err)
{
    json_t *item;
    size_t i, of[2] = {0, 0};

    if (!json_is_array(v))
        return pw_err_set(err, -EINVAL, "'%.100s' must be an array of ranges", path);
    *n = 0;
    json_array_foreach (v, i, item) {
        const char *s = json_string_value(item);
        struct pw_addr a;
        if (!s || !strchr(s, '/') || pw_addr_parse(s, &a, NULL))
            return pw_err_set(err, -EINVAL, "'%.100s': '%.60s' is no range such as 10.244.0.0/16",
                              path, s ? s : "?");
        if (of[a.family == 6]++ == PW_MAX_RANGES)
            return pw_err_set(err, -EINVAL, "'%.100s': more than %d ranges of a family", path,
                              PW_MAX_RANGES);
        list[(*n)++] = pw_addr_network(a);
    }
    return 0;
}

static int read_cluster_ranges(const struct pw_key *key, const char *path, json_t *v, void *to,
                               struct pw_err *err)
{
    struct pw_node_conf *node = to;
    (void)key;
    return read_ranges(path, v, node->native, &node->n_native, err);
}

static int read_service_ranges(const struct pw_key *key, const char *path, json_t *v, void *to,
                               struct pw_err *err)
{
    struct pw_node_conf *node = to;
    (void)key;
    return read_ranges(path, v, node->services, &node->n_services, err);
}

static int read_uplinks(const struct pw_key *key, const char *path, json_t *v, void *to,
                        struct pw_err *err)
{
    struct pw_node_conf *node = to;
    json_t *item;
    size_t i;

    (void)key;
    if (!json_is_array(v) || json_array_size(v) > PW_MAX_UPLINKS)
        return pw_err_set(err, -EINVAL, "'%.100s' must be an array of at most %d devices", path,
                          PW_MAX_UPLINKS);
    memset(node->uplinks, 0, sizeof(node->uplinks));
    json_array_foreach (v, i, item) {
        const char *s = json_string_value(item);
        if (!s || !*s || strlen(s) > 15 || strchr(s, '/'))
            return pw_err_set(err, -EINVAL, "'%.100s': '%.40s' is no interface name", path,
                              s ? s : "?");
        memcpy(node->uplinks[i], s, strlen(s) + 1);
    }
    return 0;
}

static int read_mark(const struct pw_key *key, const char *path, json_t *v, void *to,
                     struct pw_err *err)
{
    const char *s = json_string_value(v);
    unsigned long mark = 0;
    char *end = NULL;

    (void)key;
    errno = 0;
    if (json_is_integer(v) && json_integer_value(v) > 0)
        mark = (unsigned long)json_integer_value(v);
    else if (s && isdigit((unsigned char)s[0]))
        mark = strtoul(s, &end, 0);
    if (mark == 0 || mark > UINT32_MAX || errno || (end && *end) || (mark & PW_MARK_KUBE_PROXY))
        return pw_err_set(err, -EINVAL,
                          "'%.100s' must be a number of 32 bits such as \"0x1000\", not 0 and "
                          "without kube-proxy's bits 0x4000 and 0x8000",
                          path);
    *(uint32_t *)to = (uint32_t)mark;
    return 0;
}

/* A name as the CNI specification has it; it becomes a file's name. */
static int read_name(const struct pw_key *key, const char *path, json_t *v, void *to,
                     struct pw_err *err)
{
    const char *s = to;
    int rc = pw_key_text(key, path, v, to, err);

    if (rc)
        return rc;
    bool ok = isalnum((unsigned char)s[0]);
    for (; *s && ok; s++)
        ok = isalnum((unsigned char)*s) || strchr("_.-", *s);
    return ok ? 0
              : pw_err_set(err, -EINVAL,
                           "'%.100s' must begin with a letter or digit, and have but letters, "
                           "digits, '_', '.' and '-'",
                           path);
}

static int read_path(const struct pw_key *key, const char *path, json_t *v, void *to,
                     struct pw_err *err)
{
    int rc = pw_key_text(key, path, v, to, err);

    if (!rc && *(const char *)to != '/' && *(const char *)to != '\0')
        rc = pw_err_set(err, -EINVAL, "'%.100s' must be an absolute path", path);
    return rc;
}

static int read_level(const struct pw_key *key, const char *path, json_t *v, void *to,
                      struct pw_err *err)
{
    int rc = pw_key_text(key, path, v, to, err);

    if (!rc && pw_log_find(to) < 0)
        rc = pw_err_set(err, -EINVAL, "'%.100s' must be error, warn, info or debug", path);
    return rc;
}

/* Keys that the agent writes itself into podwire's entry of a list. */
static int read_plugin(const struct pw_key *key, const char *path, json_t *v, void *to,
                       struct pw_err *err)
{
    static const char *const ours[] = {
        "type", "name",          "cniVersion",   "device",     "podDevices",    "namespaceDevices",
        "mtu",  "uplinks",       "nativeRanges", "masquerade", "serviceRanges", "conntrack",
        "mark", "forwardAccept", "ipam",         "closed",     "lookup",        "lookupRequired"};
    int rc = pw_key_json_object(key, path, v, to, err);

    for (size_t i = 0; !rc && i < PW_ARRAY_SIZE(ours); i++)
        if (json_object_get(v, ours[i]))
            rc = pw_err_set(err, -EINVAL, "'%.100s.%s' is the agent's to write", path, ours[i]);
    return rc;
}

static int read_after(const struct pw_key *key, const char *path, json_t *v, void *to,
                      struct pw_err *err)
{
    json_t *item;
    size_t i;
    int rc = pw_key_json_array(key, path, v, to, err);

    json_array_foreach (v, i, item)
        if (!rc && !json_is_string(json_object_get(item, "type")))
            rc = pw_err_set(err, -EINVAL, "'%.100s': entry %zu has no 'type'", path, i);
    return rc;
}

#define C(member)                                                                                  \
    offsetof(struct pw_agent_class, member), sizeof(((struct pw_agent_class *)0)->member)
static const struct pw_key class_keys[] = {
    {"device", read_device, C(device), 0, 0, NULL},
    {"directory", read_path, C(directory), 0, 0, NULL},
    {"plugin", read_plugin, offsetof(struct pw_agent_class, plugin), 0, 0, 0, NULL},
    {0},
};

static int read_classes(const struct pw_key *key, const char *path, json_t *v, void *to,
                        struct pw_err *err)
{
    struct pw_agent_conf *conf = to;
    const char *name;
    char where[128];
    json_t *item;

    (void)key;
    if (!json_is_object(v) || json_object_size(v) > PW_AGENT_MAX_CLASSES)
        return pw_err_set(err, -EINVAL, "'%.100s' must be an object of at most %d classes", path,
                          PW_AGENT_MAX_CLASSES);
    json_object_foreach (v, name, item) {
        struct pw_agent_class *c = &conf->classes[conf->n_classes];
        snprintf(where, sizeof(where), "%.50s.%.60s", path, name);
        if (!*name || strlen(name) >= sizeof(c->name))
            return pw_err_set(err, -EINVAL, "'%.100s' is no name of a RuntimeClass", where);
        memcpy(c->name, name, strlen(name) + 1);
        conf->n_classes++;
        int rc = pw_keys_read(class_keys, where, item, c, err);
        if (!rc && !c->device[0])
            rc = pw_err_set(err, -EINVAL, "'%.100s' needs 'device'", where);
        if (!rc && c->plugin && !c->directory[0])
            rc = pw_err_set(err, -EINVAL,
                            "'%.100s': 'plugin' is for a list of its own, in 'directory'; without, "
                            "'cni.plugin' is for all",
                            where);
        if (rc)
            return rc;
    }
    return 0;
}

#define P(member) offsetof(struct pw_agent_conf, member), 0 /* a pointer */
#define F(member)                                                                                  \
    offsetof(struct pw_agent_conf, member), sizeof(((struct pw_agent_conf *)0)->member)
static const struct pw_key kubernetes_keys[] = {
    {"kubeconfig", read_path, F(kubeconfig), 0, 0, NULL},
    {"server", pw_key_text, F(server), 0, 0, NULL},
    {"tokenFile", read_path, F(token_file), 0, 0, NULL},
    {"caFile", read_path, F(ca_file), 0, 0, NULL},
    {"idleTimeout", pw_key_u32, F(idle_timeout), 1, 3600, NULL},
    {0},
};
static const struct pw_key vxlan_keys[] = {
    {"vni", pw_key_u32, F(vni), 1, (1U << 24) - 1, NULL},
    {"port", pw_key_u32, F(port), 1, 65535, NULL},
    {0},
};
static const struct pw_key cni_keys[] = {
    {"network", read_name, F(node.network), 0, 0, NULL},
    {"directory", read_path, F(cni_dir), 0, 0, NULL},
    {"file", read_name, F(cni_file), 0, 0, NULL},
    {"pluginDirectory", read_path, F(plugin_dir), 0, 0, NULL},
    {"plugin", read_plugin, P(plugin), 0, 0, NULL},
    {"after", read_after, P(after), 0, 0, NULL},
    {"removeAfter", pw_key_u32, F(remove_after), 0, 86400, NULL},
    {0},
};
static const struct pw_key keys[] = {
    {"nodeName", pw_key_text, F(node_name), 0, 0, NULL},
    {"listen", pw_key_text, F(listen), 0, 0, NULL},
    {"logLevel", read_level, F(log_level), 0, 0, NULL},
    {"kubernetes", pw_key_object, 0, 0, 0, 0, kubernetes_keys},
    {"clusterRanges", read_cluster_ranges, F(node), 0, 0, NULL},
    {"serviceRanges", read_service_ranges, F(node), 0, 0, NULL},
    {"routing", read_routing, F(routing), 0, 0, NULL},
    {"vxlan", pw_key_object, 0, 0, 0, 0, vxlan_keys},
    {"uplinks", read_uplinks, F(node), 0, 0, NULL},
    {"masquerade", pw_key_bool, F(node.masquerade), 0, 0, NULL},
    {"conntrack", pw_key_bool, F(node.ask_conntrack), 0, 0, NULL},
    {"forwardAccept", pw_key_bool, F(node.forward_accept), 0, 0, NULL},
    {"mark", read_mark, F(node.mark), 0, 0, NULL},
    {"mtu", pw_key_u32, F(mtu), 0, 65535, NULL},
    {"device", read_device, F(device), 0, 0, NULL},
    {"podDevices", read_devices, P(pod_devices), 0, 0, NULL},
    {"namespaces", read_namespaces, P(namespaces), 0, 0, NULL},
    {"runtimeClasses", read_classes, 0, 0, 0, 0, NULL},
    {"lookupRequired", pw_key_bool, F(lookup_required), 0, 0, NULL},
    {"cni", pw_key_object, 0, 0, 0, 0, cni_keys},
    {"upgrade", pw_key_bool, F(upgrade), 0, 0, NULL},
    {0},
};

void pw_agent_conf_init(struct pw_agent_conf *conf)
{
    struct pw_peers_conf peers;

    *conf = (struct pw_agent_conf){.listen = "127.0.0.1:9470",
                                   .log_level = "info",
                                   .idle_timeout = 150,
                                   .device = "auto",
                                   .cni_dir = "/etc/cni/net.d",
                                   .cni_file = "10-podwire.conflist",
                                   .plugin_dir = "/opt/cni/bin",
                                   .remove_after = 60,
                                   .upgrade = true};
    pw_peers_conf_default(&peers);
    conf->routing = peers.routing;
    conf->vni = peers.vni;
    conf->port = peers.port;
    pw_node_conf_default(&conf->node);
    snprintf(conf->node.network, sizeof(conf->node.network), "podwire");
}

int pw_agent_conf_parse(const char *text, size_t len, struct pw_agent_conf *conf,
                        struct pw_err *err)
{
    json_error_t jerr;
    pw_json *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);

    if (!root)
        return pw_err_set(err, -EINVAL, "%s at line %d column %d", jerr.text, jerr.line,
                          jerr.column);
    return pw_keys_read(keys, "", root, conf, err);
}

/* Of two classes with one folder both lists would be one file. */
static bool contradict(const struct pw_agent_class *a, const struct pw_agent_class *b)
{
    return a->directory[0] && strcmp(a->directory, b->directory) == 0 &&
           (strcmp(a->device, b->device) != 0 ||
            (a->plugin != b->plugin && !json_equal(a->plugin, b->plugin)));
}

int pw_agent_conf_check(const struct pw_agent_conf *conf, struct pw_err *err)
{
    if (!conf->node_name[0])
        return pw_err_set(err, -EINVAL,
                          "no name of this node: set 'nodeName', --node-name or NODE_NAME (in a "
                          "pod, from the field spec.nodeName)");
    if (conf->node.n_native == 0)
        return pw_err_set(err, -EINVAL,
                          "'clusterRanges' is missing: the ranges of all pods of the cluster, as "
                          "kube-controller-manager has them in --cluster-cidr");
    size_t n = strlen(conf->cni_file);
    if (n < 10 || strcmp(conf->cni_file + n - 9, ".conflist") != 0)
        return pw_err_set(err, -EINVAL, "'cni.file' must end in .conflist");
    for (uint32_t i = 0; i < conf->n_classes; i++) {
        if (strcmp(conf->classes[i].directory, conf->cni_dir) == 0)
            return pw_err_set(err, -EINVAL,
                              "'runtimeClasses.%.60s.directory' is that of all other pods too",
                              conf->classes[i].name);
        for (uint32_t j = 0; j < i; j++)
            if (contradict(&conf->classes[i], &conf->classes[j]))
                return pw_err_set(err, -EINVAL,
                                  "'runtimeClasses': %.60s and %.60s have one 'directory', but not "
                                  "the same 'device' and 'plugin'",
                                  conf->classes[j].name, conf->classes[i].name);
    }
    if (conf->lookup_required && !pw_agent_conf_looks_up(conf))
        return pw_err_set(err, -EINVAL,
                          "'lookupRequired': nothing is looked up: no class of 'runtimeClasses' is "
                          "without 'directory'");
    return 0;
}

bool pw_agent_conf_looks_up(const struct pw_agent_conf *conf)
{
    bool any = false;

    for (uint32_t i = 0; i < conf->n_classes; i++)
        any |= !conf->classes[i].directory[0];
    return any;
}

void pw_agent_conf_free(struct pw_agent_conf *conf)
{
    json_decref(conf->pod_devices);
    json_decref(conf->namespaces);
    json_decref(conf->plugin);
    json_decref(conf->after);
    for (uint32_t i = 0; i < conf->n_classes; i++)
        json_decref(conf->classes[i].plugin);
    memset(conf, 0, sizeof(*conf));
}
