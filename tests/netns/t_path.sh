#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which way packets really go: datagrams of one flow are counted at hooks and queues (path_check.bpf.c)
# and in the node's netfilter hooks. "queue" is how often one is put into a queue on its way; the
# wire itself adds two (up0 to rt, rt to the far end).
#   a peer redirect      passes neither netfilter nor the egress hook of the target's host end
#   a plain redirect     passes no netfilter, but the egress hook of the device it is sent out of
#   the stack            passes netfilter's prerouting and forward, and that egress hook
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"

N=16 PORT=4455

hooks() {
    nft -f - <<EOR
table inet pathcheck
delete table inet pathcheck
table inet pathcheck {
    counter pre { }
    counter forward { }
    counter post { }
    chain pre { type filter hook prerouting priority -350; udp dport $PORT counter name pre; }
    chain forward { type filter hook forward priority -350; udp dport $PORT counter name forward; }
    chain post { type filter hook postrouting priority -350; udp dport $PORT counter name post; }
}
EOR
}

# SIZE: the largest datagram. way NAME FROM TO DST "PLACE=PACKETS..."  where PLACE is pre, forward, post, queue, in:NS:IF, out:NS:IF
way() {
    local name=$1 from=$2 to=$3 dst=$4 want=$5 w place got=""
    local -a places=()
    hooks
    for w in $want; do
        place=${w%=*}
        case $place in in:* | out:*) places+=("${place/:/=}") ;; queue) places+=(queue) ;; esac
    done
    if ! "$BUILD/tests/netns/pathcheck" port=$PORT "${places[@]}" -- "$PWT" >"$TMP/way" 2>"$TMP/way.err" \
        <<<"udp x from=$from to=$to dst=$dst port=$PORT amount=$N size=${SIZE:-1000}"; then
        tap_result 1 "$name"
        diag "$(cat "$TMP/way" "$TMP/way.err")"
        return
    fi
    for w in $want; do
        place=${w%=*}
        case $place in
        in:* | out:* | queue) got+="$place=$(sed -n "s/^${place/:/=} //p" "$TMP/way") " ;;
        *) got+="$place=$(counter_of "$place" "inet pathcheck") " ;;
        esac
    done
    is "$name" "${got% }" "$want"
}

no_stack="pre=0 forward=0 post=0"
by_stack="pre=$N forward=$N post=$N"

# Rows for pod1 of kind $1 and pod2 of kind $2.
rows() {
    local from=$1 to=$2 s=${HOSTIF[pod1]} t=${HOSTIF[pod2]} f name dst
    # A netkit pod's packet is decided on before it is queued, and never gets to the primary.
    local seen=$N own=1 egress=0
    case $from in netkit*) seen=0 own=0 egress=$N ;; esac
    [ "$from" != reference ] || return 0
    for f in 4 6; do
        local -n ip=IP$f n2=N2_$f node=NODE$f out=OUT$f
        name="$from to $to, IPv$f"
        way "$name: pod to pod, redirected" pod1 pod2 "${ip[pod2]}" \
            "$no_stack in:node:$s=$seen out:node:$t=$egress in:pod2:eth0=$N queue=$N"
        [ "$from" = "$to" ] || continue
        "$PWT" >/dev/null <<<"icmp x from=pod1 to=n2 dst=$n2 amount=1" || true
        way "$name: pod to the wire, FIB redirect" pod1 n2 "$n2" \
            "$no_stack in:node:$s=$seen out:node:up0=$N queue=$((N * (own + 2)))"
        way "$name: wire to pod, peer redirect" n2 pod1 "${ip[pod1]}" \
            "$no_stack in:node:up0=$N out:node:$s=0 in:pod1:eth0=$N queue=$((N * 2))"
        ip neigh flush dev up0
        # Small ones: while the neighbour is unknown the kernel does not tell the way's MTU either.
        SIZE=300 way "$name: pod to the wire, neighbour unknown" pod1 n2 "$n2" \
            "$no_stack out:node:up0=$N queue=$((N * (own + 2)))"
        way "$name: host to pod" node pod1 "${ip[pod1]}" \
            "pre=0 forward=0 post=$N out:node:$s=$N in:pod1:eth0=$N queue=$N"
        way "$name: pod to host" pod1 node "$node" "pre=$N forward=0 post=0 in:node:$s=$N queue=$N"
        way "$name: pod to outside, by the stack" pod1 out "$out" \
            "$by_stack in:node:$s=$N out:node:up0=$N queue=$((N * 3))"
        way "$name: outside to pod, by the stack" out pod1 "${ip[pod1]}" \
            "$by_stack in:node:up0=$N out:node:$s=$N queue=$((N * 3))"
    done
    [ "$from" = "$to" ] || return 0
    redirect off
    for f in 4 6; do
        local -n ip=IP$f n2=N2_$f
        name="$from, redirection off, IPv$f"
        way "$name: pod to pod" pod1 pod2 "${ip[pod2]}" \
            "$by_stack in:node:$s=$N out:node:$t=$N in:pod2:eth0=$N queue=$((N * 2))"
        way "$name: pod to the wire" pod1 n2 "$n2" \
            "$by_stack in:node:$s=$N out:node:up0=$N queue=$((N * 3))"
        way "$name: wire to pod" n2 pod1 "${ip[pod1]}" \
            "$by_stack in:node:up0=$N out:node:$s=$N in:pod1:eth0=$N queue=$((N * 3))"
    done
    redirect on
}

topo_up
devices=$(test_devices)
for from in $devices; do
    for to in $devices; do
        DEVICE=$from pod_add pod1
        DEVICE=$to pod_add pod2
        export DEVICE=$from
        rows "$from" "$to"
        pod_del pod1
        pod_del pod2
    done
done
[ "$devices" != reference ] || skip "the plugin is not built" "ways of packets"
