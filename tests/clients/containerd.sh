# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What every containerd must do with our plugin; sourced by t_containerd_*.sh with CTD_VERSION set.

client "containerd-$CTD_VERSION"
plugin_dir
containerd_start "$CTD_VERSION"
like "containerd $CTD_VERSION runs" "$(cri Version </dev/null)" "runtime_version: \"[v~]*$CTD_VERSION"

nok "NetworkReady is false without a network" network_ready
conflist "$ALL_VERSIONS" podnet "$PORTMAP" "$MAYBE" | put_conf "$CONFDIR/10-podnet.conflist"
must ok "NetworkReady is true soon after a list is renamed inside the folder" wait_for 20 network_ready

# The first pod makes what a node keeps (tables, maps, portmap's chains); later pods must leave nothing.
must ok "a pod starts" pod_up first "port_mappings { container_port: 1 host_port: 18079 }"
footprint >"$TMP/before"
first=$(($(calls) + 1))

# 1. Two pods, both families.
must ok "a second pod starts" pod_up a "port_mappings { container_port: 8080 host_port: 18080 }
    annotations { key: \"podwire.io/device\" value: \"veth\" }
    annotations { key: \"last-applied\" value: \"$(printf '%0200000d' 0)\" }"
must ok "a third pod starts" pod_up b
like "IPv4 address in the pod's status" "$(pod_addr a 1)" "^$NET4\."
like "IPv6 address in the pod's status" "$(pod_addr a 2)" "^$NET6:"
ok "pod to pod, IPv4" pod_exec a ping -c1 -W10 "$(pod_addr b 1)"
ok "pod to pod, IPv6" pod_exec a ping -c1 -W10 "$(pod_addr b 2)"
ok "host to pod, IPv4" ping -c1 -W10 "$(pod_addr a 1)"
ok "host to pod, IPv6" ping -c1 -W10 "$(pod_addr a 2)"
# Not by busybox's wget: the static one looks a service's name up and dies of it.
like "HTTP from pod to pod" "$(pod_exec b sh -c "(echo GET /index.html HTTP/1.0; echo) | nc -w3 $(pod_addr a 1) 8080")" "hello from a pod"
is "HTTP to the hostPort" "$(curl -sS -m5 http://192.0.2.1:18080/)" "hello from a pod"

# What it sent (REAL-CLIENTS points are replayed by t_sends.sh; here the client itself sends them).
is "one ADD for each pod" "$(verbs "$first" | tr ' ' '\n' | grep -c ADD)" 2
add=$first
[ "$(call_env "$add" COMMAND)" = ADD ] || add=$((add + 1))
is "ADD names the interface" "$(call_env "$add" IFNAME)" eth0
like "ADD carries the pod's name" "$(call_env "$add" ARGS)" "K8S_POD_NAME=a"
is "annotations are handed over whole" \
    "$(call_in "$add" '.runtimeConfig["io.kubernetes.cri.pod-annotations"]["last-applied"]|length')" 200000
case $CTD_VERSION in
1.*) is "it asks in the list's lowest version" "$(call_in "$add" .cniVersion)" '"0.4.0"' ;;
*) is "it asks in version 1.1.0" "$(call_in "$add" .cniVersion)" '"1.1.0"' ;;
esac
is "and is answered in the same" "$(call_out "$add" .cniVersion)" "$(call_in "$add" .cniVersion)"

# 2. containerd restarts under running pods.
containerd_down
ok "pods reach each other while containerd is down" ping -c1 -W10 "$(pod_addr b 1)"
containerd_up
wait_for 20 network_ready || true
ok "a pod is still reached after containerd's restart" pod_exec a ping -c1 -W10 "$(pod_addr b 1)"
is "all pods are still listed" "$(cri ListPodSandbox </dev/null | grep -c 'items {')" 3

# 3. A pod ends: DEL comes twice.
first=$(($(calls) + 1))
ok "a pod stops and is removed" eval 'pod_stop a && pod_remove a'
dels=()
for ((i = first; i <= $(calls); i++)); do [ "$(call_env "$i" COMMAND)" != DEL ] || dels+=("$i"); done
must is "DEL is sent twice" "${#dels[@]}" 2
is "the first succeeds" "$(call_rc "${dels[0]}")" 0
is "so does the second, without namespace and prevResult" \
    "$(call_rc "${dels[1]}") ns='$(call_env "${dels[1]}" NETNS)' $(call_in "${dels[1]}" .prevResult)" "0 ns='' null"
ok "another stops and is removed" eval 'pod_stop b && pod_remove b'
unchanged "the two leave nothing behind" "$TMP/before"

# 4. An ADD that fails after ours succeeded.
touch "$STATE/fail"
first=$(($(calls) + 1))
nok "a pod whose ADD fails does not start" pod_up c
like "its error tells the plugin's own message" "$(cat "$TMP/.out")" "not today"
wait_for 20 eval '[[ $(verbs "$first") == *ADD*DEL* ]]' || true
like "DEL follows the failed ADD" "$(verbs "$first")" "ADD.*DEL"
rm "$STATE/fail"
is "no such pod is listed" "$(cri ListPodSandbox </dev/null | grep -c 'items {')" 1
unchanged "the failed pod leaves nothing behind" "$TMP/before"

