#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Malformed input of every kind gets the right error code, as JSON, on standard output, and leaves
# nothing. (Configurations that are wrong in one key: unit/t_conf. Here is what needs a process.)
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need strace

node_up 1500
netns_up p1
ok "ADD of a first pod" eval 'request ADD c0 /run/netns/p1 eth0 <<<"$(conf 1.1.0)"'
ok "and its DEL" eval 'request DEL c0 /run/netns/p1 eth0 <<<"$(conf 1.1.0)"'
walk p1 >"$TMP/before"
c=$(conf 1.1.0)

# Environment: code 4.
bad "no such command" 4 "$c" FROB c1 /run/netns/p1 eth0
bad "command in small letters" 4 "$c" add c1 /run/netns/p1 eth0
bad "ADD without container id" 4 "$c" ADD "" /run/netns/p1 eth0
like "names it" "$(answer .msg)" CNI_CONTAINERID
bad "ADD without namespace" 4 "$c" ADD c1 "" eth0
like "names it" "$(answer .msg)" CNI_NETNS
bad "ADD without interface" 4 "$c" ADD c1 /run/netns/p1 ""
like "names it" "$(answer .msg)" CNI_IFNAME
bad "container id with a slash" 4 "$c" ADD "a/b" /run/netns/p1 eth0
bad "container id that climbs" 4 "$c" DEL "../../etc/passwd" /run/netns/p1 eth0
bad "container id of 300 characters" 4 "$c" ADD "$(printf 'x%.0s' {1..300})" /run/netns/p1 eth0
bad "container id that is not ASCII" 4 "$c" ADD $'c\xff\xfe' /run/netns/p1 eth0
bad "interface with a slash" 4 "$c" ADD c1 /run/netns/p1 "e/0"
bad "interface of 16 characters" 4 "$c" ADD c1 /run/netns/p1 abcdefghijklmnop
bad "interface .." 4 "$c" ADD c1 /run/netns/p1 ..
bad "interface with a space" 4 "$c" ADD c1 /run/netns/p1 "eth 0"
bad "CNI_ARGS that are none" 4 "$c" ADD c1 /run/netns/p1 eth0 CNI_ARGS=nonsense
bad "IP= that is none" 4 "$c" ADD c1 /run/netns/p1 eth0 CNI_ARGS="IP=999.1.1.1"
bad "MAC= that is none" 4 "$c" ADD c1 /run/netns/p1 eth0 CNI_ARGS="MAC=zz"

# Standard input: codes 5, 6, 1, 7.
bad "empty stdin" 6 "" ADD c1 /run/netns/p1 eth0
bad "half a configuration" 6 "${c:0:40}" ADD c1 /run/netns/p1 eth0
bad "a list" 6 "[$c]" ADD c1 /run/netns/p1 eth0
bad "a string" 6 '"x"' ADD c1 /run/netns/p1 eth0
bad "something behind it" 6 "$c $c" ADD c1 /run/netns/p1 eth0
bad "no UTF-8" 6 $'{"name":"\xff"}' ADD c1 /run/netns/p1 eth0
bad "nested 100,000 deep" 6 "$(printf '[%.0s' {1..100000})" ADD c1 /run/netns/p1 eth0
bad "a number out of range" 6 '{"cniVersion":"1.1.0","name":"n","x":1e999}' ADD c1 /run/netns/p1 eth0
bad "no version" 1 "$(conf 1.1.0 'del(.cniVersion)')" ADD c1 /run/netns/p1 eth0
bad "a version of the past" 1 "$(conf 0.2.0)" ADD c1 /run/netns/p1 eth0
bad "a version of the future" 1 "$(conf 1.2.0)" ADD c1 /run/netns/p1 eth0
like "says which are supported" "$(answer .msg)" "1.1.0 are"
bad "a version that is a number" 6 "$(conf 1.1.0 '.cniVersion=1')" ADD c1 /run/netns/p1 eth0
bad "no name" 7 "$(conf 1.1.0 'del(.name)')" ADD c1 /run/netns/p1 eth0
bad "a name that climbs" 7 "$(conf 1.1.0 '.name="../x"')" ADD c1 /run/netns/p1 eth0
bad "no ipam" 7 "$(conf 1.1.0 'del(.ipam)')" ADD c1 /run/netns/p1 eth0
bad "an IPAM plugin that climbs" 7 "$(conf 1.1.0 '.ipam.type="../../bin/sh"')" ADD c1 /run/netns/p1 eth0
bad "an IPAM plugin that is not there" 7 "$(conf 1.1.0 '.ipam.type="nowhere"')" ADD c1 /run/netns/p1 eth0
bad "an error in 0.4.0 says so" 7 "$(conf 0.4.0 '.mtu="x"')" ADD c1 /run/netns/p1 eth0
is "in its own version" "$(answer .cniVersion)" 0.4.0
closed() { CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/p1 CNI_IFNAME=eth0 "$PODWIRE" <&- >"$TMP/out"; }
nok "stdin that is closed" closed
is "is an I/O failure" "$(answer .code)" 5

