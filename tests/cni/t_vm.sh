#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What VMMs and their runtimes are told of a guest, held against the rules of those that read it:
# firecracker-go-sdk's vmconf (the result), Kata's dan.rs (its file), command lines.
# pw-test: timeout=120
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up p1 p2
v4only='.ipam.ranges=[[{"subnet":"10.1.0.0/24"}]] | .ipam.routes=[{"dst":"0.0.0.0/0"}] | .dns={nameservers:["10.1.0.3"]}'

for v in 0.4.0 1.0.0 1.1.0; do
    good "pod-tap, $v: ADD" "$(conf $v '.device="pod-tap"')" ADD vm-$v /run/netns/p1 eth0
    cp "$TMP/out" "$TMP/result"
    like "pod-tap, $v: firecracker-go-sdk's reader, dual stack" "$(static_conf "$TMP/result" vm-$v)" \
        "^tap0 /run/netns/p1 $(pod_link p1 eth0 address) 10\.1\.0\.[0-9]+/24 10\.1\.0\.[12]$"
    is "pod-tap, $v: the MTU it reads" "$(pod_link p1 tap0 mtu)" 1400
    good "pod-tap, $v: DEL" "$(conf $v '.device="pod-tap"')" DEL vm-$v "" eth0
done

# podwirectl vm.
good "tap: ADD" "$(conf 1.1.0 ".device=\"tap\" | .tap.queues=2 | $v4only")" ADD host1 /run/netns/p1 eth0 \
    CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web"
dev=$(answer '.interfaces[0].name') mac=$(answer '.interfaces[1].mac') a4=$(answer '.ips[0].address')
good "pod-tap: ADD" "$(conf 1.1.0 ".device=\"pod-tap\" | $v4only")" ADD inside1 /run/netns/p2 eth0
pmac=$(answer '.interfaces[3].mac')
ok "vm show" ctl vm show ns/web
like "vm show: the tap" "$(cat "$TMP/.out")" "tap +$dev"
is "vm show --json" "$(ctl vm show web --json | jq -c '[.kind,.tap,.netns,.queues,.mac,.mtu,.addresses,.dns.nameservers,.neighbours]')" \
    "[\"tap\",\"$dev\",null,2,\"$mac\",1400,[\"$a4\"],[\"10.1.0.3\"],[{\"address\":\"$(ctl vm show web --json | jq -r '.routes[0].gw')\",\"mac\":\"02:70:77:00:00:01\"}]]"
is "vm show of the other: its namespace" "$(ctl vm show inside1 --json | jq -r '.netns + " " + .tap')" "/run/netns/p2 tap0"
like "vm args: QEMU" "$(ctl vm args web --vmm qemu | tr '\n' ' ')" \
    "^-netdev tap,id=net0,ifname=$dev,script=no,downscript=no(,vhost=on)?,queues=2 -device virtio-net-pci,netdev=net0,mac=$mac,host_mtu=1400,mq=on,vectors=6 $"
is "vm args: Cloud Hypervisor" "$(ctl vm args web --vmm cloud-hypervisor)" "--net tap=$dev,mac=$mac,mtu=1400,num_queues=4"
nok "vm args: Firecracker does not take two queues" ctl vm args web --vmm firecracker
is "vm args: Firecracker" "$(ctl vm args inside1 --vmm firecracker | jq -c .)" \
    "{\"network-interfaces\":[{\"iface_id\":\"eth0\",\"guest_mac\":\"$pmac\",\"host_dev_name\":\"tap0\"}]}"
nok "vm args: another VMM" ctl vm args web --vmm bochs
nok "vm show: nobody" ctl vm show nobody
# QEMU takes them, where it is.
if command -v qemu-system-x86_64 >/dev/null; then
    mapfile -t args < <(ctl vm args inside1 --vmm qemu | sed 's/,vhost=on//' | tr ' ' '\n')
    ok "QEMU starts with them" pod p2 timeout 20 sh -c 'echo quit | qemu-system-x86_64 -machine q35,accel=tcg \
        -nodefaults -display none -S -monitor stdio "$@"' qemu "${args[@]}"
else
    skip "no qemu-system-x86_64" "QEMU starts with them"
fi

# Kata: what serde demands of dan.rs's types: required keys, kinds of values, no others missing.
dan_ok() { # FILE
    jq -e '
        (.netns == null or (.netns | type) == "string") and (.devices | type) == "array" and
        ([.devices[] |
            (.name | type) == "string" and (.guest_mac | test("^([0-9a-f]{2}:){5}[0-9a-f]{2}$")) and
            .device.type == "host-tap" and (.device.tap_name | type) == "string" and
            ([.device.queue_num, .device.queue_size] | all(type == "number" and . >= 0)) and
            (.network_info.interface.ip_addresses | all(test("/[0-9]+$"))) and
            (.network_info.interface | [.mtu, .flags] | all(type == "number" and . >= 0)) and
            (.network_info.interface.ntype | type) == "string" and
            (.network_info.routes | all((.dest | test("/")) and (.gateway | type) == "string" and
                ([.scope, .mtu] | all(type == "number" and . >= 0)))) and
            (.network_info.neighbors | all((.ip_address | test("/[0-9]+$")) and (.hardware_addr | type) == "string" and
                .state == 128))] | all)' "$1"
}
ctl vm args web --vmm kata >"$TMP/dan"
ok "vm args: Kata's reader understands it" dan_ok "$TMP/dan"
is "vm args: it is ours" "$(jq -c '[.netns, .devices[0].name, .devices[0].guest_mac, .devices[0].device]' "$TMP/dan")" \
    "[null,\"eth0\",\"$mac\",{\"type\":\"host-tap\",\"tap_name\":\"$dev\",\"queue_num\":2,\"queue_size\":0}]"
