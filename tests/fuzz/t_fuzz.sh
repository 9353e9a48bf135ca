#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The corpora without a finding, then some seconds of looking for new ones in each target of the
# plugin and of netlink (FUZZ_SECONDS, default 5; `make fuzz FUZZ_TIME=600` for long runs).
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"

for name in conf env prevresult nlmsg state; do
    target=$BUILD/tests/fuzz/fuzz_$name corpus=$TOP/tests/fuzz/corpus/$name
    must ok "$name: target and corpus are there" eval '[ -x "$target" ] && [ -n "$(ls "$corpus")" ]'
    ok "$name: the corpus is clean" "$target" -runs=0 "$corpus"
    mkdir "$TMP/$name"
    ok "$name: nothing is found in ${FUZZ_SECONDS:-5} s" "$target" -max_total_time="${FUZZ_SECONDS:-5}" \
        -max_len=4096 -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$TMP/" "$TMP/$name" "$corpus"
    runs=$("$target" -runs=0 "$TMP/$name" "$corpus" 2>&1 | sed -n 's/.*DONE.*cov: \([0-9]*\).*/\1/p')
    diag "$name: $runs edges covered"
    ok "$name: the input is looked at" test "${runs:-0}" -gt 50
done
