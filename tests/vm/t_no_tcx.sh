#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: serial
# pw-test: timeout=300
# Debian 12's own kernel (6.1) is older than tcx: what STATUS, ADD and podwirectl say there, and that
# nothing is left. What is run in the guest: no_tcx.sh.
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP" || exit 1
need qemu-system-x86_64

rc=0
tests/vm/run --kernel 6.1 --timeout 120 -- tests/lib/node.sh tests/vm/no_tcx.sh >"$TMP/log" 2>&1 || rc=$?
told=0
while IFS= read -r line; do
    held=1
    case $line in
    "ok "*) held=0 ;&
    "not ok "*) told=$((told + 1)); tap_result $held "6.1: ${line#*- }" ;;
    '# '*) echo "$line" ;;
    esac
done <"$TMP/log"
# A guest that died half way has told of some only; its exit code tells the rest.
[ $rc = 0 ] && [ $told -ge 10 ] || diag "$(tail -n 20 "$TMP/log")"
is "6.1: the guest's exit code" $rc 0
ok "6.1: all is told" test $told -ge 10
