/* SPDX-License-Identifier: Apache-2.0 */
/* vm-rate with DPDK's virtio-user as the guest: a front-end that nobody here wrote, before
 * podwire-vhost and before DPDK's own back-end. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "bench/scan.h"
#include "bench/vm.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define WORDS 48

/* A program with what it says in a file. */
struct prog {
    char *argv[WORDS];
    char text[2048];
    const char *out;
    int cpu;
    bool urgent; /* before all other work: two busy loops that no softirq waits for */
};

__attribute__((format(printf, 2, 3))) static void words(struct prog *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->text, sizeof(p->text), fmt, ap);
    va_end(ap);
    unsigned n = 0;
    for (char *at = p->text, *w; (w = strsep(&at, " ")) && n < WORDS - 1;)
        if (*w)
            p->argv[n++] = w;
    p->argv[n] = NULL;
}

static int run_prog(void *arg)
{
    struct prog *p = arg;
    int out = open(p->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    vm_pin(p->cpu);
    if (p->urgent && sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 5}))
        return 1;
    if (out < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        return 1;
    execvp(p->argv[0], p->argv);
    return 127;
}

static void stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGINT);
    nb_wait(pid);
}

static void nap(double seconds)
{
    usleep((useconds_t)(seconds * 1e6));
}

#define TESTPMD                                                                                    \
    "dpdk-testpmd --lcores 0@%d,1@%d --no-huge -m 256 --no-pci --no-telemetry --no-shconf "        \
    "--file-prefix=%s%d --vdev %s -- --auto-start --no-mlockall --total-num-mbufs=8192 "           \
    "--stats-period 1 %s"

bool vm_dpdk_available(const char *vhost, char why[200])
{
    if (nb_have("dpdk-testpmd") && nb_have(vhost))
        return true;
    snprintf(why, 200, "needs dpdk-testpmd (Debian: dpdk-dev) and %.100s", vhost);
    return false;
}

static bool wait_socket(const char *path)
{
    struct stat st;
    for (int i = 0; i < 500; i++) {
        if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
            return true;
        nap(0.01);
    }
    return false;
}

/* The best second of what testpmd says it sent. */
static double best_second(const char *path)
{
    char line[400];
    double best = 0;
    pw_file *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *at = strstr(line, "Tx-pps:");
        uint64_t v;
        at = at ? at + 7 : line;
        if (at != line && nb_scan_u64(&at, 10, &v) && (double)v > best)
            best = (double)v;
    }
    return best / 1e6;
}

/* A back-end and a front-end over a socket in a folder of their own. */
struct couple {
    char dir[64], sock[96], back[96], front[96];
    pid_t backend, frontend;
};

static int couple_dir(struct couple *c, struct pw_err *err)
{
    *c = (struct couple){.dir = "/tmp/vm-rate.XXXXXX"};
    if (!mkdtemp(c->dir))
        return pw_err_errno(err, -errno, "folder in /tmp");
    snprintf(c->sock, sizeof(c->sock), "%s/s", c->dir);
    snprintf(c->back, sizeof(c->back), "%s/back", c->dir);
    snprintf(c->front, sizeof(c->front), "%s/front", c->dir);
    return 0;
}

static void couple_end(struct couple *c)
{
    stop(c->frontend);
    stop(c->backend);
    unlink(c->sock);
    unlink(c->back);
    unlink(c->front);
    rmdir(c->dir);
}

static int start_front(struct couple *c, const char *options, const char *mac, const char *args,
                       bool urgent, const struct vm_how *how, struct pw_err *err)
{
    struct prog p = {.out = c->front, .cpu = how->cpu[0], .urgent = urgent};
    char vdev[300];
    snprintf(vdev, sizeof(vdev), "net_virtio_user0,path=%s,queue_size=256,mac=%s%s", c->sock, mac,
             options);
    words(&p, TESTPMD, how->cpu[0], how->cpu[0], "fe", getpid(), vdev, args);
    if (!wait_socket(c->sock))
        return pw_err_set(err, -ETIMEDOUT, "the back-end does not listen");
    c->frontend = nb_spawn(&(struct nb_spot){NULL, -1}, run_prog, &p, err);
    return c->frontend < 0 ? c->frontend : 0;
}

