/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round: run a command while a pod's own programs carry its datagrams round the peer hook.
 * usage: round [--xdp] NS:IF PORT COMMAND...
 *   --xdp   sent out again by XDP instead of handed to the peer
 * Says on standard error how many packets took that way; fails when none did.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/nsx.h"
#include "tests/netns/round.skel.h"

int main(int argc, char **argv)
{
    struct pw_test_round *skel = pw_test_round__open();
    bool xdp = argc > 1 && strcmp(argv[1], "--xdp") == 0;
    const char *dev = NULL;
    struct bpf_link *in = NULL, *out = NULL;
    LIBBPF_OPTS(bpf_link_create_opts, opts);
    char ns[64];
    int ifindex, xdp_fd = -1, status = -1;
    pid_t child;

    argv += xdp, argc -= xdp;
    dev = argc > 3 ? strchr(argv[1], ':') : NULL;
    if (!dev || !skel) {
        fprintf(stderr, "usage: round NS:IF PORT COMMAND...\n");
        return 2;
    }
    skel->rodata->port = (uint16_t)nsx_number(argv[2]);
    snprintf(ns, sizeof(ns), "%.*s", (int)(dev - argv[1]), argv[1]);
    nsx_enter("-");
    if (pw_test_round__load(skel) == 0) {
        nsx_enter(ns);
        ifindex = (int)if_nametoindex(dev + 1);
        out = bpf_program__attach_tcx(skel->progs.pw_round_out, ifindex, NULL);
        /* Not a driver's XDP, which what comes from the device itself does not meet. */
        opts.flags = XDP_FLAGS_SKB_MODE;
        if (xdp)
            xdp_fd =
                bpf_link_create(bpf_program__fd(skel->progs.pw_round_xdp), ifindex, BPF_XDP, &opts);
        else
            in = bpf_program__attach_tcx(skel->progs.pw_round_in, ifindex, NULL);
        nsx_enter("-");
    }
    if (!out || (!in && xdp_fd < 0)) {
        fprintf(stderr, "round: cannot attach to %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    child = fork();
    if (child == 0) {
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 2;
    fprintf(stderr, "round: %llu turned back, %llu handed on\n",
            (unsigned long long)skel->bss->turned, (unsigned long long)skel->bss->handed);
    if (!skel->bss->handed)
        return 1;
    bpf_link__destroy(in);
    bpf_link__destroy(out);
    pw_test_round__destroy(skel);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
