#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What pods and runtimes ask for: device, MAC, addresses, ranges; IPv6 that the runtime switched off;
# BIG TCP and MTU from the uplink; several interfaces in one pod.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"

node_up 4000
netns_up p1 p2 warm
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk p1 p2 >"$TMP/before"
netkit=0
# (Not nkN: the kernel calls the other end so.)
ip link add probe0 type netkit 2>/dev/null && netkit=1 && ip link del probe0
record() { jq -r "$1" "/run/podwire/endpoints/${2:-c1:eth0}.json"; }
added() { # NAME FILTER [VAR=VALUE]: ADD, then checks, then `gone`
    local name=$1 filter=$2
    shift 2
    good "$name" "$(conf 1.1.0 "$filter")" ADD c1 /run/netns/p1 eth0 "$@"
}
gone() { good "DEL" "$(conf 1.1.0)" DEL c1 /run/netns/p1 eth0; }
annotation() { echo ".runtimeConfig.\"io.kubernetes.cri.pod-annotations\"={\"podwire.io/device\":\"$1\"}"; }

# Device.
added "auto" .
is "the record says what auto chose" "$(record .device)" "$([ $netkit = 1 ] && echo netkit || echo veth)"
like "and why" "$(record .why)" "auto \(configuration\): the kernel has"
like "podwirectl tells it" "$("$BUILD/podwirectl" endpoints --json)" "the kernel has"
gone
added "veth by configuration" '.device="veth"'
is "is veth" "$(record .device)" veth
gone
ns='.namespaceDevices={machines: "tap", plain: "veth"}'
added "veth by namespace" ".device=\"tap\" | $ns" CNI_ARGS="K8S_POD_NAMESPACE=plain;K8S_POD_NAME=p"
is "is veth" "$(record .device)" veth
like "and says why" "$(record .why)" namespaceDevices
gone
added "another namespace" "$ns | .device=\"veth\"" CNI_ARGS="K8S_POD_NAMESPACE=other;K8S_POD_NAME=p"
like "has what all have" "$(record .why)" configuration
gone
bad "a namespace's device that is none" 7 "$(conf 1.1.0 '.namespaceDevices={x: "bridge"}')" ADD c1 /run/netns/p1 eth0
like "is named" "$(answer .msg)" "namespaceDevices.x"
bad "an annotation, though pods may not choose" 7 "$(conf 1.1.0 "$(annotation veth)")" ADD c1 /run/netns/p1 eth0
like "says that" "$(answer .msg)" "podDevices"
added "an annotation that may" ".podDevices=[\"veth\"] | $(annotation veth)"
like "is followed" "$(record .why)" "asked for by annotation podwire.io/device"
gone
bad "an annotation for what pods may not have" 7 "$(conf 1.1.0 ".podDevices=[\"veth\"] | $(annotation netkit)")" ADD c1 /run/netns/p1 eth0
bad "an annotation that is nonsense" 7 "$(conf 1.1.0 ".podDevices=[\"veth\"] | $(annotation token-ring)")" ADD c1 /run/netns/p1 eth0
added "args.cni" '.podDevices=["veth"] | .args.cni.device="veth"'
gone
if [ $netkit = 1 ]; then
    for d in netkit netkit-l2; do
        added "$d by configuration" ".device=\"$d\""
        is "$d: is the record's" "$(record .device)" $d
        is "$d: kind of the device" "$(ip -j -d link show "$(answer '.interfaces[0].name')" | jq -r '.[0].linkinfo.info_kind')" netkit
        is "$d: the pod's end is shut without program" \
            "$(ip -d link show "$(answer '.interfaces[0].name')" | grep -o 'peer policy [a-z]*')" "peer policy blackhole"
        ok "$d: node to pod" ping -c1 -W10 "$(answer '.ips[0].address' | cut -d/ -f1)"
        gone
    done
    bad "netkit with a MAC" 7 "$(conf 1.1.0 '.device="netkit" | .runtimeConfig.mac="02:00:00:00:00:07"')" ADD c1 /run/netns/p1 eth0
    added "auto with a MAC" '.runtimeConfig.mac="02:00:00:00:00:07"'
    is "is netkit at layer 2" "$(record .device)" netkit-l2
    gone
else
    bad "netkit on a kernel without" 7 "$(conf 1.1.0 '.device="netkit"')" ADD c1 /run/netns/p1 eth0
    like "says so" "$(answer .msg)" "no netkit"
    bad "STATUS says it before any pod comes" 50 "$(conf 1.1.0 '.device="netkit"')" STATUS "" "" ""
fi

