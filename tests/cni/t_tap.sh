#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kinds for virtual machines: a tap in the node's namespace, or in the pod's joined to the pod's
# interface. What ADD makes and answers, who may open the tap, CHECK, DEL with and without namespace,
# GC, a failing ADD.
# pw-test: timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up p1 p2 warm
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk p1 p2 >"$TMP/before"
record() { jq -r "$1" "/run/podwire/endpoints/${2:-c1:eth0}.json"; }
tun() { # LINK [NETNS]: what the kernel says of a tap
    ${2:+ip netns exec "$2"} ip -d -j link show "$1" |
        jq -c '.[0].linkinfo | [.info_kind, .info_data.type, .info_data.persist, .info_data.vnet_hdr, .info_data.pi,
            .info_data.multi_queue, .info_data.user, .info_data.group]'
}
prev() { jq -c --slurpfile p "$TMP/result" ".prevResult=\$p[0]" <<<"$1"; }
opens() { # UID NETNS TAP: whether that user can open the tap
    ${2:+ip netns exec "$2"} setpriv --reuid "$1" --regid "$1" --clear-groups \
        perl -e '$r = pack("a16Sx22", $ARGV[0], 0x5002); open($f, "+<", "/dev/net/tun") && ioctl($f, 0x400454ca, $r) or die $!' "$3"
}

# In the node's namespace.
tap=$(conf 1.1.0 '.device="tap"')
must good "tap: ADD" "$tap" ADD c1 /run/netns/p1 eth0
cp "$TMP/out" "$TMP/result"
host=$(answer '.interfaces[0].name')
v4=$(answer '.ips[0].address' | cut -d/ -f1)
like "tap: is the host end, with our prefix" "$host" '^pw-[0-9a-f]{11}$'
is "tap: persistent, vnet header, single queue, root's" "$(tun "$host")" '["tun","tap",true,true,false,false,"root",null]'
is "tap: MTU" "$(ip -j link show "$host" | jq '.[0].mtu')" 1400
is "tap: its MAC is the next hop's" "$(ip -j link show "$host" | jq -r '.[0].address')" 02:70:77:00:00:01
is "tap: the result has it, and the guest's interface" \
    "$(answer '[.interfaces[]|[.name,.sandbox,.mtu]]|tostring')" "[[\"$host\",null,1400],[\"eth0\",\"/run/netns/p1\",1400]]"
like "tap: which has a MAC" "$(answer '.interfaces[1].mac')" '^[0-9a-f][26ae]:'
is "tap: addresses have the subnet's prefix, a gateway inside, and are the guest's" \
    "$(answer '[.ips[]|[(.address|split("/")[1]),.gateway,.interface]]|tostring')" '[["24","10.1.0.1",1],["64","fe80::1",1]]'
is "tap: routes lead there" "$(answer '[.routes[]|[.dst,.gw]]|tostring')" '[["0.0.0.0/0","10.1.0.1"],["::/0","fe80::1"]]'
is "tap: the pod's namespace stays empty" "$(ip -n p1 -j link | jq -r '[.[].ifname]|join(" ")')" lo
like "tap: its program" "$(bpftool net show dev "$host")" "tcx/ingress pw_veth_from_pod"
is "tap: the record says so" "$(record .device)" tap
is "tap: podwirectl too" "$("$BUILD/podwirectl" endpoints c1 --json | jq -r .kind)" tap
like "tap: the node's route" "$(ip route)" "$v4 dev $host proto 119 scope link"
nok "tap: another user cannot open it" opens 65534 "" "$host"
ok "tap: root can" opens 0 "" "$host"
good "tap: CHECK" "$(prev "$tap")" CHECK c1 /run/netns/p1 eth0
ip link set "$host" down
bad "tap: CHECK finds it down" 103 "$(prev "$tap")" CHECK c1 /run/netns/p1 eth0
bad "tap: ADD of what is there" 100 "$tap" ADD c1 /run/netns/p1 eth0
good "tap: DEL" "$tap" DEL c1 /run/netns/p1 eth0
good "tap: DEL again, without namespace" "$tap" DEL c1 "" eth0
walk_same "tap: nothing is left" "$TMP/before" p1 p2

owned=$(conf 1.1.0 '.device="tap" | .tap={queues:4,owner:1234,group:1235}')
good "tap: ADD with queues, owner and group" "$owned" ADD c1 /run/netns/p1 eth0
is "tap: they are so" "$(tun "$(answer '.interfaces[0].name')")" '["tun","tap",true,true,false,true,1234,1235]'
good "tap: DEL" "$owned" DEL c1 /run/netns/p1 eth0
good "tap: ADD with what its runtime says" "$tap" ADD c1 /run/netns/p1 eth0 CNI_ARGS="TC_REDIRECT_TAP_UID=77;TC_REDIRECT_TAP_GID=78"
is "tap: it is obeyed" "$(tun "$(answer '.interfaces[0].name')")" '["tun","tap",true,true,false,false,77,78]'
good "tap: GC" "$(jq -c '."cni.dev/valid-attachments"=[]' <<<"$tap")" GC "" "" ""
bad "tap: an owner that is none" 4 "$tap" ADD c1 /run/netns/p1 eth0 CNI_ARGS="TC_REDIRECT_TAP_UID=x"
bad "tap: too many queues" 7 "$(conf 1.1.0 '.device="tap" | .tap.queues=257')" ADD c1 /run/netns/p1 eth0
bad "tap: a pod that may not choose" 7 "$(conf 1.1.0 '.args.cni.device="tap"')" ADD c1 /run/netns/p1 eth0
good "tap: a pod that may" "$(conf 1.1.0 '.podDevices=["tap"] | .args.cni.device="tap"')" ADD c1 /run/netns/p1 eth0
is "tap: gets one" "$(record .device)" tap
good "tap: DEL" "$tap" DEL c1 /run/netns/p1 eth0
walk_same "tap: nothing is left of these" "$TMP/before" p1 p2

