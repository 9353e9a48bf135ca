#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Redirection switched off and on under traffic, again and again: no flow stalls, no byte is wrong, no
# datagram is lost, and conntrack calls nothing invalid. Between all places, and between pods of each
# kind and virtual machines behind a tap of either placement, both ways.
# Seen to fail: without the raw chain of our table (mutate.sh notrack).
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/places.sh"

moved=2000000 # more than a window, so that a switch cannot hide in one
[ -z "${PW_QUIET:-}" ] || moved=200000
topo_up
guest_devices all
for g in "${GUESTS[@]}"; do DEVICE=$g pod_add "$g"; done
read -ra devices < <(test_devices all)
[ -n "${PODWIRE_VM:-}" ] || devices+=("${GUESTS[@]}") # taps are the same to every kernel; netkit is not
for DEVICE in "${devices[@]}"; do
    pod_add pod1
    pod_add pod2
    {
        places
        for g in "${GUESTS[@]}"; do
            for ip in IP4 IP6; do
                declare -n addr=$ip
                place_flow "pod-$g" pod1 "$g" "${addr[$g]}" peer="${addr[pod1]}" ttl=63
                place_flow "$g-pod" "$g" pod1 "${addr[pod1]}" peer="${addr[$g]}" ttl=63
            done
        done
    } >"$TMP/specs"
    learn_mtu
    before=$(ct_invalid)
    if [ "$DEVICE" = reference ]; then
        flows "$DEVICE, switched: " -n 3 -s true <"$TMP/specs"
    else
        on="$BUILD/podwirectl redirect on" off="$BUILD/podwirectl redirect off"
        flows "$DEVICE, switched off and on: " -n 2 -q "$moved" -s "$off >/dev/null" -s "$on >/dev/null" <"$TMP/specs"
        # Flows that began in the stack: conntrack, where it tracks them, is strict about these.
        redirect off
        flows "$DEVICE, switched on and off: " -n 2 -q "$moved" -s "$on >/dev/null" -s "$off >/dev/null" <"$TMP/specs"
        redirect on
    fi
    is "$DEVICE: nothing was dropped as INVALID" "$(invalid)" 0
    is "$DEVICE: conntrack calls nothing invalid" "$(($(ct_invalid) - before))" 0
    pod_del pod1
    pod_del pod2
done
