#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each command of the specification, on its own: what ADD makes, in every version; CHECK finds what
# is missing and bears what others change; DEL twice, without namespace, without prevResult.
# pw-test: vm
# pw-test: timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"

node_up 1400
netns_up p1 p2 warm
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk p1 p2 >"$TMP/before"

must good "ADD" "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
cp "$TMP/out" "$TMP/result"
host=$(answer '.interfaces[0].name')
like "the host end has our prefix" "$host" '^pw-[0-9a-f]{11}$'
is "MTU of the uplink, in the result" "$(answer '[.interfaces[].mtu]|unique|tostring')" "[1400]"
is "on the pod's device" "$(pod_link p1 eth0 mtu)" 1400
is "on the host end" "$(ip -j link show "$host" | jq '.[0].mtu')" 1400
is "the result's MAC is the device's" "$(answer '.interfaces[1].mac // ""')" \
    "$([ "$(pod_link p1 eth0 address)" = 00:00:00:00:00:00 ] || pod_link p1 eth0 address)"
is "the result says the sandbox" "$(answer '.interfaces[1].sandbox')" /run/netns/p1
v4=$(answer '.ips[0].address' | cut -d/ -f1) v6=$(answer '.ips[1].address' | cut -d/ -f1)
is "two addresses of the second interface" "$(answer '[.ips[].interface]|tostring')" "[1,1]"
is "they are on the device" "$(ip -n p1 -j addr show eth0 | jq -r '[.[0].addr_info[]|select(.scope=="global").local]|join(" ")')" "$v4 $v6"
is "no duplicate detection" "$(ip -n p1 -6 addr show dev eth0 tentative scope global)" ""
like "default route, IPv4" "$(ip -n p1 route)" "default via 169.254.1.1 dev eth0 proto 119 onlink"
like "default route, IPv6" "$(ip -n p1 -6 route)" "default via fe80::1 dev eth0 proto 119"
like "the node's route, IPv4" "$(ip route)" "$v4 dev $host proto 119 scope link"
like "the node's route, IPv6" "$(ip -6 route)" "$v6 dev $host proto 119"
is "no reverse path filter on the host end" "$(cat "/proc/sys/net/ipv4/conf/$host/rp_filter")" 0
like "programs are attached" "$(bpftool net show)" "$host"
ok "the node reaches the pod, IPv4" ping -c1 -W10 "$v4"
ok "the node reaches the pod, IPv6" ping -c1 -W10 "$v6"
good "ADD of another pod" "$(conf 1.1.0)" ADD c2 /run/netns/p2 eth0
ok "pod to pod, IPv4" pod p2 ping -c1 -W10 "$v4"
ok "pod to pod, IPv6" pod p2 ping -c1 -W10 "$v6"
bad "ADD of what is there" 100 "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
ok "does no harm" pod p2 ping -c1 -W10 "$v4"
bad "ADD of another container with that interface" 100 "$(conf 1.1.0)" ADD c3 /run/netns/p1 eth0
ok "does no harm either" pod p2 ping -c1 -W10 "$v4"

# CHECK.
prev=$(cat "$TMP/result")
check() { conf "${1:-1.1.0}" ".prevResult=$prev | ${2:-.}"; }
good "CHECK" "$(check)" CHECK c1 /run/netns/p1 eth0
is "has nothing to say" "$(cat "$TMP/out")" ""
good "CHECK in 0.4.0" "$(check 0.4.0)" CHECK c1 /run/netns/p1 eth0
good "CHECK with an empty dns, as podman sends" "$(check 1.1.0 '.prevResult.dns={}')" CHECK c1 /run/netns/p1 eth0
bad "CHECK without prevResult" 7 "$(conf 1.1.0)" CHECK c1 /run/netns/p1 eth0
bad "CHECK with a prevResult of another interface" 7 "$(check 1.1.0 '.prevResult.interfaces[1].name="eth9"')" CHECK c1 /run/netns/p1 eth0
bad "CHECK of what was never added" 103 "$(check)" CHECK c9 /run/netns/p1 eth0
bad "CHECK in 0.3.1" 1 "$(check 0.3.1)" CHECK c1 /run/netns/p1 eth0
# Others may move routes to other tables and change the MTU.
pod p1 ip route del default
pod p1 ip route add default via 169.254.1.1 dev eth0 onlink table 100
pod p1 ip link set eth0 mtu 1300
good "CHECK bears a route in another table, another MTU" "$(check)" CHECK c1 /run/netns/p1 eth0
pod p1 ip route del default table 100
bad "CHECK misses a route" 103 "$(check)" CHECK c1 /run/netns/p1 eth0
pod p1 ip route add default via 169.254.1.1 dev eth0 onlink
good "CHECK is content again" "$(check)" CHECK c1 /run/netns/p1 eth0
pod p1 ip addr del "$v4/32" dev eth0
bad "CHECK misses an address" 103 "$(check)" CHECK c1 /run/netns/p1 eth0
like "and names it" "$(answer .msg)" "$v4"
pod p1 ip addr add "$v4/32" dev eth0
pod p1 ip route replace 169.254.1.1 dev eth0
pod p1 ip route replace default via 169.254.1.1 dev eth0 onlink
ip link set "$host" down
bad "CHECK sees the host end down" 103 "$(check)" CHECK c1 /run/netns/p1 eth0
ip link set "$host" up
ip route replace "$v4" dev "$host" proto 119 scope link
ip route del "$v4" dev "$host"
bad "CHECK misses the node's route" 103 "$(check)" CHECK c1 /run/netns/p1 eth0
ip route add "$v4" dev "$host" proto 119 scope link
ip -6 route replace "$v6" dev "$host" proto 119
good "CHECK once more" "$(check)" CHECK c1 /run/netns/p1 eth0
rm -f /sys/fs/bpf/podwire/links/"$host":*
bad "CHECK misses a program" 103 "$(check)" CHECK c1 /run/netns/p1 eth0

