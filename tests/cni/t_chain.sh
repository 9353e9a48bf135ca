#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# First in a chain, with the reference plugins portmap, tuning and sbr behind: each does its work on
# our device, CHECK of the whole list is content, DEL in reverse order leaves nothing.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
REF=
for d in /usr/lib/cni /opt/cni/bin; do [ ! -x $d/portmap ] || REF=$d; done
[ -n "$REF" ] || skip_all "no reference plugins"

node_up 1500
netns_up p1 p2 warm outside
ip -n p1 link set lo up
# Someone beyond the uplink, for portmap.
ip link set wire0 netns outside
ip -n outside addr add 192.0.2.254/24 dev wire0
ip -n outside addr add 2001:db8:2::254/64 dev wire0 nodad
ip -n outside link set wire0 up

# Runs a list's plugins one after the other as libcni does; results are kept for CHECK and DEL.
chain() { # COMMAND ID NETNS IFNAME PLUGIN-CONF...
    local command=$1 id=$2 netns=$3 ifname=$4 prev=null type p rc=0
    local -a plugins=("${@:5}")
    [ "$command" = ADD ] || prev=$(cat "$TMP/chain-$id-$ifname" 2>/dev/null || echo null)
    if [ "$command" = DEL ]; then
        local -a reversed=()
        for p in "${plugins[@]}"; do reversed=("$p" "${reversed[@]}"); done
        plugins=("${reversed[@]}")
    fi
    for p in "${plugins[@]}"; do
        type=$(jq -r .type <<<"$p")
        [ "$type" = podwire ] && type=$PODWIRE || type=$REF/$type
        CNI_COMMAND=$command CNI_CONTAINERID=$id CNI_NETNS=$netns CNI_IFNAME=$ifname "$type" \
            <<<"$(jq -c --argjson prev "$prev" 'if $prev then .prevResult=$prev else . end' <<<"$p")" >"$TMP/chain-out" || rc=1
        [ $rc = 0 ] || { cat "$TMP/chain-out"; return 1; }
        [ "$command" != ADD ] || prev=$(cat "$TMP/chain-out")
    done
    [ "$command" != ADD ] || echo "$prev" >"$TMP/chain-$id-$ifname"
}

us=$(conf 1.0.0)
plugin() { jq -nc --arg type "$1" '{cniVersion: "1.0.0", name: "net", type: $type} + '"$2"; }
portmap=$(plugin portmap '{runtimeConfig: {portMappings: [{hostPort: 18080, containerPort: 8080, protocol: "tcp"}]}}')
tuning=$(plugin tuning '{mtu: 1380, sysctl: {"net.core.somaxconn": "777"}}')
sbr=$(plugin sbr '{}')
nothing=$(plugin portmap '{runtimeConfig: {portMappings: [{hostPort: 18079, containerPort: 1, protocol: "tcp"}]}}')
must ok "a first pod" chain ADD warm /run/netns/warm eth0 "$us" "$nothing"
ok "and its end" chain DEL warm /run/netns/warm eth0 "$us" "$nothing"
walk p1 p2 >"$TMP/before"

must ok "ADD with portmap and tuning" chain ADD c1 /run/netns/p1 eth0 "$us" "$tuning" "$portmap"
is "tuning's MTU" "$(pod_link p1 eth0 mtu)" 1380
is "tuning's sysctl" "$(pod p1 cat /proc/sys/net/core/somaxconn)" 777
is "our interfaces are in the last result" "$(jq -r '.interfaces[1].name' "$TMP/chain-c1-eth0")" eth0
reaches() { # FROM DST PORT: the server of the pod, all that is sent and answered
    "$BUILD/tests/netns/pwt" <<<"tcp x from=$1 to=p1 dst=$2 port=$3 atport=8080"
}
ok "hostPort from outside" reaches outside 192.0.2.1 18080
ok "hostPort from the node" reaches node 192.0.2.1 18080
# Not of portmap: Debian 12's looks for the IPv4 rule in IPv6's table.
ok "CHECK of the list" chain CHECK c1 /run/netns/p1 eth0 "$us" "$tuning"
must ok "another pod" chain ADD c2 /run/netns/p2 eth0 "$us"
ok "hostPort from a pod of the node" reaches p2 192.0.2.1 18080
ok "and the pod's own address" reaches p2 "$(jq -r '.ips[0].address' "$TMP/chain-c1-eth0" | cut -d/ -f1)" 8080
ok "DEL of the list" chain DEL c1 /run/netns/p1 eth0 "$us" "$tuning" "$portmap"
ok "DEL of the list again" chain DEL c1 "" eth0 "$us" "$tuning" "$portmap"
ok "DEL of the other" chain DEL c2 /run/netns/p2 eth0 "$us"
walk_same "nothing is left" "$TMP/before" p1 p2

# The MAC is told to both, as a runtime does that offers the capability.
mac=02:00:00:00:00:44
must ok "ADD with a MAC, tuning behind" chain ADD c1 /run/netns/p1 eth0 "$(jq -c --arg m $mac '.runtimeConfig.mac=$m' <<<"$us")" \
    "$(plugin tuning "{runtimeConfig: {mac: \"$mac\"}}")"
is "it is the device's" "$(pod_link p1 eth0 address)" $mac
ok "the node reaches the pod" ping -c1 -W10 "$(jq -r '.ips[0].address' "$TMP/chain-c1-eth0" | cut -d/ -f1)"
ok "DEL" chain DEL c1 /run/netns/p1 eth0 "$us"
# One that changes it behind our back cuts its pod off: CHECK says so.
must ok "ADD, and tuning sets a MAC of its own" chain ADD c1 /run/netns/p1 eth0 "$(jq -c '.device="veth"' <<<"$us")" \
    "$(plugin tuning "{mac: \"$mac\"}")"
nok "CHECK finds it" chain CHECK c1 /run/netns/p1 eth0 "$us"
like "and says what to do" "$(cat "$TMP/chain-out")" "capability mac"
ok "DEL" chain DEL c1 /run/netns/p1 eth0 "$us"

# sbr: a second interface with a routing table of its own.
second=$(jq -c '.name="second" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}]] | .ipam.routes=[{"dst":"10.99.0.0/16"}]' <<<"$us")
must ok "ADD of eth0" chain ADD c1 /run/netns/p1 eth0 "$us"
must ok "ADD of net1 with sbr" chain ADD c1 /run/netns/p1 net1 "$second" "$sbr"
n4=$(jq -r '.ips[0].address' "$TMP/chain-c1-net1" | cut -d/ -f1)
like "a rule for its source" "$(ip -n p1 rule)" "from $n4 lookup 100"
like "its default route is in the table" "$(ip -n p1 route show table 100)" "default via 169.254.1.1 dev net1"
must ok "another pod on that network" chain ADD c2 /run/netns/p2 eth0 "$second"
ok "reached by it" pod p1 ping -c1 -W10 -I "$n4" "$(jq -r '.ips[0].address' "$TMP/chain-c2-eth0" | cut -d/ -f1)"
ok "CHECK of net1" chain CHECK c1 /run/netns/p1 net1 "$second" "$sbr"
ok "DEL of net1" chain DEL c1 /run/netns/p1 net1 "$second" "$sbr"
ok "DEL of eth0" chain DEL c1 /run/netns/p1 eth0 "$us"
ok "DEL of the other" chain DEL c2 /run/netns/p2 eth0 "$second"
walk p1 p2 | grep -v '^nft' >"$TMP/after"
ok "nothing is left" diff <(grep -v '^nft' "$TMP/before") "$TMP/after"