# MAC.
for how in '.runtimeConfig.mac="02:00:00:00:00:07"' '.args.cni.mac="02:00:00:00:00:07"' '.runtimeConfig.MAC="02-00-00-00-00-07"'; do
    added "MAC: $how" "$how"
    is "is the device's" "$(pod_link p1 eth0 address)" 02:00:00:00:00:07
    is "and the result's" "$(answer '.interfaces[1].mac')" 02:00:00:00:00:07
    gone
done
added "MAC= in CNI_ARGS" . CNI_ARGS="IgnoreUnknown=1;MAC=02:00:00:00:00:08"
is "is the device's" "$(pod_link p1 eth0 address)" 02:00:00:00:00:08
gone
bad "a multicast MAC" 7 "$(conf 1.1.0 '.runtimeConfig.mac="01:00:00:00:00:07"')" ADD c1 /run/netns/p1 eth0

# Addresses.
addresses() { answer '[.ips[].address|split("/")[0]]|join(" ")'; }
added "ips" '.runtimeConfig.ips=["10.1.0.77/24","fd00:1::77"]'
is "are given" "$(addresses)" "10.1.0.77 fd00:1::77"
bad "the same for another pod" 102 "$(conf 1.1.0 '.runtimeConfig.ips=["10.1.0.77"]')" ADD c2 /run/netns/p2 eth0
gone
added "args.cni.ips" '.args.cni.ips=["fd00:1::78"]'
like "given, and one of the other family" "$(addresses)" '^10\.1\.0\.[0-9]+ fd00:1::78$'
gone
added "IP= in CNI_ARGS" . CNI_ARGS="IP=10.1.0.79"
like "given" "$(addresses)" '^10\.1\.0\.79 '
gone
bad "an address of no range" 7 "$(conf 1.1.0 '.runtimeConfig.ips=["10.2.0.1"]')" ADD c1 /run/netns/p1 eth0
added "ipRanges" '.runtimeConfig.ipRanges=[[{"subnet":"10.7.0.0/24","rangeStart":"10.7.0.9","rangeEnd":"10.7.0.9"}]]'
like "are used, the configured ones too" "$(addresses)" '^10\.7\.0\.9 10\.1\.0\.[0-9]+ fd00:1::'
gone
added "ranges with gateway and exclude" '.ipam.ranges=[[{"subnet":"10.6.0.0/29","gateway":"10.6.0.1","exclude":["10.6.0.2","10.6.0.4/30"]}]]'
is "leave one address" "$(addresses)" 10.6.0.3
gone
seen=
for _ in 1 2 3; do
    added "ADD" .
    seen="$seen $(addresses | cut -d' ' -f1)"
    gone
done
is "an address that was released is not the next given out" "$(tr ' ' '\n' <<<"$seen" | sort | uniq -d)" ""
is "the network's own routes and dns" "$(good x "$(conf 1.1.0 '.ipam.routes=[{"dst":"10.0.0.0/8","gw":"10.1.0.1","mtu":1300}] | .dns={"nameservers":["10.1.0.2"]}')" ADD c1 /run/netns/p1 eth0 >/dev/null; answer '[.routes,.dns]|tostring')" \
    '[[{"dst":"10.0.0.0/8","gw":"169.254.1.1","mtu":1300}],{"nameservers":["10.1.0.2"]}]'
like "are set" "$(ip -n p1 route)" "10.0.0.0/8 via 169.254.1.1 dev eth0 proto 119 onlink mtu 1300"
gone

# What CNI's conventions have for other plugins is no business of ours, of whatever shape.
added "capabilities of others" '.capabilities={"aliases":true,"dns":true,"portMappings":true,"bandwidth":true,"cgroupPath":true,"deviceID":true,"infinibandGUID":true}
    | .runtimeConfig={"aliases":["db","primary-db"],"dns":{"servers":["10.1.0.2"],"searches":null,"options":[]},
        "portMappings":[{"hostPort":1,"containerPort":1,"protocol":"tcp"}],"bandwidth":{"ingressRate":1},
        "cgroupPath":"/kubelet.slice/x","deviceID":"0000:1:2.3","infinibandGUID":"c2:11:22:33:44:55:66:77"}'
is "give the usual addresses, and no dns" "$(answer '[(.ips|length), .dns // {}]|tostring')" "[2,{}]"
gone
for odd in '{"net":["db"]}' '"db"' null 7 '[]'; do
    added "aliases: $odd" ".runtimeConfig.aliases=$odd"
    gone
done

