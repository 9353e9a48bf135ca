/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod or its runtime asks for: capabilities, annotations, `args`, CNI_ARGS. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/conf_int.h"

#define ANNOTATIONS "io.kubernetes.cri.pod-annotations"

/* "10.0.0.5" or "10.0.0.5/24": the prefix is the range's business. */
static int add_requested(struct pw_netconf *c, const char *text, const char *from,
                         struct pw_err *err)
{
    struct pw_addr a;

    if (pw_addr_parse(text, &a, err))
        return pw_err_set(err, PW_CNI_CONF, "%s: '%.60s' is no IP address", from, text);
    a.prefix = a.family == 4 ? 32 : 128;
    for (size_t i = 0; i < c->n_requested; i++)
        if (pw_addr_same(&c->requested[i], &a))
            return 0;
    if (c->n_requested == PW_MAX_REQUESTED)
        return pw_err_set(err, PW_CNI_CONF, "%s: more than %d addresses asked for", from,
                          PW_MAX_REQUESTED);
    c->requested[c->n_requested++] = a;
    return 0;
}

static int add_requested_list(struct pw_netconf *c, const json_t *object, const char *from,
                              struct pw_err *err)
{
    json_t *list, *item;
    size_t i;
    int rc = pw_json_list(object, "ips", &list, err);

    json_array_foreach (list, i, item) {
        const char *text;
        if (!rc)
            rc = pw_json_item_str(item, from, &text, err);
        if (!rc)
            rc = add_requested(c, text, from, err);
    }
    return rc;
}

/* Addresses: the capability, args.cni and CNI_ARGS. CONVENTIONS.md: with an equivalent key in
 * `args`, CNI_ARGS is ignored. */
static int read_requested(struct pw_netconf *c, const json_t *runtime, const json_t *args,
                          const struct pw_env *env, struct pw_err *err)
{
    char buf[PW_ENV_ARG_LEN];
    int rc = add_requested_list(c, runtime, "runtimeConfig.ips", err);

    if (!rc)
        rc = add_requested_list(c, args, "args.cni.ips", err);
    if (!rc && c->n_requested == 0 && pw_env_arg(env, "IP", buf)) {
        char *save = NULL;
        for (char *p = strtok_r(buf, ",", &save); p && !rc; p = strtok_r(NULL, ",", &save))
            rc = add_requested(c, p, "CNI_ARGS IP", err);
        if (rc)
            rc = pw_err_set(err, PW_CNI_ENV, "CNI_ARGS: IP is no address");
    }
    return rc;
}

static int read_mac(struct pw_netconf *c, const json_t *runtime, const json_t *args,
                    const struct pw_env *env, struct pw_err *err)
{
    char buf[PW_ENV_ARG_LEN];
    const char *text = NULL, *from = "runtimeConfig.mac";
    int rc = pw_json_str(runtime, "mac", &text, err);

    if (!rc && (!text || !*text)) {
        from = "args.cni.mac";
        rc = pw_json_str(args, "mac", &text, err);
    }
    if (rc)
        return rc;
    if ((!text || !*text) && pw_env_arg(env, "MAC", buf)) {
        from = "CNI_ARGS MAC";
        text = buf;
    }
    if (!text || !*text)
        return 0;
    if (pw_mac_parse(text, c->mac, err))
        return pw_err_set(err, text == buf ? PW_CNI_ENV : PW_CNI_CONF,
                          "%s: '%.40s' is no MAC address of a device", from, text);
    c->has_mac = true;
    return 0;
}

static int read_pod_device(struct pw_netconf *c, const json_t *runtime, const json_t *args,
                           struct pw_err *err)
{
    json_t *annotations;
    int rc = pw_json_map(runtime, ANNOTATIONS, &annotations, err);

    if (rc)
        return rc;
    /* Kubernetes keys are exact: other spellings are other keys. */
    const json_t *v = json_object_get(annotations, PW_DEVICE_ANNOTATION);
    c->pod_device_from = "annotation " PW_DEVICE_ANNOTATION;
    if (v && !json_is_null(v)) {
        rc = pw_json_item_str(v, PW_DEVICE_ANNOTATION, &c->pod_device, err);
    } else {
        c->pod_device_from = "args.cni.device";
        rc = pw_json_str(args, "device", &c->pod_device, err);
    }
    if (!rc && c->pod_device && !*c->pod_device)
        c->pod_device = NULL;
    return rc;
}