good "tap: DEL" "$(conf 1.1.0)" DEL host1 "" eth0
good "pod-tap: DEL" "$(conf 1.1.0)" DEL inside1 "" eth0
bad "kataDan that is no path" 7 "$(conf 1.1.0 '.kataDan="dans"')" ADD c1 /run/netns/p1 eth0
kata=$(conf 1.1.0 '.device="tap" | .kataDan=true')
file=/run/kata-containers/dans/sandbox1.json
good "with a file for Kata: ADD" "$kata" ADD sandbox1 /run/netns/p1 eth0
ok "with a file for Kata: its reader understands it" dan_ok $file
good "with a file for Kata: a second interface" "$(jq -c '.name="two" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}]]' <<<"$kata")" ADD sandbox1 /run/netns/p1 eth1
is "with a file for Kata: both are in it" "$(jq -c '[.devices[].name]' $file)" '["eth0","eth1"]'
good "with a file for Kata: DEL" "$kata" DEL sandbox1 "" eth0
is "with a file for Kata: the other stays" "$(jq -c '[.devices[].name]' $file)" '["eth1"]'
good "with a file for Kata: DEL of the other" "$(jq -c '.name="two" | .ipam.ranges=[[{"subnet":"10.3.0.0/24"}]]' <<<"$kata")" DEL sandbox1 "" eth1
is "with a file for Kata: it goes with the last" "$(ls /run/kata-containers/dans)" ""

# Kata's own tap: it scans the namespace, joins a tap to the veth by filters of its own, and has the guest
# configure itself by what it saw.
good "veth for Kata: ADD" "$(conf 1.1.0 ".device=\"veth\" | $v4only")" ADD kata1 /run/netns/p1 eth0
v4=$(answer '.ips[0].address')
is "veth for Kata: a kind that it knows" "$(ip -n p1 -d -j link show eth0 | jq -r '.[0].linkinfo.info_kind')" veth
is "veth for Kata: no route is the kernel's, whose it passes over" "$(ip -n p1 route show proto kernel)" ""
ip -n p1 -j -N route show | jq -c '.[]' >"$TMP/routes"
ip -n p1 -j neigh show nud permanent dev eth0 | jq -r '.[]|.dst + " " + .lladdr' >"$TMP/neighbours"
like "veth for Kata: a permanent neighbour for the next hop" "$(cat "$TMP/neighbours")" "169.254.1.1 02:70:77:00:00:01"
mac=$(pod_link p1 eth0 address)
if pod p1 tc qdisc add dev eth0 ingress; then
    tap_result 0 "veth for Kata: its ingress qdisc can be added"
    pod p1 ip tuntap add tap0_kata mode tap vnet_hdr
    pod p1 ip link set tap0_kata mtu 1400 up
    pod p1 tc qdisc add dev tap0_kata ingress
    pod p1 tc filter add dev eth0 ingress protocol all u32 match u32 0 0 action mirred egress redirect dev tap0_kata
    pod p1 tc filter add dev tap0_kata ingress protocol all u32 match u32 0 0 action mirred egress redirect dev eth0
    "$BUILD/tests/netns/guest" p1:tap0_kata p2:eth0 "$mac" 1400 >"$TMP/guest"
    cleanup kill "$(cat "$TMP/guest")"
    ip -n p2 link set eth0 up
    ip -n p2 addr add "$v4" dev eth0
    # Its agent sets those without a gateway first.
    jq -r 'select(.gateway | not) | "route add \(.dst) dev eth0 scope link"' "$TMP/routes" >"$TMP/batch"
    jq -r 'select(.gateway) | "route add \(.dst) via \(.gateway) dev eth0"' "$TMP/routes" >>"$TMP/batch"
    sed 's/^\([^ ]*\) \(.*\)/neigh add \1 lladdr \2 dev eth0 nud permanent/' "$TMP/neighbours" >>"$TMP/batch"
    ok "veth for Kata: the guest takes what was scanned" ip -n p2 -batch "$TMP/batch"
    ok "veth for Kata: the guest reaches the node" pod p2 ping -c2 -W10 192.0.2.1
    ok "veth for Kata: the node reaches the guest" ping -c2 -W10 "${v4%/*}"
    netns_up p3
    good "veth for Kata: ADD of another pod" "$(conf 1.1.0 "$v4only")" ADD other1 /run/netns/p3 eth0
    ok "veth for Kata: which reaches the guest" pod p3 ping -c2 -W10 "${v4%/*}"
    good "veth for Kata: DEL of it" "$(conf 1.1.0)" DEL other1 "" eth0
else
    skip "the kernel has no ingress qdisc" "veth for Kata: its ingress qdisc can be added"
fi
good "veth for Kata: DEL" "$(conf 1.1.0)" DEL kata1 "" eth0
