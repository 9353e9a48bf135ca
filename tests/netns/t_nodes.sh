#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes with an agent each, pods by the list that the agent wrote, and Services as kube-proxy's nftables
# mode makes them on every node: pods of the node, of one on the segment (natively) and of one beyond a router
# (by the tunnel), the pod itself, NodePort, externalTrafficPolicy Local, affinity, UDP, hostPort, both families;
# then all by the tunnel. Agents killed, the API server away, endpoints and routing changed, under traffic.
# Seen to fail: without the conntrack question (mutate.sh ct-question-nodes), with podwirectl unload in the place
# of the agents' death, with podwire-vxlan down.
# pw-test: vm
# pw-test: timeout=200
# shellcheck disable=SC2034,SC2154 # variables of the libraries
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"
. "$TOP/tests/netns/kube_nft.sh"
. "$TOP/tests/agent/lib.sh"
need ip nft nsenter

# --- agents ---
API=http://${N4[a]}:6443
API_ARGS=(--port 6443 --state "$TMP/api.json" --address "${N4[a]}")

agent_start() { # NODE
    on "$1" sh -c 'echo $$ >"$0.pid" && exec "$@"' "$TMP/agent-$1" \
        "$BUILD/podwired" --config "$TMP/agent-$1.json" --node-name "$1" >>"$TMP/agent-$1.log" 2>&1 </dev/null &
}
agent_stop() { # NODE: at once, whatever it does
    on "$1" kill -9 "$(cat "$TMP/agent-$1.pid")"
    wait_for 20 eval "! on $1 kill -0 $(cat "$TMP/agent-$1.pid")"
}
agent_says() { # NODE PATH: yes. Asked without curl, which takes a guest longer to start than the answer
    on "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/9470 && printf 'GET $2 HTTP/1.0\r\n\r\n' >&3 && grep -q '200 OK' <&3"
}
agent_ready() { agent_says "$1" /readyz; }
agents_ready() { wait_for 60 agent_ready a && wait_for 60 agent_ready b && wait_for 60 agent_ready c; }
agents_conf() { # ROUTING: each node's pods of another kind, where there are more
    local node i=0
    for node in a b c; do
        agent_conf ".clusterRanges = [\"10.0.0.0/12\", \"fd00::/16\"] | .routing = \"$1\" | .device = \"${kinds[i++ % ${#kinds[@]}]}\" |
            .cni = {pluginDirectory: \"$TMP/plugins\"}"
        mv "$TMP/agent.json" "$TMP/agent-$node.json"
    done
}
pod_conf() { on "$node" cat "$LIST"; } # for cpod: what a runtime of its node has

# --- Services ---
# NAME NODEPORT POLICY AFFINITY POD...; a pod's node is its first letter
table() {
    cat <<EOS
here - Cluster None a2
native - Cluster None b1
tunnel - Cluster None c1
back-native - Cluster None a2
back-tunnel - Cluster None a2
itself - Cluster None a1
from-node - Cluster None b1
port-here 30080 Cluster None a2
port-native 30081 Cluster None b1
port-tunnel 30082 Cluster None c1
port-pod 30083 Cluster None a1
local-here 30084 Local None a2
local-two 30085 Local None b1 c1
local-none 30086 Local None c1
affine - Cluster ClientIP a2 b1 c1
moving - Cluster None ${MOVED:-b1}
none - Cluster None
EOS
}
vip() { if [ "$1" = 4 ]; then echo "10.96.0.$2"; else echo "fd96::$2"; fi; } # FAMILY NUMBER

services() { # FAMILY NODE
    local i=0 name nodeport policy affinity pods p ends
    local -n ip=CPOD$1
    while read -r name nodeport policy affinity pods; do
        i=$((i + 1)) ends=
        for p in $pods; do
            ends+=" ${ip[$p]},$((8100 + i)),$([[ $p != "$2"* ]] && echo away || echo here)"
        done
        echo "$name $(vip "$1" "$i") 80 $nodeport $policy $affinity$ends"
    done < <(table)
}
kube_proxy() { # NODE
    local f
    for f in 4 6; do services $f "$1" | NODE4=${N4[$1]} NODE6=${N6[$1]} NFT="on $1 nft" kube_nft $f; done
}
ask() { # FAMILY NAME [NODE]: where a client sends (NODE: that node's NodePort), and where the server listens
    local i=0 name nodeport node=N$1[${3:-a}]
    while read -r name nodeport _; do
        i=$((i + 1))
        [ "$name" = "$2" ] || continue
        if [ -n "${3:-}" ]; then echo "dst=${!node} port=$nodeport atport=$((8100 + i))"; else echo "dst=$(vip "$1" "$i") port=80 atport=$((8100 + i))"; fi
    done < <(table)
}
# Outside is sw, the router: on the segment by one address, beyond it by another.
declare -A SW4=([a]=172.16.0.254 [c]=172.16.9.254) SW6=([a]=2001:db8::fe [c]=2001:db8:9::fe)

service_flows() { # FAMILY
    local f=$1
    local -n ip=CPOD$1 nodes=N$1 sw=SW$1
    both "IPv$f Service, pod of the node" a1 a2 "$(ask "$f" here)" peer="${ip[a1]}"
    both "IPv$f Service, pod of a node on the segment" a1 b1 "$(ask "$f" native)" peer="${ip[a1]}"
    both "IPv$f Service, pod of a node beyond a router" a1 c1 "$(ask "$f" tunnel)" peer="${ip[a1]}"
    both "IPv$f the same from the segment" b1 a2 "$(ask "$f" back-native)" peer="${ip[b1]}"
    both "IPv$f the same from beyond the router" c1 a2 "$(ask "$f" back-tunnel)" peer="${ip[c1]}"
    both "IPv$f Service, the pod itself" a1 a1 "$(ask "$f" itself)"
    both "IPv$f Service from a node" node b1 "$(ask "$f" from-node)"
    both "IPv$f NodePort, pod of the node" sw a2 "$(ask "$f" port-here a)"
    both "IPv$f NodePort, pod of a node on the segment" sw b1 "$(ask "$f" port-native a)"
    both "IPv$f NodePort, pod of a node beyond a router" sw c1 "$(ask "$f" port-tunnel a)"
    both "IPv$f NodePort of another node from a pod" b1 a1 "$(ask "$f" port-pod c)"
    both "IPv$f NodePort, policy Local" sw a2 "$(ask "$f" local-here a)" peer="${sw[a]}"
    both "IPv$f NodePort, policy Local, the endpoint of the node asked" sw c1 "$(ask "$f" local-two c)" peer="${sw[c]}"
    both "IPv$f hostPort from outside" sw c1 dst="${nodes[c]}" port=18080 atport=8080 peer="${sw[c]}"
    both "IPv$f hostPort from another node's pod" a1 c1 dst="${nodes[c]}" port=18081 atport=8081
    both "IPv$f hostPort from a pod of the node" c2 c1 dst="${nodes[c]}" port=18082 atport=8082
}
refused_flows() { # FAMILY
    both "IPv$1 NodePort, policy Local, by a node without the pod" sw c1 "$(ask "$1" local-none a)" fails=1
    both "IPv$1 Service of no endpoint" a1 b1 "$(ask "$1" none)" fails=1
}
lasting_flows() { # FAMILY
    local f=$1
    local -n ip=CPOD$1 nodes=N$1
    both "IPv$f pod of the node" a1 a2 dst="${ip[a2]}" port=7000 peer="${ip[a1]}"
    both "IPv$f pod of a node on the segment" a1 b1 dst="${ip[b1]}" port=7000 peer="${ip[a1]}"
    both "IPv$f pod of a node beyond a router" c1 a1 dst="${ip[a1]}" port=7000 peer="${ip[c1]}"
    both "IPv$f Service, pod of a node on the segment" a1 b1 "$(ask "$f" native)" peer="${ip[a1]}"
    both "IPv$f Service, pod of a node beyond a router" a1 c1 "$(ask "$f" tunnel)" peer="${ip[a1]}"
    both "IPv$f NodePort, pod of a node beyond a router" sw c1 "$(ask "$f" port-tunnel a)"
    echo "tcp \"IPv$f Service whose endpoint moves\" from=a1 to=b1 $(ask "$f" moving)"
}
new_flows() { # POD SPORT: what is new goes to the endpoint that there is now
    local f
    for f in 4 6; do echo "tcp new$f from=a1 to=$1 $(ask "$f" moving) sport=$2"; done | PWT_STALL=20000 "$PWT" >>"$TMP/new"
}

sent() { # SPECS...: both families at once, no more than it takes
    local f
    for f in 4 6; do "$@" $f; done | sed '/^tcp/s/$/ amount=30000/'
}

# --- up ---
read -ra kinds < <(test_devices)
cluster_up
mkdir "$TMP/plugins"
ln -s "$BUILD/podwire" "$(PATH=$CNI_PATH command -v portmap)" "$TMP/plugins"
agents_conf auto
for node in b c; do on $node mkdir -p /etc/cni/net.d; done
api_up
for node in a b c; do
    api PUT "nodes/$node" "{\"podCIDRs\": [\"${R4[$node]}\", \"${R6[$node]}\"], \"addresses\": [\"${N4[$node]}\", \"${N6[$node]}\"]}"
done
for node in a b c; do agent_start $node; done
must ok "three agents are ready" agents_ready
for node in a b c; do must ok "node $node can take pods" wait_for 20 on $node test -e "$LIST"; done
is "the way to the segment's node, and to the one beyond the router" \
    "$("$PEERS" list | awk '{ print $1, $2 }' | sort | tr '\n' ';')" \
    "10.2.0.0/24 native;10.3.0.0/24 tunnel;fd00:2::/64 native;fd00:3::/64 tunnel;"
for p in a1 a2 b1 c2; do cpod ${p:0:1} $p; done
CNI_RUNTIME=$(jq -n '{portMappings: [8080, 8081, 8082 | (., .) as $p | {hostPort: ($p + 10000), containerPort: $p}] |
    to_entries | map(.value + {protocol: ["tcp", "udp"][.key % 2]})}') cpod c c1
for node in a b c; do kube_proxy $node; done
STEP_VARS+=(API API_ARGS LIST CPOD4 CPOD6 POD_RANGE4 POD_RANGE6 kinds)

diag "$SECONDS s"

# --- through ---
kind="${kinds[*]}: "
flows "$kind" < <(sent service_flows)
diag "$SECONDS s"
PWT_STALL=1500 flows "$kind" < <(sent refused_flows)
diag "$SECONDS s"
affinity "${kind}" a1 "$(ask 4 affine)" a2 b1 c1

diag "$SECONDS s"

steps=(-s "$(step 'for n in a b c; do agent_stop $n; done')"
    -s "$(step 'export MOVED=c1; kube_proxy a; new_flows c1 45000')"
    -s "kill -9 $api_pid"
    -s "$(step 'for n in a b c; do agent_start $n; done; for n in a b c; do wait_for 60 agent_says $n /healthz; done')"
    -s "$(step 'export MOVED=a2; kube_proxy a; new_flows a2 45001')"
    -s "$(step 'api_up; agents_ready')")
for node in a b c; do
    steps+=(-s "$(step "agent_stop $node; agents_conf vxlan; agent_start $node; wait_for 60 agent_ready $node")")
done
flows "${kind}agents and API server killed, endpoints moved, then the tunnel for all: " -q 8000 "${steps[@]}" < <(sent lasting_flows)
diag "$SECONDS s"
is "every new connection went where the endpoint was" "$(grep -c '^ok' "$TMP/new")" 4
is "all by the tunnel" "$("$PEERS" list | awk '{ print $2 }' | sort | uniq -c | xargs)" "4 tunnel"
flows "${kind}all by the tunnel: " < <(sent service_flows)
diag "$SECONDS s"
is "nothing between pods was INVALID" "$(node_invalid a) $(node_invalid b) $(node_invalid c)" "0 0 0"
for p in a1 a2 b1 c1 c2; do cpod_del ${p:0:1} $p; done
