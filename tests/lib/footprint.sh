# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a pod may leave on a node, one line each and sorted, to be compared before and after.

footprint() {
    {
        ip -o link show | sed -E 's/^[0-9]+: ([^:@]*).*/link \1/'
        ip -o addr show scope global | awk '{print "addr", $2, $4}'
        ip route show table all | sed -n '/table local/d; s/ *$//; s/^/route /p'
        ip -6 route show table all | sed -n '/table local/d; s/ *$//; s/^/route /p'
        ip rule show | sed 's/^/rule /'
        ip neigh show nud permanent | sed 's/^/neigh /'
        # The requests' times are of all pods. Address stores remember the last address given out, and keep bit
        # maps made from the owners.
        find /sys/fs/bpf /run/podwire /var/lib/cni '(' -type f -o -type s -o -path '*/vhost/*' ')' \
            ! -name lock ! -name latency-1 ! -name 'last_reserved_ip.*' \
            ! -path '*/ipam/*/last-*' ! -path '*/ipam/*/used-*' -printf 'file %p\n' 2>/dev/null || true
        # A plugin that was killed may leave a child on its way to become a back-end, or to its end.
        for _ in {1..100}; do pgrep -x -r D,R,S,T podwire >/dev/null || break; sleep 0.05; done
        { pgrep -a -r D,R,S,T podwire-vhost || true; } | sed 's/^[0-9]* /process /'
        # Counters of rules move by themselves.
        nft list ruleset 2>/dev/null | sed 's/counter packets.*//; s/^/nft /'
    } | LC_ALL=C sort
}
