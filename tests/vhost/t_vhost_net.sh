#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend, backend_rc: set by lib.sh
# pw-test: vm timeout=120
# The kernel's vhost-net: under podwire-vhost, which hands it the rings and keeps to its confinement;
# and under a VMM's own hands, on the taps that ADD makes.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
. "$TOP/tests/cni/lib.sh"
need jq ip
fe=$BUILD/tests/vhost/frontend

if [ ! -e /dev/vhost-net ]; then
    ip tuntap add t0 mode tap vnet_hdr
    rc=0
    "$VHOST" --socket-path="$TMP/x" --tap=t0 --vhost-net >"$TMP/out" 2>&1 || rc=$?
    is "without the device: refused, no other way is taken" "$rc" 1
    like "without the device: and it says what to do" "$(cat "$TMP/out")" "/dev/vhost-net.*modprobe vhost_net"
    skip "no /dev/vhost-net on this kernel; the guests of group vm have it" "frames through it"
    exit
fi
need socat
node_up 1400
quiet_net

# ---- the relay, as a program ----
ip tuntap add t0 mode tap vnet_hdr
ip link set t0 up
backend_start relay --socket-path="$TMP/relay.sock" --tap=t0 --vhost-net --supervise
child() { pgrep -P "$backend"; }
ok "works for a front-end" "$fe" "$TMP/relay.sock" 100
is "frames reached the tap" "$(rx_packets t0)" 100
is "moved by the kernel, not here" "$(stat_of relay '.pairs[0].tx_frames')" 0
c=$(child)
field() { awk -v f="$1:" '$1 == f { $1 = ""; print substr($0, 2) }' "/proc/$c/status"; }
is "runs as nobody" "$(field Uid)" "65534 65534 65534 65534"
for f in CapInh CapPrm CapEff CapBnd CapAmb; do
    is "no capability in $f" "$(field $f)" 0000000000000000
done
is "filtered" "$(field Seccomp)" 2
is "the device alone in its root" "$(find "/proc/$c/root/" -mindepth 1 -printf '%p %M %U\n' | sed "s|/proc/$c/root||")" \
    "/vhost-net crw------- 65534"
is "which is read only" "$(awk '{print $2, substr($4, 1, 2)}' "/proc/$c/mounts")" "/ ro"
alive_other() { n=$(child) && [ "$n" != "$1" ]; }
for i in 1 2; do
    c=$(child)
    kill -KILL "$c"
    wait_for 20 alive_other "$c"
    ok "works after death $i" "$fe" "$TMP/relay.sock" 10
done
is "every frame reached the tap" "$(rx_packets t0)" 120
backend_end
is "SIGTERM ends it well" "$backend_rc" 0

ip tuntap add t2 mode tap vnet_hdr multi_queue
ip link set t2 up
backend_start pairs --socket-path="$TMP/pairs.sock" --tap=t2 --queues=2 --vhost-net
ok "two pairs" "$fe" "$TMP/pairs.sock" 10
backend_end

# ---- by the plugin ----
netns_up p1 p2
vu=$(conf 1.1.0 '.device="vhost-user" | .vhostUser.vhostNet=true')
must good "kind vhost-user with vhostNet: ADD" "$vu" ADD c1 /run/netns/p1 eth0
sock=$(answer '.interfaces[1].socketPath') tap=$(answer '.interfaces[0].name')
sent=$(rx_packets "$tap")
ok "kind vhost-user with vhostNet: works" "$fe" "$sock" 20
is "kind vhost-user with vhostNet: frames reached the tap" "$(($(rx_packets "$tap") - sent))" 20
is "kind vhost-user with vhostNet: moved by the kernel" \
    "$("$VHOST" --show-stats="/run/podwire/vhost/$tap.stats" | jq '[.connections, .pairs[0].tx_frames] | tostring')" '"[1,0]"'
good "kind vhost-user with vhostNet: DEL" "$vu" DEL c1 "" eth0

# ---- a VMM with vhost-net of its own, on a pod's tap ----
must good "a container pod" "$(conf 1.1.0)" ADD c2 /run/netns/p2 eth0
server=$(answer '[.ips[].address|select(test(":")|not)][0]' | cut -d/ -f1)
pod p2 socat UDP4-RECVFROM:7,fork EXEC:/bin/cat &
cleanup kill $!
for queues in 1 4; do
    must good "tap of $queues queues: ADD" "$(conf 1.1.0 ".device=\"tap\" | .tap.queues=$queues")" ADD c1 /run/netns/p1 eth0
    own=$(answer '[.ips[].address|select(test(":")|not)][0]' | cut -d/ -f1)
    gw=$(answer '[.ips[]|select(.address|test(":")|not)][0].gateway')
    rc=0
    "$BUILD/tests/vhost/ownvhost" "$(answer '.interfaces[0].name')" $queues "$(answer '.interfaces[1].mac')" \
        "$own" "$gw" "$server" >"$TMP/own" 2>&1 || rc=$?
    is "tap of $queues queues: a VMM's own vhost-net, both ways, from each pair" "$rc" 0
    [ $rc = 0 ] || diag "$(cat "$TMP/own")"
    good "tap of $queues queues: DEL" "$(conf 1.1.0)" DEL c1 "" eth0
done
must good "pod-tap: ADD" "$(conf 1.1.0 '.device="pod-tap"')" ADD c1 /run/netns/p1 eth0
own=$(answer '[.ips[].address|select(test(":")|not)][0]' | cut -d/ -f1)
gw=$(answer '[.ips[]|select(.address|test(":")|not)][0].gateway')
ok "tap in the pod's namespace: the same" pod p1 "$BUILD/tests/vhost/ownvhost" tap0 1 \
    "$(answer '.interfaces[3].mac')" "$own" "$gw" "$server"
good "pod-tap: DEL" "$(conf 1.1.0)" DEL c1 "" eth0
good "the container: DEL" "$(conf 1.1.0)" DEL c2 "" eth0
