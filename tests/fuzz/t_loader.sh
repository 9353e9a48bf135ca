#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: host timeout=120
# The corpus of the loader's target without a finding, then some seconds of looking for new ones
# (FUZZ_SECONDS, default 5).
. "$(dirname "$0")/../lib/tap.sh"

target=$BUILD/tests/fuzz/fuzz_loader
corpus=$TOP/tests/fuzz/corpus/loader
need "$target"
ok "the corpus is clean" "$target" -runs=0 "$corpus"
mkdir "$TMP/new"
ok "nothing is found in ${FUZZ_SECONDS:-5} s" "$target" -max_total_time="${FUZZ_SECONDS:-5}" \
    -max_len=4096 -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$TMP/" "$TMP/new" "$corpus"
