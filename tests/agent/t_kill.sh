#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired killed at any time and started again; pods that went while it was down.
# pw-test: timeout=300
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"

need iptables
reference=$(IFS=: && for d in $CNI_PATH; do ls "$d/portmap" 2>/dev/null || true; done | head -n1)
[ -n "$reference" ] || skip_all "the reference plugin portmap is not there"
mkdir "$TMP/plugins"
ln -s "$BUILD/podwire" "$reference" "$TMP/plugins/"
node_up
agent_conf "del(.cni.after) | .cni.pluginDirectory = \"$TMP/plugins\""
api_up
node me 1
for i in 2 3 4 5; do node "n$i" $i; done

# At once after the start, and a little later each time.
for ms in 0 10 30 60 100 150 200 300 400 600 800 1000 1300 1600; do
    "$BUILD/podwired" --config "$TMP/agent.json" --node-name me >>"$TMP/agent.log" 2>&1 &
    pid=$!
    sleep "$(printf '0.%03d' $((ms % 1000)))"
    [ $ms -lt 1000 ] || sleep 1
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
    [ ! -e "$LIST" ] || jq -e .plugins "$LIST" >/dev/null || tap_result 1 "after $ms ms: the list is whole"
    # It must start again from any point.
    if [ $ms = 1600 ] || [ $ms = 0 ]; then
        rm -f "$LIST"
    fi
done
agent_up
must ok "ready after all of them" wait_for 30 ready
ok "all ways" eval 'way 2 && way 3 && way 4 && way 5'
is "nothing half-written" "$(ls -A /etc/cni/net.d)" 10-podwire.conflist
ok "one that runs keeps out another" eval '! timeout 20 "$BUILD/podwired" --config "$TMP/agent.json" --node-name me --listen "" 2>"$TMP/second"'
like "which says so" "$(cat "$TMP/second")" "another podwired runs"

# Killed again and again under traffic between two pods: nothing is lost.
netns_up p1 p2
jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$LIST" >"$TMP/conf"
declare -A ip=()
for p in p1 p2; do
    good "ADD $p" "$(cat "$TMP/conf")" ADD "c-$p" "/run/netns/$p" eth0 CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=$p;K8S_POD_UID=u-$p"
    cp "$TMP/out" "$TMP/result-$p"
    ip[$p]=$(jq -r '.ips[0].address | split("/")[0]' "$TMP/out")
    api PUT "pods/default/$p" "{\"uid\": \"u-$p\", \"nodeName\": \"me\"}"
done
ip netns exec p1 ping -i 0.02 -c 250 "${ip[p2]}" >"$TMP/ping" 2>&1 &
ping_pid=$!
for _ in 1 2 3 4; do
    sleep 0.8
    agent_kill
    agent_up
done
wait "$ping_pid" || true
like "pods do not notice" "$(tail -n3 "$TMP/ping")" " 0% packet loss"

# While it is down: one pod goes without DEL (its runtime was killed too), one whose Pod is still in
# the API, one that no Pod is known of.
netns_up p3 p4
good "ADD p3" "$(cat "$TMP/conf")" ADD c-p3 /run/netns/p3 eth0 CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=p3;K8S_POD_UID=u-p3"
good "ADD p4" "$(cat "$TMP/conf")" ADD c-p4 /run/netns/p4 eth0
for p in p1 p2; do # by portmap too
    jq -c --arg n "${p#p}" --slurpfile r "$TMP/result-$p" '.plugins[1] + {name, cniVersion: "1.0.0", prevResult: $r[0],
        runtimeConfig: {portMappings: [{hostPort: (8080 + ($n | tonumber)), containerPort: 80, protocol: "tcp"}]}}' "$LIST" |
        PODWIRE=$reference request ADD "c-$p" "/run/netns/$p" eth0 || bail "portmap: $(cat "$TMP/out")"
done
ports() { iptables-save -t nat | sed -nE 's/^-A CNI-HOSTPORT-DNAT .*id: \\"([^\\]*).*/\1/p' | sort | xargs; }
is "ports of two pods" "$(ports)" "c-p1 c-p2"
api PUT pods/default/p3 '{"uid": "other", "nodeName": "me"}'
api PUT pods/default/p2 '{"uid": "u-p2", "nodeName": "elsewhere"}'
agent_kill
for p in p2 p3 p4; do ip netns del "$p"; done
for p in p2 p3 p4; do
    host=$(jq -r .hostIf "/run/podwire/endpoints/c-$p:eth0.json")
    wait_for 30 test ! -e "/sys/class/net/$host" || bail "the device of $p outlives its namespace"
done
agent_up
ok "what is gone, and in no list of this node's pods, is removed" \
    wait_for 30 eval '! test -e /run/podwire/endpoints/c-p2:eth0.json'
is "that alone" "$(cd /run/podwire/endpoints && echo *)" "c-p1:eth0.json c-p3:eth0.json c-p4:eth0.json"
is "its address is free" "$(cat /run/podwire/ipam/podwire/owners/c-p2:eth0 2>/dev/null)" ""
is "its port is nobody's" "$(ports)" c-p1
is "its entries are gone" "$("$BUILD/podwirectl" endpoints --json | jq -r '[.[].pod.name] | join(" ")')" p1
is "it is counted" "$(metric podwire_reconciled_total)" 1
ok "the living pod is left alone" ping -c1 -W2 "${ip[p1]}"

# Without an answer of the API nothing is certain.
agent_kill
api POST set '{"status": 500}'
api DELETE pods/default/p3
agent_up
sleep 3
ok "without the API nothing is removed" test -e /run/podwire/endpoints/c-p3:eth0.json

# Routes of a node that went while it was down.
agent_kill
api POST set '{"status": 0}'
api DELETE nodes/n3
agent_up
ok "a node that went meanwhile" wait_for 30 no_way 3
ok "the others stay" eval 'way 2 && way 4 && way 5'

# A virtual machine's back-end whose supervisor was killed with it.
jq -c '.device = "vhost-user"' "$TMP/conf" >"$TMP/vm"
netns_up vm
good "ADD of a vhost-user device" "$(cat "$TMP/vm")" ADD c-vm /run/netns/vm eth0
pids() { pgrep -x podwire-vhost; }
was=$(pids | tr '\n' ' ')
ok "its back-end runs" test -n "$was"
pkill -9 -x podwire-vhost
ok "killed with its supervisor, it is started again" wait_for 30 eval '[ "$(metric podwire_backends_restarted_total)" = 1 ] && pids'
agent_kill
ok "it outlives the agent" eval 'sleep 0.5; pids'
good "DEL" "$(cat "$TMP/vm")" DEL c-vm /run/netns/vm eth0
nok "and not the pod" pids
