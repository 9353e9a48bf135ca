/* SPDX-License-Identifier: Apache-2.0 */
/* The same questions put to iperf3 and sockperf, so that the figures do not hang on our own
 * generator alone. Both run for whole seconds. */
#include "bench/gen_int.h"
#include "bench/scan.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "loader/base/cleanup.h"

#define PORT "5201"

static unsigned seconds(uint64_t ns)
{
    return ns < 1500000000ULL ? 1 : (unsigned)((ns + 500000000ULL) / 1000000000ULL);
}

static void quiet(void)
{
    pw_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, 1);
        dup2(null, 2);
    }
}

int nb_tool_server(struct nb_shared *sh)
{
    sem_post(&sh->ready); /* the client tries again until the program listens */
    quiet();
    nb_signal(SIGPIPE, SIG_DFL);
    if (sh->job.kind == NB_IPERF3) {
        execlp("iperf3", "iperf3", "-s", "-1", "-p", PORT, (char *)NULL);
    } else {
        char addr[PW_ADDR_STRLEN];
        pw_addr_text(&sh->end[1].addr, false, addr);
        execlp("sockperf", "sockperf", "sr", "-i", addr, "-p", PORT, (char *)NULL);
    }
    return nb_fail(sh, "start server program");
}

/* Run the client program here (we are at its spot already); its stdout, or NULL. */
static char *run_here(const char *const argv[])
{
    struct nb_out o = {0};
    struct nb_spot here = {NULL, -1};
    struct pw_err err = PW_ERR_INIT;
    return nb_exec(&here, argv, NULL, NULL, &o, &err) < 0 ? NULL : o.text;
}

static bool parse_iperf3(struct nb_shared *sh, const char *text)
{
    json_t *doc = json_loads(text, 0, NULL), *sum, *cpu;
    json_t *end = json_object_get(doc, "end");
    bool ok = false;
    sum = json_object_get(end, "sum_received");
    cpu = json_object_get(end, "cpu_utilization_percent");
    if (json_is_object(sum) && json_is_object(cpu)) {
        double s = json_number_value(json_object_get(sum, "seconds"));
        struct nb_sample *o = &sh->out;
        o->ns = (uint64_t)(s * 1e9);
        o->bytes = (uint64_t)json_integer_value(json_object_get(sum, "bytes"));
        o->cpu_client_ns =
            (uint64_t)(s * 1e7 * json_number_value(json_object_get(cpu, "host_total")));
        o->cpu_server_ns =
            (uint64_t)(s * 1e7 * json_number_value(json_object_get(cpu, "remote_total")));
        ok = o->ns > 0 && o->bytes > 0;
    }
    json_decref(doc);
    return ok;
}

static bool parse_sockperf(struct nb_shared *sh, const char *text, const char *csv)
{
    const char *valid = strstr(text, "[Valid Duration]");
    double run;
    uint64_t sent, got;
    char line[256];
    struct nb_sample *o = &sh->out;
    if (!valid || !nb_scan_text(&valid, "[Valid Duration] RunTime=") ||
        !nb_scan_double(&valid, &run) || !nb_scan_text(&valid, "sec; SentMessages=") ||
        !nb_scan_u64(&valid, 10, &sent) || !nb_scan_text(&valid, "; ReceivedMessages=") ||
        !nb_scan_u64(&valid, 10, &got))
        return false;
    o->ns = (uint64_t)(run * 1e9);
    o->ops = got;
    o->sent = sent;
    o->lost = sent > got ? sent - got : 0;
    o->bytes = 2 * got * sh->job.size;
    /* The full log holds "packet, txTime(sec), rxTime(sec)" for every message. */
    pw_file *f = fopen(csv, "re");
    while (f && fgets(line, sizeof(line), f)) {
        uint64_t n;
        double tx, rx;
        const char *at = line;
        if (nb_scan_u64(&at, 10, &n) && nb_scan_text(&at, ",") && nb_scan_double(&at, &tx) &&
            nb_scan_text(&at, ",") && nb_scan_double(&at, &rx) && rx > tx)
            nb_hist_add(&sh->hist, (uint64_t)((rx - tx) * 1e9));
    }
    return o->ns > 0 && got > 0;
}

static int iperf3_client(struct nb_shared *sh, const char *addr, const char *time)
{
    char flows[16], warm[16];
    const struct nb_job *j = &sh->job;
    snprintf(flows, sizeof(flows), "%u", j->flows);
    snprintf(warm, sizeof(warm), "%u", j->warm_ns ? seconds(j->warm_ns) : 0);
    const char *argv[] = {"iperf3",
                          "-J",
                          "-c",
                          addr,
                          "-p",
                          PORT,
                          "-t",
                          time,
                          "-P",
                          flows,
                          "-O",
                          warm,
                          "-C",
                          j->cc ? j->cc : "cubic",
                          j->down ? "-R" : NULL,
                          NULL};
    pw_free char *text = run_here(argv);
    return text ? (parse_iperf3(sh, text) ? 0 : 2) : 1;
}

static int sockperf_client(struct nb_shared *sh, const char *addr, const char *time)
{
    char size[16];
    const char *csv = "/run/netbench-sockperf.csv";
    snprintf(size, sizeof(size), "%u", sh->job.size);
    const char *argv[] = {"sockperf", "pp", "-i", addr,         "-p",         PORT, "-m",
                          size,       "-t", time, "--full-rtt", "--full-log", csv,  NULL};
    pw_free char *text = run_here(argv);
    int rc = text ? (parse_sockperf(sh, text, csv) ? 0 : 2) : 1;
    unlink(csv);
    return rc;
}

int nb_tool_client(struct nb_shared *sh)
{
    char addr[PW_ADDR_STRLEN], time[16];
    struct timespec nap = {0, 100000000};
    pw_addr_text(&sh->end[1].addr, false, addr);
    snprintf(time, sizeof(time), "%u", seconds(sh->job.run_ns));
    for (int tries = 0; tries < 30; tries++) {
        nanosleep(&nap, NULL);
        int rc = sh->job.kind == NB_IPERF3 ? iperf3_client(sh, addr, time)
                                           : sockperf_client(sh, addr, time);
        if (rc == 0)
            return 0;
        if (rc == 2) {
            errno = EPROTO;
            return nb_fail(sh, "understand the program's output");
        }
    }
    errno = ECONNREFUSED;
    return nb_fail(sh, sh->job.kind == NB_IPERF3 ? "iperf3" : "sockperf");
}
