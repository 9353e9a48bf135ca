/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pinned maps by name, and typed access to them. Who knows the layout of a map in user space
 * is here; the structs are bpf/abi/podwire.h.
 *
 * All functions take the map's descriptor (pw_maps_open) and return 0 or a negative errno; -ENOENT
 * from a lookup sets no message.
 */
#ifndef PW_LOADER_MAPS_H
#define PW_LOADER_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/podwire.h"
#include "loader/base/addr.h"
#include "loader/base/err.h"

enum pw_map {
    PW_MAP_CONF,
    PW_MAP_IP4,
    PW_MAP_IP6,
    PW_MAP_ENDPOINTS,
    PW_MAP_GUESTS,
    PW_MAP_SLOTS,
    PW_MAP_COUNTERS,
    PW_MAP_REASONS,
    PW_MAP_EVENTS,
    PW_MAP_TUNNEL,
    PW_MAP_PEERS4,
    PW_MAP_PEERS6,
    PW_MAP_LIMITS,
    PW_MAP_COUNT
};

/* Name as in the object and as pinned. */
const char *pw_map_name(enum pw_map map);

/* Open a pinned map; the caller owns the descriptor. -ENOENT when it is not pinned; -EPROTO when
 * what is pinned under its name has other sizes than this build's. */
int pw_maps_open(enum pw_map map, struct pw_err *err);

/* Kernel memory of an open map in bytes, as the kernel counts it (0 when it does not say). */
uint64_t pw_maps_memory(int fd);

/* Entries of an open hash map, and how many it can have. Walks it. */
int pw_maps_fill(int fd, uint32_t *entries, uint32_t *max, struct pw_err *err);

int pw_conf_read(int fd, struct pw_conf *out, struct pw_err *err);
/* Written in place, so that programs never see half of it; `generation` is counted up. The caller
 * holds the lock exclusively. */
int pw_conf_write(int fd, const struct pw_conf *conf, struct pw_err *err);
/* Only count `generation` up: what programs remember is forgotten. */
int pw_conf_touch(int fd, struct pw_err *err);
/* Let programs write drop events until then (CLOCK_MONOTONIC, ns). */
int pw_conf_trace(int fd, uint64_t until, struct pw_err *err);

int pw_tunnel_read(int fd, struct pw_tunnel *out, struct pw_err *err);
/* In place; while a tunnel becomes another, programs see none. */
int pw_tunnel_write(int fd, const struct pw_tunnel *tunnel, struct pw_err *err);

int pw_limit_get(int fd, uint32_t ifindex, enum pw_direction dir, struct pw_limit *out);
int pw_limit_set(int fd, uint32_t ifindex, enum pw_direction dir, const struct pw_limit *limit,
                 struct pw_err *err);
int pw_limit_del(int fd, uint32_t ifindex, enum pw_direction dir);
/* The first key, or the one after *key, into *key; -ENOENT at the end. */
int pw_limit_next(int fd, struct pw_limit_key *key, bool first);

/* pw_peers4 or pw_peers6: `fd` is the map of the range's family. */
int pw_peer_get(int fd, const struct pw_addr *range, struct pw_peer_node *out);
int pw_peer_set(int fd, const struct pw_addr *range, const struct pw_peer_node *node,
                struct pw_err *err);
int pw_peer_del(int fd, const struct pw_addr *range);
/* As pw_ip_next. */
int pw_peer_next(int fd, int family, const struct pw_addr *range, struct pw_addr *out);

/* pw_ip4 or pw_ip6: `fd` is the map of the address's family. */
int pw_ip_get(int fd, const struct pw_addr *addr, struct pw_ep *out);
/* Fails with -EEXIST when there is an entry and `replace` is false. */
int pw_ip_set(int fd, const struct pw_addr *addr, const struct pw_ep *ep, bool replace,
              struct pw_err *err);
int pw_ip_del(int fd, const struct pw_addr *addr);
/* The next address after `addr`, the first when `addr` is NULL; -ENOENT at the end. An entry that
 * is removed while walking may make the walk start again. */
int pw_ip_next(int fd, int family, const struct pw_addr *addr, struct pw_addr *out);

int pw_endpoint_get(int fd, uint32_t ifindex, struct pw_ep *out);
int pw_endpoint_set(int fd, uint32_t ifindex, const struct pw_ep *ep, struct pw_err *err);
int pw_endpoint_del(int fd, uint32_t ifindex);
/* pw_guests, by ifindex as well. */
int pw_guest_get(int fd, uint32_t ifindex, struct pw_guest *out);
int pw_guest_set(int fd, uint32_t ifindex, const struct pw_guest *guest, struct pw_err *err);
int pw_guest_del(int fd, uint32_t ifindex);
/* The next key of a map with 32-bit keys (pw_endpoints, pw_guests, pw_slots); NULL: the first. */
int pw_key_next(int fd, const uint32_t *key, uint32_t *out);

/* Claim a free slot for a device; tries from `hint` on. -ENOSPC when PW_MAX_ENDPOINTS are taken. */
int pw_slot_claim(int fd, uint32_t hint, uint32_t ifindex, uint32_t *slot, struct pw_err *err);
/* Whose slot it is; -ENOENT when it is free. */
int pw_slot_owner(int fd, uint32_t slot, uint32_t *ifindex);
int pw_slot_free(int fd, uint32_t slot);

/* Counters of a slot, summed over the CPUs. */
int pw_counters_read(int fd, uint32_t slot, struct pw_counters *out, struct pw_err *err);
int pw_counters_zero(int fd, uint32_t slot, struct pw_err *err);
int pw_reason_read(int fd, const struct pw_reason_key *key, struct pw_count *out);
int pw_reason_next(int fd, const struct pw_reason_key *key, struct pw_reason_key *out);
/* Forget all that was counted for a slot. */
void pw_reasons_forget(int fd, uint32_t slot);

/* One entry of the list in bpf/abi/reasons.h. */
enum pw_reason_kind {
    PW_KIND_STACK, /* handed to the node's stack */
    PW_KIND_DROP,
    PW_KIND_REPLY, /* answered in the program */
};
struct pw_reason_text {
    uint16_t number;
    enum pw_reason_kind kind;
    const char *name, *text;
};
/* Of NULL, a newer program's, too: PW_KIND_STACK. */
enum pw_reason_kind pw_reason_kind(const struct pw_reason_text *reason);
/* "stack", "drop" or "reply". */
const char *pw_reason_kind_name(const struct pw_reason_text *reason);
/* NULL when there is no reason of that number (a newer program's). */
const struct pw_reason_text *pw_reason_find(uint16_t number);
/* All of them, in the list's order; `i` from 0, NULL at the end. */
const struct pw_reason_text *pw_reason_at(size_t i);

#endif
