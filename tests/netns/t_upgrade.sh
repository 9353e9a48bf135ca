#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Upgrade and back, killed on the way too, under flows that the host translates and flows that it does
# not (with kube-proxy's rules): no datagram is lost, no byte wrong, nothing INVALID, and not one packet
# of a pod that spoofs all the while gets through. The rest of upgrading is in t_loader_upgrade.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/nat.sh"

next=$BUILD/tests/netns/other/podwirectl old=$BUILD/podwirectl

spoof_until() { # FILE: a pod that sends from another's address, until the file is there
    local m
    m=$(mac pod3 eth0)
    while [ ! -e "$1" ]; do
        "$BUILD/tests/netns/craft" from=pod3:eth0 smac="${m:-02:00:00:00:00:01}" dmac=02:70:77:00:00:01 \
            watch=pod2:eth0 watch=rt:p0 udp src="${IP4[pod2]}" dst="${IP4[pod2]}" n=500
    done >"$TMP/spoofed" 2>&1
}

steps=(-s "$next upgrade" -s "$old upgrade" # the kills: in the middle
    -s "timeout -s KILL 0.01 $next upgrade; $next upgrade" -s "timeout -s KILL 0.02 $old upgrade; $old upgrade")
# Emulated, the kernel takes seconds to verify programs, and most of the processor is the traffic's.
[ -z "${PODWIRE_VM:-}" ] || steps=(-s "timeout -s KILL 1 $next upgrade; nice -n -10 $next upgrade"
    -s "timeout -s KILL 0.4 $old upgrade; nice -n -10 $old upgrade")
topo_up
[ -x "$old" ] || skip_all "podwirectl is not built"
[ -x "$next" ] || bail "$next is not built (make tests)"
for DEVICE in $(test_devices all); do
    for p in pod1 pod2 pod3; do pod_add $p; done
    nat_nft
    for f in 4 6; do
        nat_flows $f service | sed "s/^\([a-z]*\) \"/\1 \"IPv$f, /"
        nat_flows $f direct | sed "s/^\([a-z]*\) \"/\1 \"IPv$f, /"
    done >"$TMP/specs"
    rm -f "$TMP/stop"
    spoof_until "$TMP/stop" &
    spoofer=$!
    flows "$DEVICE, upgraded under traffic: " "${steps[@]}" <"$TMP/specs"
    touch "$TMP/stop"
    wait $spoofer || true
    # Of what the host itself says conntrack has opinions too (redirects over IPv6): not counted.
    is "$DEVICE: nothing is INVALID" "$(invalid), $(counter_of other_invalid)" "0, 0"
    is "$DEVICE: nothing of what a pod spoofs meanwhile gets through" \
        "$(awk '/^(pod2|rt)/ { n += $2; t++ } END { print n + 0, (t > 0) }' "$TMP/spoofed")" "0 1"
    nat_remove nft
    for p in pod1 pod2 pod3; do pod_del $p; done
done
