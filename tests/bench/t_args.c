/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: host */
/* bench/args.c: what is not exactly right is refused. */
#include "bench/args.h"

#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

static struct nb_args a;

static int parse(const char *line, struct pw_err *err)
{
    static char copy[1024];
    static char *argv[32];
    int argc = 0;
    snprintf(copy, sizeof(copy), "netbench %s", line);
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w && argc < 31;
         w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    return nb_args_parse(argc, argv, &a, err);
}

static void good(void)
{
    struct pw_err err = PW_ERR_INIT;
    is_int(parse("", &err), 0, "no words at all");
    is_str(a.plan.path[0]->name, "host", "the host is always the first path");
    ok(a.plan.npaths > 5 && a.plan.nworks > 5, "defaults: many paths, many workloads");
    ok(a.plan.where[NB_LOCAL] && a.plan.where[NB_REMOTE_HOST] && !a.plan.where[NB_REMOTE_POD],
       "default places");

    is_int(parse("run --paths ptp,host,ptp --workloads tcp-rr --where remote-pod --rounds 3 "
                 "--time 0.25 --cpus 0,0 --rules 100,iptables --family 6",
                 &err),
           0, "a full line");
    is_int(a.plan.npaths, 2, "each path once");
    is_str(a.plan.path[0]->name, "host", "the host still first");
    is_str(a.plan.path[1]->name, "ptp", "then the others");
    is_int(a.plan.nworks, 1, "one workload");
    is_int((int64_t)a.plan.run_ns, 250000000, "seconds with a fraction");
    is_int(a.plan.set.rules, 100, "rules");
    is_int(a.plan.set.rules_kind, NB_RULES_IPTABLES, "their kind");
    ok(!a.plan.where[NB_LOCAL] && a.plan.where[NB_REMOTE_POD], "only the place that was named");
    is_int(parse("--workloads tap-rate --paths podwire-tap", &err), 0, "frames to taps");
    is_int(a.plan.npaths, 3, "bring the path that they are compared with");
    is_str(a.plan.path[2]->name, "tap-mirred-ptp", "which is tap and mirred");
    is_int(parse("--workloads tap-rate --paths ptp", &err), 0, "frames to taps where none is");
    is_int(a.plan.npaths, 2, "bring nothing");
    is_int(parse("--workloads all --where all", &err), 0, "all");
    is_int(a.plan.nworks, nb_nworks, "every workload");
    is_int(parse("report a.json b.html", &err), 0, "report with two files");
    is_str(a.report, "b.html", "its output");
    is_int(parse("count --kernel newest --baseline f --update", &err), 0, "count");
    is_int(parse("--help", &err), 0, "help");
    is_int(a.cmd, NB_CMD_HELP, "is a command");
}

static void bad(void)
{
    static const char *const lines[] = {
        "frobnicate",
        "--paths",
        "--paths ptp,,bridge",
        "--paths nosuch",
        "--paths ,",
        "--rounds 0",
        "--rounds 1x",
        "--rounds -1",
        "--rounds +3",
        "--rounds 1001",
        "--rounds 99999999999999999999",
        "--rounds 0x10",
        "--time 0",
        "--time -1",
        "--time 1e3",
        "--time inf",
        "--time nan",
        "--time 0x1",
        "--time 1.2.3",
        "--family 5",
        "--family 10",
        "--gro yes",
        "--gro",
        "--cpus 0",
        "--cpus 0,",
        "--cpus ,0",
        "--cpus 0,99999",
        "--cpus a,b",
        "--rules 5,ipvs",
        "--rules -5",
        "--rules 5,",
        "--where moon",
        "--workloads tcp",
        "--mtu 100",
        "--size 3",
        "--size 100000",
        "--nosuch",
        "-x",
        "run extra",
        "report a.json",
        "report a b c",
        "count",
        "count --kernel newest --update",
        "--limit 101",
        "--podwire relative/path",
        "--cni-dir .",
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(lines); i++) {
        struct pw_err err = PW_ERR_INIT;
        ok(parse(lines[i], &err) == -EINVAL && err.msg[0], "refused: %s", lines[i]);
    }
}

int main(void)
{
    good();
    bad();
    return tap_done();
}
