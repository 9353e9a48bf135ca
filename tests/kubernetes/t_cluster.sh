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
for n in 1 2 3; do node_up $n; done
ok "three nodes register" wait_for 60 eval '[ "$(k get nodes -o name | wc -l)" = 3 ]'
sleep 5
is "none is Ready without a network" "$(ready_nodes | grep -o =True | wc -l)" 0
ok "the API server takes the manifests" k apply --dry-run=server -f "$TOP/deploy/kubernetes/podwire.yaml"
ok "and that of taking it off" k apply --dry-run=server -f "$TOP/deploy/kubernetes/uninstall.yaml"
must ok "the agent is deployed" agent_up
wait_for 60 all_ready 3 || { why_not_ready kube-system; agent_log 1; }
must ok "all are Ready once the agent is there" all_ready 3
ok "and so are the agents" agents_ready
diag "$SECONDS s"

must ok "the service account of pods" wait_for 30 k get sa default

test_pods
diag "$SECONDS s"
all_flows ""
diag "$SECONDS s"

# --- what a kubelet and people do with pods ---
cat >"$C/web.yaml" <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: c
        image: "$IMAGE"
        imagePullPolicy: Never
        command: [/bin/sh, -c, "mkdir /tmp/www; hostname >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-affine}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: hostport, labels: {app: hostport}}
spec:
  nodeName: n2
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: "$IMAGE"
    imagePullPolicy: Never
    command: [/bin/httpd, -f, -p, "8080", -h, /www]
    ports: [{containerPort: 8080, hostPort: 18080}]
EOF
ask() { in_ns "$1" curl -sS -m5 "http://$2/" 2>&1 || true; } # FROM URL
must ok "a Deployment of six, and a pod with a hostPort" apply "$C/web.yaml"
wait_for 60 pods_ready app=web 6 || why_not_ready
ok "kubelets' probes, HTTP and TCP, reach all six" pods_ready app=web 6
sleep 3
is "and none was restarted" "$(k get pods -l app=web -o json | jq '[.items[].status.containerStatuses[].restartCount]|add')" 0
is "two on each node" "$(k get pods -l app=web -o json | jq -c '[.items[].spec.nodeName]|group_by(.)|map(length)')" "[2,2,2]"
web=$(k8s_get svc/web '{.spec.clusterIP}')
like "a pod reaches one of them through their Service" "$(ask a1 "$web")" "^web-"
seen=$(for _ in {1..60}; do ask a1 "$web"; done | sort | uniq -c)
is "in time all of them" "$(wc -l <<<"$seen")" 6
affine=$(k8s_get svc/web-affine '{.spec.clusterIP}')
seen=$(for _ in {1..12}; do ask a1 "$affine"; done | sort -u)
is "with session affinity always the same" "$(wc -l <<<"$seen")" 1
wait_for 30 pods_ready app=hostport 1
is "hostPort from outside" "$(ask node 172.18.0.12:18080)" "hello from a pod"
is "hostPort from a pod of another node" "$(ask a1 172.18.0.12:18080)" "hello from a pod"
is "hostPort from a pod of the node" "$(ask b1 172.18.0.12:18080)" "hello from a pod"
is "hostPort from the node itself" "$(ask n2 172.18.0.12:18080)" "hello from a pod"
is "exec in a pod" "$(k exec a1 -- hostname)" a1

# Endpoints change under load: all pods are replaced while somebody asks.
step "k rollout restart deployment/web; k rollout status deployment/web --timeout=90s" >"$C/replace"
flows "all endpoints replaced: " -s "$(cat "$C/replace")" < <(
    pair "Service of the pod, elsewhere" a1 b1 "${SVC[b1-4]}" 80 53
    pair "Service of the pod, here" b1 a2 "${SVC[a2-6]}" 80 53
)
like "the Service has the new ones" "$(ask a1 "$web")" "^web-"
diag "$SECONDS s"

# --- the other way to other nodes ---
must ok "VXLAN instead of routes" agent_conf '{"routing": "vxlan"}'
like "the tunnel is there" "$(in_node 1 ip -d link show podwire-vxlan 2>&1)" vxlan
all_flows "VXLAN: "
must ok "and back" agent_conf '{"routing": "native"}'
is "no tunnel" "$(in_node 1 ip -br link show podwire-vxlan 2>/dev/null)" ""
all_flows "native again: "
diag "$SECONDS s"

# --- devices by RuntimeClass where the runtime has one list: podwired follows an API that knows roles ---
cat >"$C/class.yaml" <<'EOF'
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: vm-like}
handler: runc
EOF
class_pod() { # POD [CLASS]
    pod_yaml "$1" n1 "" "  automountServiceAccountToken: false${2:+
  runtimeClassName: $2}" >"$C/$1.yaml"
}
class_up() { class_pod "$@" && apply "$C/$1.yaml" && wait_for 60 pods_ready "pod=$1" 1; } # POD [CLASS]
# What n1 says without an API server: a key of the pod's interface, and podwired's metrics.
ep() { # POD KEY
    in_node 1 "$BUILD/podwirectl" endpoints --json | jq -r --arg p "$1" --arg k "$2" '.[] | select(.pod.name == $p)[$k]'
}
metrics() { in_node 1 curl -s http://127.0.0.1:9470/metrics; }
metric_is() { metrics | grep -qxF "$1 $2"; } # NAME VALUE
slow_adds() { # longer than 5 s
    metrics | awk '/seconds_bucket.command="ADD".*le="5"/ { n -= $2 } /seconds_count.command="ADD"/ { n += $2 } END { print n }'
}
again() { # POD: its sandbox dies, and the kubelet makes another
    local was
    was=$(ep "$1" containerId)
    node_ctr 1 tasks kill -s SIGKILL "$was"
    wait_for 60 eval "now=\$(ep $1 containerId) && [ -n \"\$now\" ] && [ \"\$now\" != $was ]"
}
rights() { # as the API server has them
    k auth can-i --list --no-headers --as=system:serviceaccount:kube-system:podwire |
        awk '$1 ~ /^[a-z]/ && $1 !~ /^selfsubject/ { $1 = $1; print }' | sort | paste -sd,
}
must ok "a RuntimeClass" apply "$C/class.yaml"
must ok "an agent told of it" agent_conf '{"device": "veth", "runtimeClasses": {"vm-like": {"device": "tap"}}}'
is "one list for all" "$(in_node 1 find /etc/cni /run/clients -name '*.conflist' | wc -l)" 1
is "the manifest lets the agent list pods" "$(rights)" "nodes [] [] [get list watch],pods [] [] [list]"
must ok "a pod of the class, which podwired may not watch" class_up refused vm-like
is "it has the device of all" "$(ep refused kind)" veth
like "endpoints tells why" "$(ep refused why)" "podwired does not say: the API has not told of the pod"
like "podwired tells what is missing" "$(k -n kube-system logs "$(agent_pod 1)" -c podwired)" \
    'pods to look up: HTTP 403: .*cannot watch resource "pods".*see the ClusterRole'
ok "and its metrics that it does not follow" metric_is podwire_lookup_api_up 0
sed -E 's/(verbs:) \[list\] # to look up RuntimeClasses: (\[.*)/\1 \2/' "$C/agent.yaml" >"$C/watch.yaml"
must ok "what the manifest says to write" apply "$C/watch.yaml"
is "is one right more" "$(rights)" "nodes [] [] [get list watch],pods [] [] [list watch]"
ok "podwired goes on without a restart" wait_for 90 metric_is podwire_lookup_api_up 1
must ok "a pod of the class" class_up classed vm-like
is "it has the device of the class" "$(ep classed kind)" tap
is "endpoints tells why" "$(ep classed why)" "asked for by RuntimeClass vm-like"
must ok "a pod of none" class_up plain
is "it has the device of all" "$(ep plain kind)" veth
is "endpoints tells why" "$(ep plain why)" "asked for by configuration"
was=$(slow_adds)
api_down
must ok "the API server is away, a known pod begins anew" again classed
is "by its class" "$(ep classed kind)" tap
class_pod static vm-like
cp "$C/static.yaml" "/proc/${NODE_PID[1]}/root/run/kubelet/static/"
must ok "a static pod, which it has never told of" wait_for 60 eval '[ -n "$(ep static-n1 kind)" ]'
is "it has the device of all" "$(ep static-n1 kind)" veth
like "endpoints tells why" "$(ep static-n1 why)" "podwired does not say: the API has not told of the pod"
is "no ADD took longer than 5 s" "$(slow_adds)" "$was"
must ok "the API server is back" api_up
ok "and followed" wait_for 90 metric_is podwire_lookup_api_up 1
ok "it is told of the static pod" wait_for 60 k get pod static-n1
must ok "which begins anew" again static-n1
is "by its class" "$(ep static-n1 kind)" tap
rm "/proc/${NODE_PID[1]}/root/run/kubelet/static/static.yaml"
k delete -f "$C/refused.yaml" -f "$C/classed.yaml" -f "$C/plain.yaml" --wait=true >/dev/null
ok "with the pods their interfaces go" wait_for 60 eval '[ -z "$(ep static-n1 kind)$(ep refused kind)$(ep classed kind)$(ep plain kind)" ]'
wait_for 60 all_ready 3 || why_not_ready kube-system
diag "$SECONDS s"

# --- back-ends of virtual machines, which the agent starts again from its container, as an operator allows it ---
cat >"$C/rights.json" <<'EOF'
{"spec": {"template": {"spec": {"hostPID": true, "containers": [{"name": "podwired", "securityContext": {"capabilities": {"add":
    ["NET_ADMIN", "BPF", "PERFMON", "SYS_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "SETUID", "SETGID", "SETPCAP", "CHOWN",
     "DAC_OVERRIDE", "KILL", "MKNOD"]}}}]}}}}
EOF
more_rights() {
    agent_up '{"podDevices": ["vhost-user"]}' && k -n kube-system patch daemonset podwire --patch "$(cat "$C/rights.json")" &&
        k -n kube-system rollout restart daemonset/podwire && agents_ready 180
}
must ok "vhost-user for who asks, and more rights" more_rights
pod_yaml vm n2 | sed 's#metadata: {#metadata: {annotations: {podwire.io/device: vhost-user}, #' >"$C/vm.yaml"
must ok "a pod that asks for it" apply "$C/vm.yaml"
wait_for 60 pods_ready pod=vm 1 || { why_not_ready; tell containerd-n2; }
backends() { in_node 2 pgrep -x podwire-vhost | sort -n | tr '\n' ' '; }
restarted() { in_node 2 curl -s http://127.0.0.1:9470/metrics | awk '/^podwire_backends_restarted_total/ { print $2 }'; }
was=$(backends)
like "it has a back-end and a supervisor" "$was" "^[0-9]+ [0-9]+ $"
# shellcheck disable=SC2086 # two numbers
in_node 2 kill -9 $was
ok "both killed: the agent starts them again" wait_for 30 eval '[ "$(restarted)" = 1 ]'
now=$(backends)
like "a back-end and a supervisor" "$now" "^[0-9]+ [0-9]+ $"
isnt "others than before" "$now" "$was"
is "status has nothing to say of them" "$(agent_ctl 2 status --json | jq -c '[.problems[].text | select(test("back-end"))]')" "[]"
ok "the agent is killed" agent_kill 2
is "they live on" "$(backends)" "$now"
ok "its pod is replaced" eval 'k -n kube-system delete "$(agent_pod 2)" --wait=true && agents_ready'
is "they still do" "$(backends)" "$now"
k delete -f "$C/vm.yaml" --wait=true >/dev/null
ok "with the pod they end" wait_for 30 eval '[ -z "$(backends)" ]'
diag "$SECONDS s"
