/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/args.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bench/stats.h"
#include "loader/base/cleanup.h"

static const char help[] =
    "netbench: what every way into a pod costs, side by side\n"
    "\n"
    "usage: netbench [run] [OPTIONS]          measure by time on this machine\n"
    "       netbench count --kernel K [OPTIONS] count instructions in an emulated machine\n"
    "       netbench list                     paths, places, workloads, and what is missing\n"
    "       netbench report IN.json OUT.html  make the page again from a result or counts\n"
    "\n"
    "what\n"
    "  --paths A,B,...      paths (see `netbench list`; default: all that can be had)\n"
    "  --where A,B,...      local, remote-host, remote-pod (default: local,remote-host)\n"
    "  --workloads A,B,...  workloads (default: the generator's own; `all` adds iperf3, sockperf\n"
    "                       and tap-rate)\n"
    "\n"
    "how long and how\n"
    "  --rounds N           interleaved rounds (10)\n"
    "  --time S             seconds of each measurement (1)\n"
    "  --warmup S           seconds before each measurement (0.2)\n"
    "  --flows N            flows of workloads with several (4)\n"
    "  --size BYTES         request, response and datagram (64)\n"
    "  --cpus C,S           CPUs of client and server (0,1); `none`: not pinned\n"
    "  --seed N             of the order of rounds and of the intervals (1)\n"
    "\n"
    "settings, alike on all paths\n"
    "  --family 4|6         IP version (4)\n"
    "  --cc NAME            TCP congestion control (cubic)\n"
    "  --mtu BYTES          of all devices (1500)\n"
    "  --gso-max BYTES      largest segment to be cut by devices (65536)\n"
    "  --gro on|off         generic receive offload where devices have it (off)\n"
    "  --qdisc NAME         root queueing discipline of all devices (the kernel's default)\n"
    "  --rules N[,iptables] load what kube-proxy would for N Services (nftables shape)\n"
    "\n"
    "output\n"
    "  --json FILE          the whole result (`-`: stdout, instead of the table)\n"
    "  --report FILE.html   one self-contained page with plots\n"
    "  --quiet              no progress bar\n"
    "\n"
    "count\n"
    "  --kernel K           6.12, newest, or the file of a kernel\n"
    "  --requests N         requests, packets of each measurement (2000)\n"
    "  --functions          also say which functions the difference from the host goes to\n"
    "  --baseline FILE      compare, and fail where a count has risen\n"
    "  --limit PERCENT      allowed rise (1)\n"
    "  --update             write the counts into the baseline file\n"
    "  --from FILE          take the counts of an earlier --json instead of counting\n"
    "\n"
    "programs\n"
    "  --cni-dir DIR        reference plugins (/usr/lib/cni, else /opt/cni/bin)\n"
    "  --podwire FILE       the podwire plugin (beside netbench, else build/podwire)\n"
    "  --podwirectl FILE    podwirectl (the same)\n"
    "\n"
    "Needs root. All happens in namespaces that vanish with netbench. See netbench(1).\n";

const char *nb_args_help(void)
{
    return help;
}

int nb_parse_u64(const char *name, const char *text, uint64_t lo, uint64_t hi, uint64_t *out,
                 struct pw_err *err)
{
    uint64_t v = 0;
    size_t n = strspn(text, "0123456789");
    bool ok = n > 0 && n < 20 && text[n] == '\0';
    for (size_t i = 0; ok && i < n; i++)
        v = v * 10 + (uint64_t)(text[i] - '0');
    if (!ok || v < lo || v > hi)
        return pw_err_set(err, -EINVAL, "%s: '%.40s' is not a whole number from %llu to %llu", name,
                          text, (unsigned long long)lo, (unsigned long long)hi);
    *out = v;
    return 0;
}

int nb_parse_seconds(const char *name, const char *text, double lo, double hi, uint64_t *out,
                     struct pw_err *err)
{
    char *end = NULL;
    double v = -1;
    /* strtod takes hexadecimal, infinity and more; only plain decimals are meant. */
    if (text[0] && strspn(text, "0123456789.") == strlen(text))
        v = strtod(text, &end);
    if (!end || *end != '\0' || v < lo || v > hi)
        return pw_err_set(err, -EINVAL, "%s: '%.40s' is not a number of seconds from %g to %g",
                          name, text, lo, hi);
    *out = (uint64_t)(v * 1e9 + 0.5);
    return 0;
}

