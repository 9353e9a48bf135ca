#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: timeout=600
# The runner itself: a guest does what it is told, and says so; a hang and a crash are told apart.
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP" || exit 1
need qemu-system-x86_64

for kernel in 6.12 newest; do
    rc=0
    # shellcheck disable=SC2016  # the guest's own variables
    tests/vm/run --kernel $kernel --out "$TMP/$kernel" --timeout 200 -- bash -c '
        uname -r
        ip link add pair type netkit && ip -d link show pair | grep -o "netkit mode l." && ip link del pair
        test -r /sys/kernel/btf/vmlinux && test -c /dev/vhost-net && echo ready
        echo written >"$OUT/file"
        exit 7' >"$TMP/$kernel.txt" 2>&1 || rc=$?
    is "$kernel: exit code of the command" $rc 7
    like "$kernel: netkit, BTF and vhost-net are there" "$(cat "$TMP/$kernel.txt")" "netkit.*ready"
    is "$kernel: files come back" "$(cat "$TMP/$kernel/file" 2>&1)" written
done
rc=0
tests/vm/run --timeout 10 -- sleep 1000 >"$TMP/hang" 2>&1 || rc=$?
is "a guest that hangs: exit code" $rc 124
like "a guest that hangs: said" "$(cat "$TMP/hang")" "was not done after 10 s"
rc=0
tests/vm/run --timeout 100 -- sh -c 'echo c >/proc/sysrq-trigger' >"$TMP/crash" 2>&1 || rc=$?
is "a guest that panics: exit code" $rc 123
like "a guest that panics: its console is shown" "$(cat "$TMP/crash")" write_sysrq_trigger
