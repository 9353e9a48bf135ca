#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: vm
# The loader on the kernel at hand: what it finds out about it, and endpoints of every kind that it
# has, with all their programs, from load to unload.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"
need jq

feature() { of ".features.$1"; }
# Inodes of the pins: a link that is made anew has another.
links_of() { stat -c '%n %i' /sys/fs/bpf/podwire/links/"$1":*; }
has_netkit=false
if dp pair pw-try netkit 2>/dev/null; then
    has_netkit=true
    ip link del pw-try
fi

# --- features ---
is "tcx" "$(feature tcx)" true
is "redirect_peer" "$(feature redirectPeer)" true
is "connection tracking can be asked" "$(feature conntrackLookup)" true
ok "and is there, module or not" test -e /proc/sys/net/netfilter/nf_conntrack_max
is "netkit, as making one says" "$(feature netkit)" "$has_netkit"
if [ "$has_netkit" = false ]; then
    is "nothing of netkit without it" "$(feature netkitScrub) $(feature netkitRoom)" "false false"
else
    # Older kernels take the attributes and ignore them; distributions bring them to older versions.
    like "scrub is told" "$(feature netkitScrub)" '^(true|false)$'
    like "so are head- and tailroom" "$(feature netkitRoom)" '^(true|false)$'
    diag "scrub $(feature netkitScrub), room $(feature netkitRoom), Linux $(uname -r)"
fi
is "probing leaves no device" "$(ip -o link | grep -c probe || true)" 0

# --- endpoints of every kind ---
uplink_up up0
ip -o link | sed 's/^[0-9]*: //' >"$TMP/links"
must ok "load" dp load
like "marked packets are not tracked" "$(nft list chain inet podwire raw)" notrack
kinds=(veth)
[ "$has_netkit" = false ] || kinds+=(netkit netkit-l2)
n=1
for kind in "${kinds[@]}"; do
    n=$((n + 1))
    want="from_pod guard"
    [ "$kind" != veth ] || want=ingress
    must ok "$kind: a pair" dp pair "pw-$n" "$kind"
    ok "$kind: registered" dp add "pw-$n" "$kind" "10.1.0.$n" "fd00:1::$n"
    ok "$kind: as it should be" dp check "pw-$n" "$kind" "10.1.0.$n" "fd00:1::$n"
    is "$kind: its programs" "$(pins | sed -n "s/^.\/links\/pw-$n://p" | sort | tr '\n' ' ')" "$want "
    is "$kind: its kind" "$(of ".[] | select(.device == \"pw-$n\") | .kind" endpoints)" "$kind"
    ip link set "pw-$n" up
    is "$kind: the programs decide" \
        "$(of '[.via, .reason] | join(" ")' path "10.1.0.$n" 8.8.8.8)" "stack OUTSIDE"
    before=$(links_of "pw-$n")
    ok "$kind: registering again" dp add "pw-$n" "$kind" "10.1.0.$n" "fd00:1::$n"
    is "$kind: leaves the links as they are" "$(links_of "pw-$n")" "$before"
done
is "all of the programs in use" "$(of .loaded.staleLinks)" 0
n=1
for kind in "${kinds[@]}"; do
    n=$((n + 1))
    # A device that goes first takes its links along; what is left of them goes by name.
    [ "$kind" = netkit-l2 ] || ip link del "pw-$n"
    ok "$kind: removed" dp del "pw-$n" "10.1.0.$n" "fd00:1::$n"
    is "$kind: no pin is left" "$(pins | grep -c "pw-$n" || true)" 0
    ip link del "pw-$n" 2>/dev/null || true
done
is "no endpoint, and nothing to sweep" "$(of length endpoints) $(of .removed sweep)" "0 0"
ok "unload" ctl unload
is "nothing is left" "$(find /sys/fs/bpf -name '*podwire*'; nft list tables; ip -o link | sed 's/^[0-9]*: //')" \
    "$(cat "$TMP/links")"
