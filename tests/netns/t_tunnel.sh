#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The way of packets between nodes, counted at hooks and in netfilter of both nodes: natively from the
# pod to the wire and from the wire into the pod; by the tunnel, through its device and past the stack
# on either side. Then sizes on the wire: segments, checksums and the pods' MTU; and flows that a node
# translates, which the stack carries both ways. The nodes' connection tracking sees nothing of the outside.
# Seen to fail: without PW_PATH_TUNNEL in bpf/lib/resolve.h, with bpf_redirect in the place of
# bpf_redirect_peer, with a pod's MTU of 1500.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/cluster.sh"
. "$TOP/tests/netns/way.sh"
need ip nft jq nsenter ethtool

# shellcheck disable=SC2034 # read by way.sh
WAY_NODES="a b"
cluster_up
watch_rules
routing auto >/dev/null
no_stack="a.pre=0 a.forward=0 a.post=0 b.pre=0 b.forward=0 b.post=0"
by_stack="a.pre=$N a.forward=$N a.post=$N b.pre=$N b.forward=$N b.post=$N"
for DEVICE in $(test_devices); do
    cpod a pa
    cpod b pb
    from=${CHOST[pa]} to=${CHOST[pb]}
    enters=$N
    [[ $DEVICE != netkit* ]] || enters=0
    "$PWT" >/dev/null <<<"udp w from=pa to=pb dst=${CPOD4[pb]} port=9 amount=2
udp v from=pa to=pb dst=${CPOD6[pb]} port=9 amount=2"
    # Of auto and vxlan alike: who sends, and who gets.
    for routing in auto vxlan; do
        routing $routing >/dev/null
        by=podwire-vxlan
        [ $routing = vxlan ] || by=up0
        way "$DEVICE, $routing: past the stack on both nodes" pa pb "${CPOD4[pb]}" "${CPOD6[pb]}" \
            "$no_stack in:node:$from=$enters out:node:$by=$N in:node-b:$by=$N out:node-b:$to=0 in:pb:eth0=$N"
        all off
        way "$DEVICE, $routing, redirection off: by the stack on both" pa pb "${CPOD4[pb]}" "${CPOD6[pb]}" \
            "$by_stack in:node:$from=$N out:node:$by=$N in:node-b:$by=$N out:node-b:$to=$N in:pb:eth0=$N"
        all on
        [ $routing = vxlan ] && via=tunnel || via=redirect
        for f in 4 6; do
            declare -n ip=CPOD$f
            is "$DEVICE, $routing: podwirectl path says so, IPv$f" \
                "$("$BUILD/podwirectl" path "${ip[pa]}" "${ip[pb]}" --json | sed -n '0,/"via"/s/.*"via": "\(.*\)".*/\1/p')" "$via"
        done
    done
    cpod_del a pa
    cpod_del b pb
done

# --- sizes ---
# No offload on the wire: what passes sw are the packets that a real one would carry.
in_ns sw nft -f - <<'EOR'
table bridge wire {
    counter long { }
    counter fragments { }
    counter bare { }
    counter outer { }
    chain forward {
        type filter hook forward priority 0;
        meta length > 1500 counter name long
        ether type ip ip frag-off & 0x3fff != 0 counter name fragments
        ip saddr 10.0.0.0/12 counter name bare
        udp dport 4789 counter name outer
    }
}
EOR
for node in a b; do
    on $node nft -f - <<'EOR'
