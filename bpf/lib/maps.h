/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps shared with user space (bpf/abi/podwire.h says what is in them). */
#ifndef PW_BPF_MAPS_H
#define PW_BPF_MAPS_H

#include "bpf/abi/podwire.h"
#include "bpf/lib/kernel.h"

/* A variable instead of a map: read without a lookup. Zero until user space has written it, and
 * with flags of zero everything is left to the stack. */
struct pw_conf pw_conf SEC(PW_CONF_MAP) = {};

/*
 * What a packet from a netkit pod to another carries in the place of its MACs from the one's
 * program to the other's guard, which hands on into the pod what carries it and nothing else
 * unseen: the end of the MAC of the destination (zero, as that of a layer 3 device) and 48 random
 * bits that never leave the node's own network. Drawn by user space before the first load; 0: not
 * in use.
 */
__u64 pw_pass SEC(PW_PASS_MAP) = 0;

struct pw_tunnel pw_tunnel SEC(PW_TUNNEL_MAP) = {};

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, PW_MAX_PEER_RANGES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pw_peer_key4);
    __type(value, struct pw_peer_node);
} pw_peers4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, PW_MAX_PEER_RANGES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pw_peer_key6);
    __type(value, struct pw_peer_node);
} pw_peers6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_MAX_ADDRS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __be32);
    __type(value, struct pw_ep);
} pw_ip4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_MAX_ADDRS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pw_ip6);
    __type(value, struct pw_ep);
} pw_ip6 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_MAX_ENDPOINTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct pw_ep);
} pw_endpoints SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_MAX_ENDPOINTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, struct pw_guest);
} pw_guests SEC(".maps");

/* Only user space uses it. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PW_MAX_ENDPOINTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u32);
    __type(value, __u32);
} pw_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PW_MAX_ENDPOINTS);
    __type(key, __u32);
    __type(value, struct pw_counters);
} pw_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 16 * PW_MAX_ENDPOINTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pw_reason_key);
    __type(value, struct pw_count);
} pw_reasons SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2 * PW_MAX_ENDPOINTS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct pw_limit_key);
    __type(value, struct pw_limit);
} pw_limits SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 18);
} pw_events SEC(".maps");

#endif
