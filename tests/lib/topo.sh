# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The network in which the datapath is proved. Source it after tap.sh; the script runs on a node of
# its own (tests/lib/node.sh), whose namespace is the node's.
#
#   pods ── node ──up0── rt ──┬── n2   10.2.0.2 fd00:2::2   (another node's pod: a native range)
#           172.16.0.1   .254 │        10.3.0.2 fd00:3::2   (the same, behind an MTU of 1300)
#           2001:db8::1  ::fe └── out  198.51.100.2 2001:db8:f::2  (outside: masqueraded)
#                                      203.0.113.2 2001:db8:e::2   (the same, behind 1300)
#   pods have 10.1.0.0/24 and fd00:1::/64; rt knows the way to them.
#
#   topo_up             everything but pods, kube_rules included
#   kube_rules          a conntrack rule and kube-proxy's drop of INVALID, with counters. Without
#                       any conntrack rule a namespace does not track, and such a test proves nothing
#   invalid             how many packets those rules dropped between native addresses;
#   invalid_flows       of TCP and UDP only, since an unasked ICMP answer is INVALID for good reason
#   test_devices [all]  kinds of devices to test: $PODWIRE_TEST_DEVICES, or all the kernel has;
#                       "reference": the ptp plugin, to prove the tests themselves. In a guest of the
#                       vm group, where all is slow, veth only for "all": the machine itself has it
#   guest_devices [all] sets GUESTS to the kinds whose pods are virtual machines; in a guest likewise
#   pod_add NAME [JQ]   a pod of kind $DEVICE in namespace NAME through CNI ADD; JQ changes the
#                       conflist. Sets IP4[NAME] IP6[NAME] HOSTIF[NAME]. Of a virtual machine NAME is
#                       the guest, beyond its tap (tests/netns/p_guest.c)
#   pod_del NAME
#   flows PREFIX [pwt options] <SPECS    run flows (tests/lib/traffic.h), one check each
#   mac NS IF                the address of a device
#   reason_count POD REASON   how many of the pod's packets were dropped or left to the stack for it
#   ctl ARG...          podwirectl;  redirect on|off: nothing on the reference device
export CNI_PATH=${CNI_PATH:-$BUILD:/usr/lib/cni:/opt/cni/bin} CNI_RUNTIME=${CNI_RUNTIME:-}
PWT=$BUILD/tests/netns/pwt
declare -A IP4=() IP6=() HOSTIF=()
export NODE4=172.16.0.1 NODE6=2001:db8::1 RT4=172.16.0.254 RT6=2001:db8::fe
export N2_4=10.2.0.2 N2_6=fd00:2::2 FAR4=10.3.0.2 FAR6=fd00:3::2
export OUT4=198.51.100.2 OUT6=2001:db8:f::2 OUTFAR4=203.0.113.2 OUTFAR6=2001:db8:e::2
# Emulated processors are slow: nothing here asserts times, only how long a stall is waited for.
if [ -n "${PODWIRE_VM:-}" ]; then
    export PWT_STALL=${PWT_STALL:-20000} PW_QUIET=${PW_QUIET:-100}
fi

in_ns() { # NS COMMAND...: without ip-netns' new mounts, which are slow
    local ns=$1
    shift
    if [ "$ns" = node ]; then "$@"; else nsenter --net="/run/netns/$ns" -- "$@"; fi
}

mac() { in_ns "$1" ip link show dev "$2" | sed -n 's/.*link\/[a-z]* \([0-9a-f:]*\).*/\1/p'; }

ns_add() { # NS
    ip netns add "$1"
    ip -n "$1" link set lo up
    quiet_ns "$1"
}

quiet_ns() { # NS: no duplicate detection, no limits on ICMP errors
    in_ns "$1" sh -c '
        cd /proc/sys/net
        echo 0 >ipv6/conf/all/accept_dad; echo 0 >ipv6/conf/default/accept_dad
        echo 0 >ipv4/icmp_ratelimit; echo 0 >ipv6/icmp/ratelimit
        echo 1000000 >ipv4/icmp_msgs_per_sec; echo 1000000 >ipv4/icmp_msgs_burst' 2>/dev/null || true
}

wire() { # NS IF ADDR4 ADDR6 - NS IF ADDR4 ADDR6: a veth pair with addresses
    local a=$1 ai=$2 b=$6 bi=$7
    ip -n rt link add "w$$" type veth peer name "x$$"
    wire_end "w$$" "$a" "$ai" "$3" "$4"
    wire_end "x$$" "$b" "$bi" "$8" "$9"
}
wire_end() { # TMP-NAME NS IF ADDR4 ADDR6
    if [ "$2" = node ]; then
        ip -n rt link set "$1" netns $$
    elif [ "$2" != rt ]; then
        ip -n rt link set "$1" netns "$2"
    fi
    in_ns "$2" sh -c "ip link set $1 name $3 && ip addr add $4 dev $3 && \
        ip addr add $5 dev $3 nodad && ip link set $3 up"
}

