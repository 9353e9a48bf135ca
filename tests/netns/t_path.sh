#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Which way packets really go: datagrams of one flow are counted at hooks and queues (path_check.bpf.c)
# and in the node's netfilter hooks. "queue" is how often one is put into a queue on its way; the
# wire itself adds two (up0 to rt, rt to the far end).
#   a peer redirect      passes neither netfilter nor the egress hook of the target's host end
#   a plain redirect     passes no netfilter, but the egress hook of the device it is sent out of
#   a pass               as a peer redirect, but arrives at the ingress hook of the target's host end
#   the stack            passes netfilter's prerouting and forward, and that egress hook
# Each count is the sum of an IPv4 flow and an IPv6 flow of the same length.
# Seen to fail: mutate.sh plain-redirect, wire-by-stack.
# pw-test: vm
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/way.sh"

no_stack="pre=0 forward=0 post=0"
by_stack="pre=$N forward=$N post=$N"

# A netkit pod's packet is decided on before it is queued, and never gets to its own primary; it gets
# to that of another netkit pod, whose guard hands it on. A guest's
# frame is written into its tap, and so is in no queue; into one, frames are sent like out of any
# device (a tap has no peer).
pod_to_pod() { # KIND POD KIND POD
    local enters=$N egress=0 arrives=0 queue=$N
    case $1 in netkit*) enters=0 egress=$N ;; *tap) queue=0 ;; esac
    case $1:$3 in netkit*:netkit) egress=0 arrives=$N ;; esac
    case $1:$3 in *:tap) egress=$N ;; esac
    case $1:$3 in netkit*:tap) queue=0 ;; esac
    way "$1 to $3: pod to pod, redirected" "$2" "$4" "${IP4[$4]}" "${IP6[$4]}" \
        "$no_stack in:node:${HOSTIF[$2]}=$enters out:node:${HOSTIF[$4]}=$egress in:node:${HOSTIF[$4]}=$arrives in:$4:eth0=$N queue=$queue"
}

rows() { # KIND POD POD
    local kind=$1 one=$2 two=$3 s=${HOSTIF[$2]} t=${HOSTIF[$3]} enters=$N own=1 sent=1 to=1 egress=0
    local to_a="${IP4[$2]} ${IP6[$2]}" to_n2="$N2_4 $N2_6"
    # Queues: own, of what is redirected; sent and to, by the stack from it and to it. egress:
    # how often a packet from the wire is sent out of its host end.
    case $kind in netkit*) enters=0 own=0 ;; pod-tap) own=0 sent=0 ;; tap) own=0 sent=0 to=0 egress=$N ;; esac
    "$PWT" >/dev/null <<<"icmp a from=$one to=n2 dst=$N2_4 amount=1
icmp b from=$one to=n2 dst=$N2_6 amount=1" || true
    # shellcheck disable=SC2086 # two addresses each
    {
        way "$kind: pod to the wire, FIB redirect" $one n2 $to_n2 \
            "$no_stack in:node:$s=$enters out:node:up0=$N queue=$((N * (own + 2)))"
        way "$kind: wire to pod, peer redirect" n2 $one $to_a \
            "$no_stack in:node:up0=$N out:node:$s=$egress in:$one:eth0=$N queue=$((N * 2))"
        ip neigh flush dev up0
        # Small ones: while the neighbour is unknown the kernel does not tell the way's MTU either.
        SIZE=300 way "$kind: pod to the wire, neighbour unknown" $one n2 $to_n2 \
            "$no_stack out:node:up0=$N queue=$((N * (own + 2)))"
        way "$kind: host to pod" node $one $to_a \
            "pre=0 forward=0 post=$N out:node:$s=$N in:$one:eth0=$N queue=$((N * to))"
        way "$kind: pod to host" $one node $NODE4 $NODE6 "pre=$N forward=0 post=0 in:node:$s=$N queue=$((N * sent))"
        way "$kind: pod to outside, by the stack" $one out $OUT4 $OUT6 \
            "$by_stack in:node:$s=$N out:node:up0=$N queue=$((N * (sent + 2)))"
        way "$kind: outside to pod, by the stack" out $one $to_a \
            "$by_stack in:node:up0=$N out:node:$s=$N queue=$((N * (to + 2)))"
        redirect off
        way "$kind, redirection off: pod to pod" $one $two ${IP4[$two]} ${IP6[$two]} \
            "$by_stack in:node:$s=$N out:node:$t=$N in:$two:eth0=$N queue=$((N * (sent + to)))"
        way "$kind, redirection off: pod to the wire" $one n2 $to_n2 \
            "$by_stack in:node:$s=$N out:node:up0=$N queue=$((N * (sent + 2)))"
        way "$kind, redirection off: wire to pod" n2 $one $to_a \
            "$by_stack in:node:up0=$N out:node:$s=$N in:$one:eth0=$N queue=$((N * (to + 2)))"
        redirect on
    }
}

topo_up
watch_rules
[ -x "$BUILD/podwire" ] || skip_all "the plugin is not built"
read -ra devices < <(test_devices all)
guest_devices all # netkit to a tap and back is a way of its own
devices+=("${GUESTS[@]}")
for DEVICE in "${devices[@]}"; do
    pod_add "$DEVICE-1"
    pod_add "$DEVICE-2"
done
for from in "${devices[@]}"; do
    for to in "${devices[@]}"; do pod_to_pod "$from" "$from-1" "$to" "$to-2"; done
    export DEVICE=$from
    rows "$from" "$from-1" "$from-2"
done

# netkit's properties beyond the programs: shut without them; scrubbed, with room for encapsulation
# where the kernel has that (the newest one has).
has() { ctl status --json | jq -r ".features.$1"; }
[ "${PODWIRE_VM:-}" != newest ] || is "this kernel has scrub, and head- and tailroom" "$(has netkitScrub) $(has netkitRoom)" "true true"
for d in "${devices[@]}"; do
    [[ $d == netkit* ]] || continue
    want="netkit primary 1 policy 0 peer 2"
    [ "$(has netkitScrub)" = false ] || want+=" scrub 1 peer 1"
    [ "$(has netkitRoom)" = false ] || want+=" headroom 64 tailroom 32"
    is "$d: as the kernel tells it" "$("$BUILD/tests/netns/dptool" netkit "${HOSTIF[$d-1]}")" "$want"
done

# What podwirectl says of them.
for from in "${devices[@]}"; do
    for to in "${devices[@]}"; do
        via=peer
        case $from:$to in netkit*:netkit) via=pass ;; netkit*:* | *:tap) via=redirect ;; esac
        for ip in IP4 IP6; do
            declare -n addr=$ip
            is "podwirectl path, $from to $to: $via, ${ip/IP/IPv}" \
                "$(ctl path "${addr[$from-1]}" "${addr[$to-2]}" --json | sed -n '0,/"via"/s/.*"via": "\(.*\)".*/\1/p')" $via
        done
    done
done
