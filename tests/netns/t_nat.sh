#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Flows that the host translates, with real nftables and real iptables rules as kube-proxy writes
# them: DNAT to a pod here and to one behind the uplink, NodePort with and without masquerade,
# hairpin, the client port used again straight to the backend, an outside client that reaches a pod's
# address, path MTU discovery and ICMP errors from a router beyond the uplink; with redirection on and
# off.
# Seen to fail: mutate.sh ct-question (Services here), ct-question-wire (Services elsewhere), ct-reverse
# (the client port used again), icmp-inner and icmp-stack (path MTU), wire-native (outside to pod).
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
for DEVICE in $(test_devices all); do
    pod_add pod1
    pod_add pod2
    for how in nft iptables; do
        nat_$how
        for mode in $(modes "$how"); do
            redirect "$mode"
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

# Services whose addresses lie inside a native range: serviceRanges takes them out of it again. On a node
# where nothing else was said before.
DEVICE=$(test_devices | cut -d' ' -f1)
if [ "$DEVICE" != reference ]; then
    ctl unload
    wide='.plugins[0] += {nativeRanges: ["10.0.0.0/8", "fd00::/8"], serviceRanges: ["10.96.0.0/16", "fd96::/16"]}'
    pod_add pod1 "$wide"
    pod_add pod2 "$wide"
    nat_nft
    for f in 4 6; do
        nat_flows $f service | sed "s/^\([a-z]*\) \"/\1 \"IPv$f, /"
    done >"$TMP/nat-specs"
    flows "Services inside a native range: " <"$TMP/nat-specs"
    nat_remove nft
fi
