# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests with real clients share: a plugin folder, a network's configuration, a containerd
# and pods in it. Source tests/lib/tap.sh first.
#
# UNDER_TEST=bridge runs the same tests against the reference bridge plugin with host-local: what
# fails there as well is the test's own fault.

CLIENTS=$TOP/tests/clients
UNDER_TEST=${UNDER_TEST:-podwire}
IMAGE=localhost/podwire/busybox:1
# Subnets of the network under test, and the prefixes of addresses in them.
NET4=10.88.1 NET6=fd88:1:
# Of another network beside it.
OTHER4=10.88.2 OTHER6=fd88:2:

# Everything a client keeps lives in the node's own /run and goes away with it.
STATE=/run/clients
PLUGINS=$STATE/bin CALLS=$STATE/bin/log
mkdir -p "$STATE"
# A node has addresses of its own.
ip addr add 192.0.2.1/32 dev lo
ip addr add 2001:db8::1/128 dev lo

client() { # NAME: sets CLIENT to its folder, or leaves the file out
    CLIENT=$("$CLIENTS/get" -c "$1" 2>"$TMP/get") || skip_all "$1: $(cat "$TMP/get")"
}

image() { # the archive of IMAGE
    local d
    d=$("$CLIENTS/get" -c image) && echo "$d/image.tar"
}

# The reference plugins that stand beside ours: those that came with the client, else the machine's.
reference_plugins() {
    local d
    for d in "${CLIENT:-/nowhere}/usr/lib/cni" /usr/lib/cni /opt/cni/bin; do
        [ -x "$d/portmap" ] && { echo "$d"; return; }
    done
    bail "no reference plugins: install containernetworking-plugins"
}

