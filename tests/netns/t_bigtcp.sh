#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# BIG TCP: the pod's device takes over the uplink's sizes, segments larger than 64 KiB really travel
# between pods, and to and from the wire, and every byte arrives. With redirection off the bytes arrive
# too; how large the segments are is the kernel's affair then: the stack of kernels that carry the
# jumbo header turns down IPv6 packets larger than 64 KiB that it shall forward (Packet Too Big).
# pw-test: vm
# pw-test: timeout=200
# shellcheck disable=SC2086 # addresses, names and numbers: nothing to split
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
SIZE=150000 BYTES=64000000

size_of() { # NS IF ATTRIBUTE
    in_ns "$1" ip -d link show dev "$2" | sed -n "s/.*$3 \([0-9]*\).*/\1/p"
}
# TCP sends no more at once than the path's pace fills a millisecond with, but where round trips are short
# a whole segment of the device. On a slow or busy machine they are not: a sender takes them for short.
full_segments() { in_ns "$1" sh -c 'echo 30 >/proc/sys/net/ipv4/tcp_tso_rtt_log'; }
transfer() { # FROM TO DST PORT BYTES
    "$BUILD/tests/netns/pathcheck" port=1 in="$2:$([ "$2" = rt ] && echo p0 || echo eth0)" -- "$PWT" \
        >"$TMP/big" 2>"$TMP/big.err" <<<"tcp x from=$1 to=$2 dst=$3 port=$4 amount=$5"
}

topo_up
[ -z "${PW_QUIET:-}" ] || BYTES=8000000
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
for at in "node up0" "rt p0"; do
    read -r ns dev <<<"$at"
    in_ns "$ns" "$BUILD/tests/netns/bigsize" "$dev" $SIZE || skip_all "the kernel's veth takes no BIG TCP sizes"
done
# A far end that is a neighbour: a router on the way would have to forward.
full_segments rt
in_ns rt sh -c 'ip addr add 10.9.0.1/32 dev lo; ip addr add fd00:9::1/128 dev lo'
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    full_segments pod1
    is "$DEVICE: the pod's device takes the uplink's size" "$(size_of pod1 eth0 gso_max_size)" $SIZE
    is "$DEVICE: and so does the host end" "$(size_of node "${HOSTIF[pod1]}" gso_max_size)" $SIZE
    for way in "pod1 pod2 ${IP6[pod2]} ${IP4[pod2]}" "pod1 rt fd00:9::1 10.9.0.1" "rt pod2 ${IP6[pod2]} ${IP4[pod2]}"; do
        read -r from to dst6 dst4 <<<"$way"
        for dst in $dst6 $dst4; do
            [ $from != rt ] || in_ns rt ip route replace 10.1.0.0/24 via $NODE4 src 10.9.0.1
            [ $from != rt ] || in_ns rt ip -6 route replace fd00:1::/64 via $NODE6 src fd00:9::1
            ok "$DEVICE, $from to $to ($dst): every byte arrives" transfer $from $to $dst 90 $BYTES
            if [ -z "${PW_QUIET:-}" ]; then
                ok "$DEVICE, $from to $to ($dst): in segments of more than 64 KiB" grep -qE 'big [1-9]' "$TMP/big"
            fi
            cat "$TMP/big" >>"$TMP/all-$DEVICE"
        done
    done
    # Emulated processors seldom get far enough ahead of the receiver for large segments.
    ok "$DEVICE: there were segments of more than 64 KiB" grep -qE 'big [1-9]' "$TMP/all-$DEVICE"
    redirect off
    ok "$DEVICE, redirection off: every byte arrives over IPv6" transfer pod1 pod2 "${IP6[pod2]}" 91 500000
    ok "$DEVICE, redirection off: every byte arrives over IPv4" transfer pod1 pod2 "${IP4[pod2]}" 91 500000
    redirect on
    pod_del pod1
    pod_del pod2
done
