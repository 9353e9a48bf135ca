/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU plugin: counts the guest's instructions by address between the marker instructions of
 * bench/mark.h, and writes for each window its number, the total, and a line for each block of
 * code. Built once for each version of the plugin interface (PLUGIN_API), since QEMU loads only
 * plugins of versions it knows. Debian ships no header for it; what is used is declared here, from
 * QEMU's documentation of the interface (docs/devel/tcg-plugins).
 *
 * usage: -plugin FILE.so,out=FILE
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned vcpu, void *userdata);
enum { CB_NO_REGS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
#if PLUGIN_API >= 3
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb, int flags,
                                          void *userdata);
#else
/* Adds without leaving the translated code; op 0 is an addition of 64 bits. */
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                              uint64_t imm);
#endif
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags,
                                            void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
#if PLUGIN_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#endif

EXPORT int qemu_plugin_version = PLUGIN_API;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

/* A translated block. Blocks may be translated again; each keeps its own record for ever. */
struct block {
    struct block *next;
    uint64_t addr, insns, hits;
};

static struct block *blocks;
static FILE *out;
static bool counting;
static unsigned number;

#if PLUGIN_API >= 3
static void on_block(unsigned vcpu, void *userdata)
{
    struct block *b = userdata;
    (void)vcpu;
    b->hits++;
}
#endif

static void on_mark(unsigned vcpu, void *userdata)
{
    uint64_t total = 0;
    char letter = *(const char *)userdata;
    (void)vcpu;
    switch (letter) {
    case '0':
    case '1':
        number = (number << 1 | (letter == '1')) & 0xffff;
        return;
    case '<':
        for (struct block *b = blocks; b; b = b->next)
            b->hits = 0;
        counting = true;
        return;
    case '>':
        if (!counting)
            return;
        counting = false;
        for (struct block *b = blocks; b; b = b->next)
            total += b->hits * b->insns;
        fprintf(out, "window %u %" PRIu64 "\n", number, total);
        for (struct block *b = blocks; b; b = b->next)
            if (b->hits)
                fprintf(out, "%" PRIx64 " %" PRIu64 "\n", b->addr, b->hits * b->insns);
        fflush(out);
        return;
    default:
        return;
    }
}

/* The letter of a marker instruction, or 0. */
static char marker(const struct qemu_plugin_insn *insn)
{
    static const unsigned char nop[6] = {0x0f, 0x1f, 0x80, 'P', 'W', 'B'};
    unsigned char bytes[7];
    if (qemu_plugin_insn_size(insn) != sizeof(bytes))
        return 0;
#if PLUGIN_API >= 3
    if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
        return 0;
#else
    memcpy(bytes, qemu_plugin_insn_data(insn), sizeof(bytes));
#endif
    return memcmp(bytes, nop, sizeof(nop)) == 0 ? (char)bytes[6] : 0;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    struct block *b = calloc(1, sizeof(*b));
    (void)id;
    if (!b)
        abort();
    b->addr = qemu_plugin_tb_vaddr(tb);
    b->insns = qemu_plugin_tb_n_insns(tb);
    b->next = blocks;
    blocks = b;
#if PLUGIN_API >= 3
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS, b);
#else
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &b->hits, 1);
#endif
    for (size_t i = 0; i < b->insns; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        static char letters[] = "01<>";
        char found = marker(insn), *letter = found ? strchr(letters, found) : NULL;
        if (letter)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, CB_NO_REGS, letter);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "we"))) {
        fputs("netbench-icount: needs out=FILE\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
