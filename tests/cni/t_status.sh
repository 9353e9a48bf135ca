#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# STATUS in detail: what keeps the node from taking pods, with its code; what does not, is only told;
# what somebody damaged is mended. (A kernel without tcx: vm/t_no_tcx.)
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need nft mount

CTL=$BUILD/podwirectl
links() { find /sys/fs/bpf/podwire/links -name 'uplink-*' 2>/dev/null | wc -l; }
status() { request STATUS "" "" "" <<<"$(conf 1.1.0 "${1:-.}")"; }
# `podwirectl status` knows networks that had a pod.
warnings() { "$CTL" status --json | jq -r '.problems[].text' || true; }

node_up 1400
netns_up p1 p2

# --- before the first pod ---
good "STATUS before the first pod" "$(conf 1.1.0)" STATUS "" "" ""
nok "loads nothing" test -e /sys/fs/bpf/podwire

# --- uplinks by name ---
none='.uplinks=["nosuch","neither"]'
bad "none of the uplinks exists" 50 "$(conf 1.1.0 "$none")" STATUS "" "" ""
like "STATUS names them" "$(answer .msg)" 'nosuch, neither: .uplinks. names what is no device'
bad "ADD fails too, to be tried again" 11 "$(conf 1.1.0 "$none")" ADD c1 /run/netns/p1 eth0
like "and names one" "$(answer .msg)" "'uplinks' of network net names exists \(nosuch"
some='.uplinks=["nosuch","up0"]'
good "one of several is missing: ADD goes on" "$(conf 1.1.0 "$some")" ADD c1 /run/netns/p1 eth0
like "and says so on stderr" "$(cat "$TMP/err")" "network net: 'nosuch' in \"uplinks\" is no device"
is "the pod has the MTU of the other" "$(pod_link p1 eth0 mtu)" 1400
good "STATUS is content" "$(conf 1.1.0 "$some")" STATUS "" "" ""
like "and says so too" "$(cat "$TMP/err")" "'nosuch' in \"uplinks\" is no device"
like "podwirectl status: so" "$(warnings)" '^nosuch: "uplinks" names what is no device of this node$'
ip link add nosuch type veth peer name wire1
ip link set nosuch up
good "the device comes" "$(conf 1.1.0 "$some")" STATUS "" "" ""
is "nothing to say" "$(cat "$TMP/err")" ""
is "STATUS has put the program on it" "$(links)" 2
ip link del nosuch
good "without uplinks by name" "$(conf 1.1.0)" STATUS "" "" ""
is "it is found by the default route" "$(links)" 1
is "nothing wrong" "$(warnings)" ""

# --- damage ---
nft delete table inet podwire
like "podwirectl status sees that the table is gone" "$(warnings)" "nftables table inet podwire is missing"
good "STATUS" "$(conf 1.1.0)" STATUS "" "" ""
ok "has made it anew" nft list table inet podwire
nft flush chain inet podwire raw
like "podwirectl status sees that it was changed" "$(warnings)" "nftables table inet podwire is missing or was changed"
good "STATUS" "$(conf 1.1.0)" STATUS "" "" ""
like "has mended it" "$(nft list table inet podwire)" notrack
rm /sys/fs/bpf/podwire/links/uplink-*
like "podwirectl status sees the uplink without program" "$(warnings)" "uplink up0 does not carry its program"
ok "STATUS puts it back when it looks next" wait_for 20 eval 'status && [ "$(links)" = 1 ]'
is "nothing wrong" "$(warnings)" ""
good "STATUS of a network without pods" "$(conf 1.1.0 '.name="other" | .mark="0x1000" | .nativeRanges=["172.16.0.0/12"]')" STATUS "" "" ""
is "changes nothing" "$("$CTL" status --json | jq -r '.node.networks | join(" ")')" net
good "DEL" "$(conf 1.1.0)" DEL c1 /run/netns/p1 eth0