/* Call fn for each name of a comma-separated list; empty names are errors. */
static int each_name(const char *opt, const char *list, struct nb_plan *p,
                     int (*fn)(struct nb_plan *, const char *, struct pw_err *), struct pw_err *err)
{
    char copy[1024];
    if (strlen(list) >= sizeof(copy))
        return pw_err_set(err, -EINVAL, "%s: the list is too long", opt);
    snprintf(copy, sizeof(copy), "%s", list);
    for (char *at = copy, *name; (name = strsep(&at, ","));) {
        int rc = name[0] ? fn(p, name, err) : pw_err_set(err, -EINVAL, "empty name");
        if (rc < 0)
            return pw_err_wrap(err, "%s", opt);
    }
    return 0;
}

static int add_path(struct nb_plan *p, const char *name, struct pw_err *err)
{
    const struct nb_path *path = nb_path_find(name);
    if (!path)
        return pw_err_set(err, -EINVAL, "no path '%.40s'; `netbench list` shows them", name);
    for (unsigned i = 0; i < p->npaths; i++)
        if (p->path[i] == path)
            return 0;
    p->path[p->npaths++] = path;
    return 0;
}

static int add_where(struct nb_plan *p, const char *name, struct pw_err *err)
{
    for (int i = 0; i < NB_WHERES; i++)
        if (strcmp(name, nb_where_name[i]) == 0 || strcmp(name, "all") == 0) {
            p->where[i] = true;
            if (name[0] != 'a')
                return 0;
        }
    return strcmp(name, "all") == 0
               ? 0
               : pw_err_set(err, -EINVAL, "no place '%.40s' (local, remote-host, remote-pod, all)",
                            name);
}

static void take_work(struct nb_plan *p, const struct nb_work *w)
{
    for (unsigned i = 0; i < p->nworks; i++)
        if (p->work[i] == w)
            return;
    p->work[p->nworks++] = w;
}

static int add_work(struct nb_plan *p, const char *name, struct pw_err *err)
{
    if (strcmp(name, "all") == 0) {
        for (unsigned i = 0; i < nb_nworks; i++)
            take_work(p, &nb_works[i]);
        return 0;
    }
    const struct nb_work *w = nb_work_find(name);
    if (!w)
        return pw_err_set(err, -EINVAL, "no workload '%.40s'; `netbench list` shows them", name);
    take_work(p, w);
    return 0;
}

static bool has_path(const struct nb_plan *p, const char *name)
{
    for (unsigned i = 0; i < p->npaths; i++)
        if (strcmp(p->path[i]->name, name) == 0)
            return true;
    return false;
}

static int parse_rules(struct nb_plan *p, const char *text, struct pw_err *err)
{
    char num[32];
    const char *comma = strchr(text, ',');
    uint64_t v = 0;
    size_t n = comma ? (size_t)(comma - text) : strlen(text);
    p->set.rules_kind = NB_RULES_NFT;
    if (comma && strcmp(comma + 1, "iptables") == 0)
        p->set.rules_kind = NB_RULES_IPTABLES;
    else if (comma && strcmp(comma + 1, "nft") != 0)
        return pw_err_set(err, -EINVAL, "--rules: '%.20s' is neither nft nor iptables", comma + 1);
    snprintf(num, sizeof(num), "%.*s", (int)(n < 31 ? n : 31), text);
    int rc = nb_parse_u64("--rules", num, 0, 60000, &v, err);
    if (rc == 0)
        p->set.rules = (unsigned)v;
    return rc;
}

static int parse_cpus(struct nb_plan *p, const char *text, struct pw_err *err)
{
    char num[16];
    uint64_t c = 0, s = 0;
    const char *comma = strchr(text, ',');
    if (strcmp(text, "none") == 0) {
        p->cpu_client = p->cpu_server = -1;
        return 0;
    }
    uint64_t last = (uint64_t)sysconf(_SC_NPROCESSORS_CONF) - 1;
    if (!comma || comma - text > 10)
        return pw_err_set(err, -EINVAL, "--cpus: write CLIENT,SERVER or none");
    snprintf(num, sizeof(num), "%.*s", (int)(comma - text), text);
    int rc = nb_parse_u64("--cpus", num, 0, last, &c, err);
    if (rc == 0)
        rc = nb_parse_u64("--cpus", comma + 1, 0, last, &s, err);
    if (rc == 0) {
        p->cpu_client = (int)c;
        p->cpu_server = (int)s;
    }
    return rc;
}

/* ---- defaults ---- */

