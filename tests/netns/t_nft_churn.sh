#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nftables that change while they are read, as kube-proxy's do: each chain is told of once.
# Seen to fail: chains kept from a dump that the kernel said was interrupted.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"
need nft jq

uplink_up up0 1
{
    printf 'table ip filter {\nchain FORWARD {\ntype filter hook forward priority 0; policy drop;\n}\n'
    seq -f 'chain c%.0f { }' 3000
    printf '}\ntable ip other {\nchain c { }\n}\n'
} | nft -f -
drops() { # how often status tells of the one chain that drops
    { "$BUILD/podwirectl" status --json || true; } | jq '[.problems[] | select(.text | contains("chain FORWARD"))] | length'
}
is "a chain that drops" "$(drops)" 1
while :; do nft add rule ip other c counter && nft flush chain ip other c; done >/dev/null 2>&1 &
loop=$!
cleanup kill $loop
is "is one while others change" "$(for _ in $(seq 25); do drops; done | sort -u | xargs)" 1
kill $loop
