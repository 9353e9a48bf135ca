#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# For t_no_tcx.sh, in the guest: a kernel without tcx is told before the first pod, and a pod that is
# asked for all the same leaves nothing.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"

node_up 1500
netns_up p1
diag "Linux $(uname -r)"
bad "STATUS" 50 "$(conf 1.1.0)" STATUS "" "" ""
like "names what is missing and which kernel has it" "$(answer .msg)" "no tcx.*Linux 6\\.6 or later.*CONFIG_NET_XGRESS"
walk p1 >"$TMP/before"
bad "ADD" 999 "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
like "names the same" "$(answer .msg)" "no tcx.*Linux 6\\.6 or later.*CONFIG_NET_XGRESS"
walk_same "leaves nothing" "$TMP/before" p1
nok "podwirectl load" "$BUILD/podwirectl" load
walk_same "nothing either" "$TMP/before" p1
good "DEL of what never came" "$(conf 1.1.0)" DEL c1 /run/netns/p1 eth0
rc=0
"$BUILD/podwirectl" status --json >"$TMP/status" || rc=$?
is "podwirectl status: exit code" $rc 3
is "which features are missing" "$(jq -c '[.ready, .features.tcx, .features.netkit]' "$TMP/status")" '[false,false,false]'