/* A program that lies beside netbench, else the one of the build directory; absolute, since every
 * command runs in another mount namespace. */
static const char *beside(const char *name, char buf[PATH_MAX])
{
    char self[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash)
            *slash = '\0';
        snprintf(path, sizeof(path), "%s/%s", self, name);
        if (access(path, X_OK) == 0) {
            snprintf(buf, PATH_MAX, "%.*s", PATH_MAX - 1, path);
            return buf;
        }
    }
    snprintf(path, sizeof(path), "/opt/cni/bin/%s", name);
    snprintf(buf, PATH_MAX, "%.*s", PATH_MAX - 1, path);
    return buf;
}

static bool cc_there(const char *name)
{
    pw_file *f = fopen("/proc/sys/net/ipv4/tcp_available_congestion_control", "re");
    char line[512] = "";
    return f && fgets(line, sizeof(line), f) && strstr(line, name);
}

void nb_args_default(struct nb_args *a)
{
    static char plugin[PATH_MAX], ctl[PATH_MAX];
    struct nb_plan *p = &a->plan;
    *a = (struct nb_args){.cmd = NB_CMD_RUN};
    p->rounds = 10;
    p->warm_ns = 200000000ULL;
    p->run_ns = 1000000000ULL;
    p->flows = 4;
    p->size = 64;
    p->seed = 1;
    p->cpu_server = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    p->progress = true;
    p->set = (struct nb_settings){
        .family = 4,
        .cc = cc_there("cubic") ? "cubic" : "reno",
        .mtu = 1500,
        .gso_max = 65536,
        .cni_dir = access("/usr/lib/cni/bridge", X_OK) == 0 ? "/usr/lib/cni" : "/opt/cni/bin",
        .podwire = beside("podwire", plugin),
        .podwirectl = beside("podwirectl", ctl),
    };
    a->requests = 2000;
    a->limit = 1.0;
}

/* What was not said: all paths, two places, the generator's own workloads. The host is always
 * there and comes first. */
static void complete(struct nb_plan *p)
{
    const struct nb_path *host = nb_path_find("host");
    p->named = p->npaths > 0;
    if (!p->named)
        for (unsigned i = 0; i < nb_npaths; i++)
            if (nb_paths[i]->by_default)
                p->path[p->npaths++] = nb_paths[i];
    unsigned at = 0;
    while (at < p->npaths && p->path[at] != host)
        at++;
    if (at == p->npaths)
        p->npaths++;
    memmove(&p->path[1], &p->path[0], at * sizeof(p->path[0]));
    p->path[0] = host;
    bool any = false;
    for (int i = 0; i < NB_WHERES; i++)
        any = any || p->where[i];
    if (!any)
        p->where[NB_LOCAL] = p->where[NB_REMOTE_HOST] = true;
    if (p->nworks == 0)
        for (unsigned i = 0; i < nb_nworks; i++)
            if (nb_works[i].by_default)
                p->work[p->nworks++] = &nb_works[i];
    /* And what a workload is compared with, where a path is there that has it. */
    bool guests = false;
    for (unsigned i = 0; i < p->npaths; i++)
        guests = guests || p->path[i]->group == NB_GROUP_VM;
    for (unsigned i = 0; i < p->nworks && guests; i++) {
        const char *base = nb_work_baseline(p->work[i]);
        p->set.taps = p->set.taps || p->work[i]->kind == NB_TAP_RATE;
        if (!has_path(p, base))
            p->path[p->npaths++] = nb_path_find(base);
    }
}

enum {
    OPT_PATHS = 256,
    OPT_WHERE,
    OPT_WORKLOADS,
    OPT_ROUNDS,
    OPT_TIME,
    OPT_WARMUP,
    OPT_FLOWS,
    OPT_SIZE,
    OPT_CPUS,
    OPT_SEED,
    OPT_FAMILY,
    OPT_CC,
    OPT_MTU,
    OPT_GSO,
    OPT_GRO,
    OPT_QDISC,
    OPT_RULES,
    OPT_JSON,
    OPT_REPORT,
    OPT_QUIET,
    OPT_KERNEL,
    OPT_REQUESTS,
    OPT_FUNCTIONS,
    OPT_BASELINE,
    OPT_LIMIT,
    OPT_UPDATE,
    OPT_CNI,
    OPT_PODWIRE,
    OPT_CTL,
    OPT_FROM,
    OPT_KALLSYMS,
    OPT_DENY,
};

