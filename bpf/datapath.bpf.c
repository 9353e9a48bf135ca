// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entry points. A packet's way through the headers: parse, path (resolve: guard, endpoint, wire),
 * decide (ct, icmp), deliver. docs/design.md says what is attached where.
 */
#include "bpf/lib/kernel.h"
#include "bpf/lib/maps.h"
#include "bpf/lib/parse.h"
#include "bpf/lib/path.h"
#include "bpf/lib/resolve.h"
#include "bpf/lib/decide.h"
#include "bpf/lib/deliver.h"
#include "bpf/lib/fast.h"
#include "bpf/lib/limit.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("netkit/peer")
int pw_netkit_from_pod(struct __sk_buff *skb)
{
    return pw_act(skb, PW_HOOK_NETKIT, false);
}

/* What comes this way by the peer hook has been decided on and counted already; deciding again is
 * what catches the packets that did not. What another pod's program sends into this one has been,
 * too, and says so by what no pod knows. */
SEC("tcx/ingress")
int pw_netkit_guard(struct __sk_buff *skb)
{
    if (pw_passes(skb))
        return pw_hand_on(skb);
    return pw_act(skb, PW_HOOK_TCX, true);
}

SEC("tcx/ingress")
int pw_veth_from_pod(struct __sk_buff *skb)
{
    return pw_act(skb, PW_HOOK_TCX, false);
}

SEC("tcx/ingress")
int pw_from_uplink(struct __sk_buff *skb)
{
    return pw_act(skb, PW_HOOK_UPLINK, false);
}

/* From the tunnel: addressed to whatever MAC, and from the node whose pods have the address, or
 * dropped. The rest is as from an uplink. */
SEC("tcx/ingress")
int pw_from_overlay(struct __sk_buff *skb)
{
    if (skb->pkt_type != PACKET_HOST)
        bpf_skb_change_type(skb, PACKET_HOST);
    int reason = pw_tunnel_source(skb);
    if (unlikely(reason))
        return pw_leave(skb, PW_SLOT_NONE, reason, false, PW_CALL(PW_HOOK_UPLINK, false));
    return pw_act(skb, PW_HOOK_UPLINK, false);
}

/* A tap in a pod's namespace: what the guest sends arrives at the pod's host end, whose program
 * decides on it; what arrives at the pod's interface is the guest's. */
SEC("tcx/ingress")
int pw_guest_out(struct __sk_buff *skb)
{
    /* The tap has not the MAC that guests send to: their next hop is beyond it. */
    if (skb->pkt_type == PACKET_OTHERHOST)
        bpf_skb_change_type(skb, PACKET_HOST);
    return bpf_redirect_peer(skb->ifindex - PW_TAP_IFINDEX, 0);
}

/* The same where the pod's interface is no pair's end (macvlan, say). */
SEC("tcx/ingress")
int pw_guest_send(struct __sk_buff *skb)
{
    return bpf_redirect(skb->ifindex - PW_TAP_IFINDEX, 0);
}

SEC("tcx/ingress")
int pw_guest_in(struct __sk_buff *skb)
{
    return bpf_redirect(skb->ifindex + PW_TAP_IFINDEX, 0);
}

/* Of endpoints with a bandwidth limit, before the other programs of the same hook ... */
SEC("netkit/peer")
int pw_netkit_limit_from(struct __sk_buff *skb)
{
    return pw_limit_pass(skb, PW_FROM_POD);
}

SEC("tcx/ingress")
int pw_limit_from(struct __sk_buff *skb)
{
    return pw_limit_pass(skb, PW_FROM_POD);
}

/* ... and on the way to the pod, whoever sends there: redirection or the stack. */
SEC("tcx/egress")
int pw_limit_to(struct __sk_buff *skb)
{
    return pw_limit_pass(skb, PW_TO_POD);
}

SEC("tcx/ingress")
int pw_explain_from_pod(struct __sk_buff *skb)
{
    return pw_explain(skb, PW_HOOK_TCX);
}

SEC("tcx/ingress")
int pw_explain_from_uplink(struct __sk_buff *skb)
{
    return pw_explain(skb, PW_HOOK_UPLINK);
}
