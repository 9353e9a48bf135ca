/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define CONNECT_SECONDS 10L
/* A peer that is silent is asked after 20 s, and given up when it has not answered 5 times. */
#define KEEP_IDLE 20
#define KEEP_INTERVAL 5
#define KEEP_COUNT 5
#define UNACKNOWLEDGED_MS 45000

static int socket_options(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    static const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS}};

    (void)arg;
    (void)purpose;
    for (size_t i = 0; i < PW_ARRAY_SIZE(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    return CURL_SOCKOPT_OK;
}

/* The file's text, else a copy of the inline one; NULL where there is neither. */
static int text_of(const char *file, const char *text, char **out, struct pw_err *err)
{
    if (file)
        return pw_kube_file(file, out, err);
    if (text && !(*out = strdup(text)))
        return pw_err_errno(err, -ENOMEM, "request");
    return 0;
}

static void blob(CURL *easy, CURLoption option, char *text)
{
    struct curl_blob b = {text, text ? strlen(text) : 0, CURL_BLOB_NOCOPY};

    if (text)
        curl_easy_setopt(easy, option, &b);
}

static int add_header(struct pw_request *r, const char *line, struct pw_err *err)
{
    struct curl_slist *more = curl_slist_append(r->headers, line);

    if (!more)
        return pw_err_errno(err, -ENOMEM, "request");
    r->headers = more;
    return 0;
}

static int log_in(struct pw_request *r, const struct pw_kube *kube, struct pw_err *err)
{
    pw_free char *token = NULL, *line = NULL;
    int rc = add_header(r, "Accept: application/json", err);

    if (!rc)
        rc = text_of(kube->token_file, kube->token, &token, err);
    if (!rc && token) {
        if (strpbrk(token, "\r\n"))
            return pw_err_set(err, -EINVAL, "the token has more than one line");
        if (asprintf(&line, "Authorization: Bearer %s", token) < 0)
            line = NULL;
        rc = line ? add_header(r, line, err) : pw_err_errno(err, -ENOMEM, "request");
    }
    if (!rc)
        rc = text_of(kube->ca_file, kube->ca, &r->ca, err);
    if (!rc)
        rc = text_of(kube->cert_file, kube->cert, &r->cert, err);
    return rc ? rc : text_of(kube->key_file, kube->key, &r->key, err);
}

static int set_up(struct pw_request *r, const struct pw_kube *kube, const char *path, long seconds,
                  pw_request_fn fn, void *arg, struct pw_err *err)
{
    pw_free char *url = NULL;
    CURL *e = r->easy;
    int rc = log_in(r, kube, err);

    if (rc)
        return rc;
    if (asprintf(&url, "%s%s", kube->server, path) < 0) {
        url = NULL;
        return pw_err_errno(err, -ENOMEM, "request");
    }
    if (curl_easy_setopt(e, CURLOPT_URL, url) != CURLE_OK)
        return pw_err_errno(err, -ENOMEM, "request");
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "podwired/" PW_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->problem);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, fn);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, arg);
    curl_easy_setopt(e, CURLOPT_PRIVATE, arg);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT, seconds);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, socket_options);
    /* What rotates is read anew, and a node's proxy settings are not the API server's. */
    curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    if (kube->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    blob(e, CURLOPT_CAINFO_BLOB, r->ca);
    blob(e, CURLOPT_SSLCERT_BLOB, r->cert);
    blob(e, CURLOPT_SSLKEY_BLOB, r->key);
    return 0;
}

int pw_request_start(struct pw_request *r, CURLM *multi, const struct pw_kube *kube,
                     const char *path, long seconds, pw_request_fn fn, void *arg,
                     struct pw_err *err)
{
    pw_request_stop(r, multi);
    r->easy = curl_easy_init();
    if (!r->easy)
        return pw_err_errno(err, -ENOMEM, "request");
    int rc = set_up(r, kube, path, seconds, fn, arg, err);
    if (!rc && curl_multi_add_handle(multi, r->easy) != CURLM_OK)
        rc = pw_err_errno(err, -ENOMEM, "request");
    if (rc) {
        /* Not of `multi` yet. */
        curl_easy_cleanup(r->easy);
        r->easy = NULL;
        pw_request_stop(r, multi);
    }
    return rc;
}

long pw_request_status(const struct pw_request *r)
{
    long status = 0;

    if (r->easy)
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

double pw_request_retry_after(const struct pw_request *r)
{
    curl_off_t seconds = 0;

    if (r->easy)
        curl_easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &seconds);
    return seconds < 0 ? 0 : seconds > 120 ? 120 : (double)seconds;
}

void pw_request_stop(struct pw_request *r, CURLM *multi)
{
    if (r->easy) {
        curl_multi_remove_handle(multi, r->easy);
        curl_easy_cleanup(r->easy);
    }
    curl_slist_free_all(r->headers);
    free(r->ca);
    free(r->cert);
    free(r->key);
    memset(r, 0, sizeof(*r));
}
