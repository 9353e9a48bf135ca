#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Behind another plugin, by the name of tc-redirect-tap or by "redirectTap": what is made, what is answered
# (by the rules of firecracker-go-sdk's reader), and that a guest which configures itself by that is
# connected. DEL with and without namespace, CHECK, GC, a failing ADD.
# pw-test: timeout=120
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up p1 p2 guest
ln -s "$(realpath "$PODWIRE")" "$TMP/tc-redirect-tap"
us=$PODWIRE
behind() { jq -nc --arg v "$1" --slurpfile prev "$2" '{cniVersion: $v, name: "fc", type: "tc-redirect-tap", prevResult: $prev[0]}'; }
must good "a first pod" "$(conf 1.0.0)" ADD warm /run/netns/p1 eth0
PODWIRE=$TMP/tc-redirect-tap
cp "$TMP/out" "$TMP/prev"
good "and a tap beside" "$(behind 1.0.0 "$TMP/prev")" ADD warm /run/netns/p1 eth0
good "and their end" "$(behind 1.0.0 "$TMP/prev")" DEL warm /run/netns/p1 eth0
PODWIRE=$us
good "of both" "$(conf 1.0.0)" DEL warm /run/netns/p1 eth0
walk p1 p2 >"$TMP/before"

# A guest with what the kernel's "ip=" has room for: address, gateway, mask, one device.
boot() { # RESULT ID TAP-NS
    local tap netns mac address gateway
    read -r tap netns mac address gateway <<<"$(static_conf "$1" "$2")"
    "$BUILD/tests/netns/guest" "${netns##*/}:$tap" guest:eth0 "$mac" "$(pod_link "${netns##*/}" "$tap" mtu)" >"$TMP/guest"
    ip -n guest link set eth0 up
    ip -n guest addr add "$address" dev eth0
    ip -n guest route add default via "$gateway"
}
halt() { kill "$(cat "$TMP/guest")" && wait_for 30 eval '! ip -n guest link show eth0 >/dev/null 2>&1'; }

# FIRST "$CONF": ADD of that plugin, ours behind it, a guest, and all away again.
chained() { # NAME PLUGIN CONF
    local name=$1 first=$2 conf=$3 v4
    v=$(jq -r .cniVersion <<<"$conf")
    PODWIRE=$first
    must good "$name: ADD of the plugin before" "$conf" ADD vm1 /run/netns/p1 eth0
    cp "$TMP/out" "$TMP/prev"
    PODWIRE=$TMP/tc-redirect-tap
    must good "$name: ADD of ours" "$(behind "$v" "$TMP/prev")" ADD vm1 /run/netns/p1 eth0 CNI_ARGS="IgnoreUnknown=1;TC_REDIRECT_TAP_UID=77;TC_REDIRECT_TAP_GID=78"
    cp "$TMP/out" "$TMP/result"
    is "$name: what was there stays" "$(jq -c '.interfaces[:-2]' "$TMP/result")" "$(jq -c .interfaces "$TMP/prev")"
    is "$name: every address is copied to the guest" \
        "$(jq -c '(.interfaces|length-1) as $i | [.ips[]|select(.interface==$i)|.address]' "$TMP/result")" "$(jq -c '[.ips[].address]' "$TMP/prev")"
    like "$name: the SDK's reader" "$(static_conf "$TMP/result" vm1)" "^tap0 /run/netns/p1 $(pod_link p1 eth0 address) [0-9.]+/24 10"
    is "$name: the tap is owned" "$(ip -n p1 -d -j link show tap0 | jq -c '.[0].linkinfo.info_data|[.user,.group,.multi_queue]')" '[77,78,false]'
    is "$name: its MTU is the interface's" "$(pod_link p1 tap0 mtu)" "$(pod_link p1 eth0 mtu)"
    bad "$name: ADD again" 100 "$(behind "$v" "$TMP/prev")" ADD vm1 /run/netns/p1 eth0
    [ "$v" = 0.3.1 ] || good "$name: CHECK" "$(behind "$v" "$TMP/result")" CHECK vm1 /run/netns/p1 eth0
    boot "$TMP/result" vm1
    v4=$(jq -r '.ips[0].address|split("/")[0]' "$TMP/prev")
    ok "$name: the guest reaches the node" pod guest ping -c2 -W10 192.0.2.1
    ok "$name: the node reaches the guest" ping -c2 -W10 "$v4"
    halt
    good "$name: DEL of ours" "$(behind "$v" "$TMP/result")" DEL vm1 /run/netns/p1 eth0
    is "$name: the tap is gone" "$(ip -n p1 -o link | grep -c tap0)" 0
    good "$name: DEL of ours again, without namespace" "$(behind "$v" "$TMP/result")" DEL vm1 "" eth0
    PODWIRE=$first
    good "$name: DEL of the plugin before" "$conf" DEL vm1 /run/netns/p1 eth0
    PODWIRE=$us
}

v4net='.ipam.ranges=[[{"subnet":"10.1.0.0/24"}]] | .ipam.routes=[{"dst":"0.0.0.0/0"}]'
REF=
for d in /usr/lib/cni /opt/cni/bin; do [ ! -x $d/ptp ] || REF=$d; done
if [ -n "$REF" ]; then
    ptp=$(jq -nc '{cniVersion: "1.0.0", name: "fc", type: "ptp", ipMasq: false,
        ipam: {type: "host-local", subnet: "10.9.0.0/24", dataDir: "/run/ipam", routes: [{dst: "0.0.0.0/0"}]}}')
    export CNI_PATH=$REF
    chained "behind ptp" $REF/ptp "$ptp"
else
    skip "no reference plugins" "behind ptp"
fi
walk_same "nothing is left" <(cat "$TMP/before") p1 p2

# Behind podwire itself, by the key instead of the name.
must good "behind podwire: ADD of the first" "$(conf 1.1.0 ".device=\"veth\" | $v4net")" ADD vm2 /run/netns/p2 eth0
cp "$TMP/out" "$TMP/prev"
key=$(behind 1.1.0 "$TMP/prev" | jq -c '.type="podwire" | .redirectTap=true')
good "behind podwire: ADD" "$key" ADD vm2 /run/netns/p2 eth0 CNI_ARGS="TC_REDIRECT_TAP_NAME=vmtap"
is "behind podwire: its name" "$(answer '.interfaces[3]|[.name,.sandbox]|tostring')" '["vmtap","vm2"]'
host=$(jq -r '.interfaces[0].name' "$TMP/prev") v4=$(answer '.ips[0].address')
is "behind podwire: one address is its guest's" "$(answer '[.ips[].interface]|tostring')" '[1,3]'
# An address of its own to the last bit, whose next hop is no part of it: what the plugin's result says.
"$BUILD/tests/netns/guest" p2:vmtap guest:eth0 "$(answer '.interfaces[3].mac')" 1400 >"$TMP/guest"
ip -n guest link set eth0 up
ip -n guest addr add "$v4" dev eth0
ip -n guest route add default via 169.254.1.1 dev eth0 onlink
ok "behind podwire: the guest reaches the node" pod guest ping -c2 -W10 192.0.2.1
nok "behind podwire: and is checked like any pod" eval "ip -n guest addr add 10.1.0.99/32 dev eth0; pod guest ping -c1 -W1 -I 10.1.0.99 192.0.2.1"
like "behind podwire: which is counted" "$("$BUILD/podwirectl" endpoints "$host" --json | jq -c '[.reasons[].reason]')" SPOOF
halt
ip netns del p2
good "behind podwire: DEL when the namespace is gone" "$key" DEL vm2 /run/netns/p2 eth0
good "behind podwire: DEL of the first" "$(conf 1.1.0)" DEL vm2 /run/netns/p2 eth0
netns_up p2

