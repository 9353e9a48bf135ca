/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/conf.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "cni/conf_int.h"
#include "cni/ipam_range.h"
#include "cni/lookup.h"
#include "loader/base/cleanup.h"
#include "loader/kind.h"

#define IPAM_TIMEOUT 60
#define MTU_MIN 68
#define MTU_MAX 65535

const char *const pw_version_names[PW_VERSIONS] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

static const char auto_name[] = "auto";

const char *pw_choice_name(enum pw_choice c)
{
    return c == PW_CHOICE_AUTO ? auto_name : pw_device_name(c);
}

int pw_choice_find(const char *name)
{
    unsigned device = pw_device_find(name);

    if (strcmp(name, auto_name) == 0)
        return PW_CHOICE_AUTO;
    return device ? (int)device : -1;
}

/* "Must start with an alphanumeric character, optionally followed by any combination of one or
 * more alphanumeric characters, underscore, dot or hyphen" (section 1); it names a folder of ours.
 */
static bool valid_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n >= sizeof(((struct pw_node_conf *)0)->network) ||
        !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return true;
}

static int read_version(struct pw_netconf *c, enum pw_cni_command command, struct pw_err *err)
{
    static const enum pw_version oldest[] = {
        [PW_CNI_CHECK_CMD] = PW_V040, [PW_CNI_STATUS] = PW_V110, [PW_CNI_GC] = PW_V110};
    const char *text = "0.1.0"; /* what a configuration without the key means */

    if (pw_json_str(c->root, "cniVersion", &text, err))
        return pw_err_set(err, PW_CNI_DECODE, "'cniVersion' must be a string");
    for (int v = 0; v < PW_VERSIONS; v++) {
        if (strcmp(text, pw_version_names[v]) != 0)
            continue;
        c->version = (enum pw_version)v;
        if (command < PW_ARRAY_SIZE(oldest) && c->version < oldest[command])
            return pw_err_set(err, PW_CNI_VERSION, "cniVersion %s does not have this command",
                              text);
        return 0;
    }
    return pw_err_set(err, PW_CNI_VERSION,
                      "cniVersion '%.20s' is not supported (0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0 are)",
                      text);
}

static int read_devices(struct pw_netconf *c, struct pw_err *err)
{
    const char *device = auto_name;
    json_t *list, *item;
    size_t i;
    int rc = pw_json_str(c->root, "device", &device, err);

    if (rc)
        return rc;
    int choice = pw_choice_find(device);
    if (choice < 0)
        return pw_err_set(err, PW_CNI_CONF, "'device' is '%.40s', not one of " PW_CHOICE_NAMES,
                          device);
    c->device = (enum pw_choice)choice;
    rc = pw_json_list(c->root, "podDevices", &list, err);
    if (rc)
        return rc;
    json_array_foreach (list, i, item) {
        const char *name;
        rc = pw_json_item_str(item, "podDevices", &name, err);
        if (rc)
            return rc;
        choice = pw_choice_find(name);
        if (choice < 0)
            return pw_err_set(err, PW_CNI_CONF,
                              "'podDevices' has '%.40s', not one of " PW_CHOICE_NAMES, name);
        c->pod_devices |= 1U << choice;
    }
    return 0;
}

/* "namespaceDevices": for pods of these Kubernetes namespaces instead of 'device'. Each is looked
 * at, so that a mistake shows with the first pod, whose ever it is. */
static int read_namespaces(struct pw_netconf *c, const struct pw_env *env, struct pw_err *err)
{
    char of[PW_ENV_ARG_LEN] = "";
    const char *name;
    json_t *map, *item;
    int rc = pw_json_map(c->root, "namespaceDevices", &map, err);

    if (rc || !map)
        return rc;
    pw_env_arg(env, "K8S_POD_NAMESPACE", of);
    json_object_foreach (map, name, item) {
        const char *device = json_string_value(item);
        int choice = device ? pw_choice_find(device) : -1;
        if (choice < 0)
            return pw_err_set(err, PW_CNI_CONF,
                              "'namespaceDevices.%.60s' is '%.40s', not one of " PW_CHOICE_NAMES,
                              name, device ? device : "no string");
        if (strcmp(name, of) == 0) {
            c->device = (enum pw_choice)choice;
            c->device_from = "namespaceDevices";
        }
    }
    return 0;
}

