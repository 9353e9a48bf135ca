#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: timeout=240
# The library's threads under ThreadSanitizer: what t_normal, t_hostile_fd and t_hostile_conn do, with no data
# race between the workers and the control side.
. "$(dirname "$0")/../lib/tap.sh"

for t in t_normal t_hostile_fd t_hostile_conn; do
    rc=0
    "$BUILD/tests/vhost/tsan_$t" >"$TMP/$t.log" 2>&1 || rc=$?
    is "$t has no data race and no failure" "$rc" 0
    [ "$rc" = 0 ] || grep -A14 -E 'WARNING|^not ok' "$TMP/$t.log" | head -60 | sed 's/^/# /'
done
