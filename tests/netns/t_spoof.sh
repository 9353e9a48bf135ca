#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Case 36 of docs/vmm-net.md (a guest) and the same of containers.
# What a pod must not send is dropped, reaches nobody, and is counted under its own reason; what kernels
# send by themselves is dropped by name and is no spoofing; the node answers ARP and ND itself. Then a
# privileged pod that tries to get round it all.
# Seen to fail: mutate.sh guard-mac, guard-ip, guard-arp, guard-nd, guard-netkit (in a guest).
# pw-test: vm
# pw-test: timeout=300
# shellcheck disable=SC2086 # addresses, names and numbers: nothing to split
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"

craft() { # KIND [key=value]...
    "$BUILD/tests/netns/craft" from=$from smac=$pm dmac=$hm watch=pod2:eth0 watch=rt:p0 "$@" >"$TMP/craft" 2>&1
}
# Where processes are dear (a guest), most of the time would go into them: no subshells in what is
# called a hundred times, results in variables.
arrived() { # sets arrived, and said to the last line
    local line place n
    arrived=0 said=
    while IFS= read -r line; do
        said=$line
        read -r place n _ <<<"$line"
        [[ $place != pod2* && $place != rt* ]] || arrived=$((arrived + n))
    done <"$TMP/craft"
}

# Counters of pod1 are read once after each step: what they were before is what they were last.
declare -A now=() last=()
count() {
    local r n
    last=()
    for r in "${!now[@]}"; do last[$r]=${now[$r]}; done
    now=()
    while read -r r n; do now[$r]=$n; done < <(reasons_of pod1)
}

# dropped NAME REASON KIND...: three such packets go nowhere, and count as REASON
dropped() {
    local name=$1 reason=$2 n
    shift 2
    craft "$@" || diag "$(cat "$TMP/craft")"
    count
    n=$((${now[$reason]:-0} - ${last[$reason]:-0}))
    arrived
    case $reason in MLD | ROUTER_SOLICIT | SOLICITED) [ $n -le 3 ] || n=3 ;; esac # its kernel sends such too
    is "$DEVICE: $name" "$arrived arrived, $n $reason" "0 arrived, 3 $reason"
}
answered() { # NAME KIND...: three answers with the host end's MAC, and nobody else sees it
    local name=$1
    shift
    craft "$@" || diag "$(cat "$TMP/craft")"
    count
    arrived
    is "$DEVICE: $name" "$arrived arrived, $said" "0 arrived, answer $hm 3"
}
passed() { # NAME PLACE KIND...
    local name=$1 place=$2
    shift 2
    craft "$@" || diag "$(cat "$TMP/craft")"
    is "$DEVICE: $name" "$(grep "^$place" "$TMP/craft")" "$place 3"
    count
}
spoofed() { # all that counts as spoofing, of pod1
    reasons_of pod1 | awk '/^SPOOF_(MAC|IP4|IP6|ARP|ND) / { n += $2 } END { print n + 0 }'
}

