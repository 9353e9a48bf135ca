#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What runtimes really send, replayed to the plugin as it was recorded from them (containerd 1.6 and
# 2.1, podman 4.3, buildah 1.28, cnitool 1.3): eleven habits that the specification does not tell.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
need ip jq
plugin_dir
ID=6ac2b4a2e53f8d6ec66222562004e136f5dffa2f20ffc638192b5253964e8f44

# The plugin's part of a list, as libcni hands it over: CONF VERSION [JQ-FILTER with more].
conf() {
    plugin_conf | jq -c --arg v "$1" ".cniVersion=\$v | .name=\"podnet\" | ${2:-.}"
}
# One call, as a runtime makes it: SEND VERB CONTAINER NETNS [ENV=VALUE...] <conf; output in $TMP/result.
send() {
    local verb=$1 id=$2 netns=$3 rc=0
    shift 3
    env CNI_COMMAND="$verb" CNI_CONTAINERID="$id" CNI_NETNS="$netns" CNI_IFNAME=eth0 CNI_ARGS= \
        CNI_PATH="$PLUGINS" "$@" "$PLUGINS/$UNDER_TEST" >"$TMP/result" || rc=$?
    echo "$(cat "$TMP/result")"
    return $rc
}
sent() { # NAME CONF SEND-ARGS...: it must succeed
    local name=$1 conf=$2
    shift 2
    printf '%s' "$conf" >"$TMP/conf"
    ok "$name" sent_from_file "$@"
}
sent_from_file() { send "$@" <"$TMP/conf"; }
result() { jq -c "$1" "$TMP/result"; }
has_address() { result "[.ips[].address|sub(\"/.*\";\"\")]|any(.==\"$1\")"; }
inside() { ip -n "$1" -j addr show dev eth0 2>/dev/null | jq -c "$2"; } # NETNS JQ-FILTER
forget() { send DEL "$1" /run/netns/p1 <<<"$(conf 1.0.0)" >/dev/null || diag "DEL: $(cat "$TMP/result")"; }

for n in p0 p1; do ip netns add $n; done
sent "a first pod, for what a node keeps" "$(conf 1.0.0)" ADD first /run/netns/p0
footprint >"$TMP/before"

# 1. containerd writes Go's field names, podman and cnitool the documented ones; null for nothing.
containerd_caps='{"bandwidth":{"IngressRate":10000000,"IngressBurst":4294967295,"EgressRate":0,"EgressBurst":0},
    "dns":{"Servers":["10.0.0.10"],"Searches":null,"Options":null},"io.kubernetes.cri.pod-annotations":{"a":"b"},
    "portMappings":[{"HostPort":18080,"ContainerPort":8080,"Protocol":"tcp","HostIP":""}]}'
sent "1. runtimeConfig as containerd spells it" "$(conf 1.0.0 ".runtimeConfig=$containerd_caps")" ADD c1 /run/netns/p1
forget c1
sent "1. runtimeConfig with null for every empty list and map" "$(conf 1.0.0 '.runtimeConfig={"portMappings":null,
    "ips":null,"ipRanges":null,"dns":null,"io.kubernetes.cri.pod-annotations":null,"bandwidth":null}')" ADD c1 /run/netns/p1
forget c1
sent "1. ipRanges in Go's field names" "$(conf 1.0.0 '.runtimeConfig={"ipRanges":
    [[{"Subnet":"10.88.1.0/24","RangeStart":"10.88.1.99","RangeEnd":"10.88.1.99"}]]} | .ipam.ranges=[]')" ADD c1 /run/netns/p1
is "1. and they are obeyed" "$(has_address 10.88.1.99)" true
forget c1
sent "1. ips and mac in the documented spelling" "$(conf 1.0.0 \
    ".runtimeConfig={\"ips\":[\"$NET4.50/24\"],\"mac\":\"02:00:00:00:00:32\"}")" ADD c1 /run/netns/p1
is "1. and obeyed" "$(has_address "$NET4.50")" true
forget c1

