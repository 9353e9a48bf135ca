# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Everything that a pod ever made on a node, one line each and sorted: what footprint() tells, and
# the entries of the BPF maps, the bits of the address store, attached programs, the namespaces'
# names and their insides. Source it after tap.sh; run `walk` before and after, and compare.
. "$TOP/tests/lib/footprint.sh"

walk() { # [NETNS...]: also inside these
    local m f ns
    {
        # The next to write the node's state removes what a killed one left of it.
        footprint | grep -v '^file /run/podwire/node\.[0-9]*$'
        for m in /sys/fs/bpf/podwire/maps-*/pw_{ip4,ip6,endpoints,guests,slots}; do
            [ -e "$m" ] || continue
            bpftool -j map dump pinned "$m" 2>/dev/null |
                jq -c --arg m "${m##*/}" '.[]? | select(.error? | not) | [$m, .formatted.key // .key]'
        done
        # Reasons that belong to no endpoint are the uplinks'.
        m=$(echo /sys/fs/bpf/podwire/maps-*/pw_reasons)
        [ ! -e "$m" ] || bpftool -j map dump pinned "$m" 2>/dev/null |
            jq -c '.[]? | .formatted.key // .key | select(.slot? != 4294967295) | ["pw_reasons", .]'
        bpftool -j net show 2>/dev/null | jq -c '.[].tc[]? | [.devname, .kind, .name]'
        for f in /run/podwire/ipam/*/used-*; do
            # One that is empty is as good as none.
            if [ -e "$f" ] && od -An -v -tx1 "$f" | grep -q '[^ 0]'; then
                echo "used $f $(od -An -v -tx1 "$f" | tr -d ' \n0' | wc -c)"
            fi
        done
        for f in /run/podwire/ipam/*/lock; do
            [ ! -e "$f" ] || [ "$(cat "$f")" = 0 ] || echo "unfinished $f"
        done
        find /run/netns -mindepth 1 2>/dev/null
        for ns in "$@"; do
            ip netns exec "$ns" sh -c 'ip -o link; ip -o addr; ip route show table all
                ip -6 route show table all; ip neigh show nud permanent; ip rule' | sed "s/^/in $ns: /; s/ *$//"
        done
    } | LC_ALL=C sort
}

walk_same() { # NAME BEFORE-FILE [NETNS...]
    local name=$1 before=$2
    shift 2
    walk "$@" >"$TMP/walk-after"
    if diff "$before" "$TMP/walk-after" >"$TMP/walk-diff"; then
        tap_result 0 "$name"
    else
        tap_result 1 "$name"
        diag "< was there before, > is there now"
        diag "$(head -n 40 "$TMP/walk-diff")"
    fi
}
