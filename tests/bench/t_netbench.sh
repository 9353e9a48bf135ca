#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# netbench end to end, in short rounds: its figures are checked against each other, never against
# the clock. And what it leaves behind, however it ends: nothing.
# pw-test: timeout=600
. "$(dirname "$0")/../lib/tap.sh"
need ip jq nft
[ -x /usr/lib/cni/ptp ] || [ -x /opt/cni/bin/ptp ] || skip_all "no reference plugins"

nb=$BUILD/netbench
short=(--rounds 3 --time 0.1 --warmup 0.02 --quiet)
q() { jq -r "$1" "$TMP/r.json"; } # FILTER

traces() { # what a run could leave: processes, namespaces, links, mounts, rules
    pgrep -c -x netbench || true
    lsns -n -t net | wc -l
    ip -o link | wc -l
    grep -c . /proc/self/mounts
    nft list ruleset | wc -l
}
before=$(traces)

like "lists its paths" "$("$nb" list)" 'podwire-veth .*ptp .*'
must ok "measures" "$nb" "${short[@]}" --paths bridge,ptp,macvlan --where all \
    --workloads tcp-stream,tcp-crr,udp-rr,udp-rate --json "$TMP/r.json" --report "$TMP/r.html"
is "every path, place and workload has a result" "$(q '.results|length')" 48
is "none was refused" "$(q '[.results[]|select(.refused)]|length')" 0
is "every one has all its rounds" "$(q '[.results[]|select(.samples|length!=3 or any(.==null))]|length')" 0
is "the host is its own baseline" \
    "$(q '[.results[]|select(.path=="host" and .ratio.median!=1)]|length')" 0
is "intervals hold their median" \
    "$(q '[.results[].ratio|select(.lo>.median or .hi<.median)]|length')" 0
is "percentiles ascend" \
    "$(q '[.results[].latency_ns|select(.)|select(.p50>.p90 or .p90>.p99 or .p99>."p99.9")]|length')" 0
# A stream's payload is what its device counted, less headers and what TCP sent twice.
is "receivers' bytes and devices' bytes agree" "$(q '[.results[]|select(.workload=="tcp-stream").audit|
    select(.receiver_bytes > .device_bytes or
    .receiver_bytes < .device_bytes*0.93 - .retransmitted_bytes)]|length')" 0
# The proof that forwarding is counted: ptp's packets go through the node's stack, the host's not.
is "ptp is seen to be forwarded by the stack in all places" "$(q '[.results[]|select(.path=="ptp" and
    .workload=="udp-rr" and .audit.forwarded_by_stack > 100)]|length')" 3
is "loopback is not" "$(q '[.results[]|select(.path=="host" and .where=="local" and
    .audit.forwarded_by_stack == 0)]|length')" 4
is "settings are recorded as they are" "$(q '[.paths[].devices[]?|select(.device!="lo" and .mtu!=1500)]|length')" 0
is "machine is described" "$(q '.machine.kernel')" "$(uname -r)"
is "the page can be made again from the result" \
    "$("$nb" report "$TMP/r.json" "$TMP/again.html" && cmp "$TMP/r.html" "$TMP/again.html" && echo same)" same
echo '{"netbench":1,"netbench":2}' >"$TMP/twice.json"
nok "a result with a doubled key is refused" "$nb" report "$TMP/twice.json" "$TMP/x.html"
echo '{"other":1}' >"$TMP/other.json"
nok "and one that is none" "$nb" report "$TMP/other.json" "$TMP/x.html"

must ok "measures IPv6 with rules and another MTU" "$nb" "${short[@]}" --family 6 --rules 20 --mtu 1400 \
    --paths ptp,ptp-hop,bridge --workloads tcp-rr --json "$TMP/r.json"
is "the other MTU is really set" "$(q '[.paths[].devices[]|select(.device!="lo" and .mtu!=1400)]|length')" 0

for kind in nft iptables; do
    must ok "measures with the rules of 1000 Services, $kind" "$nb" --rounds 1 --time 0.05 --warmup 0 --quiet \
        --rules "1000,$kind" --paths ptp --where local --workloads udp-rr --json "$TMP/r.json"
    is "which both nodes of every path are seen to hold, $kind" "$(q '[.paths[].services|tostring]|unique|tostring')" \
        '["{\"node a\":1000,\"node b\":1000}"]'
done

"$nb" --rounds 1 --time 0.1 --quiet --paths podwire-vhost-user --podwire "$TMP/none" --workloads tcp-rr >"$TMP/out" 2>&1 &&
    rc=0 || rc=$?