# The gateway is no address of the guest's own.
small=$(conf 1.1.0 '.device="tap" | .ipam.ranges=[[{"subnet":"10.6.0.0/24"}]] | .runtimeConfig.ips=["10.6.0.1"]')
good "tap: a guest with the first address" "$small" ADD c1 /run/netns/p1 eth0
is "tap: has another as its gateway" "$(answer '.ips[0]|[.address,.gateway]|tostring')" '["10.6.0.1/24","10.6.0.2"]'
good "tap: DEL" "$small" DEL c1 /run/netns/p1 eth0

# In the pod's namespace.
podtap=$(conf 1.1.0 '.device="pod-tap"')
must good "pod-tap: ADD" "$podtap" ADD c1 /run/netns/p1 eth0
cp "$TMP/out" "$TMP/result"
host=$(answer '.interfaces[0].name')
is "pod-tap: what tc-redirect-tap answers" \
    "$(answer '[.interfaces[]|[.name,.sandbox]]|tostring')" \
    "[[\"$host\",null],[\"eth0\",\"/run/netns/p1\"],[\"tap0\",\"/run/netns/p1\"],[\"tap0\",\"c1\"]]"
is "pod-tap: the guest's MAC is the pod interface's" "$(answer '.interfaces[3].mac')" "$(pod_link p1 eth0 address)"
is "pod-tap: the tap's is the tap's" "$(answer '.interfaces[2].mac')" "$(pod_link p1 tap0 address)"
is "pod-tap: one address on the guest's interface" "$(answer '[.ips[]|.interface]|tostring')" '[1,1,3]'
is "pod-tap: the tap" "$(tun tap0 p1)" '["tun","tap",true,true,false,false,"root",null]'
is "pod-tap: MTU" "$(pod_link p1 tap0 mtu)" 1400
is "pod-tap: no address is set" "$(ip -n p1 -o addr)" ""
is "pod-tap: tcx alone, no qdisc of ours" "$(ip netns exec p1 tc qdisc show | grep -c 'clsact\|ingress')" 0
like "pod-tap: programs inside" "$(pod p1 bpftool net show)" "tap0.* tcx/ingress pw_guest_out"
like "pod-tap: both" "$(pod p1 bpftool net show)" "eth0.* tcx/ingress pw_guest_in"
good "pod-tap: CHECK" "$(prev "$podtap")" CHECK c1 /run/netns/p1 eth0
rm /sys/fs/bpf/podwire/links/"$host":guest_in
bad "pod-tap: CHECK misses a program" 103 "$(prev "$podtap")" CHECK c1 /run/netns/p1 eth0
pod p1 ip link del tap0
bad "pod-tap: CHECK misses the tap" 103 "$(prev "$podtap")" CHECK c1 /run/netns/p1 eth0
good "pod-tap: DEL" "$podtap" DEL c1 /run/netns/p1 eth0
walk_same "pod-tap: nothing is left" "$TMP/before" p1 p2
good "pod-tap: ADD" "$podtap" ADD c1 /run/netns/p1 eth0
good "pod-tap: DEL without namespace" "$podtap" DEL c1 "" eth0
walk_same "pod-tap: nothing is left, in the namespace neither" "$TMP/before" p1 p2
good "pod-tap: ADD with a name" "$podtap" ADD c1 /run/netns/p1 eth0 CNI_ARGS="TC_REDIRECT_TAP_NAME=vm;TC_REDIRECT_TAP_UID=9"
is "pod-tap: is so called" "$(answer '.interfaces[3].name')" vm
is "pod-tap: and owned" "$(tun vm p1 | jq -r '.[6]')" "$(id -nu 9)"
good "pod-tap: a second interface" "$(conf 1.1.0 '.device="pod-tap" | .name="two" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}]]')" ADD c1 /run/netns/p1 pod37a8eec1ce1
is "pod-tap: its tap, as KubeVirt names it" "$(answer '.interfaces[3].name')" tap37a8eec1ce1
bad "pod-tap: a third that would have the first's tap" 100 "$(conf 1.1.0 '.device="pod-tap" | .name="two" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}]]')" ADD c1 /run/netns/p1 eth1 CNI_ARGS="TC_REDIRECT_TAP_NAME=vm"
is "pod-tap: which stays" "$(pod_link p1 vm ifname)" vm
good "pod-tap: GC" "$(jq -c '."cni.dev/valid-attachments"=[]' <<<"$podtap")" GC "" "" ""
good "pod-tap: GC of the other" "$(jq -c '.name="two" | ."cni.dev/valid-attachments"=[]' <<<"$podtap")" GC "" "" ""
pod p1 ip link add tap0 type veth peer name other
bad "pod-tap: the name is taken" 100 "$podtap" ADD c1 /run/netns/p1 eth0
is "pod-tap: the other's device stays" "$(pod_link p1 tap0 ifname)" tap0
pod p1 ip link del tap0
good "pod-tap: ADD" "$podtap" ADD c2 /run/netns/p2 eth0
ip netns del p2
good "pod-tap: DEL when the namespace is gone" "$podtap" DEL c2 /run/netns/p2 eth0
netns_up p2
walk p1 p2 | grep -v '^nft' >"$TMP/after"
ok "pod-tap: nothing is left of all these" diff <(grep -v '^nft' "$TMP/before") "$TMP/after"
