# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Services as kube-proxy's nftables mode lays them out, written from the documentation of its table
# (hooks, priorities, sets and maps): one table for each family, verdict maps from address, protocol
# and port to a chain for each Service, a chain for each endpoint, affinity by a set with a time-out,
# policy Local by a chain of its own, and the drop of what conntrack calls INVALID. Source after topo.sh.
#
#   kube_nft FAMILY <SERVICES     the whole table anew; a line for a Service:
#       NAME ADDR PORT NODEPORT|- Cluster|Local None|ClientIP ENDPOINT...
#       an endpoint is ADDR,PORT,here|away; a Service of no endpoint refuses
#   kube_nft_move FAMILY NAME ENDPOINT...   gives a Service other endpoints, in one transaction
#   kube_nft_gone
#   both NAME FROM TO SPEC...        flows by TCP and UDP;  one_by_one PREFIX <SPECS: to one server's port
#   affinity PREFIX CLIENT SPEC ENDPOINT...   a client is kept at one of the endpoints (namespaces)
#
# NFT="on b nft" has the table on another node (cluster.sh), whose addresses NODE4 and NODE6 must be then.
# NODE4, NODE6 are the node's NodePort addresses; pods' own range is $POD_RANGE4, $POD_RANGE6.
export POD_RANGE4=10.0.0.0/12 POD_RANGE6=fd00::/16

knft_family() { # FAMILY: sets fam type node range vips
    if [ "$1" = 4 ]; then
        fam=ip type=ipv4_addr node=$NODE4 range=$POD_RANGE4 vips=10.96.0.0/16
    else
        fam=ip6 type=ipv6_addr node=$NODE6 range=$POD_RANGE6 vips=fd96::/112
    fi
}

knft_endpoint() { # PROTO NAME ENDPOINT AFFINITY: its chain and set
    local addr port to
    IFS=, read -r addr port _ <<<"$3"
    to=$addr:$port
    [ "$fam" = ip ] || to="[$addr]:$port"
    echo "add chain $fam kube-proxy endpoint-$2-$1-${addr//[:.]/_}"
    echo "flush chain $fam kube-proxy endpoint-$2-$1-${addr//[:.]/_}"
    echo "add rule $fam kube-proxy endpoint-$2-$1-${addr//[:.]/_} $fam saddr $addr jump mark-for-masquerade"
    if [ "$4" = ClientIP ]; then
        echo "add set $fam kube-proxy affinity-$2-$1-${addr//[:.]/_} { type $type; flags dynamic,timeout; timeout 10800s; }"
        echo "add rule $fam kube-proxy endpoint-$2-$1-${addr//[:.]/_} update @affinity-$2-$1-${addr//[:.]/_} { $fam saddr }"
    fi
    echo "add rule $fam kube-proxy endpoint-$2-$1-${addr//[:.]/_} meta l4proto $1 dnat to $to"
}

knft_spread() { # CHAIN PROTO NAME AFFINITY ENDPOINT...: to one of them
    local chain=$1 proto=$2 name=$3 affinity=$4 e i=0 addr map=
    shift 4
    for e in "$@"; do
        addr=${e%%,*}
        [ "$affinity" != ClientIP ] || echo "add rule $fam kube-proxy $chain $fam saddr @affinity-$name-$proto-${addr//[:.]/_} \
            goto endpoint-$name-$proto-${addr//[:.]/_}"
        map+="${map:+, }$i : goto endpoint-$name-$proto-${addr//[:.]/_}"
        i=$((i + 1))
    done
    echo "add rule $fam kube-proxy $chain numgen random mod $i vmap { $map }"
}

