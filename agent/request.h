/* SPDX-License-Identifier: Apache-2.0 */
/* One GET at the Kubernetes API, driven by the caller's curl multi handle: credentials, TLS, and
 * the times after which a connection that no longer answers is given up. */
#ifndef PW_AGENT_REQUEST_H
#define PW_AGENT_REQUEST_H

#include <curl/curl.h>

#include "agent/kube.h"

struct pw_request {
    CURL *easy; /* owned */
    struct curl_slist *headers;
    char *ca, *cert, *key; /* texts that curl points into */
    char problem[CURL_ERROR_SIZE];
};

typedef size_t (*pw_request_fn)(char *data, size_t size, size_t n, void *arg);

/* Begin; `path` begins with a slash. The handle is added to `multi`. `arg` is also what
 * CURLINFO_PRIVATE gives. `seconds`: what the whole may take. */
int pw_request_start(struct pw_request *r, CURLM *multi, const struct pw_kube *kube,
                     const char *path, long seconds, pw_request_fn fn, void *arg,
                     struct pw_err *err);
/* The answer's HTTP status; 0 before there is one. */
long pw_request_status(const struct pw_request *r);
/* Seconds that the server asks to wait (Retry-After), 0 when it does not. */
double pw_request_retry_after(const struct pw_request *r);
/* End it, at any point; success when there is none. */
void pw_request_stop(struct pw_request *r, CURLM *multi);

#endif
