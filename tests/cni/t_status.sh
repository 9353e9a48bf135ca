#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# STATUS in detail: what keeps the node from taking pods, with its code; what does not, is only told;
# what somebody damaged is mended. (A kernel without tcx: vm/t_no_tcx.)
# pw-test: vm
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need nft mount

CTL=$BUILD/podwirectl
links() { find /sys/fs/bpf/podwire/links -name 'uplink-*' 2>/dev/null | wc -l; }
status() { request STATUS "" "" "" <<<"$(conf 1.1.0 "${1:-.}")"; }
# `podwirectl status` knows networks that had a pod.
warnings() { "$CTL" status --json | jq -r '.problems[].text' || true; }

node_up 1400
netns_up p1 p2

# --- before the first pod ---
good "STATUS before the first pod" "$(conf 1.1.0)" STATUS "" "" ""
nok "loads nothing" test -e /sys/fs/bpf/podwire

# --- no bpffs ---
walk p1 >"$TMP/before"
not_there() { # NAME MESSAGE CODE-OF-ADD
    bad "$1: STATUS" 50 "$(conf 1.1.0)" STATUS "" "" ""
    like "$1: says what to do" "$(answer .msg)" "$2"
    bad "$1: ADD" "$3" "$(conf 1.1.0)" ADD c1 /run/netns/p1 eth0
    like "$1: ADD says what to do" "$(answer .msg)" "$2"
}
mount -o remount,ro /sys/fs/bpf
not_there "bpffs is read-only" "mount -o remount,rw /sys/fs/bpf" 5
umount /sys/fs/bpf
not_there "no bpffs" "mount -t bpf bpf /sys/fs/bpf" 999
mount -t bpf bpf /sys/fs/bpf
walk_same "neither leaves anything" "$TMP/before" p1

# --- uplinks by name ---
none='.uplinks=["nosuch","neither"]'
bad "none of the uplinks exists" 50 "$(conf 1.1.0 "$none")" STATUS "" "" ""
like "STATUS names them" "$(answer .msg)" 'nosuch, neither: .uplinks. names what is no device'
bad "ADD fails too, to be tried again" 11 "$(conf 1.1.0 "$none")" ADD c1 /run/netns/p1 eth0
like "and names one" "$(answer .msg)" "'uplinks' of network net names exists \(nosuch"
some='.uplinks=["nosuch","up0"]'
good "one of several is missing: ADD goes on" "$(conf 1.1.0 "$some")" ADD c1 /run/netns/p1 eth0
like "and says so on stderr" "$(cat "$TMP/err")" "network net: 'nosuch' in \"uplinks\" is no device"
is "the pod has the MTU of the other" "$(pod_link p1 eth0 mtu)" 1400
good "STATUS is content" "$(conf 1.1.0 "$some")" STATUS "" "" ""
like "and says so too" "$(cat "$TMP/err")" "'nosuch' in \"uplinks\" is no device"
like "podwirectl status: so" "$(warnings)" '^nosuch: "uplinks" names what is no device of this node$'
ip link add nosuch type veth peer name wire1
ip link set nosuch up
good "the device comes" "$(conf 1.1.0 "$some")" STATUS "" "" ""
is "nothing to say" "$(cat "$TMP/err")" ""
is "STATUS has put the program on it" "$(links)" 2
ip link del nosuch
good "without uplinks by name" "$(conf 1.1.0)" STATUS "" "" ""
is "it is found by the default route" "$(links)" 1
is "nothing wrong" "$(warnings)" ""

# --- damage ---
nft delete table inet podwire
like "podwirectl status sees that the table is gone" "$(warnings)" "nftables table inet podwire is missing"
good "STATUS" "$(conf 1.1.0)" STATUS "" "" ""
ok "has made it anew" nft list table inet podwire
nft flush chain inet podwire raw
like "podwirectl status sees that it was changed" "$(warnings)" "nftables table inet podwire is missing or was changed"
good "STATUS" "$(conf 1.1.0)" STATUS "" "" ""
like "has mended it" "$(nft list table inet podwire)" notrack
rm /sys/fs/bpf/podwire/links/uplink-*
like "podwirectl status sees the uplink without program" "$(warnings)" "uplink up0 does not carry its program"
ok "STATUS puts it back when it looks next" wait_for 20 eval 'status && [ "$(links)" = 1 ]'
is "nothing wrong" "$(warnings)" ""
good "STATUS of a network without pods" "$(conf 1.1.0 '.name="other" | .mark="0x1000" | .nativeRanges=["172.16.0.0/12"]')" STATUS "" "" ""
is "changes nothing" "$("$CTL" status --json | jq -r '.node.networks | join(" ")')" net

# --- the datapath is gone below pods that are connected: 51, else 50 ---
mv /sys/fs/bpf/podwire/current /sys/fs/bpf/podwire/elsewhere
ln -s /nowhere /sys/fs/bpf/podwire/current
bad "a datapath that cannot be opened, with pods: STATUS" 51 "$(conf 1.1.0)" STATUS "" "" ""
like "says what to do" "$(answer .msg)" "podwirectl unload --force"
mv /run/podwire/endpoints/c1:eth0.json "$TMP/record"
bad "without pods: STATUS" 50 "$(conf 1.1.0)" STATUS "" "" ""
mv "$TMP/record" /run/podwire/endpoints/c1:eth0.json
rm /sys/fs/bpf/podwire/current
mv /sys/fs/bpf/podwire/elsewhere /sys/fs/bpf/podwire/current
good "put right: STATUS" "$(conf 1.1.0)" STATUS "" "" ""

