#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Take out one protection at a time and see the test that is there for it fail.
# usage: tests/netns/mutate.sh [NAME]...       (nothing named: all; takes minutes; needs a built tree)
# A mutation changes a copy of the tree, or runs a command after every ADD ("run:"). Prints TAP: ok when
# the test failed, and failed where it should. "vm:TEST" is run in a guest, where netkit is to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD
tree=$(mktemp -d "${TMPDIR:-/tmp}/pw-mutate.XXXXXX")
trap 'rm -rf "$tree"' EXIT

# NAME | FILE or run: | PERL SUBSTITUTION or COMMAND | TEST | a failed check that must be among them
mutations() {
    cat <<'EOM'
ct-question|bpf/lib/*.h|s/pw_conf\.flags & PW_CONF_ASK_CT/0/g|t_nat|service to a pod here
ct-question-wire|bpf/lib/*.h|s/if \(!p->plain\)/if (!p->plain \&\& hook != PW_HOOK_UPLINK)/g; s/else if \(!\(pw_conf\.flags & PW_CONF_ASK_CT\)\)/else if (!(pw_conf.flags & PW_CONF_ASK_CT) \|\| hook == PW_HOOK_UPLINK)/g|t_nat|service to a pod elsewhere
ct-question-hostport|bpf/lib/*.h|s/pw_conf\.flags & PW_CONF_ASK_CT/0/g|t_hostport|from another pod
ct-question-nft|bpf/lib/*.h|s/pw_conf\.flags & PW_CONF_ASK_CT/0/g|t_kube_nft|Service, pod here
ct-question-nodes|bpf/lib/*.h|s/pw_conf\.flags & PW_CONF_ASK_CT/0/g|t_nodes|Service, pod of a node on the segment
ct-reverse|bpf/lib/ct.h|s/    t\.ipv4\.saddr = daddr;.*?return 0;/    return 0;/s; s/    bpf_skb_load_bytes\(skb, off \+ offsetof\(struct ipv6hdr, daddr\), t\.ipv6\.saddr.*?return 0;/    return 0;/s|t_nat|same client port straight to the backend
ct-left|bpf/lib/ct.h|s/pw_ct_left\[end\] = now;/pw_ct_left[end] = 0;/|t_nat|to a pod here, directly and by a Service in turns
ct-left-wire|bpf/lib/fast.h|s/(!pw_ep_by_ip[46].*?)pw_ct_leaves\(/$1(void)(/sg|t_nat|from another node, directly and by a Service in turns
notrack|run:|nft flush chain inet podwire raw|t_switch|nothing was dropped as INVALID
icmp-inner|bpf/lib/decide.h|s/return v6 \? pw_icmp_error6.*?;/return p->reason;/s|t_nat|behind a small MTU
icmp-stack|bpf/lib/decide.h|s/return v6 \? pw_icmp_error6.*?;/return PW_ICMP_UNRELATED;/s|t_nat|pod behind a small MTU
wire-native|bpf/lib/resolve.h|s/if \(!pw_native4\(saddr\)\)/if (0)/; s/if \(!pw_native6\(&ip->saddr\)\)/if (0)/|t_nat|outside to pod
masquerade|run:|nft flush chain inet podwire nat|t_connect|pod-out
uplink|bpf/lib/wire.h|s/pw_is_uplink\(ifindex\) \? 0 : PW_NOT_UPLINK/0/|t_second_uplink|ways up1
reply-way|bpf/lib/resolve.h|s/pw_reply_way4\(skb, dst->ifindex, daddr, saddr\)/0/; s/pw_reply_way6\([^;]*\);/0;/|t_second_uplink|ways up1, p0: in
guard-mac|bpf/lib/resolve.h|s/!pw_same_mac\(eth->h_source, src->mac\)/0/g|t_spoof|foreign MAC, IPv4
guard-ip|bpf/lib/resolve.h|s/\|\| src->ifindex != ifindex//g; s/!pw_same_mac\(eth->h_source, src->mac\)/0/g|t_spoof|another pod's IPv4 address
guard-arp|bpf/lib/arp_nd.h|s/!pw_same_mac\(arp->sha, ep->mac\)/0/|t_spoof|ARP: another MAC as sender
guard-nd|bpf/lib/arp_nd.h|s/!pw_same_mac\(nd->opt_mac, ep->mac\)/0/|t_spoof|ND: solicitation with another MAC
guard-netkit|bpf/datapath.bpf.c|s/(int pw_netkit_guard.*?)return pw_act[^;]*;/$1return TCX_NEXT;/s|vm:t_spoof|gets no further
ttl|bpf/lib/deliver.h|s/word - 1 \+ 0x10000/word/|t_connect|pod-pod/udp4
hop-limit|bpf/lib/deliver.h|s/ip->hop_limit--;//|t_connect|pod-pod/udp6
fragments|bpf/lib/decide.h|s/if \(m\.flags & PW_P_FRAGMENT\)\n        return PW_FRAGMENT;\n    if \(m\.flags & PW_P_OPTIONS\)/if (0)/|t_differential|pod-
ttl-one|bpf/lib/*.h|s/unlikely\((ip->)?ttl <= 1\)/0/|t_differential|pod-
mtu|bpf/lib/*.h|s/unlikely\((l3_len > p->mtu|len > p->frame)\)/0/|t_differential|pod-small
header-sum|bpf/lib/parse.h|s/return sum \* [^;]*;/return true;/|t_differential|pod-local/4
plain-redirect|bpf/lib/deliver.h|s/: bpf_redirect_peer\(p->ifindex, 0\)/: bpf_redirect(p->ifindex, 0)/|t_path|pod to pod, redirected
tap-peer|bpf/lib/resolve.h|s/to->device == PW_DEV_TAP \|\|/0 \|\|/|t_path|veth to tap: pod to pod
guest-queue|bpf/datapath.bpf.c|s/bpf_redirect_peer\(skb->ifindex - PW_TAP_IFINDEX, 0\)/bpf_redirect(skb->ifindex - PW_TAP_IFINDEX, 0)/|t_path|pod-tap to veth: pod to pod
wire-by-stack|bpf/lib/deliver.h|s/if \(likely\(kind == PW_PATH_WIRE\)\)\n *return bpf_redirect\(p->ifindex, 0\);/if (1)\n        return PW_NEXT;/g|t_path|FIB redirect
tunnel-path|bpf/lib/resolve.h|s/\(peer = pw_tunnel_to4\(daddr\)\)/(peer = 0)/; s/\(peer = pw_tunnel_to6\(&ip->daddr\)\)/(peer = 0)/|t_tunnel|vxlan: past the stack
tunnel-reply|bpf/lib/wire.h|s/if \(pw_tunnel_to.\(remote\)\)/if (0)/g|t_cluster|nothing was dropped as INVALID
tunnel-source|bpf/lib/tunnel.h|s/if \(whose\[0\] != outer.*?return PW_SPOOF_NODE;//s|t_cluster|and is counted
tunnel-number|bpf/lib/tunnel.h|s/\|\|\s+key\.tunnel_id != pw_tunnel\.vni//|t_cluster|another tunnel's number
tunnel-mtu|bpf/lib/tunnel.h|s/p->mtu = pw_tunnel\.mtu/p->mtu = 9000/|t_tunnel|nothing is cut outside
tunnel-size|bpf/lib/decide.h|s/unlikely\(l3_len > p->mtu\)/0/|t_tunnel_differential|tunnel/
limit-drop|bpf/lib/limit.h|s/return TCX_DROP;/return TCX_NEXT;/|t_bandwidth|which is not less than
limit-way|bpf/lib/resolve.h|s/\|\| \(to->flags & PW_EP_LIMITED\)//|t_bandwidth|which is not less than
EOM
}

prepare() {
    git -C "$top" ls-files -z | tar -C "$top" --null -T - -cf - | tar -C "$tree" -xf -
    mkdir -p "$tree/build"
    cp -a "$top/build/." "$tree/build/"
}

check() { # NAME FILES CHANGE TEST CHECK
    local name=$1 files=$2 change=$3 test=$4 want=$5 after='' f changed=()
    if [ "$files" = run: ]; then
        after=$change
        make -C "$tree" -s all >"$tree/log" 2>&1 # of an earlier mutation nothing may be left
    else
        # shellcheck disable=SC2086
        for f in $files; do
            perl -0777 -pe "$change" "$f" >"$tree/mutated"
            cmp -s "$f" "$tree/mutated" || { cat "$tree/mutated" >"$tree/$f"; changed+=("$f"); }
        done
        if [ ${#changed[@]} = 0 ]; then
            echo "not ok $nr - $name: the mutation no longer applies to $files"
            return
        fi
        if ! make -C "$tree" -s BPF_EXTRA=-Wno-error all >"$tree/log" 2>&1; then
            echo "not ok $nr - $name: does not build"
            sed 's/^/# /' "$tree/log" | tail -n 15
            restore "${changed[@]}"
            return
        fi
    fi
    if [[ $test == vm:* ]]; then
        test=${test#vm:}
        (cd "$tree" && PODWIRE_TEST_DEVICES=netkit \
            tests/vm/run -- tests/lib/node.sh "tests/netns/$test.sh") >"$tree/log" 2>&1 || true
    else
        PODWIRE_TEST_AFTER_ADD=$after PWT_STALL=${PWT_STALL:-1500} \
            timeout 300 "$top/tests/lib/node.sh" "$tree/tests/netns/$test.sh" >"$tree/log" 2>&1 || true
    fi
    if grep -E '^not ok' "$tree/log" | grep -qF -- "$want"; then
        echo "ok $nr - without $name, $test fails: $(grep -cE '^not ok' "$tree/log") checks, $(grep -E '^not ok' "$tree/log" | grep -F -- "$want" | head -n1 | sed 's/not ok [0-9]* - //')"
    else
        echo "not ok $nr - without $name, $test must fail at '$want'"
        grep -E '^not ok|^Bail|^# ' "$tree/log" | head -n 12 | sed 's/^/# /'
    fi
    restore "${changed[@]}"
}
restore() { # FILE...
    local f
    for f in "$@"; do cat "$top/$f" >"$tree/$f"; done
}

prepare
failed=0 nr=0
while IFS='|' read -r name file change; do
    # The last two fields hold no bar; a substitution may.
    want=${change##*|} change=${change%|*}
    test=${change##*|} change=${change%|*}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    nr=$((nr + 1))
    out=$(check "$name" "$file" "$change" "$test" "$want" </dev/null)
    echo "$out"
    [[ $out == ok* ]] || failed=1
done < <(mutations)
echo "1..$nr"
[ $nr -gt 0 ] || failed=1
exit $failed
