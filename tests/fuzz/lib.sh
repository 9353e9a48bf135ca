# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the fuzz tests share. Source it after tap.sh.
#
#   fuzz NAME [MAX-LEN [SECONDS]]   the corpus of a target without a finding, then some seconds of
#                                   looking for new ones (FUZZ_SECONDS overrides; default 5)
fuzz() {
    local name=$1 len=${2:-4096} secs=${FUZZ_SECONDS:-${3:-5}} target corpus edges
    target=$BUILD/tests/fuzz/fuzz_$name corpus=$TOP/tests/fuzz/corpus/$name
    must ok "$name: target and corpus are there" eval '[ -x "$target" ] && [ -n "$(ls "$corpus")" ]'
    ok "$name: the corpus is clean" "$target" -runs=0 "$corpus"
    mkdir "$TMP/$name"
    ok "$name: nothing is found in $secs s" "$target" -max_total_time="$secs" -max_len="$len" \
        -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$TMP/" "$TMP/$name" "$corpus"
    edges=$("$target" -runs=0 "$TMP/$name" "$corpus" 2>&1 | sed -n 's/.*DONE.*cov: \([0-9]*\).*/\1/p')
    diag "$name: $edges edges covered"
    ok "$name: the input is looked at" test "${edges:-0}" -gt 50
}
