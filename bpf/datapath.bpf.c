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

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("netkit/peer")
int pw_netkit_from_pod(struct __sk_buff *skb)
{
    return pw_act(skb, PW_HOOK_NETKIT, false);
}

/* What comes this way by the peer hook has been decided on and counted already; deciding again is
 * what catches the packets that did not. */
SEC("tcx/ingress")
int pw_netkit_guard(struct __sk_buff *skb)
{
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
