#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods of a real cluster reach each other, their nodes, the outside, and Services of every kind: the plugin
# under a real kubelet, beside a real kube-proxy. IPv4 and IPv6.
# pw-test: timeout=1700
# pw-test: serial
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/kubernetes/cluster.sh"
. "$TOP/tests/kubernetes/services.sh"
need openssl jq curl nft iptables pgrep

buildah_up
control_plane
must ok "the image is built" agent_image
tap_result 0 "the control plane is up ($SECONDS s)"
node_up 1
node_up 2
ok "two nodes register" wait_for 60 eval '[ "$(k get nodes -o name | wc -l)" = 2 ]'
sleep 5
is "none is Ready without a network" "$(ready_nodes | grep -o =True | wc -l)" 0
ok "the API server takes the manifests" k apply --dry-run=server -f "$TOP/deploy/kubernetes/podwire.yaml"
ok "and that of taking it off" k apply --dry-run=server -f "$TOP/deploy/kubernetes/uninstall.yaml"
must ok "the agent is deployed" agent_up
wait_for 60 all_ready 2 || { why_not_ready kube-system; agent_log 1; }
must ok "both are Ready once the agent is there" all_ready 2
ok "and so are the agents" agents_ready
diag "$SECONDS s"

must ok "the service account of pods" wait_for 30 k get sa default
pods_yaml >"$C/pods.yaml"
must ok "pods are made" apply "$C/pods.yaml"
services_yaml >"$C/services.yaml"
must ok "Services are made" apply "$C/services.yaml"
wait_for 60 pods_ready pod 4 || { why_not_ready; tell kubelet-n1 containerd-n1; }
must ok "four pods are Ready" pods_ready pod 4
diag "$SECONDS s"
for p in a1 a2 b1 h1; do bind_pod $p; done
read_services
all_flows ""
diag "$SECONDS s"
