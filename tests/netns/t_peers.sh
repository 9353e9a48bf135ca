#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ways to other nodes' pods as they are kept in the kernel: made, changed, removed, and nobody else's
# touched. What packets do on them: t_cluster.sh.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"
need ip jq bpftool nft

PEERS=$BUILD/tests/netns/peers
own="172.16.1.1,2001:db8:1::1 10.1.0.0/24,fd00:1::/64"
sync() { # ROUTING [OPTION...] <PEERS: the report on one line
    local routing=$1
    shift
    # shellcheck disable=SC2086
    "$PEERS" "$@" "$routing" $own 2>&1 | tr '\n' ' '
}
ways() { "$PEERS" list | sort | tr '\n' ';'; }
nodes() { # FROM TO: peers on the segment
    local i
    for i in $(seq "$1" "$2"); do
        echo "n$i 172.16.1.$((i % 200 + 2)),2001:db8:1::$(printf %x $((i + 1))) 10.$((16 + i / 250)).$((i % 250)).0/24,fd00:2:$(printf %x "$i")::/64"
    done
}

uplink_up up0 1
ip addr add 2001:db8:1::1/64 dev up0 nodad
nok "needs a datapath" sync native
must ok "load" dp load
ip route add 10.99.0.0/16 via 172.16.1.254
ip route add 10.5.0.0/24 via 172.16.1.254 metric 120
others() { # routes of the main table but ours; the kernel's own come late
    { ip -o route && ip -6 -o route; } | grep -v 'proto 120' | grep -v 'proto kernel'
}
others >"$TMP/others"

# --- native ---
two="10.16.1.0/24 native 172.16.1.3 up0;10.16.2.0/24 native 172.16.1.4 up0;fd00:2:1::/64 native 2001:db8:1::2 up0;fd00:2:2::/64 native 2001:db8:1::3 up0;"
is "two nodes" "$(nodes 1 2 | sync native)" "native 2 tunnel 0 left 0 refused 0 changes 4 "
is "are reached by their addresses" "$(ways)" "$two"
is "again: nothing changes" "$(nodes 1 2 | sync native)" "native 2 tunnel 0 left 0 refused 0 changes 0 "
nodes 1 3 | sync native >/dev/null
nodes 2 3 | sync native >/dev/null
is "one came, one went" "$(ways | tr ';' '\n' | grep -c .)" 4
unlike "the one is gone" "$(ways)" '10\.16\.1\.'
nodes 2 3 | sed 's/172.16.1.4,/172.16.1.77,/' | sync native >/dev/null
like "another address of a node" "$(ways)" '10\.16\.2\.0/24 native 172\.16\.1\.77'
is "replaced, not doubled" "$(ip route show 10.16.2.0/24 | wc -l)" 1
# Killed between the new and the old, or a version that knew others.
ip route add 10.77.0.0/24 via 172.16.1.9 proto 120 metric 120
ip route del 10.16.3.0/24
ip -6 route replace fd00:2:3::/64 via 2001:db8:1::99 proto 120 metric 120
nodes 1 2 | sync native >/dev/null
is "what is wrong or missing is mended" "$(ways)" "$two"
is "a node beyond a router is left to the node's routes" \
    "$(echo 'far 198.51.100.1 10.20.0.0/24' | sync native)" \
    "native 0 tunnel 0 left 1 refused 0 changes 4 "
is "and nothing is made for it" "$(ways)" ""

# --- another's route before ours ---
flag() { bpftool -j map lookup pinned /sys/fs/bpf/podwire/maps-1/pw_peers4 key hex 18 00 00 00 0a 10 01 00 | jq -r '.value[16]'; }
nodes 1 2 | sync vxlan >/dev/null
is "by the tunnel, programs know" "$(flag)" 0x01
ip route add 10.16.1.0/24 via 172.16.1.200 metric 50
is "an old overlay's route, say, goes before ours" "$(nodes 1 2 | sync vxlan)" \
    "native 0 tunnel 2 left 1 refused 0 changes 1 "
