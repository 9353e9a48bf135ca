/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/lookup.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define LIMIT_MS 3000 /* podwired itself waits 2 s for the API */
#define ANSWER_MAX 2048

/* ---- what the configuration says, and the answer ---- */

int pw_lookup_read(struct pw_netconf *conf, struct pw_err *err)
{
    int rc = pw_json_str(conf->root, "lookup", &conf->lookup, err);

    if (!rc)
        rc = pw_json_bool(conf->root, "lookupRequired", &conf->lookup_required, err);
    if (rc)
        return rc;
    if (conf->lookup && (conf->lookup[0] != '/' || strlen(conf->lookup) > 107))
        return pw_err_set(err, PW_CNI_CONF,
                          "'lookup': '%.100s' is no absolute path of a socket (of up to 107)",
                          conf->lookup);
    if (conf->lookup_required && !conf->lookup)
        return pw_err_set(err, PW_CNI_CONF, "'lookupRequired' needs 'lookup'");
    return 0;
}

int pw_lookup_take(struct pw_netconf *conf, const char *text, size_t len, struct pw_err *err)
{
    pw_json *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    const char *error = NULL, *annotation = NULL, *class = NULL, *device = NULL;
    int choice = conf->device;

    if (!json_is_object(o))
        return pw_err_set(err, -EBADMSG, "its answer is no JSON object");
    int rc = pw_json_str(o, "error", &error, err);
    if (!rc)
        rc = pw_json_str(o, "annotation", &annotation, err);
    if (!rc)
        rc = pw_json_str(o, "runtimeClass", &class, err);
    if (!rc)
        rc = pw_json_str(o, "device", &device, err);
    if (rc)
        return pw_err_wrap(err, "its answer");
    if (error)
        return pw_err_set(err, -ENOENT, "%.100s", *error ? error : "an error without a reason");
    if (device && (choice = pw_choice_find(device)) < 0)
        return pw_err_set(err, -EBADMSG, "its answer has device '%.40s'", device);
    conf->device = (enum pw_choice)choice;
    if (device) {
        snprintf(conf->by_lookup, sizeof(conf->by_lookup), "RuntimeClass %.63s",
                 class ? class : "?");
        conf->device_from = conf->by_lookup;
    }
    if (annotation) {
        conf->pod_device = annotation;
        conf->pod_device_from = "annotation " PW_DEVICE_ANNOTATION;
    }
    json_decref(conf->looked_up);
    conf->looked_up = PW_TAKE_PTR(o);
    return 0;
}

/* False: it is no pod of Kubernetes. */
static bool question(const struct pw_env *env, char **out)
{
    char namespace[PW_ENV_ARG_LEN], name[PW_ENV_ARG_LEN], uid[PW_ENV_ARG_LEN] = "";

    if (!pw_env_arg(env, "K8S_POD_NAMESPACE", namespace) || !pw_env_arg(env, "K8S_POD_NAME", name))
        return false;
    pw_env_arg(env, "K8S_POD_UID", uid);
    pw_json *o = json_object();
    json_object_set_new(o, "namespace", pw_json_text(namespace));
    json_object_set_new(o, "name", pw_json_text(name));
    json_object_set_new(o, "uid", pw_json_text(uid));
    *out = json_dumps(o, JSON_COMPACT);
    return true;
}

/* ---- by the socket ---- */

static void limit(int fd, int option, long ms)
{
    struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t));
}

static int no_answer(int code, struct pw_err *err)
{
    if (code == -EAGAIN)
        return pw_err_set(err, code, "no answer in %d s", LIMIT_MS / 1000);
    return pw_err_errno(err, code, "no answer");
}

static int ask(const char *path, const char *text, char answer[ANSWER_MAX], size_t *len,
               struct pw_err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t size = sizeof(who);
    long end = pw_clock_ms() + LIMIT_MS;

    pw_fd fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return no_answer(-errno, err);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    /* Of what waits for a place in its queue, too. */
    limit(fd, SO_SNDTIMEO, LIMIT_MS);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size))
        return no_answer(-errno, err);
    if (who.uid != 0)
        return pw_err_set(err, -EPERM, "who listens at %.60s is not root", path);
    if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return no_answer(-errno, err);
    long left = end - pw_clock_ms();
    limit(fd, SO_RCVTIMEO, left > 0 ? left : 1);
    ssize_t n = recv(fd, answer, ANSWER_MAX, MSG_TRUNC);
    if (n <= 0)
        return no_answer(n < 0 ? -errno : -EPIPE, err);
    if (n > ANSWER_MAX)
        return pw_err_set(err, -EMSGSIZE, "too long an answer");
    *len = (size_t)n;
    return 0;
}

int pw_lookup_device(struct pw_netconf *conf, const struct pw_env *env, struct pw_err *err)
{
    struct pw_err why = PW_ERR_INIT;
    pw_free char *text = NULL;
    char answer[ANSWER_MAX];
    size_t len = 0;

    if (!conf->lookup || conf->pod_device || !question(env, &text))
        return 0;
    int rc =
        text ? ask(conf->lookup, text, answer, &len, &why) : pw_err_errno(&why, -ENOMEM, "ask");
    if (!rc)
        rc = pw_lookup_take(conf, answer, len, &why);
    if (!rc)
        return 0;
    if (conf->lookup_required)
        return pw_err_set(err, PW_CNI_AGAIN,
                          "podwired does not say the pod's device, and 'lookupRequired' is set: "
                          "%.200s",
                          why.msg);
    snprintf(conf->unanswered, sizeof(conf->unanswered), "%s", why.msg);
    snprintf(conf->by_lookup, sizeof(conf->by_lookup), "%s; podwired does not say: %.100s",
             conf->device_from ? conf->device_from : "configuration", conf->unanswered);
    conf->device_from = conf->by_lookup;
    return 0;
}
