# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A real cluster on one machine. Source it after tap.sh, in a script that runs on a node of its own
# (tests/lib/node.sh): that namespace is the segment between the nodes, holds the control plane, and is
# whoever comes from outside. Each node is one more tests/lib/node.sh inside of it, with containerd,
# kubelet and kube-proxy; everything ends with the script.
#
#   outside, API server: 172.18.0.1, fd18::1 on br0      pods:     10.88.N.0/24, fd88:0:0:N::/64
#   nodes n1, n2, ...:   172.18.0.11, fd18::11, ...      Services: 10.96.0.0/16, fd96::/112
#
#   control_plane         etcd, kube-apiserver (with RBAC), kube-controller-manager, kube-scheduler
#   api_up, api_down      the API server alone
#   node_up N, node_down N
#   in_node N COMMAND...  on that node; node_ctr N ARG...: its containerd
#   k ARG...              kubectl as administrator; apply FILE; k8s_get OBJECT JSONPATH
#   bind_pod POD [NS]     the namespace of a pod as /run/netns/POD, for pwt (tests/lib/traffic.h) and in_ns
#   step COMMAND...       a step for `pwt -s` that can use all these functions
#   flows PREFIX [pwt options] <SPECS, in_ns: as in tests/lib/topo.sh
. "$TOP/tests/clients/lib.sh"
. "$TOP/tests/lib/topo.sh"
. "$TOP/tests/deploy/lib.sh"

API4=172.18.0.1 API6=fd18::1
export POD_CIDRS=10.88.0.0/16,fd88::/48 SERVICE_CIDRS=10.96.0.0/16,fd96::/112
C=/run/cluster K8S='' KUBECONFIG=$C/admin.conf
export KUBECONFIG HOME=$C
GROUP=/podwire-k8s-$$-$RANDOM
declare -A NODE_PID=()

bg() { # NAME COMMAND...: in the background, its output in $C/log/NAME
    local name=$1
    shift
    "$@" >>"$C/log/$name" 2>&1 </dev/null &
    echo $! >"$C/pid/$name"
}
bg_stop() { # NAME [SIGNAL]
    local pid
    pid=$(cat "$C/pid/$1")
    kill "-${2:-TERM}" "$pid" 2>/dev/null || true
    # Whoever started it may not have heard of its end yet.
    wait_for 10 eval "! grep -q '^State:.[^Z]' /proc/$pid/status"
}

step() {
    # What a step needs of this script; readonly variables of the shell itself stay out.
    { declare -f; declare -p C K8S KUBECONFIG HOME TOP TMP BUILD CLIENT CLIENTS SOCK STATE IMAGE GROUP NODE_PID API4 API6 \
        POD_CIDRS SERVICE_CIDRS AGENT_IMAGE NEXT_IMAGE IP4 IP6 SVC PORT_TCP PORT_UDP PWT; } >"$C/state.sh"
    echo "bash -c 'set -euo pipefail; . $C/state.sh; $*'"
}

in_node() { # N COMMAND...
    local pid=${NODE_PID[$1]}
    shift
    nsenter -t "$pid" -n -m -u -p -- "$@"
}
node_ctr() { in_node "$1" env CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS=1 "$CLIENT/usr/bin/ctr" -a "$SOCK" -n k8s.io "${@:2}"; }

k() { "$K8S/bin/kubectl" --cache-dir="$C/kubectl" --request-timeout=20s "$@"; }
apply() { k apply -f "$1" >"$C/applied" 2>&1 || { cat "$C/applied"; return 1; }; } # FILE
k8s_get() { k get "$1" -o "jsonpath=$2"; }

# What another process started in the background wrote last.
tell() { # NAME...
    local n
    for n in "$@"; do
        diag "--- $n"
        diag "$(tail -n 8 "$C/log/$n" 2>/dev/null | cut -c1-300)"
    done
}

pki() {
    (
        cd "$C/pki" || exit 1
        openssl genrsa -out sa.key 2048
        openssl rsa -in sa.key -pubout -out sa.pub
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=test-ca
        openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=kube-apiserver
        echo "subjectAltName=IP:$API4,IP:$API6,IP:127.0.0.1,IP:10.96.0.1,DNS:kubernetes.default.svc" >ext
        openssl x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out api.crt
    ) >"$C/log/pki" 2>&1
    {
        echo 'admin-token,admin,admin,"system:masters"'
        echo 'controllers-token,controllers,controllers,"system:masters"'
        local i
        for i in {1..4}; do echo "n$i-token,system:node:n$i,n$i,\"system:nodes,system:masters\""; done
    } >"$C/pki/tokens.csv"
}