everything() {
    local l2=$1 a4=${IP4[pod1]} a6=${IP6[pod1]} b4=${IP4[pod2]} b6=${IP6[pod2]} other=02:00:00:99:99:99 before
    local rs=ROUTER_SOLICIT dhcp4=DHCP_CLIENT dhcp6=DHCP_CLIENT
    # A guest is answered; ports and nothing of DHCP behind them are no question (t_autoconf has real ones).
    [[ $DEVICE != *tap ]] || rs=SOLICITED dhcp4=MALFORMED dhcp6=MALFORMED

    passed "a plain datagram to a pod arrives" pod2:eth0 udp src=$a4 dst=$b4
    passed "the same over IPv6" pod2:eth0 udp src=$a6 dst=$b6
    passed "and to the wire" rt:p0 udp src=$a4 dst=$N2_4
    if [ $l2 = 1 ]; then
        dropped "foreign MAC, IPv4" SPOOF_MAC udp smac=$other src=$a4 dst=$b4
        dropped "foreign MAC, IPv6" SPOOF_MAC udp smac=$other src=$a6 dst=$b6
        dropped "foreign MAC, to the host" SPOOF_MAC udp smac=$other src=$a4 dst=$NODE4
        dropped "foreign MAC in the frame of an ARP request" SPOOF_MAC arp-request smac=$other sha=$other spa=$a4 tpa=$b4
    fi
    dropped "another pod's IPv4 address" SPOOF_IP4 udp src=$b4 dst=$b4
    dropped "another pod's IPv4 address, to the wire" SPOOF_IP4 udp src=$b4 dst=$N2_4
    dropped "the node's IPv4 address" SPOOF_IP4 udp src=$NODE4 dst=$b4
    dropped "the node's IPv4 address, to outside" SPOOF_IP4 udp src=$NODE4 dst=$OUT4
    dropped "an IPv4 address of nobody" SPOOF_IP4 udp src=10.9.9.9 dst=$b4
    dropped "127.0.0.1" SPOOF_IP4 udp src=127.0.0.1 dst=$NODE4
    dropped "0.0.0.0" SPOOF_IP4 udp src=0.0.0.0 dst=$b4
    dropped "a multicast source" SPOOF_IP4 udp src=224.0.0.1 dst=$b4
    dropped "another pod's IPv6 address" SPOOF_IP6 udp src=$b6 dst=$b6
    dropped "another pod's IPv6 address, to the wire" SPOOF_IP6 udp src=$b6 dst=$N2_6
    dropped "the node's IPv6 address" SPOOF_IP6 udp src=$NODE6 dst=$b6
    dropped "::1" SPOOF_IP6 udp src=::1 dst=$NODE6
    dropped "::" SPOOF_IP6 udp src=:: dst=$b6
    dropped "a router advertisement" RA_FROM_POD ra src=fe80::1 dst=ff02::1
    dropped "a redirect" RA_FROM_POD redirect src=fe80::1 dst=$b6 target=fe80::5
    dropped "an answer of a DHCP server" DHCP_SERVER dhcp-server src=$a4 dst=$b4
    dropped "an answer of a DHCPv6 server" DHCP_SERVER dhcp-server src=$a6 dst=$b6
    dropped "a VLAN tag" VLAN vlan src=$a4 dst=$b4
    dropped "another EtherType" ETHERTYPE ethertype src=$a4 dst=$b4
    if [ $l2 = 1 ]; then
        dropped "ARP: request for another pod's address as sender" SPOOF_ARP arp-request sha=$pm spa=$b4 tpa=$NODE4
        dropped "ARP: reply for the gateway" SPOOF_ARP arp-reply sha=$pm spa=169.254.1.1 tpa=$b4
        dropped "ARP: another MAC as sender" SPOOF_ARP arp-request sha=$other spa=$a4 tpa=$b4
        dropped "ND: advertisement of another pod's address" SPOOF_ND na src=$a6 dst=ff02::1 target=$b6 lladdr=$pm
        dropped "ND: advertisement of the gateway" SPOOF_ND na src=$a6 dst=ff02::1 target=fe80::1 lladdr=$pm
        dropped "ND: own address with another MAC" SPOOF_ND na src=$a6 dst=ff02::1 target=$a6 lladdr=$other
        dropped "ND: solicitation with another MAC" SPOOF_ND ns src=$a6 dst=ff02::1:ff00:1 target=fe80::1 lladdr=$other
        dropped "ND: solicitation from another pod's address" SPOOF_IP6 ns src=$b6 dst=ff02::1:ff00:1 target=fe80::1 lladdr=$pm
        answered "ARP for the gateway is answered" arp-request sha=$pm spa=$a4 tpa=169.254.1.1
        answered "ARP for another pod is answered with the node's MAC" arp-request sha=$pm spa=$a4 tpa=$b4
        answered "ND for the gateway is answered" ns src=$a6 dst=ff02::1:ff00:1 target=fe80::1 lladdr=$pm
        answered "ND for another pod is answered with the node's MAC" ns src=$a6 dst=ff02::1:ff00:3 target=$b6 lladdr=$pm
    else
        dropped "ARP on a layer 3 device" ETHERTYPE arp-request sha=$other spa=$a4 tpa=$b4
    fi
    before=$(spoofed)
    if [ $l2 = 1 ]; then
        dropped "ARP probe" ARP_PROBE arp-request sha=$pm spa=0.0.0.0 tpa=$a4
        dropped "ARP announcement" ARP_PROBE arp-request sha=$pm spa=$a4 tpa=$a4
    fi
    dropped "duplicate address detection" DAD dad src=:: dst=ff02::1:ff00:2 target=$a6
    dropped "listener report from ::" MLD mld src=:: dst=ff02::16
    dropped "listener report from fe80::" MLD mld src=fe80::77 dst=ff02::16
    dropped "router solicitation" $rs rs src=fe80::77 dst=ff02::2
    dropped "router solicitation from ::" $rs rs src=:: dst=ff02::2
    dropped "a datagram from fe80::" LINK_LOCAL udp src=fe80::77 dst=$b6
    dropped "DHCP discover" $dhcp4 dhcp-client src=0.0.0.0 dst=255.255.255.255
    dropped "DHCPv6 solicit" $dhcp6 dhcp-client src=fe80::77 dst=ff02::1:2
    dropped "IPv4 multicast" MULTICAST udp src=$a4 dst=224.0.0.9
    dropped "IPv4 broadcast" MULTICAST udp src=$a4 dst=255.255.255.255
    dropped "IPv6 multicast" MULTICAST udp src=$a6 dst=ff02::9
    is "$DEVICE: none of these counts as spoofing" "$(($(spoofed) - before))" 0
}

