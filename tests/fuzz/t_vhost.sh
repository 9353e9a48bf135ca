#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: host timeout=120
# The corpus of the vhost target without a finding, then some seconds of looking for new ones
# (FUZZ_SECONDS, default 10).
. "$(dirname "$0")/../lib/tap.sh"

target=$BUILD/tests/fuzz/fuzz_vhost
corpus=$TOP/tests/fuzz/corpus/vhost
need "$target"
ok "the corpus is clean" "$target" -runs=0 "$corpus"
mkdir "$TMP/new"
ok "nothing is found in ${FUZZ_SECONDS:-10} s" "$target" -max_total_time="${FUZZ_SECONDS:-10}" \
    -max_len=2048 -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$TMP/" "$TMP/new" "$corpus"
