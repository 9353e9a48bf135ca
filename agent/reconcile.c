/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconcile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/plugin.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/fs.h"
#include "loader/kind.h"
#include "loader/nl/link.h"
#include "loader/pin.h"

#define RECORDS PW_RUN_DIR "/endpoints"
#define RECORD_MAX 65536
#define MAX_SUSPECTS 512 /* at once; the rest has its turn the next time */
#define SAY_AGAIN 3600.0

struct pw_suspect {
    char id[256], ifname[16], record[320]; /* record: its file's name */
    char namespace[64], name[254];
    bool alive; /* the API has the pod */
};

static const char *const pod_keep[] = {"metadata.name", "metadata.namespace", NULL};

/* ---- which ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

enum sight { THERE, GONE, UNSEEN };

/* Paths of namespaces are the runtime's, as the node's first process sees them. In a container
 * that shows neither that process nor the folder, nothing follows from a path that is not there. */
static enum sight look_at(const char *path)
{
    char there[512];
    struct stat st;

    bool init = getpid() != 1 && stat("/proc/1/root/proc", &st) == 0;
    int n = snprintf(there, sizeof(there), "%s%.400s", init ? "/proc/1/root" : "", path);
    if (n < 0 || path[0] != '/')
        return UNSEEN;
    if (stat(there, &st) == 0)
        return THERE;
    if (errno != ENOENT && errno != ENOTDIR)
        return UNSEEN;
    *strrchr(there, '/') = '\0';
    return init || stat(there, &st) == 0 ? GONE : UNSEEN;
}

/* A pod's pair goes with its namespace; a device that is there says that the namespace lives, by
 * whatever name. Devices that lie in the node's namespace say nothing. */
static bool seems_gone(const json_t *record)
{
    unsigned device = pw_device_find(text_of(record, "device"));
    bool pair = device == PW_DEV_NETKIT || device == PW_DEV_NETKIT_L2 || device == PW_DEV_VETH ||
                device == PW_DEV_POD_TAP;
    enum sight seen = look_at(text_of(record, "netns"));

    if (pair)
        return seen != THERE && pw_link_gone_name(text_of(record, "hostIf"));
    return seen == GONE;
}

static json_t *read_record(const char *name)
{
    pw_free char *text = malloc(RECORD_MAX);
    char path[512];

    snprintf(path, sizeof(path), RECORDS "/%.300s", name);
    ssize_t n = text ? pw_file_read(path, text, RECORD_MAX, NULL) : -1;
    return n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
}

static int look(const char *file, void *arg, struct pw_err *err)
{
    struct pw_agent *a = arg;
    size_t len = strlen(file);

    if (len < 6 || len > 300 || strcmp(file + len - 5, ".json") != 0 ||
        a->n_suspects == MAX_SUSPECTS)
        return 0;
    pw_json *record = read_record(file);
    const json_t *pod = json_object_get(record, "pod");
    /* Without a pod's name the API cannot be asked; another network has another configuration. */
    if (!text_of(pod, "name")[0] || strcmp(text_of(record, "network"), a->conf.node.network) != 0 ||
        !seems_gone(record))
        return 0;
    struct pw_suspect *more = reallocarray(a->suspects, a->n_suspects + 1, sizeof(*a->suspects));
    if (!more)
        return pw_err_errno(err, -ENOMEM, "reconcile");
    a->suspects = more;
    struct pw_suspect *s = &more[a->n_suspects++];
    *s = (struct pw_suspect){0};
    snprintf(s->record, sizeof(s->record), "%s", file);
    snprintf(s->id, sizeof(s->id), "%s", text_of(record, "containerId"));
    snprintf(s->ifname, sizeof(s->ifname), "%s", text_of(record, "ifname"));
    snprintf(s->namespace, sizeof(s->namespace), "%s", text_of(pod, "namespace"));
    snprintf(s->name, sizeof(s->name), "%s", text_of(pod, "name"));
    return 0;
}

struct attached {
    const char *network;
    size_t n;
};

/* A record that cannot be read is one all the same. */
static int count(const char *file, void *arg, struct pw_err *err)
{
    struct attached *a = arg;
    size_t len = strlen(file);

    (void)err;
    if (len < 6 || strcmp(file + len - 5, ".json") != 0)
        return 0;
    pw_json *record = a->network ? read_record(file) : NULL;
    a->n += !record || strcmp(text_of(record, "network"), a->network) == 0;
    return 0;
}

