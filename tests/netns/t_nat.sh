#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Flows that the host translates, with real nftables and real iptables rules as kube-proxy writes
# them: DNAT to a pod here and to one behind the uplink, NodePort with and without masquerade,
# hairpin, the client port used again straight to the backend, an outside client that reaches a pod's
# address, path MTU discovery and ICMP errors from a router beyond the uplink; with redirection on and
# off.
# pw-test: vm
# pw-test: timeout=400
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/nat.sh"

# Off, the product has no part in it: once is enough where processors are emulated.
modes() {
    echo on
    [ -n "${PW_QUIET:-}" ] && [ "$1 $DEVICE" != "nft veth" ] || echo off
}

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    for how in nft iptables; do
        nat_$how
        for mode in $(modes $how); do
            redirect $mode
            nat_all "$DEVICE, $how, $mode: "
            flush_pmtu
        done
        redirect on
        nat_remove $how
    done
    is "$DEVICE: nothing is INVALID between native addresses" "$(invalid)" 0
    pod_del pod1
    pod_del pod2
done
