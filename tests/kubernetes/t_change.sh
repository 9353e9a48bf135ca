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
flows "agents upgraded, and back: " -s "$(step 'agent_upgrade $NEXT_IMAGE; sleep 2')" \
    -s "$(step 'agent_ctl 1 status --json >$C/upgraded')" \
    -s "$(step 'agent_upgrade $AGENT_IMAGE; sleep 2')" < <(lasting)
diag "build before $before, upgraded $(jq -c .loaded "$C/upgraded" 2>&1), after $(build 1)"

flows "API server away for 20 s: " -s "$(step 'api_down; sleep 20')" -s "$(step 'api_up; wait_for 60 all_ready 2')" < <(lasting)
ok "the agents are ready again" agents_ready
diag "$SECONDS s"
