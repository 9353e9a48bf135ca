#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the agent finds on its node: a FORWARD chain that drops (Docker's), a second uplink, one that is missing. Said
# in its log, by /readyz where it keeps the node from taking pods, by podwirectl status, and counted.
# Seen to fail: without pw_uplinks_beside (loader/problems.c); with warnings left untold (agent/agent.c).
# pw-test: timeout=300
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"
. "$TOP/tests/lib/docker.sh"
need iptables-nft ip6tables-nft nft

agent_as() { # [JQ]
    agent_down
    : >"$TMP/agent.log"
    agent_conf "${1:-.}"
    agent_up
}
logged() { grep -qE "$1" "$TMP/agent.log"; }
problems() { "$BUILD/podwirectl" status --json | jq -r '.problems[].text'; }

node_up
api_up
node me 1
node two 2
agent_as
must ok "ready" wait_for 20 ready
is "no problems" "$(metric podwire_problems) $(problems)" "0 "
is "one uplink" "$(metric podwire_uplinks)" 1

# --- a second uplink, by which another node's pods are reached ---
ip link add up1 type veth peer name wire1
ip addr add 198.51.100.1/24 dev up1
ip link set up1 up
ip link set wire1 up
api PUT nodes/three '{"podCIDRs": ["10.244.3.0/24"], "addresses": ["198.51.100.3"]}'
ok "the way to a node on another segment" wait_for 20 eval 'ip route show 10.244.3.0/24 proto 120 | grep -q "dev up1"'
ok "is told of in the log: no program is there" wait_for 60 logged 'warn .* leads by up1, which is no uplink.*name it in "uplinks"'
like "by status" "$(problems)" "leads by up1, which is no uplink"
is "and counted" "$(metric podwire_problems)" 1
ok "the node takes pods all the same" ready
agent_as '.uplinks = ["up0", "up1"]'
must ok "named: ready" wait_for 20 ready
is "named: both carry the program" "$(metric podwire_uplinks)" 2
is "named: nothing to tell" "$(metric podwire_problems) $(problems)" "0 "
netns_up p1
good "named: ADD" "$(jq -c '.plugins[0] + {name: .name, cniVersion: "1.1.0"}' "$LIST")" ADD c1 /run/netns/p1 eth0
like "named: a pod's way to that node is the fast one" "$("$BUILD/podwirectl" path "$(jq -r '.ips[0].address | split("/")[0]' "$TMP/out")" 10.244.3.7 2>&1)" "up1"
good "DEL" "$(jq -c '.plugins[0] + {name: .name, cniVersion: "1.1.0"}' "$LIST")" DEL c1 /run/netns/p1 eth0

# By its default route it is found without being named.
ip route add default via 198.51.100.254 dev up1 metric 50
agent_as
must ok "a second default route: ready" wait_for 20 ready
is "a second default route: two uplinks" "$(metric podwire_uplinks) $(problems)" "2 "

# --- one that is missing, and comes ---
agent_as '.uplinks = ["up0", "up1", "up2"]'
must ok "one is missing: ready" wait_for 20 ready
ok "one is missing: the log says so" wait_for 20 logged 'warn .*up2: "uplinks" names what is no device of this node \(correct'
is "one is missing: counted" "$(metric podwire_problems)" 1
ip link add up2 type veth peer name wire2
ip link set up2 up
ok "it comes: the agent takes it up" wait_for 60 metric_is podwire_uplinks 3
ok "and says so" wait_for 20 logged 'info .*nothing to warn of any more'

# --- Docker ---
docker_bridge
docker_rules 28
agent_as
ok "FORWARD drops: not ready" wait_for 20 unready
like "FORWARD drops: /readyz says why, and what to do" "$(why_not)" "ip filter, chain FORWARD, drops forwarded packets.*forwardAccept"
ok "FORWARD drops: the log too" wait_for 20 logged 'warn .*cannot take pods: .*chain FORWARD, drops.*forwardAccept'
ok "FORWARD drops: without pods the list goes" wait_for 30 eval '! test -e "$LIST"'
agent_as '.forwardAccept = true'
must ok "forwardAccept: ready" wait_for 20 ready
is "forwardAccept: nothing to tell" "$(metric podwire_problems) $(problems)" "0 "
ours() { [ "$(nft list chain ip filter FORWARD | grep -c 'podwire: forwardAccept')" = "$1" ]; }
ok "forwardAccept: its rules are there" ours 2
docker_rules 28
ok "docker restarted: they still are" ours 2
nft flush chain ip filter FORWARD
docker_rules 28
ok "somebody took them away: the agent puts them back" wait_for 60 ours 2
agent_down
ok "cleanup" "$BUILD/podwired" --config "$TMP/agent.json" --cleanup
ok "leaves Docker's rules, and none of ours" ours 0
like "as they were" "$(nft list chain ip filter FORWARD)" "jump DOCKER-USER"
