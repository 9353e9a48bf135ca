#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Services beside the fast path as kube-proxy's nftables mode makes them (kube_nft.sh): ClusterIP to a
# pod here, to another node's, to itself; NodePort with both external traffic policies; session
# affinity; Services of no endpoint; endpoints that change under load. TCP and UDP, IPv4 and IPv6,
# redirection on and off.
# Seen to fail: mutate.sh ct-question-nft (Services here), and with the affinity rule left out.
# pw-test: timeout=400
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/netns/kube_nft.sh"

services() { # FAMILY
    local v
    local -n ip=IP$1 n2=N2_$1
    if [ "$1" = 4 ]; then v=10.96.0.; else v=fd96::; fi
    cat <<EOS
here ${v}1 80 - Cluster None ${ip[pod2]},8080,here
away ${v}2 80 - Cluster None $n2,8080,away
self ${v}3 80 - Cluster None ${ip[pod1]},8080,here
affine ${v}4 80 - Cluster ClientIP ${ip[pod2]},8084,here $n2,8084,away
port-here ${v}5 80 30080 Cluster None ${ip[pod2]},8085,here
port-away ${v}6 80 30081 Cluster None $n2,8085,away
local-here ${v}7 80 30082 Local None ${ip[pod2]},8086,here
local-both ${v}8 80 30083 Local None ${ip[pod2]},8087,here $n2,8087,away
local-away ${v}9 80 30084 Local None $n2,8088,away
none ${v}10 80 - Cluster None
moving ${v}11 80 - Cluster None ${ip[pod2]},8089,here
EOS
}

service() { # FAMILY NAME [n]: where a client sends ("n": the NodePort), and where the server listens
    local n=NODE$1
    services "$1" | while read -r name addr port nodeport _ _ ep _; do
        [ "$name" = "$2" ] || continue
        ep=${ep#*,}
        [ -z "${3:-}" ] || addr=${!n} port=$nodeport
        echo "dst=$addr port=$port atport=${ep%,*}"
    done
}

steady_flows() { # FAMILY
    local -n ip=IP$1 out=OUT$1
    both "Service, pod here" pod1 pod2 "$(service "$1" here)" peer="${ip[pod1]}"
    both "Service, pod of another node" pod1 n2 "$(service "$1" away)" peer="${ip[pod1]}"
    both "Service, the pod itself" pod1 pod1 "$(service "$1" self)"
    both "NodePort, pod here" out pod2 "$(service "$1" port-here n)"
    both "NodePort, pod of another node" out n2 "$(service "$1" port-away n)"
    both "NodePort, policy Local" out pod2 "$(service "$1" local-here n)" peer="$out"
}
one_of_two_flows() { # FAMILY: an endpoint elsewhere is never chosen, however often
    local i out=OUT$1
    for i in 0 1 2 3 4 5; do
        echo "tcp \"NodePort, policy Local, never the endpoint elsewhere ($i)\" from=out to=pod2" \
            "$(service "$1" local-both n) sport=4200$i peer=${!out}"
    done
}
more_flows() { # FAMILY
    both "Service from the node" node pod2 "$(service "$1" here)"
    both "NodePort from a pod" pod1 n2 "$(service "$1" port-away n)"
    both "NodePort, policy Local, pods use all endpoints" pod1 n2 "$(service "$1" local-away n)"
}
no_flows() { # FAMILY
    both "NodePort, policy Local, none here" out n2 "$(service "$1" local-away n)" fails=1
    local dst
    dst=$(services "$1" | sed -n 's/^none \([^ ]*\) .*/\1/p')
    both "Service of no endpoint" pod1 pod2 "dst=$dst port=80 atport=8999" fails=1
}

# Established flows stay where they are while new ones go to the new endpoint, there and back.
moving() { # PREFIX FAMILY
    local n2=N2_$2 spec
    local -n ip=IP$2
    spec=$(service "$2" moving)
    cat >"$TMP/move" <<EOF
. $TOP/tests/netns/kube_nft.sh
NODE4=$NODE4 NODE6=$NODE6
move() { kube_nft_move $2 moving "\$1,8089,\$2" && echo "\$4 new from=pod1 to=\$3 $spec sport=\$5" | $PWT >/dev/null; }
EOF
    flows "$1" -n 3 -s "bash -c '. $TMP/move; move ${!n2} away n2 tcp 45000'" \
        -s "bash -c '. $TMP/move; move ${!n2} away n2 udp 45001'" \
        -s "bash -c '. $TMP/move; kube_nft_move $2 moving ${ip[pod2]},8089,here'" <<EOF
tcp "established through a Service whose endpoint goes" from=pod1 to=pod2 $spec
udp "UDP through another Service meanwhile" from=pod1 to=pod2 $(service "$2" here)
tcp "pod to pod meanwhile" from=pod1 to=pod2 dst=${ip[pod2]} port=8200 peer=${ip[pod1]}
tcp "pod to another node meanwhile" from=pod1 to=n2 dst=${!n2} port=8200 peer=${ip[pod1]}
EOF
}

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    pod_add pod2
    for f in 4 6; do services $f | kube_nft $f; done
    before=$(invalid)
    for mode in on off; do
        redirect $mode
        for f in 4 6; do
            prefix="$DEVICE, $mode, IPv$f: "
            flows "$prefix" < <(steady_flows $f)
            one_by_one "$prefix" < <(one_of_two_flows $f)
            flows "$prefix" < <(more_flows $f)
            PWT_STALL=1500 flows "$prefix" < <(no_flows $f)
            affinity "$prefix" pod1 "$(service $f affine)" pod2 n2
            moving "$prefix" $f
        done
    done
    redirect on
    is "$DEVICE: nothing is INVALID between native addresses" "$(($(invalid) - before))" 0
    kube_nft_gone
    pod_del pod1
    pod_del pod2
done
