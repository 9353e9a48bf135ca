#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The image of the DaemonSet, built by buildah from Debian's packages without a registry: what it brings to a
# node works there, is replaced under a runtime that uses it, and goes away again without a trace.
# Seen to fail: with the `put` of node-install made a plain cp (a plugin seen half written), and with the line
# of node-uninstall that removes what was brought.
# pw-test: timeout=300
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/deploy/lib.sh"
. "$TOP/tests/lib/walk.sh"
buildah_up
[ -x "$BUILD/podwired" ] || skip_all "$BUILD/podwired is not built"
must ok "the image is built" image_build "$TMP/image.tar"
is "the archive is an image of our name" "$(tar -xOf "$TMP/image.tar" index.json |
    jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]')" "$AGENT_IMAGE"

# A container of it, with the mounts of the manifests, by hand.
root=$(buildah mount "$(buildah from --pull-never "$AGENT_IMAGE")")
host=$TMP/host
mkdir -p "$host/bin" "$host/conf" "$root/host/cni/bin" "$root/etc/cni/net.d" "$root/etc/podwire" "$root/run/podwire"
mkdir -p /run/podwire /etc/cni/net.d
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind "$host/bin" "$root/host/cni/bin"
mount --bind /etc/cni/net.d "$root/etc/cni/net.d"
mount --bind /run/podwire "$root/run/podwire"
in_image() { chroot "$root" "$@"; }

is "podwired runs in it" "$(in_image podwired --version | head -n1)" "podwired $(cat "$TOP/VERSION")"
is "so does podwirectl" "$(in_image podwirectl --version | head -n1)" "podwirectl $(cat "$TOP/VERSION")"
is "no program lacks a library" "$(in_image sh -c 'ldd /usr/sbin/podwired | grep "not found"' || true)" ""
echo '{"clusterRanges": ["10.88.0.0/16"]}' >"$root/etc/podwire/agent.json"
ok "its agent takes a configuration" in_image podwired --check-config --node-name n1

ip addr add 192.0.2.1/32 dev lo
walk >"$TMP/before"
echo '#!/bin/sh' >"$host/bin/portmap" # the node's own
chmod +x "$host/bin/portmap"
ok "node-install" in_image /usr/libexec/podwire/node-install
is "brings what is missing, and leaves the node's own alone" "$(cd "$host/bin" && find . ! -type d | sort | xargs)" \
    "./.podwire-brought ./loopback ./podwire ./podwire-vhost ./portmap"
is "the node's portmap is as it was" "$(cat "$host/bin/portmap")" '#!/bin/sh'
ok "the plugin is this tree's" cmp "$BUILD/podwire" "$host/bin/podwire"

# A runtime that calls the plugin all the time never meets half a file.
(while [ ! -e "$TMP/stop" ]; do
    CNI_COMMAND=VERSION "$host/bin/podwire" <<<'{"cniVersion":"1.0.0"}' >/dev/null 2>&1 || echo failed
done >"$TMP/calls") &
caller=$!
for _ in 1 2 3 4 5 6 7 8; do in_image /usr/libexec/podwire/node-install; done
touch "$TMP/stop"
wait $caller
is "upgraded again and again, the plugin answers every call" "$(cat "$TMP/calls")" ""

# A pod, and taking everything off the node.
ip netns add pod1
cat >"$TMP/pods.conflist" <<X
{"cniVersion": "1.0.0", "name": "podwire", "plugins": [{"type": "podwire",
 "ipam": {"type": "podwire", "ranges": [[{"subnet": "10.88.1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
X
cp "$TMP/pods.conflist" /etc/cni/net.d/10-podwire.conflist
export CNI_PATH=$host/bin
ok "ADD by what was installed" "$BUILD/tests/netns/cni" add "$TMP/pods.conflist" id1 /run/netns/pod1 eth0
uninstall() { timeout "$1" chroot "$root" /usr/libexec/podwire/node-uninstall /bin/echo after; }
nok "node-uninstall waits while there is a pod" uninstall 3
like "and says what for" "$(cat "$TMP/.out")" "drain"
addr=$(ip -n pod1 -j -4 addr show dev eth0 | jq -r '.[0].addr_info[0].local')
ok "the pod goes on meanwhile" ping -c1 -W3 "$addr"
ok "DEL" "$BUILD/tests/netns/cni" del "$TMP/pods.conflist" id1 /run/netns/pod1 eth0
ip netns del pod1
ok "node-uninstall" uninstall 20
like "does then what it was told" "$(tail -n1 "$TMP/.out")" '^after$'
is "of our files nothing is left, the node's own is" "$(cd "$host/bin" && find . ! -type d)" "./portmap"
is "no list" "$(find /etc/cni/net.d -name '*.conflist*')" ""
walk_same "nothing is left on the node" "$TMP/before"
