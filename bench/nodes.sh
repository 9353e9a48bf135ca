#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a request of 64 bytes and its answer cost from one node to another: host to host, on nodes without
# podwire, against pod to pod; natively and by the tunnel, whose baseline is host to host by a VXLAN device
# of their own; with 3 nodes known and with a thousand; and what it costs to be told of a node more.
# Rounds of a way and its baseline take turns; printed is the median, and its ratio to the baseline's.
# usage: tests/lib/node.sh bench/nodes.sh [ROUNDS [REQUESTS]]   nanoseconds; make bench-nodes: instructions
. "$(dirname "$0")/../tests/lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"

rounds=${1:-7} requests=${2:-2000}
# Nodes more, which nobody sends to: beyond the router, or on the segment.
none() { :; }
one() { echo "more 172.16.0.77 10.15.9.0/24,fd00:15:9::/64"; }
thousand() { seq 997 | awk '{ printf "n%d 198.18.%d.%d 10.%d.%d.0/24,fd00:9:%x::/64\n", $1, $1 / 250, $1 % 250 + 1, 8 + $1 / 250, $1 % 250, $1 }'; }
near() { thousand | awk '{ $2 = "172.16.0." NR % 200 + 10 ",2001:db8::1:" NR; print }'; }
sync() { # NODE [OPTION] ROUTING <PEERS
    on "$1" "$PEERS" "${@:2}" "${N4[$1]},${N6[$1]}" "${R4[$1]},${R6[$1]}"
}
tell() { # NODE ROUTING NODES: of the other two and of NODES
    peers "$1" "$2" >/dev/null
    "$3" >>"$TMP/peers-of-$1"
    sync "$1" "$2" <"$TMP/peers-of-$1" >/dev/null
}

once() { # PROTO WAY
    case $2 in
    host) "$BUILD/tests/netns/rr" "$1" node node-b "${N4[b]}" "$requests" ;;
    host-vxlan) "$BUILD/tests/netns/rr" "$1" node node-b 192.168.77.2 "$requests" ;;
    *) "$BUILD/tests/netns/rr" "$1" pa pb "${CPOD4[pb]}" "$requests" ;;
    esac
}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
count() { # WAY LABEL
    local proto i
    for proto in udp tcp; do
        for ((i = 0; i < rounds; i++)); do once $proto "$1" >>"$TMP/$proto-$2"; done
    done
}
tell_counts() { # LABEL BASELINE...
    local proto b label=$1
    shift
    for proto in udp tcp; do
        printf '# %-4s %-30s %8.0f' $proto "$label" "$(median <"$TMP/$proto-$label")"
        for b in "$@"; do
            printf '  %+5.1f %% over %s' "$(echo "$(median <"$TMP/$proto-$label") $(median <"$TMP/$proto-$b")" | awk '{ print ($1 / $2 - 1) * 100 }')" "$b"
        done
        echo
    done
}

cluster_wire
# A wire from a to b, in the place of the switch.
for node in a b; do ip -n sw link del to-$node; done
ip link add up0 type veth peer name up0 netns "${NODE_PID[b]}"
for node in a b; do node_addresses $node 172.16.0.254 2001:db8::fe; done
# Nobody else's conntrack: what the product asks for itself is what is measured.
for node in a b; do on $node nft delete table inet kube; done
other() { # NODE NODE NUMBER: a VXLAN device to the other, as anybody would make one
    on "$1" ip link add vx0 type vxlan id 77 local "${N4[$1]}" remote "${N4[$2]}" dstport 4799 dev up0
    on "$1" ip addr add "192.168.77.$3/24" dev vx0
    on "$1" ip link set vx0 up
}
other a b 1
other b a 2
for way in host host-vxlan; do
    count $way $way
    tell_counts $way host
done

for node in a b; do on $node "$BUILD/podwirectl" load >/dev/null; done
for DEVICE in ${PODWIRE_TEST_DEVICES:-$(test_devices)}; do
    for question in true false; do
        label=$DEVICE
        [ $question = true ] || label+=", question off"
        # The tunnel first: pods' MTU is its.
        peers a vxlan >/dev/null
        peers b vxlan >/dev/null
        cpod a pa ".plugins[0].conntrack = $question"
        cpod b pb ".plugins[0].conntrack = $question"
        ways=("native auto none" "vxlan vxlan none")
        [ $question = false ] || ways+=("native-1000 auto near" "vxlan-1000 vxlan thousand")
        for way in "${ways[@]}"; do
            read -r name routing nodes <<<"$way"
            for node in a b; do tell $node "$routing" "$nodes"; done
            count pods "$label, $name"
            if [ "${name%%-*}" = vxlan ]; then
                tell_counts "$label, $name" host-vxlan host
            else
                tell_counts "$label, $name" host
            fi
        done
        cpod_del a pa
        cpod_del b pb
    done
done
for node in a b; do on $node "$BUILD/podwirectl" redirect off >/dev/null; done
cpod a pa
cpod b pb
count pods "$DEVICE, redirection off, vxlan"
tell_counts "$DEVICE, redirection off, vxlan" host-vxlan host

# --- a change ---
for nodes in none near; do
    for r in auto vxlan; do
        tell a $r $nodes
        for ((i = 0; i < rounds; i++)); do
            { cat "$TMP/peers-of-a"; one; } | sync a -t $r | awk '$1 == "us" { print $2 }' >>"$TMP/change-$r-$nodes"
            sync a $r <"$TMP/peers-of-a" >/dev/null
        done
        echo "# a node more, $r, $([ $nodes = none ] && echo 3 || echo 1000) nodes: $(median <"$TMP/change-$r-$nodes") us"
    done
done
