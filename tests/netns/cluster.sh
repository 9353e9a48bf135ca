# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A small cluster, each node with a datapath, a file system and namespaces of its own. Source it
# after topo.sh, of which it takes pods, rules and flows, and not the topology:
#
#   pods ── a ──up0──┐
#   10.1, fd00:1     ├── sw ── up0── c ── pods     sw is the switch of a and b, and the router to c
#   pods ── b ──up0──┘   10.3, fd00:3
#   10.2, fd00:2
#
# Node a is the test's own. Addresses: a 172.16.0.1 2001:db8::1, b .2, c 172.16.9.3 2001:db8:9::3.
#
#   cluster_wire            nodes, rules of kube-proxy on each
#   cluster_up              that, and datapaths loaded
#   on NODE COMMAND...      on that node (node a: as it is)
#   peers NODE ROUTING [NODE...]   tell NODE of the others (default: both); UNDERLAY=6 by IPv6
#   routing ROUTING         all nodes of all
#   all on|off              redirection, on all nodes
#   cpod NODE NAME [JQ]     a pod of kind $DEVICE; namespaces "NAME" and "node-NODE" are for pwt
#   cpod_del NODE NAME
#   step COMMAND...         a step for `pwt -s` that can use all these functions and what STEP_VARS names
#   node_reasons NODE       lines "REASON PACKETS" of what its datapath left or dropped
declare -A NODE_PID=([a]=self) CPOD4=() CPOD6=() CHOST=()
declare -A N4=([a]=172.16.0.1 [b]=172.16.0.2 [c]=172.16.9.3)
declare -A N6=([a]=2001:db8::1 [b]=2001:db8::2 [c]=2001:db8:9::3)
declare -A R4=([a]=10.1.0.0/24 [b]=10.2.0.0/24 [c]=10.3.0.0/24)
declare -A R6=([a]=fd00:1::/64 [b]=fd00:2::/64 [c]=fd00:3::/64)
PEERS=$BUILD/tests/netns/peers

on() { # NODE COMMAND...
    local node=$1
    shift
    if [ "$node" = a ]; then
        "$@"
    else
        nsenter -t "${NODE_PID[$node]}" --net --mount --uts --pid -- "$@"
    fi
}

node_start() { # NODE
    "$TOP/tests/lib/node.sh" sh -c "touch $TMP/node-$1; exec sleep 100000" >"$TMP/node-$1.log" 2>&1 &
    local outer=$!
    cleanup kill "$outer"
    wait_for 10 test -e "$TMP/node-$1"
    NODE_PID[$1]=$(pgrep -P "$outer")
    touch "/run/netns/node-$1"
    mount --bind "/proc/${NODE_PID[$1]}/ns/net" "/run/netns/node-$1"
    quiet_ns "node-$1"
}

node_wire() { # NODE SWITCH-PORT GATEWAY4 GATEWAY6
    ip -n sw link add "$2" type veth peer name "x-$2"
    if [ "$1" = a ]; then
        ip -n sw link set "x-$2" netns $$
    else
        ip -n sw link set "x-$2" netns "${NODE_PID[$1]}"
    fi
    ip -n sw link set "$2" up
    on "$1" ip link set "x-$2" name up0
    node_addresses "$1" "$3" "$4"
}

node_addresses() { # NODE GATEWAY4 GATEWAY6
    on "$1" sh -c "ip addr add ${N4[$1]}/24 dev up0 && ip addr add ${N6[$1]}/64 dev up0 nodad && ip link set up0 up &&
        ip route add default via $2 && ip -6 route add default via $3"
}

cluster_wire() {
    local node
    quiet_ns node
    ns_add sw
    in_ns sw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
    ip -n sw link add br0 type bridge forward_delay 0
    ip -n sw link set br0 up
    for node in b c; do node_start $node; done
    node_wire a to-a 172.16.0.254 2001:db8::fe
    node_wire b to-b 172.16.0.254 2001:db8::fe
    node_wire c to-c 172.16.9.254 2001:db8:9::fe
    in_ns sw sh -c 'ip link set to-a master br0; ip link set to-b master br0
        ip addr add 172.16.0.254/24 dev br0; ip addr add 2001:db8::fe/64 dev br0 nodad
        ip addr add 172.16.9.254/24 dev to-c; ip addr add 2001:db8:9::fe/64 dev to-c nodad'
    declare -f kube_rules >"$TMP/kube_rules"
    for node in a b c; do on $node bash -c ". $TMP/kube_rules; kube_rules"; done
}

