/* SPDX-License-Identifier: Apache-2.0 */
/* podwired: the node agent. Options, start, and the one loop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/http.h"
#include "agent/lookup.h"
#include "loader/base/clock.h"
#include "loader/obj.h"
#include "loader/pin.h"

#define TURN_SECONDS 10

enum { OK = 0, FAILED = 1, USAGE = 2 };

struct options {
    const char *config;
    bool config_given, check, cleanup;
    struct pw_agent_conf conf; /* of flags: what is not empty */
};

static int help(void)
{
    fputs(
        "usage: podwired [OPTION]...\n"
        "\n"
        "The node agent of podwire: keeps the datapath, the CNI list and the ways to other nodes'\n"
        "pods in line with the Kubernetes API. See podwired(8).\n"
        "\n"
        "  --config FILE       configuration (default " PW_AGENT_CONF ")\n"
        "  --node-name NAME    this node's name in the API (default: environment NODE_NAME)\n"
        "  --kubeconfig FILE   how to reach the API (default: as a pod's service account)\n"
        "  --server URL        the API server, with --token-file and --ca-file\n"
        "  --token-file FILE   token to show; read anew for each request\n"
        "  --ca-file FILE      who signs the server's certificate; read anew likewise\n"
        "  --listen ADDR:PORT  where /healthz, /readyz and /metrics are (default 127.0.0.1:9470)\n"
        "  --log-level LEVEL   error, warn, info or debug\n"
        "  --check-config      say whether the configuration is sound, and end\n"
        "  --cleanup           remove the CNI lists and the datapath from this node, and end\n"
        "  --help, --version\n"
        "\n"
        "It may be killed or replaced at any time: pods and their traffic do not notice.\n",
        stdout);
    return OK;
}

static int usage(const char *what, const char *arg)
{
    fprintf(stderr, "podwired: %s '%s'\nTry: podwired --help\n", what, arg ? arg : "");
    return USAGE;
}

static bool put(char *to, size_t size, const char *text)
{
    int n = snprintf(to, size, "%s", text);
    return n >= 0 && (size_t)n < size;
}

/* -1 to go on, else the exit code. */
static int read_options(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"node-name", required_argument, NULL, 'n'},
                                            {"kubeconfig", required_argument, NULL, 'k'},
                                            {"server", required_argument, NULL, 's'},
                                            {"token-file", required_argument, NULL, 't'},
                                            {"ca-file", required_argument, NULL, 'a'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"log-level", required_argument, NULL, 'L'},
                                            {"check-config", no_argument, NULL, 'C'},
                                            {"cleanup", no_argument, NULL, 'U'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    struct pw_agent_conf *f = &o->conf;
    bool fits = true;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->config = optarg;
            o->config_given = true;
            break;
        case 'n':
            fits = put(f->node_name, sizeof(f->node_name), optarg);
            break;
        case 'k':
            fits = put(f->kubeconfig, sizeof(f->kubeconfig), optarg);
            break;
        case 's':
            fits = put(f->server, sizeof(f->server), optarg);
            break;
        case 't':
            fits = put(f->token_file, sizeof(f->token_file), optarg);
            break;
        case 'a':
            fits = put(f->ca_file, sizeof(f->ca_file), optarg);
            break;
        case 'l':
            fits = put(f->listen, sizeof(f->listen), optarg);
            break;
        case 'L':
            fits = pw_log_find(optarg) >= 0 && put(f->log_level, sizeof(f->log_level), optarg);
            break;
        case 'C':
            o->check = true;
            break;
        case 'U':
            o->cleanup = true;
            break;
        case 'h':
            return help();
        case 'V':
            printf("podwired %s\nbuild %s, ABI %d\n", PW_VERSION, pw_obj_build(), PW_ABI);
            return OK;
        default:
            return usage("unknown option, or one without its value,", argv[optind - 1]);
        }
        if (!fits)
            return usage("no such value can be", optarg);
    }
    return optind < argc ? usage("unexpected argument", argv[optind]) : -1;
}

/* Flags over the file, the environment where neither has said anything. */
static void lay_over(struct pw_agent_conf *conf, const struct pw_agent_conf *flags)
{
    const char *name = getenv("NODE_NAME");

#define OVER(member)                                                                               \
    if (flags->member[0])                                                                          \
    memcpy(conf->member, flags->member, sizeof(conf->member))
    OVER(node_name);
    OVER(listen);
    OVER(log_level);
    if (flags->kubeconfig[0] || flags->server[0]) {
        memcpy(conf->kubeconfig, flags->kubeconfig, sizeof(conf->kubeconfig));
        memcpy(conf->server, flags->server, sizeof(conf->server));
    }
    OVER(token_file);
    OVER(ca_file);
#undef OVER
    if (!conf->node_name[0] && name)
        put(conf->node_name, sizeof(conf->node_name), name);
}

static int read_config(const struct options *o, struct pw_agent_conf *conf, struct pw_err *err)
{
    pw_free char *text = NULL;
    int rc;

    pw_agent_conf_init(conf);
    rc = pw_kube_file(o->config, &text, err);
    if (!rc)
        rc = pw_agent_conf_parse(text, strlen(text), conf, err);
    if (rc)
        return pw_err_wrap(err, "%s", o->config);
    lay_over(conf, &o->conf);
    if (o->cleanup)
        return 0;
    rc = pw_agent_conf_check(conf, err);
    return rc ? pw_err_wrap(err, "%s", o->config) : 0;
}

