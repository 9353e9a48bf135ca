// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tcx/ingress")
int pw_from_uplink(struct __sk_buff *skb)
{
    (void)skb;
    return -1; /* TCX_NEXT */
}