# 5. A pod of each kind of device that this kernel allows, chosen by its annotation. Taps are for virtual machines:
# a container of runc gets an empty namespace beside one, which the runtime must take as well.
device_kinds() {
    local kinds="veth tap pod-tap vhost-user"
    [ -c /dev/net/tun ] || kinds=veth
    "$BUILD/podwirectl" status --json | grep -q '"netkit": true' && kinds="netkit netkit-l2 $kinds"
    echo "$kinds"
}
kind_of() { "$BUILD/podwirectl" endpoints --json | jq -r --arg a "$(pod_addr "$1" 1)" '.[]|select(any(.. | strings; . == $a or startswith($a + "/")))|.kind'; }
if [ "$UNDER_TEST" = podwire ]; then
    for kind in $(device_kinds); do
        must ok "$kind: a pod starts" pod_up "k-$kind" "annotations { key: \"podwire.io/device\" value: \"$kind\" }"
        is "$kind: that is what it got" "$(kind_of "k-$kind")" "$kind"
        case $kind in
        veth | netkit*)
            ok "$kind: the node reaches it, IPv4" ping -c1 -W3 "$(pod_addr "k-$kind" 1)"
            ok "$kind: the node reaches it, IPv6" ping -c1 -W3 "$(pod_addr "k-$kind" 2)" ;;
        *) is "$kind: its addresses are the guest's, not the namespace's" \
            "$(pod_exec "k-$kind" ip -o addr show | grep -c "$NET4\\.")" 0 ;;
        esac
    done
    for kind in $(device_kinds); do ok "$kind: it stops and is removed" eval "pod_stop k-$kind && pod_remove k-$kind"; done
    unchanged "no kind leaves anything behind" "$TMP/before"
fi

# 6. STATUS, from 2.1 on.
case $CTD_VERSION in
1.*) ;;
*)
    first=$(($(calls) + 1))
    network_ready >/dev/null
    like "NetworkReady asks the plugin for its STATUS" "$(verbs "$first")" STATUS
    if [ "$UNDER_TEST" = podwire ]; then
        mount -t tmpfs none /sys/fs/bpf
        nok "NetworkReady is false on a node without a bpffs" network_ready
        like "and says why in our words" "$(cat "$TMP/ready")" "bpf"
        umount /sys/fs/bpf
        ok "and true again when it is back" network_ready
    fi ;;
esac

# 7. ctr run --cni reads the machine's own places.
mount -t tmpfs tmpfs /opt
mkdir -p /opt/cni/bin
cp -r "$PLUGINS/." /opt/cni/bin/
conflist "$ALL_VERSIONS" ctrnet "$PORTMAP" | other_subnets | put_conf /etc/cni/net.d/10-ctrnet.conflist
ctr images import "$(image)" >/dev/null
ctr_run() { ctr run --rm --cni --cgroup "$CGROUP/ctr" --runc-binary "$CLIENT/usr/sbin/runc" "$IMAGE" "$@"; }
ok "ctr run --cni runs a container" ctr_run first /bin/true
footprint >"$TMP/before"
ok "ctr run --cni gives a container its interface" ctr_run ctr1 /bin/ip addr show dev eth0
like "with an IPv4 address of the network" "$(cat "$TMP/.out")" "inet $OTHER4\."
like "and an IPv6 address" "$(cat "$TMP/.out")" "inet6 $OTHER6:"
unchanged "ctr's container leaves nothing behind" "$TMP/before"

# 8. The node's pods are lost with the runtime's memory of them: GC, by cnitool since no containerd calls it.
if [ "$UNDER_TEST" = podwire ] && [ "$CTD_VERSION" = 2.1 ] && TOOL=$("$CLIENTS/get" -c cnitool-1.3 2>"$TMP/get"); then
    must ok "pods to be forgotten" eval 'pod_up lost1 && pod_up lost2'
    kill -9 "$CTD_PID"
    # What dies takes others and their folders with it, so not all that is told is still there.
    group_pids() { find /sys/fs/cgroup -path "*$CGROUP*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u; }
    no_group() { group_pids | xargs -r kill -9 2>/dev/null; [ -z "$(group_pids)" ]; }
    wait_for 20 no_group || true
    { findmnt -rno TARGET | grep "^$STATE/state/" | sort -r | xargs -rn1 umount -l 2>/dev/null; } || true
    rm -rf "$STATE/root" "$STATE/state" /var/lib/cni/results
    nok "something is left of them" diff <(ls /run/podwire/endpoints) /dev/null
    ok "GC by cnitool" env NETCONFPATH="$CONFDIR" CNI_PATH="$PLUGINS" CNI_IFNAME=eth0 "$TOOL/bin/cnitool" gc podnet /var/run
    is "frees all that they had" "$(find /run/podwire/endpoints /run/podwire/ipam/podnet/owners -type f | wc -l)" 0
    is "on the node too" "$(ip -o link | grep -c ' pw-')" 0
fi
