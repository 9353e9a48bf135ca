/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod-cost: what a pod costs on a node, plugin beside plugin in one run: time of ADD and DEL alone,
 * many at once, and on a node that is full already, and the memory that a pod holds. All plugins
 * have a node of their own, and their turns are interleaved.
 */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/args.h"
#include "bench/lab.h"
#include "bench/result.h"
#include "bench/stats.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

#define MAX_PODS 4096
#define MAX_LEVELS 8
#define MAX_KINDS 8

/* A plugin with its configuration. */
struct kind {
    const char *name, *title, *conf; /* conf: %s-free JSON */
    char plugin[PATH_MAX];
    bool ours;
};

#define REFERENCE_IPAM                                                                             \
    "\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.244.0.0/16\"}]],"             \
    "\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}"
#define OWN_IPAM                                                                                   \
    "\"uplinks\":[\"eth0\"],\"nativeRanges\":[\"10.244.0.0/16\"],\"ipam\":{\"type\":\"podwire\","  \
    "\"ranges\":[[{\"subnet\":\"10.244.0.0/16\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}"

static struct kind kinds[] = {
    {"ptp", "ptp + host-local",
     "{\"cniVersion\":\"1.0.0\",\"name\":\"cost\",\"type\":\"ptp\"," REFERENCE_IPAM, "", false},
    {"bridge", "bridge + host-local",
     "{\"cniVersion\":\"1.0.0\",\"name\":\"cost\",\"type\":\"bridge\",\"bridge\":\"cni0\","
     "\"isGateway\":true," REFERENCE_IPAM,
     "", false},
    {"podwire-veth", "podwire, veth",
     "{\"cniVersion\":\"1.1.0\",\"name\":\"cost\",\"type\":\"podwire\",\"device\":"
     "\"veth\"," OWN_IPAM,
     "", true},
    {"podwire-netkit", "podwire, netkit",
     "{\"cniVersion\":\"1.1.0\",\"name\":\"cost\",\"type\":\"podwire\",\"device\":"
     "\"netkit\"," OWN_IPAM,
     "", true},
};

/* A plugin's node, with the pods that fill it. */
struct plant {
    struct kind *kind;
    struct nb_node node;
    int net[MAX_PODS]; /* owned; -1: none */
    unsigned pods;
    bool out; /* it failed: measured no further */
    char why[PW_ERR_LEN];
};

struct options {
    unsigned rounds, parallel, levels[MAX_LEVELS], nlevels;
    const char *json, *cni_dir, *podwire, *only;
};

/* ADD and DEL times of one situation. */
struct series {
    double add[NB_MAX_ROUNDS], del[NB_MAX_ROUNDS];
    size_t nadd, ndel;
};

static struct plant plants[MAX_KINDS];
static unsigned nplants;
static struct options opt;

/* ---- one request ---- */

static int request(struct plant *p, const char *verb, const char *pod, double *ms,
                   struct pw_err *err)
{
    char command[32], id[64], ns[64], path[PATH_MAX + 16];
    snprintf(command, sizeof(command), "CNI_COMMAND=%s", verb);
    snprintf(id, sizeof(id), "CNI_CONTAINERID=cost-%s", pod);
    snprintf(ns, sizeof(ns), "CNI_NETNS=/run/netns/%s", pod);
    snprintf(path, sizeof(path), "CNI_PATH=%s", opt.cni_dir);
    const char *env[] = {command, id, ns, path, "CNI_IFNAME=eth0", NULL};
    const char *argv[] = {p->kind->plugin, NULL};
    struct nb_spot at = {&p->node, -1};
    uint64_t t0 = pw_clock_ns();
    int rc = nb_exec(&at, argv, env, p->kind->conf, NULL, err);
    *ms = (double)(pw_clock_ns() - t0) / 1e6;
    return rc;
}

static void give_up(struct plant *p, const char *what, const struct pw_err *err)
{
    p->out = true;
    snprintf(p->why, sizeof(p->why), "%.60s: %.900s", what, err->msg);
}