knft_service() { # NAME ADDR PORT NODEPORT POLICY AFFINITY ENDPOINT...
    local name=$1 addr=$2 port=$3 nodeport=$4 policy=$5 affinity=$6 p e
    local -a here=()
    shift 6
    for e in "$@"; do [[ $e != *,here ]] || here+=("$e"); done
    echo "add element $fam kube-proxy cluster-ips { $addr }"
    for p in tcp udp; do
        if [ $# = 0 ]; then
            echo "add element $fam kube-proxy no-endpoint-services { $addr . $p . $port : goto reject-chain }"
            continue
        fi
        for e in "$@"; do knft_endpoint $p "$name" "$e" "$affinity"; done
        echo "add chain $fam kube-proxy service-$name-$p"
        echo "flush chain $fam kube-proxy service-$name-$p"
        echo "add rule $fam kube-proxy service-$name-$p $fam daddr $addr $p dport $port $fam saddr != $range jump mark-for-masquerade"
        knft_spread "service-$name-$p" $p "$name" "$affinity" "$@"
        echo "add element $fam kube-proxy service-ips { $addr . $p . $port : goto service-$name-$p }"
        [ "$nodeport" != - ] || continue
        echo "add chain $fam kube-proxy external-$name-$p"
        if [ "$policy" = Cluster ]; then
            echo "add rule $fam kube-proxy external-$name-$p jump mark-for-masquerade"
            echo "add rule $fam kube-proxy external-$name-$p goto service-$name-$p"
        else
            # Pods and the node itself use all endpoints, whoever comes from outside those of the node.
            echo "add rule $fam kube-proxy external-$name-$p $fam saddr $range goto service-$name-$p"
            echo "add rule $fam kube-proxy external-$name-$p fib saddr type local jump mark-for-masquerade"
            echo "add rule $fam kube-proxy external-$name-$p fib saddr type local goto service-$name-$p"
            if [ ${#here[@]} -gt 0 ]; then
                knft_spread "external-$name-$p" $p "$name" "$affinity" "${here[@]}"
            else
                echo "add element $fam kube-proxy no-endpoint-nodeports { $p . $nodeport : drop }"
            fi
        fi
        echo "add element $fam kube-proxy service-nodeports { $p . $nodeport : goto external-$name-$p }"
    done
}

kube_nft() {
    local fam type node range vips
    knft_family "$1"
    {
        cat <<EOR
table $fam kube-proxy
delete table $fam kube-proxy
table $fam kube-proxy {
    set cluster-ips { type $type; }
    set nodeport-ips { type $type; elements = { $node }; }
    map service-ips { type $type . inet_proto . inet_service : verdict; }
    map service-nodeports { type inet_proto . inet_service : verdict; }
    map no-endpoint-services { type $type . inet_proto . inet_service : verdict; }
    map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
    chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
    chain masquerading {
        meta mark & 0x4000 == 0 return
        meta mark set meta mark xor 0x4000
        masquerade fully-random
    }
    chain reject-chain { reject; }
    chain services {
        $fam daddr . meta l4proto . th dport vmap @service-ips
        $fam daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
    }
    chain service-endpoints-check { $fam daddr . meta l4proto . th dport vmap @no-endpoint-services; }
    chain nodeport-endpoints-check {
        $fam daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
    }
    chain cluster-ips-check {
        $fam daddr @cluster-ips reject
        $fam daddr $vips drop
    }
    chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
    chain nat-output { type nat hook output priority -100; jump services; }
    chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
    chain filter-input {
        type filter hook input priority 0
        ct state new jump nodeport-endpoints-check
        ct state new jump service-endpoints-check
    }
    chain filter-forward {
        type filter hook forward priority 0
        ct state invalid drop
        ct state new jump service-endpoints-check
        ct state new jump cluster-ips-check
    }
    chain filter-output { type filter hook output priority 0; ct state new jump service-endpoints-check; }
    chain filter-output-post-dnat { type filter hook output priority -90; ct state new jump cluster-ips-check; }
}
EOR
        while read -r -a spec; do knft_service "${spec[@]}"; done
    } | ${NFT:-nft} -f -
}

kube_nft_move() {
    local fam type node range vips name=$2 p e addr
    knft_family "$1"
    shift 2
    for p in tcp udp; do
        for e in "$@"; do knft_endpoint $p "$name" "$e" None; done
        addr=$(nft list chain "$fam" kube-proxy "service-$name-$p" | sed -nE "s/.* daddr ([^ ]*) $p dport ([0-9]+) .*/\\1 $p dport \\2/p")
        echo "flush chain $fam kube-proxy service-$name-$p"
        echo "add rule $fam kube-proxy service-$name-$p $fam daddr $addr $fam saddr != $range jump mark-for-masquerade"
        knft_spread "service-$name-$p" $p "$name" None "$@"
    done | nft -f -
}

kube_nft_gone() {
    nft delete table ip kube-proxy
    nft delete table ip6 kube-proxy
}

both() { # NAME FROM TO SPEC...
    echo "tcp \"$1, TCP\" from=$2 to=$3 ${*:4}"
    echo "udp \"$1, UDP\" from=$2 to=$3 ${*:4}"
}

one_by_one() { # PREFIX <SPECS: flows to one and the same server's port
    local line
    while read -r line; do flows "$1" <<<"$line"; done
}

# By chance eight in a row at one of several would all but never be.
affinity() { # PREFIX CLIENT SPEC ENDPOINT...
    local prefix=$1 client=$2 asked=$3 p s to i
    shift 3
    for p in tcp udp; do
        to=${!#}
        for s in "$@"; do
            echo "$p first from=$client to=$s $asked sport=431$((RANDOM % 90 + 10))" |
                "$PWT" >"$TMP/affine" 2>&1 && to=$s && break
        done
        one_by_one "$prefix" < <(for i in 0 1 2 3 4 5 6 7; do
            echo "$p \"affinity, $p, again at $to ($i)\" from=$client to=$to $asked sport=4400$i"
        done)
    done
}
