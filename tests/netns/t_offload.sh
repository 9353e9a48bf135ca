#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bulk transfers, every byte checked, with the devices' offloads on and off: checksums left to the
# device or made by the sender, segments of many packets or of one, and packets joined on the uplink.
# pw-test: timeout=200
. "$(dirname "$0")/../lib/tap.sh"
need ethtool
. "$TOP/tests/lib/topo.sh"

bulk() { # NAME
    local f
    for f in 4 6; do
        local -n ip=IP$f n2=N2_$f out=OUT$f
        echo "tcp \"pod to pod, IPv$f\" from=pod1 to=pod2 dst=${ip[pod2]} port=90 amount=8000000"
        echo "tcp \"pod to the wire, IPv$f\" from=pod1 to=n2 dst=$n2 port=91 amount=8000000"
        echo "tcp \"wire to pod, IPv$f\" from=n2 to=pod1 dst=${ip[pod1]} port=92 amount=8000000"
        echo "tcp \"pod to outside, IPv$f\" from=pod1 to=out dst=$out port=93 amount=8000000"
        echo "udp \"datagrams, IPv$f\" from=pod1 to=pod2 dst=${ip[pod2]} port=94 amount=500 size=1400"
        echo "udp \"fragments, IPv$f\" from=pod1 to=n2 dst=$n2 port=95 amount=100 size=9000"
    done >"$TMP/specs"
    flows "$DEVICE, $1: " <"$TMP/specs"
}
set_offloads() { # SETTINGS...
    local at ns dev
    for at in "pod1 eth0" "pod2 eth0" "n2 eth0" "node ${HOSTIF[pod1]}" "node ${HOSTIF[pod2]}" "node up0" "rt p0"; do
        read -r ns dev <<<"$at"
        in_ns "$ns" ethtool -K "$dev" "$@" >/dev/null 2>&1 || diag "cannot set $* on $at"
    done
}

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    for mode in on off; do
        redirect $mode
        bulk "redirection $mode"
        set_offloads tso off gso off
        bulk "redirection $mode, no segmentation offload"
        set_offloads tx off
        bulk "redirection $mode, no checksum offload"
        set_offloads tx on tso on gso on
    done
    redirect on
    in_ns node ethtool -K up0 gro on >/dev/null 2>&1 || true
    bulk "packets joined on the uplink"
    in_ns node ethtool -K up0 gro off >/dev/null 2>&1 || true
    is "$DEVICE: nothing is INVALID between native addresses" "$(invalid)" 0
    pod_del pod1
    pod_del pod2
done
