# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# places: a flow of each protocol and family between every two places that must reach each other,
# with who the far end must see and the hop limit. For pods pod1 and pod2 in the topology of topo.sh.
port=5000
place_flow() { # NAME FROM TO DST [more]
    local f=4 proto
    [[ $4 != *:* ]] || f=6
    port=$((port + 1))
    for proto in tcp udp icmp; do
        echo "$proto $1/$proto$f from=$2 to=$3 dst=$4 port=$port ${*:5}"
    done
}

places() {
    local f
    for f in 4 6; do
        local -n ip=IP$f node=NODE$f n2=N2_$f out=OUT$f far=FAR$f outfar=OUTFAR$f
        place_flow pod-pod pod1 pod2 "${ip[pod2]}" peer="${ip[pod1]}" ttl=63
        place_flow host-pod node pod1 "${ip[pod1]}" ttl=64
        place_flow pod-host pod1 node "$node" peer="${ip[pod1]}" ttl=64
        place_flow pod-n2 pod1 n2 "$n2" peer="${ip[pod1]}" ttl=62
        place_flow n2-pod n2 pod1 "${ip[pod1]}" peer="$n2" ttl=62
        place_flow pod-out pod1 out "$out" peer="$node" ttl=62
        place_flow out-pod out pod1 "${ip[pod1]}" peer="$out" ttl=62
        place_flow pod-far pod1 n2 "$far" size=1400 df=1 peer="${ip[pod1]}"
        place_flow pod-outfar pod1 out "$outfar" size=1400 df=1 peer="$node"
        place_flow pod-self pod1 pod1 "${ip[pod1]}" peer="${ip[pod1]}" ttl=64
    done
}

# Unlike a pod's, a guest's kernel learns of a smaller MTU only after it has sent: datagrams first,
# which can be sent again, and not echo requests. For the flows of $TMP/specs.
learn_mtu() {
    [[ $DEVICE == *tap ]] || return 0
    grep 'far/udp' "$TMP/specs" >"$TMP/first"
    flows "$DEVICE, the path's MTU: " <"$TMP/first"
}
