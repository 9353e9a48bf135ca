#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Configurations that we give as examples work as they stand, and their native ranges cover none of the
# ranges that clusters have Services in: what is native leaves untranslated.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"

# Defaults of kubeadm, k3s and RKE2, MicroK8s, OpenShift, EKS, AKS, GKE, kind.
services="10.96.0.1 10.111.255.254 10.43.0.1 10.152.183.1 172.30.0.1 172.20.0.1 10.100.0.1 10.0.0.1 34.118.224.1
    fd00:10:96::1 fd00:43::1 2001:cafe:43::1 fdfd::1"
block() { awk '/^```json/ {on = 1; next} /^```/ {on = 0} on' "$1"; } # FILE: its JSON

node_up 1500
cp "$TOP/deploy/10-podwire.conflist" "$TMP/conflist"
block "$TOP/README.md" >"$TMP/README"
block "$TOP/docs/design.md" >"$TMP/design"
for f in conflist README design; do
    must ok "$f: is a list, podwire first" jq -e '.plugins[0].type == "podwire"' "$TMP/$f"
    netns_up "pod-$f"
    c=$(jq -c '{cniVersion: "1.1.0", name} + .plugins[0]' "$TMP/$f")
    good "$f: STATUS" "$c" STATUS "" "" ""
    good "$f: ADD" "$c" ADD "$f" "/run/netns/pod-$f" eth0
    v4=$(answer '.ips[0].address' | cut -d/ -f1) v6=$(answer '.ips[1].address' | cut -d/ -f1)
    for s in $services; do
        pod=$v4
        [[ $s != *:* ]] || pod=$v6
        is "$f: a Service at $s goes to the stack" \
            "$("$BUILD/podwirectl" path "$pod" "$s" --json | jq -r '.reason')" OUTSIDE
    done
    good "$f: DEL" "$c" DEL "$f" "/run/netns/pod-$f" eth0
    "$BUILD/podwirectl" unload >/dev/null
done

# Where there is no other way: named as Services, they go to the stack inside a native range too.
netns_up wide
c=$(jq -c '{cniVersion: "1.1.0", name} + .plugins[0] | .nativeRanges = ["10.0.0.0/8"]' "$TMP/conflist")
good "a native range over all: ADD" "$c" ADD wide /run/netns/wide eth0
v4=$(answer '.ips[0].address' | cut -d/ -f1)
isnt "a Service there would leave as it is" "$("$BUILD/podwirectl" path "$v4" 10.96.0.1 --json | jq -r '.reason')" OUTSIDE
good "DEL" "$c" DEL wide /run/netns/wide eth0
c=$(jq -c '.serviceRanges = ["10.96.0.0/12"]' <<<"$c")
good "with serviceRanges: ADD" "$c" ADD wide /run/netns/wide eth0
v4=$(answer '.ips[0].address' | cut -d/ -f1)
is "it does not" "$("$BUILD/podwirectl" path "$v4" 10.96.0.1 --json | jq -r '.reason')" OUTSIDE
good "DEL" "$c" DEL wide /run/netns/wide eth0
