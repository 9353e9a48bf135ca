#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend, backend_rc: set by lib.sh
# pw-test: timeout=120
# A hostile VMM and guest on one pod's tap (messages at random, rings written while they are in use, frames
# of any bytes), for seconds: other pods' traffic does not notice, the back-end serves the next.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
. "$TOP/tests/cni/lib.sh"
need jq ip ping
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up vm p2 p3
must good "ADD of a tap" "$(conf 1.1.0 '.device="tap"')" ADD vm1 /run/netns/vm eth0
tap=$(answer '.interfaces[0].name')
must good "ADD of a pod" "$(conf 1.1.0)" ADD c2 /run/netns/p2 eth0
must good "ADD of another" "$(conf 1.1.0)" ADD c3 /run/netns/p3 eth0
to=$(answer '[.ips[].address|select(test(":")|not)][0]' | cut -d/ -f1)
before=$(rx_packets "$tap")
backend_start wild --socket-path="$TMP/s" --tap="$tap"
threads=$(find "/proc/$backend/task" -mindepth 1 -maxdepth 1 | wc -l)
ok "they speak before" pod p2 ping -q -c3 -i0.2 -W2 "$to"

"$BUILD/tests/vhost/wild" "$TMP/s" 8 >"$TMP/wild" &
wild=$!
lost=$(pod p2 ping -q -c 1400 -i 0.005 -W2 "$to" | sed -n 's/.* \([0-9]*\)% packet loss.*/\1/p')
is "1,400 requests between other pods, none lost" "$lost" 0
rc=0
wait $wild || rc=$?
is "the hostile one was busy meanwhile" "$rc" 0
diag "$(cat "$TMP/wild") connections, $(stat_of wild .bad_messages) bad messages, $(stat_of wild '.pairs[0].ring_errors') rings stopped, $(($(rx_packets "$tap") - before)) frames out"
ok "rings were stopped" more_than 0 stat_of wild '.pairs[0].ring_errors'
ok "and its garbage reached the tap" more_than "$before" rx_packets "$tap"
ok "the same process serves the next" "$BUILD/tests/vhost/frontend" "$TMP/s" 20
fds() { find "/proc/$backend/fd" -mindepth 1 | wc -l; }
few() { [ "$(fds)" -le "$1" ]; }
is "with as many threads" "$(find "/proc/$backend/task" -mindepth 1 -maxdepth 1 | wc -l)" "$threads"
wait_for 5 test "$(stat_of wild .connected)" = false || true
ok "and no descriptor of a front-end's left" wait_for 5 few 14
ok "they speak after" pod p2 ping -q -c3 -i0.2 -W2 "$to"
backend_end
is "it ends well" "$backend_rc" 0
for p in vm1 c2 c3; do good "DEL of $p" "$(conf 1.1.0)" DEL $p "" eth0; done