static const struct option options[] = {
    {"paths", 1, NULL, OPT_PATHS},
    {"where", 1, NULL, OPT_WHERE},
    {"workloads", 1, NULL, OPT_WORKLOADS},
    {"rounds", 1, NULL, OPT_ROUNDS},
    {"time", 1, NULL, OPT_TIME},
    {"warmup", 1, NULL, OPT_WARMUP},
    {"flows", 1, NULL, OPT_FLOWS},
    {"size", 1, NULL, OPT_SIZE},
    {"cpus", 1, NULL, OPT_CPUS},
    {"seed", 1, NULL, OPT_SEED},
    {"family", 1, NULL, OPT_FAMILY},
    {"cc", 1, NULL, OPT_CC},
    {"mtu", 1, NULL, OPT_MTU},
    {"gso-max", 1, NULL, OPT_GSO},
    {"gro", 1, NULL, OPT_GRO},
    {"qdisc", 1, NULL, OPT_QDISC},
    {"rules", 1, NULL, OPT_RULES},
    {"json", 1, NULL, OPT_JSON},
    {"report", 1, NULL, OPT_REPORT},
    {"quiet", 0, NULL, OPT_QUIET},
    {"kernel", 1, NULL, OPT_KERNEL},
    {"requests", 1, NULL, OPT_REQUESTS},
    {"functions", 0, NULL, OPT_FUNCTIONS},
    {"baseline", 1, NULL, OPT_BASELINE},
    {"limit", 1, NULL, OPT_LIMIT},
    {"update", 0, NULL, OPT_UPDATE},
    {"cni-dir", 1, NULL, OPT_CNI},
    {"podwire", 1, NULL, OPT_PODWIRE},
    {"podwirectl", 1, NULL, OPT_CTL},
    {"test-deny-redirect", 0, NULL, OPT_DENY},
    {"from", 1, NULL, OPT_FROM},
    {"test-kallsyms", 1, NULL, OPT_KALLSYMS},
    {"help", 0, NULL, 'h'},
    {"version", 0, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* Options with a number. */
static int number(struct nb_args *a, int opt, const char *v, struct pw_err *err)
{
    uint64_t n = 0;
    struct nb_plan *p = &a->plan;
    struct nb_settings *s = &p->set;
    int rc;
    switch (opt) {
    case OPT_ROUNDS:
        rc = nb_parse_u64("--rounds", v, 1, NB_MAX_ROUNDS, &n, err);
        p->rounds = (unsigned)n;
        return rc;
    case OPT_FLOWS:
        rc = nb_parse_u64("--flows", v, 1, 64, &n, err);
        p->flows = (unsigned)n;
        return rc;
    case OPT_SIZE:
        /* From the sequence number that UDP requests carry up to a datagram of one packet. */
        rc = nb_parse_u64("--size", v, 14, 1400, &n, err);
        p->size = (unsigned)n;
        return rc;
    case OPT_SEED:
        return nb_parse_u64("--seed", v, 0, INT64_MAX, &p->seed, err);
    case OPT_FAMILY:
        rc = nb_parse_u64("--family", v, 4, 6, &n, err);
        s->family = (int)n;
        return rc == 0 && n == 5 ? pw_err_set(err, -EINVAL, "--family: write 4 or 6") : rc;
    case OPT_MTU:
        rc = nb_parse_u64("--mtu", v, 1280, 65535, &n, err);
        s->mtu = (unsigned)n;
        return rc;
    case OPT_GSO:
        rc = nb_parse_u64("--gso-max", v, 1500, 524280, &n, err);
        s->gso_max = (unsigned)n;
        return rc;
    case OPT_REQUESTS:
        return nb_parse_u64("--requests", v, 10, 1000000, &a->requests, err);
    case OPT_LIMIT:
        rc = nb_parse_u64("--limit", v, 0, 100, &n, err);
        a->limit = (double)n;
        return rc;
    case OPT_TIME:
        return nb_parse_seconds("--time", v, 0.01, 3600, &p->run_ns, err);
    default:
        return nb_parse_seconds("--warmup", v, 0, 60, &p->warm_ns, err);
    }
}

static int option(struct nb_args *a, int opt, const char *v, struct pw_err *err)
{
    struct nb_plan *p = &a->plan;
    struct nb_settings *s = &p->set;
    switch (opt) {
    case OPT_PATHS:
        return each_name("--paths", v, p, add_path, err);
    case OPT_WHERE:
        return each_name("--where", v, p, add_where, err);
    case OPT_WORKLOADS:
        return each_name("--workloads", v, p, add_work, err);
    case OPT_CPUS:
        return parse_cpus(p, v, err);
    case OPT_RULES:
        return parse_rules(p, v, err);
    case OPT_GRO:
        s->gro = strcmp(v, "on") == 0;
        return s->gro || strcmp(v, "off") == 0 ? 0
                                               : pw_err_set(err, -EINVAL, "--gro: write on or off");
    case OPT_CC:
        s->cc = v;
        return 0;
    case OPT_QDISC:
        s->qdisc = v;
        return 0;
    case OPT_JSON:
        a->json = v;
        return 0;
    case OPT_REPORT:
        a->report = v;
        return 0;
    case OPT_QUIET:
        p->progress = false;
        return 0;
    case OPT_KERNEL:
        a->kernel = v;
        return 0;
    case OPT_FUNCTIONS:
        a->functions = true;
        return 0;
    case OPT_BASELINE:
        a->baseline = v;
        return 0;
    case OPT_KALLSYMS:
        a->kallsyms = v;
        return 0;
    case OPT_FROM:
        a->from = v;
        return 0;
    case OPT_UPDATE:
        a->update = true;
        return 0;
    case OPT_CNI:
        s->cni_dir = v;
        return 0;
    case OPT_PODWIRE:
        s->podwire = v;
        return 0;
    case OPT_CTL:
        s->podwirectl = v;
        return 0;
    case OPT_DENY:
        s->deny_redirect = true;
        return 0;
    case 'h':
        a->cmd = NB_CMD_HELP;
        return 0;
    case 'V':
        a->cmd = NB_CMD_VERSION;
        return 0;
    default:
        return number(a, opt, v, err);
    }
}

static int command(struct nb_args *a, const char *word, struct pw_err *err)
{
    static const struct {
        const char *word;
        enum nb_command cmd;
    } words[] = {{"run", NB_CMD_RUN},        {"list", NB_CMD_LIST},   {"report", NB_CMD_REPORT},
                 {"count", NB_CMD_COUNT},    {"guest", NB_CMD_GUEST}, {"help", NB_CMD_HELP},
                 {"version", NB_CMD_VERSION}};
    for (size_t i = 0; i < PW_ARRAY_SIZE(words); i++)
        if (strcmp(word, words[i].word) == 0) {
            a->cmd = words[i].cmd;
            return 0;
        }
    return pw_err_set(err, -EINVAL, "no command '%.40s' (run, count, list, report)", word);
}

static int check(struct nb_args *a, struct pw_err *err)
{
    if (a->plan.set.cni_dir[0] != '/' || a->plan.set.podwire[0] != '/' ||
        a->plan.set.podwirectl[0] != '/')
        return pw_err_set(err, -EINVAL, "--cni-dir, --podwire, --podwirectl need absolute paths");
    if (a->cmd == NB_CMD_COUNT && !a->kernel)
        return pw_err_set(err, -EINVAL, "count needs --kernel 6.12, newest or a file");
    if (a->update && !a->baseline)
        return pw_err_set(err, -EINVAL, "--update needs --baseline FILE");
    return 0;
}

int nb_args_parse(int argc, char **argv, struct nb_args *out, struct pw_err *err)
{
    struct nb_args a;
    int rc = 0, opt;
    nb_args_default(&a);
    opterr = 0;
    optind = 1;
    if (argc > 1 && argv[1][0] != '-') {
        if ((rc = command(&a, argv[1], err)) < 0)
            return rc;
        optind = 2;
    }
    while (rc == 0 && (opt = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
        if (opt == '?')
            return pw_err_set(err, -EINVAL, "'%.40s' is no option or lacks its value; see --help",
                              argv[optind - 1]);
        rc = option(&a, opt, optarg, err);
    }
    if (rc < 0)
        return rc;
    if (a.cmd == NB_CMD_REPORT) {
        if (argc - optind != 2)
            return pw_err_set(err, -EINVAL, "report needs IN.json and OUT.html");
        a.input = argv[optind];
        a.report = argv[optind + 1];
    } else if (optind < argc && a.cmd != NB_CMD_HELP) {
        return pw_err_set(err, -EINVAL, "'%.40s' is not expected here", argv[optind]);
    }
    complete(&a.plan);
    if (a.cmd == NB_CMD_GUEST)
        a.plan.requests = a.requests;
    if ((rc = check(&a, err)) < 0)
        return rc;
    *out = a;
    return 0;
}
