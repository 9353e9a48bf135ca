#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A FORWARD policy of drop, as docker, ufw and firewalld leave it: what is redirected works on, what the
# stack must forward is lost; the node says so, with the remedy; forwardAccept lets it pass.
# pw-test: vm
# pw-test: timeout=200
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"

drop_nft() {
    nft -f - <<'EOR'
table inet fw {
    chain forward { type filter hook forward priority 10; policy drop; ct state established,related accept; }
}
EOR
}
undrop_nft() { nft delete table inet fw; }
drop_iptables() { iptables -w -P FORWARD DROP; ip6tables -w -P FORWARD DROP; }
undrop_iptables() {
    local t
    for t in iptables ip6tables; do $t -w -P FORWARD ACCEPT; $t -w -F FORWARD; done
}
# Straight and by name: with redirection the first two need no forwarding.
redirected() {
    echo "tcp pod-pod from=pod1 to=pod2 dst=${IP4[pod2]} port=90"
    echo "tcp pod-pod6 from=pod1 to=pod2 dst=${IP6[pod2]} port=91"
    echo "tcp pod-n2 from=pod1 to=n2 dst=$N2_4 port=92"
}
forwarded() { # [more]
    echo "tcp pod-out from=pod1 to=out dst=$OUT4 port=93 $*"
    echo "udp pod-out6 from=pod1 to=out dst=$OUT6 port=94 $*"
    echo "tcp out-pod from=out to=pod1 dst=${IP4[pod1]} port=95 $*"
}

topo_up
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
for DEVICE in $(test_devices); do
    for how in nft iptables; do
        [ "$how $DEVICE" != "iptables netkit" ] || continue # it is not the device that matters
        pod_add pod1
        pod_add pod2
        drop_$how
        redirected >"$TMP/specs"
        flows "$DEVICE, $how drops, redirected: " <"$TMP/specs"
        forwarded fails=1 >"$TMP/specs"
        PWT_STALL=$((${PWT_STALL:-4000} / 4)) flows "$DEVICE, $how drops, by the stack is lost: " <"$TMP/specs"
        ctl status --json >"$TMP/status" 2>&1 || true
        like "$DEVICE, $how: status says so" "$(cat "$TMP/status")" "drops forwarded packets"
        like "$DEVICE, $how: with the remedy" "$(cat "$TMP/status")" "forwardAccept"
        # As the operator sets it, the next pod brings it about.
        pod_add pod3 '.plugins[0].forwardAccept = true'
        forwarded >"$TMP/specs"
        flows "$DEVICE, $how drops, forwardAccept: " <"$TMP/specs"
        redirected >"$TMP/specs"
        flows "$DEVICE, $how drops, forwardAccept, redirected: " <"$TMP/specs"
        redirect off
        flows "$DEVICE, $how drops, forwardAccept, redirection off: " <"$TMP/specs"
        redirect on
        pod_del pod3
        undrop_$how
        pod_del pod1
        pod_del pod2
    done
done