# Namespaces: codes 3 and 8.
bad "a namespace that is not there" 3 "$c" ADD c1 /run/netns/none eth0
bad "a file that is none" 8 "$c" ADD c1 /etc/passwd eth0
bad "a directory" 8 "$c" ADD c1 /run eth0
bad "a namespace of another kind" 8 "$c" ADD c1 /proc/self/ns/mnt eth0
bad "the node's own" 8 "$c" ADD c1 "/proc/$$/ns/net" eth0
mkfifo "$TMP/fifo"
bad "a FIFO does not hang it" 8 "$c" ADD c1 "$TMP/fifo" eth0
bad "a device" 8 "$c" ADD c1 /dev/zero eth0
bad "a file descriptor that is closed" 3 "$c" ADD c1 "/proc/$$/fd/77" eth0

# What one network says is fine by itself, and contradicts another of this node.
good "a network" "$c" ADD c1 /run/netns/p1 eth0
bad "a second one with another mark" 7 "$(conf 1.1.0 '.name = "other" | .mark = "0x2000"')" ADD c2 /run/netns/p1 eth1
good "the first one again" "$c" DEL c1 /run/netns/p1 eth0

# DEL with all of that succeeds as far as there is something to understand.
good "DEL with a namespace that is not there" "$c" DEL c1 /run/netns/none eth0
good "DEL with a file that is none" "$c" DEL c1 /etc/passwd eth0
good "DEL with the node's own namespace" "$c" DEL c1 "/proc/$$/ns/net" eth0
good "DEL with a prevResult that is none" "$(conf 1.1.0 '.prevResult="x"')" DEL c1 "" eth0
bad "DEL with half a configuration" 6 "${c:0:40}" DEL c1 "" eth0

# The environment at large.
rc=0; env -i "$PODWIRE" </dev/null >"$TMP/out" 2>"$TMP/err" || rc=$?
is "called by a person: no failure" $rc 0
like "but words of explanation" "$(cat "$TMP/err")" "CNI plugin"
like "--version" "$("$PODWIRE" --version)" '^podwire [0-9]'

# A pod that is there is not taken for one that is gone because the kernel did not answer.
good "ADD" "$c" ADD c1 /run/netns/p1 eth0
index() { ip -n p1 -j link show eth0 | jq '.[0].ifindex'; }
was=$(index)
printf '#!/bin/sh\nexec strace -qq -o /dev/null --inject=recvfrom:error=ENOBUFS:when=1 "%s"\n' "$PODWIRE" >"$TMP/deaf"
chmod +x "$TMP/deaf"
PODWIRE=$TMP/deaf bad "ADD again, and netlink fails" 999 "$c" ADD c1 /run/netns/p1 eth0
is "the pod has its interface" "$(index)" "$was"
sed -i 's/recvfrom:error=ENOBUFS:when=1/socket:error=ENFILE/' "$TMP/deaf"
PODWIRE=$TMP/deaf bad "DEL that cannot look for the device" 999 "$c" DEL c1 /run/netns/p1 eth0
is "leaves it to the next" "$(index)" "$was"
strace -qq -o /dev/null --inject=socket:error=ENFILE "$BUILD/podwirectl" sweep >/dev/null 2>&1 || true
is "a sweep that cannot look at devices leaves their endpoints" "$(ctl endpoints --json | jq length)" 1
good "DEL" "$c" DEL c1 /run/netns/p1 eth0

# A caller that ignores how its children end hands that down.
cat >"$TMP/ignoring" <<END
#!/usr/bin/python3
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv("$PODWIRE", ["podwire"])
END
chmod +x "$TMP/ignoring"
delegated=$(conf 1.0.0 '.ipam = {type: "host-local", ranges: [[{subnet: "10.1.0.0/24"}]]}')
PODWIRE=$TMP/ignoring good "SIGCHLD ignored: ADD by another IPAM" "$delegated" ADD c1 /run/netns/p1 eth0
PODWIRE=$TMP/ignoring good "SIGCHLD ignored: DEL" "$delegated" DEL c1 /run/netns/p1 eth0

# /run is full, of bytes or of files, and no request was counted yet.
fill() { cat /dev/zero >/run/podwire/fill 2>/dev/null || true; }
crowd() { (cd /run/podwire && seq -f f%g 100 | xargs touch) 2>/dev/null || true; }
for full in fill crowd; do
    mount -t tmpfs -o size=128k,nr_inodes=80 tmpfs /run/podwire
    mkdir -m700 /run/podwire/endpoints
    touch /run/podwire/lock
    good "$full: STATUS while there is room" "$c" STATUS "" "" ""
    $full
    bad "$full: ADD" 5 "$c" ADD c1 /run/netns/p1 eth0
    like "$full: says why" "$(answer .msg)" "No space left on device"
    good "$full: DEL" "$c" DEL c1 /run/netns/p1 eth0
    umount /run/podwire
done

# 20 MB of annotations.
{
    printf '{"cniVersion":"1.1.0","name":"net","type":"podwire","ipam":{"type":"podwire","ranges":[[{"subnet":"10.1.0.0/24"}],[{"subnet":"fd00:1::/64"}]]},"runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"x":"'
    head -c 20000000 /dev/zero | tr '\0' x
    printf '"}}}'
} >"$TMP/big"
rc=0; request ADD c1 /run/netns/p1 eth0 <"$TMP/big" || rc=$?
is "20 MB of annotations" $rc 0
good "DEL" "$c" DEL c1 /run/netns/p1 eth0
walk_same "nothing is left of all this" "$TMP/before" p1