topo_up() {
    local ns
    [ -x "$PWT" ] || bail "$PWT is not built (make tests)"
    quiet_ns node
    for ns in rt n2 out; do ns_add "$ns"; done
    in_ns rt sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    wire node up0 $NODE4/24 $NODE6/64 - rt p0 $RT4/24 $RT6/64
    wire rt p2 10.2.0.1/24 fd00:2::1/64 - n2 eth0 $N2_4/24 $N2_6/64
    wire rt p3 198.51.100.1/24 2001:db8:f::1/64 - out eth0 $OUT4/24 $OUT6/64
    ip route add default via $RT4
    ip -6 route add default via $RT6
    in_ns n2 sh -c "ip addr add $FAR4/32 dev lo; ip addr add $FAR6/128 dev lo; \
        ip route add default via 10.2.0.1; ip -6 route add default via fd00:2::1"
    in_ns out sh -c "ip addr add $OUTFAR4/32 dev lo; ip addr add $OUTFAR6/128 dev lo; \
        ip route add default via 198.51.100.1; ip -6 route add default via 2001:db8:f::1"
    in_ns rt sh -c "ip route add 10.1.0.0/24 via $NODE4; ip -6 route add fd00:1::/64 via $NODE6; \
        ip route add $FAR4 via $N2_4 mtu lock 1300; ip -6 route add $FAR6 via $N2_6 mtu lock 1300; \
        ip route add $OUTFAR4 via $OUT4 mtu lock 1300; \
        ip -6 route add $OUTFAR6 via $OUT6 mtu lock 1300"
    kube_rules
}

kube_rules() {
    nft -f - <<'EOR'
table inet kube {
    counter native_flows_invalid { }
    counter native_invalid { }
    counter other_invalid { }
    chain forward {
        type filter hook forward priority 0; policy accept;
        ct state invalid ip saddr 10.0.0.0/12 ip daddr 10.0.0.0/12 meta l4proto {tcp, udp} counter name native_flows_invalid drop
        ct state invalid ip6 saddr fd00::/16 ip6 daddr fd00::/16 meta l4proto {tcp, udp} counter name native_flows_invalid drop
        ct state invalid ip saddr 10.0.0.0/12 ip daddr 10.0.0.0/12 counter name native_invalid drop
        ct state invalid ip6 saddr fd00::/16 ip6 daddr fd00::/16 counter name native_invalid drop
        ct state invalid counter name other_invalid drop
        ct state established,related accept
    }
}
EOR
}

counter_of() { # NAME [TABLE]: packets of a named nftables counter
    # shellcheck disable=SC2086
    nft list counter ${2:-inet kube} "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}
invalid_flows() { counter_of native_flows_invalid; }
invalid() { echo $(($(invalid_flows) + $(counter_of native_invalid))); }
# What conntrack itself calls invalid, on all processors, since the namespace exists.
ct_invalid() { # [NS]
    in_ns "${1:-node}" cat /proc/net/stat/nf_conntrack | {
        local -a names row
        local c n=0
        read -ra names
        for ((c = 0; c < ${#names[@]}; c++)); do [ "${names[c]}" != invalid ] || break; done
        while read -ra row; do n=$((n + 16#${row[c]})); done
        echo $n
    }
}

cni() { "$BUILD/tests/netns/cni" "$@"; }
ctl() { "$BUILD/podwirectl" "$@"; }

reasons_of() { # POD: lines "REASON PACKETS" of what this pod sent that was not redirected
    ctl endpoints --json | awk -F'"' -v dev="${HOSTIF[$1]}" '
        $2 == "device" { mine = $4 == dev }
        $2 == "reason" { reason = mine ? $4 : "" }
        $2 == "direction" && $4 != "from_pod" { reason = "" }
        $2 == "packets" && reason != "" { gsub(/[^0-9]/, "", $3); print reason, $3; reason = "" }'
}
reason_count() { # POD REASON: how many of them, for that reason
    reasons_of "$1" | awk -v r="$2" '$1 == r { n += $2 } END { print n + 0 }'
}

# Whether kinds that the machine's own kernel has are tested here: in a guest, only where all are.
own_kinds() { [ -z "${PODWIRE_VM:-}" ] || [ "${1:-}" = all ]; }

test_devices() {
    if [ -n "${PODWIRE_TEST_DEVICES:-}" ]; then
        echo "${PODWIRE_TEST_DEVICES//,/ }"
    elif [ ! -x "$BUILD/podwire" ]; then
        echo reference
    elif ctl status --json 2>/dev/null | grep -q '"netkit": true'; then
        if own_kinds "$@"; then echo veth netkit netkit-l2; else echo netkit netkit-l2; fi
    else
        echo veth
    fi
}

guest_devices() {
    GUESTS=()
    if [ -n "${PODWIRE_TEST_DEVICES:-}" ] || [ ! -x "$BUILD/podwire" ]; then
        return
    elif ! own_kinds "$@"; then
        return
    elif [ ! -c /dev/net/tun ]; then
        skip "no /dev/net/tun" "taps"
    else
        # shellcheck disable=SC2034 # read by tests
        GUESTS=(tap pod-tap)
    fi
}

pod_conf() { # [JQ]: the conflist for a pod of kind $DEVICE
    local ranges='"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]'
    if [ "$DEVICE" = reference ]; then
        echo '{"cniVersion": "1.0.0", "name": "podwire", "plugins": [{"type": "ptp", "ipMasq": false,
            "ipam": {"type": "host-local", '"$ranges"'}}]}'
    else
        echo '{"cniVersion": "1.1.0", "name": "podwire", "plugins": [{"type": "podwire",
            "device": "'"$DEVICE"'", "nativeRanges": ["10.0.0.0/12", "fd00::/16"],
            "ipam": {"type": "podwire", '"$ranges"'},
            "capabilities": {"mac": true, "ips": true, "ipRanges": true}}]}'
    fi | if [ -n "${1:-}" ]; then jq "$1"; else cat; fi # jq takes its time to start
}

