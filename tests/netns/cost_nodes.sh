#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a request from one node to another costs, host to host against pod to pod: natively, by the tunnel,
# by the tunnel with a thousand nodes in the map, and by the tunnel with redirection off. Rounds are
# interleaved; prints the median of each and its ratio to the host's.
# usage: tests/lib/node.sh tests/netns/cost_nodes.sh [ROUNDS [REQUESTS]]   (by hand)
#        tests/vm/run --icount -- tests/lib/node.sh tests/netns/cost_nodes.sh   instructions, not ns
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"

rounds=${1:-7} requests=${2:-2000}
all() {
    local node
    for node in a b; do on $node "$BUILD/podwirectl" redirect "$1" >/dev/null; done
}
many() { # like peers, with a thousand nodes more
    local node=$1
    peers "$node" vxlan >/dev/null
    seq 1000 | awk '{ printf "n%d 198.18.%d.%d 10.%d.%d.0/24,fd00:9:%x::/64\n", $1, $1 / 250, $1 % 250 + 1, 8 + $1 / 250, $1 % 250, $1 }' \
        >>"$TMP/peers-of-$node"
    on "$node" "$PEERS" vxlan "${N4[$node]},${N6[$node]}" "${R4[$node]},${R6[$node]}" <"$TMP/peers-of-$node" >/dev/null
}
once() { # PATH
    case $1 in
    host) "$BUILD/tests/netns/rr" node node-b "${N4[b]}" "$requests" ;;
    *) "$BUILD/tests/netns/rr" pa pb "${CPOD4[pb]}" "$requests" ;;
    esac
}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

cluster_up >/dev/null
# Nobody else's conntrack: what the product asks for itself is what is measured.
for node in a b; do on $node nft delete table inet kube; done
routing auto >/dev/null
for DEVICE in ${PODWIRE_TEST_DEVICES:-$(test_devices)}; do
    cpod a pa
    cpod b pb
    paths="host native vxlan vxlan-1000 vxlan-stack"
    for _ in $(seq "$rounds"); do
        for path in $paths; do
            case $path in
            native) for node in a b; do peers $node auto >/dev/null; done ;;
            vxlan | vxlan-stack) for node in a b; do peers $node vxlan >/dev/null; done ;;
            vxlan-1000) for node in a b; do many $node; done ;;
            esac
            [ "$path" != vxlan-stack ] || all off
            once "$path" >>"$TMP/$DEVICE-$path"
            all on
        done
    done
    host=$(median <"$TMP/$DEVICE-host")
    for path in $paths; do
        median <"$TMP/$DEVICE-$path" | awk -v d="$DEVICE" -v p="$path" -v h="$host" \
            '{ printf "# %-10s %-12s %9.0f for a request and its answer  %+.1f %%\n", d, p, $1, ($1 / h - 1) * 100 }'
    done
    cpod_del a pa
    cpod_del b pb
done
