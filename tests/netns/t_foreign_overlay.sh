#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An overlay of somebody else (a VXLAN device of another program) as the way to another node's pods:
# podwire has none of its own, and leaves that traffic to the stack in both directions. So it is too
# when the operator names the device in "uplinks", where packets may be redirected to it.
# Seen to fail: pw_fib_judge without asking whether the device is an uplink, `path` then says redirect.
# pw-test: vm
# pw-test: timeout=120
# shellcheck disable=SC2153 # IP4, IP6 ... come from topo.sh
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
REMOTE4=10.4.0.2 REMOTE6=fd00:4::2 # pods behind the tunnel

tunnel() { # NS NUMBER LOCAL REMOTE POD4 POD6: its end in NS, and the way to the other's pods
    local ns=$1 other=$((3 - $2))
    in_ns "$ns" sh -c "
        ip link add vx0 address 02:00:00:00:99:0$2 type vxlan id 42 local $3 remote $4 dstport 4789
        ip addr add 10.14.0.$2/24 dev vx0; ip addr add fd00:14::$2/64 dev vx0 nodad
        ip link set vx0 up
        ip route add $5 via 10.14.0.$other dev vx0; ip -6 route add $6 via fd00:14::$other dev vx0"
}
specs() {
    echo "tcp out4 from=pod1 to=n2 dst=$REMOTE4 port=90 peer=${IP4[pod1]}"
    echo "tcp out6 from=pod1 to=n2 dst=$REMOTE6 port=91 peer=${IP6[pod1]}"
    echo "udp udp4 from=pod1 to=n2 dst=$REMOTE4 port=92 peer=${IP4[pod1]} size=1400"
    echo "udp udp6 from=pod1 to=n2 dst=$REMOTE6 port=93 peer=${IP6[pod1]} size=1400"
    echo "udp large4 from=pod1 to=n2 dst=$REMOTE4 port=94 peer=${IP4[pod1]} size=4000"
    echo "icmp ping4 from=pod1 to=n2 dst=$REMOTE4"
    echo "tcp in4 from=n2 to=pod1 dst=${IP4[pod1]} src=$REMOTE4 port=95 peer=$REMOTE4"
    echo "tcp in6 from=n2 to=pod1 dst=${IP6[pod1]} src=$REMOTE6 port=96 peer=$REMOTE6"
}
via() { ctl path "$1" "$2" --proto tcp --json | jq -r '[.via, .reason // "", .back.via] | join(" ")'; }

topo_up
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
ip link add probe type vxlan id 1 dstport 4789 dev lo 2>/dev/null || skip_all "no vxlan in this kernel"
ip link del probe
tunnel node 1 "$NODE4" "$N2_4" 10.4.0.0/24 fd00:4::/64
tunnel n2 2 "$N2_4" "$NODE4" 10.1.0.0/24 fd00:1::/64
in_ns n2 sh -c "ip addr add $REMOTE4/32 dev lo; ip addr add $REMOTE6/128 dev lo"
read -ra devices < <(test_devices)
for DEVICE in "${devices[@]}"; do
    before=$(invalid_flows)
    for uplinks in '[]' '["up0", "vx0"]'; do
        pod_add pod1 ".plugins[0].uplinks = $uplinks"
        specs >"$TMP/specs"
        flows "$DEVICE, uplinks $uplinks: " <"$TMP/specs"
        if [ "$uplinks" = '[]' ]; then
            is "$DEVICE: by the stack, both ways" "$(via "${IP4[pod1]}" $REMOTE4)" "stack NOT_UPLINK stack"
            isnt "$DEVICE: counted so" "$(reason_count pod1 NOT_UPLINK)" 0
        fi
        redirect off
        flows "$DEVICE, uplinks $uplinks, redirection off: " <"$TMP/specs"
        redirect on
        pod_del pod1
    done
    is "$DEVICE: nothing is INVALID" "$(($(invalid_flows) - before))" 0
done
