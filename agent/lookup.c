/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/pods.h"
#include "loader/base/cleanup.h"
#include "loader/pin.h"

#define CLIENTS 128 /* at once; who comes then waits in the socket's queue */
#define LISTENER CLIENTS

struct client {
    int fd; /* -1: free */
    bool asked;
    double until;
    struct pw_pod_question q;
};

struct pw_lookup {
    struct pw_agent *agent;
    struct pw_pods pods;
    struct pw_watch watch;
    char selector[800];
    int listener, epoll;
    size_t n;
    struct client client[CLIENTS];
    struct pw_lookup_counts counts;
};

/* ---- clients ---- */

/* While no place is free nobody is let in, nor woken for. */
static void listen_for(struct pw_lookup *l, bool more)
{
    struct epoll_event e = {.events = more ? EPOLLIN : 0, .data.u32 = LISTENER};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->listener, &e);
}

static void drop(struct pw_lookup *l, struct client *c)
{
    pw_closep(&c->fd);
    if (l->n-- == CLIENTS)
        listen_for(l, true);
}

static void answer(struct pw_lookup *l, struct client *c, json_t *take)
{
    pw_json *o = take;
    pw_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    /* The first and only packet on it: there is room. */
    if (text && send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        pw_log(PW_LOG_DEBUG, "lookup: answer: %s", strerrordesc_np(errno));
    drop(l, c);
}

static void refuse(struct pw_lookup *l, struct client *c, const char *why)
{
    answer(l, c, json_pack("{s:s}", "error", why));
}

static void try(struct pw_lookup *l, struct client *c)
{
    const struct pw_pod *pod = pw_pods_find(&l->pods, &c->q);

    if (!pod)
        return;
    l->counts.answered++;
    answer(l, c, pw_pods_device(pod));
}

/* In its time; else the API is what it waited for. */
static void time_out(struct pw_lookup *l, struct client *c)
{
    const char *why = pw_watch_well(&l->watch) ? "the API has no such pod on this node"
                                               : "the API has not told of the pod";

    if (!c->asked) {
        drop(l, c);
        return;
    }
    pw_log(PW_LOG_WARN, "lookup: %s/%s: %s", c->q.namespace, c->q.name, why);
    l->counts.timed_out++;
    refuse(l, c, why);
}

static void let_in(struct pw_lookup *l, double now)
{
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t len = sizeof(who);
    uint32_t i = 0;

    pw_fd fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (i < CLIENTS && l->client[i].fd >= 0)
        i++;
    if (fd < 0 || i == CLIENTS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
        who.uid != 0)
        return;
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e))
        return;
    l->client[i] = (struct client){.fd = PW_TAKE_FD(fd), .until = now + PW_LOOKUP_SECONDS};
    if (++l->n == CLIENTS)
        listen_for(l, false);
}

static void hear(struct pw_lookup *l, struct client *c)
{
    struct pw_err err = PW_ERR_INIT;
    char text[PW_PODS_QUESTION];
    ssize_t n = recv(c->fd, text, sizeof(text), MSG_TRUNC);

    if (n < 0 && errno == EAGAIN)
        return;
    /* Gone, or there is more to come than a question. */
    if (n <= 0 || c->asked) {
        l->counts.left += c->asked;
        drop(l, c);
        return;
    }
    if ((size_t)n > sizeof(text)) {
        l->counts.refused++;
        refuse(l, c, "too long a question");
    } else if (pw_pods_question(text, (size_t)n, &c->q, &err)) {
        l->counts.refused++;
        refuse(l, c, err.msg);
    } else {
        c->asked = true;
        try(l, c);
    }
}

/* ---- the node's pods ---- */

static void pods_begin(void *arg)
{
    struct pw_lookup *l = arg;
    pw_pods_begin(&l->pods);
}

static int pods_put(void *arg, const json_t *object, bool deleted, struct pw_err *err)
{
    struct pw_lookup *l = arg;
    int rc = pw_pods_put(&l->pods, object, deleted, err);

    for (size_t i = 0; i < CLIENTS && l->n; i++)
        if (l->client[i].fd >= 0 && l->client[i].asked)
            try(l, &l->client[i]);
    return rc;
}

