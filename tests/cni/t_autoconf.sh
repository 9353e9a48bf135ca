#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A guest that nobody configured asks for its configuration, by the clients that images have, and
# gets its endpoint's: address, routes, MTU, name servers, by DHCP, router advertisement, DHCPv6. A
# claim to another address, another MAC, a server's answer get nothing.
# pw-test: timeout=240
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need busybox dhclient dhcpcd
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

node_up 1400
netns_up p1 warm
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk p1 >"$TMP/before"
reason() { ctl endpoints c1 --json | jq "[.reasons[]|select(.reason==\"$1\")|.packets]|add//0"; }

# What clients write is the test's own.
mkdir -p /var/lib/dhcpcd
mount -t tmpfs tmpfs /var/lib/dhcpcd
guest=''
guest_up() { # [SOLICITATIONS]: a machine without configuration behind the tap of the last ADD
    local at mac
    at=-:$(answer '.interfaces[0].name') mac=$(answer '.interfaces[1].mac')
    [ "$(answer '.interfaces|length')" = 2 ] || at=p1:tap0
    ip netns add guest
    ip netns exec guest sysctl -qw net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.default.router_solicitations="${1:-0}"
    "$BUILD/tests/netns/guest" "$at" guest:eth0 "$mac" 1500 >"$TMP/guest"
    guest=$(cat "$TMP/guest")
    ip -n guest link set lo up
    ip -n guest link set eth0 up
}
guest_down() {
    kill "$guest"
    ip netns del guest
}
in_guest() { ip netns exec guest "$@"; }
blank() { # as it was at first
    ip -n guest link set eth0 down
    ip -n guest addr flush dev eth0
    ip -n guest link set eth0 up
}

# udhcpc tells its script by the environment, dhclient too.
OUT=$TMP/said
cat >"$TMP/script" <<EOF
#!/bin/sh
OUT=$OUT # dhclient's has no other environment
EOF
cat >>"$TMP/script" <<'EOF'
env | grep -E '^(ip|mask|subnet|router|dns|domain|search|mtu|lease|serverid|staticroutes|reason|new_[a-z0-9_]*)=' >>"$OUT"
if [ "$1" = bound ]; then
    ip addr replace "$ip/$mask" dev "$interface"
    [ -z "$router" ] || ip route replace default via "$router" dev "$interface" onlink
fi
exit 0
EOF
chmod 755 "$TMP/script"
said() { sed -n "s/^$1=//p" "$OUT" | tail -n1; }
all_said() { local k; for k in "$@"; do echo "$k=$(said "$k")"; done | paste -sd' '; }
udhcpc() { in_guest timeout -k 1 20 busybox udhcpc -i eth0 -f -t 3 -T 2 -A 2 -s "$TMP/script" -O 121 -O 119 -O mtu "$@"; }
once() { : >"$OUT"; udhcpc -q -n "$@" >"$TMP/log" 2>&1; }
# It may tell its number late; nobody has a client's port any more then.
end_client() { kill -KILL "$(cat "$TMP/pid")"; [ -z "$(in_guest ss -Hlun '( sport = :546 or sport = :68 )')" ]; }
# It goes into the background when it has its lease; the client is ended then.
dhclient_once() { # 4|6
    : >"$OUT"
    rm -f "$TMP/pid"
    touch "$TMP/leases$1"
    in_guest timeout -k 1 25 dhclient "-$1" -1 -cf /dev/null -lf "$TMP/leases$1" -pf "$TMP/pid" -sf "$TMP/script" eth0 \
        >"$TMP/log" 2>&1
    local rc=$?
    wait_for 10 end_client
    return $rc
}
answered_more() { [ "$(reason "$1")" -gt "$2" ]; }
has_both() { [ -n "$(ip -n guest -4 -o addr show dev eth0)" ] && [ -n "$(addrs6)" ]; }
default6() { ip -n guest -6 -j route show default | jq -r '.[0]|[.gateway,.protocol,.expires]|tostring'; }
addrs6() { ip -n guest -6 -o addr show scope global | awk '{print $4}' | paste -sd' '; }

