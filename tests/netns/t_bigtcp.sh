#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# BIG TCP: the pod's device takes over the uplink's sizes, segments larger than 64 KiB really travel
# between pods and to the wire, and every byte arrives; with redirection on and off.
# pw-test: timeout=120
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
SIZE=150000

size_of() { # NS IF ATTRIBUTE
    in_ns "$1" ip -d -j link show dev "$2" | jq -r ".[0].$3 // 0"
}

topo_up
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
for at in "node up0" "rt p0" "rt p2" "n2 eth0"; do
    read -r ns dev <<<"$at"
    in_ns $ns ip link set $dev gso_max_size $SIZE gro_max_size $SIZE 2>/dev/null ||
        skip_all "the kernel's veth takes no BIG TCP sizes"
    in_ns $ns ip link set $dev gso_ipv4_max_size $SIZE gro_ipv4_max_size $SIZE 2>/dev/null || true
done
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    is "$DEVICE: the pod's device takes the uplink's size" "$(size_of pod1 eth0 gso_max_size)" $SIZE
    is "$DEVICE: for IPv4 as well" "$(size_of pod1 eth0 gso_ipv4_max_size)" "$(size_of node up0 gso_ipv4_max_size)"
    for mode in on off; do
        redirect $mode
        for to in pod2 n2; do
            if [ $to = pod2 ]; then dst4=${IP4[pod2]} dst6=${IP6[pod2]}; else dst4=$N2_4 dst6=$N2_6; fi
            for dst in $dst4 $dst6; do
                "$BUILD/tests/netns/pathcheck" port=1 in=$to:eth0 -- "$PWT" >"$TMP/big" 2>"$TMP/big.err" \
                    <<<"tcp x from=pod1 to=$to dst=$dst port=90 amount=64000000" || diag "$(cat "$TMP/big.err")"
                ok "$DEVICE, $mode: a transfer to $to ($dst) in segments of more than 64 KiB" \
                    grep -qE 'big [1-9]' "$TMP/big"
                ok "$DEVICE, $mode: every byte of it arrives" grep -q '^ok' "$TMP/big.err"
            done
        done
    done
    redirect on
    pod_del pod1
    pod_del pod2
done