size_t pw_reconcile_attached(const char *network)
{
    struct attached a = {network, 0};

    pw_pin_each(RECORDS, count, &a, NULL);
    return a.n;
}

/* ---- what the API says of them ---- */

static void pods_begin(void *arg)
{
    struct pw_agent *a = arg;

    for (size_t i = 0; i < a->n_suspects; i++)
        a->suspects[i].alive = false;
}

/* By name: the API has static pods under another uid than the runtime. */
static int pods_put(void *arg, const json_t *object, bool deleted, struct pw_err *err)
{
    struct pw_agent *a = arg;
    const json_t *meta = json_object_get(object, "metadata");
    const char *namespace = text_of(meta, "namespace"), *name = text_of(meta, "name");

    (void)deleted;
    (void)err;
    for (size_t i = 0; i < a->n_suspects; i++)
        a->suspects[i].alive |= strcmp(a->suspects[i].name, name) == 0 &&
                                strcmp(a->suspects[i].namespace, namespace) == 0;
    return 0;
}

static void forget(struct pw_agent *a)
{
    free(a->suspects);
    a->suspects = NULL;
    a->n_suspects = 0;
}

static void pods_end(void *arg)
{
    struct pw_agent *a = arg;
    struct pw_err err = PW_ERR_INIT;

    for (size_t i = 0; i < a->n_suspects; i++) {
        const struct pw_suspect *s = &a->suspects[i];
        if (s->alive)
            continue;
        /* Nor has anything come back meanwhile. */
        pw_json *record = read_record(s->record);
        if (!record || !seems_gone(record))
            continue;
        if (pw_plugin_del(&a->conf, a->self.pods, a->self.n_pods, s->id, s->ifname, &err)) {
            pw_log_new(&a->sweep_trouble, pw_clock_s(), SAY_AGAIN, PW_LOG_WARN, "reconcile: %s",
                       err.msg);
            continue;
        }
        a->reconciled++;
        pw_log(PW_LOG_INFO, "reconcile: %s of pod %s/%s, which is gone, removed", s->ifname,
               s->namespace, s->name);
    }
}

static const struct pw_watch_ops pods_ops = {pods_begin, pods_put, pods_end};

/* ---- both in turn ---- */

static void ask(struct pw_agent *a, double now)
{
    char *escaped = curl_easy_escape(NULL, a->conf.node_name, 0);

    if (!escaped)
        return;
    snprintf(a->pods_selector, sizeof(a->pods_selector), "fieldSelector=spec.nodeName%%3D%s",
             escaped);
    curl_free(escaped);
    pw_watch_stop(&a->pods);
    a->pods = (struct pw_watch){.what = "pods of this node",
                                .path = "/api/v1/pods",
                                .selector = a->pods_selector,
                                .keep = pod_keep,
                                .ops = &pods_ops,
                                .arg = a,
                                .multi = a->multi,
                                .kube = &a->kube,
                                .idle = a->conf.idle_timeout,
                                .once = true,
                                .gone = true /* none but the newest list will do */};
    pw_watch_run(&a->pods, now);
}

void pw_reconcile(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    size_t n = 0;

    if (pw_dp_sweep(a->dp, &n, &err))
        pw_log_new(&a->sweep_trouble, now, SAY_AGAIN, PW_LOG_WARN, "sweep: %s", err.msg);
    if (n)
        pw_log(PW_LOG_INFO, "sweep: %zu leftovers of devices that are gone removed", n);
    a->swept += n;
    if (a->n_suspects && a->pods.state != PW_WATCH_DONE)
        return; /* still asking */
    forget(a);
    if (pw_pin_each(RECORDS, look, a, &err))
        pw_log_new(&a->sweep_trouble, now, SAY_AGAIN, PW_LOG_WARN, "reconcile: %s", err.msg);
    if (a->n_suspects)
        ask(a, now);
}

double pw_reconcile_run(struct pw_agent *a, double now)
{
    if (!a->n_suspects)
        return now + 3600;
    double next = pw_watch_run(&a->pods, now);
    if (a->pods.state == PW_WATCH_DONE) {
        pw_watch_stop(&a->pods);
        forget(a);
    }
    return next;
}

void pw_reconcile_stop(struct pw_agent *a)
{
    if (a->n_suspects)
        pw_watch_stop(&a->pods);
    forget(a);
}