static char *copy(const char *s)
{
    return s[0] ? strdup(s) : NULL;
}

static int find_api(const struct pw_agent_conf *conf, struct pw_kube *out, struct pw_err *err)
{
    if (conf->kubeconfig[0])
        return pw_kubeconfig_read(conf->kubeconfig, out, err);
    if (!conf->server[0])
        return pw_kube_in_cluster(out, err);
    *out = (struct pw_kube){.server = copy(conf->server),
                            .token_file = copy(conf->token_file),
                            .ca_file = copy(conf->ca_file)};
    return 0;
}

/* One agent at a time; a restart may come before the last one's end. */
static int take_turn(struct pw_err *err)
{
    int fd = -EBUSY;

    for (int i = 0; i < 10 * TURN_SECONDS && fd == -EBUSY; i++) {
        if (i)
            usleep(100000);
        fd = pw_lock_agent(err);
    }
    return fd == -EBUSY ? pw_err_set(err, fd, "another podwired runs on this node") : fd;
}

/* Until a signal to end. */
static void loop(struct pw_agent *a, struct pw_http *http, int signals)
{
    struct curl_waitfd fds[3] = {{.fd = signals, .events = CURL_WAIT_POLLIN}};
    unsigned n = 1;

    if (http)
        fds[n++] = (struct curl_waitfd){.fd = pw_http_fd(http), .events = CURL_WAIT_POLLIN};
    if (a->lookup)
        fds[n++] = (struct curl_waitfd){.fd = pw_lookup_fd(a->lookup), .events = CURL_WAIT_POLLIN};
    for (;;) {
        double now = pw_clock_s();
        double wait = pw_agent_run(a, now) - now, served = pw_http_timeout(http);
        double asked = pw_lookup_run(a->lookup, now) - now;
        int running;
        if (served >= 0 && served < wait)
            wait = served;
        if (asked < wait)
            wait = asked;
        /* Started requests are driven before anything is waited for. */
        curl_multi_perform(a->multi, &running);
        if (wait < 0)
            wait = 0;
        curl_multi_poll(a->multi, fds, n, wait > 60 ? 60000 : (int)(wait * 1000) + 1, NULL);
        if (fds[0].revents)
            return;
        pw_http_run(http);
        curl_multi_perform(a->multi, &running);
        pw_agent_transfers(a, pw_clock_s());
        for (unsigned i = 0; i < n; i++)
            fds[i].revents = 0;
    }
}

static int serve(struct pw_agent_conf *conf, struct pw_err *err)
{
    struct pw_kube kube = {0};
    struct pw_http *http = NULL;
    struct pw_agent a;
    sigset_t set;
    int rc = find_api(conf, &kube, err);

    if (rc)
        return rc;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pw_fd signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    pw_fd turn = take_turn(err);
    if (turn < 0)
        return turn;
    rc = pw_agent_init(&a, conf, &kube, err);
    if (!rc && a.conf.listen[0])
        rc = pw_http_open(&http, a.conf.listen, &a, err);
    if (!rc && pw_agent_conf_looks_up(&a.conf))
        rc = pw_lookup_open(&a.lookup, &a, err);
    if (!rc) {
        pw_log(PW_LOG_INFO, "podwired %s, node %s, API %s", PW_VERSION, a.conf.node_name,
               a.kube.server);
        loop(&a, http, signals);
        pw_log(PW_LOG_INFO, "ends; the datapath and its pods go on");
    }
    pw_lookup_close(a.lookup);
    pw_http_close(http);
    pw_agent_close(&a);
    return rc;
}

/* An agent that runs would write again what is removed. The lock is not kept, else its file, in a
 * folder that goes, would be left. */
static int clean_up(const struct pw_agent_conf *conf, struct pw_err *err)
{
    pw_fd turn = take_turn(err);

    if (turn < 0)
        return turn;
    pw_closep(&turn);
    return pw_agent_cleanup(conf, err);
}

int main(int argc, char **argv)
{
    struct options o = {.config = PW_AGENT_CONF};
    struct pw_err err = PW_ERR_INIT;
    struct pw_agent_conf conf;
    int rc = read_options(&o, argc, argv);

    if (rc >= 0)
        return rc;
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    /* Ignored by whoever started us, it would hide how a plugin ended. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    umask(022);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rc = read_config(&o, &conf, &err);
    if (!rc)
        pw_log_set((enum pw_log_level)pw_log_find(conf.log_level));
    if (!rc && o.check)
        printf("podwired: %s is sound\n", o.config);
    else if (!rc && o.cleanup)
        rc = clean_up(&conf, &err);
    else if (!rc)
        rc = serve(&conf, &err);
    pw_agent_conf_free(&conf);
    curl_global_cleanup();
    if (rc)
        fprintf(stderr, "podwired: %s\n", err.msg);
    return rc ? FAILED : OK;
}
