/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pathcheck: which hooks the datagrams of a flow pass.
 * usage: pathcheck port=N [in=NS:IF | out=NS:IF | queue]... -- COMMAND...
 * Counts, while the command runs, datagrams to port N at the tcx ingress (in, before any other
 * program) or egress (out) of devices, and how often one is put into a queue on its way into a
 * namespace (netif_rx). Prints "PLACE COUNT" lines, and "PLACE,big COUNT": packets of any flow that
 * are larger than 64 KiB, so BIG TCP. Exit code: the command's, or 2.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/nsx.h"
#include "tests/netns/path_check.skel.h"

struct place {
    const char *name;
    struct pw_test_path_check *skel;
    struct bpf_link *link;
};

static struct place places[32];
static unsigned n_places;
static uint16_t port;

__attribute__((noreturn)) static void die(const char *what, const char *which)
{
    fprintf(stderr, "pathcheck: %s: %s: %s\n", what, which, strerror(errno));
    exit(2);
}

static void attach(struct place *p, const char *spec)
{
    bool queue = strcmp(spec, "queue") == 0, out = strncmp(spec, "out=", 4) == 0;
    char ns[64];
    const char *dev = strchr(spec, ':'), *at = strchr(spec, '=');
    int ifindex;

    p->name = spec;
    p->skel = pw_test_path_check__open();
    if (!p->skel)
        die("open", spec);
    p->skel->rodata->port = port;
    bpf_program__set_autoload(p->skel->progs.pw_check_queue, queue);
    bpf_program__set_autoload(p->skel->progs.pw_check_hook, !queue);
    bpf_program__set_expected_attach_type(p->skel->progs.pw_check_hook,
                                          out ? BPF_TCX_EGRESS : BPF_TCX_INGRESS);
    if (pw_test_path_check__load(p->skel) < 0)
        die("load", spec);
    if (queue) {
        p->link = bpf_program__attach(p->skel->progs.pw_check_queue);
    } else {
        LIBBPF_OPTS(bpf_tcx_opts, opts, .flags = BPF_F_BEFORE);
        if (!at || !dev)
            die("not in=NS:IF or out=NS:IF", spec);
        snprintf(ns, sizeof(ns), "%.*s", (int)(dev - at - 1), at + 1);
        nsx_enter(ns);
        ifindex = (int)if_nametoindex(dev + 1);
        p->link =
            ifindex ? bpf_program__attach_tcx(p->skel->progs.pw_check_hook, ifindex, &opts) : NULL;
        nsx_enter("-");
    }
    if (!p->link)
        die("attach", spec);
}

int main(int argc, char **argv)
{
    int i, status;
    pid_t child;

    nsx_enter("-");
    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "port=", 5) == 0)
            port = (uint16_t)nsx_number(argv[i] + 5);
        else if (n_places < 32)
            attach(&places[n_places++], argv[i]);
    }
    if (i + 1 >= argc || !port)
        die("port=N and a command are needed", "usage");
    child = fork();
    if (child == 0) {
        dup2(2, 1);
        execvp(argv[i + 1], argv + i + 1);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("cannot run", argv[i + 1]);
    for (unsigned k = 0; k < n_places; k++) {
        printf("%s %llu\n", places[k].name, (unsigned long long)places[k].skel->bss->seen);
        printf("%s,big %llu\n", places[k].name, (unsigned long long)places[k].skel->bss->big);
        bpf_link__destroy(places[k].link);
        pw_test_path_check__destroy(places[k].skel);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
