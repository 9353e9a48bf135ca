/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/gen_int.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "bench/mark.h"
#include "bench/scan.h"
#include "loader/base/cleanup.h"

#define MAX_CPUS 512
#define TICK_NS (1000000000ULL / 100) /* /proc/stat counts in hundredths of a second */

static int softirqd[MAX_CPUS], nsoftirqd, stat_fd = -1;

void nb_gen_init(void)
{
    if (stat_fd >= 0)
        return;
    stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    pw_dir *d = opendir("/proc");
    struct dirent *e;
    while (d && (e = readdir(d)) && nsoftirqd < MAX_CPUS) {
        char path[300], comm[32] = "";
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        pw_fd fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, comm, sizeof(comm) - 1) <= 0 || strncmp(comm, "ksoftirqd/", 10) != 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%s/schedstat", e->d_name);
        int s = open(path, O_RDONLY | O_CLOEXEC);
        if (s >= 0)
            softirqd[nsoftirqd++] = s;
    }
}

void nb_count(struct nb_counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(&c->v, n, memory_order_relaxed);
}

uint64_t nb_read(struct nb_counter *c)
{
    return atomic_load_explicit(&c->v, memory_order_relaxed);
}

int nb_fail(struct nb_shared *sh, const char *what)
{
    int none = 0, e = errno ? errno : EIO;
    if (atomic_compare_exchange_strong(&sh->failed, &none, e))
        snprintf(sh->why, sizeof(sh->why), "%s", what);
    atomic_store(&sh->stop, true);
    return 1;
}

void nb_pin(int cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

socklen_t nb_sockaddr(const struct pw_addr *a, unsigned port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, a->b, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    memcpy(&in6->sin6_addr, a->b, 16);
    return sizeof(*in6);
}

/* ---- counters of the kernel ---- */

static size_t slurp(int fd, char *buf, size_t size)
{
    size_t n = 0;
    while (n < size - 1) {
        ssize_t k = pread(fd, buf + n, size - 1 - n, (off_t)n);
        if (k <= 0)
            break;
        n += (size_t)k;
    }
    buf[n] = '\0';
    return n;
}

/* Packets and bytes that a device has received. */
static void dev_counters(int fd, const char *dev, uint64_t *bytes, uint64_t *packets)
{
    char buf[16384], want[20];
    *bytes = *packets = 0;
    if (fd < 0)
        return;
    slurp(fd, buf, sizeof(buf));
    snprintf(want, sizeof(want), "%s:", dev);
    for (char *line = buf; line; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (strncmp(line, want, strlen(want)) == 0) {
            const char *at = line + strlen(want);
            if (nb_scan_u64(&at, 10, bytes))
                nb_scan_u64(&at, 10, packets);
            return;
        }
    }
}

/* Ip: ForwDatagrams, the sixth value of the second "Ip:" line. */
static uint64_t forwarded(int fd)
{
    char buf[8192];
    uint64_t v = 0;
    if (fd < 0)
        return 0;
    slurp(fd, buf, sizeof(buf));
    const char *first = strstr(buf, "Ip: "), *at = first ? strstr(first + 4, "\nIp: ") : NULL;
    if (!at)
        return 0;
    at += 4;
    for (int i = 0; i < 6; i++)
        if (!nb_scan_u64(&at, 10, &v))
            return 0;
    return v;
}

static uint64_t ksoftirqd_ns(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < nsoftirqd; i++) {
        char buf[128];
        slurp(softirqd[i], buf, sizeof(buf));
        sum += strtoull(buf, NULL, 10);
    }
    return sum;
}

