#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# In a guest, for t_relay_dpdk.sh: frames of DPDK's virtio-user through the relay, counted at both ends.
# shellcheck disable=SC2154  # backend_rc: set by lib.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$TOP/tests/vhost/lib.sh"
quiet_net
mkdir "$TMP/bin"
cat >"$TMP/bin/dpdk-testpmd" <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$TOP/dpdk exec $TOP/dpdk/testpmd -d $TOP/dpdk/librte_net_virtio.so -d $TOP/dpdk/librte_mempool_ring.so "\$@"
EOF
chmod 755 "$TMP/bin/dpdk-testpmd"
PATH=$TMP/bin:$PATH
mac=02:00:00:00:00:01

way() { # NAME VDEV-OPTIONS: from the guest, then towards it
    local name=$1 s=$TMP/$1.sock sent n=2000
    ip tuntap add t0 mode tap vnet_hdr
    ip link set t0 up txqueuelen 10000
    backend_start "$name" --socket-path="$s" --tap=t0 --vhost-net
    testpmd_sends "$name" "net_virtio_user0,path=$s,queue_size=256,mac=$mac$2" 200 ||
        diag "$(tail -n 20 "$TMP/$name.out")"
    sent=$(testpmd_total "$name" TX-packets)
    ok "$name: there were many ($sent)" test "$sent" -gt 1000
    is "$name: every frame that the ring took reached the tap" "$(rx_packets t0)" "$sent"
    testpmd_start "$name-rx" "net_virtio_user0,path=$s,queue_size=256,mac=$mac$2" --forward-mode=rxonly
    wait_for 60 grep -aq 'Port statistics' "$TMP/$name-rx.out"
    "$BUILD/tests/vhost/burst" t0 $n 60 20000
    wait_for 60 received "$name-rx" $n || true
    testpmd_end
    is "$name: every frame sent to the tap arrived" "$(testpmd_total "$name-rx" RX-packets)" $n
    is "$name: moved by the kernel, and no message was wrong" \
        "$(stat_of "$name" '"\(.connections) \(.bad_messages) \(.pairs[0].tx_frames + .pairs[0].rx_frames)"')" "2 0 0"
    backend_end
    is "$name: the back-end ends well" "$backend_rc" 0
    ip link del t0
}
received() { # NAME N: it prints each second what it has
    [ "$(grep -a RX-packets: "$TMP/$1.out" | tail -n1 | sed -E 's/.*RX-packets: *([0-9]+).*/\1/')" -ge "$2" ]
}

way default ''
way plain ,mrg_rxbuf=0,in_order=0