# DEL.
good "DEL with namespace and prevResult" "$(check)" DEL c1 /run/netns/p1 eth0
good "DEL again, with neither" "$(conf 1.1.0)" DEL c1 "" eth0
good "DEL in another version" "$(conf 0.4.0)" DEL c1 /run/netns/p1 eth0
ip netns del p2
good "DEL when the namespace is gone" "$(conf 1.1.0)" DEL c2 /run/netns/p2 eth0
netns_up p2
walk_same "nothing is left" "$TMP/before" p1 p2
good "DEL of what was never added" "$(conf 1.1.0)" DEL never /run/netns/p1 eth0
walk_same "nothing comes of it" "$TMP/before" p1 p2

# The record lost: DEL works from names.
good "ADD" "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
rm /run/podwire/endpoints/c1:eth0.json
good "DEL without its record" "$(conf 1.1.0)" DEL c1 "" eth0
walk_same "leaves nothing all the same" "$TMP/before" p1 p2
good "ADD" "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
echo garbage >/run/podwire/endpoints/c1:eth0.json
good "DEL with a damaged record" "$(conf 1.1.0)" DEL c1 "" eth0
walk_same "leaves nothing either" "$TMP/before" p1 p2

# A pod whose namespace went without DEL, and the same id again.
netns_up gone
good "ADD" "$(conf 1.1.0)" ADD c1 /run/netns/gone eth0
ip netns del gone
wait_for 30 eval '! ls /sys/class/net | grep -q ^pw-'
good "ADD of the same id after its namespace went" "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
good "DEL" "$(conf 1.1.0)" DEL c1 /run/netns/p1 eth0
walk_same "nothing is left of both" "$TMP/before" p1 p2

# Versions.
for v in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
    good "ADD in $v" "$(conf $v)" ADD c1 /run/netns/p1 eth0
    is "is answered in $v" "$(answer .cniVersion)" $v
    case $v in
    0.*) is "$v: addresses with their version" "$(answer '[.ips[].version]|join(" ")')" "4 6" ;;
    *) is "$v: addresses without version" "$(answer '[.ips[].version]|tostring')" "[null,null]" ;;
    esac
    is "$v: MTU of interfaces from 1.1.0 on" "$(answer '.interfaces[1]|has("mtu")')" "$([ $v = 1.1.0 ] && echo true || echo false)"
    good "DEL in $v" "$(conf $v)" DEL c1 /run/netns/p1 eth0
done
request VERSION "" dummy dummy <<<'{"cniVersion":"1.0.0"}' || true
is "VERSION" "$(answer tostring)" '{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}'
request VERSION "" dummy dummy </dev/null || true
is "VERSION without stdin" "$(answer .cniVersion)" 1.1.0

# prevResult and unknown keys live on.
good "ADD with a result of a plugin before" "$(conf 1.0.0 '.odd={"a":1} | .prevResult={"cniVersion":"1.0.0",
    "interfaces":[{"name":"dummy0"}],"ips":[{"address":"192.0.2.77/24","interface":0}],"odd":[7]}')" ADD c1 /run/netns/p1 eth0
is "it is kept, ours behind it" "$(answer '[.odd[0], .interfaces[0].name, .interfaces[2].name, .ips[0].address, .ips[1].interface]|tostring')" \
    '[7,"dummy0","eth0","192.0.2.77/24",2]'
good "DEL" "$(conf 1.0.0)" DEL c1 /run/netns/p1 eth0

# GC.
for n in 1 2 3; do
    netns_up g$n
    good "ADD of pod $n" "$(conf 1.1.0)" ADD gc$n /run/netns/g$n eth0
