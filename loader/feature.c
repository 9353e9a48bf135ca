/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel can do, found by doing it in a scratch network namespace, once per boot. The
 * kernel ignores attributes that it does not know, so what was asked for is read back.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <jansson.h>
#include <linux/filter.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/kcompat.h"
#include "loader/expedite.h"
#include "loader/nl/link.h"
#include "loader/node.h"

#define CACHE PW_RUN_DIR "/features.json"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
/* Raised when the probes change. */
#define PROBES 1

static const struct {
    const char *name;
    size_t at;
} fields[] = {
    {"tcx", offsetof(struct pw_features, tcx)},
    {"netkit", offsetof(struct pw_features, netkit)},
    {"netkit_scrub", offsetof(struct pw_features, netkit_scrub)},
    {"netkit_room", offsetof(struct pw_features, netkit_room)},
    {"redirect_peer", offsetof(struct pw_features, redirect_peer)},
    {"ct_lookup", offsetof(struct pw_features, ct_lookup)},
};

static bool *field(struct pw_features *f, size_t i)
{
    return (bool *)((char *)f + fields[i].at);
}

/* ---- probes ---- */

static struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
    return (struct bpf_insn){
        .code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}
#define MOV_IMM(dst, imm) insn(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define MOV_REG(dst, src) insn(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD_IMM(dst, imm) insn(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define STORE(dst, off, imm) insn(BPF_ST | BPF_MEM | BPF_DW, dst, 0, off, imm)
#define CALL(helper) insn(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define KFUNC(id) insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, id)
#define EXIT() insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int load_program(const struct bpf_insn *insns, size_t n)
{
    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pw_probe", "Dual BSD/GPL", insns, n, NULL);
}

static bool probe_tcx(void)
{
    const struct bpf_insn next[] = {MOV_IMM(BPF_REG_0, -1), EXIT()};
    const int loopback = 1;

    pw_fd prog = load_program(next, PW_ARRAY_SIZE(next));
    if (prog < 0)
        return false;
    pw_fd link = bpf_link_create(prog, loopback, BPF_TCX_INGRESS, NULL);
    return link >= 0;
}

static bool probe_redirect_peer(void)
{
    const struct bpf_insn insns[] = {MOV_IMM(BPF_REG_1, 1), MOV_IMM(BPF_REG_2, 0),
                                     CALL(BPF_FUNC_redirect_peer), EXIT()};
    pw_fd prog = load_program(insns, PW_ARRAY_SIZE(insns));
    return prog >= 0;
}

static void btf_freep(struct btf **btf)
{
    btf__free(*btf);
}
#define btf_auto __attribute__((cleanup(btf_freep))) struct btf

/* A program that asks and releases. Where connection tracking is a module its functions are not in
 * the kernel's own type information, and that they are in the module's must do. */
static bool probe_ct_lookup(void)
{
    btf_auto *vmlinux = btf__load_vmlinux_btf();
    if (libbpf_get_error(vmlinux)) {
        vmlinux = NULL;
        return false;
    }
    int lookup = btf__find_by_name_kind(vmlinux, "bpf_skb_ct_lookup", BTF_KIND_FUNC);
    int release = btf__find_by_name_kind(vmlinux, "bpf_ct_release", BTF_KIND_FUNC);
    if (lookup <= 0 || release <= 0) {
        btf_auto *module = btf__load_module_btf("nf_conntrack", vmlinux);
        if (libbpf_get_error(module)) {
            module = NULL;
            return false;
        }
        return btf__find_by_name_kind(module, "bpf_skb_ct_lookup", BTF_KIND_FUNC) > 0;
    }
    const struct bpf_insn insns[] = {STORE(BPF_REG_10, -8, 0),
                                     STORE(BPF_REG_10, -16, 0),
                                     STORE(BPF_REG_10, -24, 0),
                                     STORE(BPF_REG_10, -32, 0),
                                     MOV_REG(BPF_REG_2, BPF_REG_10),
                                     ADD_IMM(BPF_REG_2, -16),
                                     MOV_IMM(BPF_REG_3, 12),
                                     MOV_REG(BPF_REG_4, BPF_REG_10),
                                     ADD_IMM(BPF_REG_4, -32),
                                     MOV_IMM(BPF_REG_5, 12),
                                     KFUNC(lookup),
                                     insn(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
                                     MOV_REG(BPF_REG_1, BPF_REG_0),
                                     KFUNC(release),
                                     MOV_IMM(BPF_REG_0, 0),
                                     EXIT()};
    pw_fd prog = load_program(insns, PW_ARRAY_SIZE(insns));
    return prog >= 0;
}

static void probe_netkit(struct pw_features *f)
{
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_link link;
    const struct pw_pair pair = {
        .host = {.name = "pw-probe0", .netns = -1},
        .pod = {.name = "pw-probe1", .netns = -1},
        .netkit = {.mode = PW_NETKIT_MODE_L3,
                   .policy = PW_NETKIT_PASS,
                   .peer_policy = PW_NETKIT_BLACKHOLE,
                   .set_scrub = true,
                   .scrub = PW_NETKIT_SCRUB_NONE,
                   .peer_scrub = PW_NETKIT_SCRUB_DEFAULT,
                   .headroom = 64,
                   .tailroom = 32},
    };

    if (pw_nl_open(&nl, NETLINK_ROUTE, NULL))
        return;
    pw_link_add_pair(&b, &pw_link_netkit, &pair);
    if (pw_nl_commit(&nl, &b, NULL, NULL, NULL) || pw_link_get(&nl, 0, pair.host.name, &link, NULL))
        return;
    f->netkit = strcmp(link.kind, "netkit") == 0 && link.netkit.primary &&
                link.netkit.mode == PW_NETKIT_MODE_L3 &&
                link.netkit.peer_policy == PW_NETKIT_BLACKHOLE;
    f->netkit_scrub =
        f->netkit && link.netkit.has_scrub && link.netkit.scrub == PW_NETKIT_SCRUB_NONE;
    f->netkit_room = f->netkit && link.netkit.has_room && link.netkit.headroom == 64 &&
                     link.netkit.tailroom == 32;
}

static int no_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    (void)level;
    (void)fmt;
    (void)ap;
    return 0;
}