pod_add() {
    local name=$1 sandbox=$1
    ns_add "$name"
    if [ "$DEVICE" = pod-tap ]; then
        sandbox=$name-vmm
        ns_add "$sandbox"
    fi
    pod_conf "${2:-}" >"$TMP/$name.conflist"
    if ! CNI_VARS=1 cni add "$TMP/$name.conflist" "id-$name" "/run/netns/$sandbox" eth0 >"$TMP/$name.result" 2>"$TMP/$name.err"; then
        diag "$(cat "$TMP/$name.result" "$TMP/$name.err")"
        bail "ADD of pod $name ($DEVICE) failed"
    fi
    local ip4 ip6 hostif cidr4 cidr6 gw4 gw6 mac mtu
    eval "$(cat "$TMP/$name.result")"
    # shellcheck disable=SC2154,SC2034 # set by eval; read by tests
    IP4[$name]=$ip4 IP6[$name]=$ip6 HOSTIF[$name]=$hostif
    case $DEVICE in
    tap) guest_up "$name" "node:$hostif" ;;
    pod-tap) guest_up "$name" "$sandbox:tap0" ;;
    esac
    [ -z "${PODWIRE_TEST_AFTER_ADD:-}" ] || eval "$PODWIRE_TEST_AFTER_ADD" # mutate.sh
    if [ "$DEVICE" = reference ]; then
        reference_masquerade
        ip -n "$name" link set eth0 up
    fi
}

# A guest: configured by what the result says, as an image's agent would, and by nothing else.
guest_up() { # NAME NS:TAP, with pod_add's variables
    "$BUILD/tests/netns/guest" "$2" "$1:eth0" "$mac" "$mtu" >"$TMP/$1.guest" || bail "no guest for $1"
    # So long that the stand-in for a VMM loses nothing when it gets no processor for a while.
    in_ns "${2%:*}" ip link set "${2#*:}" txqueuelen 10000
    in_ns "$1" sh -c "sysctl -qw net.ipv6.conf.eth0.accept_ra=0 && ip link set eth0 txqueuelen 10000 up && ip addr add $cidr4 dev eth0 &&
        ip addr add $cidr6 dev eth0 nodad && ip route add default via $gw4 &&
        ip -6 route add default via $gw6 dev eth0" || bail "guest $1 cannot be configured"
}

pod_del() {
    local sandbox=$1
    [ ! -e "/run/netns/$1-vmm" ] || sandbox=$1-vmm
    cni del "$TMP/$1.conflist" "id-$1" "/run/netns/$sandbox" eth0
    if [ -e "$TMP/$1.guest" ]; then
        kill "$(cat "$TMP/$1.guest")" 2>/dev/null || true
        rm "$TMP/$1.guest"
    fi
    [ "$sandbox" = "$1" ] || ip netns del "$sandbox"
    ip netns del "$1"
}

reference_masquerade() {
    nft -f - <<'EOR'
table inet refmasq
delete table inet refmasq
table inet refmasq {
    chain post {
        type nat hook postrouting priority 100;
        ip saddr 10.1.0.0/24 ip daddr != 10.0.0.0/12 oifname "up*" masquerade
        ip6 saddr fd00:1::/64 ip6 daddr != fd00::/16 oifname "up*" masquerade
    }
}
EOR
}

redirect() { [ "$DEVICE" = reference ] || ctl redirect "$1" >/dev/null; }

flows() { # PREFIX [pwt options] <SPECS
    local prefix=$1 verdict name rest seen=0 lost=0
    shift
    "$PWT" "$@" >"$TMP/flows" 2>"$TMP/flows.err" || true
    while IFS=$'\t' read -r verdict name rest; do
        seen=$((seen + 1))
        if [ "$verdict" = ok ]; then
            tap_result 0 "$prefix$name"
        else
            tap_result 1 "$prefix$name"
            diag "$rest"
            lost=1
        fi
    done <"$TMP/flows"
    # What a test knows of the places where packets may have been lost.
    [ $lost = 0 ] || ! declare -F where_lost >/dev/null || where_lost
    [ ! -s "$TMP/flows.err" ] || diag "$(cat "$TMP/flows.err")"
    if [ $seen = 0 ] || grep -q '^step ' "$TMP/flows.err"; then
        tap_result 1 "${prefix}flows and steps ran"
    fi
}