done
good "ADD on another network" "$(conf 1.1.0 '.name="other" | .ipam.ranges=[[{"subnet":"10.9.0.0/24"}]]')" ADD gc1 /run/netns/g1 eth1
bad "GC with a list that is none" 7 "$(conf 1.1.0 '."cni.dev/valid-attachments"="x"')" GC "" "" ""
bad "GC with an entry that is none" 7 "$(conf 1.1.0 '."cni.dev/valid-attachments"=[{"containerID":"gc1"}]')" GC "" "" ""
bad "GC in 1.0.0" 1 "$(conf 1.0.0)" GC "" "" ""
is "removed nothing" "$(find /run/podwire/endpoints -type f | wc -l)" 4
good "GC that lists one" "$(conf 1.1.0 '."cni.dev/valid-attachments"=[{"containerID":"gc2","ifname":"eth0"},{"containerID":"gc1","ifname":"eth9"}]')" GC "" "" ""
is "leaves that and the other network's" "$(cd /run/podwire/endpoints && echo *)" "gc1:eth1.json gc2:eth0.json"
good "GC without the key" "$(conf 1.1.0)" GC "" "" ""
good "GC with null" "$(conf 1.1.0 '.name="other" | .ipam.ranges=[[{"subnet":"10.9.0.0/24"}]] | ."cni.dev/valid-attachments"=null')" GC "" "" ""
is "removes all" "$(find /run/podwire/endpoints /run/podwire/ipam/*/owners -type f)" ""
is "devices too" "$(ip -o link | grep -c ' pw-')" 0

# What GC cannot take away keeps its address, so that nobody else gets it.
owners() { ls /run/podwire/ipam/net/owners; }
good "ADD" "$(conf 1.1.0)" ADD gcd /run/netns/g1 eth0
cp /run/podwire/endpoints/gcd:eth0.json "$TMP/record"
echo damaged >/run/podwire/endpoints/gcd:eth0.json
good "GC that finds its record damaged, and its device" "$(conf 1.1.0)" GC "" "" ""
is "leaves its address" "$(owners)" gcd:eth0
cp "$TMP/record" /run/podwire/endpoints/gcd:eth0.json
good "GC" "$(conf 1.1.0)" GC "" "" ""
kata=$(conf 1.1.0 '.device="tap" | .kataDan="/run/dans"')
good "ADD with a file for Kata" "$kata" ADD gck /run/netns/g1 eth0
good "ADD of another" "$(conf 1.1.0)" ADD gco /run/netns/g2 eth0
mount --bind /run/dans /run/dans
mount -o remount,bind,ro /run/dans
bad "GC that cannot remove it" 5 "$kata" GC "" "" ""
is "leaves its address, and no other" "$(owners)" gck:eth0
umount /run/dans
good "GC" "$kata" GC "" "" ""
is "removes all" "$(find /run/podwire/endpoints /run/podwire/ipam/*/owners /run/dans -type f)" ""

# STATUS.
good "STATUS" "$(conf 1.1.0)" STATUS "" "" ""
is "has nothing to say" "$(cat "$TMP/out")" ""
bad "STATUS in 1.0.0" 1 "$(conf 1.0.0)" STATUS "" "" ""
small='.name="small" | .ipam.ranges=[[{"subnet":"10.8.0.0/30","gateway":"10.8.0.2"}]]'
good "ADD that takes the last address" "$(conf 1.1.0 "$small")" ADD c1 /run/netns/p1 eth0
bad "STATUS of a network that has none left" 50 "$(conf 1.1.0 "$small")" STATUS "" "" ""
like "says which" "$(answer .msg)" "10.8.0.0/30"
bad "ADD on it" 101 "$(conf 1.1.0 "$small")" ADD c2 /run/netns/p2 eth0
good "DEL" "$(conf 1.1.0 "$small")" DEL c1 /run/netns/p1 eth0
good "STATUS is well again" "$(conf 1.1.0 "$small")" STATUS "" "" ""
bad "STATUS with an IPAM plugin that is not there" 7 "$(conf 1.1.0 '.ipam={"type":"nowhere"}')" STATUS "" "" ""

# A pod may speak as soon as ADD is done, however long the kernel's own work queues take: somebody
# holds its network lock most of the time.
netns_up busy
busy() { while :; do ip -n busy link add a0 type veth peer name b0 && ip -n busy link del a0; done; }
busy >/dev/null 2>&1 &
loop=$!
cleanup kill $loop
lost=0
for n in {1..15}; do
    ip netns add "now$n"
    request ADD "now$n" "/run/netns/now$n" eth0 <<<"$(conf 1.1.0)" || diag "$(cat "$TMP/out")"
    # (ip would ask about the device, and so mend what is to be found here.)
    nsenter --net="/run/netns/now$n" ping -q -c1 -W5 192.0.2.1 >/dev/null || lost=$((lost + 1))
done
kill $loop
is "first packets of 15 pods, at once after ADD: lost" $lost 0