# What cannot be.
bad "without a plugin before" 7 '{"cniVersion":"1.0.0","name":"fc","type":"podwire","redirectTap":true}' ADD vm3 /run/netns/p1 eth0
bad "without its interface" 7 "$(behind 1.0.0 "$TMP/prev" | jq -c .redirectTap=true)" ADD vm3 /run/netns/p1 eth7
good "a pod" "$(conf 1.0.0 "$v4net")" ADD vm4 /run/netns/p1 eth0
good "with a tap" "$(behind 1.0.0 "$TMP/prev" | jq -c .redirectTap=true)" ADD vm4 /run/netns/p1 eth0
ip netns del p1
wait_for 30 eval '! ls /sys/class/net | grep -q ^pw-'
good "GC finds what a namespace left that went without DEL" "$(behind 1.1.0 "$TMP/prev" | jq -c '.redirectTap=true | del(.prevResult)')" GC "" "" ""
is "nothing is pinned" "$(find /sys/fs/bpf/podwire/links -name 'tc-*')" ""
good "STATUS" "$(behind 1.1.0 "$TMP/prev" | jq -c '.redirectTap=true | del(.prevResult)')" STATUS "" "" ""
good "DEL of the pod" "$(conf 1.0.0)" DEL vm4 "" eth0
netns_up p1
walk p1 p2 | grep -v '^nft' >"$TMP/after"
ok "nothing is left of all these" diff <(grep -v '^nft' "$TMP/before") "$TMP/after"
