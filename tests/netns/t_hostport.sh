#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# hostPort through the reference portmap plugin, chained after ours: from outside, from another node,
# from the host, from another pod and from the pod itself, with redirection on and off.
# Seen to fail: mutate.sh ct-question-hostport.
# pw-test: vm
# pw-test: timeout=200
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/topo.sh"

port_flows() { # FAMILY
    local f=$1
    local -n node=NODE$f out=OUT$f n2=N2_$f
    local to="to=pod2 dst=$node port=18080 atport=8080"
    case $2 in
    1) echo "PROTO \"from outside, IPv$f, PROTO\" from=out $to peer=$out" ;;
    2) echo "PROTO \"from another node, IPv$f, PROTO\" from=n2 $to peer=$n2" ;;
    3) echo "PROTO \"from another pod, IPv$f, PROTO\" from=pod1 $to" ;;
    4) echo "PROTO \"from the host, IPv$f, PROTO\" from=node $to" ;;
    5) echo "PROTO \"from the pod itself, IPv$f, PROTO\" from=pod2 $to" ;;
    esac | sed 's/PROTO/tcp/g;p;s/tcp/udp/g'
}

topo_up
for DEVICE in $(test_devices); do
    pod_add pod1
    export CNI_RUNTIME='{"portMappings": [
        {"hostPort": 18080, "containerPort": 8080, "protocol": "tcp"},
        {"hostPort": 18080, "containerPort": 8080, "protocol": "udp"}]}'
    pod_add pod2 '.cniVersion = "1.0.0" | .plugins += [{type: "portmap", capabilities: {portMappings: true}}]'
    for mode in on off; do
        redirect $mode
        for i in 1 2 3 4 5; do
            { port_flows 4 $i; port_flows 6 $i; } >"$TMP/specs"
            flows "$DEVICE, $mode: " <"$TMP/specs"
        done
    done
    redirect on
    is "$DEVICE: nothing is INVALID between native addresses" "$(invalid)" 0
    pod_del pod2
    pod_del pod1
    export CNI_RUNTIME=
done