static int read_tap(struct pw_netconf *c, struct pw_err *err)
{
    const char *name = "";
    json_t *tap;
    int rc = pw_json_map(c->root, "tap", &tap, err);

    if (!rc)
        rc = pw_json_u32(tap, "queues", PW_TAP_MAX_QUEUES, &c->tap.queues, err);
    if (!rc)
        rc = pw_json_u32(tap, "owner", UINT32_MAX - 1, &c->tap.owner, err);
    if (!rc)
        rc = pw_json_u32(tap, "group", UINT32_MAX - 1, &c->tap.group, err);
    if (!rc)
        rc = pw_json_str(tap, "name", &name, err);
    if (rc)
        return rc;
    c->tap.has_owner = pw_json_get(tap, "owner");
    c->tap.has_group = pw_json_get(tap, "group");
    if (*name && !pw_env_valid_ifname(name))
        return pw_err_set(err, PW_CNI_CONF, "'tap.name': '%.40s' is no interface name", name);
    memcpy(c->tap.name, name, strlen(name));
    return 0;
}

/* "kataDan": the folder of Kata's files for directly attachable networks, or true for its default.
 */
static int read_kata(struct pw_netconf *c, struct pw_err *err)
{
    const json_t *v = pw_json_get(c->root, "kataDan");

    if (json_is_true(v))
        c->kata_dan = "/run/kata-containers/dans";
    else if (json_is_string(v))
        c->kata_dan = json_string_value(v);
    else if (v && !json_is_false(v))
        return pw_err_set(err, PW_CNI_CONF, "'kataDan' must be true, false or a folder");
    if (c->kata_dan && (c->kata_dan[0] != '/' || strlen(c->kata_dan) > 100))
        return pw_err_set(err, PW_CNI_CONF,
                          "'kataDan': '%.100s' is no absolute path (of up to 100)", c->kata_dan);
    return 0;
}

/* "vhostUser": how the back-end of such a device and its VMM find each other. */
static int read_vhost(struct pw_netconf *c, struct pw_err *err)
{
    const char *mode = "server";
    json_t *o;
    int rc = pw_json_map(c->root, "vhostUser", &o, err);

    if (!rc)
        rc = pw_json_str(o, "socket", &c->vhost.socket, err);
    if (!rc)
        rc = pw_json_str(o, "mode", &mode, err);
    if (!rc)
        rc = pw_json_str(o, "program", &c->vhost.program, err);
    if (!rc)
        rc = pw_json_bool(o, "vhostNet", &c->vhost.vhost_net, err);
    if (rc)
        return rc;
    c->vhost.connect = strcmp(mode, "client") == 0;
    if (!c->vhost.connect && strcmp(mode, "server") != 0)
        return pw_err_set(err, PW_CNI_CONF,
                          "'vhostUser.mode' is '%.40s': server (the back-end listens) or client "
                          "(it connects)",
                          mode);
    if (c->vhost.program && (c->vhost.program[0] != '/' || strlen(c->vhost.program) > 250))
        return pw_err_set(err, PW_CNI_CONF,
                          "'vhostUser.program': '%.100s' is no absolute path (of up to 250)",
                          c->vhost.program);
    if (c->vhost.socket && (c->vhost.socket[0] != '/' || strlen(c->vhost.socket) > 200))
        return pw_err_set(err, PW_CNI_CONF,
                          "'vhostUser.socket': '%.100s' is no absolute path (of up to 200)",
                          c->vhost.socket);
    if (c->vhost.socket && !strstr(c->vhost.socket, "{device}") &&
        !(strstr(c->vhost.socket, "{id}") && strstr(c->vhost.socket, "{ifname}")))
        return pw_err_set(err, PW_CNI_CONF,
                          "'vhostUser.socket' must have {device}, or {id} and {ifname}: it would "
                          "be the same for all pods");
    return 0;
}

static int read_uplinks(struct pw_netconf *c, struct pw_err *err)
{
    json_t *list, *item;
    size_t i;
    int rc = pw_json_list(c->root, "uplinks", &list, err);

    if (rc)
        return rc;
    if (json_array_size(list) > PW_MAX_UPLINKS)
        return pw_err_set(err, PW_CNI_CONF, "'uplinks': at most %d", PW_MAX_UPLINKS);
    json_array_foreach (list, i, item) {
        const char *name;
        rc = pw_json_item_str(item, "uplinks", &name, err);
        if (rc)
            return rc;
        if (!pw_env_valid_ifname(name))
            return pw_err_set(err, PW_CNI_CONF, "'uplinks': '%.40s' is no interface name", name);
        memcpy(c->node.uplinks[i], name, strlen(name) + 1);
    }
    return 0;
}

static int add_range(struct pw_addr *list, size_t *n, const struct pw_addr *a, const char *key,
                     struct pw_err *err)
{
    unsigned same = 0;