static void cpu_times(uint64_t *softirq, uint64_t *idle)
{
    char buf[4096];
    uint64_t v[7]; /* user nice system idle iowait irq softirq */
    *softirq = *idle = 0;
    if (stat_fd < 0)
        return;
    slurp(stat_fd, buf, sizeof(buf));
    const char *at = buf;
    if (!nb_scan_text(&at, "cpu "))
        return;
    for (int i = 0; i < 7; i++)
        if (!nb_scan_u64(&at, 10, &v[i]))
            return;
    *idle = v[3] * TICK_NS;
    *softirq = v[6] * TICK_NS;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static uint64_t process_ns(pid_t pid)
{
    clockid_t id;
    return clock_getcpuclockid(pid, &id) == 0 ? clock_ns(id) : 0;
}

static void snapshot(struct nb_shared *sh, struct nb_sample *s)
{
    s->cpu_client_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    s->cpu_server_ns = process_ns(sh->server_pid);
    s->cpu_helper_ns = 0;
    for (unsigned i = 0; i < sh->probe.nhelpers; i++)
        s->cpu_helper_ns += process_ns(sh->probe.helper[i]);
    s->ksoftirqd_ns = ksoftirqd_ns();
    cpu_times(&s->softirq_ns, &s->idle_ns);
    s->forwarded = forwarded(sh->probe.snmp[0]) + forwarded(sh->probe.snmp[1]);
}

/* ---- the window ---- */

void nb_window_start(struct nb_window *w, struct nb_shared *sh)
{
    memset(w, 0, sizeof(*w));
    w->sh = sh;
    w->start = pw_clock_ns();
}

static uint64_t all_bytes(struct nb_shared *sh)
{
    return nb_read(&sh->rx_bytes[0]) + nb_read(&sh->rx_bytes[1]);
}

bool nb_window_step(struct nb_window *w, uint64_t done, uint64_t now)
{
    struct nb_shared *sh = w->sh;
    const struct nb_job *j = &sh->job;
    bool by_number = j->run_n != 0;

    if (w->phase == 0) {
        if (by_number ? done < j->warm_n : now - w->start < j->warm_ns)
            return true;
        memset(&sh->hist, 0, sizeof(sh->hist));
        snapshot(sh, &w->at0);
        w->ops0 = done;
        w->bytes0 = all_bytes(sh);
        w->sent0 = nb_read(&sh->sent);
        w->phase = 1;
        w->start = pw_clock_ns();
        if (j->mark)
            nb_mark_begin(j->mark_number);
        return true;
    }
    if (w->phase == 1) {
        if (by_number ? done - w->ops0 < j->run_n : now - w->start < j->run_ns)
            return true;
        if (j->mark)
            nb_mark_end();
        struct nb_sample s = {0}, *o = &sh->out;
        uint64_t end = pw_clock_ns();
        uint64_t bytes = all_bytes(sh), sent = nb_read(&sh->sent);
        snapshot(sh, &s);
        o->ns = end - w->start;
        o->ops = done - w->ops0;
        o->bytes = bytes - w->bytes0;
        o->sent = sent - w->sent0;
        o->cpu_client_ns = s.cpu_client_ns - w->at0.cpu_client_ns;
        o->cpu_server_ns = s.cpu_server_ns - w->at0.cpu_server_ns;
        o->cpu_helper_ns = s.cpu_helper_ns - w->at0.cpu_helper_ns;
        o->ksoftirqd_ns = s.ksoftirqd_ns - w->at0.ksoftirqd_ns;
        o->softirq_ns = s.softirq_ns - w->at0.softirq_ns;
        o->idle_ns = s.idle_ns - w->at0.idle_ns;
        o->forwarded = s.forwarded - w->at0.forwarded;
        w->phase = 2;
    }
    return false;
}

/* ---- the two processes ---- */

static int server_main(void *p)
{
    struct nb_shared *sh = p;
    nb_signal(SIGPIPE, SIG_IGN);
    nb_pin(sh->job.cpu_server);
    switch (sh->job.kind) {
    case NB_TCP_STREAM:
    case NB_TCP_RR:
    case NB_TCP_CRR:
        return nb_tcp_server(sh);
    case NB_UDP_RR:
    case NB_UDP_RATE:
    case NB_TAP_RATE:
        return nb_udp_server(sh);
    default:
        return nb_tool_server(sh);
    }
}

static int client_main(void *p)
{
    struct nb_shared *sh = p;
    uint64_t b0, p0, b1, p1;
    int rc;

    nb_signal(SIGPIPE, SIG_IGN);
    nb_pin(sh->job.cpu_client);
    /* The receiving device: the server's, and the client's too where data flows back. For the two
     * ends of a loopback the device is the same and is counted once. */
    bool same = strcmp(sh->end[0].dev, "lo") == 0;
    dev_counters(sh->probe.dev[1], sh->end[1].dev, &b0, &p0);
    if (!same) {
        uint64_t b, n;
        dev_counters(sh->probe.dev[0], sh->end[0].dev, &b, &n);
        b0 += b;
        p0 += n;
    }
    switch (sh->job.kind) {
    case NB_TCP_STREAM:
    case NB_TCP_RR:
    case NB_TCP_CRR:
        rc = nb_tcp_client(sh);
        break;
    case NB_UDP_RR:
    case NB_UDP_RATE:
    case NB_TAP_RATE:
        rc = nb_udp_client(sh);
        break;
    default:
        rc = nb_tool_client(sh);
        break;
    }
    dev_counters(sh->probe.dev[1], sh->end[1].dev, &b1, &p1);
    if (!same) {
        uint64_t b, n;
        dev_counters(sh->probe.dev[0], sh->end[0].dev, &b, &n);
        b1 += b;
        p1 += n;
    }
    sh->out.dev_bytes = b1 - b0;
    sh->out.dev_packets = p1 - p0;
    if (sh->job.kind < NB_IPERF3) {
        sh->out.app_bytes = all_bytes(sh);
        sh->out.retrans_bytes = nb_read(&sh->retrans);
        sh->out.app_ops = nb_read(&sh->rx_ops[0]) + nb_read(&sh->rx_ops[1]);
    }
    return rc;
}

/* Wait for the client, but not for ever and not when the laboratory stops. Polls: a measurement
 * lasts long against the interval, and the parent must not take CPU from it. */
static int await_client(pid_t pid, uint64_t limit_ns)
{
    uint64_t end = pw_clock_ns() + limit_ns;
    for (;;) {
        int st;
        pid_t r = waitpid(pid, &st, WNOHANG);
        if (r == pid)
            return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
        if (nb_stopping())
            return -EINTR;
        if (pw_clock_ns() > end)
            return -ETIMEDOUT;
        struct timespec nap = {0, 5000000};
        nanosleep(&nap, NULL);
    }
}

static void end_child(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        nb_wait(pid);
    }
}

