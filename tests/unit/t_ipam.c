/* SPDX-License-Identifier: Apache-2.0 */
/* cni/ipam_range.c and cni/ipam_store.c: ranges as written, addresses given out and taken back,
 * what a killed process leaves, and 65,000 addresses. */
#include "cni/ipam_store.h"
#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* A tmpfs, as /run is. */
static char root[] = "/dev/shm/pw-ipam.XXXXXX";

static struct pw_addr addr(const char *text)
{
    struct pw_addr a = {0};
    pw_addr_parse(text, &a, NULL);
    return a;
}

static int ranges(const char *ipam, struct pw_ranges *out, struct pw_err *err)
{
    json_t *j = json_loads(ipam, 0, NULL);
    struct pw_netconf c = {.ipam = j};
    int rc = pw_ranges_read(&c, out, err);
    json_decref(j);
    return rc;
}

static void good_range(const char *ipam, const char *first, const char *last)
{
    struct pw_ranges r = PW_RANGES_INIT;
    struct pw_err err = PW_ERR_INIT;
    char buf[PW_ADDR_STRLEN];

    is_int(ranges(ipam, &r, &err), 0, "range: %s", ipam);
    if (r.n) {
        is_str(pw_addr_text(&r.list[0].first, false, buf), first, "first");
        is_str(pw_addr_text(&r.list[0].last, false, buf), last, "last");
    }
    pw_ranges_free(&r);
}

static void bad_range(const char *ipam)
{
    struct pw_ranges r = PW_RANGES_INIT;
    struct pw_err err = PW_ERR_INIT;

    is_int(ranges(ipam, &r, &err), PW_CNI_CONF, "refused: %s", ipam);
    ok(!r.list && err.msg[0], "with a reason: %s", err.msg);
}

