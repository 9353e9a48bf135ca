#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node kept in line: nftables table, FORWARD drops, uplinks, rules, what several networks say.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"
need nft ip jq

table() { nft -s list table inet podwire 2>/dev/null; }
warnings() { of '.problems[].text'; }
uplinks() { of '[.node.uplinks[].device] | join(" ")'; }
native() { of '.node.nativeRanges | sort | join(" ")'; }
ask_again() { # what has no cheap sign of change is looked at when the last look is 10 s old
    dp -f sync && dp sync
}

uplink_up up0 1
must ok "load" dp load

# --- the table ---
table >"$TMP/table"
like "marked packets are not tracked" "$(cat "$TMP/table")" 'mark & 0x00001000 == 0x00001000 notrack'
like "what leaves the native ranges is masqueraded" "$(cat "$TMP/table")" \
    'iifname "pw-\*" oifname != "pw-\*" ip daddr != @native4 masquerade'
like "IPv6 too" "$(cat "$TMP/table")" 'ip6 daddr != @native6 masquerade'
gen() { nft -j list ruleset | jq -r '[.nftables[] | select(.table) | .table.handle] | join(" ")'; }
handle=$(gen)
ok "a second call" dp sync
is "changes nothing" "$(gen)" "$handle"
for tamper in "flush ruleset" "flush chain inet podwire raw" "flush chain inet podwire nat" \
    "add rule inet podwire raw accept" "delete table inet podwire"; do
    # shellcheck disable=SC2086
    nft $tamper
    dp sync
    is "made anew after '$tamper'" "$(table)" "$(cat "$TMP/table")"
done
dp -x sync
unlike "no masquerade where none is wanted" "$(table)" 'masquerade'
unlike "nor a chain that would make the kernel track all" "$(table)" 'type nat'
dp -m 0x200000 -n 10.0.0.0/9 -n 10.128.0.0/9 -n 192.168.0.0/16 -n 255.0.0.0/8 -n ffff::/16 sync
like "another mark" "$(table)" '0x00200000 == 0x00200000 notrack'
like "ranges that touch, or end with the address space" "$(table)" '192.168.0.0/16.* 255.0.0.0/8'
dp -n 0.0.0.0/0 -n ::/0 sync
like "everything native" "$(table)" '0.0.0.0/0'
nok "kube-proxy's mark bits are refused" dp -m 0x4000 sync
nok "mark 0 is refused" dp -m 0 sync
dp sync
is "and back again" "$(table)" "$(cat "$TMP/table")"

# --- several networks ---
other() { "$DPTOOL" -N other "$@"; }
other -n 192.168.0.0/16 -p 10.7.0.0/24 -x sync
is "ranges of two networks are joined" "$(native)" "10.0.0.0/8 192.168.0.0/16 fd00::/8"
is "one that masquerades is enough" "$(of .node.masquerade)" true
is "both are named" "$(of '.node.networks | join(" ")')" "pods other"
other -n 172.20.0.0/16 sync
is "what one said before is replaced" "$(native)" "10.0.0.0/8 172.20.0.0/16 fd00::/8"
nok "another mark on the same node is refused" other -m 0x100000 sync
like "naming both networks" "$(other -m 0x100000 sync 2>&1)" 'pods and other want different marks'
other -s 10.96.0.0/12 -s fd00:96::/112 sync
is "service ranges go to the programs" "$(dp conf | grep -c '^except')" 2
for i in $(seq 3 8); do "$DPTOOL" -N "net$i" sync; done
nok "a ninth network is refused" "$DPTOOL" -N net9 sync
nok "more ranges than the programs take are refused" other \
    $(seq -f '-n 11.%g.0.0/16' 20) sync

