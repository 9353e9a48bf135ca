#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bandwidth limits as a runtime hands them over: on every way to and from a pod, redirected or by the
# stack, no more comes through than the limit lets; who has none is not held; and with the qdisc fq on
# the uplink packets wait there. How exactly programs count is tests/bpf/t_limit.c; here time is only
# used as what it must have taken at least, which holds on a machine of any speed.
# Seen to fail: with TCX_NEXT in the place of TCX_DROP, and without PW_EP_LIMITED (bpf/lib/limit.h,
# loader/ep.c).
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
need ip jq tc

RATE=4000000 BURST=524288 # bits per second, bits: 500 kB/s, 64 KiB
bytes=400000
[ -z "${PW_QUIET:-}" ] || bytes=200000
# At least, ms: what is not in the burst, at the rate, and a tenth off for headers counted and rounding.
least=$(((bytes - BURST / 8) * 900 / (RATE / 8)))

cap='.plugins[0].capabilities.bandwidth = true'
limited() { # NAME RUNTIME-CONFIG
    CNI_RUNTIME="{\"bandwidth\": $2}" pod_add "$1" "$cap"
}
took() { # NAME FROM TO DST: the flow gets through, and takes its time
    local start=${EPOCHREALTIME/[.,]/} ms
    PWT_STALL=20000 flows "$DEVICE: " <<<"tcp \"$1\" from=$2 to=$3 dst=$4 port=8080 amount=$bytes"
    ms=$(((${EPOCHREALTIME/[.,]/} - start) / 1000))
    ok "  in $ms ms, which is not less than $least" test $ms -ge $least
}
drops_of() { reason_count "$1" BANDWIDTH; }
limit() { ctl endpoints --json | jq -r ".[] | select(.device == \"${HOSTIF[$1]}\").bandwidth.$2"; }

topo_up
guest_devices
for DEVICE in $(test_devices) "${GUESTS[@]}"; do
    pod_add free
    limited out1 "{\"egressRate\": $RATE, \"egressBurst\": $BURST}"
    limited in1 "{\"IngressRate\": $RATE, \"ingressburst\": $BURST}"
    for mode in on off; do
        redirect $mode
        took "a pod's limit, to a pod, redirection $mode" out1 free "${IP4[free]}"
        took "a pod's limit, from a pod, redirection $mode" free in1 "${IP4[in1]}"
    done
    redirect on
    took "to the wire, IPv6" out1 n2 "$N2_6"
    took "from the wire, IPv6" n2 in1 "${IP6[in1]}"
    took "to outside, by the stack" out1 out "$OUT4"
    took "from the node" node in1 "${IP4[in1]}"
    is "$DEVICE: who has a limit is told" "$(limit out1 fromPod.bitsPerSecond) $(limit out1 toPod) $(limit in1 toPod.burstBits)" "$RATE null $BURST"
    ok "$DEVICE: packets were delayed or dropped" test $(($(limit out1 fromPod.delayed) + $(drops_of out1))) -gt 0
    is "$DEVICE: none of who has no limit" "$(limit free fromPod) $(drops_of free)" "null 0"
    ok "$DEVICE: podwirectl says so" grep -q 'may send .*4000 kbit/s' <(ctl endpoints "${HOSTIF[out1]}")
    ok "$DEVICE: the free pod has no program for it" \
        test -z "$(find /sys/fs/bpf/podwire/links -name "${HOSTIF[free]}:limit*")"
    sandbox=out1
    [ "$DEVICE" != pod-tap ] || sandbox=out1-vmm
    ok "$DEVICE: CHECK" env CNI_RUNTIME="{\"bandwidth\": {\"egressRate\": $RATE}}" "$BUILD/tests/netns/cni" check \
        "$TMP/out1.conflist" id-out1 /run/netns/$sandbox eth0
    if [ "$DEVICE" = veth ] || [[ $DEVICE == netkit* ]]; then
        # The uplink holds packets until their time: fq counts them, after the flows that it holds now.
        if tc qdisc replace dev up0 root fq 2>/dev/null; then
            took "by an uplink with fq" out1 n2 "$N2_4"
            ok "$DEVICE: it held packets back" \
                test "$(tc -s qdisc show dev up0 | sed -n 's/.*throttled \([0-9]*\).*/\1/p' | tail -n1)" -gt 0
            tc qdisc del dev up0 root
        else
            skip "this kernel has no fq" "packets wait on an uplink with fq"
        fi
    fi
    for p in out1 in1 free; do pod_del $p; done
    is "$DEVICE: nothing is left of the limits" \
        "$(find /sys/fs/bpf/podwire/links -name '*limit*'; bpftool map dump pinned /sys/fs/bpf/podwire/maps-1/pw_limits 2>/dev/null | grep -c '"key"')" 0
done

# What is no limit.
DEVICE=veth
ns_add bad
pod_conf "$cap" >"$TMP/bad.conflist"
for b in '{"ingressRate": -1}' '{"egressRate": "1M"}' '[]' '{"egressBurst": 1.5}'; do
    nok "refused: $b" env CNI_RUNTIME="{\"bandwidth\": $b}" "$BUILD/tests/netns/cni" add "$TMP/bad.conflist" id-bad /run/netns/bad eth0
done
# Runtimes that know no burst write this one.
CNI_RUNTIME='{"bandwidth": {"ingressRate": 8000000, "ingressBurst": 2147483647, "egressRate": 0, "egressBurst": 0}}' pod_add any "$cap"
is "a burst of 2147483647 means any: a tenth of a second" "$(limit any toPod.burstBits)" 800000
is "a rate of 0 is none" "$(limit any fromPod)" null
pod_del any
