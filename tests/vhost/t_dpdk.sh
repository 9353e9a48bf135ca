#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend_rc: set by lib.sh
# pw-test: serial timeout=240
# DPDK's virtio-user as a foreign front-end over a real tap: frames counted at both ends.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
need dpdk-testpmd jq ip tc
quiet_net

mac=02:00:00:00:00:01

# From the guest: as fast as it can; what the ring took must be what the interface saw. (Frames
# that are in a ring when it is stopped stay there, so it comes to rest first.)
transmit() { # NAME VDEV-OPTIONS BACKEND-ARGS TESTPMD-ARGS TAP-FLAGS
    local name=$1 s=$TMP/$1.sock t=tx$RANDOM
    # shellcheck disable=SC2086 # words are wanted
    ip tuntap add "$t" mode tap vnet_hdr $5
    ip link set "$t" up
    # shellcheck disable=SC2086
    backend_start "$name" --socket-path="$s" --tap="$t" $3
    # shellcheck disable=SC2086
    testpmd_sends "$name" "net_virtio_user0,path=$s,queue_size=256,mac=$mac$2" 20000 $4
    wait_for 5 test "$(stat_of "$name" .connected)" = false
    local sent seen
    sent=$(testpmd_total "$name" TX-packets)
    seen=$(rx_packets "$t")
    ok "$name: there were many ($sent)" test "$sent" -gt 10000
    is "$name: every frame that the ring took reached the tap" "$seen" "$sent"
    is "$name: and is counted by the back-end" \
        "$(stat_of "$name" '[.pairs[].tx_frames] | add')" "$sent"
    is "$name: nothing refused, no ring stopped" "$(stat_of "$name" \
        '[.bad_messages, (.pairs[] | .ring_errors, .tx_refused, .tx_bad_header, .tx_bad_length)] | add')" 0
    backend_end
    is "$name: the back-end ends well" "$backend_rc" 0
    ip link del "$t"
}

# Towards the guest, at a rate that it can take.
receive() { # NAME VDEV-OPTIONS
    local name=$1-rx s=$TMP/$1-rx.sock t=rx$RANDOM n=20000
    ip tuntap add "$t" mode tap vnet_hdr
    ip link set "$t" up txqueuelen 10000
    backend_start "$name" --socket-path="$s" --tap="$t"
    testpmd_start "$name" "net_virtio_user0,path=$s,queue_size=256,mac=$mac$2" --forward-mode=rxonly
    wait_for 20 grep -aq 'Port statistics' "$TMP/$name.out"
    "$BUILD/tests/vhost/burst" "$t" $n 60 1000
    wait_for 10 more_than $((n - 1)) stat_of "$name" '.pairs[0].rx_frames' || true
    testpmd_end
    is "$name: every frame sent to the tap arrived" "$(testpmd_total "$name" RX-packets)" $n
    is "$name: counted" "$(stat_of "$name" '.pairs[0].rx_frames')" $n
    backend_end
    ip link del "$t"
}

# What the guest sends waits for a slow device; what comes for it does not wait for that.
slow() { # NAME BACKEND-ARGS
    local name=slow-$1 s=$TMP/slow-$1.sock n=500
    ip tuntap add sl0 mode tap vnet_hdr
    ip link add sl1 type veth peer name sl2
    for d in sl0 sl1 sl2; do ip link set $d up; done
    tc qdisc add dev sl1 root tbf rate 500kbit burst 5k limit 100m
    tc qdisc add dev sl0 ingress
    tc filter add dev sl0 parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev sl1
    # shellcheck disable=SC2086 # words are wanted
    backend_start "$name" --socket-path="$s" --tap=sl0 $2
    testpmd_start "$name" "net_virtio_user0,path=$s,queue_size=256,mac=$mac" --forward-mode=flowgen --txpkts=1514
    # Four megabytes are the tap's.
    wait_for 20 more_than 1000 stat_of "$name" '.pairs[0].tx_frames'
    sleep 1
    "$BUILD/tests/vhost/burst" sl0 $n 60 1000
    wait_for 5 more_than $((n - 1)) stat_of "$name" '.pairs[0].rx_frames' || true
    is "$name: every frame for the guest arrived meanwhile" "$(stat_of "$name" '.pairs[0].rx_frames')" $n
    is "$name: and none of its own is lost" "$(stat_of "$name" '.pairs[0].tx_refused')" 0
    testpmd_end
    backend_end
    is "$name: the back-end ends well" "$backend_rc" 0
    ip link del sl0
    ip link del sl1
}

slow io-uring ''
slow plain --no-io-uring
transmit default '' '' '' ''
transmit packed ,packed_vq=1 '' '' ''
transmit plain ,mrg_rxbuf=0,in_order=0 --no-io-uring '' ''
transmit packed-plain ,packed_vq=1,mrg_rxbuf=0,in_order=0 '' '--txpkts=1514' ''
transmit two-queues ,queues=2 --queues=2 '--rxq=2 --txq=2' multi_queue
receive default ''
receive packed ,packed_vq=1
receive plain ,mrg_rxbuf=0,in_order=0

# The front-end listens; the back-end is there first, confined, and finds it when it comes, and
# again after it went away.
t=cl0 s=$TMP/client.sock
ip tuntap add $t mode tap vnet_hdr
ip link set $t up
backend_start client --socket-path="$s" --client --tap=$t
sum=0
for round in 1 2; do
    rm -f "$s"
    testpmd_sends client$round "net_virtio_user0,path=$s,queue_size=256,mac=$mac,server=1" 5000
    sum=$((sum + $(testpmd_total client$round TX-packets)))
    is "connecting mode, round $round: all frames reached the tap" "$(rx_packets $t)" $sum
done
is "connecting mode: two connections" "$(stat_of client .connections)" 2
backend_end

# Both directions through a stack: ping, answered by testpmd.
t=pi0 s=$TMP/ping.sock
ip tuntap add $t mode tap vnet_hdr
ip link set $t up
ip addr add 10.9.0.1/24 dev $t
backend_start ping --socket-path="$s" --tap=$t
testpmd_start ping "net_virtio_user0,path=$s,queue_size=256,mac=$mac" --forward-mode=icmpecho
ok "ping flood through it loses nothing" sh -c 'ping -c1 -W5 10.9.0.2 >/dev/null
    ping -q -f -c 2000 10.9.0.2 | grep " 0% packet loss"'
testpmd_end
backend_end