/* A network namespace for a pod of that number; its fd is kept in the plant. */
static int pod_ns(struct plant *p, unsigned i, char name[16], struct pw_err *err)
{
    snprintf(name, 16, "p%u", i);
    return nb_pod_make(&p->node, name, &p->net[i], err);
}

static void drop_ns(struct plant *p, unsigned i, const char *name)
{
    struct nb_spot at = {&p->node, -1};
    struct pw_err ignored = PW_ERR_INIT;
    pw_closep(&p->net[i]);
    nb_cmd(&at, &ignored, "umount /run/netns/%s", name);
    nb_cmd(&at, &ignored, "rm -f /run/netns/%s", name);
}

/* ADD and DEL of one pod more. */
static void one_pod(struct plant *p, struct series *s)
{
    char name[16];
    struct pw_err err = PW_ERR_INIT;
    double ms;
    unsigned i = p->pods;
    if (pod_ns(p, i, name, &err) < 0 || request(p, "ADD", name, &ms, &err) < 0) {
        give_up(p, "ADD", &err);
        return;
    }
    s->add[s->nadd++] = ms;
    if (request(p, "DEL", name, &ms, &err) < 0)
        give_up(p, "DEL", &err);
    else
        s->del[s->ndel++] = ms;
    drop_ns(p, i, name);
}

/* ---- many at once ---- */

struct racer {
    struct plant *p;
    const char *verb;
    unsigned pod;
    int start; /* end of a pipe whose closing is the signal */
    double *ms;
    int *rc;
};

static int race(void *arg)
{
    struct racer *r = arg;
    char name[16], c;
    struct pw_err err = PW_ERR_INIT;
    snprintf(name, sizeof(name), "p%u", r->pod);
    while (read(r->start, &c, 1) > 0)
        ;
    *r->rc = request(r->p, r->verb, name, r->ms, &err);
    if (*r->rc < 0)
        fprintf(stderr, "pod-cost: %s\n", err.msg);
    return 0;
}

struct shared {
    double ms[MAX_PODS];
    int rc[MAX_PODS];
};

/* Send one verb to n pods at once; their times into `out`. Whether all succeeded. */
static bool all_at_once(struct plant *p, const char *verb, unsigned n, struct shared *mem,
                        double *out, struct pw_err *err)
{
    int start[2];
    pid_t pid[MAX_PODS];
    bool ok = true;
    if (pipe2(start, O_CLOEXEC) < 0)
        return false;
    memset(mem, 0xff, sizeof(*mem));
    for (unsigned i = 0; i < n; i++) {
        struct racer r = {p, verb, p->pods + i, start[0], &mem->ms[i], &mem->rc[i]};
        /* A plain fork: each child must close the writing end, or the start never comes. */
        fflush(NULL);
        pid[i] = fork();
        if (pid[i] == 0) {
            close(start[1]);
            _exit(race(&r));
        }
    }
    close(start[0]);
    close(start[1]);
    for (unsigned i = 0; i < n; i++) {
        if (pid[i] > 0)
            nb_wait(pid[i]);
        out[i] = mem->ms[i];
        ok = ok && mem->rc[i] == 0;
    }
    return ok ? true : (pw_err_set(err, -EIO, "some of %u %s failed", n, verb), false);
}

static void parallel(struct plant *p, struct shared *mem, struct series *s)
{
    char name[16];
    struct pw_err err = PW_ERR_INIT;
    unsigned n = opt.parallel;
    for (unsigned i = 0; i < n; i++)
        if (pod_ns(p, p->pods + i, name, &err) < 0) {
            give_up(p, "namespaces", &err);
            return;
        }
    if (!all_at_once(p, "ADD", n, mem, s->add, &err))
        give_up(p, "parallel ADD", &err);
    else
        s->nadd = n;
    if (!p->out && !all_at_once(p, "DEL", n, mem, s->del, &err))
        give_up(p, "parallel DEL", &err);
    else
        s->ndel = n;
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "p%u", p->pods + i);
        drop_ns(p, p->pods + i, name);
    }
}

/* ---- memory ---- */