static void pods_end(void *arg)
{
    struct pw_lookup *l = arg;
    pw_pods_end(&l->pods);
}

static const struct pw_watch_ops pods_ops = {pods_begin, pods_put, pods_end};

static int follow(struct pw_lookup *l, struct pw_err *err)
{
    struct pw_agent *a = l->agent;
    char *node = curl_easy_escape(NULL, a->conf.node_name, 0);

    if (!node)
        return pw_err_errno(err, -ENOMEM, "lookup");
    snprintf(l->selector, sizeof(l->selector), "fieldSelector=spec.nodeName%%3D%s", node);
    curl_free(node);
    l->pods.conf = &a->conf;
    l->watch = (struct pw_watch){.what = "pods to look up",
                                 .path = "/api/v1/pods",
                                 .selector = l->selector,
                                 .keep = pw_pods_keep,
                                 .keep_event = pw_pods_keep_event,
                                 .max = PW_PODS_KEPT,
                                 .ops = &pods_ops,
                                 .arg = l,
                                 .multi = a->multi,
                                 .kube = &a->kube,
                                 .idle = a->conf.idle_timeout};
    return 0;
}

/* ---- all of it ---- */

static int listen_at(const char *path, struct pw_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    pw_fd fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    unlink(path);
    /* Nobody else's for a moment, either. */
    mode_t mask = umask(0177);
    int rc = fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
    umask(mask);
    if (!rc && listen(fd, SOMAXCONN))
        rc = -errno;
    return rc ? pw_err_errno(err, rc, "listen on %s", path) : PW_TAKE_FD(fd);
}

int pw_lookup_open(struct pw_lookup **out, struct pw_agent *a, struct pw_err *err)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = LISTENER};
    pw_free struct pw_lookup *l = calloc(1, sizeof(*l));

    if (!l)
        return pw_err_errno(err, -ENOMEM, "lookup");
    l->agent = a;
    for (size_t i = 0; i < CLIENTS; i++)
        l->client[i].fd = -1;
    int rc = follow(l, err);
    if (rc)
        return rc;
    pw_fd epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return pw_err_errno(err, -errno, "lookup");
    pw_fd listener = listen_at(PW_AGENT_SOCKET, err);
    if (listener < 0)
        return listener;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e))
        return pw_err_errno(err, -errno, "lookup");
    l->epoll = PW_TAKE_FD(epoll);
    l->listener = PW_TAKE_FD(listener);
    *out = PW_TAKE_PTR(l);
    return 0;
}

int pw_lookup_fd(const struct pw_lookup *l)
{
    return l ? l->epoll : -1;
}

struct pw_lookup_counts pw_lookup_counts(const struct pw_lookup *l)
{
    struct pw_lookup_counts c = l->counts;

    c.followed = pw_watch_well(&l->watch);
    c.pods = l->pods.n;
    return c;
}

double pw_lookup_run(struct pw_lookup *l, double now)
{
    struct epoll_event e[16];

    if (!l)
        return now + 3600;
    double next = pw_watch_run(&l->watch, now);
    int n = epoll_wait(l->epoll, e, (int)PW_ARRAY_SIZE(e), 0);
    for (int i = 0; i < n; i++) {
        if (e[i].data.u32 == LISTENER)
            let_in(l, now);
        else if (l->client[e[i].data.u32].fd >= 0)
            hear(l, &l->client[e[i].data.u32]);
    }
    for (size_t i = 0; i < CLIENTS && l->n; i++) {
        struct client *c = &l->client[i];
        if (c->fd >= 0 && c->until <= now)
            time_out(l, c);
        else if (c->fd >= 0 && c->until < next)
            next = c->until;
    }
    /* There may be more of them. */
    return n > 0 ? now : next;
}

void pw_lookup_close(struct pw_lookup *l)
{
    if (!l)
        return;
    unlink(PW_AGENT_SOCKET);
    pw_watch_stop(&l->watch);
    for (size_t i = 0; i < CLIENTS; i++)
        if (l->client[i].fd >= 0)
            pw_closep(&l->client[i].fd);
    pw_closep(&l->listener);
    pw_closep(&l->epoll);
    pw_pods_free(&l->pods);
    free(l);
}
