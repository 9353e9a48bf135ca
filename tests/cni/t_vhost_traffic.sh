#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2046,SC2086  # words are wanted
# DPDK's virtio-user in the place of a pod's VM, on kind vhost-user: its packets reach a container pod and
# another VM pod, counted at both ends; with another address or MAC none gets past the tap's program; the
# back-end is killed in mid traffic and goes on; nothing is left. Either side listens.
# pw-test: serial timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
# shellcheck source=tests/vhost/lib.sh
. "$TOP/tests/vhost/lib.sh"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
need dpdk-testpmd nft
PORT=9 GATEWAY=02:70:77:00:00:01

node_up 1500
quiet_net
netns_up c v1 v2 warm
v4=$(conf 1.1.0 '.ipam.ranges=[[{"subnet":"10.1.0.0/24"}]] | .ipam.routes=[{"dst":"0.0.0.0/0"}]')
must good "ADD of a first pod" "$v4" ADD warm /run/netns/warm eth0
good "and its DEL" "$v4" DEL warm /run/netns/warm eth0
walk c v1 v2 >"$TMP/before"
vu=$(jq -c '.device="vhost-user"' <<<"$v4")
must good "a container pod" "$(jq -c '.device="veth"' <<<"$v4")" ADD c /run/netns/c eth0
to=$(answer '.ips[0].address' | cut -d/ -f1)
# Counted by its stack, and answered by nothing.
pod c nft -f - <<EOF
table ip count { chain in { type filter hook input priority 0; udp dport $PORT counter drop; }; }
EOF
arrived() { pod c nft -j list table ip count | jq '[.nftables[].rule?.expr[]?.counter?.packets // empty][0]'; }
counter() { ctl vm show "$1" --json | jq -r ".backend.counters$2"; }
vm_up() { # ID NETNS CONF: sets sock, mac, ip of a VM pod
    must good "VM pod $1" "$3" ADD "$1" "/run/netns/$2" eth0
    sock=$(answer '.interfaces[1].socketPath') mac=$(answer '.interfaces[1].mac')
    ip=$(answer '.ips[0].address' | cut -d/ -f1)
}
vdev() { echo "net_virtio_user0,path=$sock,queue_size=256,mac=${1:-$mac}${2:-}"; }
udp() { echo "--eth-peer=0,$GATEWAY --tx-ip=${2:-$ip},$1 --tx-udp=$PORT"; } # DESTINATION [SOURCE]

# The VMM connects.
vm_up vm1 v1 "$vu"
testpmd_sends own "$(vdev)" 5000 $(udp "$to")
sent=$(testpmd_total own TX-packets)
ok "its own address: there were many ($sent)" test "$sent" -gt 5000
is "its own address: each is counted by the back-end" "$(counter vm1 '.pairs[0].tx_frames')" "$sent"
is "its own address: each arrives in the container" "$(arrived)" "$sent"
is "its own address: each was redirected" "$(ctl endpoints vm1 --json | jq .fromPod.packets)" "$sent"
testpmd_sends spoof "$(vdev)" 200 $(udp "$to" 10.1.0.77)
spoofed=$(testpmd_total spoof TX-packets)
ok "another's address: there were many ($spoofed)" test "$spoofed" -gt 1000
is "another's address: none arrives" "$(arrived)" "$sent"
is "another's address: each is dropped as such" "$(dropped vm1 SPOOF_IP4)" "$spoofed"
testpmd_sends mac "$(vdev 02:00:00:00:00:99)" 200 $(udp "$to")
spoofed=$(testpmd_total mac TX-packets)
is "another's MAC: none arrives" "$(arrived)" "$sent"
is "another's MAC: each is dropped as such" "$(dropped vm1 SPOOF_MAC)" "$spoofed"

# To another VM pod, whose front-end counts.
first=("$sock" "$mac" "$ip")
vm_up vm2 v2 "$vu"
second=("$sock" "$mac" "$ip")
testpmd_start rx "$(vdev)" --forward-mode=rxonly
wait_for 20 grep -aq 'Port statistics' "$TMP/rx.out"
sock=${first[0]} mac=${first[1]} ip=${first[2]}
# A queue that the guest empties more slowly than the other fills it loses frames: few, then.
testpmd_sends vm-vm "$(vdev)" 8 $(udp "${second[2]}")
sent2=$(testpmd_total vm-vm TX-packets)
wait_for 10 test "$(counter vm2 '.pairs[0].rx_frames')" -ge "$sent2" || true
testpmd_end
ok "VM to VM: there were some ($sent2)" test "$sent2" -gt 100
is "VM to VM: the other's back-end counts each" "$(counter vm2 '.pairs[0].rx_frames')" "$sent2"
is "VM to VM: the other's front-end has each" "$(testpmd_total rx RX-packets)" "$sent2"
good "VM pod vm1: DEL" "$vu" DEL vm1 "" eth0
good "VM pod vm2: DEL" "$vu" DEL vm2 "" eth0

# The VMM listens; it is there later than the back-end, and sees it die and come back.
client=$(jq -c '.vhostUser.mode="client"' <<<"$vu")
vm_up vm3 v1 "$client"
before=$(arrived)
testpmd_start killed "$(vdev "" ,server=1)" --forward-mode=txonly $(udp "$to")
more() { [ "$(arrived)" -gt $((before + 10000)) ]; }
ok "the VMM listens: its packets arrive" wait_for 30 more
for i in 1 2; do
    pid=$(ctl vm show vm3 --json | jq .backend.pid)
    victim=$pid
    [ $i = 2 ] || victim=$(pgrep -P "$pid")
    kill -KILL "$victim"
    wait_for 5 test ! -e "/proc/$victim"
    [ $i = 1 ] || ok "killed with its supervisor: vm restart" ctl vm restart vm3
    back() { [ "$(counter vm3 .connections)" -gt $i ] && [ "$(counter vm3 .connected)" = true ]; }
    ok "killed in mid traffic, $i: it is connected again" wait_for 20 back
    before=$(arrived)
    ok "killed in mid traffic, $i: packets go on" wait_for 20 more
done
is "the death is counted" "$(counter vm3 .restarts)" 1
testpmd_end
is "no ring was found broken" "$(counter vm3 '.pairs[0].ring_errors')" 0
good "VM pod vm3: DEL" "$client" DEL vm3 "" eth0
good "the container pod: DEL" "$v4" DEL c "" eth0
pod c nft delete table ip count
nok "no process is left" pgrep -r D,R,S,T podwire-vhost
walk_same "nothing is left" "$TMP/before" c v1 v2
