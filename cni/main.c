/* SPDX-License-Identifier: Apache-2.0 */
/* podwire: the CNI plugin. One request per process: environment and stdin in, JSON on stdout out.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cni/cmd.h"
#include "cni/lookup.h"
#include "cni/result.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/latency.h"

static int print(json_t *json)
{
    pw_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (!text || puts(text) < 0 || fflush(stdout) == EOF)
        return 1;
    return 0;
}

static int print_error(enum pw_version version, const struct pw_err *err)
{
    pw_json *json = pw_result_error(version, err);
    print(json);
    return 1;
}

/* A person has called it. */
static int about(FILE *out)
{
    fprintf(
        out,
        "podwire %s: CNI plugin, run by container runtimes (see podwire(8)).\n"
        "CNI protocol versions: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
        "It belongs into the runtime's plugin folder, such as /opt/cni/bin. To look at the node, "
        "use podwirectl.\n",
        PW_VERSION);
    return 0;
}

/* The version on stdin is told back. Whoever gives no stdin to VERSION is not waited for long. */
static int version(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    pw_free char *text = NULL;
    size_t len = 0;

    if (!isatty(STDIN_FILENO) && poll(&p, 1, 1000) > 0)
        pw_req_read_fd(STDIN_FILENO, &text, &len, NULL);
    pw_json *json = pw_cmd_version(text ? pw_netconf_version(text, len) : PW_V110);
    return print(json);
}

/* What does not keep a pod from coming goes to the runtime's log. */
static void warn(const struct pw_req *req)
{
    const char *uplink = NULL;

    if (req->env.command == PW_CNI_ADD || req->env.command == PW_CNI_STATUS)
        uplink = pw_netconf_no_uplink(&req->conf);
    if (uplink)
        fprintf(
            stderr,
            "podwire: network %s: '%s' in \"uplinks\" is no device of this node: what comes by it "
            "later goes by the stack until it is found\n",
            req->conf.name, uplink);
    if (req->conf.unanswered[0])
        fprintf(stderr,
                "podwire: network %s: podwired does not say the pod's device (%s): it is taken "
                "from the list\n",
                req->conf.name, req->conf.unanswered);
}

static int dispatch_redirect(struct pw_req *req, json_t **answer, struct pw_err *err)
{
    switch (req->env.command) {
    case PW_CNI_ADD:
        return pw_redirect_add(req, answer, err);
    case PW_CNI_DEL:
        return pw_redirect_del(req, err);
    case PW_CNI_CHECK_CMD:
        return pw_redirect_check(req, err);
    case PW_CNI_GC:
        return pw_redirect_gc(err);
    case PW_CNI_STATUS:
    case PW_CNI_VERSION_CMD:
        break;
    }
    return 0;
}

/* Whoever wrote the configuration wants those that are there taken away, and none to come. */
static int closed(const struct pw_req *req, struct pw_err *err)
{
    if (!req->conf.closed)
        return 0;
    if (req->env.command == PW_CNI_STATUS)
        return pw_err_set(err, PW_CNI_UNAVAILABLE, "%.600s", req->conf.closed);
    if (req->env.command == PW_CNI_ADD)
        return pw_err_set(err, PW_CNI_AGAIN, "network %s takes no pods: %.600s", req->conf.name,
                          req->conf.closed);
    return 0;
}

static int dispatch(struct pw_req *req, json_t **answer, struct pw_err *err)
{
    int rc = closed(req, err);

    if (rc)
        return rc;
    if (req->conf.redirect_tap)
        return dispatch_redirect(req, answer, err);
    switch (req->env.command) {
    case PW_CNI_ADD:
        rc = pw_lookup_device(&req->conf, &req->env, err);
        return rc ? rc : pw_cmd_add(req, answer, err);
    case PW_CNI_DEL:
        return pw_cmd_del(req, err);
    case PW_CNI_CHECK_CMD:
        return pw_cmd_check(req, err);
    case PW_CNI_STATUS:
        return pw_cmd_status(req, err);
    case PW_CNI_GC:
        return pw_cmd_gc(req, err);
    case PW_CNI_VERSION_CMD:
        break;
    }
    return 0;
}

/* What the agent and its metrics know of requests. */
static void count(const struct pw_req *req, bool succeeded, uint64_t since)
{
    uint64_t us = (pw_clock_ns() - since) / 1000;

    if (req->env.command == PW_CNI_ADD)
        pw_latency_note(PW_LATENCY_ADD, succeeded, us);
    else if (req->env.command == PW_CNI_DEL)
        pw_latency_note(PW_LATENCY_DEL, succeeded, us);
}

int main(int argc, char **argv)
{
    uint64_t begin = pw_clock_ns();
    pw_cleanup(pw_req_free) struct pw_req req = PW_REQ_INIT;
    struct pw_err err = PW_ERR_INIT;
    pw_json *answer = NULL;

    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return printf("podwire %s\n", PW_VERSION) < 0;
    if (argc > 1 || !getenv("CNI_COMMAND"))
        return about(argc > 1 ? stdout : stderr);
    /* Delegated plugins and runtimes may close their ends early; that is no reason to die. */
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    /* Where a caller ignores it, so would we, and the kernel would not keep how a child ended. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    umask(022);
    if (pw_env_read(environ, &req.env, &err))
        return print_error(PW_V110, &err);
    req.env.redirect_tap = strcmp(basename(argv[0]), "tc-redirect-tap") == 0;
    if (req.env.command == PW_CNI_VERSION_CMD)
        return version();
    if (pw_req_read_fd(STDIN_FILENO, &req.text, &req.len, &err))
        return print_error(PW_V110, &err);
    if (pw_netconf_parse(req.text, req.len, &req.env, &req.conf, &err))
        return print_error(pw_netconf_version(req.text, req.len), &err);
    int rc = dispatch(&req, &answer, &err);
    count(&req, rc == 0, begin);
    if (rc) {
        if (!err.code)
            err.code = rc;
        return print_error(req.conf.version, &err);
    }
    warn(&req);
    if (!answer || print(answer) == 0)
        return 0;
    /* The runtime did not get what it needs to know of the pod: there is none, then. */
    req.env.command = PW_CNI_DEL;
    dispatch(&req, NULL, NULL);
    return 1;
}
