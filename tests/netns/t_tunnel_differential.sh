#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# As t_differential.sh, between pods of two nodes: ordinary and odd packets have the same outcome by
# the tunnel with redirection on and off on both nodes, on one of them, and when it is switched between
# them.
# Seen to fail: mutate.sh tunnel-size.
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"
. "$TOP/tests/netns/differ.sh"
need ip nft jq nsenter

cluster_up
on="$BUILD/podwirectl redirect on >/dev/null" off="$BUILD/podwirectl redirect off >/dev/null"
b="nsenter -t ${NODE_PID[b]} --net --mount --pid --"
for DEVICE in $(test_devices); do
    # Pods that were there before the tunnel can send more than it takes.
    routing native >/dev/null
    cpod a pa
    cpod b pb
    routing vxlan >/dev/null
    for f in 4 6; do
        declare -n ip=CPOD$f
        echo "icmp w$f from=pa to=- dst=${ip[pb]} amount=1 size=32"
    done >"$TMP/warm"
    flows "$DEVICE, before: " <"$TMP/warm"
    {
        echo "tunnel/4 from=pa:eth0 smac=$(mac pa eth0) dmac=$(mac node "${CHOST[pa]}") src=${CPOD4[pa]} dst=${CPOD4[pb]} at=pb:eth0"
        echo "tunnel/6 from=pa:eth0 smac=$(mac pa eth0) dmac=$(mac node "${CHOST[pa]}") src=${CPOD6[pa]} dst=${CPOD6[pb]} at=pb:eth0"
    } >"$TMP/flow-list"
    compared=0
    differ watch=pa:eth0 watch=pb:eth0 pass="$on; $b $on" pass="$off; $b $off" pass="$on; $b $off" pass="$off; $b $on" \
        pass="between:$on; $b $on" between="$off" between="$b $off" between="$on" between="$b $on" <"$TMP/flow-list"
    ok "$DEVICE: $compared packets compared, at least 100" test "$compared" -ge 100
    on a "$BUILD/podwirectl" redirect on >/dev/null
    on b "$BUILD/podwirectl" redirect on >/dev/null
    is "$DEVICE: nothing is INVALID of TCP and UDP" \
        "$(on b nft list counter inet kube native_flows_invalid | sed -n 's/.*packets \([0-9]*\).*/\1/p') $(invalid_flows)" "0 0"
    cpod_del a pa
    cpod_del b pb
done