# --- a FORWARD policy of drop ---
# Certain, whoever made it: nothing in it lets a pod open a flow to the outside.
certain() { # NAME [CODE]
    bad "$1: STATUS" "${2:-51}" "$(conf 1.1.0)" STATUS "" "" ""
    like "$1: says why" "$(answer .msg)" 'FORWARD, drops forwarded packets by its policy.*forwardAccept'
    nok "$1: podwirectl status says so, exit code 3" "$CTL" status
}
# Not certain: a warning of podwirectl alone.
doubtful() { # NAME
    good "$1: STATUS" "$(conf 1.1.0)" STATUS "" "" ""
    ok "$1: podwirectl status" "$CTL" status
    like "$1: warns all the same" "$(warnings)" "drops forwarded packets by its policy"
}
rules() { # TABLE-COMMAND: iptables commands on stdin, for one family
    while read -r line; do
        # shellcheck disable=SC2086
        $1 -w $line
    done
}
both() { rules iptables-nft <"$1"; rules ip6tables-nft <"$1"; }

echo "-P FORWARD DROP" >"$TMP/policy"
both "$TMP/policy"
certain "a policy of drop"
good "forwardAccept mends it" "$(conf 1.1.0 '.forwardAccept=true')" STATUS "" "" ""
is "for good" "$(warnings)" ""
good "without it it is lost again" "$(conf 1.1.0)" ADD c2 /run/netns/p2 eth0
cat >"$TMP/docker" <<'X'
-N DOCKER
-N DOCKER-USER
-N DOCKER-ISOLATION-STAGE-1
-A DOCKER-USER -j RETURN
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
X
rules iptables-nft <"$TMP/docker"
certain "as docker leaves it"
cat >"$TMP/kube" <<'X'
-N KUBE-FORWARD
-A FORWARD -m comment --comment kubernetes -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -p icmp -j ACCEPT
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A FORWARD -j LOG
X
rules iptables-nft <"$TMP/kube"
certain "with kube-proxy's rules and pings"
for rule in "-s 10.1.0.0/24" "-m conntrack --ctstate NEW" "-p tcp --dport 443" "-o up0" "-m mark --mark 1" "-m mark ! --mark 0x4000/0x4000" "! -i docker0"; do
    # shellcheck disable=SC2086
    iptables-nft -w -I DOCKER-USER $rule -j ACCEPT
    # IPv6 has none of that.
    bad "accepted deep inside by $rule, IPv6 not: STATUS" 51 "$(conf 1.1.0)" STATUS "" "" ""
    unlike "accepted by $rule: IPv4 is not blamed" "$(answer .msg)" "nftables ip filter"
    iptables-nft -w -D DOCKER-USER 1
done
ip6tables-nft -w -P FORWARD ACCEPT
iptables-nft -w -I DOCKER-USER -s 10.1.0.0/24 -j ACCEPT
doubtful "accepted by address"
nft flush ruleset
nft -f - <<'X'
table inet fw {
    chain FORWARD { type filter hook forward priority 0; policy drop; ct state established,related accept; meta mark 0x4000 accept; iifname "br0" accept; jump more; }
    chain more { meta l4proto icmp accept; meta l4proto ipv6-icmp accept; }
}
X
certain "nftables' own"
nft add rule inet fw more ct state != established accept
doubtful "an inverted state"
nft flush chain inet fw more
nft add rule inet fw more meta mark 7 accept
doubtful "a mark of somebody's own"
nft flush chain inet fw more
nft add rule inet fw more tcp dport vmap '{ 80 : accept }'
doubtful "a map of verdicts"
nft delete table inet fw
good "DEL" "$(conf 1.1.0)" DEL c1 /run/netns/p1 eth0
good "DEL" "$(conf 1.1.0)" DEL c2 /run/netns/p2 eth0
both "$TMP/policy"
certain "a policy of drop, no pods" 50
iptables-nft -w -P FORWARD ACCEPT
only4='.name="four" | .ipam.ranges=[[{"subnet":"10.9.0.0/24"}]]'
"$CTL" unload >/dev/null
good "IPv6 alone is dropped, and pods have none: STATUS" "$(conf 1.1.0 "$only4")" STATUS "" "" ""
nft flush ruleset
if command -v iptables-legacy >/dev/null && iptables-legacy -w -P FORWARD DROP 2>/dev/null; then
    bad "legacy iptables drops: STATUS" 50 "$(conf 1.1.0)" STATUS "" "" ""
    like "legacy: says why" "$(answer .msg)" "legacy iptables ip filter.*forwardAccept"
    iptables-legacy -w -A FORWARD -i docker0 -j ACCEPT
    bad "legacy, accepting for another device: STATUS" 50 "$(conf 1.1.0)" STATUS "" "" ""
    iptables-legacy -w -A FORWARD -s 10.1.0.0/24 -j ACCEPT
    good "legacy, accepting by address: STATUS" "$(conf 1.1.0)" STATUS "" "" ""
    iptables-legacy -w -P FORWARD ACCEPT
else
    skip "no legacy iptables here" "legacy iptables drops: STATUS"
fi
