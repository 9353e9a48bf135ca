#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# House rules: the tree keeps them, and each bites (a sample that breaks it is found) without
# barking at its neighbour (a sample that keeps it is not).
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"

tree_files >"$TMP/files"
ok "the tree keeps the house rules" sh -c 'tests/lint/rules.pl . <"$1"' sh "$TMP/files"

finds() { # FILE: what the rules say of the text on standard input as that file, in a tree of its own
    local root=$TMP/sample
    rm -rf "$root"
    mkdir -p "$root/$(dirname "$1")"
    { [ "${spdx:-1}" = 0 ] || sample_spdx "$1"; cat; } >"$root/$1"
    [ "${exec:-0}" = 0 ] || chmod +x "$root/$1"
    printf '%s\n' "$1" "${@:2}" | tests/lint/rules.pl "$root" || true
}
sample_spdx() {
    case $1 in
    bpf/*) echo '/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */' ;;
    *.[ch]) echo '/* SPDX-License-Identifier: Apache-2.0 */' ;;
    *) echo '# SPDX-License-Identifier: Apache-2.0' ;;
    esac
}
bad() { # RULE FILE: exactly this rule objects, once
    local out
    out=$(finds "$2")
    like "$1: bites in $2: ${3:-}" "$out" "^$2:[0-9]+: $1: [^"$'\n'"]*$"
}
good() { # RULE FILE: nothing objects
    is "$1: lets pass in $2: ${3:-}" "$(finds "$2")" ""
}

spdx=0 bad spdx loader/x.c "no licence" <<<'int x;'
spdx=0 bad spdx bpf/x.c "wrong licence under bpf/" <<<'/* SPDX-License-Identifier: Apache-2.0 */'
spdx=0 bad spdx loader/x.c "GPL outside bpf/" <<<'/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */'
spdx=0 bad spdx x.sh "licence too late" <<<$'#!/bin/sh\n\n# SPDX-License-Identifier: Apache-2.0'
spdx=0 good spdx x.sh "after #!" <<<$'#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0'
spdx=0 good spdx x.md "in markdown" <<<'<!-- SPDX-License-Identifier: Apache-2.0 -->'
spdx=0 good spdx tests/bpf/x.bpf.c "test program" <<<'/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */'
spdx=0 good spdx deploy/x.conflist "no comments in JSON" <<<'{}'

bad test-exec tests/unit/t_x.sh <<<':'
exec=1 good test-exec tests/unit/t_x.sh <<<':'

bad include-direction loader/x.c "loader -> cni" <<<'#include "cni/conf.h"'
bad include-direction bench/x.c "bench -> cni" <<<'#include "cni/conf.h"'
bad include-direction bpf/x.c "bpf -> loader" <<<'#include "loader/base/err.h"'
bad include-direction vmm-net/x.c "vmm-net -> loader" <<<'#include "loader/maps.h"'
bad include-direction vmm-net/x.c "vmm-net -> bpf" <<<'#include "bpf/abi/podwire.h"'
bad include-direction loader/base/x.c "base -> nl" <<<'#include "loader/nl/nlmsg.h"'
bad include-direction loader/nl/x.c "nl -> loader" <<<'#include "loader/maps.h"'
bad include-direction loader/x.c "library -> its program" <<<'#include "loader/ctl/out.h"'
bad include-direction cni/x.c "cni -> vmm-net" <<<'#include "vmm-net/virtq.h"'
bad include-direction cni/x.c "relative" <<<'#include "../loader/maps.h"'
bad include-direction cni/x.c "no folder" <<<'#include "conf.h"'
good include-direction loader/x.c <<<$'#include <stdio.h>\n#include "loader/base/err.h"\n#include "bpf/abi/podwire.h"\n#include "bpf/datapath.skel.h"'
good include-direction cni/x.c <<<$'#include "cni/conf.h"\n#include "loader/datapath.h"\n#include "loader/nl/verbs.h"'
good include-direction vmm-net/x.c <<<$'#include "vmm-net/virtq.h"\n#include "loader/base/err.h"'
good include-direction tests/unit/x.c <<<'#include "cni/conf.h"'

