# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The pods and Services that the cluster's tests send through, and the flows. Source after cluster.sh.
#
#   pods a1 a2 on n1, b1 on n2, c1 on n3; h1 on n1 in the node's own network
#   Service NAME[-p] of pod NAME: ClusterIP, port 80 to 8080, TCP and UDP; both families, a Service each
#   np-NAME NodePort, npl-NAME with externalTrafficPolicy Local

pods_yaml() {
    pod_yaml a1 n1
    pod_yaml a2 n1
    pod_yaml b1 n2
    pod_yaml c1 n3
    pod_yaml h1 n1 "" "  hostNetwork: true"
}

service_yaml() { # NAME POD FAMILY(4|6) [MORE-SPEC]
    cat <<EOF
---
apiVersion: v1
kind: Service
metadata: {name: $1}
spec:
  selector: {pod: $2}
  ipFamilies: [IPv$3]
  ports:
  - {name: tcp, port: 80, targetPort: 8080, protocol: TCP}
  - {name: udp, port: 53, targetPort: 8053, protocol: UDP}
${4:-}
EOF
}

services_yaml() {
    local f p
    for f in 4 6; do
        for p in a1 a2 b1; do
            service_yaml "$p-$f" $p $f
            service_yaml "np-$p-$f" $p $f "  type: NodePort"
        done
        service_yaml "c1-$f" c1 $f
        service_yaml "npl-a2-$f" a2 $f $'  type: NodePort\n  externalTrafficPolicy: Local'
    done
}

declare -A SVC=() PORT_TCP=() PORT_UDP=()
read_services() { # one call for all: a kubectl takes a quarter of a second
    local name ip t u
    while read -r name ip t u; do
        SVC[$name]=$ip PORT_TCP[$name]=${t:-0} PORT_UDP[$name]=${u:-0}
    done < <(k get svc -o json | jq -r '.items[]|[.metadata.name, .spec.clusterIP, (.spec.ports|map(.nodePort // 0)[])]|join(" ")')
}

pair() { # NAME FROM TO DST TCP-PORT UDP-PORT [SPEC...]: TCP to 8080, UDP to 8053
    echo "tcp \"$1, TCP\" from=$2 to=$3 dst=$4 port=$5 atport=8080 ${*:7}"
    echo "udp \"$1, UDP\" from=$2 to=$3 dst=$4 port=$6 atport=8053 ${*:7}"
}

node_addr() { [ "$2" = 4 ] && echo "172.18.0.1$1" || echo "fd18::1$1"; } # N FAMILY

# Flows by pods' own addresses.
direct_flows() { # FAMILY
    local -n ip=IP$1
    local api=API$1
    pair "IPv$1 pod to pod of the node" a1 a2 "${ip[a2]}" 8080 8053 peer="${ip[a1]}"
    pair "IPv$1 pod to pod of another node" a2 b1 "${ip[b1]}" 8080 8053 peer="${ip[a2]}"
    pair "IPv$1 pod of the second node to pod of the third" b1 c1 "${ip[c1]}" 8080 8053 peer="${ip[b1]}"
    pair "IPv$1 back" b1 a1 "${ip[a1]}" 8080 8053 peer="${ip[b1]}"
    echo "tcp \"IPv$1 pod to outside, masqueraded\" from=a1 to=node dst=${!api} port=8090 peer=$(node_addr 1 "$1")"
    echo "icmp \"IPv$1 ping to a pod of another node\" from=a1 to=b1 dst=${ip[b1]}"
}
node_flows() { # FAMILY
    local -n ip=IP$1
    echo "tcp \"IPv$1 node to its pod\" from=n1 to=a1 dst=${ip[a1]} port=8081"
    echo "tcp \"IPv$1 node to another node's pod\" from=n1 to=b1 dst=${ip[b1]} port=8081"
    echo "tcp \"IPv$1 pod to its node\" from=a1 to=n1 dst=$(node_addr 1 "$1") port=8082"
    echo "tcp \"IPv$1 pod to another node\" from=a1 to=n2 dst=$(node_addr 2 "$1") port=8082"
    echo "tcp \"IPv$1 pod in the node's network to a pod of the node\" from=h1 to=a2 dst=${ip[a2]} port=8083"
    echo "tcp \"IPv$1 pod in the node's network to another node's pod\" from=h1 to=b1 dst=${ip[b1]} port=8083"
    echo "tcp \"IPv$1 pod to a pod in another node's network\" from=b1 to=h1 dst=$(node_addr 1 "$1") port=8084"
}

# Flows that kube-proxy translates, in groups that do not share servers' ports.
service_flows() { # FAMILY GROUP
    local f=$1
    local -n ip=IP$1
    case $2 in
    cluster) # pod to Service: here, elsewhere, itself
        pair "IPv$f Service, pod of the node" a1 a2 "${SVC[a2-$f]}" 80 53 peer="${ip[a1]}"
        pair "IPv$f Service, pod of another node" a1 b1 "${SVC[b1-$f]}" 80 53 peer="${ip[a1]}"
        pair "IPv$f Service, from and to other nodes" b1 c1 "${SVC[c1-$f]}" 80 53 peer="${ip[b1]}"
        pair "IPv$f Service, the pod itself (hairpin)" a1 a1 "${SVC[a1-$f]}" 80 53
        ;;
    host)
        pair "IPv$f Service from a node, its pod" n1 a2 "${SVC[a2-$f]}" 80 53
        pair "IPv$f Service from a node, another node's pod" n1 b1 "${SVC[b1-$f]}" 80 53
        ;;
    port) # NodePort from outside
        pair "IPv$f NodePort, pod of the node" node a2 "$(node_addr 1 "$f")" \
            "${PORT_TCP[np-a2-$f]}" "${PORT_UDP[np-a2-$f]}"
        pair "IPv$f NodePort, pod of another node" node b1 "$(node_addr 1 "$f")" \
            "${PORT_TCP[np-b1-$f]}" "${PORT_UDP[np-b1-$f]}"
        pair "IPv$f NodePort of another node from a pod" b1 a1 "$(node_addr 1 "$f")" \
            "${PORT_TCP[np-a1-$f]}" "${PORT_UDP[np-a1-$f]}"
        ;;
    local) # externalTrafficPolicy Local: the client's own address, and nothing by the other node
        local api=API$f
        pair "IPv$f NodePort, policy Local, client's address kept" node a2 "$(node_addr 1 "$f")" \
            "${PORT_TCP[npl-a2-$f]}" "${PORT_UDP[npl-a2-$f]}" peer="${!api}"
        ;;
    local-none)
        pair "IPv$f NodePort, policy Local, by a node without the pod" node a2 "$(node_addr 2 "$f")" \
            "${PORT_TCP[npl-a2-$f]}" "${PORT_UDP[npl-a2-$f]}" fails=1
        ;;
    esac
}

all_flows() { # PREFIX
    local f g
    for f in 4 6; do
        flows "$1" < <(direct_flows $f)
        flows "$1" < <(node_flows $f)
        for g in cluster host port local; do flows "$1" < <(service_flows $f $g); done
        PWT_STALL=1500 flows "$1" < <(service_flows $f local-none)
    done
}

