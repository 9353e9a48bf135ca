/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch.h"
#include "loader/base/cleanup.h"

#define DEVICE "podwire.io/device"
/* Of a static pod's image in the API: the uid by which kubelet and runtime know it. */
#define MIRROR "kubernetes.io/config.mirror"

#define KEEP(prefix)                                                                               \
    prefix "metadata.name", prefix "metadata.namespace", prefix "metadata.uid",                    \
        prefix "metadata.resourceVersion", prefix "metadata.annotations." DEVICE,                  \
        prefix "metadata.annotations." MIRROR, prefix "spec.runtimeClassName"
const char *const pw_pods_keep[] = {KEEP(""), NULL};
const char *const pw_pods_keep_event[] = {PW_WATCH_KEEP, KEEP("object."), NULL};

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static const struct pw_agent_class *class_of(const struct pw_agent_conf *conf, const char *name)
{
    for (uint32_t i = 0; i < conf->n_classes; i++)
        if (strcmp(conf->classes[i].name, name) == 0)
            return &conf->classes[i];
    return NULL;
}

static int read_pod(const struct pw_agent_conf *conf, const json_t *object, struct pw_pod *out,
                    struct pw_err *err)
{
    const json_t *meta = json_object_get(object, "metadata");
    const json_t *annotations = json_object_get(meta, "annotations");
    const char *namespace = text_of(meta, "namespace"), *name = text_of(meta, "name");
    const char *uid = text_of(annotations, MIRROR);

    uid = *uid ? uid : text_of(meta, "uid");
    memset(out, 0, sizeof(*out));
    if (!*namespace || strlen(namespace) >= sizeof(out->namespace) || !*name ||
        strlen(name) >= sizeof(out->name))
        return pw_err_set(err, -EBADMSG, "a Pod without a name");
    memcpy(out->namespace, namespace, strlen(namespace));
    memcpy(out->name, name, strlen(name));
    /* Of what is too long the beginning is no pod's uid, and no device. */
    snprintf(out->uid, sizeof(out->uid), "%s", uid);
    snprintf(out->asked, sizeof(out->asked), "%s", text_of(annotations, DEVICE));
    out->class = class_of(conf, text_of(json_object_get(object, "spec"), "runtimeClassName"));
    out->seen = true;
    return 0;
}

static struct pw_pod *find(const struct pw_pods *p, const char *namespace, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->pod[i].name, name) == 0 && strcmp(p->pod[i].namespace, namespace) == 0)
            return &p->pod[i];
    return NULL;
}

void pw_pods_begin(struct pw_pods *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->pod[i].seen = false;
}

void pw_pods_end(struct pw_pods *p)
{
    for (size_t i = p->n; i-- > 0;)
        if (!p->pod[i].seen)
            p->pod[i] = p->pod[--p->n];
}

int pw_pods_put(struct pw_pods *p, const json_t *object, bool deleted, struct pw_err *err)
{
    struct pw_pod pod;
    int rc = read_pod(p->conf, object, &pod, err);

    if (rc)
        return rc;
    struct pw_pod *at = find(p, pod.namespace, pod.name);
    if (deleted) {
        if (at)
            *at = p->pod[--p->n];
        return 0;
    }
    if (!at && p->n == PW_PODS_MAX)
        return 0;
    if (!at && p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct pw_pod *more = reallocarray(p->pod, cap, sizeof(*more));
        if (!more)
            return pw_err_errno(err, -ENOMEM, "remember a pod");
        p->pod = more;
        p->cap = cap;
    }
    if (!at)
        at = &p->pod[p->n++];
    *at = pod;
    return 0;
}

/* ---- what is asked, and the answer ---- */

static bool read_name(const json_t *o, const char *key, bool optional, char *out, size_t size)
{
    const json_t *v = json_object_get(o, key);
    const char *s = json_string_value(v);

    out[0] = '\0';
    if (!s)
        return optional && !v;
    size_t len = json_string_length(v);
    if (strlen(s) != len || len >= size || (!len && !optional))
        return false;
    memcpy(out, s, len + 1);
    return true;
}

int pw_pods_question(const char *text, size_t len, struct pw_pod_question *out, struct pw_err *err)
{
    pw_json *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(o) ||
        !read_name(o, "namespace", false, out->namespace, sizeof(out->namespace)) ||
        !read_name(o, "name", false, out->name, sizeof(out->name)) ||
        !read_name(o, "uid", true, out->uid, sizeof(out->uid)))
        return pw_err_set(err, -EINVAL, "not understood: want {\"namespace\", \"name\", \"uid\"}");
    return 0;
}

const struct pw_pod *pw_pods_find(const struct pw_pods *p, const struct pw_pod_question *q)
{
    const struct pw_pod *pod = find(p, q->namespace, q->name);

    /* Another uid: one that was there before by the same name. */
    return pod && (!q->uid[0] || strcmp(pod->uid, q->uid) == 0) ? pod : NULL;
}

json_t *pw_pods_device(const struct pw_pod *pod)
{
    if (pod->asked[0])
        return json_pack("{s:s}", "annotation", pod->asked);
    if (pod->class)
        return json_pack("{s:s, s:s}", "runtimeClass", pod->class->name, "device",
                         pod->class->device);
    return json_object();
}

void pw_pods_free(struct pw_pods *p)
{
    free(p->pod);
    *p = (struct pw_pods){0};
}
