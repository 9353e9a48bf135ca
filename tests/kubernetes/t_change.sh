#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What happens to a cluster while its pods talk: agents killed and upgraded, the API server away, a node that
# comes and one that goes, hundreds of pods that come and go. Established flows lose nothing (a lost datagram or
# a stall of 4 s fails them), and at the end a node has what it had before.
# pw-test: timeout=1700
# pw-test: serial
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/kubernetes/cluster.sh"
. "$TOP/tests/kubernetes/services.sh"
need openssl jq curl nft iptables pgrep

# Flows of every way between pods, to last through changes. No two have one server's port.
lasting() {
    local f p
    for f in 4 6; do
        local -n ip=IP$f
        for p in tcp udp; do
            echo "$p \"IPv$f pod to pod of the node, $p\" from=a1 to=a2 dst=${ip[a2]} port=8090"
            echo "$p \"IPv$f pod to pod of another node, $p\" from=a2 to=b1 dst=${ip[b1]} port=8090"
            echo "$p \"IPv$f node to another node's pod, $p\" from=n1 to=b1 dst=${ip[b1]} port=8091"
        done
        pair "IPv$f Service, pod of another node" b1 a1 "${SVC[a1-$f]}" 80 53
        pair "IPv$f Service, pod of the node" a1 a2 "${SVC[a2-$f]}" 80 53
        pair "IPv$f NodePort from outside" node b1 "$(node_addr 1 $f)" "${PORT_TCP[np-b1-$f]}" "${PORT_UDP[np-b1-$f]}"
    done
}

cluster_up 2
test_pods
ok "another build of the image" agent_next_image
for n in 1 2; do node_image $n "$C/next.tar"; done

flows "agents killed: " -n 2 -s "$(step 'agent_kill 1')" -s "$(step 'agent_kill 2')" < <(lasting)

build() { agent_ctl "$1" status --json | jq -r .loaded.build; }
before=$(build 1)
flows "agents upgraded, and back: " -s "$(step 'agent_upgrade $NEXT_IMAGE; sleep 2; agent_ctl 1 status --json >$C/upgraded')" \
    -s "$(step 'agent_upgrade $AGENT_IMAGE; sleep 2')" < <(lasting)
is "the upgrade replaced the programs, on every device" "$(jq -c --arg b "$before" '[.version, .loaded.build != $b, .loaded.staleLinks]' "$C/upgraded")" \
    '["0.9.9-other",true,0]'
is "and the way back did too" "$(build 1)" "$before"
diag "$SECONDS s"

flows "API server away for 20 s: " -s "$(step 'api_down; sleep 20')" -s "$(step 'api_up; wait_for 60 all_ready 2')" < <(lasting)
ok "the agents are ready again" agents_ready
diag "$SECONDS s"

# --- a node comes, and goes ---
flows "a node comes: " -s "$(step 'node_up 3; echo ${NODE_PID[3]} >$C/pid/n3; wait_for 90 all_ready 3')" < <(lasting)
# shellcheck disable=SC2034 # read by cluster.sh
NODE_PID[3]=$(cat "$C/pid/n3")
wait_for 30 all_ready 3 || { why_not_ready kube-system; agent_log 3; tell kubelet-n3; }
must ok "three nodes are Ready" all_ready 3
pod_yaml c1 n3 >"$C/c1.yaml"
must ok "a pod on it" apply "$C/c1.yaml"
must ok "is Ready" wait_for 60 pods_ready pod=c1 1
bind_pod c1
range=$(k8s_get node/n3 '{.spec.podCIDRs[0]}')
like "the others know the way" "$(in_node 1 ip route show "$range")" "172.18.0.13"
for f in 4 6; do
    declare -n ip=IP$f
    flows "the new node: " < <(
        pair "IPv$f pod of the first node to its pod" a1 c1 "${ip[c1]}" 8080 8053 peer="${ip[a1]}"
        pair "IPv$f its pod to the second node's" c1 b1 "${ip[b1]}" 8080 8053 peer="${ip[c1]}"
        pair "IPv$f its pod to a Service" c1 a1 "${SVC[a1-$f]}" 80 53
    )
done
flows "a node goes: " -s "$(step 'k delete node n3; kill -9 ${NODE_PID[3]}; sleep 5')" < <(lasting)
unset "NODE_PID[3]"
ok "the others forget the way to it" wait_for 30 eval '[ -z "$(in_node 1 ip route show "$range")" ]'
ok "its pods are forgotten too" wait_for 60 no_pods pod=c1
diag "$SECONDS s"

# --- off the nodes again ---
k -n kube-system delete daemonset podwire >/dev/null
sed s/n3/n2/ "$C/c1.yaml" >"$C/c2.yaml"
ok "without the agent pods still come" eval 'apply "$C/c2.yaml" && wait_for 60 pods_ready pod=c1 1'
sed 's#"podwire:#"localhost/podwire:#' "$TOP/deploy/kubernetes/uninstall.yaml" >"$C/uninstall.yaml"
must ok "uninstall.yaml" apply "$C/uninstall.yaml"
ok "its pods run" wait_for 60 eval '[ "$(k -n kube-system get pods -l app.kubernetes.io/name=podwire-uninstall -o json | jq "[.items[]|select(.status.phase==\"Running\")]|length")" = 2 ]'
flows "while it waits for the pods: " < <(lasting)
k delete -f "$C/pods.yaml" -f "$C/c2.yaml" --wait=true >/dev/null
wait_for 90 k -n kube-system rollout status daemonset/podwire-uninstall --timeout=1s || { why_not_ready kube-system
    diag "$(in_node 2 ls /run/podwire/endpoints)"; tell containerd-n2; }
ok "with the pods gone it is through on all nodes" k -n kube-system rollout status daemonset/podwire-uninstall --timeout=1s
for n in 1 2; do
    is "n$n: nothing of ours is left" "$(in_node $n sh -c 'find /sys/fs/bpf/podwire /opt/cni/bin /etc/cni/net.d /run/podwire \
        -mindepth 1; ip -o link | grep pw-; nft list tables | grep podwire; ip route show proto 120
        ip -6 route show proto 120' 2>/dev/null)" ""
done
diag "$SECONDS s"