static int probe(struct pw_features *out, struct pw_err *err)
{
    struct pw_features f = {0};

    pw_fd home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0)
        return pw_err_errno(err, -errno, "open /proc/thread-self/ns/net");
    /* Everything made in there goes with it, whoever is killed when. */
    if (unshare(CLONE_NEWNET) < 0)
        return pw_err_errno(err, -errno, "make a scratch network namespace");
    libbpf_print_fn_t before = libbpf_set_print(no_print);
    {
        pw_expedited;
        f.tcx = probe_tcx();
        probe_netkit(&f);
    }
    f.redirect_peer = probe_redirect_peer();
    f.ct_lookup = probe_ct_lookup();
    libbpf_set_print(before);
    if (setns(home, CLONE_NEWNET) < 0)
        return pw_err_errno(err, -errno, "return from the scratch network namespace");
    *out = f;
    return 0;
}

/* ---- cache ---- */

static bool cache_read(const char *boot, struct pw_features *out)
{
    struct pw_features f = {0};
    char text[1024];
    ssize_t n = pw_file_read(CACHE, text, sizeof(text), NULL);
    json_t *json = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    const char *of_boot = json_string_value(json_object_get(json, "boot"));
    bool good = of_boot && strcmp(of_boot, boot) == 0 &&
                json_integer_value(json_object_get(json, "probes")) == PROBES;

    for (size_t i = 0; good && i < PW_ARRAY_SIZE(fields); i++) {
        const json_t *v = json_object_get(json, fields[i].name);
        good = json_is_boolean(v);
        *field(&f, i) = json_is_true(v);
    }
    json_decref(json);
    if (good)
        *out = f;
    return good;
}

/* Without a cache everything works, slower. */
static void cache_write(const char *boot, struct pw_features *f)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "{\"boot\": \"%s\", \"probes\": %d", boot, PROBES);

    for (size_t i = 0; i < PW_ARRAY_SIZE(fields); i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, ", \"%s\": %s", fields[i].name,
                      *field(f, i) ? "true" : "false");
    n += snprintf(text + n, sizeof(text) - (size_t)n, "}\n");
    if (pw_dir_ensure(PW_RUN_DIR, NULL) == 0)
        pw_file_replace(CACHE, text, (size_t)n, NULL);
}

int pw_features_get(struct pw_features *out, struct pw_err *err)
{
    struct pw_features f;
    char boot[64];

    if (pw_file_read_text(BOOT_ID, boot, sizeof(boot), NULL) <= 0 || strpbrk(boot, "\"\\"))
        snprintf(boot, sizeof(boot), "unknown");
    /* The module may have come since. */
    if (cache_read(boot, &f) && (f.ct_lookup || !pw_node_has_conntrack())) {
        *out = f;
        return 0;
    }
    pw_node_need_conntrack();
    int rc = probe(&f, err);
    if (rc)
        return pw_err_wrap(err, "find out what the kernel can do");
    cache_write(boot, &f);
    *out = f;
    return 0;
}