cluster_up() {
    local node
    cluster_wire
    for node in a b c; do
        on $node "$BUILD/podwirectl" load >/dev/null || bail "node $node does not load"
    done
}

peers() { # NODE ROUTING [NODE...]
    local node=$1 routing=$2 other own=${N4[$1]},${N6[$1]}
    shift 2
    [ $# -gt 0 ] || set -- a b c
    [ "${UNDERLAY:-4}" = 4 ] || own=${N6[$node]},${N4[$node]}
    for other in "$@"; do
        [ "$other" = "$node" ] || echo "$other ${N4[$other]},${N6[$other]} ${R4[$other]},${R6[$other]}"
    done >"$TMP/peers-of-$node"
    on "$node" "$PEERS" "$routing" "$own" "${R4[$node]},${R6[$node]}" <"$TMP/peers-of-$node"
}

routing() { # ROUTING
    local node
    for node in a b c; do peers $node "$1"; done
}

all() { # on|off
    local node
    for node in a b c; do on $node "$BUILD/podwirectl" redirect "$1" >/dev/null; done
}

cpod() { # NODE NAME [JQ]
    local node=$1 name=$2 conf=$TMP/$2.conflist
    on "$node" ip netns add "$name"
    if [ "$node" != a ]; then
        touch "/run/netns/$name"
        mount --no-canonicalize --bind "/proc/${NODE_PID[$node]}/root/run/netns/$name" "/run/netns/$name"
    fi
    in_ns "$name" ip link set lo up
    quiet_ns "$name"
    pod_conf "${3:-.}" | sed "s|10\.1\.0\.0/24|${R4[$node]}|; s|fd00:1::/64|${R6[$node]}|" >"$conf"
    if ! on "$node" env CNI_VARS=1 "$BUILD/tests/netns/cni" add "$conf" "id-$name" \
        "/run/netns/$name" eth0 >"$TMP/$name.result" 2>"$TMP/$name.err"; then
        diag "$(cat "$TMP/$name.result" "$TMP/$name.err")"
        bail "ADD of pod $name on node $node ($DEVICE) failed"
    fi
    # shellcheck disable=SC2034 # set by eval; read by tests
    local ip4 ip6 hostif cidr4 cidr6 gw4 gw6 mac mtu
    eval "$(cat "$TMP/$name.result")"
    # shellcheck disable=SC2034,SC2154
    CPOD4[$name]=$ip4 CPOD6[$name]=$ip6 CHOST[$name]=$hostif
}

cpod_del() { # NODE NAME
    on "$1" "$BUILD/tests/netns/cni" del "$TMP/$2.conflist" "id-$2" "/run/netns/$2" eth0
    if [ "$1" != a ]; then
        umount "/run/netns/$2"
        rm "/run/netns/$2"
    fi
    on "$1" ip netns del "$2"
}

STEP_VARS=(TOP BUILD TMP PWT PEERS NODE_PID N4 N6 R4 R6)
step() { # COMMAND...
    { declare -f; declare -p "${STEP_VARS[@]}"; } >"$TMP/state.sh"
    echo "bash -c 'set -euo pipefail; . $TMP/state.sh; $*'"
}

node_reasons() { # NODE
    on "$1" "$BUILD/podwirectl" drops --json | jq -r '.drops[]? | "\(.reason) \(.packets)"'
}

node_invalid() { # NODE: what kube-proxy's rule dropped between pods, and what conntrack calls invalid
    local c n=0
    for c in native_flows_invalid native_invalid; do
        n=$((n + $(on "$1" nft list counter inet kube $c | sed -n 's/.*packets \([0-9]*\).*/\1/p')))
    done
    echo $n
}
