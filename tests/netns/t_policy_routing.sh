#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Routing that the programs' own lookup does not follow, rules by mark and xfrm policies, is obeyed by
# packets that enter or leave the node: all of them go by the stack as soon as the node has such.
# Seen to fail: with PW_CONF_WIRE always set (loader/node.c, conf_of).
# pw-test: vm
# pw-test: timeout=120
# shellcheck disable=SC2153 # IP4, IP6, N2_4 ... come from topo.sh
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
N=64

sent_by() { # DEVICE: packets
    ip -s -j link show dev "$1" | jq '.[0].stats64.tx.packets'
}
specs() { # [more]
    echo "udp out4 from=pod1 to=n2 dst=$N2_4 port=90 amount=$N peer=${IP4[pod1]} $*"
    echo "udp out6 from=pod1 to=n2 dst=$N2_6 port=91 amount=$N peer=${IP6[pod1]} $*"
    echo "tcp in4 from=n2 to=pod1 dst=${IP4[pod1]} port=92 peer=$N2_4 $*"
    echo "tcp in6 from=n2 to=pod1 dst=${IP6[pod1]} port=93 peer=$N2_6 $*"
}
# Flows both ways, all of whose packets leave by one uplink and not by the other.
leaves_by() { # NAME DEVICE OTHER
    local other by
    specs >"$TMP/specs"
    by=$(sent_by "$2") other=$(sent_by "$3")
    flows "$DEVICE, $1: " <"$TMP/specs"
    by=$(($(sent_by "$2") - by)) other=$(($(sent_by "$3") - other))
    # A few on the other are ARP, neighbour and multicast solicitations.
    ok "$DEVICE, $1: by $2 ($by packets, by $3 $other)" test $by -ge $((2 * N)) -a $other -lt 20
}
in_line() { ctl load >/dev/null; }

topo_up
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
wire node up1 172.16.1.1/24 2001:db8:1::1/64 - rt p1 172.16.1.254/24 2001:db8:1::fe/64
ip route add default via 172.16.1.254 dev up1 table 100
ip -6 route add default via 2001:db8:1::fe dev up1 table 100
nft -f - <<'EOR'
table inet marks {
    chain pre { type filter hook prerouting priority mangle; iifname "pw-*" meta mark set 0x10; }
}
EOR
read -ra devices < <(test_devices)
for DEVICE in "${devices[@]}"; do
    pod_add pod1 '.plugins[0].uplinks = ["up0", "up1"]'
    pod_add pod2 '.plugins[0].uplinks = ["up0", "up1"]'
    before=$(invalid_flows)

    leaves_by "nothing odd" up0 up1
    is "$DEVICE: none by the stack" "$(reason_count pod1 POLICY_ROUTING)" 0
    for f in -4 -6; do ip $f rule add fwmark 0x10 table 100; done
    in_line
    leaves_by "a rule by mark, which the node sets on what pods send" up1 up0
    isnt "$DEVICE: counted as that" "$(reason_count pod1 POLICY_ROUTING)" 0
    for f in -4 -6; do ip $f rule del fwmark 0x10 table 100; done
    in_line
    leaves_by "without it" up0 up1
    is "$DEVICE: nothing is INVALID" "$(($(invalid_flows) - before))" 0

    # xfrm: a policy that forbids stands for all that transform.
    if ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out action block 2>"$TMP/xfrm"; then
        ip xfrm policy add src fd00:1::/64 dst fd00:2::/64 dir out action block
        in_line
        specs fails=1 >"$TMP/specs"
        PWT_STALL=$((${PWT_STALL:-4000} / 4)) flows "$DEVICE, xfrm forbids what pods send: " <"$TMP/specs"
        ip xfrm policy flush
        ip xfrm policy add src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd action block
        ip xfrm policy add src fd00:2::/64 dst fd00:1::/64 dir fwd action block
        in_line
        PWT_STALL=$((${PWT_STALL:-4000} / 4)) flows "$DEVICE, xfrm forbids what comes for pods: " <"$TMP/specs"
        echo "tcp local from=pod1 to=pod2 dst=${IP4[pod2]} port=94" >"$TMP/specs"
        flows "$DEVICE, pods of the node meanwhile: " <"$TMP/specs"
        ip xfrm policy flush
        in_line
        leaves_by "without policies" up0 up1
    else
        skip "no xfrm: $(cat "$TMP/xfrm")" "$DEVICE: xfrm policies"
    fi
    pod_del pod1
    pod_del pod2
done