# What a kernel sends by itself when its device comes up with an address of its own making.
real_kernel() {
    in_ns pod3 sh -c 'ip link set eth0 down
        echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad
        echo 1 >/proc/sys/net/ipv6/conf/eth0/router_solicitation_interval
        ip link set eth0 addrgenmode eui64
        echo 0 >/proc/sys/net/ipv6/conf/eth0/forwarding
        ip link set eth0 up
        ip addr add fd00:1::dad/64 dev eth0'
    named() { reasons_of pod3 | awk '/^(DAD|MLD|ROUTER_SOLICIT|LINK_LOCAL) / { n += $2 } END { exit n <= 2 }'; }
    ok "$DEVICE: what a real kernel sends by itself is known by name" wait_for 30 named
    for r in SPOOF_MAC SPOOF_IP6 SPOOF_ND SPOOF_ARP SPOOF_IP4 MALFORMED; do
        is "$DEVICE: and none of it is $r" "$(reason_count pod3 $r)" 0
    done
}

# A pod that may do everything with its own network.
in_pod() { # COMMAND... with CAP_NET_ADMIN and CAP_NET_RAW only
    nsenter --net=/run/netns/pod1 -- setpriv --bounding-set=-all,+net_admin,+net_raw \
        --inh-caps=-all -- "$@"
}
speak() { "$PWT" <<<"$1"; }
privileged() {
    local l2=$1 host=${HOSTIF[pod1]} b4=${IP4[pod2]} b6=${IP6[pod2]} before pin id
    for pin in /sys/fs/bpf/podwire/links/"$host":*; do
        id=$( (bpftool link show pinned "$pin" || true) | sed -n '1s/:.*//p')
        like "$DEVICE: ${pin##*/} is a link" "$id" '^[0-9]+$'
        nok "$DEVICE: it cannot detach ${pin##*:}" in_pod bpftool link detach id "$id"
    done
    in_pod tc qdisc add dev eth0 clsact 2>/dev/null || true
    in_pod tc filter del dev eth0 ingress 2>/dev/null || true
    in_pod tc filter del dev eth0 egress 2>/dev/null || true
    count
    dropped "after it cleared its own filters: another pod's address" SPOOF_IP4 udp src=$b4 dst=$b4
    in_pod ip addr add $b4/32 dev eth0
    before=$(spoofed) # a guest asks for its gateway first, and is stopped at that
    ok "$DEVICE: it cannot speak from an address it gave itself" speak "udp x from=pod1 to=n2 dst=$N2_4 port=99 src=$b4 fails=1"
    isnt "$DEVICE: which is counted" "$(spoofed)" "$before"
    in_pod ip addr del $b4/32 dev eth0
    if [ $l2 = 1 ]; then
        before=$(reason_count pod1 SPOOF_MAC)
        in_pod ip link set eth0 address 02:00:00:99:99:99
        ok "$DEVICE: it cannot speak with a MAC it gave itself" speak "udp x from=pod1 to=pod2 dst=$b4 port=98 fails=1"
        isnt "$DEVICE: which is counted as well" "$(reason_count pod1 SPOOF_MAC)" "$before"
        in_pod ip link set eth0 address $pm
        ok "$DEVICE: with its own MAC it can" speak "udp x from=pod1 to=pod2 dst=$b4 port=97"
    fi

    [[ $DEVICE != *tap ]] || return 0 # a guest's programs are inside the guest

    # Programs of its own hand its packets to the host end past the peer hook.
    local round="$BUILD/tests/netns/round pod1:eth0 4466"
    before=$(reason_count pod1 SPOOF_IP4)
    ok "$DEVICE: it can go round the peer hook" $round "$BUILD/tests/netns/craft" from=pod1:eth0 \
        smac=$pm dmac=$hm watch=pod2:eth0 watch=rt:p0 udp src=$b4 dst=$b4 dport=4466
    grep -E '^(pod2|rt)' "$TMP/.out" >"$TMP/craft"
    arrived
    is "$DEVICE: but a spoofed packet gets no further" \
        "$arrived arrived, $(($(reason_count pod1 SPOOF_IP4) - before))" "0 arrived, 3"
    before=$(reason_count pod1 SPOOF_IP6)
    ok "$DEVICE: the same over IPv6" $round "$BUILD/tests/netns/craft" from=pod1:eth0 \
        smac=$pm dmac=$hm watch=pod2:eth0 watch=rt:p0 udp src=$b6 dst=$N2_6 dport=4466
    grep -E '^(pod2|rt)' "$TMP/.out" >"$TMP/craft"
    arrived
    is "$DEVICE: gets no further either" \
        "$arrived arrived, $(($(reason_count pod1 SPOOF_IP6) - before))" "0 arrived, 3"
    ok "$DEVICE: an honest packet on that way" $round "$BUILD/tests/netns/craft" from=pod1:eth0 \
        smac=$pm dmac=$hm watch=pod2:eth0 udp src=${IP4[pod1]} dst=$b4 dport=4466
    is "$DEVICE: arrives" "$(grep ^pod2 "$TMP/.out")" "pod2:eth0 3"
    if [[ $DEVICE == netkit* ]]; then
        nok "$DEVICE: it cannot change the pair's policy" in_pod ip link set eth0 type netkit peer forward
    fi
    evading
    count
    # Past its own queues and programs, by the driver; and by XDP.
    dropped "straight to the driver: another pod's address" SPOOF_IP4 udp direct=1 src=$b4 dst=$b4
    passed "straight to the driver: an honest packet" pod2:eth0 udp direct=1 src=${IP4[pod1]} dst=$b4
    round="$BUILD/tests/netns/round --xdp pod1:eth0 4467"
    before=$(reason_count pod1 SPOOF_IP4)
    ok "$DEVICE: it can send by XDP" $round "$BUILD/tests/netns/craft" from=pod1:eth0 \
        smac=$pm dmac=$hm watch=pod2:eth0 watch=rt:p0 udp src=$b4 dst=$b4 dport=4467
    grep -E '^(pod2|rt)' "$TMP/.out" >"$TMP/craft"
    arrived
    is "$DEVICE: but a spoofed packet gets no further from there" \
        "$arrived arrived, $(($(reason_count pod1 SPOOF_IP4) - before))" "0 arrived, 3"
    ok "$DEVICE: an honest packet by XDP" $round "$BUILD/tests/netns/craft" from=pod1:eth0 \
        smac=$pm dmac=$hm watch=pod2:eth0 udp src=${IP4[pod1]} dst=$b4 dport=4467
    is "$DEVICE: arrives as well" "$(grep ^pod2 "$TMP/.out")" "pod2:eth0 3"
    # Its device in another namespace, under another name.
    ns_add elsewhere
    ok "$DEVICE: it can move its device" in_pod ip link set eth0 netns elsewhere name gone0
    ip -n elsewhere link set gone0 up
    from=elsewhere:gone0
    count
    dropped "from there: another pod's address" SPOOF_IP4 udp src=$b4 dst=$b4
    passed "from there: an honest packet" pod2:eth0 udp src=${IP4[pod1]} dst=$b4
    from=pod1:eth0
    ip -n elsewhere link set gone0 netns pod1 name eth0
    ip netns del elsewhere
}