# --- forwarding ---
sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.up0.accept_ra=1
ask_again
is "IPv4 is forwarded" "$(sysctl -n net.ipv4.ip_forward)" 1
is "IPv6 is forwarded" "$(sysctl -n net.ipv6.conf.all.forwarding)" 1
is "and the uplink still hears router advertisements" "$(sysctl -n net.ipv6.conf.up0.accept_ra)" 2

# --- FORWARD drops ---
is "nothing drops at first" "$(warnings)" ""
nft add table ip filter
nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'
like "a policy of drop is found" "$(warnings)" 'nftables ip filter, chain FORWARD, .*policy'
like "with the remedy" "$(of '.problems[].remedy')" 'forwardAccept'
nft insert rule ip filter FORWARD iifname '"pw-*"' accept
like "accepting one direction is not enough" "$(warnings)" 'chain FORWARD'
nft insert rule ip filter FORWARD oifname '"pw-*"' accept
is "accepting both is" "$(warnings)" ""
nft flush chain ip filter FORWARD
nft insert rule ip filter FORWARD iifname '"pw-*"' tcp dport 80 accept
nft insert rule ip filter FORWARD oifname '"pw-*"' accept
like "accepting with more conditions is not" "$(warnings)" 'chain FORWARD'
nft flush chain ip filter FORWARD
nft add table inet fw
nft add chain inet fw passing '{ type filter hook forward priority 10; policy accept; }'
nft add rule inet fw passing ct state established accept
nft add rule inet fw passing counter reject with icmpx admin-prohibited
like "a last rule that rejects all is found" "$(warnings)" 'inet fw, chain passing, .*last rule'
nft add table ip6 filter6
nft add chain ip6 filter6 FORWARD '{ type filter hook forward priority 0; policy drop; }'
nft add table bridge b
nft add chain bridge b forward '{ type filter hook forward priority 0; policy drop; }'
is "three chains drop; a bridge's is not asked about" "$(of '.problems | length')" 3
nft -s list ruleset >"$TMP/dropping"
ok "forwardAccept" dp -f sync
is "and none drops any more" "$(warnings)" ""
is "two rules in each" "$(nft list ruleset | grep -c 'podwire: forwardAccept')" 6
dp -f sync
ask_again
dp -f sync
is "still two" "$(nft list ruleset | grep -c 'podwire: forwardAccept')" 6
ok "forwardAccept off" dp sync
is "takes them out" "$(nft -s list ruleset)" "$(cat "$TMP/dropping")"
dp -f sync
ctl unload >/dev/null
is "so does unload" "$(nft -s list ruleset)" \
    "$(sed '/^table inet podwire/,/^}/d' "$TMP/dropping")"
nft flush ruleset
if command -v iptables-nft >/dev/null && iptables-nft -P FORWARD DROP; then
    like "iptables-nft's policy is found" "$(warnings)" 'ip filter, chain FORWARD'
    dp -f sync
    is "and mended" "$(warnings)" ""
    ok "iptables-nft can still list the chain" iptables-nft -S FORWARD
    like "with our rule as it would write it" "$(iptables-nft -S FORWARD)" '-A FORWARD -i pw-\+ .*-j ACCEPT'
    ctl unload >/dev/null
    nft flush ruleset
else
    skip "no iptables-nft" "iptables-nft's policy is found"
fi
if command -v iptables-legacy >/dev/null && iptables-legacy -P FORWARD DROP 2>/dev/null; then
    like "legacy iptables' policy is found" "$(warnings)" 'legacy iptables ip filter, chain FORWARD'
    iptables-legacy -A FORWARD -i pw-+ -j ACCEPT
    like "one direction is not enough" "$(warnings)" 'legacy'
    iptables-legacy -A FORWARD -o pw-+ -j ACCEPT
    is "both are" "$(warnings)" ""
    iptables-legacy -F FORWARD
    dp -f sync
    is "forwardAccept mends it" "$(warnings)" ""
    ctl unload >/dev/null
    is "and unload takes that back" "$(iptables-legacy -S FORWARD)" "-P FORWARD DROP"
    iptables-legacy -P FORWARD ACCEPT
