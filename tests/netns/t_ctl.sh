#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwirectl as a person and as a script meet it: text, JSON keys, errors, exit codes, colour,
# completion, manual page. What the answers say of packets is proved elsewhere.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/node_net.sh"
. "$TOP/tests/lib/completion.sh"
need jq script

code() { # exit code of a command
    local rc=0
    "$@" >/dev/null 2>&1 </dev/null || rc=$?
    echo $rc
}
keys() { jq -r 'keys_unsorted | join(" ")'; }
commands="status endpoints drops path peers redirect load upgrade unload sweep version vm"

# --- usage ---
is "no command: usage, exit code 2" "$(code ctl)" 2
is "help: exit code 0" "$(code ctl --help)" 0
for c in $commands; do
    like "help names $c" "$(ctl help)" "  $c "
    like "$c --help" "$(ctl "$c" --help)" "^usage: podwirectl $c "
    is "help $c says the same" "$(ctl help "$c")" "$(ctl "$c" --help)"
    is "$c with an unknown option: exit code 2" "$(code ctl "$c" --nonsense)" 2
    like "which is named" "$(ctl "$c" --nonsense 2>&1)" "podwirectl $c: unknown option.*--nonsense"
    like "the manual page has $c" "$(cat "$TOP/docs/man/podwirectl.8")" "[ .BR\"]+$c"
done
is "unknown command: exit code 2" "$(code ctl frobnicate)" 2
like "a mistyped one is guessed" "$(ctl stauts 2>&1)" "Did you mean 'status'"
like "so is a beginning" "$(ctl end 2>&1)" "Did you mean 'endpoints'"
unlike "nonsense is not" "$(ctl frobnicate 2>&1)" "Did you mean"
like "an option is not a command" "$(ctl --frob status 2>&1)" "unknown option '--frob'"
for c in "status x" "drops x" "drops --count 1" "drops --follow --count 0" "drops --follow --count x" \
    "path" "path 10.0.0.1" "path 1 2 3" "path a b --sport 65536" "path a b --dport x" \
    "path a b --ttl -1" "path a b --size 99999" "redirect maybe" "redirect on off" "load x" "sweep x" \
    "unload x" "upgrade x"; do
    # shellcheck disable=SC2086
    is "wrong usage '$c': exit code 2" "$(code ctl $c)" 2
done

# --- nothing loaded ---
is "status without anything: exit code 0" "$(code ctl status)" 0
for c in endpoints drops "path 10.0.0.1 10.0.0.2" redirect "redirect off" upgrade sweep; do
    # shellcheck disable=SC2086
    is "'$c' without a datapath: exit code 1" "$(code ctl $c)" 1
    # shellcheck disable=SC2086
    like "says so, with a remedy" "$(ctl $c 2>&1)" '^podwirectl: no datapath is loaded .*podwirectl load'
    # shellcheck disable=SC2086
    is "and nothing on standard output" "$(ctl $c --json 2>/dev/null || true)" ""
done

# --- two pods ---
uplink_up up0
mkdir -p /run/podwire/endpoints
for i in 1 2; do
    ip netns add "n$i"
    ip link add "pw-$i" address 02:70:77:00:00:01 type veth peer name eth0 address "02:00:00:00:00:01" netns "n$i"
    dp add "pw-$i" veth "10.1.0.$i" "fd00:1::$i"
    ip link set "pw-$i" up
    ip -n "n$i" link set eth0 up
    ip -n "n$i" addr add "10.1.0.$i/32" dev eth0
    ip route add "10.1.0.$i" dev "pw-$i"
    ip -n "n$i" route add default dev eth0
    cat >"/run/podwire/endpoints/c0ffee$i:eth0.json" <<X
{"version": 1, "complete": true, "network": "pods", "containerId": "c0ffee$i", "ifname": "eth0",
 "hostIf": "pw-$i", "why": "the kernel has no netkit", "pod": {"namespace": "shop", "name": "web-$i"}}
X
done
echo '{"hostIf": "pw-1", garbage' >/run/podwire/endpoints/bad:eth0.json
printf '{"hostIf": "pw-9", "pod": {"name": "\\u001b[31mevil"}}' >/run/podwire/endpoints/evil:eth0.json
in1() { nsenter --net=/run/netns/n1 -- "$@"; }
ip -n n1 addr add 10.1.0.77/32 dev eth0
in1 ping -c2 -i0.1 -W1 10.1.0.2 >/dev/null
in1 ping -c3 -i0.1 -W1 -I 10.1.0.77 10.1.0.2 >/dev/null 2>&1 || true

