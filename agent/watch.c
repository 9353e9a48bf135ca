/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loader/base/clock.h"
#include "loader/base/json.h"

#define PAGE 500
#define CONTINUE_MAX 4096
#define LIST_SECONDS 600L
#define WATCH_SECONDS 300L /* to twice that, so that not all nodes come back at once */
#define WATCH_GRACE 60L
#define BACKOFF_FIRST 0.25
#define BACKOFF_LAST 30.0
#define SHORT_WATCH 1.0 /* seconds: one that ends sooner is no success */
#define SAY_AGAIN 300.0

static const char *const frame_keep[] = {"metadata.resourceVersion", "metadata.continue", NULL};

static double chance(void)
{
    uint32_t r = 0;

    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
        r = (uint32_t)random();
    return r / 4294967296.0;
}

static bool valid_version(const char *s)
{
    size_t n = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
    return n > 0 && s[n] == '\0' && n < sizeof(((struct pw_watch *)0)->version);
}

static const char *meta_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(object, "metadata"), key));
    return s ? s : "";
}

static void end_request(struct pw_watch *w)
{
    pw_request_stop(&w->request, w->multi);
    pw_pick_free(&w->pick);
}

static void wait(struct pw_watch *w, double now, double seconds)
{
    end_request(w);
    w->until = now + seconds;
    w->state = w->once && w->failed ? PW_WATCH_DONE : PW_WATCH_WAITING;
}

/* Try again later, and later each time. `at_once`: the first time without waiting. */
static void fail(struct pw_watch *w, double now, bool at_once, double at_least, const char *why)
{
    double delay = BACKOFF_FIRST;

    for (unsigned i = 0; i < w->failures && delay < BACKOFF_LAST; i++)
        delay *= 2;
    delay = (delay < BACKOFF_LAST ? delay : BACKOFF_LAST) * (0.5 + chance());
    if (at_once && w->failures == 0)
        delay = 0;
    else
        pw_log_new(&w->trouble, now, SAY_AGAIN, PW_LOG_WARN, "API, %s: %s", w->what, why);
    w->failures++;
    w->errors++;
    w->failed = true;
    wait(w, now, delay > at_least ? delay : at_least);
}

static void well(struct pw_watch *w)
{
    char text[96];

    snprintf(text, sizeof(text), "API, %s: followed again", w->what);
    pw_log_well(&w->trouble, text);
    w->failures = 0;
    w->failed = false;
}

/* ---- what arrives ---- */

/* A NUL may be in what a user or a kubelet writes, and must not keep us from the rest. */
#define FLAGS JSON_ALLOW_NUL

static int list_item(void *arg, const char *text, size_t len, struct pw_err *err)
{
    struct pw_watch *w = arg;
    pw_json *o = json_loadb(text, len, FLAGS, NULL);

    if (!o)
        return pw_err_set(err, -EBADMSG, "an object of the list is no JSON");
    return w->ops->put(w->arg, o, false, err);
}

static int event(void *arg, const char *text, size_t len, struct pw_err *err)
{
    struct pw_watch *w = arg;
    pw_json *e = json_loadb(text, len, FLAGS, NULL);
    const char *type = json_string_value(json_object_get(e, "type"));
    const json_t *object = json_object_get(e, "object");
    int rc = 0;

    if (!type || !json_is_object(object))
        return pw_err_set(err, -EBADMSG, "an event is no JSON as expected");
    if (strcmp(type, "ERROR") == 0) {
        const char *message = json_string_value(json_object_get(object, "message"));
        w->gone = json_integer_value(json_object_get(object, "code")) == 410;
        return pw_err_set(err, w->gone ? -ESTALE : -EPROTO, "%.300s",
                          message ? message : "the watch failed");
    }
    const char *version = meta_text(object, "resourceVersion");
    if (strcmp(type, "BOOKMARK") != 0) {
        rc = w->ops->put(w->arg, object, strcmp(type, "DELETED") == 0, err);
        w->events++;
    }
    if (!rc && valid_version(version))
        memcpy(w->version, version, strlen(version) + 1);
    return rc;
}

