/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs and user space share: map keys and values, configuration, events. Fixed-width
 * types, explicit padding. A change that an older program would misread raises PW_ABI; maps of
 * different PW_ABI are never shared (they are pinned in a folder that carries the number).
 */
#ifndef PW_ABI_PODWIRE_H
#define PW_ABI_PODWIRE_H

#include <linux/types.h>

#define PW_ABI_ASSERT(cond) _Static_assert(cond, #cond)

#include "bpf/abi/reasons.h"

#define PW_ABI 1

#define PW_MAX_ENDPOINTS 4096 /* interfaces of pods on one node */
#define PW_MAX_ADDRS 16384    /* addresses of one family on one node */
#define PW_MAX_UPLINKS 8
#define PW_MAX_RANGES 16         /* of one family */
#define PW_MAX_PEER_RANGES 16384 /* of other nodes, of one family */
#define PW_SLOT_NONE 0xffffffffU

/* How an endpoint is joined. Numbers are stored in maps: never reused. */
enum pw_device {
    PW_DEV_NETKIT = 1, /* layer 3: no MAC, no ARP */
    PW_DEV_NETKIT_L2 = 2,
    PW_DEV_VETH = 3,
    PW_DEV_TAP = 4,     /* of a virtual machine, in the node's namespace */
    PW_DEV_POD_TAP = 5, /* a veth pair whose other end is joined to a tap beside it */
    /* Not in maps: to programs it is PW_DEV_TAP. Its queues are a vhost-user back-end's. */
    PW_DEV_VHOST_USER = 6,
};

/*
 * A tap in a pod's namespace is joined to the pod's interface: the one's ifindex is the other's and
 * this (the kernel itself counts up from 1), so that programs need no map to get from one to the
 * other, whatever namespace they run in.
 */
#define PW_TAP_IFINDEX 0x40000000U

enum pw_ep_flags {
    PW_EP_L2 = 1 << 0, /* frames carry real MACs; ARP and ND are answered */
    /* What goes to it is limited on its host end's way out, so packets are redirected to that and
     * not past it. */
    PW_EP_LIMITED = 1 << 1,
};

/* Value of pw_ip4, pw_ip6 (by address) and pw_endpoints (by ifindex of the host end). */
struct pw_ep {
    __u32 ifindex; /* host end, in the node's network namespace */
    __u32 slot;    /* index into pw_counters, unique among live endpoints */
    __u32 mtu;     /* bytes at layer 3 */
    __u16 device;  /* enum pw_device */
    __u16 flags;   /* enum pw_ep_flags */
    __u8 mac[6];   /* the pod's; zero for layer 3 devices */
    __u8 host_mac[6];
    __u32 pad;
};
PW_ABI_ASSERT(sizeof(struct pw_ep) == 32);

struct pw_ip6 {
    __be32 w[4];
};

#define PW_GUEST_OPTS4 224
#define PW_GUEST_OPTS6 192
#define PW_GUEST_RA 256

/*
 * Value of pw_guests (by ifindex of the host end): what a virtual machine is told when it asks for
 * its configuration. Options lie as they are sent; user space makes them (loader/autoconf.h).
 */
struct pw_guest {
    __be32 ip4;        /* 0: DHCPv4 is not answered */
    __u16 ra_len;      /* 0: router solicitations are not answered; a multiple of 8 */
    __u16 opts6_len;   /* of opts6 */
    struct pw_ip6 ip6; /* zero: DHCPv6 gives no address */
    /* DHCPv4's, beyond message type, server, lease time and client identifier; padded with 0. */
    __u8 opts4[PW_GUEST_OPTS4];
    /* DHCPv6's, beyond the identifiers and the address. */
    __u8 opts6[PW_GUEST_OPTS6];
    /* Router advertisement, from the ICMPv6 header on, with a checksum of 0. */
    __u8 ra[PW_GUEST_RA];
};
PW_ABI_ASSERT(sizeof(struct pw_guest) == 24 + PW_GUEST_OPTS4 + PW_GUEST_OPTS6 + PW_GUEST_RA);

/* For how long a guest may use what it was told, before it has to ask again. It may half the time
 * before it does; a day, so that one that was restored elsewhere does not keep what is not its. */
#define PW_LEASE_SECONDS 86400U

/* Next hop of every pod, and to guests the DHCP server: 169.254.1.1. */
#define PW_GATEWAY4_HOST 0xa9fe0101U

struct pw_range4 {
    __be32 addr, mask;
};

struct pw_range6 {
    __be32 addr[4], mask[4];
};

enum pw_conf_flags {
    PW_CONF_REDIRECT = 1 << 0, /* off: every packet goes to the stack, checks stay */
    PW_CONF_ASK_CT = 1 << 1,   /* ask conntrack whether the flow is translated */
    PW_CONF_WIRE = 1 << 2,     /* pods may leave by redirect: no xfrm, no odd rules */
};

/*
 * What changes at run time; everything that never changes is a constant of the program. It is the
 * one value (key 0) of the map PW_CONF_MAP, a data section of the object, so that a program reads
 * it without a lookup.
 */
#define PW_CONF_MAP ".data.pw_conf"
/* The same of one number that is drawn once (bpf/lib/maps.h): two bytes of zero, six random ones.
 */
#define PW_PASS_MAP ".data.pw_pass"