bad no-print loader/x.c <<<$'void f(void)\n{\n    printf("x");\n}'
bad no-print cni/x.c <<<$'void f(void)\n{\n    fprintf(stderr, "x");\n}'
bad no-print vmm-net/x.c <<<$'void f(void)\n{\n    perror("x");\n}'
bad no-print loader/nl/x.c <<<$'void f(void)\n{\n    dprintf(2, "x");\n}'
bad no-print bpf/x.h <<<$'#ifndef PW_X_H\n#define PW_X_H\nstatic int f(void)\n{\n    bpf_printk("x");\n}\n#endif'
good no-print loader/x.c "in comment and string" <<<$'/* printf("x") */\nconst char *s = "printf(1)";\nvoid f(void)\n{\n    snprintf(b, 2, "x");\n    fprintf(out, "x");\n}'
good no-print vmm-net/x.c "a program" <<<$'int main(void)\n{\n    printf("x");\n}'
good no-print loader/ctl/x.c "podwirectl" <<<$'void f(void)\n{\n    printf("x");\n}'

bad owner-init loader/x.c "free" <<<$'void f(void)\n{\n    pw_free char *p;\n}'
bad owner-init loader/x.c "file" <<<$'void f(void)\n{\n    pw_file *f;\n}'
bad owner-init loader/x.c "own cleanup" <<<$'void f(void)\n{\n    pw_cleanup(xp) struct x *p;\n}'
bad owner-init loader/x.c "the second of two" <<<$'void f(void)\n{\n    pw_free char *a = g(1, 2), *b;\n}'
good owner-init loader/x.c <<<$'void f(void)\n{\n    pw_free char *a = NULL, *b = g(1, 2);\n    pw_fd fd = -1;\n    pw_cleanup(xp) struct x *p = NULL;\n}'

bad fd-start loader/x.c "none" <<<$'void f(void)\n{\n    int fd;\n}'
bad fd-start loader/x.c "zero" <<<$'void f(void)\n{\n    int map_fd = 0;\n}'
bad fd-start loader/x.c "one of two" <<<$'void f(void)\n{\n    int n, prog_fd;\n}'
good fd-start loader/x.c <<<$'struct s {\n    int fd;\n};\nint g(int fd);\nvoid f(void)\n{\n    int fd = -1, n, map_fd = g(3);\n    pw_fd other_fd = open("/", O_CLOEXEC);\n}'

bad goto-owner loader/x.c <<<$'void f(void)\n{\n    pw_fd fd = -1;\n    goto out;\nout:\n    return;\n}'
good goto-owner loader/x.c <<<$'void f(void)\n{\n    pw_fd fd = -1;\n}\n\nvoid g(void)\n{\n    goto out;\nout:\n    return;\n}'

bad unsafe-call loader/x.c <<<$'void f(void)\n{\n    strcpy(a, b);\n}'
bad unsafe-call cni/x.c <<<$'void f(void)\n{\n    system("x");\n}'
good unsafe-call loader/x.c <<<$'void f(void)\n{\n    ops->signal(1);\n    my_system(1);\n}'
good unsafe-call loader/x.c "exempt, with a reason" <<<$'void f(void)\n{\n    signal(SIGPIPE, SIG_IGN); /* lint: unsafe-call ignoring is portable */\n}'
bad unsafe-call loader/x.c "exempt without a reason" <<<$'void f(void)\n{\n    signal(SIGPIPE, SIG_IGN); /* lint: unsafe-call */\n}'

bad cloexec loader/x.c "open" <<<$'void f(void)\n{\n    g(open("/", O_RDONLY));\n}'
bad cloexec cni/x.c "socket" <<<$'void f(void)\n{\n    g(socket(AF_UNIX,\n             SOCK_STREAM, 0));\n}'
bad cloexec cni/x.c "accept" <<<$'void f(void)\n{\n    g(accept(s, NULL, NULL));\n}'
bad cloexec cni/x.c "fopen" <<<$'void f(void)\n{\n    pw_file *f = fopen(path, "r");\n}'
good cloexec loader/x.c <<<$'void f(void)\n{\n    g(open("/", O_RDONLY |\n                O_CLOEXEC));\n    pw_file *f = fopen(path, "re");\n    x->open(1);\n}'

bad guard loader/x.h <<<$'int x;'
good guard loader/x.h <<<$'/* what */\n#ifndef PW_X_H\n#define PW_X_H\nint x;\n#endif'
printf -v long 'int x;\n%.0s' $(seq 700)
bad size loader/x.c <<<"$long"
good size tests/x.c <<<"$long"

# Two headers with one guard: the second would be empty where both are included.
mkdir -p "$TMP/two/loader"
for h in a b; do
    printf '/* SPDX-License-Identifier: Apache-2.0 */\n#ifndef PW_SAME_H\n#define PW_SAME_H\n#endif\n' >"$TMP/two/loader/$h.h"
done
like "guard: must be the header's own" \
    "$(printf '%s\n' loader/a.h loader/b.h | tests/lint/rules.pl "$TMP/two" || true)" "b.h:1: guard:"
