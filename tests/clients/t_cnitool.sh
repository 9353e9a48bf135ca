#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cnitool, the CNI project's own client, runs every verb that it knows. Version 1.1 speaks CNI up to
# 1.0.0 (ADD, CHECK, DEL), version 1.3 speaks 1.1.0 (GC and STATUS as well).
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=lib.sh
. "$TOP/tests/clients/lib.sh"
need ip jq

client cnitool-1.1
OLD=$CLIENT
# Its folder also holds reference plugins that speak 1.1.0.
NEW=$("$TOP/tests/clients/get" -c cnitool-1.3 2>"$TMP/why") && CLIENT=$NEW
plugin_dir
export NETCONFPATH=$STATE/net.d CNI_PATH=$PLUGINS

tool() { # DIR VERB NETNS
    CNI_IFNAME=${IFNAME:-eth0} "$1/bin/cnitool" "$2" toolnet ${3:+"/run/netns/$3"}
}

in_pod() { ip netns exec "$@"; }
pods() { ip -o link show type veth; ip -o link show type netkit 2>/dev/null || true; }

for n in first a b c; do ip netns add $n; done

try_version() { # FOLDER SPEC-VERSION TOOL-VERSION
    local t=$1 spec=$2 v="cnitool $3, CNI $2"
    conflist "\"cniVersion\":\"$spec\"" toolnet "$PORTMAP" | put_conf "$NETCONFPATH/10-toolnet.conflist"
    # cnitool forgets what it said at ADD: CAP_ARGS stays the same up to DEL.
    local first='{"portMappings":[{"hostPort":18079,"containerPort":1,"protocol":"tcp"}]}'
    local caps='{"portMappings":[{"hostPort":18080,"containerPort":8080,"protocol":"tcp"}],
        "mac":"02:00:00:00:00:0a"}'
    CAP_ARGS=$first must ok "$v: ADD for a first pod" tool "$t" add first
    footprint >"$TMP/before"

    CAP_ARGS=$caps ok "$v: ADD with a MAC and a port" tool "$t" add a
    sed '/^#/d' "$TMP/.out" >"$TMP/result"
    is "$v: the result is of version $spec" "$(jq -r .cniVersion "$TMP/result")" "$spec"
    is "$v: it names the interface in the pod" \
        "$(jq -r '.interfaces[]|select(.sandbox=="/run/netns/a")|.name' "$TMP/result")" eth0
    is "$v: and one address of each family" "$(jq '.ips|length' "$TMP/result")" 2
    ok "$v: ADD for another pod" tool "$t" add b
    sed '/^#/d' "$TMP/.out" >"$TMP/result.b"
    local a
    for a in $(jq -r '.ips[].address' "$TMP/result.b"); do
        ok "$v: the pods reach each other, ${a%/*}" in_pod a ping -c1 -W10 "${a%/*}"
    done
    CAP_ARGS=$caps ok "$v: CHECK" tool "$t" check a
    in_pod a ip addr flush dev eth0
    CAP_ARGS=$caps nok "$v: CHECK fails when the pod's addresses are gone" tool "$t" check a
    CAP_ARGS=$caps ok "$v: DEL" tool "$t" del a
    ok "$v: DEL again" tool "$t" del a
    ip netns del b
    ok "$v: DEL of a pod whose namespace is gone" tool "$t" del b
    ip netns add b
    unchanged "$v: nothing is left of the two" "$TMP/before"
    CAP_ARGS=$first ok "$v: DEL of the first pod" tool "$t" del first
}

if [ "$UNDER_TEST" = podwire ]; then
    # The list that we ship, as it is.
    example() { NETCONFPATH=$TOP/deploy CNI_IFNAME=eth0 "$OLD/bin/cnitool" "$1" pods /run/netns/a; }
    ok "the example conflist: ADD" example add
    ok "the example conflist: CHECK" example check
    ok "the example conflist: DEL" example del
fi
try_version "$OLD" 0.4.0 1.1
try_version "$OLD" 1.0.0 1.1
if [ -z "$NEW" ]; then
    skip "$(cat "$TMP/why")" "cnitool 1.3: ADD, CHECK, DEL, GC, STATUS"
    exit 0
fi
try_version "$NEW" 1.1.0 1.3

# 1.1.0 only.
must ok "cnitool 1.3: ADD for a first pod" tool "$NEW" add first
ok "STATUS of a node that can take pods" tool "$NEW" status a
for n in a b c; do ok "ADD of pod $n, to be forgotten" tool "$NEW" add $n; done
# A crash of the runtime: its cache of attachments is lost, GC is the one way left.
rm -rf /var/lib/cni/results
i=$(($(calls) + 1))
ok "GC" tool "$NEW" gc a
like "the plugin is sent a GC" "$(verbs "$i")" "GC"
is "without a list of valid attachments" "$(call_in "$(calls)" '.["cni.dev/valid-attachments"]')" null
if [ "$UNDER_TEST" = podwire ]; then
    is "GC removes every pod that nobody knows any more" "$(pods)" ""
    is "and gives their addresses back" "$(find /run/podwire/ipam/*/owners -type f | wc -l)" 0
    mount -t tmpfs none /sys/fs/bpf
    nok "STATUS fails on a node without a bpffs" tool "$NEW" status a
    like "with code 50 or 51" "$(call_out "$(calls)" .code)" "^5[01]$"
    like "and a message that names it" "$(call_out "$(calls)" '.msg+.details')" "bpf"
    umount /sys/fs/bpf
    conflist '"cniVersion":"1.1.0"' toolnet | jq -c '.plugins[0].ipam.ranges=[[{"subnet":"10.88.9.0/30"}]]' |
        put_conf "$NETCONFPATH/10-toolnet.conflist"
    ok "ADD takes one of a small network's two addresses" tool "$NEW" add a
    ok "STATUS: there is another" tool "$NEW" status a
    ok "ADD takes the other" tool "$NEW" add b
    nok "STATUS fails once all addresses are given out" tool "$NEW" status a
    is "with code 50 too: no further pod can come" "$(call_out "$(calls)" .code)" 50
    ok "DEL gives one back" tool "$NEW" del a
    ok "and STATUS is well again" tool "$NEW" status a
fi