/* What the kernel holds for itself, KiB: slabs, per-CPU areas, vmalloc, page tables and stacks. */
static double kernel_kib(void)
{
    static const char *const want[] = {
        "Slab:", "Percpu:", "VmallocUsed:", "PageTables:", "KernelStack:"};
    char line[128];
    double sum = 0;
    pw_file *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof(line), f))
        for (size_t i = 0; i < PW_ARRAY_SIZE(want); i++)
            if (strncmp(line, want[i], strlen(want[i])) == 0)
                sum += strtod(line + strlen(want[i]), NULL);
    return sum;
}

/* Fill a node to n pods. Returns the growth of the kernel's memory for each ADD, KiB; what the
 * empty namespaces take is not in it. */
static double fill(struct plant *p, unsigned n)
{
    char name[16];
    double ms, grown = 0;
    struct pw_err err = PW_ERR_INIT;
    unsigned from = p->pods;
    for (unsigned i = from; i < n; i++)
        if (pod_ns(p, i, name, &err) < 0) {
            give_up(p, "namespaces", &err);
            return 0;
        }
    double before = kernel_kib();
    for (unsigned i = from; i < n && !p->out && !nb_stopping(); i++) {
        snprintf(name, sizeof(name), "p%u", i);
        if (request(p, "ADD", name, &ms, &err) < 0)
            give_up(p, "ADD while filling", &err);
        else
            p->pods = i + 1;
    }
    grown = kernel_kib() - before;
    return p->pods > from ? grown / (p->pods - from) : 0;
}

/* ---- the run ---- */

static json_t *quantiles(const double *v, size_t n)
{
    return json_pack("{s:f,s:f,s:I}", "p50", nb_quantile(v, n, 0.5), "p99", nb_quantile(v, n, 0.99),
                     "n", (json_int_t)n);
}

static void put(json_t *into, const char *situation, const struct series *s)
{
    if (s->nadd)
        json_object_set_new(into, situation,
                            json_pack("{s:o,s:o}", "add_ms", quantiles(s->add, s->nadd), "del_ms",
                                      quantiles(s->del, s->ndel)));
}