static void range_limits(void)
{
    good_range("{\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}]]}", "10.1.0.1", "10.1.0.254");
    good_range("{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.9\"}", "10.1.0.9",
               "10.1.0.254");
    good_range("{\"ranges\":[[{\"subnet\":\"10.1.0.0/16\",\"rangeEnd\":\"10.1.9.9\"}]]}",
               "10.1.0.1", "10.1.9.9");
    good_range("{\"subnet\":\"10.1.0.0/31\"}", "10.1.0.0", "10.1.0.1");
    good_range("{\"subnet\":\"10.1.0.7/32\"}", "10.1.0.7", "10.1.0.7");
    good_range("{\"subnet\":\"0.0.0.0/0\"}", "0.0.0.1", "255.255.255.254");
    good_range("{\"subnet\":\"fd00::/64\"}", "fd00::1", "fd00::ffff:ffff:ffff:ffff");
    good_range("{\"subnet\":\"::/0\"}", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    bad_range("{\"ranges\":null}");
    bad_range("{\"ranges\":[]}");
    bad_range("{\"ranges\":[[]]}");
    bad_range("{\"ranges\":[[null]]}");
    bad_range("{\"ranges\":[[{\"subnet\":\"10.1.0.0\"}]]}");
    bad_range("{\"ranges\":[[{\"subnet\":\"10.1.0.1/24\"}]]}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.2.0.1\"}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"fd00::1\"}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"rangeStart\":\"10.1.0.9\",\"rangeEnd\":\"10.1.0.8\"}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"gateway\":\"10.2.0.1\"}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"exclude\":\"10.1.0.1\"}");
    bad_range("{\"subnet\":\"10.1.0.0/24\",\"exclude\":[\"x\"]}");
    bad_range("{\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"},{\"subnet\":\"fd00::/64\"}]]}");
}

static void exclusions(void)
{
    struct pw_ranges r = PW_RANGES_INIT;
    struct pw_addr in = addr("10.1.0.200"), out = addr("10.1.0.70"), gw = addr("10.1.0.1");

    ranges("{\"subnet\":\"10.1.0.0/24\",\"gateway\":\"10.1.0.1\","
           "\"exclude\":[\"10.1.0.2\",\"10.1.0.64/26\",\"10.1.0.128/30\"]}",
           &r, NULL);
    is_int(pw_range_skip(&r, &r.list[0], pw_addr_num(&gw)) - pw_addr_num(&r.list[0].subnet), 3,
           "gateway and excluded addresses are passed over");
    is_int(pw_range_skip(&r, &r.list[0], pw_addr_num(&out)) - pw_addr_num(&r.list[0].subnet), 132,
           "two excluded ranges next to each other too");
    ok(pw_range_has(&r, &r.list[0], &in), "one that is left");
    ok(!pw_range_has(&r, &r.list[0], &out) && !pw_range_has(&r, &r.list[0], &gw),
       "two that are not");
    pw_ranges_free(&r);
}

static void take_and_release(void)
{
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct pw_addr a[2] = {addr("10.1.0.5"), addr("fd00::5")}, got[4];
    bool used, found;
    size_t n;
    pw_num num;

    is_int(pw_store_open(&s, root, "net", false, &err), -ENOENT, "no store yet");
    is_int(pw_store_open(&s, root, "net", true, &err), 0, "made: %s", err.msg);
    is_int(pw_store_take(&s, "c1:eth0", a, 2, &err), 0, "two addresses taken: %s", err.msg);
    ok(pw_store_is_used(&s, &a[0], &used, &err) == 0 && used, "in use, IPv4");
    ok(pw_store_is_used(&s, &a[1], &used, &err) == 0 && used, "in use, IPv6");
    is_int(pw_store_owned(&s, "c1:eth0", got, 4, &n, &err), 0, "owner is read");
    ok(n == 2 && pw_addr_same(&got[0], &a[0]) && pw_addr_same(&got[1], &a[1]), "has both");
    pw_store_owned(&s, "c1:eth1", got, 4, &n, &err);
    is_int(n, 0, "another has none");
    pw_num five = pw_addr_num(&a[0]);
    ok(pw_store_find(&s, 4, five, five, &num, &found, &err) == 0 && !found, "not found free");
    ok(pw_store_find(&s, 4, five, five + 1, &num, &found, &err) == 0 && found && num == five + 1,
       "the next is");
    is_int(pw_store_release(&s, "c1:eth0", &err), 0, "released");
    is_int(pw_store_release(&s, "c1:eth0", &err), 0, "again: nothing to do");
    ok(pw_store_is_used(&s, &a[0], &used, &err) == 0 && !used, "free again");
    /* The ends of a block and of the numbers. */
    struct pw_addr ends[2] = {addr("10.1.255.255"), addr("10.2.0.0")};
    pw_store_take(&s, "c2:eth0", ends, 2, &err);
    pw_num from = pw_addr_num(&ends[0]);
    ok(pw_store_find(&s, 4, from, from + 5, &num, &found, &err) == 0 && found && num == from + 2,
       "a search goes on in the next block");
    struct pw_addr last = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    pw_store_take(&s, "c3:eth0", &last, 1, &err);
    ok(pw_store_find(&s, 6, pw_addr_num(&last), pw_addr_num(&last), &num, &found, &err) == 0 &&
           !found,
       "a search ends at the last address there is");
    struct pw_addr before;
    pw_store_last(&s, &ends[0], &before);
    is_int(before.family, 0, "nothing was last yet");
    pw_store_set_last(&s, &ends[0], &ends[1], &err);
    pw_store_last(&s, &ends[0], &before);
    ok(pw_addr_same(&before, &ends[1]), "the last is remembered");
}

static bool keep_c2(const char *owner, void *arg)
{
    (void)arg;
    return strcmp(owner, "c2:eth0") == 0;
}

static void sweep(void)
{
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct pw_addr got[4];
    size_t n;

    is_int(pw_store_open(&s, root, "net", false, &err), 0, "opened again");
    is_int(pw_store_sweep(&s, keep_c2, NULL, &err), 0, "swept");
    pw_store_owned(&s, "c2:eth0", got, 4, &n, &err);
    is_int(n, 2, "what is kept is there");
    pw_store_owned(&s, "c3:eth0", got, 4, &n, &err);
    is_int(n, 0, "the rest is not");
}

/* A process killed between any two writes: the mark tells, and the maps follow the owners. */
static void killed(void)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_addr a = addr("10.5.0.5"), b = addr("10.5.0.6");
    char path[100];
    bool used_a = false, used_b = true;

    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    pw_store_open(&s, root, "kill", true, &err);
    pw_store_take(&s, "c1:eth0", &a, 1, &err);
    /* Address b is marked as used, its owner was not written; a's bit is lost. */
    pw_store_take(&s, "c2:eth0", &b, 1, &err);
    unlinkat(s.dir, "owners/c2:eth0", 0);
    snprintf(path, sizeof(path), "%s/ipam/kill/used-10.5.0.0", root);
    pw_fd fd = open(path, O_RDWR | O_CLOEXEC);
    is_int(pwrite(fd, "\x40", 1, 0), 1, "a map that is wrong in both ways");
    pw_fd begun = openat(s.dir, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ok(begun >= 0, "an owner begun and not named");
    is_int(pwrite(s.lock, "1", 1, 0), 1, "and a change that was not finished");
    pw_store_close(&s);
    is_int(pw_store_open(&s, root, "kill", false, &err), 0, "opened: %s", err.msg);
    pw_store_is_used(&s, &a, &used_a, &err);
    pw_store_is_used(&s, &b, &used_b, &err);
    ok(used_a && !used_b, "the maps follow the owners");
    char byte = '?';
    ok(pread(s.lock, &byte, 1, 0) == 1 && byte == '0', "and the mark is gone");
    ok(faccessat(s.dir, "new", F_OK, 0) != 0, "and what was begun");

    /* Killed right after the folder was made. */
    snprintf(path, sizeof(path), "%s/ipam/new", root);
    mkdir(path, 0700);
    pw_store_close(&s);
    is_int(pw_store_open(&s, root, "new", false, &err), 0, "a folder without anything in it");
    is_int(pw_store_take(&s, "c1:eth0", &a, 1, &err), 0, "is as good as none: %s", err.msg);
}

/* Two processes at once do not give out the same address. */
static void at_once(void)
{
    struct pw_err err = PW_ERR_INIT;
    enum { PROCS = 4, EACH = 50 };
    pid_t pids[PROCS];

    for (int p = 0; p < PROCS; p++) {
        pids[p] = fork();
        if (pids[p])
            continue;
        for (int i = 0; i < EACH; i++) {
            struct pw_store s = PW_STORE_INIT;
            char owner[32];
            pw_num first = (pw_num)10 << 24, n;
            bool found;
            snprintf(owner, sizeof(owner), "p%d-%d:eth0", p, i);
            if (pw_store_open(&s, root, "par", true, &err) ||
                pw_store_find(&s, 4, first, first + 1000, &n, &found, &err) || !found)
                _exit(1);
            struct pw_addr a = pw_num_addr(n, 4);
            if (pw_store_take(&s, owner, &a, 1, &err))
                _exit(1);
            pw_store_close(&s);
        }
        _exit(0);
    }
    int bad = 0, status;
    for (int p = 0; p < PROCS; p++)
        bad |= waitpid(pids[p], &status, 0) < 0 || status;
    ok(!bad, "%d processes, %d times each", PROCS, EACH);
    struct pw_store s = PW_STORE_INIT;
    size_t n = 0;
    pw_store_open(&s, root, "par", false, &err);
    pw_store_count(&s, 4, (pw_num)10 << 24, ((pw_num)10 << 24) + 1000, SIZE_MAX, &n, &err);
    is_int(n, PROCS * EACH, "as many addresses are used");
    pw_store_close(&s);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void many(void)
{
    struct pw_store s = PW_STORE_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct pw_addr first = addr("10.8.0.1"), before;
    pw_num lo = pw_addr_num(&first), hi = lo + 65000 - 1, n = 0;
    bool found, all = true;
    double early = 0, late = 0;
    char owner[32];

    for (unsigned i = 0; i < 65000 && all; i++) {
        double t = now_us();
        snprintf(owner, sizeof(owner), "c%u:eth0", i);
        all = pw_store_open(&s, root, "many", true, &err) == 0;
        pw_store_last(&s, &first, &before);
        pw_num from = before.family ? pw_addr_num(&before) + 1 : lo;
        all = all && pw_store_find(&s, 4, from, hi, &n, &found, &err) == 0 && found;
        struct pw_addr a = pw_num_addr(n, 4);
        all = all && pw_store_take(&s, owner, &a, 1, &err) == 0 &&
              pw_store_set_last(&s, &first, &a, &err) == 0;
        pw_store_close(&s);
        t = now_us() - t;
        early += i < 500 ? t : 0;
        late += i >= 64500 ? t : 0;
    }
    ok(all, "65,000 addresses: %s", err.msg);
    diag("the first 500: %.0f us each, the last 500: %.0f us each", early / 500, late / 500);
    pw_store_open(&s, root, "many", false, &err);
    ok(pw_store_find(&s, 4, lo, hi, &n, &found, &err) == 0 && !found, "then none is free");
    pw_store_release(&s, "c40000:eth0", &err);
    ok(pw_store_find(&s, 4, lo, hi, &n, &found, &err) == 0 && found && n == lo + 40000,
       "and the one that is released is found");
    pw_store_close(&s);
}

static void texts(void)
{
    struct pw_addr out[3];
    is_int(pw_store_parse("10.0.0.1\nnonsense\n\nfd00::1", 27, out, 3), 2,
           "lines that are no address are passed over");
    is_int(pw_store_parse("10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n", 36, out, 3), 3,
           "no more than asked");
    is_int(pw_store_parse("", 0, out, 3), 0, "empty");
}

int main(void)
{
    if (!mkdtemp(root))
        bail("mkdtemp");
    range_limits();
    exclusions();
    texts();
    take_and_release();
    sweep();
    killed();
    at_once();
    many();
    char cmd[64];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", root);
    return system(cmd) ? 1 : tap_done(); /* NOLINT(cert-env33-c): our own words */
}
