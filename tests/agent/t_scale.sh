#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired in a cluster of 1,000 nodes on a node with 500 pods: its memory; what rest and a change
# cost is told, not asserted. The metrics of all of it are as Prometheus reads them.
# pw-test: timeout=300
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"
need openssl

node_up
api_tls
agent_conf '.kubernetes.caFile = "'"$TMP"'/ca.crt" | .clusterRanges += ["10.128.0.0/13", "fd00:aaaa::/32"]'
api_up
node me 1
api POST many/1000
agent_up
must ok "ready" wait_for 30 ready
is "all nodes are known" "$(metric podwire_nodes)" 1001
is "to all there is a way" "$(ip route show proto 120 | wc -l) $(ip -6 route show proto 120 | wc -l)" "1000 1000"
is "which the maps' fill shows: ranges of both families, and nodes' IPv4 addresses" \
    "$(metric 'podwire_map_entries{map="pw_peers4"}') $(metric 'podwire_map_entries{map="pw_peers6"}')" "2000 1000"

ip netns add many
jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$LIST" >"$TMP/conf"
add() {
    request ADD "c$1" /run/netns/many "e$1" CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod-$1;K8S_POD_UID=u$1" <"$TMP/conf"
}
for i in {1..250}; do add "$i" || { tap_result 1 "ADD $i"; break; }; done
jq -c '.ipam.ranges = [[{subnet: "10.244.128.0/17"}], [{subnet: "fd00:244:0:1::/64"}]]' "$TMP/conf" >"$TMP/wide"
mv "$TMP/wide" "$TMP/conf"
for i in {251..500}; do add "$i" || { tap_result 1 "ADD $i"; break; }; done
ok "500 pods" metric_is podwire_endpoints 500
# A scrape or two, and a list anew.
curl -s http://127.0.0.1:9470/metrics >"$TMP/metrics"
api POST expire
wait_for 20 metric_is podwire_api_lists_total 2 || true
curl -s http://127.0.0.1:9470/metrics >"$TMP/metrics"
ok "the metrics are as they should be" eval '"$TOP/tests/agent/check_metrics.py" <"$TMP/metrics"'
diag "$("$TOP/tests/agent/check_metrics.py" <"$TMP/metrics") in $(wc -c <"$TMP/metrics") bytes"

rss=$(awk '/^VmRSS/ {print $2}' "/proc/$agent_pid/status")
diag "resident: $rss KiB ($(awk '/^RssAnon/ {print $2}' "/proc/$agent_pid/status") of its own)"
ok "at most 16 MiB are resident" test "$rss" -le 16384

ticks() { awk '{print $14 + $15}' "/proc/$agent_pid/stat"; }
before=$(ticks)
sleep 10
diag "at rest: $(($(ticks) - before)) ticks of 10 ms in 10 s"
begin=${EPOCHREALTIME/[.,]/}
node new 77
until way 77; do :; done
diag "from a Node to the way to it: $(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms, asking included"