is "and programs leave it to the routes" "$(flag)" 0x00
ip route del 10.16.1.0/24 via 172.16.1.200
nodes 1 2 | sync vxlan >/dev/null
is "until it is gone" "$(flag)" 0x01

# --- addresses that are somebody else's: by the tunnel a node speaks for its own alone ---
speaker() { # ADDRESS: outer address of the node whose that is, in hex; "" for none
    bpftool -j map dump pinned /sys/fs/bpf/podwire/maps-1/pw_peers6 | jq -r --arg a "$(python3 -c "import ipaddress, sys
print(' '.join('0x%02x' % b for b in ipaddress.ip_address(sys.argv[1]).packed))" "$1")" \
        '.[] | select((.key[4:] | join(" ")) == $a) | .value[0:4] | map(.[2:]) | join("")'
}
good_node="n1 172.16.1.3,2001:db8:1::2 10.16.1.0/24,fd00:2:1::/64"
liar() { # ADDRESS: a node that says it has it, told behind and before another node; whose it is then
    { echo "$good_node"; echo "liar 172.16.1.99,$1 10.33.0.0/24"; } | sync vxlan >/dev/null
    speaker "$1"
    { echo "liar 172.16.1.99,$1 10.33.0.0/24"; echo "$good_node"; } | sync vxlan >/dev/null
    speaker "$1"
}
is "a node's own address is its" "$(liar 2001:db8:1::63 | xargs)" "ac100163 ac100163"
is "this node's is nobody's" "$(liar 2001:db8:1::1 | xargs)" ""
is "nor one of a pod of this node" "$(liar fd00:1::5 | xargs)" ""
is "nor one of another's" "$(liar fd00:2:1::5 | xargs)" ""
is "nor the gateway of all pods" "$(liar fe80::1 | xargs)" ""
is "of two the first that was told of has it" "$(liar 2001:db8:1::2 | xargs)" "ac100103 ac100163"
sync native </dev/null >/dev/null

# --- what is of no use ---
refused() { # NAME PEER WHY
    nodes 1 1 >"$TMP/peers"
    echo "$2" >>"$TMP/peers"
    like "$1" "$(sync native <"$TMP/peers")" "refused 1 .*why node bad: .*$3"
    like "  and keeps no other away" "$(ways)" '10\.16\.1\.0/24 native'
}
refused "a range that is none" "bad 172.16.1.9 0.0.0.0/0" "0.0.0.0/0 is no range"
refused "bits beyond the prefix" "bad 172.16.1.9 10.3.0.1/24" "no network"
refused "loopback" "bad 172.16.1.9 127.0.0.0/8" "no range that pods can have"
refused "link-local" "bad 2001:db8:1::9 fe80::/64" "no range that pods can have"
refused "link-local of IPv4" "bad 172.16.1.9 169.254.1.0/24" "no range that pods can have"
refused "this node's own range" "bad 172.16.1.9 10.1.0.0/25" "is this node's own"
refused "one that holds it" "bad 172.16.1.9 10.0.0.0/8" "is this node's own"
refused "this node's own address" "bad 172.16.1.1 10.3.0.0/24" "own address"
refused "a range that another node has" "bad 172.16.1.9 10.16.1.0/24" "node n1's already"
refused "a route of somebody else in the way" "bad 172.16.1.9 10.5.0.0/24" "somebody else"
nok "no address of our own" "$PEERS" native - 10.1.0.0/24
nok "network number 0" "$PEERS" -v 0 native 172.16.1.1 10.1.0.0/24

# --- many ---
nodes 1 1000 >"$TMP/many"
sync native </dev/null >/dev/null
is "no node, no route" "$(ways)" ""
is "a thousand nodes" "$(sync native <"$TMP/many")" "native 1000 tunnel 0 left 0 refused 0 changes 2000 "
is "are there" "$("$PEERS" list | wc -l)" 2000
is "one less is two changes" "$(sed 500d "$TMP/many" | sync native)" \
    "native 999 tunnel 0 left 0 refused 0 changes 2 "
diag "$(sync native -t <"$TMP/many" | grep -o 'us .*') for one change of a thousand nodes"

