/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The path between two addresses: everything that can be said of a packet from where it came in and
 * its two addresses alone (source check, destination, route, MACs). It is found out once
 * (bpf/lib/resolve.h) and remembered per CPU for a few milliseconds, which costs a tenth of asking
 * again for each packet.
 *
 * A remembered path is used while the time slice and pw_conf.generation are those it was found in.
 * A route or neighbour that changes meanwhile is followed a few milliseconds late, as by a packet
 * that was under way already. Nothing is remembered of packets that are dropped.
 */
#ifndef PW_BPF_PATH_H
#define PW_BPF_PATH_H

#include "bpf/lib/maps.h"

#define PW_PASS_AT 4      /* pw_pass in a frame: up to the EtherType */
#define PW_PATHS_SHIFT 10 /* log2 of the number of paths remembered, per CPU and family */

enum pw_path_kind {
    PW_PATH_STACK = 0,  /* for `reason` */
    PW_PATH_LOCAL = 1,  /* to the endpoint whose host end is `ifindex` */
    PW_PATH_TAP = 2,    /* the same, and not past its way out: it is a tap, or limited */
    PW_PATH_WIRE = 3,   /* out of `ifindex` with `macs` */
    PW_PATH_FRESH = 4,  /* the same, and the next packet goes through the neighbour subsystem, so
                           that it sees the entry being used and goes on verifying it */
    PW_PATH_NEIGH = 5,  /* out of `ifindex`, next hop not resolved yet */
    PW_PATH_TUNNEL = 6, /* by the tunnel device `ifindex`, to the node `hop` */
    PW_PATH_PASS = 7,   /* to the netkit endpoint whose host end is `ifindex`, with pw_pass in
                           `macs`: that device's guard hands it on into the pod */
};

struct pw_path {
    /* Destination and source; zero to layer 3 devices. Aligned, so that 8 bytes are one load. */
    __u8 macs[12] __attribute__((aligned(8)));
    __u32 ifindex;
    __u32 mtu;       /* of the next hop, layer 3 */
    __u32 slot_from; /* sending endpoint, or PW_SLOT_NONE */
    __u32 slot_to;   /* receiving endpoint, or PW_SLOT_NONE */
    __u16 reason;    /* enum pw_reason: why the stack, 0 when none. From the wire a packet may have
                        a reason and a way to the endpoint (an ICMP error of a router outside) */
    __u8 kind;       /* enum pw_path_kind */
    bool plain;      /* nothing is to be asked before: no reason, redirection on, no question to
                        conntrack */
    __u32 frame;     /* mtu with the Ethernet header */
    struct bpf_redir_neigh hop; /* PW_PATH_FRESH, PW_PATH_NEIGH, PW_PATH_TUNNEL */
};

struct pw_path4 {
    __u64 addrs; /* as in the packet */
    __u64 mac;   /* source MAC and EtherType, as in the packet */
    __u64 stamp; /* pw_path_stamp */
    __u64 sum;   /* of the two addresses as words, for the header's checksum */
    struct pw_path path;
};

struct pw_path6 {
    __u64 addrs[4];
    __u64 mac;
    __u64 stamp;
    struct pw_path path;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1 << PW_PATHS_SHIFT);
    __type(key, __u32);
    __type(value, struct pw_path4);
} pw_paths4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1 << PW_PATHS_SHIFT);
    __type(key, __u32);
    __type(value, struct pw_path6);
} pw_paths6 SEC(".maps");

/* In the place of a device in the stamp of paths from the wire, which are the same from each
 * uplink. The index is that of the loopback device, where no program of ours is. */
#define PW_PATH_WIRED 1

/* Device and time slice (2 jiffies) of a path. Never 0, which marks an empty entry. */
static __always_inline __u64 pw_path_stamp(const struct __sk_buff *skb, bool wire)
{
    __u32 slice = (bpf_jiffies64() >> 1) + pw_conf.generation;
    return (__u64)slice << 32 | (wire ? PW_PATH_WIRED : skb->ifindex);
}

/* The slice that a stamp was made in. */
static __always_inline __u32 pw_path_slice(__u64 stamp)
{
    return stamp >> 32;
}

/* Spread over the entries by multiplication (golden ratio). */
static __always_inline __u32 pw_path_index(__u64 x)
{
    return x * 0x9e3779b97f4a7c15ULL >> (64 - PW_PATHS_SHIFT);
}

/* Everything of a path has been found out: what follows from it. */
static __always_inline void pw_path_found(struct pw_path *p)
{
    p->plain =
        !p->reason && (pw_conf.flags & PW_CONF_REDIRECT) && !(pw_conf.flags & PW_CONF_ASK_CT);
    p->frame = p->mtu + sizeof(struct ethhdr);
}

static __always_inline struct pw_path4 *pw_path4_entry(__u64 addrs)
{
    __u32 i = pw_path_index(addrs);
    return bpf_map_lookup_elem(&pw_paths4, &i);
}

static __always_inline struct pw_path6 *pw_path6_entry(const void *addrs)
{
    /* Not symmetric in the halves, so that both directions of a flow do not meet in one entry. */
    __u32 i = pw_path_index((PW_AT(const __u64, addrs) ^ PW_AT(const __u64, addrs + 8)) +
                            3 * (PW_AT(const __u64, addrs + 16) ^ PW_AT(const __u64, addrs + 24)));
    return bpf_map_lookup_elem(&pw_paths6, &i);
}

static __always_inline void pw_path4_addrs(struct pw_path4 *e, __be32 saddr, __be32 daddr)
{
    e->addrs = (__u64)daddr << 32 | saddr;
    e->sum = (__u64)saddr + daddr;
}

/* Whether the entry is about this packet, and of now. `data` is the Ethernet header, the IP header
 * is there. The source MAC is part of the source check, so from the wire it does not matter. */
static __always_inline bool pw_path4_known(const struct pw_path4 *e, const void *data, __u64 stamp,
                                           bool with_mac)
{
    const void *addrs = data + sizeof(struct ethhdr) + offsetof(struct iphdr, saddr);
    return e->addrs == PW_AT(const __u64, addrs) && e->stamp == stamp &&
           (!with_mac || e->mac == PW_AT(const __u64, data + 6));
}

static __always_inline bool pw_path6_known(const struct pw_path6 *e, const void *data, __u64 stamp,
                                           bool with_mac)
{
    const void *addrs = data + sizeof(struct ethhdr) + offsetof(struct ipv6hdr, saddr);
    return e->addrs[0] == PW_AT(const __u64, addrs) &&
           e->addrs[1] == PW_AT(const __u64, addrs + 8) &&
           e->addrs[2] == PW_AT(const __u64, addrs + 16) &&
           e->addrs[3] == PW_AT(const __u64, addrs + 24) && e->stamp == stamp &&
           (!with_mac || e->mac == PW_AT(const __u64, data + 6));
}

#endif