table inet outside {
    counter untracked { }
    counter tracked { }
    chain count { meta oifname "pw-*" return; udp dport 4789 ct state untracked counter name untracked return; udp dport 4789 counter name tracked; }
    chain in { type filter hook input priority 0; jump count; }
    chain out { type filter hook output priority 0; jump count; }
    chain forward { type filter hook forward priority 0; jump count; }
}
EOR
done
wire_count() { in_ns sw nft list counter bridge wire "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; }
bulk() {
    local f
    for f in 4 6; do
        local -n ip=CPOD$f
        echo "tcp \"stream, IPv$f\" from=pa to=pb dst=${ip[pb]} port=70 amount=${1:-8000000}"
        echo "udp \"datagrams as large as can be, IPv$f\" from=pa to=pb dst=${ip[pb]} port=71 amount=100 size=$((f == 4 ? 1422 : 1402)) df=1"
        echo "udp \"datagrams that the pod cuts, IPv$f\" from=pa to=pb dst=${ip[pb]} port=72 amount=50 size=6000"
    done
}
amount=8000000
[ -z "${PW_QUIET:-}" ] || amount=500000
for DEVICE in $(test_devices); do
    cpod a pa
    cpod b pb
    bulk $amount >"$TMP/specs"
    flows "$DEVICE, offloads of the wire on: " <"$TMP/specs"
    for node in a b; do on $node ethtool -K up0 tso off gso off >/dev/null 2>&1; done
    in_ns sw nft reset counters >/dev/null
    flows "$DEVICE, segments made before the wire: " <"$TMP/specs"
    is "$DEVICE: none too long, none cut outside, none bare" \
        "$(wire_count long) $(wire_count fragments) $(wire_count bare)" "0 0 0"
    ok "$DEVICE: all of it by the tunnel" test "$(wire_count outer)" -gt $((amount / 1000))
    for node in a b; do on $node ethtool -K up0 tx off >/dev/null 2>&1; done
    flows "$DEVICE, sums made before the wire: " <"$TMP/specs"
    for node in a b; do on $node ethtool -K up0 tx on tso on gso on >/dev/null 2>&1; done
    cpod_del a pa
    cpod_del b pb
done
# Pods that were there before the tunnel was, with the wire's MTU: they are told. From native to vxlan
# a cluster goes by auto, in which every node takes what comes by either way.
routing native >/dev/null
cpod a pa
cpod b pb
like "a pod without a tunnel has the wire's MTU" "$(in_ns pa ip link show eth0)" 'mtu 1500'
{
    echo "tcp \"stream 4\" from=pa to=pb dst=${CPOD4[pb]} port=70"
    echo "tcp \"stream 6\" from=pa to=pb dst=${CPOD6[pb]} port=70"
} >"$TMP/streams"
steps=()
for step in "a auto" "b auto" "a vxlan" "b vxlan" "b auto" "a auto" "b native" "a native"; do
    read -r node r <<<"$step"
    steps+=(-s "$(step "peers $node $r >/dev/null")")
done
in_ns sw nft reset counters >/dev/null
flows "the tunnel comes and goes under streams of large packets: " -q $((amount / 4)) -n 2 "${steps[@]}" <"$TMP/streams"
is "they learn its size: nothing is cut outside" "$(wire_count fragments)" 0

# --- what connection tracking sees ---
outside() { on "$1" nft list counter inet outside "$2" | sed -n 's/.*packets \([0-9]*\).*/\1/p'; } # NODE COUNTER
routing vxlan >/dev/null
is "no outer packet is tracked, in or out" "$(outside a tracked) $(outside b tracked)" "0 0"
for node in a b; do ok "  of many, on node $node" test "$(outside $node untracked)" -gt $((amount / 1000)); done
flows "" <<<"udp \"a pod's own VXLAN, masqueraded\" from=pa to=sw dst=172.16.0.254 port=4789 peer=172.16.0.1"
ok "  is tracked" test "$(outside a tracked)" -gt 0

# --- translated flows ---
for f in 4 6; do
    declare -n ip=CPOD$f node=N$f
    [ $f = 4 ] && family=ip vip=10.96.0.10 || family=ip6 vip=fd96::10
    { # A Service of a pod on b, asked on a; and a NodePort on b to a pod on a.
        echo "table $family services {"
        echo "chain pre { type nat hook prerouting priority -100; $family daddr $vip tcp dport 80 dnat to $([ $f = 4 ] && echo "${ip[pb]}:80" || echo "[${ip[pb]}]:80"); }"
        echo "chain out { type nat hook output priority -100; $family daddr $vip tcp dport 80 dnat to $([ $f = 4 ] && echo "${ip[pb]}:80" || echo "[${ip[pb]}]:80"); }"
        echo "chain post { type nat hook postrouting priority 90; ct status dnat $family saddr ${node[a]} masquerade; }"
        echo "}"
    } | nft -f -
    {
        echo "table $family services {"
        echo "chain pre { type nat hook prerouting priority -100; $family daddr ${node[b]} tcp dport 30080 dnat to $([ $f = 4 ] && echo "${ip[pa]}:80" || echo "[${ip[pa]}]:80"); }"
        echo "chain post { type nat hook postrouting priority 90; ct status dnat masquerade; }"
        echo "}"
    } >"$TMP/nodeport"
    on b nft -f "$TMP/nodeport"
    echo "tcp \"a Service on another node, IPv$f\" from=pa to=pb dst=$vip at=${ip[pb]} port=80 peer=${ip[pa]} amount=500000"
    echo "tcp \"the same straight, IPv$f\" from=pa to=pb dst=${ip[pb]} port=81 peer=${ip[pa]} amount=500000"
    echo "tcp \"a node's own use of it, IPv$f\" from=node to=pb dst=$vip at=${ip[pb]} atport=82 port=80 amount=50000" | sed 's/ atport=82//; s/port=80/port=80/'
    echo "tcp \"a NodePort to a pod elsewhere, IPv$f\" from=sw to=pa dst=${node[b]} at=${ip[pa]} atport=80 port=30080 amount=500000"
done >"$TMP/nat"
grep -v "a node's own use" "$TMP/nat" >"$TMP/nat1"
grep "a node's own use" "$TMP/nat" >"$TMP/nat2"
for mode in on off; do
    all $mode
    flows "translated, redirection $mode: " <"$TMP/nat1"
    flows "translated, redirection $mode: " <"$TMP/nat2"
done
all on
flows "translated, switched: " -q $((amount / 16)) -n 2 -s "$BUILD/podwirectl redirect off >/dev/null" \
    -s "$BUILD/podwirectl redirect on >/dev/null" <"$TMP/nat1"
is "nothing is INVALID" "$(node_invalid a) $(node_invalid b)" "0 0"