# Makes PLUGINS: the reference plugins, and ours behind a recorder.
plugin_dir() {
    local ref p
    [ "$UNDER_TEST" = bridge ] || [ -x "$BUILD/$UNDER_TEST" ] || skip_all "$BUILD/$UNDER_TEST is not built"
    ref=$(reference_plugins)
    mkdir -p "$CALLS"
    for p in "$ref"/*; do cp "$p" "$PLUGINS/"; done
    [ "$UNDER_TEST" = bridge ] || cp "$BUILD/$UNDER_TEST" "$BUILD/podwire-vhost" "$PLUGINS/"
    mv "$PLUGINS/$UNDER_TEST" "$PLUGINS/$UNDER_TEST.real"
    cp "$CLIENTS/record" "$PLUGINS/$UNDER_TEST"
    # Fails its ADD for as long as $STATE/fail is there.
    cat >"$PLUGINS/maybe" <<X
#!/bin/sh
[ "\$CNI_COMMAND" = ADD ] || exit 0
[ ! -e $STATE/fail ] || { echo '{"cniVersion":"1.0.0","code":100,"msg":"maybe: not today"}'; exit 1; }
jq -c .prevResult
X
    chmod +x "$PLUGINS/maybe"
}

CAPABILITIES='{"mac":true,"ips":true,"ipRanges":true,"io.kubernetes.cri.pod-annotations":true,
    "portMappings":true,"bandwidth":true,"dns":true,"cgroupPath":true,"aliases":true}'

plugin_conf() { # the plugin under test with its IPAM, as an element of a list
    local ranges="[[{\"subnet\":\"$NET4.0/24\"}],[{\"subnet\":\"$NET6:/64\"}]]"
    local routes='[{"dst":"0.0.0.0/0"},{"dst":"::/0"}]'
    case $UNDER_TEST in
    podwire) cat <<X
{"type":"podwire","podDevices":["netkit","netkit-l2","veth","tap","pod-tap","vhost-user"],"capabilities":$CAPABILITIES,
 "ipam":{"type":"podwire","ranges":$ranges,"routes":$routes}}
X
        ;;
    bridge) cat <<X
{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"capabilities":$CAPABILITIES,
 "ipam":{"type":"host-local","ranges":$ranges,"routes":$routes}}
X
        ;;
    esac
}

conflist() { # VERSIONS NAME [PLUGIN-CONF...]: a list of ours and what follows in the chain
    local versions=$1 name=$2 p
    shift 2
    printf '{%s,"name":"%s","plugins":[' "$versions" "$name"
    plugin_conf
    for p in "$@"; do printf ',%s' "$p"; done
    printf ']}\n'
}

other_subnets() { sed "s/$NET4/$OTHER4/g; s/$NET6/$OTHER6/g; s/cni0/cni1/"; } # in a list on stdin

export PORTMAP='{"type":"portmap","capabilities":{"portMappings":true}}'
export MAYBE='{"type":"maybe"}'
# One list for old and new clients: each takes the newest version that it knows.
export ALL_VERSIONS='"cniVersion":"0.4.0","cniVersions":["0.4.0","1.0.0","1.1.0"]'

put_conf() { # DIR/FILE: install standard input there, as runtimes want it: renamed inside the folder
    mkdir -p "$(dirname "$1")"
    cat >"$(dirname "$1")/.new"
    mv "$(dirname "$1")/.new" "$1"
}

# What was sent to the plugin. Calls are numbered from 1 in the order in which they came.
calls() { find "$CALLS" -name '*.rc' | wc -l; }
call_env() { sed -n "s/^CNI_$2=//p" "$CALLS/$(printf %04d "$1").env"; } # NUMBER NAME
call_in() { jq -c "$2" "$CALLS/$(printf %04d "$1").in"; }              # NUMBER JQ-FILTER
call_out() { jq -c "$2" "$CALLS/$(printf %04d "$1").out"; }
call_rc() { cat "$CALLS/$(printf %04d "$1").rc"; }
verbs() { # FROM: the commands since that call, in one line
    local i
    for ((i = $1; i <= $(calls); i++)); do call_env "$i" COMMAND; done | xargs
}

# --- what a pod leaves on the node -------------------------------------------------------------

# Names that the first pod of a node creates for good (our table, maps, portmap's chains) are made by
# a pod beforehand.
# shellcheck source=../lib/footprint.sh
. "$TOP/tests/lib/footprint.sh"

unchanged() { # NAME BEFORE-FILE
    footprint >"$TMP/after"
    if diff "$2" "$TMP/after" >"$TMP/diff"; then
        tap_result 0 "$1"
    else
        tap_result 1 "$1"
        diag "< was there before, > was left"
        diag "$(cat "$TMP/diff")"
    fi
}

# --- containerd --------------------------------------------------------------------------------

SOCK=$STATE/c.sock CONFDIR=$STATE/conf.d
# Control groups are the machine's: a parent of our own is found and removed again.
CGROUP=/podwire-test-$$-$RANDOM

remove_cgroups() {
    find /sys/fs/cgroup -depth -type d -path "*$CGROUP*" -exec rmdir {} \; 2>/dev/null || true
}

containerd_config() { # MAJOR.MINOR
    local cri cni runc images
    case $1 in
    1.*)
        cri='plugins."io.containerd.grpc.v1.cri"' cni="$cri.cni" runc="$cri.containerd"
        images="[$cri]
sandbox_image = \"$IMAGE\""
        echo 'version = 2' ;;
    *)
        cri='plugins."io.containerd.cri.v1.runtime"' cni="$cri.cni" runc="$cri.containerd"
        images="[plugins.\"io.containerd.cri.v1.images\".pinned_images]
sandbox = \"$IMAGE\"
[$cri]"
        echo 'version = 3' ;;
    esac
    # oom_score: lowering it needs a right that containers of tests seldom have. NRI and the
    # snapshotters would write to places of the machine.
    cat <<X
root = "$STATE/root"
state = "$STATE/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile", "io.containerd.nri.v1.nri"]
[grpc]
address = "$SOCK"
[ttrpc]
address = "$STATE/c.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$STATE/opt"
$images
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
disable_apparmor = true
[$cni]
$(case $1 in 1.*) echo "bin_dir = \"$PLUGINS\"" ;; *) echo "bin_dirs = [\"$PLUGINS\"]" ;; esac)
conf_dir = "$CONFDIR"
max_conf_num = 1
[$runc]
default_runtime_name = "runc"
[$runc.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[$runc.runtimes.runc.options]
BinaryName = "$CLIENT/usr/sbin/runc"
SystemdCgroup = false
X
}

ctr() { "$CLIENT/usr/bin/ctr" -a "$SOCK" "$@"; }
CTD_PID=

containerd_up() {
    PATH=$CLIENT/usr/bin:$CLIENT/usr/sbin:$PATH "$CLIENT/usr/bin/containerd" -c "$STATE/config.toml" \
        >>"$STATE/containerd.log" 2>&1 &
    CTD_PID=$!
    wait_for 30 ctr version || { diag "$(tail -n5 "$STATE/containerd.log")"; bail "containerd does not start"; }
}

containerd_down() {
    kill "$CTD_PID"
    wait "$CTD_PID" || true
}

containerd_start() { # MAJOR.MINOR
    mkdir -p "$CONFDIR"
    containerd_config "$1" >"$STATE/config.toml"
    cleanup remove_cgroups
    containerd_up
    ctr -n k8s.io images import "$(image)" >/dev/null
}

# --- pods through the CRI; text in and out is protobuf's -----------------------------------------

cri() { "$CLIENTS/cri" "$SOCK" "$1"; }

field() { sed -nE "s/^ *$1: \"(.*)\"\$/\\1/p; s/^ *$1: ([^\"].*)/\\1/p"; } # NAME: its values in a reply

pod_config() { # NAME [MORE-FIELDS]
    cat <<X
metadata { name: "$1" uid: "uid-$1" namespace: "default" }
hostname: "$1" log_directory: "$STATE/logs/$1" dns_config { servers: "10.0.0.10" }
labels { key: "app" value: "$1" } linux { cgroup_parent: "$CGROUP" } ${2:-}
X
}

# Starts a pod with one container that waits; files ID, CTR and ADDRS of $STATE/pods/NAME hold the
# sandbox, the container and the addresses.
pod_up() { # NAME [MORE-FIELDS]
    local d=$STATE/pods/$1 conf
    mkdir -p "$d" "$STATE/logs/$1"
    conf=$(pod_config "$@")
    echo "config { $conf }" | cri RunPodSandbox >"$d/reply" || return 1
    field pod_sandbox_id <"$d/reply" >"$d/ID"
    echo "pod_sandbox_id: \"$(cat "$d/ID")\"" | cri PodSandboxStatus | field ip >"$d/ADDRS" || return 1
    printf 'pod_sandbox_id: "%s" sandbox_config { %s } config { metadata { name: "c" }
        image { image: "%s" } command: "/bin/sh" command: "-c"
        command: "httpd -p 8080 -h /www; exec tail -f /dev/null" log_path: "c.log" }' \
        "$(cat "$d/ID")" "$conf" "$IMAGE" | cri CreateContainer | field container_id >"$d/CTR" || return 1
    echo "container_id: \"$(cat "$d/CTR")\"" | cri StartContainer
}

pod_addr() { sed -n "${2}p" "$STATE/pods/$1/ADDRS"; } # NAME 1|2

pod_exec() { # NAME COMMAND...
    local a
    { printf 'container_id: "%s" timeout: 20 ' "$(cat "$STATE/pods/$1/CTR")"
        shift
        for a in "$@"; do printf 'cmd: "%s" ' "$a"; done
    } | cri ExecSync >"$STATE/exec" || return 1
    printf '%b' "$(field stdout <"$STATE/exec")" "$(field stderr <"$STATE/exec")"
    return "$(field exit_code <"$STATE/exec" | grep . || echo 0)"
}

pod_stop() { echo "pod_sandbox_id: \"$(cat "$STATE/pods/$1/ID")\"" | cri StopPodSandbox; }
pod_remove() { echo "pod_sandbox_id: \"$(cat "$STATE/pods/$1/ID")\"" | cri RemovePodSandbox; }

network_ready() { # succeeds when the runtime says so; prints its message
    cri Status </dev/null | sed -n '/type: "NetworkReady"/,/^ *}/p' >"$TMP/ready"
    cat "$TMP/ready"
    grep -q 'status: true' "$TMP/ready"
}
