/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of vm-rate, set up by real plugins on nodes of their own. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "bench/paths.h"
#include "bench/scan.h"
#include "bench/vm.h"
#include "loader/base/cleanup.h"

static int enter(int net, struct pw_err *err)
{
    return setns(net, CLONE_NEWNET) < 0 ? pw_err_errno(err, -errno, "enter a namespace") : 0;
}

/* A tap in the pod, joined to eth0 as Kata's tcfilter and tc-redirect-tap do. */
static int mirred(const struct nb_spot *at, struct pw_err *err)
{
    static const char *const dev[2] = {"eth0", "tap0"};
    int rc;
    if ((rc = nb_cmd(at, err, "ip tuntap add tap0 mode tap vnet_hdr")) < 0 ||
        (rc = nb_cmd(at, err, "ip link set tap0 mtu 1500 up")) < 0)
        return rc;
    for (int k = 0; k < 2; k++)
        if ((rc = nb_cmd(at, err, "tc qdisc add dev %s ingress", dev[k])) < 0 ||
            (rc = nb_cmd(at, err,
                         "tc filter add dev %s parent ffff: protocol all prio 1 u32 match u32 0 0 "
                         "action mirred egress redirect dev %s",
                         dev[k], dev[!k])) < 0)
            return rc;
    return 0;
}

#define OP(c, d, s, o, i)                                                                          \
    (struct bpf_insn)                                                                              \
    {                                                                                              \
        .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                        \
    }

/*
 * What reaches the pod is counted by its eth0 and ends there, as cheaply as the kernel can: a
 * packet filter's rule would cost a fifth of the way that is measured. UDP and TCP over IPv4 are
 * dropped, ARP and echo requests are not. In the pod's namespace; *link lives as long as its fd.
 */
static int sink(int *link, struct pw_err *err)
{
    const struct bpf_insn prog[] = {
        OP(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0),
        OP(BPF_LD | BPF_ABS | BPF_H, 0, 0, 0, 12), /* type of the frame */
        OP(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 3, 0x0800),
        OP(BPF_LD | BPF_ABS | BPF_B, 0, 0, 0, 23), /* protocol */
        OP(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 3, IPPROTO_UDP),
        OP(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, IPPROTO_TCP),
        OP(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, TCX_NEXT),
        OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
        OP(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, TCX_DROP),
        OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SCHED_CLS,
                           .insns = (uintptr_t)prog,
                           .insn_cnt = PW_ARRAY_SIZE(prog),
                           .license = (uintptr_t)"Apache-2.0"};
    pw_fd fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
    if (fd < 0)
        return pw_err_errno(err, -errno, "load the pod's sink");
    union bpf_attr create = {.link_create = {.prog_fd = (uint32_t)fd,
                                             .target_ifindex = if_nametoindex("eth0"),
                                             .attach_type = BPF_TCX_INGRESS}};
    *link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &create, sizeof(create));
    return *link < 0 ? pw_err_errno(err, -errno, "attach the pod's sink") : 0;
}

int vm_link_mac(const struct nb_spot *at, const char *dev, uint8_t mac[6], struct pw_err *err)
{
    const char *argv[] = {"ip", "-br", "link", "show", "dev", dev, NULL};
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    char word[3][40] = {""};
    int rc = nb_exec(at, argv, NULL, NULL, &o, err);
    const char *s = o.text ? o.text : "";
    for (int i = 0; i < 3 && rc == 0; i++)
        if (!nb_scan_word(&s, word[i], sizeof(word[i])))
            rc = pw_err_set(err, -ENOENT, "%s has no MAC address", dev);
    return rc ? rc : pw_mac_parse(word[2], mac, err);
}

static int wire(struct vm_lane *l, const struct vm_how *how, struct pw_err *err)
{
    enum nb_nat nat = how->masquerade ? NB_NAT : NB_NO_NAT;
    struct nb_site *s = &l->site;
    struct nb_pod *vm = &s->pod[NB_POD_A1], *pod = &s->pod[NB_POD_A2];
    struct nb_spot in_vm = {&s->node[0], vm->net}, in_node = {&s->node[0], -1};
    bool inside = l->wiring != VM_TAP;
    int rc;
    snprintf(l->tap, sizeof(l->tap), "tap0");
    if (l->wiring == VM_MIRRED_PTP) {
        rc = nb_reference_add(s, "ptp", how->masquerade ? "\"ipMasq\":true" : "\"ipMasq\":false",
                              err);
    } else {
        static const char *const device[] = {"", "veth", "tap", "pod-tap"};
        rc = nb_podwire_add(s, vm, device[l->wiring], nat, err);
        if (rc == 0)
            rc = nb_podwire_add(s, pod, "veth", nat, err);
    }
    if (rc == 0 && (l->wiring == VM_MIRRED_PTP || l->wiring == VM_MIRRED_OURS))
        rc = mirred(&in_vm, err);
    if (rc == 0 && !inside)
        snprintf(l->tap, sizeof(l->tap), "%s", vm->host_if);
    if (rc == 0)
        rc = inside ? vm_link_mac(&in_vm, "eth0", l->mac, err) : pw_mac_parse(vm->mac, l->mac, err);
    /* The next hop answers for the node's end of the pod's device. */
    if (rc == 0)
        rc = vm_link_mac(&in_node, vm->host_if, l->gateway, err);
    /* Our guest answers no ARP requests, which the routing host would send. */
    if (rc == 0 && l->wiring == VM_MIRRED_PTP) {
        char addr[PW_ADDR_STRLEN], mac[PW_MAC_STRLEN];
        rc = nb_cmd(&in_node, err, "ip neigh replace %s lladdr %s dev %s nud permanent",
                    pw_addr_text(&vm->addr, false, addr), pw_mac_text(l->mac, mac), vm->host_if);
    }
    return rc;
}

int vm_lane_up(struct vm_lane *l, const struct vm_how *how, struct pw_err *err)
{
    struct nb_site *s = &l->site;
    l->has_site = true;
    l->counters = l->sink = -1;
    int rc = nb_site_make(s, &how->set, l->name, false, err);
    if (rc == 0)
        rc = nb_site_pods_make(s, err);
    if (rc == 0)
        rc = wire(l, how, err);
    if (rc == 0)
        rc = enter(s->pod[NB_POD_A2].net, err);
    if (rc == 0 && (l->counters = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC)) < 0)
        rc = pw_err_errno(err, -errno, "open the pod's counters");
    if (rc == 0)
        rc = sink(&l->sink, err);
    if (rc == 0)
        rc = enter(l->wiring == VM_TAP ? s->node[0].net : s->pod[NB_POD_A1].net, err);
    if (rc == 0 && !l->dpdk)
        rc = nb_guest_open(&l->guest, l->tap, l->rings, how->cpu[1], err);
    return rc;
}

void vm_lane_down(struct vm_lane *l)
{
    if (!l->has_site)
        return;
    nb_guest_close(&l->guest);
    pw_closep(&l->counters);
    pw_closep(&l->sink);
    nb_site_drop(&l->site);
    l->has_site = false;
}

void vm_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

bool vm_counted(const struct vm_lane *l, uint64_t *frames, uint64_t *bytes)
{
    char text[4096];
    ssize_t n = pread(l->counters, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    const char *at = strstr(text, "eth0:");
    at = at ? at + 5 : text;
    return nb_scan_u64(&at, 10, bytes) && nb_scan_u64(&at, 10, frames);
}