    for (size_t i = 0; i < *n; i++) {
        if (pw_addr_same(&list[i], a) && list[i].prefix == a->prefix)
            return 0;
        same += list[i].family == a->family;
    }
    if (same == PW_MAX_RANGES)
        return pw_err_set(err, PW_CNI_CONF, "'%s': more than %d ranges of a family", key,
                          PW_MAX_RANGES);
    list[(*n)++] = *a;
    return 0;
}

static int read_ranges(struct pw_netconf *c, const char *key, struct pw_addr *out, size_t *n,
                       struct pw_err *err)
{
    json_t *list, *item;
    size_t i;
    int rc = pw_json_list(c->root, key, &list, err);

    if (rc)
        return rc;
    json_array_foreach (list, i, item) {
        const char *text;
        struct pw_addr a;
        rc = pw_json_item_str(item, key, &text, err);
        if (rc)
            return rc;
        if (pw_addr_parse(text, &a, err))
            return pw_err_set(err, PW_CNI_CONF, "'%s': '%.60s' is no range", key, text);
        a = pw_addr_network(a);
        rc = add_range(out, n, &a, key, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* The network's own subnets, of the built-in IPAM or of one that is configured alike. */
static int read_subnets(struct pw_netconf *c, struct pw_err *err)
{
    struct pw_addr subnets[2 * PW_MAX_RANGES];
    size_t n = 0;
    int rc = pw_ipam_subnets(c, subnets, PW_ARRAY_SIZE(subnets), &n, err);

    /* What a foreign plugin makes of its ranges is its own affair. */
    if (rc)
        return strcmp(c->ipam_type, PW_IPAM_BUILTIN) == 0 ? rc : 0;
    for (size_t i = 0; i < n && !rc; i++) {
        rc = add_range(c->node.pods, &c->node.n_pods, &subnets[i], "ranges", err);
        if (!rc)
            rc = add_range(c->node.native, &c->node.n_native, &subnets[i], "nativeRanges", err);
    }
    return rc;
}

static int read_mark(struct pw_netconf *c, struct pw_err *err)
{
    const json_t *v = pw_json_get(c->root, "mark");
    unsigned long mark = 0;
    char *end = NULL;

    if (!v)
        return 0;
    const char *text = json_string_value(v);
    errno = 0;
    if (json_is_integer(v) && json_integer_value(v) > 0)
        mark = (unsigned long)json_integer_value(v);
    else if (text && isdigit((unsigned char)text[0]))
        mark = strtoul(text, &end, 0);
    if (mark == 0 || mark > UINT32_MAX || errno || (end && *end))
        return pw_err_set(err, PW_CNI_CONF,
                          "'mark' must be a number of 32 bits such as \"0x1000\", not 0");
    if (mark & PW_MARK_KUBE_PROXY)
        return pw_err_set(err, PW_CNI_CONF,
                          "'mark': bits 0x4000 and 0x8000 are kube-proxy's, choose others");
    c->node.mark = (uint32_t)mark;
    return 0;
}

static int read_ipam(struct pw_netconf *c, struct pw_err *err)
{
    uint32_t timeout = IPAM_TIMEOUT;
    int rc = pw_json_map(c->root, "ipam", &c->ipam, err);

    if (rc)
        return rc;
    if (!c->ipam)
        return pw_err_set(err, PW_CNI_CONF, "'ipam' is missing");
    c->ipam_type = "";
    rc = pw_json_str(c->ipam, "type", &c->ipam_type, err);
    if (!rc)
        rc = pw_json_u32(c->root, "ipamTimeout", 3600, &timeout, err);
    if (rc)
        return rc;
    if (!*c->ipam_type || strchr(c->ipam_type, '/') || c->ipam_type[0] == '.')
        return pw_err_set(err, PW_CNI_CONF, "'ipam.type' is '%.40s', which is no plugin's name",
                          c->ipam_type);
    c->ipam_timeout = timeout ? timeout : IPAM_TIMEOUT;
    return 0;
}

/* A list that is not understood must not pass for an empty one, which means "remove all". */
static int read_valid(struct pw_netconf *c, struct pw_err *err)
{
    json_t *item;
    size_t i;
    int rc = pw_json_list(c->root, "cni.dev/valid-attachments", &c->valid, err);

    json_array_foreach (c->valid, i, item) {
        const char *id = NULL, *ifname = NULL;
        if (!rc && json_is_object(item))
            rc = pw_json_str(item, "containerID", &id, err);
        if (!rc && id)
            rc = pw_json_str(item, "ifname", &ifname, err);
        if (!rc && !ifname)
            rc = pw_err_set(err, PW_CNI_CONF,
                            "'cni.dev/valid-attachments': an entry lacks containerID or ifname");
    }
    return rc;
}

static int read_root(struct pw_netconf *c, const struct pw_env *env, struct pw_err *err)
{
    int rc = read_version(c, env->command, err);

    if (rc)
        return rc;
    c->name = "";
    rc = pw_json_str(c->root, "name", &c->name, err);
    if (rc)
        return rc;
    if (!*c->name)
        return pw_err_set(err, PW_CNI_CONF, "'name' of the network is missing");
    if (!valid_name(c->name))
        return pw_err_set(err, PW_CNI_CONF, "invalid 'name' '%.80s' of the network", c->name);
    pw_node_conf_default(&c->node);
    memcpy(c->node.network, c->name, strlen(c->name) + 1);
    rc = read_devices(c, err);
    if (!rc)
        rc = read_namespaces(c, env, err);
    c->redirect_tap = env->redirect_tap;
    rc = rc ? rc : pw_json_str(c->root, "closed", &c->closed, err);
    rc = rc ? rc : pw_lookup_read(c, err);
    rc = rc ? rc : pw_json_bool(c->root, "redirectTap", &c->redirect_tap, err);
    rc = rc ? rc : pw_json_bool(c->root, "autoconf", &c->autoconf, err);
    rc = rc ? rc : pw_json_bool(c->root, "masquerade", &c->node.masquerade, err);
    rc = rc ? rc : pw_json_bool(c->root, "conntrack", &c->node.ask_conntrack, err);
    rc = rc ? rc : pw_json_bool(c->root, "forwardAccept", &c->node.forward_accept, err);
    if (!rc)
        rc = read_tap(c, err);
    if (!rc)
        rc = read_kata(c, err);
    if (!rc)
        rc = read_vhost(c, err);
    if (!rc)
        rc = read_uplinks(c, err);
    if (!rc)
        rc = read_ranges(c, "nativeRanges", c->node.native, &c->node.n_native, err);
    if (!rc)
        rc = read_ranges(c, "serviceRanges", c->node.services, &c->node.n_services, err);
    if (!rc)
        rc = read_mark(c, err);
    if (!rc)
        rc = pw_json_u32(c->root, "mtu", MTU_MAX, &c->mtu, err);
    if (rc)
        return rc;
    if (c->mtu && c->mtu < MTU_MIN)
        return pw_err_set(err, PW_CNI_CONF, "'mtu' is %u: 0 or at least %d", c->mtu, MTU_MIN);
    rc = pw_json_map(c->root, "dns", &c->dns, err);
    if (!rc && !c->redirect_tap)
        rc = read_ipam(c, err);
    if (!rc)
        rc = pw_netconf_read_asked(c, env, err);
    if (!rc && !c->redirect_tap)
        rc = read_subnets(c, err);
    return rc || env->command != PW_CNI_GC ? rc : read_valid(c, err);
}

int pw_netconf_parse(const char *text, size_t len, const struct pw_env *env, struct pw_netconf *out,
                     struct pw_err *err)
{
    json_error_t jerr;
    struct pw_netconf c = {.root = json_loadb(text, len, 0, &jerr), .autoconf = true};
    int rc;

    if (!c.root)
        return pw_err_set(err, PW_CNI_DECODE, "configuration on stdin: %s at line %d column %d",
                          jerr.text, jerr.line, jerr.column);
    if (!json_is_object(c.root))
        rc = pw_err_set(err, PW_CNI_DECODE, "configuration on stdin is no JSON object");
    else
        rc = read_root(&c, env, err);
    if (rc)
        pw_netconf_free(&c);
    else
        *out = c;
    return rc;
}

void pw_netconf_free(struct pw_netconf *c)
{
    json_decref(c->root);
    json_decref(c->looked_up);
    c->root = c->looked_up = NULL;
}

const char *pw_netconf_no_uplink(const struct pw_netconf *c)
{
    for (size_t i = 0; i < PW_MAX_UPLINKS && c->node.uplinks[i][0]; i++)
        if (!if_nametoindex(c->node.uplinks[i]))
            return c->node.uplinks[i];
    return NULL;
}

enum pw_version pw_netconf_version(const char *text, size_t len)
{
    json_error_t jerr;
    pw_json *root = json_loadb(text, len, 0, &jerr);
    const char *version = NULL;

    pw_json_str(root, "cniVersion", &version, NULL);
    for (int v = 0; version && v < PW_VERSIONS; v++)
        if (strcmp(version, pw_version_names[v]) == 0)
            return (enum pw_version)v;
    return PW_V110;
}