static size_t arrived(char *data, size_t size, size_t n, void *arg)
{
    struct pw_watch *w = arg;

    n *= size;
    w->heard = pw_clock_s();
    if (pw_request_status(&w->request) != 200) {
        size_t room = sizeof(w->body) - 1 - w->body_len, some = n < room ? n : room;
        memcpy(w->body + w->body_len, data, some);
        w->body_len += some;
        return n;
    }
    w->synced = w->state == PW_WATCH_WATCHING ? w->heard : w->synced;
    unsigned long left_out = w->pick.left_out;
    int rc = pw_pick_feed(&w->pick, data, n, &w->err);
    if (w->pick.left_out != left_out)
        pw_log_new(&w->large, w->heard, SAY_AGAIN, PW_LOG_WARN,
                   "API, %s: one has more than %zu bytes that matter: left out", w->what,
                   w->max ? w->max : (size_t)PW_PICK_MAX);
    return rc ? 0 : n;
}

/* ---- requests ---- */

static void start(struct pw_watch *w, double now, enum pw_watch_state state, const char *query,
                  long seconds)
{
    struct pw_err err = PW_ERR_INIT;
    char path[CONTINUE_MAX + 512];

    bool list = state == PW_WATCH_LISTING;
    w->pick = (struct pw_pick){.keep = list ? frame_keep : w->keep_event,
                               .list = list ? "items" : NULL,
                               .keep_item = w->keep,
                               .max = w->max,
                               .object = list ? list_item : event,
                               .arg = w};
    w->state = state;
    w->began = w->heard = now;
    w->body_len = 0;
    w->gone = false;
    w->err = (struct pw_err)PW_ERR_INIT;
    snprintf(path, sizeof(path), "%s?%s%s%s", w->path, w->selector ? w->selector : "",
             w->selector ? "&" : "", query);
    if (pw_request_start(&w->request, w->multi, w->kube, path, seconds, arrived, w, &err))
        fail(w, now, false, 0, err.msg);
}

static void start_list(struct pw_watch *w, double now, bool newest)
{
    char query[CONTINUE_MAX + 64];

    if (w->next) {
        snprintf(query, sizeof(query), "limit=%d&continue=%s", PAGE, w->next);
    } else {
        w->ops->begin(w->arg);
        /* Any version that a server has in its cache will do, since the watch brings what is newer;
         * but not when it is too old for that. */
        snprintf(query, sizeof(query), "limit=%d%s", PAGE, newest ? "" : "&resourceVersion=0");
    }
    start(w, now, PW_WATCH_LISTING, query, LIST_SECONDS);
}

static void start_watch(struct pw_watch *w, double now)
{
    long seconds = WATCH_SECONDS + (long)((double)WATCH_SECONDS * chance());
    char query[256];

    w->watches++;
    snprintf(query, sizeof(query),
             "watch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%ld", w->version,
             seconds);
    start(w, now, PW_WATCH_WATCHING, query, seconds + WATCH_GRACE);
}

double pw_watch_run(struct pw_watch *w, double now)
{
    if (w->state == PW_WATCH_DONE)
        return now + 3600;
    if (w->state == PW_WATCH_WAITING) {
        if (now < w->until)
            return w->until;
        if (w->version[0] && !w->once)
            start_watch(w, now);
        else
            start_list(w, now, w->gone);
    } else if (now >= w->heard + w->idle) {
        /* Bookmarks come about every minute: who says nothing for so long is not there. */
        fail(w, now, true, 0, "nothing was heard for too long, the connection is given up");
        return w->until;
    }
    if (w->state == PW_WATCH_WAITING)
        return w->until;
    if (w->state == PW_WATCH_WATCHING && w->failures) {
        /* Connected again; not yet for one that ends as soon as it has begun. */
        if (now >= w->began + SHORT_WATCH && pw_request_status(&w->request) == 200)
            well(w);
        else if (now < w->began + SHORT_WATCH)
            return w->began + SHORT_WATCH;
    }
    return w->heard + w->idle;
}

