#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# No program of the datapath has become dearer than bench/bpf-budget.txt allows, and the check
# would see it.
. "$(dirname "$0")/../lib/tap.sh"

budget=$BUILD/tests/bpf/budget file=$TOP/bench/bpf-budget.txt
ok "every program is within its budget" "$budget" "$file"
diag "$("$budget" "$file")"

awk '/^#/ {print; next} {print $1, int($2/2), $3}' "$file" >"$TMP/half"
nok "half the verified instructions would be seen" "$budget" "$TMP/half"
awk '/^#/ {print; next} {print $1, $2, int($3/2)}' "$file" >"$TMP/half"
nok "half the instructions in the kernel would be seen" "$budget" "$TMP/half"
grep -v pw_from_uplink "$file" >"$TMP/without"
nok "a program without a budget is seen" "$budget" "$TMP/without"
{ cat "$file"; echo "pw_gone 1 1"; } >"$TMP/gone"
nok "a budget without a program is seen" "$budget" "$TMP/gone"
