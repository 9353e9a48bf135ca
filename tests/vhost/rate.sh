#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rings alone: how many frames a second a back-end takes from DPDK's virtio-user and throws away,
# podwire-vhost (--null) beside DPDK's own back-end (net_vhost, rxonly), in turns. Not a test.
# usage: tests/vhost/rate.sh [ROUNDS [SIZE]]      (root; two processors, both at real-time priority,
#                                                  so that other load does not decide)
set -euo pipefail
cd "$(dirname "$0")/../.."
vhost=${BUILD:-build}/podwire-vhost
rounds=${1:-5} size=${2:-64}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

testpmd() { # PREFIX CORE VDEV ARG...
    local prefix=$1 core=$2 vdev=$3
    shift 3
    chrt -r 5 dpdk-testpmd --lcores "0@$core,1@$core" --no-huge -m 256 --no-pci --no-telemetry --no-shconf \
        --file-prefix="$prefix$$" --vdev "$vdev" -- --auto-start --no-mlockall --total-num-mbufs=8192 \
        --stats-period 1 "$@" </dev/null
}

measure() { # BACKEND VDEV-OPTIONS: Mpps, the best second of three
    local s=$tmp/s.$RANDOM back front
    if [ "$1" = podwire ]; then
        taskset -c 0 chrt -r 5 "$vhost" --null --socket-path="$s" &
    else
        testpmd be 0 "net_vhost0,iface=$s,queues=1" --forward-mode=rxonly >"$tmp/back" 2>&1 &
    fi
    back=$!
    while [ ! -S "$s" ]; do sleep 0.1; done
    sleep 0.5
    testpmd fe 1 "net_virtio_user0,path=$s,queue_size=256,mac=02:00:00:00:00:01$2" \
        --forward-mode=txonly --txpkts="$size" >"$tmp/front" 2>&1 &
    front=$!
    sleep 3.5
    # The function's subshell is what $! names; the program is its child.
    pkill -INT -P $front || true
    wait $front || true
    if [ "$1" = podwire ]; then kill $back; else pkill -INT -P $back || true; fi
    wait $back || true
    grep -a 'Tx-pps' "$tmp/front" | awk '$2 > m {m = $2} END {printf "%.2f\n", m / 1e6}'
}

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

printf '%-28s %10s %10s %8s\n' "$size B, Mpps, median of $rounds" podwire DPDK ratio
for options in '' ,packed_vq=1 ,mrg_rxbuf=0,in_order=0; do
    : >"$tmp/podwire"
    : >"$tmp/dpdk"
    for _ in $(seq "$rounds"); do
        measure podwire "$options" >>"$tmp/podwire"
        measure dpdk "$options" >>"$tmp/dpdk"
    done
    p=$(median <"$tmp/podwire") d=$(median <"$tmp/dpdk")
    printf '%-28s %10s %10s %8s\n' "virtio-user${options:-,default}" "$p" "$d" \
        "$(awk -v p="$p" -v d="$d" 'BEGIN {printf "%.2f", p / d}')"
done