is "status: keys" "$(ctl status --json | keys)" \
    "ready version build abi kernel features loaded node endpoints fallbacks problems"
is "status: features" "$(ctl status --json | jq .features | keys)" \
    "tcx netkit netkitScrub netkitRoom redirectPeer conntrackLookup"
is "status: loaded" "$(ctl status --json | jq .loaded | keys)" "build abi sameAsThis mapBytes staleLinks"
is "status: node" "$(ctl status --json | jq .node | keys)" \
    "redirect conntrack wire masquerade forwardAccept mark uplinks nativeRanges podRanges serviceRanges networks tunnel peerRanges"
is "status: endpoints" "$(of -c .endpoints 2>/dev/null || ctl status --json | jq -c .endpoints)" \
    '{"total":2,"netkit":0,"netkit-l2":0,"veth":2,"tap":0,"pod-tap":0,"vhost-user":0}'
is "status: values" "$(ctl status --json | jq -c '[.ready, .loaded.sameAsThis, .loaded.staleLinks, .node.mark, .node.networks]')" \
    '[true,true,0,"0x1000",["pods"]]'
like "status: text" "$(ctl status)" 'The node can take pods'
is "endpoints: keys" "$(ctl endpoints --json | jq '.[0]' | keys)" \
    "device ifindex kind up mtu addresses fromPod toPod stack dropped reasons deviceDrops mac hostMac pod containerId ifname network why complete"
is "endpoints: the records' words" "$(ctl endpoints --json | jq -c 'map(.pod.name)')" '["web-1","web-2"]'
is "endpoints: addresses" "$(ctl endpoints --json | jq -c '.[0].addresses')" '["10.1.0.1","fd00:1::1"]'
like "endpoints: text" "$(ctl endpoints)" 'shop/web-1 +pw-1 +veth'
for name in web-2 shop/web-2 pw-2 10.1.0.2 fd00:1::2 c0ffee2; do
    is "endpoints $name" "$(ctl endpoints $name --json | jq -r .device)" pw-2
done
like "endpoints web-2: text" "$(ctl endpoints web-2)" 'why +the kernel has no netkit'
is "endpoints of nobody: exit code 1" "$(code ctl endpoints nobody)" 1
like "which is named" "$(ctl endpoints nobody 2>&1)" "no endpoint 'nobody'"
is "drops: keys" "$(ctl drops --json | keys)" "drops deviceDrops"
is "drops: three spoofed" "$(ctl drops --json | jq -c '.drops[] | select(.reason == "SPOOF_IP4") | [.pod, .device, .direction, .verdict, .packets]')" \
    '["shop/web-1","pw-1","from_pod","drop",3]'
like "drops: text" "$(ctl drops)" "shop/web-1 +from +3 .*SPOOF_IP4 +IPv4 source address is not the endpoint's"
width() { awk '{print index($0, "SPOOF_IP4")}' | sort -u | grep -v '^0$'; }
is "columns stand below their titles" "$(ctl drops | width)" "$(ctl drops | awk 'NR==1{print index($0, "REASON")}')"

# --- following ---
# Kernels send by themselves, too: more packets than those are.
ctl drops --follow --count 30 --json >"$TMP/follow" &
follower=$!
for _ in $(seq 100); do
    in1 ping -c20 -i0.002 -W1 -I 10.1.0.77 10.1.0.2 >/dev/null 2>&1 || true
    kill -0 $follower 2>/dev/null || break
    sleep 0.1
done
ok "drops --follow --count ends" wait_for 10 bash -c "! kill -0 $follower"
is "as many as asked for" "$(jq -s length <"$TMP/follow")" 30
is "one object for each" "$(jq -s -c 'map(select(.reason == "SPOOF_IP4") | .packet)[0]' <"$TMP/follow")" \
    '"icmp 10.1.0.77 > 10.1.0.2"'
is "with keys" "$(head -1 "$TMP/follow" | keys)" "ktime device pod reason text length packet"

# --- ways ---
is "path: keys" "$(ctl path web-1 web-2 --json | keys)" \
    "src dst srcPlace dstPlace proto sport dport via reason text arrivesBy leavesBy untracked steps back"