static int node_net(struct plant *p, struct pw_err *err)
{
    struct nb_spot at = {&p->node, -1};
    int rc;
    if ((rc = nb_cmd(&at, err, "ip link set lo up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link add eth0 type veth peer name wire")) < 0 ||
        (rc = nb_cmd(&at, err, "ip addr add 192.0.2.1/24 dev eth0")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link set wire up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link set eth0 up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip route add default via 192.0.2.2")) < 0 ||
        (rc = nb_sysctl(&at, "net.ipv4.ip_forward", "1", err)) < 0)
        return rc;
    return 0;
}

static void start_plants(void)
{
    for (size_t k = 0; k < PW_ARRAY_SIZE(kinds); k++) {
        struct plant *p = &plants[nplants];
        struct pw_err err = PW_ERR_INIT;
        if (opt.only && !strstr(opt.only, kinds[k].name))
            continue;
        nplants++;
        p->kind = &kinds[k];
        p->node = (struct nb_node)NB_NODE_INIT;
        for (unsigned i = 0; i < MAX_PODS; i++)
            p->net[i] = -1;
        if (p->kind->ours)
            snprintf(p->kind->plugin, sizeof(p->kind->plugin), "%s", opt.podwire);
        else
            snprintf(p->kind->plugin, sizeof(p->kind->plugin), "%s/%s", opt.cni_dir, p->kind->name);
        if (!nb_have(p->kind->plugin)) {
            pw_err_set(&err, -ENOENT, "no plugin %.300s", p->kind->plugin);
            give_up(p, "start", &err);
        } else if (nb_node_make(p->kind->name, &p->node, &err) < 0 || node_net(p, &err) < 0) {
            give_up(p, "node", &err);
        }
    }
}

/* Interleaved rounds in one situation: every plugin's turn, in an order drawn anew. */
static void rounds(const char *situation, json_t *const into[])
{
    static struct series s[MAX_KINDS];
    struct nb_rng rng = {1};
    unsigned order[MAX_KINDS];
    memset(s, 0, sizeof(s));
    for (unsigned r = 0; r < opt.rounds && !nb_stopping(); r++) {
        for (unsigned i = 0; i < nplants; i++)
            order[i] = i;
        nb_shuffle(&rng, order, nplants);
        for (unsigned i = 0; i < nplants; i++)
            if (!plants[order[i]].out)
                one_pod(&plants[order[i]], &s[order[i]]);
    }
    for (unsigned i = 0; i < nplants; i++)
        put(into[i], situation, &s[i]);
}

static void print(const json_t *doc)
{
    static const char *const verb[2] = {"add_ms", "del_ms"};
    static const char *const title[2] = {"ADD, ms (p50 / p99)", "DEL, ms (p50 / p99)"};
    json_t *r, *s;
    size_t i, k;
    const char *key;
    printf("kernel %s, %s\n", nb_str(json_object_get(doc, "machine"), "kernel"),
           nb_str(json_object_get(doc, "machine"), "cpu"));
    for (int v = 0; v < 2; v++) {
        printf("\n%-22s", title[v]);
        json_array_foreach (json_object_get(doc, "situations"), k, s)
            printf("  %17s", json_string_value(s));
        putchar('\n');
        json_array_foreach (json_object_get(doc, "results"), i, r) {
            printf("  %-20s", nb_str(r, "plugin"));
            json_array_foreach (json_object_get(doc, "situations"), k, s) {
                char text[40] = "-";
                key = json_string_value(s);
                const json_t *q =
                    json_object_get(json_object_get(json_object_get(r, "times"), key), verb[v]);
                if (q)
                    snprintf(text, sizeof(text), "%.2f / %.2f", nb_num(q, "p50"), nb_num(q, "p99"));
                printf("  %17s", text);
            }
            putchar('\n');
        }
    }
    printf("\n%-22s  %s\n", "kernel memory a pod",
           "KiB beyond its empty namespace (from 50 pods on)");
    json_array_foreach (json_object_get(doc, "results"), i, r)
        if (json_object_get(r, "kernel_kib_per_pod"))
            printf("  %-20s  %.1f\n", nb_str(r, "plugin"), nb_num(r, "kernel_kib_per_pod"));
    json_array_foreach (json_object_get(doc, "results"), i, r)
        if (nb_str(r, "failure")[0])
            printf("\n%s: %s\n", nb_str(r, "plugin"), nb_str(r, "failure"));
}

static int run(void *arg)
{
    json_t *doc = json_object(), *results = json_array(), *names = json_array();
    json_t *into[MAX_KINDS] = {NULL}, *one[MAX_KINDS] = {NULL};
    char name[32];
    (void)arg;
    start_plants();
    for (unsigned i = 0; i < nplants; i++) {
        one[i] = json_pack("{s:s}", "plugin", plants[i].kind->title);
        into[i] = json_object();
        json_object_set_new(one[i], "times", into[i]);
        json_array_append_new(results, one[i]);
    }
    void *mem = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        return 1;
    /* A node's first pod: modules, bridges, and our own programs are loaded then, once. */
    json_array_append_new(names, json_string("the first"));
    for (unsigned i = 0; i < nplants; i++) {
        static struct series s;
        memset(&s, 0, sizeof(s));
        if (!plants[i].out)
            one_pod(&plants[i], &s);
        put(into[i], "the first", &s);
    }
    for (unsigned l = 0; l < opt.nlevels && !nb_stopping(); l++) {
        /* "At 1": the pod that is measured is the first on its node. */
        for (unsigned i = 0; i < nplants; i++) {
            unsigned had = plants[i].pods;
            double kib =
                plants[i].out || opt.levels[l] < 2 ? 0 : fill(&plants[i], opt.levels[l] - 1);
            /* The rest of the machine moves too: a few pods do not stand out of that. */
            if (plants[i].pods - had >= 50)
                json_object_set_new(one[i], "kernel_kib_per_pod", json_real(kib));
        }
        snprintf(name, sizeof(name), "at %u", opt.levels[l]);
        rounds(name, into);
        json_array_append_new(names, json_string(name));
        if (l > 0 || opt.parallel == 0)
            continue;
        snprintf(name, sizeof(name), "%u at once", opt.parallel);
        json_array_append_new(names, json_string(name));
        for (unsigned i = 0; i < nplants && !nb_stopping(); i++) {
            static struct series s;
            memset(&s, 0, sizeof(s));
            if (!plants[i].out)
                parallel(&plants[i], mem, &s);
            put(into[i], name, &s);
        }
    }
    int rc = nb_stopping() ? 130 : 0;
    for (unsigned i = 0; i < nplants; i++)
        if (plants[i].out)
            json_object_set_new(one[i], "failure", json_string_nocheck(plants[i].why));
    json_object_set_new(doc, "pod_cost", json_integer(1));
    json_object_set_new(doc, "machine", nb_machine());
    json_object_set_new(doc, "rounds", json_integer(opt.rounds));
    json_object_set_new(doc, "situations", names);
    json_object_set_new(doc, "results", results);
    if (opt.json && json_dump_file(doc, opt.json, JSON_INDENT(1)) < 0)
        rc = 1;
    print(doc);
    json_decref(doc);
    return rc;
}

static const char help[] =
    "pod-cost: time and memory of a pod's ADD and DEL, podwire beside the reference plugins\n"
    "\n"
    "usage: pod-cost [--rounds N] [--parallel N] [--levels 1,100,1000] [--plugins "
    "ptp,podwire-veth]\n"
    "                [--json FILE] [--cni-dir DIR] [--podwire FILE]\n"
    "\n"
    "  --rounds N     ADD and DEL of each plugin in each situation (50)\n"
    "  --parallel N   pods at once (100); 0: none\n"
    "  --levels A,B   pods on the node, the measured one included (1,100,1000)\n";

static int parse_levels(const char *text, struct pw_err *err)
{
    char copy[128];
    snprintf(copy, sizeof(copy), "%s", text);
    opt.nlevels = 0;
    for (char *at = copy, *w; (w = strsep(&at, ","));) {
        uint64_t v;
        int rc = nb_parse_u64("--levels", w, 1, MAX_PODS - 1001, &v, err);
        if (rc < 0)
            return rc;
        if (opt.nlevels == MAX_LEVELS || (opt.nlevels && v <= opt.levels[opt.nlevels - 1]))
            return pw_err_set(err, -EINVAL, "--levels: at most %d, ascending", MAX_LEVELS);
        opt.levels[opt.nlevels++] = (unsigned)v;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", 1, NULL, 'r'},  {"parallel", 1, NULL, 'p'}, {"levels", 1, NULL, 'l'},
        {"plugins", 1, NULL, 'o'}, {"json", 1, NULL, 'j'},     {"cni-dir", 1, NULL, 'c'},
        {"podwire", 1, NULL, 'w'}, {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0},
    };
    struct pw_err err = PW_ERR_INIT;
    struct nb_args defaults;
    uint64_t v = 0;
    int c, rc = 0;
    nb_args_default(&defaults);
    opt = (struct options){.rounds = 50,
                           .parallel = 100,
                           .levels = {1, 100, 1000},
                           .nlevels = 3,
                           .cni_dir = defaults.plan.set.cni_dir,
                           .podwire = defaults.plan.set.podwire};
    while (rc == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 'r':
            rc = nb_parse_u64("--rounds", optarg, 1, NB_MAX_ROUNDS, &v, &err);
            opt.rounds = (unsigned)v;
            break;
        case 'p':
            rc = nb_parse_u64("--parallel", optarg, 0, 1000, &v, &err);
            opt.parallel = (unsigned)v;
            break;
        case 'l':
            rc = parse_levels(optarg, &err);
            break;
        case 'o':
            opt.only = optarg;
            break;
        case 'j':
            opt.json = optarg;
            break;
        case 'c':
            opt.cni_dir = optarg;
            break;
        case 'w':
            opt.podwire = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (rc == 0 && optind < argc)
        rc = pw_err_set(&err, -EINVAL, "'%.40s' is not expected here", argv[optind]);
    if (rc < 0) {
        fprintf(stderr, "pod-cost: %s\n", err.msg);
        return 2;
    }
    rc = nb_lab_run(run, NULL, &err);
    if (rc < 0)
        fprintf(stderr, "pod-cost: %s\n", err.msg);
    return rc < 0 ? 1 : rc;
}
