/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/metrics.h"
#include "loader/base/cleanup.h"

#define MAX_CONNECTIONS 16
#define IDLE_SECONDS 15U

struct pw_http {
    struct MHD_Daemon *daemon;
    struct pw_agent *agent;
};

int pw_http_parse(const char *listen, char address[64], uint16_t *port, struct pw_err *err)
{
    const char *colon = strrchr(listen, ':');
    char *end = NULL;

    errno = 0;
    unsigned long n =
        colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
    if (!n || n > 65535 || *end || colon - listen > 60)
        return pw_err_set(err, -EINVAL,
                          "'%.80s' is no address and port such as 127.0.0.1:9470 or [::1]:9470",
                          listen);
    bool brackets = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    snprintf(address, 64, "%.*s", (int)(colon - listen) - (brackets ? 2 : 0), listen + brackets);
    *port = (uint16_t)n;
    return 0;
}

static int address_of(const char *listen, struct sockaddr_in6 *v6, struct sockaddr_in *v4,
                      struct pw_err *err)
{
    char address[64] = "";
    uint16_t port = 0;
    int rc = pw_http_parse(listen, address, &port, err);

    if (rc)
        return rc;
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (!*address || inet_pton(AF_INET6, address, &v6->sin6_addr) == 1)
        return 6;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1)
        return 4;
    return pw_err_set(err, -EINVAL, "'%.80s': no IP address before the port", listen);
}

/* `text` is taken over where `mode` says so, else copied. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              char *text, size_t len, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);

    if (!r) {
        if (mode == MHD_RESPMEM_MUST_FREE)
            free(text);
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", type);
    enum MHD_Result rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    return answer(c, status, "text/plain; charset=utf-8", (char *)(uintptr_t)text, strlen(text),
                  MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result metrics(struct MHD_Connection *c, struct pw_agent *a)
{
    char *text = NULL;
    size_t len = 0;

    if (pw_metrics_write(a, &text, &len)) {
        free(text);
        return answer_text(c, 500, "out of memory\n");
    }
    /* What was put together for it is not needed until the next. */
    malloc_trim(0);
    return answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", text, len,
                  MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    const struct pw_http *http = arg;
    static int begun;
    char text[700];

    (void)version;
    (void)upload;
    if (!*state) {
        *state = &begun; /* the headers are read; what follows them is not wanted */
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_text(c, 405, "only GET\n");
    if (strcmp(url, "/metrics") == 0)
        return metrics(c, http->agent);
    /* That it answers at all is the health of a single loop. */
    if (strcmp(url, "/healthz") == 0)
        return answer_text(c, 200, "ok\n");
    if (strcmp(url, "/readyz") != 0)
        return answer_text(c, 404, "/healthz, /readyz, /metrics\n");
    if (http->agent->listed && !http->agent->why_not[0])
        return answer_text(c, 200, "ok\n");
    snprintf(text, sizeof(text), "%s\n",
             http->agent->why_not[0] ? http->agent->why_not : "starting");
    return answer_text(c, 503, text);
}

int pw_http_open(struct pw_http **out, const char *listen, struct pw_agent *a, struct pw_err *err)
{
    pw_free struct pw_http *http = calloc(1, sizeof(*http));
    struct sockaddr_in6 v6 = {0};
    struct sockaddr_in v4 = {0};
    int family = address_of(listen, &v6, &v4, err);

    if (family < 0)
        return family;
    if (!http)
        return pw_err_errno(err, -ENOMEM, "HTTP");
    http->agent = a;
    unsigned flags = MHD_USE_EPOLL;
    if (family == 6)
        flags |= v6.sin6_addr.s6_addr32[0] || v6.sin6_addr.s6_addr32[3] ? MHD_USE_IPv6
                                                                        : MHD_USE_DUAL_STACK;
    const void *sa = family == 6 ? (const void *)&v6 : (const void *)&v4;
    http->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_SOCK_ADDR, sa,
                                    MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
                                    MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192,
                                    MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
    if (!http->daemon)
        return pw_err_errno(err, errno ? -errno : -EIO, "listen on %s", listen);
    *out = PW_TAKE_PTR(http);
    return 0;
}

int pw_http_fd(const struct pw_http *http)
{
    const union MHD_DaemonInfo *info =
        http ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    return info ? info->epoll_fd : -1;
}

void pw_http_run(struct pw_http *http)
{
    if (http)
        MHD_run(http->daemon);
}

double pw_http_timeout(const struct pw_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (!http || MHD_get_timeout(http->daemon, &ms) != MHD_YES)
        return -1;
    return (double)ms / 1000;
}

void pw_http_close(struct pw_http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
