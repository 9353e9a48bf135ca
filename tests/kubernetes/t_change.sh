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

cluster_up 3
test_pods
ok "another build of the image" agent_next_image
for n in 1 2 3; do node_image $n "$C/next.tar"; done

flows "agents killed: " -n 2 -s "$(step 'agent_kill 1')" -s "$(step 'agent_kill 2; agent_kill 3')" < <(lasting)

build() { agent_ctl "$1" status --json | jq -r .loaded.build; }
before=$(build 1)
flows "agents upgraded, and back: " -s "$(step 'agent_upgrade $NEXT_IMAGE; sleep 2; agent_ctl 1 status --json >$C/upgraded')" \
    -s "$(step 'agent_upgrade $AGENT_IMAGE; sleep 2')" < <(lasting)
is "the upgrade replaced the programs, on every device" "$(jq -c --arg b "$before" '[.version, .loaded.build != $b, .loaded.staleLinks]' "$C/upgraded")" \
    '["0.9.9-other",true,0]'
is "and the way back did too" "$(build 1)" "$before"
diag "$SECONDS s"

flows "API server away for 20 s: " -s "$(step 'api_down; sleep 20')" -s "$(step 'api_up; wait_for 60 all_ready 3')" < <(lasting)
ok "the agents are ready again" agents_ready
diag "$SECONDS s"

# --- a node comes, and goes ---
flows "a node comes: " -s "$(step 'node_up 4; echo ${NODE_PID[4]} >$C/pid/n4; wait_for 90 all_ready 4')" < <(lasting)
# shellcheck disable=SC2034 # read by cluster.sh
NODE_PID[4]=$(cat "$C/pid/n4")
wait_for 30 all_ready 4 || { why_not_ready kube-system; agent_log 4; tell kubelet-n4; }
must ok "four nodes are Ready" all_ready 4
pod_yaml d1 n4 >"$C/d1.yaml"
must ok "a pod on it" apply "$C/d1.yaml"
must ok "is Ready" wait_for 60 pods_ready pod=d1 1
bind_pod d1
range=$(k8s_get node/n4 '{.spec.podCIDRs[0]}')
like "the others know the way" "$(in_node 1 ip route show "$range")" "172.18.0.14"
for f in 4 6; do
    declare -n ip=IP$f
    flows "the new node: " < <(
        pair "IPv$f pod of the first node to its pod" a1 d1 "${ip[d1]}" 8080 8053 peer="${ip[a1]}"
        pair "IPv$f its pod to the second node's" d1 b1 "${ip[b1]}" 8080 8053 peer="${ip[d1]}"
        pair "IPv$f its pod to a Service" d1 a1 "${SVC[a1-$f]}" 80 53
    )
done
flows "a node goes: " -s "$(step 'k delete node n4; kill -9 ${NODE_PID[4]}; sleep 5')" < <(lasting)
unset "NODE_PID[4]"
ok "the others forget the way to it" wait_for 30 eval '[ -z "$(in_node 1 ip route show "$range")" ]'
ok "its pods are forgotten too" wait_for 60 no_pods pod=d1
diag "$SECONDS s"

# --- off the nodes again ---
k -n kube-system delete daemonset podwire >/dev/null
sed s/n4/n2/ "$C/d1.yaml" >"$C/d2.yaml"
ok "without the agent pods still come" eval 'apply "$C/d2.yaml" && wait_for 60 pods_ready pod=d1 1'
sed 's#"podwire:#"localhost/podwire:#' "$TOP/deploy/kubernetes/uninstall.yaml" >"$C/uninstall.yaml"
must ok "uninstall.yaml" apply "$C/uninstall.yaml"
ok "its pods run" wait_for 60 eval '[ "$(k -n kube-system get pods -l app.kubernetes.io/name=podwire-uninstall -o json | jq "[.items[]|select(.status.phase==\"Running\")]|length")" = 3 ]'
pod_yaml e1 n2 >"$C/e1.yaml"
ok "a pod that comes too late" apply "$C/e1.yaml"
ok "is told so" wait_for 60 eval 'k get events --field-selector involvedObject.name=e1 -o json | grep -q "takes no pods"'
flows "while it waits for the pods: " < <(lasting)
k delete -f "$C/pods.yaml" -f "$C/d2.yaml" -f "$C/e1.yaml" --wait=true >/dev/null
wait_for 90 k -n kube-system rollout status daemonset/podwire-uninstall --timeout=1s || { why_not_ready kube-system
    diag "$(in_node 2 ls /run/podwire/endpoints)"; tell containerd-n2; }
ok "with the pods gone it is through on all nodes" k -n kube-system rollout status daemonset/podwire-uninstall --timeout=1s
for n in 1 2 3; do
    is "n$n: nothing of ours is left" "$(in_node $n sh -c 'find /sys/fs/bpf/podwire /opt/cni/bin /etc/cni/net.d /run/podwire \
        -mindepth 1; ip -o link | grep pw-; nft list tables | grep podwire; ip route show proto 120
        ip -6 route show proto 120' 2>/dev/null)" ""
done
diag "$SECONDS s"
