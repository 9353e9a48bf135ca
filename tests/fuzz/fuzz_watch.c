/* SPDX-License-Identifier: Apache-2.0 */
/* What an API server sends, from bytes to peers and pods; and a plugin's question for one of them.
 * First byte: a watch or a list, and in which pieces it comes. What is picked out must be JSON, and
 * the same in whatever pieces it came. */
#include <stdlib.h>
#include <string.h>

#include "agent/cluster.h"
#include "agent/pick.h"
#include "agent/pods.h"
#include "loader/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct pw_cluster cluster;
    struct pw_pods pods;
    bool list, changed;
    size_t objects, bytes;
};

static int object(void *arg, const char *text, size_t len, struct pw_err *err)
{
    struct run *r = arg;
    pw_json *o = json_loadb(text, len, 0, NULL);
    const json_t *node = r->list ? o : json_object_get(o, "object");
    const char *type = json_string_value(json_object_get(o, "type"));

    r->objects++;
    r->bytes += len;
    if (len > PW_PICK_MAX)
        abort();
    if (!o || !json_is_object(node))
        return pw_err_set(err, -EBADMSG, "not an object");
    bool deleted = type && strcmp(type, "DELETED") == 0;
    pw_cluster_put(&r->cluster, node, deleted, &r->changed, NULL);
    if (pw_pods_put(&r->pods, node, deleted, NULL) == 0 && r->pods.n && !deleted)
        json_decref(pw_pods_device(&r->pods.pod[r->pods.n - 1]));
    return 0;
}

static int feed(struct run *r, const char *text, size_t size, size_t step)
{
    static const char *const frame[] = {"metadata.resourceVersion", "metadata.continue", NULL};
    pw_cleanup(pw_pick_free) struct pw_pick p = {.keep = r->list ? frame : pw_cluster_keep_event,
                                                 .list = r->list ? "items" : NULL,
                                                 .keep_item = pw_cluster_keep,
                                                 .object = object,
                                                 .arg = r};
    struct pw_err err = PW_ERR_INIT;
    int rc = 0;

    for (size_t i = 0; i < size && !rc; i += step)
        rc = pw_pick_feed(&p, text + i, size - i < step ? size - i : step, &err);
    if (!rc)
        rc = pw_pick_end(&p, &err);
    if (rc && !err.msg[0])
        abort();
    return rc;
}

static void peers(const struct pw_cluster *c)
{
    struct pw_addr ranges[2];
    pw_free struct pw_peer *list = NULL;
    size_t n, refused;
    char why[320];

    pw_addr_parse("10.0.0.0/8", &ranges[0], NULL);
    pw_addr_parse("fd00::/16", &ranges[1], NULL);
    if (pw_cluster_peers(c, "me", ranges, 2, &list, &n, &refused, why, NULL))
        abort();
    /* No range twice, none outside. */
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < list[i].n_pods; j++) {
            if (!pw_addr_in(&list[i].pods[j], &ranges[0]) &&
                !pw_addr_in(&list[i].pods[j], &ranges[1]))
                abort();
            for (size_t k = 0; k < i; k++)
                for (size_t l = 0; l < list[k].n_pods; l++)
                    if (pw_addr_in(&list[i].pods[j], &list[k].pods[l]))
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    static const struct pw_agent_conf conf = {.classes = {{.name = "kata", .device = "tap"}},
                                              .n_classes = 1};
    struct run a = {.pods.conf = &conf, .list = data[0] & 1}, b = a;
    const char *text = (const char *)data + 1;
    size_t step = 1 + (data[0] >> 1);

    struct pw_pod_question q;
    if (pw_pods_question(text, size - 1, &q, NULL) == 0 && (!q.name[0] || !q.namespace[0]))
        abort();
    pw_cluster_begin(&a.cluster);
    int rc = feed(&a, text, size - 1, size);
    if (rc != feed(&b, text, size - 1, step) || a.objects != b.objects || a.bytes != b.bytes ||
        a.cluster.n != b.cluster.n)
        abort();
    peers(&a.cluster);
    pw_cluster_end(&a.cluster, &a.changed);
    pw_cluster_free(&a.cluster);
    pw_cluster_free(&b.cluster);
    pw_pods_free(&a.pods);
    pw_pods_free(&b.pods);
    return 0;
}
