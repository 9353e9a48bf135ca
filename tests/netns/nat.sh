# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2086,SC2046 # specs are words, and meant to be split
# What the tests of translated flows share: Services as kube-proxy makes them, and the flows that
# meet them. Source after topo.sh; nat_nft or nat_iptables loads the rules for pods pod1 and pod2.
#
# A Service address is outside the native ranges, as everywhere: see docs/operate.md.

# NAME ADDR PORT BACKEND BACKEND-PORT MASQUERADE(yes|no), for the family in $1
services() {
    local f=$1 v
    local -n ip=IP$f node=NODE$f n2=N2_$f far=FAR$f
    if [ "$f" = 4 ]; then v=10.96.0.; else v=fd96::; fi
    cat <<EOS
local ${v}1 80 ${ip[pod2]} 8080 no
remote ${v}2 80 $n2 8081 no
hairpin ${v}3 80 ${ip[pod1]} 8082 yes
far ${v}4 80 $far 8083 no
closed-local ${v}5 80 ${ip[pod2]} 9 no
closed-remote ${v}6 80 $n2 9 no
nodeport $node 30080 ${ip[pod2]} 8084 no
nodeport-masq $node 30081 ${ip[pod2]} 8085 yes
nodeport-remote $node 30082 $n2 8086 yes
EOS
}

nat_nft() {
    local f fam to addr port backend bport masq p
    for f in 4 6; do
        fam=ip to=
        [ $f = 4 ] || fam=ip6
        {
            echo "table $fam kubenat {
                chain services {"
            while read -r _ addr port backend bport masq; do
                [ $f = 4 ] && to=$backend:$bport || to="[$backend]:$bport"
                for p in tcp udp; do
                    [ "$masq" = no ] || echo "$fam daddr $addr $p dport $port meta mark set mark or 0x4000"
                    echo "$fam daddr $addr $p dport $port dnat to $to"
                done
            done < <(services $f)
            echo "}
                chain prerouting { type nat hook prerouting priority -100; jump services; }
                chain output { type nat hook output priority -100; jump services; }
                chain postrouting {
                    type nat hook postrouting priority 100;
                    meta mark & 0x4000 == 0x4000 meta mark set mark xor 0x4000 masquerade fully-random
                }
            }"
        } | nft -f -
    done
}

nat_iptables() {
    local f ipt to addr port backend bport masq p
    for f in 4 6; do
        ipt=iptables
        [ $f = 4 ] || ipt=ip6tables
        $ipt -w -t nat -N KUBE-SERVICES
        $ipt -w -t nat -N KUBE-MARK-MASQ
        $ipt -w -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
        $ipt -w -t nat -N KUBE-POSTROUTING
        $ipt -w -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
        $ipt -w -t nat -A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
        $ipt -w -t nat -A KUBE-POSTROUTING -j MASQUERADE --random-fully
        while read -r _ addr port backend bport masq; do
            [ $f = 4 ] && to=$backend:$bport || to="[$backend]:$bport"
            for p in tcp udp; do
                [ "$masq" = no ] || $ipt -w -t nat -A KUBE-SERVICES -d "$addr" -p $p --dport "$port" -j KUBE-MARK-MASQ
                $ipt -w -t nat -A KUBE-SERVICES -d "$addr" -p $p --dport "$port" -m comment \
                    --comment "a service" -j DNAT --to-destination "$to"
            done
        done < <(services $f)
        $ipt -w -t nat -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
        $ipt -w -t nat -A OUTPUT -j KUBE-SERVICES
        $ipt -w -t nat -A POSTROUTING -j KUBE-POSTROUTING
        $ipt -w -N KUBE-FORWARD
        $ipt -w -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
        $ipt -w -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        $ipt -w -A FORWARD -j KUBE-FORWARD
    done
}
nat_remove() { # nft|iptables
    if [ "$1" = nft ]; then
        nft delete table ip kubenat
        nft delete table ip6 kubenat
        return
    fi
    local ipt
    for ipt in iptables ip6tables; do
        $ipt -w -F && $ipt -w -X && $ipt -w -t nat -F && $ipt -w -t nat -X
    done
}

svc() { # FAMILY NAME: "dst=ADDR port=PORT atport=BACKEND-PORT" of a flow to it
    services "$1" | while read -r name addr port _ bport _; do
        [ "$name" != "$2" ] || echo "dst=$addr port=$port atport=$bport"
    done
}

both() { # NAME FROM TO SPEC...: TCP and UDP
    echo "tcp $1-tcp from=$2 to=$3 ${*:4}"
    echo "udp $1-udp from=$2 to=$3 ${*:4}"
}

