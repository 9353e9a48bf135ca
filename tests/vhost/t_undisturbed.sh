#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend, backend_rc: set by lib.sh
# pw-test: timeout=120
# A hostile VMM and guest on one pod's tap (messages at random, rings written while they are in use, frames
# of any bytes, datagrams in another pod's name), for seconds: other pods' traffic does not notice, the
# back-end serves the next.
# Seen to fail: without the source check (guard-ip of mutate.sh in tests/netns); with buffers outside the guest's
# memory taken as they are.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
. "$TOP/tests/cni/lib.sh"
need jq ip ping
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up vm p2 p3
must good "ADD of a tap" "$(conf 1.1.0 '.device="tap"')" ADD vm1 /run/netns/vm eth0
tap=$(answer '.interfaces[0].name') mac=$(ctl vm show vm1 --json | jq -r .mac)
ip4() { answer '[.ips[].address|select(test(":")|not)][0]' | cut -d/ -f1; }
must good "ADD of a pod" "$(conf 1.1.0)" ADD c2 /run/netns/p2 eth0
from=$(ip4)
must good "ADD of another" "$(conf 1.1.0)" ADD c3 /run/netns/p3 eth0
to=$(ip4)
before=$(rx_packets "$tap")
datagrams() { pod "$1" awk '$1 == "Udp:" { n = $2 + $3 } END { print n }' /proc/net/snmp; } # NETNS: whatever came of it
backend_start wild --socket-path="$TMP/s" --tap="$tap"
entries() { find "/proc/$backend/$1" -mindepth 1 -maxdepth 1 | wc -l; }
two_threads() { [ "$(entries task)" = 2 ]; } # the one that listens, and that of the queue pair
few() { [ "$(entries fd)" -le "$1" ]; }
ok "the back-end has two threads" wait_for 20 two_threads
ok "they speak before" pod p2 ping -q -c3 -i0.2 -W10 "$to"

"$BUILD/tests/vhost/wild" "$TMP/s" 8 "$(cat "/sys/class/net/$tap/address")" "$mac" "$from" "$to" >"$TMP/wild" &
wild=$!
lost=$(pod p2 ping -q -c 1400 -i 0.005 -W2 "$to" | sed -n 's/.* \([0-9]*\)% packet loss.*/\1/p')
is "1,400 requests between other pods, none lost" "$lost" 0
rc=0
wait $wild || rc=$?
is "the hostile one was busy meanwhile" "$rc" 0
diag "$(cat "$TMP/wild") connections, $(stat_of wild .bad_messages) bad messages, $(stat_of wild '.pairs[0].ring_errors') rings stopped, $(($(rx_packets "$tap") - before)) frames out"
ok "rings were stopped" more_than 0 stat_of wild '.pairs[0].ring_errors'
ok "and its garbage reached the tap" more_than "$before" rx_packets "$tap"
ok "so did what it sent in another's name" more_than 0 dropped vm1 SPOOF_IP4
is "of which the other pod got nothing" "$(datagrams p3)" 0
ok "the same process serves the next" "$BUILD/tests/vhost/frontend" "$TMP/s" 20
# What served a front-end goes soon after it.
ok "with two threads" wait_for 20 two_threads
ok "and no descriptor of a front-end's left" wait_for 20 few 14
ok "they speak after" pod p2 ping -q -c3 -i0.2 -W10 "$to"
backend_end
is "it ends well" "$backend_rc" 0
for p in vm1 c2 c3; do good "DEL of $p" "$(conf 1.1.0)" DEL $p "" eth0; done