is "a path that was asked for and cannot be had is an error" "$rc" 3
like "and says why" "$(cat "$TMP/out")" 'podwire-vhost-user.*no plugin'

if [ -x "$BUILD/podwire" ]; then
    "$nb" "${short[@]}" --paths podwire-veth --workloads tcp-rr --test-deny-redirect \
        --json "$TMP/r.json" >"$TMP/out" 2>&1 && rc=0 || rc=$?
    is "a path whose redirection is not in use is refused" "$rc" 3
    like "and says so" "$(cat "$TMP/out")" 'redirection not in use: path podwire-veth'
    is "with no figure for it" "$(q '[.results[]|select(.path=="podwire-veth")]|length')" 0
    ok "with redirection it is measured, also with rules and an invalid drop" "$nb" "${short[@]}" \
        --paths podwire-veth,podwire-off --where all --workloads udp-rr --rules 20 --json "$TMP/r.json"
    is "and never forwarded by the stack" "$(q '[.results[]|select(.path=="podwire-veth" and
        .audit.forwarded_by_stack*50 > .audit.device_packets)]|length')" 0
    is "while redirection off is" "$(q '[.results[]|select(.path=="podwire-off" and
        .audit.forwarded_by_stack > 100)]|length')" 3
fi

if [ -x "$BUILD/podwire" ] && [ -w /dev/net/tun ]; then
    for family in 4 6; do
        must ok "measures guests behind podwire's taps, IPv$family" "$nb" "${short[@]}" --family $family \
            --paths podwire-tap,podwire-pod-tap,podwire-vhost-user --where all --workloads udp-rr,tcp-stream \
            --json "$TMP/r.json"
        is "in all places, never forwarded by the stack, IPv$family" "$(q '[.results[]|select(.path!="host" and
            .rate and .audit.device_packets > 0 and .audit.forwarded_by_stack*50 <= .audit.device_packets)]|length')" 18
        must ok "writes frames to their taps, IPv$family" "$nb" "${short[@]}" --family $family --rounds 1 \
            --paths podwire-tap,podwire-pod-tap --workloads tap-rate --json "$TMP/taps.json"
        is "and beside them to one of mirred, which is the baseline, IPv$family" \
            "$(jq -r '[.results[]|select(.rate and .audit.device_packets > 0)|.path]|sort|join(" ")' "$TMP/taps.json")" \
            "podwire-pod-tap podwire-pod-tap podwire-tap podwire-tap tap-mirred-ptp tap-mirred-ptp"
    done
    is "a back-end's CPU time counts" "$(q '[.results[]|select(.path=="podwire-vhost-user" and .workload=="udp-rr")|
        .cpu_ns.vmm > 0]|unique|tostring')" '[true]'
    is "one's tap is in the node, the other's in the pod" "$(q '[.paths[]|.name as $p|.devices[]?|
        select(.kind=="tun" and (.where|startswith("guest")|not))|[$p,.where[0:3]]]|unique|tostring')" \
        '[["podwire-pod-tap","pod"],["podwire-tap","nod"],["podwire-vhost-user","nod"]]'
    "$nb" "${short[@]}" --paths podwire-tap,podwire-pod-tap,podwire-vhost-user --where remote-host --workloads tcp-rr \
        --test-deny-redirect >"$TMP/out" 2>&1 && rc=0 || rc=$?
    is "taps whose redirection is not in use are refused" \
        "$rc $(grep -o 'not in use: path podwire-[a-z-]*' "$TMP/out" | sort -u | wc -l)" "3 3"
else
    skip "no plugin or no /dev/net/tun" "podwire's taps"
fi

is "nothing is left after it all" "$(traces)" "$before"

start() { "$nb" --rounds 50 --time 1 --quiet --paths ptp,bridge --where local --workloads tcp-rr >"$TMP/out" 2>&1 & }
running() { [ "$(pgrep -c -x netbench)" -ge "$1" ]; }
nok_running() { ! pgrep -x netbench >"$TMP/pids"; }
for sig in KILL INT TERM; do
    start
    pid=$!
    wait_for 20 running 4 # parent, laboratory, two ends
    if [ $sig = INT ]; then
        # As a terminal does: to the whole group. A background shell job ignores SIGINT, so the
        # laboratory is asked directly.
        pkill -INT -P "$pid" -x netbench
    else
        kill -"$sig" "$pid"
    fi
    wait "$pid" || true
    wait_for 10 nok_running
    is "nothing is left after SIG$sig" "$(traces)" "$before"
done