else
    skip "no legacy iptables here" "legacy iptables' policy is found"
fi

# --- uplinks ---
dp sync
is "the default route's device is the uplink" "$(uplinks)" up0
uplink_up up1 2
dp sync
ask_again
is "two default routes, two uplinks" "$(uplinks)" "up0 up1"
is "both carry the program" "$(pins | grep -c 'links/uplink-')" 2
ip route del default dev up0
ok "the best default route changes" dp sync
is "and the next call sees it" "$(uplinks)" "up1"
is "the program is taken off the other" "$(pins | grep -c 'links/uplink-')" 1
ip link del up1
uplink_up up1 3
dp sync
is "a device made anew is found" "$(uplinks)" "up1"
is "its dead pin is gone" "$(pins | grep links)" "./links/uplink-$(cat /sys/class/net/up1/ifindex):from_uplink"
ok "configured uplinks" dp -u up0 -u nosuch sync
is "are used instead" "$(uplinks)" "up0"
dp sync
ip -6 addr add 2001:db8:3::1/64 dev up0 nodad
ip -6 route add default via 2001:db8:3::2 dev up0
dp sync
is "default routes of IPv6 count" "$(uplinks)" "up0 up1"
ip -6 route del default
ip route del default
ip route add default nexthop via 172.16.1.254 dev up0 nexthop via 172.16.3.254 dev up1
dp sync
is "both hops of a multipath route" "$(uplinks)" "up0 up1"
ip route del default
dp sync
is "no default route, no uplink" "$(uplinks)" ""
like "and status says so" "$(warnings)" 'no uplink was found'
ip tuntap add tun0 mode tun 2>/dev/null && ip link set tun0 up && ip route add default dev tun0
ask_again
if ip link show tun0 >/dev/null 2>&1; then
    is "a device without MAC is no uplink" "$(uplinks)" ""
    like "and status says so" "$(warnings)" 'tun0 is no Ethernet device'
    ip link del tun0
else
    skip "no tun devices" "a device without MAC is no uplink"
fi
ip route add default via 172.16.1.254 dev up0
dp sync

# --- rules and xfrm ---
wire() { dp sync; of .node.wire; }
is "pods leave by redirect" "$(wire)" true
ip rule add fwmark 0x5 table 100
is "a rule by mark ends that" "$(wire)" false
like "and status says why" "$(warnings)" 'selects by mark'
ip rule del fwmark 0x5 table 100
is "without it they do again" "$(wire)" true
ip rule add from 10.1.0.0/24 table 100
is "a rule by source is followed by the programs' own lookup" "$(wire)" true
ip rule del from 10.1.0.0/24 table 100
ip -6 rule add ipproto tcp table 100
is "a rule by protocol of IPv6 ends it" "$(wire)" false
ip -6 rule del ipproto tcp table 100
if ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/24 dir out tmpl proto esp mode tunnel 2>/dev/null; then
    is "an xfrm policy ends it" "$(wire)" false
    like "and status says why" "$(warnings)" 'xfrm'
    ip xfrm policy flush
    is "without it they do again" "$(wire)" true
else
    skip "no xfrm" "an xfrm policy ends it"
fi

# --- the switch ---
ok "redirect off" ctl redirect off
is "the programs are told" "$(dp conf | grep -c '^flags.*redirect' || true)" 0
dp sync
ask_again
is "the node's upkeep leaves it off" "$(of .node.redirect)" false
like "status says so" "$(warnings)" 'redirection is switched off'
ok "redirect on" ctl redirect on
is "on again" "$(of .node.redirect)" true

# --- what pods take from the uplink ---
ip link set up0 mtu 1400 gso_max_size 50000 2>/dev/null || ip link set up0 mtu 1400
dev_add pw-1
like "the uplink's MTU" "$(dp limits)" '^mtu 1400'