# Flows through Services, in groups that do not share servers' ports: nat_flows FAMILY GROUP
nat_flows() {
    local f=$1
    local -n ip=IP$f node=NODE$f n2=N2_$f out=OUT$f outfar=OUTFAR$f far=FAR$f
    case $2 in
    service)
        both "service to a pod here" pod1 pod2 $(svc $f local) peer="${ip[pod1]}"
        both "service to a pod elsewhere" pod1 n2 $(svc $f remote) peer="${ip[pod1]}"
        both "hairpin" pod1 pod1 $(svc $f hairpin)
        both "nodeport from outside" out pod2 $(svc $f nodeport) peer="$out"
        both "nodeport from outside, masqueraded" out pod2 $(svc $f nodeport-masq)
        both "nodeport to a pod elsewhere" out n2 $(svc $f nodeport-remote) peer="$node"
        ;;
    service2)
        both "service from the host" node pod2 $(svc $f local)
        both "service from another node" n2 pod2 $(svc $f nodeport) peer="$n2"
        both "nodeport from a pod, masqueraded" pod1 pod2 $(svc $f nodeport-masq)
        ;;
    service3)
        both "nodeport from a pod" pod1 pod2 $(svc $f nodeport) peer="${ip[pod1]}"
        ;;
    direct)
        both "pod to pod" pod1 pod2 dst="${ip[pod2]}" port=81 peer="${ip[pod1]}"
        both "outside to pod" out pod1 dst="${ip[pod1]}" port=82 peer="$out"
        both "pod to outside" pod1 out dst="$out" port=83 peer="$node"
        both "pod to another node" pod1 n2 dst="$n2" port=84 peer="${ip[pod1]}"
        both "another node to pod" n2 pod1 dst="${ip[pod1]}" port=85 peer="$n2"
        ;;
    pmtu) # every one of them meets an MTU of 1300 beyond the uplink, in one direction
        both "service behind a small MTU" pod1 n2 $(svc $f far) size=1400 df=1
        both "pod behind a small MTU" pod1 n2 dst="$far" port=86 size=1400 df=1
        both "outside behind a small MTU" pod1 out dst="$outfar" port=87 size=1400 df=1
        echo "tcp reply to a small MTU, by nodeport from=out to=pod2 $(svc $f nodeport) src=$outfar"
        echo "tcp reply to a small MTU, outside from=out to=pod2 dst=${ip[pod2]} port=88 src=$outfar"
        echo "tcp reply to a small MTU from=n2 to=pod2 dst=${ip[pod2]} port=89 src=$far"
        ;;
    errors) # nobody listens where these arrive: the error must come back as from the Service
        echo "udp refused here from=pod1 to=pod2 $(svc $f closed-local) atport=7 fails=1"
        echo "udp refused elsewhere from=pod1 to=n2 $(svc $f closed-remote) atport=7 fails=1"
        echo "tcp refused, TCP here from=pod1 to=pod2 $(svc $f closed-local) atport=7 fails=1"
        echo "tcp refused, TCP elsewhere from=pod1 to=n2 $(svc $f closed-remote) atport=7 fails=1"
        ;;
    esac | sed -E 's/^(tcp|udp) (.*) from=/\1 "\2" from=/'
}

# The client port of a Service's flow, used again straight to the backend (the old entry remains).
same_port() { # FAMILY PREFIX
    local f=$1 p port
    local -n ip=IP$f n2=N2_$f
    for p in tcp udp; do
        port=$((41000 + f * 10))
        flows "$2" <<<"$p \"client port through the service, $p\" from=pod1 to=pod2 $(svc $f local) sport=$port"
        flows "$2" <<<"$p \"same client port straight to the backend, $p\" from=pod1 to=pod2 dst=${ip[pod2]} port=8080 sport=$port"
        flows "$2" <<<"$p \"client port through the service, elsewhere, $p\" from=pod1 to=n2 $(svc $f remote) sport=$port"
        flows "$2" <<<"$p \"same client port straight to the backend, elsewhere, $p\" from=pod1 to=n2 dst=$n2 port=8081 sport=$port"
    done
}

# Servers asked by their own address and by a Service's in turns, from one port: turns FAMILY PREFIX
turns() {
    local f=$1 what service from to addr dst port atport
    local -n ip=IP$f n2=N2_$f
    while read -r service from to addr what; do
        read -r dst port atport < <(svc "$f" "$service" | sed 's/[a-z]*=//g')
        ok "$2UDP $what, directly and by a Service in turns" "$BUILD/tests/netns/turns" \
            "$from" "$to" "$addr" "$atport" "$dst" "$port" "$([ -n "${PW_QUIET:-}" ] && echo 20 || echo 100)"
    done <<EOS
local pod1 pod2 ${ip[pod2]} to a pod here
remote pod1 n2 $n2 to a pod elsewhere
nodeport n2 pod2 ${ip[pod2]} from another node
EOS
}

nat_all() { # PREFIX
    local f g
    for f in 4 6; do
        for g in service service2 service3 direct pmtu errors; do
            nat_flows $f $g | sed "s/^\([a-z]*\) \"/\1 \"IPv$f, /" >"$TMP/nat-specs"
            flows "$1" <"$TMP/nat-specs"
            [ $g != errors ] || is "$1IPv$f, errors: all refused, none timed out" \
                "$(grep -c 'refused$' "$TMP/flows")" 4
            # Path MTUs and connections of one group must not help the next.
            if [ $g = pmtu ]; then flush_pmtu; fi
        done
        same_port $f "$1IPv$f, "
        turns $f "$1IPv$f, "
    done
}

flush_pmtu() {
    local ns
    for ns in pod1 pod2 out n2; do
        in_ns $ns sh -c 'ip route flush cache; ip -6 route flush cache' 2>/dev/null || true
    done
}