struct pw_conf {
    __u32 flags;       /* enum pw_conf_flags */
    __u32 mark;        /* or-ed into the mark of a packet that conntrack must not see */
    __u64 trace_until; /* CLOCK_MONOTONIC ns: drop events are written until then */
    /*
     * Programs remember for a few milliseconds where packets between two addresses go, for as long
     * as this number stays the same. Whoever changes flags or anything below, or removes or moves
     * an address or an endpoint, writes another number here afterwards (a random one will do) where
     * the change must hold at once; otherwise it holds after at most 20 ms.
     */
    __u32 generation;
    __u32 n_uplinks, n_native4, n_native6, n_except4, n_except6;
    __u32 uplinks[PW_MAX_UPLINKS]; /* ifindexes that carry pw_from_uplink */
    /* Native ranges: destinations that are not masqueraded, so that a flow between a pod and such
     * an address keeps both addresses. Only these flows may take the fast path over the wire. */
    struct pw_range4 native4[PW_MAX_RANGES];
    struct pw_range6 native6[PW_MAX_RANGES];
    /* Parts of them that the stack must always see: ranges of Service addresses, say. */
    struct pw_range4 except4[PW_MAX_RANGES];
    struct pw_range6 except6[PW_MAX_RANGES];
};
PW_ABI_ASSERT(sizeof(struct pw_conf) == 40 + 32 + 2 * (128 + 512));

/* Keys of pw_peers4 and pw_peers6 (longest prefix wins): ranges of other nodes' pods, and those
 * nodes' own addresses. */
struct pw_peer_key4 {
    __u32 prefix; /* bits */
    __be32 addr;
};
struct pw_peer_key6 {
    __u32 prefix;
    __be32 addr[4];
};

enum pw_peer_flags {
    PW_PEER_TUNNEL = 1 << 0, /* packets to it go by the tunnel; else as the routes say */
    PW_PEER_NODE = 1 << 1,   /* the node itself, not its pods */
};

/* Whose it is. */
struct pw_peer_node {
    __be32 addr[4]; /* outer address, of the tunnel's family; an IPv4 address in the first word */
    __u32 flags;    /* enum pw_peer_flags */
};
PW_ABI_ASSERT(sizeof(struct pw_peer_node) == 20);

/* The tunnel to other nodes: one value, as pw_conf. All zero when there is none. */
#define PW_TUNNEL_MAP ".data.pw_tunnel"

struct pw_tunnel {
    __u32 ifindex; /* of the device that carries pw_from_overlay */
    __u32 mtu;     /* layer 3, of what is carried */
    __u32 vni;
    __u32 family;    /* 4 or 6, of the outer header */
    __be32 local[4]; /* outer source */
};
PW_ABI_ASSERT(sizeof(struct pw_tunnel) == 32);

struct pw_count {
    __u64 packets, bytes;
};

/* pw_counters[slot], per CPU: what was redirected. What was not is in pw_reasons. */
struct pw_counters {
    struct pw_count from_pod; /* redirected, sent by this endpoint */
    struct pw_count to_pod;   /* redirected, delivered to this endpoint */
};

enum pw_direction {
    PW_FROM_POD = 0,
    PW_TO_POD = 1,
};

/* Key of pw_reasons (per CPU; value struct pw_count). */
struct pw_reason_key {
    __u32 slot;   /* or PW_SLOT_NONE */
    __u16 reason; /* enum pw_reason */
    __u16 dir;    /* enum pw_direction */
};

/* Key of pw_limits. */
struct pw_limit_key {
    __u32 ifindex; /* host end */
    __u32 dir;     /* enum pw_direction */
};

/*
 * A bandwidth limit, as a clock: each packet moves `next` on by the time that it takes at `rate`. A
 * packet passes while `next` is no further ahead than `depth`.
 */
struct pw_limit {
    __u64 rate;    /* bytes per second, not 0 */
    __u64 depth;   /* ns */
    __u64 next;    /* CLOCK_MONOTONIC ns: departure of the next packet */
    __u64 delayed; /* packets that were given a departure time later than now */
    __u32 slot;    /* of the endpoint */
    __u32 pad;
};
PW_ABI_ASSERT(sizeof(struct pw_limit) == 40);

#define PW_EVENT_BYTES 96

/* Record in pw_events, written for a dropped packet while someone follows. */
struct pw_event {
    __u64 ktime; /* ns */
    __u32 ifindex;
    __u32 slot;
    __u16 reason;
    __u16 dir;
    __u32 len; /* of the packet */
    __u16 copied;
    __u16 pad[3];
    __u8 head[PW_EVENT_BYTES]; /* first bytes, from the Ethernet header */
};
PW_ABI_ASSERT(sizeof(struct pw_event) == 32 + PW_EVENT_BYTES);

/* How a packet is carried on: what pw_explain answers and the path tests ask for. */
enum pw_via {
    PW_VIA_STACK = 0,
    PW_VIA_DROP = 1,
    PW_VIA_PEER = 2,     /* bpf_redirect_peer */
    PW_VIA_REDIRECT = 3, /* bpf_redirect */
    PW_VIA_NEIGH = 4,    /* bpf_redirect_neigh */
    PW_VIA_REPLY = 5,    /* answered in the program (ARP, ND, DHCP) and sent back */
    PW_VIA_TUNNEL = 6,   /* bpf_skb_set_tunnel_key and bpf_redirect to the tunnel device */
    PW_VIA_PASS = 7, /* bpf_redirect to the ingress of the target's host end, whose guard hands it
                        on by bpf_redirect_peer */
};

/*
 * pw_explain_*: run with BPF_PROG_TEST_RUN on a packet; decides as the real program would, counts
 * nothing, sends nothing, and leaves the answer in __sk_buff::cb of the output context.
 */
enum pw_explain_cb {
    PW_CB_VIA = 0,     /* enum pw_via */
    PW_CB_REASON = 1,  /* enum pw_reason */
    PW_CB_IFINDEX = 2, /* device the packet leaves by, 0 when by the stack */
    PW_CB_MARKED = 3,  /* 1 when conntrack is told not to track the packet */
};

#endif
