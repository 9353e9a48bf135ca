/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API knows of one resource, followed: list, then watch, for ever (Kubernetes API
 * concepts, "Efficient detection of changes"). Survives whatever happens to the server and the
 * connection; a watch that ends goes on where it was, and only 410 Gone lists anew.
 */
#ifndef PW_AGENT_WATCH_H
#define PW_AGENT_WATCH_H

#include <jansson.h>

#include "agent/log.h"
#include "agent/pick.h"
#include "agent/request.h"

/* Members of an event that the watch itself needs; a table of kept members begins with them. */
#define PW_WATCH_KEEP "type", "object.code", "object.message"

struct pw_watch_ops {
    void (*begin)(void *arg); /* a list begins; what is not put until the end is gone */
    int (*put)(void *arg, const json_t *object, bool deleted, struct pw_err *err);
    void (*end)(void *arg); /* it was whole */
};

enum pw_watch_state {
    PW_WATCH_WAITING, /* until `until` */
    PW_WATCH_LISTING,
    PW_WATCH_WATCHING,
    PW_WATCH_DONE, /* once: listed, or failed */
};

/* All zero but what the caller fills in. */
struct pw_watch {
    const char *what;     /* for messages: "nodes" */
    const char *path;     /* "/api/v1/nodes" */
    const char *selector; /* "fieldSelector=..." escaped; NULL: all */
    const char *const *keep, *const *keep_event;
    size_t max; /* bytes kept of one object (agent/pick.h) */
    const struct pw_watch_ops *ops;
    void *arg;
    CURLM *multi;
    const struct pw_kube *kube;
    double idle; /* seconds of silence after which a connection is taken for dead */
    bool once;   /* list only; a failure ends it too */

    enum pw_watch_state state;
    struct pw_request request;
    struct pw_pick pick;
    char version[64]; /* "" until there was a list */
    char *next;       /* page of the list: token; owned */
    bool gone;        /* the version had expired: list what is newest */
    bool failed;      /* of a `once` */
    double until, heard, began;
    unsigned failures; /* in a row */
    char body[512];    /* beginning of an answer that is no success */
    size_t body_len;
    struct pw_err err; /* why the body was not understood */
    struct pw_log_again trouble, large;

    /* For the metrics. */
    unsigned long lists, watches, events, errors;
    double synced; /* when it last was known to be in line */
};

/* Do what is due at `now` (seconds, CLOCK_MONOTONIC); returns when it wants to be called next. */
double pw_watch_run(struct pw_watch *w, double now);
/* curl says that its transfer has ended. */
void pw_watch_done(struct pw_watch *w, CURLcode result, double now);
/* End it and free what it holds. */
void pw_watch_stop(struct pw_watch *w);
/* Whether the API answered last time. */
bool pw_watch_well(const struct pw_watch *w);

#endif
