#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ordinary and odd packets (tests/netns/odd.c: sizes, protocols, fragments, options, hop limits, ICMP
# errors, offloads, malformed ones) have the same outcome with redirection on and off, and when it is
# switched between them: what arrives where, with the same layer 3 and 4 headers and bytes, and
# what comes back. From a pod to every sort of place, and from the wire to pods.
# Seen to fail: mutate.sh fragments, ttl-one, mtu, header-sum (which was a fault of ours once).
# pw-test: vm
# pw-test: timeout=300
# shellcheck disable=SC2086 # addresses, names and numbers: nothing to split
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/differ.sh"

from_pod() { # NAME DST4 DST6 [more]
    echo "pod-$1/4 from=pod1:eth0 smac=$pod_mac dmac=$host_mac src=${IP4[pod1]} dst=$2 ${*:4}"
    [ -z "$3" ] || echo "pod-$1/6 from=pod1:eth0 smac=$pod_mac dmac=$host_mac src=${IP6[pod1]} dst=$3 ${*:4}"
}
from_wire() { # NAME SRC4 SRC6 POD [more]
    echo "$1-$4/4 from=rt:p0 smac=$rt_mac dmac=$node_mac src=$2 dst=${IP4[$4]} ${*:5}"
    echo "$1-$4/6 from=rt:p0 smac=$rt_mac dmac=$node_mac src=$3 dst=${IP6[$4]} ${*:5}"
}

topo_up
rt_mac=$(mac rt p0)
node_mac=$(mac node up0)
# An address behind an MTU of the node's own.
ip route add 10.4.0.2 via $RT4 mtu lock 1300
ip -6 route add fd00:4::2 via $RT6 mtu lock 1300
in_ns n2 sh -c 'ip addr add 10.4.0.2/32 dev lo; ip addr add fd00:4::2/128 dev lo'
in_ns rt sh -c "ip route add 10.4.0.2 via $N2_4; ip -6 route add fd00:4::2 via $N2_6"
# Nobody's address: a black hole, since the kernel limits the errors of unreachable IPv4 routes.
ip route add blackhole 10.1.0.77
ip -6 route add unreachable fd00:1::77

guest_devices
for DEVICE in $(test_devices all) "${GUESTS[@]}"; do
    pod_add pod1
    pod_add pod2
    pod_add pod3 '.plugins[0].mtu = 1300'
    pod_mac=$(mac pod1 eth0) host_mac=$(mac node "${HOSTIF[pod1]}")
    # Neighbours learnt and the paths' MTUs not yet known.
    for f in 4 6; do
        declare -n ip=IP$f n2=N2_$f out=OUT$f node=NODE$f
        printf 'icmp w%s from=%s to=- dst=%s amount=1 size=32\n' 1 pod1 "${ip[pod2]}" 2 pod1 "${ip[pod3]}" \
            3 pod1 "$n2" 4 pod1 "$out" 5 n2 "${ip[pod1]}" 6 pod1 "$node" 7 n2 "${ip[pod3]}" 8 rt "$node"
    done >"$TMP/warm"
    flows "$DEVICE, before: " <"$TMP/warm"
    {
        from_pod local "${IP4[pod2]}" "${IP6[pod2]}" at=pod2:eth0
        from_pod small "${IP4[pod3]}" "${IP6[pod3]}" at=pod3:eth0
        from_pod n2 $N2_4 $N2_6 at=rt:p0
        from_pod far $FAR4 $FAR6 at=rt:p0
        from_pod near 10.4.0.2 fd00:4::2 at=rt:p0
        from_pod out $OUT4 $OUT6 at=rt:p0
        from_pod outfar $OUTFAR4 $OUTFAR6 at=rt:p0
        from_pod node $NODE4 $NODE6
        from_pod nobody 10.1.0.77 fd00:1::77
        from_pod multicast 224.0.0.5 ff02::5
        from_pod broadcast 255.255.255.255 ""
        from_wire n2 $N2_4 $N2_6 pod1 at=pod1:eth0
        from_wire n2 $N2_4 $N2_6 pod3 at=pod3:eth0
        from_wire out $OUT4 $OUT6 pod1 at=pod1:eth0
    } >"$TMP/flow-list"
    if [ "$DEVICE" = reference ]; then on=true off=true; else
        on="$BUILD/podwirectl redirect on" off="$BUILD/podwirectl redirect off"
    fi
    compared=0
    # To itself a pod speaks by the stack, which may call odd TCP INVALID.
    from_pod self "${IP4[pod1]}" "${IP6[pod1]}" >"$TMP/self"
    differ watch=pod1:eth0 pass="$on" pass="$off" <"$TMP/self"
    before=$(invalid_flows)
    differ watch=pod1:eth0 watch=pod2:eth0 watch=pod3:eth0 watch=rt:p0 \
        pass="$on" pass="$off" pass="between:$on" between="$off" between="$on" <"$TMP/flow-list"
    is "$DEVICE: no TCP or UDP between native addresses was dropped as INVALID" "$(($(invalid_flows) - before))" 0
    # So that the list cannot shrink unseen.
    ok "$DEVICE: $compared packets compared, at least 500" test "$compared" -ge 500
    redirect on
    for p in pod1 pod2 pod3; do pod_del $p; done
done
