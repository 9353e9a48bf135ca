#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: timeout=120
# vm-rate: every way comes up, carries frames both ways and answers requests; what it prints is what
# its JSON says. How much it carries is not judged here.
. "$(dirname "$0")/../lib/tap.sh"
need jq ip tc nft
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
[ -x /usr/lib/cni/ptp ] || [ -x /opt/cni/bin/ptp ] || skip_all "no reference plugin ptp"

rc=0
"$BUILD/vm-rate" --rounds 2 --time 0.3 --works 60,64k-up,64k-down,request --ways mirred-ptp,mirred-podwire,tap,pod-tap,vhost \
    --json "$TMP/r.json" >"$TMP/out" 2>&1 || rc=$?
is "it runs" "$rc" 0
[ $rc = 0 ] || diag "$(cat "$TMP/out")"
for work in 60 64k-up 64k-down request; do
    is "$work: a figure for every way" \
        "$(jq -r --arg w $work '[.results[] | select(.work == $w and .rate[0] > 0 and .rounds == 2) | .way] | join(" ")' "$TMP/r.json")" \
        "mirred-ptp mirred-podwire tap pod-tap vhost"
done
is "the baseline is its own baseline" "$(jq '[.results[] | select(.way == "mirred-ptp") | .ratio[0] == 1] | all' "$TMP/r.json")" true
is "an interval holds its median" "$(jq '[.results[].rate | .[1] <= .[0] and .[0] <= .[2]] | all' "$TMP/r.json")" true
like "the table has the rows" "$(cat "$TMP/out")" "podwire tap in the pod +[0-9.]+ \["
nok "an option that it does not know" "$BUILD/vm-rate" --nonsense