static void unmap(struct nb_shared **sh)
{
    if (*sh)
        munmap(*sh, sizeof(**sh));
}

int nb_gen_run(const struct nb_job *job, const struct nb_end *client, const struct nb_end *server,
               const struct nb_probe *probe, struct nb_sample *out, struct nb_hist *hist,
               struct pw_err *err)
{
    void *mem = mmap(NULL, sizeof(struct nb_shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mem == MAP_FAILED)
        return pw_err_errno(err, -errno, "shared memory");
    pw_cleanup(unmap) struct nb_shared *sh = mem;
    sh->job = *job;
    sh->end[0] = *client;
    sh->end[1] = *server;
    sh->probe = *probe;
    sem_init(&sh->ready, 1, 0);
    sem_init(&sh->drain, 1, 0);

    pid_t srv = nb_spawn(&server->spot, server_main, sh, err);
    if (srv < 0)
        return srv;
    sh->server_pid = srv;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    int waited;
    while ((waited = sem_timedwait(&sh->ready, &until)) < 0 && errno == EINTR && !nb_stopping())
        ;
    if (waited < 0 || sh->failed) {
        end_child(srv);
        if (nb_stopping())
            return pw_err_set(err, -EINTR, "stopped");
        return pw_err_set(err, -EIO, "server did not start: %s: %s", sh->why,
                          strerror(sh->failed ? sh->failed : ETIMEDOUT));
    }
    pid_t cli = nb_spawn(&client->spot, client_main, sh, err);
    int rc = cli;
    if (cli > 0) {
        /* By number the length is unknown; a minute is beyond anything sensible. */
        uint64_t limit =
            job->run_n ? 120000000000ULL : 2 * (job->warm_ns + job->run_ns) + 15000000000ULL;
        rc = await_client(cli, limit);
        if (rc < 0)
            end_child(cli);
    }
    end_child(srv);
    if (rc == -EINTR)
        return pw_err_set(err, rc, "stopped");
    if (rc == -ETIMEDOUT)
        return pw_err_set(err, rc, "no end in time (%s)", sh->why[0] ? sh->why : "traffic stalled");
    if (sh->failed)
        return pw_err_set(err, -sh->failed, "%s: %s", sh->why, strerror(sh->failed));
    if (rc != 0)
        return pw_err_set(err, -EIO, "client ended with %d", rc);
    *out = sh->out;
    if (hist && sh->hist.n) {
        *hist = sh->hist;
        out->has_hist = true;
    }
    return 0;
}

/* ---- probes and audit ---- */

int nb_probe_open(const struct nb_end *client, const struct nb_end *server, const struct nb_node *a,
                  const struct nb_node *b, struct nb_probe *out, struct pw_err *err)
{
    struct nb_probe p = {{-1, -1}, {-1, -1}, NULL, 0};
    struct nb_spot na = {a, -1}, nb = {b, -1};
    p.dev[0] = nb_open_at(&client->spot, "/proc/thread-self/net/dev", O_RDONLY, err);
    p.dev[1] =
        p.dev[0] < 0 ? -1 : nb_open_at(&server->spot, "/proc/thread-self/net/dev", O_RDONLY, err);
    p.snmp[0] = p.dev[1] < 0 ? -1 : nb_open_at(&na, "/proc/thread-self/net/snmp", O_RDONLY, err);
    p.snmp[1] = p.snmp[0] < 0 ? -1 : nb_open_at(&nb, "/proc/thread-self/net/snmp", O_RDONLY, err);
    if (p.snmp[1] < 0) {
        nb_probe_close(&p);
        return err->code ? err->code : -EIO;
    }
    *out = p;
    return 0;
}

void nb_probe_close(struct nb_probe *p)
{
    for (int i = 0; i < 2; i++) {
        pw_closep(&p->dev[i]);
        pw_closep(&p->snmp[i]);
    }
}

bool nb_audit(const struct nb_job *job, const struct nb_sample *s, char why[200])
{
    if (job->kind >= NB_IPERF3)
        return true; /* no bytes of our own counting */
    /* A device counts frames with or without their link header, and TCP headers carry options or
     * not: each packet adds between 20 + 8 and 14 + 40 + 60 bytes to its payload. Segmented
     * super-packets count one header. What is left must be the payload, to half a percent, but for
     * what TCP sent twice; small control packets of other protocols get a fixed allowance. */
    bool tcp = job->kind <= NB_TCP_CRR;
    double least = tcp ? 40 : 28, most = tcp ? 114 : 62;
    double dev = (double)s->dev_bytes, n = (double)s->dev_packets, app = (double)s->app_bytes;
    double slack = 0.005 * dev + 65536;
    if (s->app_ops > 0 && job->kind != NB_TCP_STREAM && s->dev_packets < s->app_ops) {
        snprintf(why, 200, "receivers counted %llu messages, their devices only %llu packets",
                 (unsigned long long)s->app_ops, (unsigned long long)s->dev_packets);
        return false;
    }
    /* Datagrams may be lost after the device, at the socket: then the application has fewer. */
    if (job->kind == NB_UDP_RATE || job->kind == NB_TAP_RATE) {
        double per = n > 0 ? dev / n : 0;
        /* A neighbour's or router's packet among them may be shorter or longer. */
        if (n > 1000 && (per < 0.98 * (job->size + least) || per > 1.02 * (job->size + most))) {
            snprintf(why, 200, "device counted %.0f bytes a packet for datagrams of %u", per,
                     job->size);
            return false;
        }
        return true;
    }
    if (app > dev - n * least + slack || app < dev - n * most - slack - (double)s->retrans_bytes) {
        snprintf(
            why, 200,
            "receivers counted %.0f bytes, their devices %.0f in %.0f packets (%.0f sent twice)",
            app, dev, n, (double)s->retrans_bytes);
        return false;
    }
    return true;
}