# 2. DEL comes twice, and after a failed ADD once without prevResult.
sent "2. ADD" "$(conf 1.0.0)" ADD "$ID" /run/netns/p1
prev=$(cat "$TMP/result")
sent "2. DEL with namespace and prevResult" "$(conf 1.0.0 ".prevResult=$prev")" DEL "$ID" /run/netns/p1
sent "2. then DEL with neither" "$(conf 1.0.0)" DEL "$ID" ""
sent "2. DEL with the namespace and no prevResult, of what was never added" "$(conf 1.0.0)" DEL never /run/netns/p1
unchanged "2. nothing is left" "$TMP/before"

# 3. CNI_ARGS in any order, with keys that are none of ours.
for args in "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=$ID;K8S_POD_UID=u-1;IgnoreUnknown=1" \
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=$ID;K8S_POD_UID=u-1" \
    "K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=$ID" ""; do
    sent "3. CNI_ARGS='${args:0:32}...'" "$(conf 1.0.0)" ADD "$ID" /run/netns/p1 CNI_ARGS="$args"
    forget "$ID"
done
sent "3. podman's IP= and MAC=" "$(conf 1.0.0)" ADD "$ID" /run/netns/p1 \
    CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=c1;K8S_POD_NAME=c1;K8S_POD_INFRA_CONTAINER_ID=$ID;MAC=02:00:00:00:00:33;IP=$NET4.51"
is "3. IP= is obeyed" "$(has_address "$NET4.51")" true
forget "$ID"

# 4. Four kinds of path to the namespace.
ip netns exec p1 sleep 1000 &
holder=$!
cleanup kill $holder
wait_for 30 test "/proc/$holder/ns/net" -ef /run/netns/p1
exec 9</run/netns/p1
mkdir -p /run/clients/state/netns
touch /run/clients/state/netns/cni-536151ff
mount --bind /run/netns/p1 /run/clients/state/netns/cni-536151ff
for path in /run/netns/p1 /run/clients/state/netns/cni-536151ff "/proc/$holder/ns/net" "/proc/$$/fd/9"; do
    sent "4. CNI_NETNS=$path" "$(conf 1.0.0)" ADD "$ID" "$path"
    is "4. the pod's interface is in it" "$(inside p1 '.[0].ifname')" '"eth0"'
    is "4. the result says the path as it was given" \
        "$(result '[.interfaces[]|select(.sandbox).sandbox]|unique[0]')" "\"$path\""
    sent "4. DEL by it" "$(conf 1.0.0)" DEL "$ID" "$path"
    is "4. takes it away" "$(inside p1 '.[0].ifname')" ""
done
exec 9<&-
umount /run/clients/state/netns/cni-536151ff

# 5. podman and buildah ask for VERSION with dummies and without a container.
sent "5. VERSION with dummy interface, namespace and path" '{"cniVersion":"1.0.0"}' VERSION "" dummy \
    CNI_IFNAME=dummy CNI_PATH=dummy
is "5. every version that a list may name is supported" \
    "$(result '[.supportedVersions[]|select(.=="0.4.0" or .=="1.0.0")]')" '["0.4.0","1.0.0"]'
sent_without_id() { env -u CNI_CONTAINERID -u CNI_ARGS CNI_COMMAND=VERSION CNI_NETNS=dummy CNI_IFNAME=dummy \
    CNI_PATH=dummy "$PLUGINS/$UNDER_TEST" <<<'{"cniVersion":"0.4.0"}'; }
ok "5. also where CNI_CONTAINERID is not set at all" sent_without_id