static void forget_page(struct pw_watch *w)
{
    free(w->next);
    w->next = NULL;
}

/* The version has expired: list anew. */
static void expired(struct pw_watch *w, double now)
{
    pw_log(PW_LOG_INFO, "API, %s: version %s has expired, listed anew", w->what, w->version);
    w->version[0] = '\0';
    forget_page(w);
    wait(w, now, 0);
    w->gone = true;
}

static int list_page(struct pw_watch *w, struct pw_err *err)
{
    size_t len = 0;
    const char *text = pw_pick_frame(&w->pick, &len);
    pw_json *frame = text ? json_loadb(text, len, 0, NULL) : NULL;
    const char *version = meta_text(frame, "resourceVersion");
    const char *next = meta_text(frame, "continue");
    int rc = pw_pick_end(&w->pick, err);

    forget_page(w);
    if (rc)
        return rc;
    if (!valid_version(version) || strlen(next) > CONTINUE_MAX / 3)
        return pw_err_set(err, -EBADMSG, "the list has no version, or too long a token");
    if (*next) {
        char *escaped = curl_easy_escape(w->request.easy, next, 0);
        w->next = escaped ? strdup(escaped) : NULL;
        curl_free(escaped);
        return w->next ? 0 : pw_err_errno(err, -ENOMEM, "list");
    }
    memcpy(w->version, version, strlen(version) + 1);
    return 0;
}

static void list_done(struct pw_watch *w, double now)
{
    struct pw_err err = PW_ERR_INIT;

    if (list_page(w, &err)) {
        forget_page(w);
        fail(w, now, false, 0, err.msg);
        return;
    }
    wait(w, now, 0);
    if (w->next)
        return;
    w->lists++;
    w->synced = now;
    well(w);
    w->ops->end(w->arg);
    if (w->once)
        w->state = PW_WATCH_DONE;
}

/* The words of a Status object, or of whatever the server has sent. */
static void refused(struct pw_watch *w, double now, long status)
{
    pw_json *o = json_loadb(w->body, w->body_len, 0, NULL);
    const char *message = json_string_value(json_object_get(o, "message"));
    char why[640];

    snprintf(why, sizeof(why), "HTTP %ld: %.*s%s", status,
             (int)(message ? strlen(message) : w->body_len), message ? message : w->body,
             status == 403 ? " (see the ClusterRole in deploy/)" : "");
    /* A page of a list that was begun from a cache must not be gone on with for ever. */
    forget_page(w);
    /* 401: the token may have been changed just now; each request reads it anew. */
    fail(w, now, status == 401, pw_request_retry_after(&w->request), why);
}

void pw_watch_done(struct pw_watch *w, CURLcode result, double now)
{
    long status = pw_request_status(&w->request);
    bool watching = w->state == PW_WATCH_WATCHING;
    char why[CURL_ERROR_SIZE + 64];

    if (w->state != PW_WATCH_LISTING && !watching)
        return;
    if (status == 410 || w->gone) {
        expired(w, now);
    } else if (w->err.code) {
        /* What the server said makes no sense: the whole again. */
        if (watching)
            w->version[0] = '\0';
        forget_page(w);
        fail(w, now, false, 0, w->err.msg);
    } else if (result != CURLE_OK && result != CURLE_PARTIAL_FILE && !(watching && status == 200)) {
        snprintf(why, sizeof(why), "%s",
                 w->request.problem[0] ? w->request.problem : curl_easy_strerror(result));
        fail(w, now, false, 0, why);
    } else if (status != 200) {
        refused(w, now, status);
    } else if (!watching) {
        list_done(w, now);
    } else if (now - w->began < SHORT_WATCH) {
        fail(w, now, false, 0, "the watch ended at once");
    } else {
        /* Its time is over, or the server's: go on from where it was. */
        well(w);
        wait(w, now, 0);
    }
}

void pw_watch_stop(struct pw_watch *w)
{
    end_request(w);
    forget_page(w);
    w->state = PW_WATCH_DONE;
}

bool pw_watch_well(const struct pw_watch *w)
{
    return w->failures == 0 && w->version[0];
}