# With BPF of its own: at the hooks of its pair, and at what the node has attached there.
evading() {
    local host=${HOSTIF[pod1]} pin what=() verdict name hooks=0 index=-
    for pin in /sys/fs/bpf/podwire/links/"$host":*; do
        # bpftool of some versions does not end well here.
        (bpftool link show pinned "$pin" || true) >"$TMP/link"
        what+=("link:$(sed -n '1s/:.*//p' "$TMP/link")"
            "prog:$(sed -nE '1s/.* prog ([0-9]+).*/\1/p' "$TMP/link")")
    done
    what+=("map:$(bpftool map show pinned /sys/fs/bpf/podwire/maps-1/pw_ip4 | sed -n '1s/:.*//p')")
    if [[ $DEVICE == netkit* ]]; then hooks=12 index=$(cat "/sys/class/net/$host/ifindex"); fi
    "$BUILD/tests/netns/evade" pod1:eth0 "$index" "${what[@]}" >"$TMP/evade" 2>&1 || diag "$(cat "$TMP/evade")"
    is "$DEVICE: attempts with BPF of its own" "$(grep -c . "$TMP/evade")" $((hooks + ${#what[@]}))
    while read -r verdict name; do
        is "$DEVICE: $name" "$verdict" refused
    done <"$TMP/evade"
    [[ $DEVICE == netkit* ]] || return 0
    # The same from where it is allowed, or all this would say nothing.
    "$BUILD/tests/netns/evade" "node:$host" 1 >"$TMP/evade" 2>&1 || diag "$(cat "$TMP/evade")"
    is "$DEVICE: the node can do all that at the hooks" "$(grep -c "^done .*by its own end" "$TMP/evade")" 6
}

from=pod1:eth0
topo_up
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
guest_devices
for DEVICE in $(test_devices all) "${GUESTS[@]}"; do
    pod_add pod1
    pod_add pod2
    pod_add pod3
    pm=$(mac pod1 eth0) hm=$(mac node "${HOSTIF[pod1]}")
    l2=1
    [ $DEVICE != netkit ] || l2=0 pm=02:00:00:00:00:01 hm=00:00:00:00:00:00
    everything $l2
    real_kernel
    privileged $l2
    pod_del pod1
    pod_del pod2
    pod_del pod3
done