int vm_dpdk_rings(const char *vhost, enum vm_backend b, const char *options,
                  const struct vm_how *how, double *mpps, struct pw_err *err)
{
    struct couple c;
    struct prog p = {.cpu = how->cpu[1], .urgent = true};
    char vdev[200];
    int rc = couple_dir(&c, err);
    if (rc < 0)
        return rc;
    p.out = c.back;
    snprintf(vdev, sizeof(vdev), "net_vhost0,iface=%s,queues=1", c.sock);
    if (b == VM_OURS)
        words(&p, "%s --null --socket-path=%s", vhost, c.sock);
    else
        words(&p, TESTPMD, how->cpu[1], how->cpu[1], "be", getpid(), vdev, "--forward-mode=rxonly");
    c.backend = nb_spawn(&(struct nb_spot){NULL, -1}, run_prog, &p, err);
    rc = c.backend < 0 ? c.backend
                       : start_front(&c, options, "02:00:00:00:00:01",
                                     "--forward-mode=txonly --txpkts=64", true, how, err);
    if (rc == 0)
        nap(3.6);
    stop(c.frontend);
    c.frontend = 0;
    *mpps = best_second(c.front);
    couple_end(&c);
    return rc < 0 ? rc : *mpps > 0 ? 0 : pw_err_set(err, -EIO, "testpmd sent nothing");
}

/* Memory that the process holds, that of the guest (shared) apart. */
static double resident_kib(pid_t pid)
{
    char path[40], line[200];
    double sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    pw_file *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *at = line;
        uint64_t v;
        if ((nb_scan_text(&at, "RssAnon:") || nb_scan_text(&at, "RssFile:")) &&
            nb_scan_u64(&at, 10, &v))
            sum += (double)v;
    }
    return sum;
}

/* CPU time of a process so far, in ticks of 10 ms. */
static double cpu_of(pid_t pid)
{
    char path[40], line[1000] = "";
    uint64_t user = 0, sys = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    pw_file *f = fopen(path, "re");
    if (!f || !fgets(line, sizeof(line), f))
        return 0;
    /* Behind the name: state, then ten numbers (one may be -1), then the two. */
    const char *at = strrchr(line, ')');
    char word[24];
    for (int i = 0; at && i < 12; i++)
        if (i == 0)
            at++;
        else if (!nb_scan_word(&at, word, sizeof(word)))
            return 0;
    return at && nb_scan_u64(&at, 10, &user) && nb_scan_u64(&at, 10, &sys)
               ? (double)(user + sys) / (double)sysconf(_SC_CLK_TCK)
               : 0;
}

int vm_dpdk_up(const char *vhost, struct vm_lane *l, const struct vm_how *how, double *mpps,
               double *cpu_gb, double *kib, struct pw_err *err)
{
    struct nb_spot at = {&l->site.node[0], -1};
    struct couple c;
    struct prog p = {.cpu = how->cpu[1]};
    char from[PW_ADDR_STRLEN], to[PW_ADDR_STRLEN], mac[PW_MAC_STRLEN], gw[PW_MAC_STRLEN], args[300];
    uint64_t f0 = 0, f1 = 0, bytes;
    int rc = couple_dir(&c, err);
    if (rc < 0)
        return rc;
    p.out = c.back;
    /* The front-end is not on that node: the socket's folder is seen by both. */
    words(&p, "%s --tap=%s --socket-path=%s", vhost, l->tap, c.sock);
    snprintf(args, sizeof(args), "--forward-mode=txonly --txpkts=64 --tx-ip=%s,%s --eth-peer=0,%s",
             pw_addr_text(&l->site.pod[NB_POD_A1].addr, false, from),
             pw_addr_text(&l->site.pod[NB_POD_A2].addr, false, to), pw_mac_text(l->gateway, gw));
    c.backend = nb_spawn(&at, run_prog, &p, err);
    rc = c.backend < 0 ? c.backend
                       : start_front(&c, "", pw_mac_text(l->mac, mac), args, false, how, err);
    if (rc == 0) {
        nap(1.5);
        uint64_t t = pw_clock_ns();
        double cpu = cpu_of(c.backend);
        vm_counted(l, &f0, &bytes);
        nap(1.5);
        vm_counted(l, &f1, &bytes);
        *mpps = (double)(f1 - f0) / ((double)(pw_clock_ns() - t) / 1e3);
        *cpu_gb = f1 > f0 ? (cpu_of(c.backend) - cpu) / ((double)(f1 - f0) * 64 / 1e9) : 0;
        *kib = resident_kib(c.backend);
    }
    couple_end(&c);
    return rc < 0 ? rc : *mpps > 0 ? 0 : pw_err_set(err, -EIO, "nothing reached the pod");
}
