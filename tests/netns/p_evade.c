/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evade: what a pod that may load BPF of its own tries against the programs that judge it.
 * usage: evade NS:IF HOST-INDEX [link:ID | prog:ID | map:ID]...
 *   HOST-INDEX   of a netkit pair's other end, as the node counts; "-" for a device without hooks
 * Runs in the pod's namespace with CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON and nothing
 * else. One line for each attempt, "refused NAME (why)" or "done NAME"; of those on hooks that
 * worked nothing stays. Exit code 2 when not even a program can be loaded, which would prove
 * nothing.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/nsx.h"

/* linux/bpf.h of 6.7; build headers may be older. */
#define NETKIT_PRIMARY ((enum bpf_attach_type)54)
#define NETKIT_PEER ((enum bpf_attach_type)55)

static void tell(int rc, const char *what, const char *which)
{
    if (rc >= 0)
        printf("done %s%s\n", what, which);
    else
        printf("refused %s%s (%s)\n", what, which, strerror(-rc));
}

static void keep_caps(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    static const unsigned kept[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON};

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        data[CAP_TO_INDEX(kept[i])].effective |= CAP_TO_MASK(kept[i]);
    for (size_t i = 0; i < 2; i++)
        data[i].permitted = data[i].effective;
    if (syscall(SYS_capset, &head, data) != 0) {
        perror("evade: capset");
        exit(2);
    }
}

/* It lets everything pass, and asks nobody behind it. */
static int load(void)
{
    static const struct bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "evade", "GPL", code, 2, NULL);
}

static void at_device(const char *name, int prog, int second, int ifindex)
{
    static const struct {
        const char *name;
        enum bpf_attach_type type;
    } hook[] = {{"peer", NETKIT_PEER}, {"primary", NETKIT_PRIMARY}};

    for (size_t i = 0; i < 2; i++) {
        LIBBPF_OPTS(bpf_prog_attach_opts, first, .flags = BPF_F_BEFORE);
        LIBBPF_OPTS(bpf_prog_detach_opts, off, .flags = BPF_F_BEFORE);
        char what[64];
        snprintf(what, sizeof(what), "%s hook, by %s: ", hook[i].name, name);
        tell(bpf_link_create(prog, ifindex, hook[i].type, NULL), what, "a link");
        /* (One program is not attached twice.) */
        tell(bpf_prog_attach_opts(second, ifindex, hook[i].type, &first), what,
             "a program before all");
        tell(bpf_prog_detach_opts(0, ifindex, hook[i].type, &off), what, "the first taken off");
    }
}

static void by_id(const char *what)
{
    uint32_t id = (uint32_t)nsx_number(strchr(what, ':') + 1);
    int fd = -1;

    if (strncmp(what, "link:", 5) == 0)
        fd = bpf_link_get_fd_by_id(id);
    else if (strncmp(what, "prog:", 5) == 0)
        fd = bpf_prog_get_fd_by_id(id);
    else
        fd = bpf_map_get_fd_by_id(id);
    tell(fd, "to lay hold of ", what);
    if (fd >= 0 && strncmp(what, "link:", 5) == 0)
        tell(bpf_link_detach(fd), "to detach ", what);
}

int main(int argc, char **argv)
{
    const char *dev = argc > 2 ? strchr(argv[1], ':') : NULL;
    int prog = -1, second = -1, own = 0;
    char ns[64];

    if (!dev) {
        fprintf(stderr, "usage: evade NS:IF HOST-INDEX [link:ID | prog:ID | map:ID]...\n");
        return 2;
    }
    snprintf(ns, sizeof(ns), "%.*s", (int)(dev - argv[1]), argv[1]);
    nsx_enter(ns);
    keep_caps();
    own = (int)if_nametoindex(dev + 1);
    prog = load();
    second = load();
    if (prog < 0 || second < 0 || own == 0) {
        perror("evade: a program of its own");
        return 2;
    }
    if (strcmp(argv[2], "-") != 0) {
        at_device("its own end", prog, second, own);
        at_device("the node's index", prog, second, (int)nsx_number(argv[2]));
    }
    for (int i = 3; i < argc; i++)
        by_id(argv[i]);
    return 0;
}
