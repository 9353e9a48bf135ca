#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes of ours, each with its own datapath: pods reach pods on every other node, natively and by
# the tunnel, over IPv4 and IPv6 (of either inside either), with redirection on, off and switched under
# traffic, and while the routing itself is changed; kube-proxy's drop of INVALID is loaded on all.
# Seen to fail: without PW_PATH_TUNNEL (all by the tunnel), without the mark's notrack rule (switched).
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"
. "$TOP/tests/netns/places.sh"
need ip nft jq nsenter

pair() { # NAME FROM TO DST PEER
    place_flow "$1" "$2" "$3" "$4" peer="$5" ttl=62
}
between_pods() {
    local f
    for f in 4 6; do
        local -n ip=CPOD$f node=N$f
        pair pod-pod pa pb "${ip[pb]}" "${ip[pa]}"
        pair back pb pa "${ip[pa]}" "${ip[pb]}"
        pair routed pa pc "${ip[pc]}" "${ip[pa]}"
        pair routed-back pc pa "${ip[pa]}" "${ip[pc]}"
        pair b-c pb pc "${ip[pc]}" "${ip[pb]}"
    done
}
hosts() { # [VIA]: what nodes themselves send to pods elsewhere, and back
    local f
    for f in 4 6; do
        local -n ip=CPOD$f
        echo "tcp host-pod/tcp$f from=node to=pb dst=${ip[pb]} port=90 amount=20000"
        echo "tcp host-routed/tcp$f from=node-b to=pc dst=${ip[pc]} port=91 amount=20000"
        echo "udp host-pod/udp$f from=node-c to=pa dst=${ip[pa]} port=92 amount=20"
    done
}
all_invalid() { echo "$(node_invalid a) $(node_invalid b) $(node_invalid c)"; }
report() { routing "$1" | awk '{ n[$1] += $2 } END { print "native", n["native"], "tunnel", n["tunnel"], "left", n["left"], "refused", n["refused"] }'; }

cluster_up
read -ra devices < <(test_devices)
on="$BUILD/podwirectl redirect on >/dev/null" off="$BUILD/podwirectl redirect off >/dev/null"
b="nsenter -t ${NODE_PID[b]} --net --mount --pid --"
moved=1000000
[ -z "${PW_QUIET:-}" ] || moved=150000
: >"$TMP/peers-of-a"

is "auto: by routes on a segment, by the tunnel beyond a router" "$(report auto)" "native 2 tunnel 4 left 0 refused 0"
# The MTU is that of the tunnel, since a pod may need it.
for DEVICE in "${devices[@]}"; do
    cpod a pa
    cpod b pb
    cpod c pc
    is "$DEVICE: a pod's MTU leaves room for the tunnel" "$(in_ns pa ip -o link show eth0 | grep -o "mtu [0-9]*")" "mtu 1450"
    between_pods >"$TMP/specs"
    hosts >"$TMP/hosts"
    for routing in auto vxlan; do
        is "$DEVICE: routing $routing" "$(report $routing)" \
            "$([ $routing = auto ] && echo "native 2 tunnel 4" || echo "native 0 tunnel 6") left 0 refused 0"
        for mode in on off; do
            all $mode
            flows "$DEVICE, $routing, redirection $mode: " <"$TMP/specs"
        done
        all on
        flows "$DEVICE, $routing: " <"$TMP/hosts"
    done
    # One node by the stack and the other not, in turns.
    flows "$DEVICE, vxlan, switched: " -n 2 -q $moved -s "$off" -s "$b $off" -s "$on" -s "$b $on" <"$TMP/specs"
    # The way itself: each node goes over by itself, and they do so one after the other.
    steps=()
    for r in auto vxlan; do
        for node in a b c; do steps+=(-s "$(step "peers $node $r >/dev/null")"); done
    done
    flows "$DEVICE, routing changed: " -q $moved "${steps[@]}" <"$TMP/specs"
    is "$DEVICE: nothing was dropped as INVALID on any node" "$(all_invalid)" "0 0 0"
    [ "$DEVICE" = "${devices[-1]}" ] || for p in "a pa" "b pb" "c pc"; do
        # shellcheck disable=SC2086
        cpod_del $p
    done