/* CONVENTIONS.md: bits per second, and bits; a runtime hands over the annotations
 * kubernetes.io/ingress-bandwidth and egress-bandwidth so. */
static int read_bandwidth(struct pw_netconf *c, const json_t *runtime, struct pw_err *err)
{
    json_t *o;
    int rc = pw_json_map(runtime, "bandwidth", &o, err);

    if (!rc)
        rc = pw_json_u64(o, "ingressRate", &c->to_pod.rate, err);
    if (!rc)
        rc = pw_json_u64(o, "ingressBurst", &c->to_pod.burst, err);
    if (!rc)
        rc = pw_json_u64(o, "egressRate", &c->from_pod.rate, err);
    if (!rc)
        rc = pw_json_u64(o, "egressBurst", &c->from_pod.burst, err);
    return rc ? pw_err_wrap(err, "runtimeConfig.bandwidth") : 0;
}

/* A user or group of CNI_ARGS. */
static int read_id_arg(const struct pw_env *env, const char *key, uint32_t *id, bool *has,
                       struct pw_err *err)
{
    char buf[PW_ENV_ARG_LEN], *end;

    if (!pw_env_arg(env, key, buf))
        return 0;
    errno = 0;
    unsigned long v = strtoul(buf, &end, 10);
    if (!isdigit((unsigned char)buf[0]) || *end || errno || v >= UINT32_MAX)
        return pw_err_set(err, PW_CNI_ENV, "CNI_ARGS: %s is no number of a user or group", key);
    *id = (uint32_t)v;
    *has = true;
    return 0;
}

/* What a VMM's runtime tells of the tap that it wants, in the words of awslabs/tc-redirect-tap. */
static int read_tap_args(struct pw_netconf *c, const struct pw_env *env, struct pw_err *err)
{
    char buf[PW_ENV_ARG_LEN];
    int rc = read_id_arg(env, "TC_REDIRECT_TAP_UID", &c->tap.owner, &c->tap.has_owner, err);

    if (!rc)
        rc = read_id_arg(env, "TC_REDIRECT_TAP_GID", &c->tap.group, &c->tap.has_group, err);
    if (rc || !pw_env_arg(env, "TC_REDIRECT_TAP_NAME", buf))
        return rc;
    if (!pw_env_valid_ifname(buf))
        return pw_err_set(err, PW_CNI_ENV, "CNI_ARGS: TC_REDIRECT_TAP_NAME is no interface name");
    snprintf(c->tap.name, sizeof(c->tap.name), "%.15s", buf);
    return 0;
}

int pw_netconf_read_asked(struct pw_netconf *c, const struct pw_env *env, struct pw_err *err)
{
    json_t *runtime, *args, *args_cni = NULL;
    int rc = pw_json_map(c->root, "runtimeConfig", &runtime, err);

    if (!rc)
        rc = pw_json_map(c->root, "args", &args, err);
    if (!rc)
        rc = pw_json_map(args, "cni", &args_cni, err);
    if (!rc)
        rc = pw_json_list(runtime, "ipRanges", &c->ip_ranges, err);
    if (!rc && pw_json_map(c->root, "prevResult", &c->prev_result, err))
        rc = env->command == PW_CNI_DEL ? 0 : PW_CNI_CONF;
    if (rc || env->command == PW_CNI_STATUS || env->command == PW_CNI_GC)
        return rc;
    /* A DEL must not fail for what only an ADD would act on. */
    bool add = env->command == PW_CNI_ADD;
    rc = read_requested(c, runtime, args_cni, env, add ? err : NULL);
    if (!rc || !add)
        rc = read_mac(c, runtime, args_cni, env, add ? err : NULL);
    if (!rc || !add)
        rc = read_bandwidth(c, runtime, add ? err : NULL);
    if (!rc || !add)
        rc = read_pod_device(c, runtime, args_cni, add ? err : NULL);
    if (!rc || !add)
        rc = read_tap_args(c, env, add ? err : NULL);
    return add ? rc : 0;
}