# Device's properties.
ip netns add asis # where the kernel's defaults for duplicate detection hold
kinds=(veth)
[ $netkit = 0 ] || kinds+=(netkit netkit-l2)
for d in "${kinds[@]}"; do
    good "$d: ADD where duplicate detection is on" "$(conf 1.1.0 ".device=\"$d\"")" ADD c1 /run/netns/asis eth0
    is "$d: no address of the pod waits for it, link-local neither" "$(ip -n asis -6 addr show dev eth0 tentative)" ""
    [ "$d" = netkit ] || like "$d: which is there" "$(ip -n asis -6 addr show dev eth0 scope link)" "inet6 fe80::"
    is "$d: other interfaces are as they were" "$(pod asis cat /proc/sys/net/ipv6/conf/default/accept_dad)" 1
    gone
done
ip netns del asis
ip netns exec p1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
added "IPv6 switched off by the runtime" .
ok "works all the same" ping -c1 -W10 "$(answer '.ips[1].address' | cut -d/ -f1)"
is "on that interface alone" "$(pod p1 cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)" 1
gone
ip netns exec p1 sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv4.conf.default.rp_filter=1
added "IPv6 off by default on the node" .
ok "works all the same" ping -c1 -W10 "$(answer '.ips[1].address' | cut -d/ -f1)"
gone
sysctl -qw net.ipv6.conf.default.disable_ipv6=0 net.ipv4.conf.default.rp_filter=0
added "MTU of the uplink" .
is "on the device" "$(pod_link p1 eth0 mtu)" 4000
gone
added "MTU of the configuration" '.mtu=1350'
is "on the device" "$(pod_link p1 eth0 mtu)" 1350
is "and in the result" "$(answer '.interfaces[1].mtu')" 1350
gone
bad "an MTU too small for IPv6" 7 "$(conf 1.1.0 '.mtu=1000')" ADD c1 /run/netns/p1 eth0
ip link set up0 gso_max_size 150000 gro_max_size 150000
added "BIG TCP of the uplink" .
is "is the pod's" "$(ip -n p1 -j -d link show eth0 | jq -c '.[0]|[.gso_max_size,.gro_max_size]')" '[150000,150000]'
is "and the host end's" "$(ip -j -d link show "$(answer '.interfaces[0].name')" | jq -c '.[0]|[.gso_max_size,.gro_max_size]')" '[150000,150000]'
gone
ip link set up0 gso_max_size 65536 gro_max_size 65536
walk_same "nothing is left of all these" "$TMP/before" p1 p2

# Several interfaces, as Multus asks for them: one container, several names, one default route.
second='.name="storage" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}],[{"subnet":"fd00:3::/64"}]]'
added "eth0" .
good "net1 on another network" "$(conf 1.1.0 "$second")" ADD c1 /run/netns/p1 net1
is "the result has no default route" "$(answer '.routes // [] | length')" 0
v4=$(answer '.ips[0].address' | cut -d/ -f1) v6=$(answer '.ips[1].address' | cut -d/ -f1)
is "one default route in the pod, IPv4" "$(ip -n p1 route show default)" "default via 169.254.1.1 dev eth0 proto 119 onlink "
is "one default route in the pod, IPv6" "$(ip -n p1 -6 route show default | awk '{print $5}')" eth0
like "its own network by net1" "$(ip -n p1 route)" "10.3.0.0/24 via 169.254.1.1 dev net1"
good "a third on the first network" "$(conf 1.1.0)" ADD c1 /run/netns/p1 net2
good "another pod on the second" "$(conf 1.1.0 "$second")" ADD c2 /run/netns/p2 eth0
ok "reaches net1, IPv4" pod p2 ping -c1 -W10 "$v4"
ok "reaches net1, IPv6" pod p2 ping -c1 -W10 "$v6"
bad "the same name again" 100 "$(conf 1.1.0 "$second")" ADD c1 /run/netns/p1 net1
good "DEL of net1" "$(conf 1.1.0 "$second")" DEL c1 /run/netns/p1 net1
is "takes only that" "$(ip -n p1 -j link | jq -r '[.[].ifname]|sort|join(" ")')" "eth0 lo net2"
good "DEL of net2" "$(conf 1.1.0)" DEL c1 /run/netns/p1 net2
gone
good "DEL of the other pod" "$(conf 1.1.0 "$second")" DEL c2 /run/netns/p2 eth0
nft list table inet podwire | sed 's/counter packets.*//' >"$TMP/nft"
walk p1 p2 | grep -v '^nft' >"$TMP/after"
ok "nothing is left of them" diff <(grep -v '^nft' "$TMP/before") "$TMP/after"
