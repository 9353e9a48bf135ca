#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired's CNI list: there when, and only when, the node can take pods; pods are made by it.
# pw-test: timeout=180
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"

node_up
agent_conf
api_up
agent_up
like "not ready before the API has this Node" "$(why_not)" "API has no Node 'me'|starting|not answered"
nok "and no list" test -e "$LIST"
api PUT nodes/me '{"addresses": ["192.0.2.1", "2001:db8:2::1"]}'
wait_for 20 eval '[[ $(why_not) == *podCIDRs* ]]' || true
like "nor without pod ranges, and it says what to do" "$(why_not)" "no spec.podCIDRs.*--allocate-node-cidrs"
nok "no list" test -e "$LIST"

# As containerd sees it: what happens inside the folder.
node me 1
must ok "ready with them" wait_for 20 ready
must ok "the list is there" test -e "$LIST"
is "of both families" "$(jq -c '[.plugins[0].ipam.ranges[][].subnet]' "$LIST")" '["10.244.1.0/24","fd00:244:0:1::/64"]'
is "nothing half-written beside it" "$(ls -A /etc/cni/net.d)" 10-podwire.conflist
is "readable by all" "$(command stat -c %a "$LIST")" 644

# A pod by it.
netns_up p1
jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$LIST" >"$TMP/conf"
sum() { sha256sum </run/podwire/node; }
before=$(sum)
good "ADD by the list" "$(cat "$TMP/conf")" ADD c1 /run/netns/p1 eth0 CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1;K8S_POD_UID=u1"
cp "$TMP/out" "$TMP/added"
is "the pod's address is of the Node's range" "$(jq -r '.ips[0].address' "$TMP/out" | cut -d. -f1-3)" 10.244.1
ok "the host reaches it" ping -c1 -W2 "$(jq -r '.ips[0].address | split("/")[0]' "$TMP/out")"
is "the plugin says of the node what the agent said" "$(sum)" "$before"
ok "its metrics are there" wait_for 5 eval '[ "$(metric podwire_endpoints)" = 1 ]'
is "the ADD was timed" "$(metric 'podwire_cni_duration_seconds_count{command="ADD",result="success"}')" 1

# Namespaces that go before DEL: of devices that are gone there is no series, least of all the same one twice.
sound() { curl -s http://127.0.0.1:9470/metrics | "$TOP/tests/agent/check_metrics.py"; }
ok "the metrics are sound" sound
for p in m1 m2; do
    netns_up $p
    good "ADD $p" "$(cat "$TMP/conf")" ADD c-$p /run/netns/$p eth0
    ip netns del $p
    wait_for 30 test ! -e "/sys/class/net/$(answer '.interfaces[0].name')" || bail "the device of $p outlives its namespace"
done
ok "with pods whose namespace is gone too" sound
is "they are not counted" "$(metric podwire_endpoints)" 1
for p in m1 m2; do good "DEL $p" "$(cat "$TMP/conf")" DEL c-$p "" eth0; done

# Unchanged, it is not touched: containerd would read it again.
inode() { command stat -c %i.%Y "$LIST"; }
was=$(inode)
agent_down
is "the list stays without the agent" "$(inode)" "$was"
agent_up
ok "ready again" wait_for 20 ready
is "and is not written again" "$(inode)" "$was"

# Another range is another list.
api PUT nodes/me '{"podCIDRs": ["10.244.9.0/24"], "addresses": ["192.0.2.1", "2001:db8:2::1"]}'
ok "changed ranges change it" wait_for 20 grep -q 10.244.9.0/24 "$LIST"
node me 1
ok "and back" wait_for 20 grep -q 10.244.1.0/24 "$LIST"

# The API away for longer than removeAfter is no reason.
api_down
sleep 3
ok "an API server that is away changes nothing" test -e "$LIST"
api_up
ok "and it is found again" wait_for 60 metric_is podwire_api_up 1

# What keeps the node from taking pods, for removeAfter seconds, is one; so is the Node's deletion. While a pod is
# there, the list stays for it to be taken away by, and takes no other.
plugin_conf() { jq -c '.plugins[0] + {name: .name, cniVersion: "1.1.0"}' "$LIST"; }
closed() { jq -e '.plugins[0].closed' "$LIST"; }
agent_down
mkdir "$TMP/bin"
cp "$BUILD/podwire" "$TMP/bin"
agent_conf '.cni.pluginDirectory = "'"$TMP/bin"'"'
agent_up
ok "ready" wait_for 20 ready
rm "$TMP/bin/podwire"
api DELETE nodes/me
ok "a deleted Node's list is closed" wait_for 30 closed
like "and it is said" "$(why_not)" "no Node 'me'"
like "in the list as well" "$(closed)" "no Node 'me'"
netns_up p2
bad "ADD is refused, to be tried again" 11 "$(plugin_conf)" ADD c2 /run/netns/p2 eth0
like "with the reason" "$(answer .msg)" "takes no pods: .*no Node 'me'"
bad "so is STATUS" 50 "$(plugin_conf)" STATUS "" "" ""
like "with the reason too" "$(answer .msg)" "no Node 'me'"
good "CHECK is not" "$(plugin_conf | jq -c --slurpfile r "$TMP/added" '. + {prevResult: $r[0], cniVersion: "1.0.0"}')" CHECK c1 /run/netns/p1 eth0
agent_down
agent_up
like "an agent that starts knows no ranges of it" "$(wait_for 20 eval '[[ $(why_not) == *"no Node"* ]]'; why_not)" "no Node 'me'"
sleep 3
is "and leaves the list as it is" "$(jq -c '[.plugins[0].ipam.ranges[][].subnet]' "$LIST")" '["10.244.1.0/24","fd00:244:0:1::/64"]'
good "DEL by it" "$(plugin_conf)" DEL c1 /run/netns/p1 eth0
ok "with the last pod the list goes" wait_for 30 eval '! test -e "$LIST"'
node me 1
ok "one that lacks the plugin gets none" wait_for 20 eval '[[ $(why_not) == *"is not there: install it"* ]]'
nok "no list" test -e "$LIST"
cp "$BUILD/podwire" "$TMP/bin"
ok "it comes with the plugin" wait_for 30 test -e "$LIST"
ok "ready" wait_for 10 ready

nok "and is open" closed

# The datapath, unloaded under it, comes back.
ok "unload" "$BUILD/podwirectl" unload
ok "is loaded again" wait_for 60 eval '[ "$(metric podwire_datapath_loaded)" = 1 ]'

# --- off the node ---
nok "cleanup is refused while an agent runs" "$BUILD/podwired" --config "$TMP/agent.json" --cleanup
nok "and changes nothing" closed
good "ADD" "$(plugin_conf)" ADD c1 /run/netns/p1 eth0
agent_down
nok "cleanup is refused while there is a pod" "$BUILD/podwired" --config "$TMP/agent.json" --cleanup
like "the list says so" "$(closed)" "is being taken off"
bad "takes no other" 11 "$(plugin_conf)" ADD c2 /run/netns/p2 eth0
good "DEL by it" "$(plugin_conf)" DEL c1 /run/netns/p1 eth0
ok "cleanup" "$BUILD/podwired" --config "$TMP/agent.json" --cleanup
is "takes list, routes and datapath" "$(ls -A /etc/cni/net.d; ip route show proto 120; find /sys/fs/bpf/podwire /run/podwire 2>/dev/null)" ""
