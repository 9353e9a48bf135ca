#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Break each protection of the datapath once, and see a test of this folder fail. Run on demand; needs
# the tests built (make tests).
# usage: tests/bpf/mutate.sh [NAME]...
# A mutation is: name | file under bpf/lib | sed expression | test that is to fail (others may, too).
# Exit code: 0 when every mutation was noticed; those that were not are listed.
set -euo pipefail

cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/pw-mutate.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

mutations() {
    grep -v '^#' <<'END'
source-v4|resolve.h|/pw_resolve_pod4/,/^}/s/src->ifindex != ifindex/false/|source
source-v6|resolve.h|/pw_resolve_pod6/,/^}/s/src->ifindex != ifindex/false/|source
source-mac|resolve.h|s/(src->flags \& PW_EP_L2) \&\& !pw_same_mac/(src->flags \& 0x8000) \&\& !pw_same_mac/|source
source-mac-known|path.h|s/!with_mac ||/true ||/|paths
device-known|path.h|s/e->stamp == stamp/(e->stamp ^ stamp) >> 32 == 0/|paths
address-known-v4|path.h|s/e->addrs == PW_AT(const __u64, addrs)/true/|paths
path-forever|path.h|s/bpf_jiffies64() >> 1/0/|paths
path-generation|path.h|s/ + pw_conf.generation//|source
plain-off|path.h|s/(pw_conf.flags \& PW_CONF_REDIRECT)/true/|object
plain-ct|path.h|s/!(pw_conf.flags \& PW_CONF_ASK_CT)/true/|conntrack
pass-any|deliver.h|s/data + PW_PASS_AT) == pass/data + PW_PASS_AT) >= 0/|pass
pass-zero|deliver.h|s/return pass \&\& data/return data/|pass
pass-kept|deliver.h|/pw_hand_on/,/^}/s/PW_AT(__u64, data) = 0;//|pass
pass-l2|resolve.h|s/to->device == PW_DEV_NETKIT \&\&/true \&\&/|pass
pass-limited|resolve.h|s/ || (to->flags \& PW_EP_LIMITED)//|pass
arp-sender|arp_nd.h|s/!pw_same_mac(arp->sha, ep->mac)/false/|neigh
arp-sender-ip|arp_nd.h|0,/owner->ifindex != ep->ifindex/s//false/|neigh
arp-own|arp_nd.h|s/if (owner \&\& owner->ifindex == ep->ifindex)/if (false)/|neigh
arp-l3|arp_nd.h|0,/if (!(ep->flags & PW_EP_L2))/s//if (false)/|neigh
nd-target|arp_nd.h|s/return own ? PW_NEIGHBOUR : PW_SPOOF_ND/return PW_NEIGHBOUR/|neigh
nd-option|arp_nd.h|s/if (!pw_same_mac(nd->opt_mac, ep->mac))/if (false)/|neigh
nd-own|arp_nd.h|s/if (own)$/if (false)/|neigh
nd-hop-limit|arp_nd.h|s/ip->hop_limit != 255 ||/false ||/|neigh
nd-checksum|arp_nd.h|s/nd->sum = pw_fold(sum)/nd->sum = 1/|neigh
multicast|guard.h|s/ == bpf_htonl(0xe0000000) || addr == 0xffffffff/ == 1/|source
dhcp-server|fast.h|s/unlikely(PW_AT(__be32, ip + 1) == PW_DHCP4_SERVER)/false/|source
dhcp6-server|fast.h|s/unlikely(PW_AT(__be32, ip + 1) == PW_DHCP6_SERVER)/false/|source
router-advert|guard.h|s/return PW_RA_FROM_POD/return PW_MLD/|source
icmp-redirect|decide.h|s/(__u8)m.ports == ICMP_REDIRECT/false/|source
vlan|decide.h|s/unlikely(vlan || proto == bpf_htons(ETH_P_8021Q)/unlikely(vlan/|source
pkt-type|fast.h|s/ \&\& skb->pkt_type == PACKET_HOST//|source
sum4|parse.h|s/return sum \* .*/return true;/|headers
tot-len|fast.h|s/more > len - PW_UDP_V4/false/|headers
tcp-doff|fast.h|s/ >= 5 << 4 \&\&/ >= 0 \&\&/|headers
options|parse.h|s/flags |= PW_P_OPTIONS/flags |= 0/|headers
fragment|fast.h|s/0xff00000000003fff/0xff00000000000000/|headers
version|fast.h|s/0xff00000000003fff/0x3fff/;s/0x4500000000000000/0/|headers
ttl|fast.h|s/unlikely(ip->ttl <= 1)/false/|headers
mtu|fast.h|s/unlikely(len > p->frame)/false/|headers
gso|decide.h|s/return size + l3_bytes <= mtu/return true/|headers
gso-doff|decide.h|s/size += (doff >> 4) \* 4/size += 20/|headers
ttl-lowered|deliver.h|s/word - 1 + 0x10000/word + 0x10000/|pods
checksum-update|deliver.h|s/word - 1 + 0x10000/word - 1/|pods
macs|deliver.h|s/PW_AT(__u32, data + 8) = .*;//|pods
native|resolve.h|s/!pw_native4(saddr)/false/|wire
native6|resolve.h|s/!pw_native6(&ip->saddr)/false/|wire
except|endpoint.h|s/ \&\&$/ ||/|wire
uplink|wire.h|s/return pw_is_uplink(ifindex) ? 0 : PW_NOT_UPLINK/return 0/|wire
reply-way|resolve.h|s/e->path.reason = pw_reply_way4(.*;/e->path.reason = 0;/|wire
reply-way6|resolve.h|s/e->path.reason = pw_reply_way6(.*;/e->path.reason = 0;/|wire
source-local|resolve.h|s/else if (pw_ep_by_ip4(saddr))/else if (false)/|wire
policy|resolve.h|s/!(pw_conf.flags \& PW_CONF_WIRE)/false/|wire
ct-mask|ct.h|s/#define PW_CT_NAT 0x30/#define PW_CT_NAT 0x10/|conntrack
ct-mask-done|ct.h|s/#define PW_CT_NAT 0x30/#define PW_CT_NAT 0x1b0/|conntrack
ct-reverse4|ct.h|/pw_ct_look4/,/^}/{/t.ipv4.saddr = daddr/,/return 0/{/PW_CT_JUDGE/d}}|conntrack
ct-reverse6|ct.h|/pw_ct_look6/,/^}/{/saddr, &addrs\[1\]/,/return 0/{/PW_CT_JUDGE/d}}|conntrack
ct-chains|ct.h|s/== PW_PRI_NAT/== PW_PRI_NAT + 7/|conntrack
ct-families|ct.h|s/v6 ? net->nf.hooks_ipv6/false ? net->nf.hooks_ipv6/|conntrack
ct-size|ct.h|s/&opts, sizeof(opts))/\&opts, 8)/|conntrack
ct-epoch|ct.h|s/__sync_fetch_and_add(&pw_ct_epoch, 1);/;/|conntrack
ct-syn|ct.h|s/return flags \& PW_TCP_SYN;/return false;/|conntrack
ct-left|ct.h|s/pw_ct_left\[end\] = now;/pw_ct_left[end] = 0;/|conntrack
ct-left-plain|fast.h|s/pw_ct_leaves(pw_ct_end(ip->saddr/(void)(pw_ct_end(ip->saddr/|conntrack
ct-left-plain6|fast.h|s/pw_ct_leaves(pw_ct_end(pw_addr6/(void)(pw_ct_end(pw_addr6/|conntrack
ct-left-odd|decide.h|s/pw_ct_leaves(pw_ct_end(addr, m.ports));/;/|conntrack
ct-left-other|ct.h|s/ || now - pw_ct_left\[other\] <= PW_LEFT_TICKS//|conntrack
ct-left-one|ct.h|s/now - pw_ct_left\[one\] <= PW_LEFT_TICKS ||/false ||/|conntrack
ct-later|decide.h|s/if (m.flags \& PW_P_LATER)$/if (false)/|conntrack
icmp-flow|icmp.h|s/return reason == PW_TRANSLATED ? PW_ICMP_ERROR : reason/return 0/|icmp
icmp-native|icmp.h|s/!pw_native4(in.daddr)/false/|icmp
icmp-native6|icmp.h|s/!pw_native6(&in.daddr)/false/|icmp
icmp-pair|icmp.h|s/if (in.saddr != outer.daddr)/if (false)/|icmp
icmp-router|icmp.h|s/else if (!wire)/else if (false)/|icmp
mark-set|deliver.h|s/if (marked)/if (false)/|headers
mark-unmarked|fast.h|s/reason, false,/reason, true,/|conntrack
mark-forged2|deliver.h|s/dir == PW_FROM_POD ? 0 : skb->mark \& ~pw_conf.mark/skb->mark/|marks
mark-delivered|deliver.h|s/if (unlikely(skb->mark))/if (false)/|marks
guard-count|deliver.h|s/!PW_CALL_QUIET(call) || //|source
redirect-off|decide.h|s/unlikely(!(pw_conf.flags \& PW_CONF_REDIRECT))/false/|conntrack
events-off|metrics.h|s/pw_conf.trace_until \\& bpf_ktime_get_ns() < pw_conf.trace_until/true/;s/ \&\& pw_conf.trace_until//;s/bpf_ktime_get_ns() < pw_conf.trace_until/true/|events
END
}

missed=() n=0
while IFS='|' read -r name file expr rest; do
    # sed expressions may hold bars: the test is what follows the last one.
    test=${rest##*|}
    [ "$rest" = "$test" ] || expr="$expr|${rest%|*}"
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    rm -rf "$tmp/bpf"
    cp -r bpf "$tmp/bpf"
    sed -i "$expr" "$tmp/bpf/lib/$file"
    if cmp -s "bpf/lib/$file" "$tmp/bpf/lib/$file"; then
        echo "$name: the expression changes nothing any more"
        missed+=("$name")
        continue
    fi
    n=$((n + 1))
    if ! (cd "$tmp" && clang-19 -target bpf -mcpu=v3 -O2 -g -std=gnu11 -w -I. \
        "-I/usr/include/$(gcc -print-multiarch)" -c -o raw.o bpf/datapath.bpf.c &&
        PATH=$PATH:/usr/sbin bpftool gen object datapath.o raw.o) 2>"$tmp/log"; then
        echo "$name: does not compile: $(head -n1 "$tmp/log")"
        missed+=("$name")
        continue
    fi
    out=$(PW_TEST_OBJECT="$tmp/datapath.o" tests/lib/node.sh "$BUILD/tests/bpf/t_$test" 2>&1) && rc=0 || rc=$?
    if [ "$rc" = 0 ]; then
        echo "$name: NOT noticed by $test"
        missed+=("$name")
    else
        echo "$name: $test: $(grep -m1 -E '^(not ok|Bail)' <<<"$out")"
    fi
done < <(mutations)
echo "$n mutations, ${#missed[@]} not noticed: ${missed[*]:-}"
[ ${#missed[@]} -eq 0 ]