is "path: pod to pod" "$(of '[.via, .arrivesBy, .leavesBy, .back.via] | join(" ")' path web-1 10.1.0.2)" "peer pw-1 pw-2 peer"
is "path: outside" "$(of '[.via, .reason, .dstPlace] | join(" ")' path web-1 outside)" "stack OUTSIDE outside"
is "path: to the node" "$(of '[.via, .dst, .dstPlace] | join(" ")' path web-1 172.16.1.1)" "stack 172.16.1.1 node"
is "path: from the node" "$(of '[.via, .srcPlace, .arrivesBy == null] | join(" ")' path host web-1)" "stack node true"
is "path: from the wire" "$(of '[.via, .arrivesBy, .leavesBy] | join(" ")' path 10.9.0.1 web-1)" "peer up0 pw-1"
is "path: IPv6 where the other end has it" "$(of '.src' path web-1 fd00:1::2)" "fd00:1::1"
is "path: a spoofed source" "$(of '[.via, .reason, .back == null] | join(" ")' path 10.1.0.200 web-2 --device pw-1)" "drop SPOOF_IP4 true"
is "path: hop limit" "$(of '[.via, .reason, .untracked] | join(" ")' path web-1 web-2 --ttl 1)" "stack TTL true"
is "path: a large packet" "$(of '[.via, .reason] | join(" ")' path web-1 web-2 --size 2000)" "stack MTU"
is "path: a protocol" "$(of '[.proto, .reason] | join(" ")' path web-1 web-2 --proto 47)" "protocol 47 PROTOCOL"
like "path: text" "$(ctl path web-1 web-2)" 'shop/web-1.*fast path.*bpf_redirect_peer.*And back'
is "path asks, it counts nothing" "$(ctl path 10.1.0.200 web-2 --device pw-1 >/dev/null; ctl drops --json | jq '[.drops[] | select(.reason == "SPOOF_IP4") | .packets] | add')" \
    "$(ctl drops --json | jq '[.drops[] | select(.reason == "SPOOF_IP4") | .packets] | add')"
ctl redirect off >/dev/null
is "path: redirection off" "$(of '[.via, .reason, .untracked] | join(" ")' path web-1 web-2)" "stack REDIRECT_OFF true"
is "redirect says so" "$(of .redirect redirect)" false
ctl redirect on >/dev/null
for bad in "nobody web-1" "10.1.0.1 fd00:1::2" "web-1 web-2 --proto foo" "web-1 web-2 --device nosuch" \
    "web-1 web-2 --device lo"; do
    # shellcheck disable=SC2086
    is "path $bad: exit code 1" "$(code ctl path $bad)" 1
done
is "no escape sequence out of a record" "$(ctl endpoints | grep -c "$(printf '\033')" || true)" 0

# --- not ready ---
umount /sys/fs/bpf
is "status without bpffs: exit code 3" "$(code ctl status)" 3
is "and not ready" "$(of .ready || true)" false
like "with the remedy" "$(of '.problems[] | select(.fatal) | .remedy' || true)" 'mount -t bpf'
mount -t bpf bpf /sys/fs/bpf

# --- colour ---
like "colour on a terminal" "$(TERM=xterm script -qec "$BUILD/podwirectl status" /dev/null)" $'\033\\['
unlike "not with NO_COLOR" "$(NO_COLOR=1 TERM=xterm script -qec "$BUILD/podwirectl status" /dev/null)" $'\033\\['
unlike "not on a dumb terminal" "$(TERM=dumb script -qec "$BUILD/podwirectl status" /dev/null)" $'\033\\['
unlike "not into a pipe" "$(TERM=xterm ctl status)" $'\033\\['
if [ -e /dev/full ]; then
    is "a full disk is noticed" "$("$BUILD/podwirectl" status 2>/dev/null >/dev/full; echo $?)" 1
fi

# --- completion ---
is "completion knows the commands" "$(completes podwirectl '' | tr ' ' '\n' | grep -v -e '^-' -e '^$' -e '^help$')" \
    "$(tr ' ' '\n' <<<"$commands" | sort)"
is "completion of a beginning" "$(completes podwirectl un)" "unload "
is "of arguments" "$(completes podwirectl redirect o)" "off on "
is "of options" "$(completes podwirectl path --pr)" "--proto "
is "of their values" "$(completes podwirectl path --proto t)" "tcp "
is "of pods" "$(completes podwirectl path pw-)" "pw-1 pw-2 "
for c in $commands; do
    for o in $(completes podwirectl "$c" --); do
        [ "$o" = --help ] || like "$c knows the completed $o" "$(ctl "$c" --help)" "$o"
    done
done
