#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every pair of places that must reach each other, both ways, TCP, UDP and ICMP, IPv4 and IPv6,
# with redirection on and off: who the far end sees, and the hop limit with which a packet arrives,
# are the same.
# Seen to fail: mutate.sh masquerade, ttl, hop-limit.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/places.sh"

topo_up
guest_devices
for DEVICE in $(test_devices) "${GUESTS[@]}"; do
    pod_add pod1
    pod_add pod2
    places >"$TMP/specs"
    learn_mtu
    for mode in on off; do
        ok "$DEVICE: redirection $mode" redirect $mode
        flows "$DEVICE, $mode: " <"$TMP/specs"
    done
    is "$DEVICE: nothing is INVALID between native addresses" "$(invalid)" 0
    if [[ $DEVICE != reference && $DEVICE != *tap ]]; then
        # As the kernel's sweeping does every half minute.
        in_ns pod1 sh -c 'echo 1 >/proc/sys/net/ipv6/route/flush'
        like "$DEVICE: a path's MTU that was learned over IPv6 is kept" \
            "$(in_ns pod1 ip -6 route show cache)" "$FAR6 .*mtu 1300"
    fi
    redirect on
    pod_del pod1
    pod_del pod2
done
