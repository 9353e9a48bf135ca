#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A second way to the wire that carries none of our programs, and routes that differ by direction:
# conntrack sees both directions of a flow or neither, so nothing hangs and nothing is INVALID.
# Seen to fail: mutate.sh uplink, reply-way.
# pw-test: vm
# pw-test: timeout=200
# shellcheck disable=SC2086 # addresses, names and numbers: nothing to split
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"

# Node's route to n2 and rt's route to the pods, each by one of the two links.
ways() { # NODE-LINK RT-LINK
    local v4 v6
    if [ "$1" = up0 ]; then v4=$RT4 v6=$RT6; else v4=172.16.1.254 v6=2001:db8:1::fe; fi
    ip route replace 10.2.0.0/24 via $v4 dev "$1"
    ip -6 route replace fd00:2::/64 via $v6 dev "$1"
    if [ "$2" = p0 ]; then v4=$NODE4 v6=$NODE6; else v4=172.16.1.1 v6=2001:db8:1::1; fi
    in_ns rt sh -c "ip route replace 10.1.0.0/24 via $v4 dev $2; ip -6 route replace fd00:1::/64 via $v6 dev $2"
}
specs() {
    local f
    for f in 4 6; do
        local -n ip=IP$f n2=N2_$f
        echo "tcp out/tcp$f from=pod1 to=n2 dst=$n2 port=90 peer=${ip[pod1]}"
        echo "udp out/udp$f from=pod1 to=n2 dst=$n2 port=91 peer=${ip[pod1]}"
        echo "icmp out/icmp$f from=pod1 to=n2 dst=$n2"
        echo "tcp in/tcp$f from=n2 to=pod1 dst=${ip[pod1]} port=92 peer=$n2"
        echo "udp in/udp$f from=n2 to=pod1 dst=${ip[pod1]} port=93 peer=$n2"
    done
}

topo_up
wire node up1 172.16.1.1/24 2001:db8:1::1/64 - rt p1 172.16.1.254/24 2001:db8:1::fe/64
for DEVICE in $(test_devices); do
    before=$(invalid)
    ways up1 p1 # what the first ADD finds: the range's way is by a device without program
    for uplinks in '["up0"]' '["up0", "up1"]'; do
        pod_add pod1 ".plugins[0].uplinks = $uplinks"
        for way in "up1 p1" "up1 p0" "up0 p0" "up0 p1"; do
            # shellcheck disable=SC2086
            ways $way
            # Where we send by an uplink, answers must come by uplinks: the operator names every
            # device by which native addresses reach the node (docs/operate.md).
            [ "$uplinks $way" != '["up0"] up0 p1' ] || continue
            # What ADD would do for the next pod: look at the routes anew.
            pod_add pod2 ".plugins[0].uplinks = $uplinks"
            pod_del pod2
            specs >"$TMP/specs"
            flows "$DEVICE, uplinks $uplinks, ways ${way/ /, }: " <"$TMP/specs"
        done
        pod_del pod1
    done
    is "$DEVICE: nothing is INVALID between native addresses" "$(($(invalid) - before))" 0
done