# --- killed at any moment, between one wish and another ---
everything() {
    "$PEERS" list | sort
    for m in pw_peers4 pw_peers6 pw_tunnel; do bpftool -j map dump pinned /sys/fs/bpf/podwire/maps-1/$m | jq -c '.[].value' | sort; done
    ip -br link show type vxlan | awk '{ print $1, $2 }'
    pins | grep 'links.*overlay'
    nft -s list table inet podwire-tunnel
}
nodes 1 300 >"$TMP/three-hundred"
sed 's/ 172[^ ]*,/ 198.51.100.9,/; s/,2001:db8:1::/,2001:db8:9::/' "$TMP/three-hundred" >"$TMP/far"
sync vxlan <"$TMP/three-hundred" >/dev/null
index=$(cat /sys/class/net/podwire-vxlan/ifindex 2>/dev/null || ip -o link show podwire-vxlan | cut -d: -f1)
everything >"$TMP/fresh"
killed=0
for i in $(seq 30); do
    case $((i % 3)) in 0) how="vxlan" which=far ;; 1) how="auto" which=three-hundred ;; *) how="vxlan" which=many ;; esac
    # shellcheck disable=SC2086
    "$PEERS" $how $own <"$TMP/$which" >/dev/null 2>&1 &
    pid=$!
    sleep "0.0$((RANDOM % 4))$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null || true
done
diag "$killed of 30 were killed before their end"
sync vxlan <"$TMP/three-hundred" >/dev/null
is "after 30 kills the next call makes all as it was" "$(everything | diff - "$TMP/fresh" | head -n 5)" ""
is "by the same device" "$(ip -o link show podwire-vxlan | cut -d: -f1)" "$index"
is "and then nothing is to do" "$(sync vxlan <"$TMP/three-hundred")" \
    "native 0 tunnel 300 left 0 refused 0 changes 0 "
# What somebody else did to it.
ip link set podwire-vxlan down
ip link set podwire-vxlan mtu 1300
ip addr flush dev podwire-vxlan
rm /sys/fs/bpf/podwire/links/podwire-vxlan:from_overlay
ip route flush proto 120
nft flush chain inet podwire-tunnel out
sync vxlan <"$TMP/three-hundred" >/dev/null
is "damage is mended" "$(everything | diff - "$TMP/fresh" | head -n 5)" ""
like "its MTU and addresses too" "$(ip addr show podwire-vxlan)" 'mtu 1450 .*inet 10.1.0.0/32.*inet6 fd00:1::/128'
ip link del podwire-vxlan
like "status says that it is gone" "$(of '.problems[].text')" "tunnel's device is gone"
sync vxlan <"$TMP/three-hundred" >/dev/null
like "made anew" "$(ip -o link show podwire-vxlan)" 'mtu 1450'
is "and its program with it" "$(pins | grep -c 'links.*overlay')" 1
ip link add other up type vxlan id 5 dstport 4790 dev up0
like "a port that another has is refused, with the remedy" "$(sync vxlan -p 4790 <"$TMP/three-hundred")" '4790 is taken, by another VXLAN device.*choose another port'
sync vxlan -p 4791 <"$TMP/three-hundred" >/dev/null
like "another port makes another device" "$(ip -d link show podwire-vxlan)" 'dstport 4791'
is "and that port's packets are not tracked" "$(nft list table inet podwire-tunnel | grep -c 'dport 4791 .*notrack')" 4
ip link del other
ip link set up0 mtu 1300
like "no room for IPv6 in the tunnel is refused" "$(sync vxlan <"$TMP/three-hundred")" '1280 is the least'
ip link set up0 mtu 9000
sync vxlan <"$TMP/three-hundred" >/dev/null
like "the MTU follows" "$(ip -o link show podwire-vxlan)" 'mtu 8950'
ip link set up0 mtu 1500

others >"$TMP/others.now"
is "routes of others are as they were" "$(cat "$TMP/others.now")" "$(cat "$TMP/others")"
ok "unload" ctl unload
is "leaves none of ours" "$(nft list tables; ip route show proto 120; ip -6 route show proto 120; ip -br link show type vxlan)" ""
is "and all of the others'" "$(others)" "$(cat "$TMP/others")"
