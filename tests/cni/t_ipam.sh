#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Delegated IPAM: the reference host-local, and plugins made here that answer what they should not.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"

node_up 1500
netns_up p1 p2
good "ADD of a first pod" "$(conf 1.1.0)" ADD c0 /run/netns/p1 eth0
good "and its DEL" "$(conf 1.1.0)" DEL c0 /run/netns/p1 eth0
mkdir "$TMP/bin"
export CNI_PATH=/nowhere::$TMP/bin:/usr/lib/cni:/opt/cni/bin
via() { conf "${2:-1.1.0}" ".ipam={type: \"$1\", odd: [null, 1.50, \"\\u00e9\"]} | .ipamTimeout=${WAITS:-60} | ${3:-.}"; }
fake() { # NAME: the script is read from stdin
    { echo '#!/bin/bash'; cat; } >"$TMP/bin/$1"
    chmod +x "$TMP/bin/$1"
}

# A good one: it keeps what it gets.
fake good-ipam <<X
cat >"$TMP/got-\$CNI_COMMAND"
env >"$TMP/env-\$CNI_COMMAND"
echo "\$CNI_COMMAND" >>"$TMP/calls"
echo words >&2
[ "\$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.5.0.9/24","gateway":"10.5.0.1"}],
    "routes":[{"dst":"0.0.0.0/0","gw":"10.5.0.1"}],"dns":{"nameservers":["10.5.0.2"]}}'
X
# The first with its subnet known to the node.
walk p1 p2 | grep -v ^nft >"$TMP/before"
printf '%s\n\n  ' "$(via good-ipam)" >"$TMP/stdin"
rc=0; request ADD c1 /run/netns/p1 eth0 CNI_ARGS=A=b <"$TMP/stdin" || rc=$?
is "ADD" $rc 0
ok "stdin is handed on byte for byte" cmp "$TMP/stdin" "$TMP/got-ADD"
is "so is the environment" "$(grep -c -xE 'CNI_CONTAINERID=c1|CNI_NETNS=/run/netns/p1|CNI_IFNAME=eth0|CNI_ARGS=A=b|CNI_COMMAND=ADD' "$TMP/env-ADD")" 5
is "and its words on stderr" "$(cat "$TMP/err")" words
is "address" "$(answer '.ips[0].address')" 10.5.0.9/32
is "name servers" "$(answer '.dns.nameservers[0]')" 10.5.0.2
ok "the pod has it" ping -c1 -W10 10.5.0.9
cp "$TMP/out" "$TMP/result"
good "CHECK" "$(via good-ipam 1.1.0 ".prevResult=$(cat "$TMP/result")")" CHECK c1 /run/netns/p1 eth0
good "STATUS" "$(via good-ipam)" STATUS "" "" ""
good "DEL" "$(via good-ipam)" DEL c1 /run/netns/p1 eth0
good "GC" "$(via good-ipam)" GC "" "" ""
is "each is handed on" "$(xargs <"$TMP/calls")" "ADD CHECK STATUS DEL GC"
walk p1 p2 | grep -v ^nft >"$TMP/after"
ok "nothing is left" diff "$TMP/before" "$TMP/after"