# 6. GC without the key of valid attachments: none is valid.
if [ "$UNDER_TEST" = podwire ]; then
    for n in 1 2 3; do
        ip netns add g$n
        sent "6. ADD of pod $n" "$(conf 1.1.0)" ADD "gone$n" /run/netns/g$n
    done
    sent "6. GC that lists the first pod and one of them" "$(conf 1.1.0 \
        '.["cni.dev/valid-attachments"]=[{"containerID":"first","ifname":"eth0"},{"containerID":"gone2","ifname":"eth0"}]')" GC "" ""
    is "6. leaves these two" "$(inside g1 '.[0].ifname')$(inside g2 '.[0].ifname')$(inside g3 '.[0].ifname')" '"eth0"'
    sent "6. GC without the key, as from cnitool" "$(conf 1.1.0)" GC "" "" CNI_IFNAME=
    is "6. leaves nothing" "$(inside p0 '.[0].ifname')$(inside g2 '.[0].ifname')" ""
    ip netns del g1 && ip netns del g2 && ip netns del g3
    sent "6. the first pod again" "$(conf 1.0.0)" ADD first /run/netns/p0
    footprint >"$TMP/before"
else
    skip "the reference plugins have no GC" "6. GC without the key of valid attachments"
fi

# 7. STATUS comes every few seconds: it answers nothing on success and changes nothing.
if [ "$UNDER_TEST" = podwire ]; then
    footprint >"$TMP/before-status"
    for n in 1 2 3; do
        sent "7. STATUS, time $n" "$(conf 1.1.0)" STATUS "" "" CNI_IFNAME=
        is "7. has nothing to say" "$(cat "$TMP/result")" ""
    done
    unchanged "7. and leaves no trace" "$TMP/before-status"
    mount -t tmpfs none /sys/fs/bpf
    conf 1.1.0 >"$TMP/conf"
    nok "7. STATUS of a node without a bpffs fails" sent_from_file STATUS "" "" CNI_IFNAME=
    like "7. with code 50 or 51" "$(result .code)" "^5[01]$"
    like "7. and a message for the node's condition" "$(result '.msg+" "+.details')" "bpf"
    umount /sys/fs/bpf
else
    skip "Debian's reference plugins do not know 1.1.0" "7. STATUS"
fi

# 8. Annotations of any size, a cgroupPath, a last-applied object in a string.
printf '{"a":"%s"}' "$(head -c 3000000 /dev/zero | tr '\0' x)" >"$TMP/big"
conf 1.0.0 | jq -c --slurpfile big "$TMP/big" '.runtimeConfig={"cgroupPath":"/kubepods/pod1",
    "io.kubernetes.cri.pod-annotations":{"kubectl.kubernetes.io/last-applied-configuration":($big[0]|tostring)}}' >"$TMP/conf"
ok "8. an annotation of 3 MB" sent_from_file ADD "$ID" /run/netns/p1
forget "$ID"

# 9. libcni hands back results that it has cached; podman adds an empty dns.
sent "9. ADD" "$(conf 0.4.0)" ADD "$ID" /run/netns/p1
prev=$(jq -c '.dns={}' "$TMP/result")
sent "9. CHECK with a prevResult that gained \"dns\":{}" "$(conf 0.4.0 ".prevResult=$prev")" CHECK "$ID" /run/netns/p1
sent "9. DEL with it" "$(conf 0.4.0 ".prevResult=$prev")" DEL "$ID" /run/netns/p1
sent "9. and once more from the cache, when all is gone" "$(conf 0.4.0 ".prevResult=$prev")" DEL "$ID" /run/netns/p1

# 10. What runtimes notice in their folder: t_containerd_*.sh, with the real ones.

# 11. One list for all: each client takes the newest version that it knows.
for v in 0.4.0 1.0.0 1.1.0; do
    [ "$UNDER_TEST" = podwire ] || [ $v != 1.1.0 ] || continue
    sent "11. ADD in version $v of one list" "$(conf $v)" ADD "$ID" /run/netns/p1
    is "11. is answered in $v" "$(result .cniVersion)" "\"$v\""
    case $v in
    0.4.0) is "11. ips carry their version up to 0.4.0" "$(result '[.ips[].version]')" '["4","6"]' ;;
    *) is "11. ips carry no version since 1.0.0" "$(result '[.ips[].version]|unique')" '[null]' ;;
    esac
    sent "11. DEL in another version than ADD's" "$(conf 0.4.0)" DEL "$ID" /run/netns/p1
done

unchanged "nothing is left of all this" "$TMP/before"