kubeconfig() { # TOKEN: on stdout
    cat <<EOF
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$API4:6443", certificate-authority: $C/pki/ca.crt}}]
users: [{name: u, user: {token: $1}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
EOF
}

api_up() {
    bg apiserver "$K8S/bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --cert-dir="$C/pki" \
        --tls-cert-file="$C/pki/api.crt" --tls-private-key-file="$C/pki/api.key" \
        --client-ca-file="$C/pki/ca.crt" --token-auth-file="$C/pki/tokens.csv" --authorization-mode=RBAC \
        --service-cluster-ip-range=$SERVICE_CIDRS --advertise-address=$API4 --secure-port=6443 \
        --service-account-issuer=https://kubernetes.default.svc --allow-privileged \
        --service-account-signing-key-file="$C/pki/sa.key" --service-account-key-file="$C/pki/sa.pub" \
        --kubelet-preferred-address-types=InternalIP --feature-gates=IPv6DualStack=true \
        --service-node-port-range=30000-32000
    wait_for 60 k get --raw /readyz
}
api_down() { bg_stop apiserver KILL; }

control_plane() {
    client containerd-1.7
    K8S=$("$TOP/tests/kubernetes/get" -c 2>"$TMP/get") || skip_all "no Kubernetes programs: $(cat "$TMP/get")"
    mkdir -p "$C"/{pki,log,pid,etcd}
    cleanup remove_k8s_cgroups
    cleanup nodes_kill
    quiet_ns node
    ip link add br0 type bridge
    ip addr add $API4/24 dev br0
    ip addr add $API6/64 dev br0 nodad
    ip link set br0 up
    # An outside that pods' masqueraded packets reach, and a rule so that this namespace does not forward.
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
    pki
    kubeconfig admin-token >"$KUBECONFIG"
    kubeconfig controllers-token >"$C/controllers.conf"
    bg etcd "$K8S/usr/bin/etcd" --data-dir "$C/etcd" --listen-client-urls http://127.0.0.1:2379 \
        --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --unsafe-no-fsync
    api_up || { tell etcd apiserver; bail "no API server"; }
    bg manager "$K8S/bin/kube-controller-manager" --kubeconfig="$C/controllers.conf" --leader-elect=false \
        --service-account-private-key-file="$C/pki/sa.key" --root-ca-file="$C/pki/ca.crt" \
        --allocate-node-cidrs --cluster-cidr=$POD_CIDRS --service-cluster-ip-range=$SERVICE_CIDRS \
        --node-cidr-mask-size-ipv4=24 --node-cidr-mask-size-ipv6=64 --feature-gates=IPv6DualStack=true \
        --node-monitor-grace-period=15s --node-monitor-period=2s --pod-eviction-timeout=10s
    bg scheduler "$K8S/bin/kube-scheduler" --kubeconfig="$C/controllers.conf" --leader-elect=false
}

# Control groups are the machine's: each node has one of its own below ours, in every hierarchy.
node_cgroup() { # N
    local h d
    for h in /sys/fs/cgroup/*/; do
        d=$h$GROUP/n$1
        mkdir -p "$d" 2>/dev/null || continue
        [ -e "$h/cpuset.cpus" ] || continue
        for f in "$h$GROUP" "$d"; do
            cat "$h/cpuset.cpus" >"$f/cpuset.cpus"
            cat "$h/cpuset.mems" >"$f/cpuset.mems"
            echo 1 >"$f/cgroup.clone_children"
        done
    done
}
remove_k8s_cgroups() {
    sleep 0.5
    find /sys/fs/cgroup -depth -type d -path "*$GROUP*" -exec rmdir {} \; 2>/dev/null || true
}
nodes_kill() {
    local n
    for n in "${!NODE_PID[@]}"; do kill -9 "${NODE_PID[$n]}" 2>/dev/null || true; done
}

# What runs inside a node first: it is given the folders that are its own.
node_init() {
    # The kubelet insists on settings of the whole machine: it reads and writes files in their place.
    local zero=/run/zero one=/run/one ten=/run/ten
    echo 0 >$zero; echo 1 >$one; echo 10 >$ten
    mount --bind $one /proc/sys/vm/overcommit_memory
    mount --bind $zero /proc/sys/vm/panic_on_oom
    mount --bind $ten /proc/sys/kernel/panic
    mount --bind $one /proc/sys/kernel/panic_on_oops
    mount -t tmpfs -o mode=755 tmpfs /opt
    mount -t tmpfs -o mode=755 tmpfs /var/log
    mkdir -p /opt/cni/bin /etc/cni/net.d /run/kubelet/static
    mount --make-rshared / # as systemd has it
    touch /run/ready
    sleep infinity
}

node_wire() { # N: its cable, addresses and default route
    ip link add "w$1" type veth peer name eth0 netns "${NODE_PID[$1]}"
    ip link set "w$1" master br0 up
    in_node "$1" sh -c "hostname n$1 && ip addr add 172.18.0.1$1/24 dev eth0 && ip addr add fd18::1$1/64 dev eth0 nodad &&
        ip link set eth0 up && ip route add default via $API4 && ip -6 route add default via $API6"
    bind_netns "n$1" "/proc/${NODE_PID[$1]}/ns/net"
    quiet_ns "n$1"
}

bind_netns() { # NAME FILE
    umount "/run/netns/$1" 2>/dev/null || true
    touch "/run/netns/$1"
    mount --bind "$2" "/run/netns/$1"
}

node_up() { # N
    local n=$1 pid
    declare -f node_init >"$TMP/node_init"
    "$TOP/tests/lib/node.sh" bash -c '. "$0" && node_init' "$TMP/node_init" >"$C/log/node-n$n" 2>&1 </dev/null &
    pid=$!
    # unshare's child is the node's first process.
    wait_for 10 node_first_pid "$n" "$pid" || { tell "node-n$n"; bail "node n$n does not start"; }
    node_wire "$n"
    node_cgroup "$n"
    node_containerd "$n"
    node_kubelet "$n"
    node_proxy "$n"
}
node_first_pid() { # N UNSHARE-PID
    local child
    child=$(pgrep -P "$2" | head -n1)
    [ -n "$child" ] && [ -e "/proc/$child/root/run/ready" ] && NODE_PID[$1]=$child
}

node_containerd() { # N
    (
        export CONFDIR=/etc/cni/net.d PLUGINS=/opt/cni/bin
        containerd_config 1.7
    ) >"$C/containerd.toml"
    cp "$C/containerd.toml" "/proc/${NODE_PID[$1]}/root/run/containerd.toml"
    local path=$CLIENT/usr/bin:$CLIENT/usr/sbin:$PATH
    bg "containerd-n$1" in_node "$1" env PATH="$path" "$CLIENT/usr/bin/containerd" -c /run/containerd.toml
    wait_for 30 node_ctr "$1" version || { tell "containerd-n$1"; bail "no containerd on n$1"; }
    node_image "$1" "$(image)"
    [ ! -e "$C/agent.tar" ] || node_image "$1" "$C/agent.tar"
}
node_image() { # N ARCHIVE
    cp "$2" "/proc/${NODE_PID[$1]}/root/run/image.tar"
    node_ctr "$1" images import /run/image.tar >/dev/null
    rm "/proc/${NODE_PID[$1]}/root/run/image.tar"
}

node_kubelet() { # N
    local n=$1 run=/proc/${NODE_PID[$1]}/root/run
    cat >"$run/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: $GROUP/n$n
enforceNodeAllocatable: [pods]
failSwapOn: false
maxOpenFiles: 20000
oomScoreAdj: 0
protectKernelDefaults: true
resolvConf: ""
clusterDNS: ["10.96.0.10"]
clusterDomain: cluster.local
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: "50Mi"}
volumePluginDir: /run/kubelet/plugins
staticPodPath: /run/kubelet/static
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
syncFrequency: 10s
registryPullQPS: 0
kubeAPIQPS: 50
kubeAPIBurst: 100
featureGates: {IPv6DualStack: true}
EOF
    kubeconfig "n$n-token" >"$run/kubelet.conf"
    mkdir -p "$run/cluster/pki"
    cp "$C/pki/ca.crt" "$run/cluster/pki/"
    bg "kubelet-n$n" in_node "$n" "$K8S/bin/kubelet" --config=/run/kubelet.yaml --kubeconfig=/run/kubelet.conf \
        --root-dir=/run/kubelet --cert-dir=/run/kubelet/pki --container-runtime=remote \
        --container-runtime-endpoint="unix://$SOCK" --pod-infra-container-image="$IMAGE" \
        --hostname-override="n$n" --node-ip="172.18.0.1$n,fd18::1$n"
}

node_proxy() { # N
    bg "proxy-n$1" in_node "$1" "$K8S/bin/kube-proxy" --kubeconfig=/run/kubelet.conf --proxy-mode=iptables \
        --hostname-override="n$1" --cluster-cidr=$POD_CIDRS --feature-gates=IPv6DualStack=true \
        --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 \
        --oom-score-adj=0 --iptables-min-sync-period=0s
}

node_down() { # N: power off
    kill -9 "${NODE_PID[$1]}"
    umount "/run/netns/n$1" && rm -f "/run/netns/n$1"
    unset "NODE_PID[$1]"
}

ready_nodes() { k get nodes -o 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status} {end}'; }
all_ready() { [ "$(ready_nodes | grep -o =True | wc -l)" = "$1" ]; } # HOW-MANY

pods_ready() { # SELECTOR HOW-MANY
    [ "$(k get pods -l "$1" -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
        grep -c True)" = "$2" ]
}
no_pods() { [ -z "$(k get pods -l "$1" -o name)" ]; } # SELECTOR

# NAME NODE [LABELS-JSON] [SPEC-LINES]: a pod that waits, pinned to a node, as YAML
pod_yaml() {
    cat <<EOF
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {pod: $1${3:+, $3}}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 0
${4:-}
  containers:
  - {name: c, image: "$IMAGE", imagePullPolicy: Never, command: [/bin/tail, -f, /dev/null]${5:+, $5}}
EOF
}

pod_netns() { # POD: the path, as seen from here
    local node id path
    node=$(k8s_get "pod/$1" '{.spec.nodeName}')
    node=${node#n}
    id=$(node_ctr "$node" containers ls -q "labels.\"io.kubernetes.pod.name\"==$1,labels.\"io.cri-containerd.kind\"==sandbox" | head -n1)
    path=$(node_ctr "$node" containers info "$id" | jq -r '.Spec.linux.namespaces[]|select(.type=="network").path')
    # A pod in the node's own network has none.
    [ -n "$path" ] && echo "/proc/${NODE_PID[$node]}/root$path" || echo "/proc/${NODE_PID[$node]}/ns/net"
}
bind_pod() { # POD: also sets IP4[POD], IP6[POD]
    local ips
    bind_netns "$1" "$(pod_netns "$1")"
    ips=$(k8s_get "pod/$1" '{.status.podIPs[*].ip}')
    # shellcheck disable=SC2034
    IP4[$1]=${ips%% *} IP6[$1]=${ips##* }
    quiet_ns "$1"
}

# --- podwire, as people install it ---

# The image (tests/deploy/lib.sh), and deploy/kubernetes with this cluster's ranges; CONFIG is JSON laid over.
agent_image() { [ -e "$C/agent.tar" ] || image_build "$C/agent.tar"; }
# Another build of it, as an upgrade brings: its datapath has another build id.
NEXT_IMAGE=localhost/podwire:next
agent_next_image() {
    local c other=$BUILD/tests/netns/other/build
    c=$(buildah from --pull-never "$AGENT_IMAGE") && buildah copy -q "$c" "$other/podwire" /usr/libexec/podwire/ &&
        buildah copy -q "$c" "$other/podwired" "$other/podwirectl" /usr/sbin/ &&
        buildah commit -q --signature-policy "$BUILDAH_STATE/policy.json" "$c" "$NEXT_IMAGE" && buildah rm "$c" &&
        buildah push --signature-policy "$BUILDAH_STATE/policy.json" "$NEXT_IMAGE" "oci-archive:$C/next.tar:$NEXT_IMAGE"
}
agent_manifest() { # [CONFIG]
    local conf
    conf=$(jq -nc --argjson more "${1:-{\}}" '{clusterRanges: ["10.88.0.0/16", "fd88::/48"]} + $more')
    sed "s#\"podwire:#\"localhost/podwire:#" "$TOP/deploy/kubernetes/podwire.yaml" |
        awk -v conf="$conf" '/agent.json: \|/ { print; print "    " conf; skip = 1; next }
            skip && /^    / { next } { skip = 0; print }'
}
agent_up() { # [CONFIG]
    agent_manifest "${1:-}" >"$C/agent.yaml"
    apply "$C/agent.yaml"
}
agent_conf() { # [CONFIG]: another configuration, and agents that have read it
    agent_up "${1:-}" && k -n kube-system rollout restart daemonset/podwire && agents_ready 120
}
agent_pod() { k -n kube-system get pods -l app.kubernetes.io/name=podwire --field-selector "spec.nodeName=n$1" -o name; }
agents_ready() { # [SECONDS]: asked again where an API server has too much to do to answer
    wait_for "${1:-60}" k -n kube-system rollout status daemonset/podwire --timeout=10s
}
agent_pid() { in_node "$1" pgrep -x podwired; } # N: there
agent_kill() { # N: and it is back
    local was
    was=$(agent_pid "$1")
    in_node "$1" kill -9 "$was"
    wait_for 60 eval "n=\$(agent_pid $1) && [ \"\$n\" != $was ]"
    agents_ready
}
agent_upgrade() { # IMAGE
    k -n kube-system set image daemonset/podwire "install=$1" "podwired=$1" && agents_ready 120
}
agent_log() { # N
    diag "--- podwired on n$1"
    diag "$(k -n kube-system logs --all-containers "$(agent_pod "$1")" --tail=8 2>&1 | cut -c1-300)"
}
agent_ctl() { # N ARG...: podwirectl of that node's agent
    k -n kube-system exec "$(agent_pod "$1")" -c podwired -- podwirectl "${@:2}"
}

# After a flow that failed: counters of places where a packet can go without a word, and what was not Ready meanwhile.
# Neighbour tables are all namespaces' together: /proc/net/stat/{arp,ndisc}_cache, which only the first one shows.
counters() { # FILE NAME...: of a file of /proc/net/stat, summed over processors
    awk -v want=" ${*:2} " 'NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next }
        { for (i = 1; i <= NF; i++) if (index(want, " " name[i] " ")) sum[name[i]] = sum[name[i]] " 0x" $i }
        END { for (n in sum) print n "=" sum[n] }' "$1" | tr '\n' ' '
}
where_lost() {
    local n
    diag "machine: backlog $(awk '{ print "0x" $2 }' /proc/net/softnet_stat | tr '\n' ' ')"
    for n in "${!NODE_PID[@]}"; do
        diag "n$n: $(counters "/proc/${NODE_PID[$n]}/net/stat/nf_conntrack" insert_failed drop early_drop invalid)"
        diag "n$n: $(awk '$1 ~ /^(Ip6(InDiscards|OutDiscards|OutNoRoutes|InAddrErrors|InNoRoutes)|Udp6InErrors)$/ && $2' "/proc/${NODE_PID[$n]}/net/snmp6" | tr -s ' \n' ' ')"
        diag "n$n: $(in_node "$n" ip -s link show eth0 | grep -A1 -E 'RX|TX' | tr -s ' \n' ' ')"
        diag "n$n: drops $(agent_ctl "$n" drops --json 2>/dev/null | jq -c '[.. | objects | select(.verdict? == "drop") | [.reason, .packets]]' 2>/dev/null)"
    done
    diag "$(k get events -A --sort-by=.lastTimestamp 2>&1 | grep -E 'NotReady|Evict|Unhealthy|TaintManager' | tail -n 8 | cut -c1-200)"
}

why_not_ready() { # [NAMESPACE]: what the cluster says of pods that do not come up
    diag "$(k get -n "${1:-default}" pods -o wide 2>&1)"
    diag "$(k get -n "${1:-default}" events --sort-by=.lastTimestamp 2>&1 | grep -v Normal | tail -n 12 | cut -c1-400)"
}

cluster_up() { # NODES [CONFIG]: everything up to pods' service account
    local i
    buildah_up
    control_plane
    must ok "the image is built" agent_image
    for ((i = 1; i <= $1; i++)); do node_up $i; done
    agent_up "${2:-}" >/dev/null
    wait_for 90 all_ready "$1" || { why_not_ready kube-system; agent_log 1; }
    must ok "all nodes are Ready" all_ready "$1"
    must ok "the service account of pods" wait_for 30 k get sa default
}

test_pods() { # what services.sh has, bound and Ready
    local p
    pods_yaml >"$C/pods.yaml"
    services_yaml >"$C/services.yaml"
    must ok "pods are made" apply "$C/pods.yaml"
    must ok "Services are made" apply "$C/services.yaml"
    wait_for 60 pods_ready pod 5 || { why_not_ready; tell kubelet-n1 containerd-n1; }
    must ok "five pods are Ready" pods_ready pod 5
    for p in a1 a2 b1 c1 h1; do bind_pod $p; done
    read_services
    warm_up || diag "not all ways are there after a minute"
}
# A pod is Ready before every node's kube-proxy and agent have heard of it, and a datagram that comes too early is
# lost for good: TCP by all ways first, again and again until it gets through.
warm_up() {
    { direct_flows 4; direct_flows 6; } | grep ^tcp >"$C/warm-direct"
    { service_flows 4 cluster; service_flows 6 cluster; } | grep ^tcp >"$C/warm-cluster"
    { service_flows 4 port; service_flows 6 port; } | grep ^tcp >"$C/warm-port"
    wait_for 60 warm_once
}
warm_once() { "$PWT" <"$C/warm-direct" && "$PWT" <"$C/warm-cluster" && "$PWT" <"$C/warm-port"; }