# Each that fails is called with DEL afterwards, and nothing is left of the pod.
refused() { # NAME CODE MESSAGE <SCRIPT
    { cat; } >"$TMP/script"
    fake bad-ipam <<X
echo "\$CNI_COMMAND" >>"$TMP/calls"
[ "\$CNI_COMMAND" = ADD ] || exit 0
$(cat "$TMP/script")
X
    : >"$TMP/calls"
    bad "$1" "$2" "$(via bad-ipam)" ADD c1 /run/netns/p1 eth0
    like "$1: says why" "$(answer .msg)" "$3"
    is "$1: then DEL" "$(xargs <"$TMP/calls")" "ADD DEL"
}
refused "its own error" 123 "bad-ipam, ADD: no lease; ask again" <<'X'
echo '{"cniVersion":"1.1.0","code":123,"msg":"no lease","details":"ask again"}'; exit 1
X
refused "try again later" 11 "later" <<<"echo '{\"code\":11,\"msg\":\"later\"}'; exit 1"
refused "fails without a word" 999 "exit code 3" <<<"exit 3"
refused "fails with what is no JSON" 999 "exit code 1" <<<"echo oops; exit 1"
refused "dies" 999 "signal 9" <<<'kill -9 $$'
refused "answers nothing" 6 "not JSON" <<<"exit 0"
refused "answers half" 6 "not JSON" <<<"echo '{\"ips\":['"
refused "answers a list" 6 "no JSON object" <<<"echo '[]'"
refused "gives no address" 7 "no address" <<<"echo '{\"cniVersion\":\"1.1.0\"}'"
refused "gives a wrong address" 6 "address" <<<"echo '{\"ips\":[{\"address\":\"10.5.0.9\"}]}'"
refused "gives a wrong route" 6 "route" <<<"echo '{\"ips\":[{\"address\":\"10.5.0.9/24\"}],\"routes\":[{\"dst\":\"x\"}]}'"
WAITS=2 refused "hangs" 11 "2 seconds" <<<"sleep 60"
WAITS=2 refused "hangs with its stdout closed" 11 "2 seconds" <<<"exec >&-; sleep 60"
refused "floods" 6 "more than" <<<"exec yes"
walk p1 p2 | grep -v ^nft >"$TMP/after"
ok "nothing is left of all these" diff "$TMP/before" "$TMP/after"
fake odd-ipam <<'X'
exec <&-
[ "$CNI_COMMAND" != ADD ] || echo '{"ips":[{"version":"4","address":"10.5.0.9/24"}],"routes":null,"dns":{}}'
X
{ via odd-ipam | tr -d '\n'; head -c 1000000 /dev/zero | tr '\0' ' '; } >"$TMP/stdin"
rc=0; request ADD c1 /run/netns/p1 eth0 <"$TMP/stdin" || rc=$?
is "one that does not read its stdin may answer" $rc 0
rc=0; request DEL c1 /run/netns/p1 eth0 <"$TMP/stdin" || rc=$?
is "DEL" $rc 0
fake del-fails <<'X'
[ "$CNI_COMMAND" != ADD ] || echo '{"ips":[{"address":"10.5.0.9/24"}]}'
[ "$CNI_COMMAND" != DEL ] || { echo '{"code":11,"msg":"busy"}'; exit 1; }
X
good "ADD" "$(via del-fails)" ADD c1 /run/netns/p1 eth0
bad "an error of DEL is passed on" 11 "$(via del-fails)" DEL c1 /run/netns/p1 eth0
is "the device is gone all the same" "$(ip -o link | grep -c ' pw-')" 0
fake del-fails <<<true
good "and DEL can be repeated" "$(via del-fails)" DEL c1 /run/netns/p1 eth0

# The real one.
if [ -x /usr/lib/cni/host-local ]; then
    local_='.ipam={type: "host-local", ranges: [[{subnet: "10.4.0.0/24"}],[{subnet: "fd00:4::/64"}]], routes: [{dst: "0.0.0.0/0"},{dst: "::/0"}]}'
    good "ADD by host-local" "$(conf 1.0.0 "$local_")" ADD c1 /run/netns/p1 eth0
    good "another" "$(conf 1.0.0 "$local_")" ADD c2 /run/netns/p2 eth0
    ok "they reach each other, IPv4" pod p1 ping -c1 -W10 "$(answer '.ips[0].address' | cut -d/ -f1)"
    ok "they reach each other, IPv6" pod p1 ping -c1 -W10 "$(answer '.ips[1].address' | cut -d/ -f1)"
    bad "its errors are passed on" 999 "$(conf 1.0.0 '.ipam={type: "host-local"}')" ADD c3 /run/netns/p1 net1
    like "in its words" "$(answer .msg)" "no IP ranges specified"
    good "DEL" "$(conf 1.0.0 "$local_")" DEL c1 /run/netns/p1 eth0
    good "DEL without namespace" "$(conf 1.0.0 "$local_")" DEL c2 "" eth0
    is "its files are gone" "$(find /var/lib/cni/networks/net -name '1*' -o -name 'fd*')" ""
else
    skip "host-local is not installed" "ADD by host-local"
fi
