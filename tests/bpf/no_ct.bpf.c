// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The datapath as a kernel without bpf_skb_ct_lookup sees it (nf_conntrack not loaded, say). */
#define bpf_skb_ct_lookup pw_no_such_kfunc
#include "bpf/datapath.bpf.c"
