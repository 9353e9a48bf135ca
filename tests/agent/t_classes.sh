#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lists for RuntimeClasses: pods of one get its device, with nothing to look up when they come.
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"

node_up
agent_conf '.runtimeClasses = {kata: {device: "tap", directory: "/etc/cni/kata.d", plugin: {tap: {queues: 2}}}}
    | .podDevices = ["veth"] | .namespaces = {machines: "tap"}'
api_up
node me 1
agent_up
must ok "ready" wait_for 20 ready
kata=/etc/cni/kata.d/10-podwire.conflist
is "the others' list" "$(jq -r '.plugins[0].device' "$LIST")" auto
is "those of a namespace" "$(jq -r '.plugins[0].namespaceDevices.machines' "$LIST")" tap
is "the RuntimeClass's" "$(jq -c '.plugins[0] | [.device, .tap.queues, .podDevices]' $kata)" '["tap",2,null]'
netns_up p1 p2
for f in "$LIST" $kata; do jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$f" >"$TMP/$(basename "$(dirname "$f")")"; done
good "ADD with each" "$(cat "$TMP/net.d")" ADD c1 /run/netns/p1 eth0
netns_up p3
good "ADD in that namespace" "$(cat "$TMP/net.d")" ADD c3 /run/netns/p3 eth0 CNI_ARGS="K8S_POD_NAMESPACE=machines;K8S_POD_NAME=m"
good "ADD of a virtual machine" "$(cat "$TMP/kata.d")" ADD c2 /run/netns/p2 eth0
is "by its kind" "$("$BUILD/podwirectl" endpoints --json | jq -r '[.[].kind] | sort | join(" ")' | tr ' ' '\n' | grep -c '^tap$')" 2
is "no two with one address" "$("$BUILD/podwirectl" endpoints --json | jq '[.[].addresses[]] | length == (unique | length)')" true
agent_down
for c in 1 2 3; do good "DEL" "$(cat "$TMP/net.d")" DEL c$c "" eth0; done
ok "cleanup" "$BUILD/podwired" --config "$TMP/agent.json" --cleanup
is "takes both" "$(find /etc/cni -type f)" ""