dns='.dns={nameservers:["10.96.0.10","fd00:96::a"],domain:"cluster.local",search:["a.example","cluster.local"]}'
told="ip=10.1.0.9 mask=24 router=10.1.0.1 dns=10.96.0.10 domain=cluster.local search=a.example cluster.local mtu=1400 lease=86400 serverid=169.254.1.1"
for dev in tap pod-tap; do
    c=$(conf 1.1.0 ".device=\"$dev\" | $dns | .runtimeConfig.ips=[\"10.1.0.9\",\"fd00:1::9\"]")
    must good "$dev: ADD" "$c" ADD c1 /run/netns/p1 eth0
    cp "$TMP/out" "$TMP/result"
    rm -f "$TMP"/leases*
    guest_up 3
    ok "$dev: busybox's client has a lease" once
    is "$dev: and is told all of it" "$(all_said ip mask router dns domain search mtu lease serverid)" "$told"
    is "$dev: no classless routes, where the router says as much" "$(said staticroutes)" ""
    ok "$dev: the guest reaches the node" in_guest ping -c1 -W2 192.0.2.1
    : >"$OUT"
    udhcpc -p "$TMP/pid" >"$TMP/log" 2>&1 &
    client=$!
    wait_for 10 grep -q '^ip=' "$OUT"
    : >"$OUT"
    kill -USR1 "$(cat "$TMP/pid")" # it renews, by an ordinary socket
    ok "$dev: its renewal is acknowledged" wait_for 5 grep -q '^ip=10.1.0.9' "$OUT"
    like "$dev: of a unicast packet" "$(cat "$TMP/log")" 'sending renew to (server )?169.254.1.1'
    kill "$(cat "$TMP/pid")"
    wait "$client" || true

    ok "$dev: the kernel has a router" wait_for 10 sh -c 'ip -n guest -6 route show default | grep -q fe80::1'
    is "$dev: for ever" "$(default6)" '["fe80::1","ra",null]'
    is "$dev: and makes up no address" "$(addrs6)" ""
    ok "$dev: dhclient has a lease" dhclient_once 4
    is "$dev: and is told the same" "$(all_said new_ip_address new_subnet_mask new_routers new_interface_mtu)" \
        "new_ip_address=10.1.0.9 new_subnet_mask=255.255.255.0 new_routers=10.1.0.1 new_interface_mtu=1400"
    sed -i 's/10\.1\.0\.9;/10.1.0.77;/' "$TMP/leases4"
    ok "$dev: dhclient comes with another's address" dhclient_once 4
    is "$dev: which it may not have" "$(said new_ip_address) $(reason DHCP4_NAK)" "10.1.0.9 1"
    ok "$dev: dhclient has an IPv6 lease" dhclient_once 6
    is "$dev: and is told all of it" "$(all_said new_ip6_address new_dhcp6_name_servers new_dhcp6_domain_search)" \
        "new_ip6_address=fd00:1::9 new_dhcp6_name_servers=fd00:96::a new_dhcp6_domain_search=a.example. cluster.local."

    blank
    in_guest timeout -k 1 40 dhcpcd -B -A -p -f /dev/null -c /bin/true eth0 >"$TMP/log" 2>&1 &
    client=$!
    ok "$dev: dhcpcd configures both families" wait_for 30 has_both
    has_both || diag "$(cat "$TMP/log"; ip -n guest addr)"
    is "$dev: IPv4" "$(ip -n guest -4 -o addr show dev eth0 | awk '{print $4}')" 10.1.0.9/24
    is "$dev: IPv6" "$(addrs6)" fd00:1::9/128
    ok "$dev: the guest reaches the node" in_guest ping -c1 -W2 192.0.2.1
    ok "$dev: over IPv6" wait_for 10 in_guest ping -c1 -W1 2001:db8:2::1
    n4=$(reason DHCP4) n6=$(reason DHCP6)
    ok "$dev: dhcpcd is told to renew" in_guest dhcpcd -N eth0
    ok "$dev: and is answered by DHCP" wait_for 20 answered_more DHCP4 "$n4"
    ok "$dev: and by DHCPv6" wait_for 20 answered_more DHCP6 "$n6"
    ok "$dev: it has its addresses as before" has_both
    kill "$client" || true
    wait "$client" || true
    for r in DHCP4 DHCP6 SOLICITED; do
        ok "$dev: answers are counted: $r" test "$(reason $r)" -gt 0
    done
    is "$dev: nothing was spoofed" "$(ctl endpoints c1 --json | jq '[.reasons[].reason|select(startswith("SPOOF"))]|length')" 0

    ip -n guest link set eth0 down
    ip -n guest link set eth0 address 02:00:00:00:00:99
    ip -n guest link set eth0 up
    nok "$dev: with another MAC it gets nothing" once
    ok "$dev: and is seen" test "$(reason SPOOF_MAC)" -gt 0
    guest_down
    good "$dev: CHECK" "$(jq -c --slurpfile p "$TMP/result" '.prevResult=$p[0]' <<<"$c")" CHECK c1 /run/netns/p1 eth0
    key=$(bpftool -j map dump pinned /sys/fs/bpf/podwire/maps-1/pw_guests | jq -r '.[0].key|join(" ")')
    # shellcheck disable=SC2086
    bpftool map delete pinned /sys/fs/bpf/podwire/maps-1/pw_guests key hex ${key//0x/}
    bad "$dev: CHECK misses what the guest is told" 103 \
        "$(jq -c --slurpfile p "$TMP/result" '.prevResult=$p[0]' <<<"$c")" CHECK c1 /run/netns/p1 eth0
    good "$dev: DEL" "$c" DEL c1 /run/netns/p1 eth0
    walk_same "$dev: nothing is left" "$TMP/before" p1
done

off=$(conf 1.1.0 '.device="tap" | .autoconf=false')
good "off: ADD" "$off" ADD c1 /run/netns/p1 eth0
guest_up 2
nok "off: DHCP is not answered" once
is "off: it is counted as ever" "$(reason DHCP4) $(test "$(reason DHCP_CLIENT)" -gt 0 && echo some)" "0 some"
is "off: nor are solicitations" "$(default6)" '[null,null,null]'
guest_down
good "off: DEL" "$off" DEL c1 /run/netns/p1 eth0

# A gateway outside the subnet, further routes: classless routes, all of them.
odd=$(conf 1.1.0 '.device="tap" | .ipam.ranges=[[{subnet:"10.7.0.0/31"}]] | .ipam.routes=[{dst:"0.0.0.0/0"},{dst:"10.8.0.0/13"}]')
good "odd: ADD" "$odd" ADD c1 /run/netns/p1 eth0
guest_up
ok "odd: a lease" once
is "odd: the way to the router is told" "$(said subnet) $(said staticroutes)" \
    "255.255.255.254 169.254.1.1/32 0.0.0.0 0.0.0.0/0 169.254.1.1 10.8.0.0/13 169.254.1.1"
guest_down
good "odd: DEL" "$odd" DEL c1 /run/netns/p1 eth0

# The address that a MAC stands for: no DHCPv6 is needed.
slaac=$(conf 1.1.0 '.device="tap" | .runtimeConfig={mac:"02:12:34:56:78:9a",ips:["fd00:1::12:34ff:fe56:789a"]}')
good "slaac: ADD" "$slaac" ADD c1 /run/netns/p1 eth0
guest_up 3
ok "slaac: the kernel makes up the address by itself" wait_for 10 sh -c \
    'ip -n guest -6 addr show scope global | grep -q fd00:1::12:34ff:fe56:789a/64'
ok "slaac: and is reachable with it" wait_for 5 ping -c1 -W1 fd00:1::12:34ff:fe56:789a
guest_down
good "slaac: DEL" "$slaac" DEL c1 /run/netns/p1 eth0

bad "no name server" 7 "$(conf 1.1.0 '.device="tap" | .dns.nameservers=["x"]')" ADD c1 /run/netns/p1 eth0
bad "no domain" 7 "$(conf 1.1.0 '.device="tap" | .dns.domain="a..b"')" ADD c1 /run/netns/p1 eth0
many='.device="tap" | .ipam.routes=[range(30)|{dst:"10.\(.+20).0.0/16"}]'
bad "more routes than can be told" 7 "$(conf 1.1.0 "$many")" ADD c1 /run/netns/p1 eth0
like "says so, and what to do" "$(cat "$TMP/out")" 'routes.*autoconf|autoconf.*routes'
good "all the same without telling" "$(conf 1.1.0 "$many | .autoconf=false")" ADD c1 /run/netns/p1 eth0
good "and its DEL" "$off" DEL c1 /run/netns/p1 eth0
bad "no truth value" 7 "$(conf 1.1.0 '.autoconf="yes"')" ADD c1 /run/netns/p1 eth0
walk_same "nothing is left of these" "$TMP/before" p1
