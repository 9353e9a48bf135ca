#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netbench count: instructions in a guest with Debian's kernel. They repeat, an extra hop is seen, a
# rise over the baseline is a failure, and the functions of a breakdown add up to the difference.
# pw-test: host serial timeout=1500
. "$(dirname "$0")/../lib/tap.sh"
need qemu-system-x86_64 jq
[ "$(id -u)" = 0 ] || skip_all "needs root"
cd "$TOP" || exit 1
why=$(tests/vm/run --kernel 6.12 --prepare 2>&1) || skip_all "no guest: ${why##*$'\n'}"

q() { jq -r "$1" "$TMP/c.json"; } # FILTER
ratio() { q ".results[]|select(.path==\"$1\" and .where==\"$2\" and .workload==\"$3\").count.ratio.median"; }
base=$TOP/bench/count-baseline.txt

must ok "counts" "$BUILD/netbench" count --kernel 6.12 --rounds 5 --requests 300 --functions \
    --paths ptp,ptp-hop,podwire-veth,podwire-netkit --where local --workloads udp-rr \
    --json "$TMP/c.json"
diag "$("$BUILD/netbench" count --from "$TMP/c.json" --kernel 6.12 | grep -vE '^    |^$')"
is "every path is counted" "$(q '[.results[]|select(.count)]|length')" 5
is "every count repeats to three percent even in windows that short" "$(q '[.results[].count.instructions|
    select((.hi-.lo)/.median > 0.03)]|length')" 0
is "the guest was never idle in between" "$(q '[.results[].count|select(.idle > 0.005)]|length')" 0
is "the clock and what was executed agree" "$(q '[.results[].count|select(.executed)|
    select((.executed/.instructions.median-1)|fabs > 0.02)]|length')" 0
is "a deliberately slowed path is found slower" \
    "$(q '[.results[]|select(.path|startswith("ptp"))]|group_by(.where)|
    map((map(select(.path=="ptp-hop"))[0].count.instructions.lo) >
        (map(select(.path=="ptp"))[0].count.instructions.hi*1.05))|all')" true
is "podwire is cheaper than ptp everywhere" "$(q '[.results[]]|group_by(.where)|
    map((map(select(.path=="podwire-veth" or .path=="podwire-netkit").count.instructions.hi)|max) <
        (map(select(.path=="ptp"))[0].count.instructions.lo))|all')" true
is "the functions add up to the difference from the host" "$(q '[.results[]|select(.path!="host").count|
    .instructions.median as $all | ([.functions[]|.path-.host]|add) as $sum |
    ($all*(1-1/.ratio.median)) as $more | select(($sum-$more)|fabs > 0.02*$all)]|length')" 0
is "functions of the kernel have names" "$(q '[.results[].count.functions[]?|
    select(.function=="veth_xmit")]|length > 0')" true
is "and so have our programs" "$(q '[.results[]|select(.path=="podwire-veth").count.functions[]|
    select(.function|startswith("bpf: pw_veth"))]|length')" 1

from() { "$BUILD/netbench" count --kernel 6.12 --from "$TMP/c.json" "$@"; }
ok "no path of ours has become dearer than the baseline allows" from --baseline "$base" --limit 3
diag "$(from --baseline "$base" --limit 3 | grep -E 'FAIL|better|compared' || true)"
# The comparison would see it: a baseline seven percent lower is exceeded, and one path more is missed.
awk '$4 ~ /^podwire/ { $6 *= 0.93 } { print }' "$base" >"$TMP/lower"
nok "a rise of seven percent is a failure" from --baseline "$TMP/lower" --limit 3
ok "a limit of ten percent lets it pass" from --baseline "$TMP/lower" --limit 10
echo "6.12 local udp-rr podwire-netkit-l2 100 1.0" >"$TMP/other"
nok "a baseline without what was counted is an error" from --baseline "$TMP/other"
echo "6.12 local udp-rr podwire-veth 100" >"$TMP/bad"
nok "a line that is not understood is an error" from --baseline "$TMP/bad"
from --baseline "$TMP/new" --update >/dev/null
ok "what --update writes is what is compared" from --baseline "$TMP/new"

# Frames written to guests' taps: compared with tap + mirred, which is counted though nobody named it.
must ok "counts frames that are written to taps" "$BUILD/netbench" count --kernel 6.12 --rounds 2 --requests 200 \
    --size 18 --paths podwire-tap,podwire-pod-tap --where local --workloads tap-rate --json "$TMP/c.json"
diag "$("$BUILD/netbench" count --from "$TMP/c.json" --kernel 6.12 | grep -vE '^$')"
is "on all taps, and not on the host" "$(q '[.results[]|select(.count).path]|sort|join(" ")')" \
    "podwire-pod-tap podwire-tap tap-mirred-ptp"
is "none is lost, and each is one the receiver got" "$(q '[.results[]|select(.loss != 0 or
    .audit.receiver_messages != .rate.n * (400 + 90 + 1))]|length')" 0
is "the baseline is tap and mirred" "$(q '[.results[]|select(.path=="tap-mirred-ptp").count.ratio|.lo,.hi]|unique == [1]')" true
is "podwire's taps take at most four fifths of its instructions" \
    "$(q '[.results[]|select(.path!="tap-mirred-ptp").count.ratio.hi|select(. > 0.8)]|length')" 0
from --baseline "$TMP/taps" --update >/dev/null
ok "they too are compared with what --update has written" from --baseline "$TMP/taps"
sed -i '/podwire-tap/s/ [0-9.]*$/ 0.5/' "$TMP/taps"
nok "and a rise is seen" from --baseline "$TMP/taps"

must ok "counts with the rules of 1000 Services" "$BUILD/netbench" count --kernel 6.12 --rounds 2 --requests 50 \
    --rules 1000 --paths podwire-veth --where remote-host --workloads udp-rr --json "$TMP/c.json"
is "which the nodes in the guest are seen to hold" "$(q '[.paths[].services|tostring]|unique|tostring')" \
    '["{\"node a\":1000,\"node b\":1000}"]'
