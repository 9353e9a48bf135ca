#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired and an API server that behaves in every way it should not: the ways to other nodes follow
# the Nodes all the same.
# pw-test: timeout=300
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"

node_up
agent_conf '.kubernetes.idleTimeout = 3'
api_up
node me 1
node two 2
agent_up
must ok "ready" wait_for 20 ready
ok "the way to a node that was there" way 2
ok "and for IPv6" eval 'ip -6 route show fd00:244:0:2::/64 proto 120 | grep -q .'
node three 3
ok "to one that appears" wait_for 5 way 3
api PUT nodes/three '{"podCIDRs": ["10.244.33.0/24"], "addresses": ["192.0.2.3"]}'
ok "to its new range" wait_for 5 way 33
ok "not to its old one" no_way 3
api DELETE nodes/three
ok "gone with the node" wait_for 5 no_way 33

# Restart: versions of before are unknown to it.
api_down
node_gone=$(jq -c 'del(.state.nodes.two) | .state.version += 5' "$TMP/api.json")
echo "$node_gone" >"$TMP/api.json"
ok "the ways stay while it is away" way 2
api_up
node four 4
ok "after a restart: a new node" wait_for 60 way 4
ok "after a restart: one that went meanwhile" wait_for 60 no_way 2

# 410 in the middle of a watch, and as the answer to one.
lists=$(stat lists)
api POST expire
node five 5
ok "410: a new node" wait_for 30 way 5
ok "410: it listed again" more lists "$lists"

# A connection over which nothing comes any more, and no end of it.
api POST set '{"silent": true}'
watches=$(stat watches)
sleep 1
api POST set '{"silent": true, "bookmarks": 0.5}'
ok "half-open: given up and begun anew" wait_for 30 more watches "$watches"
node six 6
api POST set '{"silent": false}'
ok "half-open: a new node" wait_for 30 way 6
is "half-open: without a list" "$(metric podwire_api_lists_total | cut -d. -f1)" "$(metric podwire_api_lists_total)"

# Bookmarks keep a quiet watch alive.
wait_for 20 metric_is podwire_api_up 1
watches=$(stat watches)
sleep 5
is "bookmarks: a quiet watch is left alone" "$(stat watches)" "$watches"

# Watches that end at once or soon.
api POST set '{"watch_end": 1.2}'
api_down
api_up
node seven 7
ok "watches that end soon: a new node" wait_for 60 way 7
api POST set '{"watch_end": 0}'

# Slow: the list trickles in.
api_down
api_up
api POST set '{"slow": 2000}'
api POST expire
node eight 8
ok "slow: a new node" wait_for 60 way 8
api POST set '{"slow": 0}'

# Nonsense, and errors.
api POST set '{"garbage": true}'
api POST expire
node nine 9
sleep 2
ok "nonsense: it lives" kill -0 "$agent_pid"
ok "nonsense: no way is lost" way 8
api POST set '{"garbage": false}'
ok "nonsense: a new node after it" wait_for 60 way 9
for code in 403 429 500 503; do
    api POST set "{\"status\": $code}"
    api POST expire
    sleep 0.5
done
ok "errors: it lives" kill -0 "$agent_pid"
ok "errors: no way is lost" way 9
is "errors: the node stays ready" "$(why_not)" ok
api POST set '{"status": 0}'
node ten 10
ok "errors: a new node after them" wait_for 60 way 10
like "a refusal is said once, with the role" "$(grep -c 'HTTP 403.*ClusterRole' "$TMP/agent.log")" '^[01]$'

# Pages.
agent_down
api POST set '{"page": 3}'
ip route flush proto 120
agent_up
ok "pages: all nodes" wait_for 20 eval 'way 4 && way 5 && way 6 && way 7 && way 8 && way 9 && way 10'
api POST set '{"page": 0}'

# Nodes that lie: a range of another's, of this node's, out of the cluster's.
api PUT nodes/liar '{"podCIDRs": ["10.244.4.0/25"], "addresses": ["192.0.2.66"], "created": "2099-01-01T00:00:00Z"}'
api PUT nodes/thief '{"podCIDRs": ["10.244.1.128/25"], "addresses": ["192.0.2.67"], "created": "2000-01-01T00:00:00Z"}'
api PUT nodes/alien '{"podCIDRs": ["8.8.8.0/24"], "addresses": ["192.0.2.68"]}'
ok "three are refused" wait_for 10 eval '[ "$(metric "podwire_peers{way=\"refused\"}")" = 3 ]'
is "and have no way" "$(ip route show proto 120 | grep -cE '192.0.2.6[678]')" 0
for n in liar thief alien; do api DELETE "nodes/$n"; done

# Nodes that keep others from being read: by a NUL, and by more than is ever kept of one.
api PUT nodes/nul '{"podCIDRs": ["10.244.70.0/24"], "addresses": ["192.0.2.70", "\u0000"]}'
ok "a Node with a NUL" wait_for 10 way 70
jq -nc '{podCIDRs: ["10.244.71.0/24"], addresses: [range(4000) | "fd00:\(.)"]}' >"$TMP/large"
curl -sS --fail -X PUT -d @"$TMP/large" "$API/control/nodes/large" >/dev/null
node after 72
ok "a Node that is too large: another one" wait_for 10 way 72
is "it is left out" "$(ip route show 10.244.71.0/24)" ""
lists=$(stat lists)
api POST expire
node listed 73
ok "in a list too" wait_for 30 way 73
ok "of which it is one" more lists "$lists"
ok "it is said" grep -q "API, nodes: one has more than 65536 bytes that matter: left out" "$TMP/agent.log"
for n in nul large after listed; do api DELETE "nodes/$n"; done

# Credentials.
agent_down
echo first >"$TMP/token"
api POST set '{"token": "first"}'
agent_up --server "$API" --token-file "$TMP/token"
ok "a token" wait_for 20 ready
api POST set '{"token": "second", "watch_end": 1.5}'
echo second >"$TMP/token"
api_down
api_up
node eleven 11
ok "a new token is read" wait_for 60 way 11
api POST set '{"watch_end": 0}'
ok "it was shown" eval 'stat "tokens[-1]" | grep -qx "Bearer second"'
echo third >"$TMP/token"
api POST set '{"token": "third"}'
api POST expire
node twelve 12
ok "401: the file is read again" wait_for 60 way 12
agent_down
