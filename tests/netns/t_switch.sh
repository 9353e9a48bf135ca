#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Redirection switched off and on under traffic, again and again: no flow stalls, no byte is wrong, no
# datagram is lost, and conntrack calls nothing invalid.
# Seen to fail: without the raw chain of our table (mutate.sh notrack) TCP stalls at the first switch.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/places.sh"

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    places >"$TMP/specs"
    before=$(ct_invalid)
    if [ "$DEVICE" = reference ]; then
        flows "$DEVICE, switched: " -n 4 -s true <"$TMP/specs"
    else
        flows "$DEVICE, switched: " -n 4 -s "$BUILD/podwirectl redirect off" \
            -s "$BUILD/podwirectl redirect on" <"$TMP/specs"
    fi
    is "$DEVICE: nothing was dropped as INVALID" "$(invalid)" 0
    is "$DEVICE: conntrack calls nothing invalid" "$(($(ct_invalid) - before))" 0
    pod_del pod1
    pod_del pod2
done