done

# --- the tunnel by IPv6 ---
export UNDERLAY=6
is "outer IPv6" "$(report vxlan)" "native 0 tunnel 6 left 0 refused 0"
is "has a smaller MTU" "$(cat /sys/class/net/podwire-vxlan/mtu)" 1430
like "routes too" "$(ip route show 10.2.0.0/24)" 'encap ip6 .*src 2001:db8::1 dst 2001:db8::2'
for mode in on off; do
    all $mode
    flows "IPv6 outside, redirection $mode: " <"$TMP/specs"
done
all on
is "nothing is INVALID" "$(all_invalid)" "0 0 0"
UNDERLAY=4
report vxlan >/dev/null

# --- nodes come and go ---
grep -v -e routed -e b-c "$TMP/specs" >"$TMP/stay"
grep routed "$TMP/specs" | sed 's/$/ fails=1/' >"$TMP/gone"
with="peers a vxlan >/dev/null" without="peers a vxlan b >/dev/null"
flows "a third node goes and comes: " -n 3 -q $moved -s "$(step "$without")" -s "$(step "$with")" <"$TMP/stay"
eval "$without"
PWT_STALL=700 flows "a node that is gone: " <"$TMP/gone"
is "no way is left" "$("$PEERS" list | grep -c -e 10.3.0.0 -e fd00:3)" 0
eval "$with"
grep routed "$TMP/specs" >"$TMP/back"
flows "and is back at once: " <"$TMP/back"

# --- who may send what ---
spoof_count() { node_reasons a | awk '$1 == "SPOOF_NODE" { n += $2 } END { print n + 0 }'; }
spoofed() { # NAME NODE SOURCE DST [STEP]: a datagram with a source that is not that node's
    local before
    before=$(spoof_count)
    on "$2" ip addr add "$3" dev lo
    PWT_STALL=300 flows "" <<<"udp \"$1\" from=node-$2 to=pa dst=$4 src=${3%/*} port=7007 amount=1 fails=1"
    on "$2" ip addr del "$3" dev lo
    ok "  and is counted" test "$(spoof_count)" -gt "$before"
}
spoofed "another node's pod" b 10.3.0.1/32 "${CPOD4[pa]}"
spoofed "another node's pod, IPv6" b fd00:3::1/128 "${CPOD6[pa]}"
spoofed "a pod of the receiver's own" b 10.1.0.99/32 "${CPOD4[pa]}"
spoofed "a range that nobody has" b 10.9.0.1/32 "${CPOD4[pa]}"
spoofed "another node's own address" b 172.16.9.3/32 "${CPOD4[pa]}"
peers b vxlan >/dev/null
on b ip route replace 10.1.0.0/24 encap ip id 7 dst 172.16.0.1 src 172.16.0.2 via 169.254.1.1 dev podwire-vxlan onlink
before=$(spoof_count)
PWT_STALL=300 flows "" <<<"udp \"another tunnel's number\" from=node-b to=pa dst=${CPOD4[pa]} port=7007 amount=1 fails=1"
ok "  and is counted" test "$(spoof_count)" -gt "$before"
on b ip route del 10.1.0.0/24 via 169.254.1.1 dev podwire-vxlan
ok "a node's own address is its own" on b ping -c 1 -W 2 -I 172.16.0.2 "${CPOD4[pa]}"
is "nobody else's packets were taken for that" "$(node_reasons b | grep -c SPOOF_NODE)" 0

# --- taken off ---
for p in "a pa" "b pb" "c pc"; do
    # shellcheck disable=SC2086
    cpod_del $p
done
is "native: nothing is left of the tunnel" "$(peers a native >/dev/null && ip link show podwire-vxlan 2>&1; ip route show proto 120; "$PEERS" list | wc -l)" \
    "Device \"podwire-vxlan\" does not exist.
10.2.0.0/24 via 172.16.0.2 dev up0 metric 120 onlink 
2"
peers a vxlan >/dev/null
ok "unload" "$BUILD/podwirectl" unload
is "leaves neither device nor route" "$(ip -o link show type vxlan; ip route show proto 120; ip -6 route show proto 120)" ""
