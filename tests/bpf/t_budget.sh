#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No program of the datapath has become dearer than bench/bpf-budget.txt allows, and the check
# would see it.
. "$(dirname "$0")/../lib/tap.sh"

file=$TOP/bench/bpf-budget.txt
budget() { unshare --net "$BUILD/tests/bpf/budget" "$@" 2>&1; } # its bench has a network of its own

must ok "every program is within its budget" budget "$file"
diag "$(budget "$file")"

awk '/^#/ {print; next} {print $1, int($2/2), $3}' "$file" >"$TMP/half"
like "half the verified instructions would be seen" "$(budget "$TMP/half" || true)" \
    'pw_from_uplink [^
]*OVER BUDGET'
awk '/^#/ {print; next} {print $1, $2, int($3/2)}' "$file" >"$TMP/half"
like "half the instructions in the kernel would be seen" "$(budget "$TMP/half" || true)" \
    'pw_from_uplink [^
]*OVER BUDGET'
nok "and is a failure" budget "$TMP/half"
grep -v pw_from_uplink "$file" >"$TMP/without"
like "a program without a budget is seen" "$(budget "$TMP/without" || true)" 'NO BUDGET'
{ cat "$file"; echo "pw_gone 1 1"; } >"$TMP/gone"
like "a budget without a program is seen" "$(budget "$TMP/gone" || true)" 'pw_gone .*is no program'
