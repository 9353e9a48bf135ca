/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/maps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/pin.h"

static const struct {
    const char *name;
    uint32_t key, value;
} specs[PW_MAP_COUNT] = {
    [PW_MAP_CONF] = {"pw_conf", 4, sizeof(struct pw_conf)},
    [PW_MAP_IP4] = {"pw_ip4", 4, sizeof(struct pw_ep)},
    [PW_MAP_IP6] = {"pw_ip6", sizeof(struct pw_ip6), sizeof(struct pw_ep)},
    [PW_MAP_ENDPOINTS] = {"pw_endpoints", 4, sizeof(struct pw_ep)},
    [PW_MAP_GUESTS] = {"pw_guests", 4, sizeof(struct pw_guest)},
    [PW_MAP_SLOTS] = {"pw_slots", 4, 4},
    [PW_MAP_COUNTERS] = {"pw_counters", 4, sizeof(struct pw_counters)},
    [PW_MAP_REASONS] = {"pw_reasons", sizeof(struct pw_reason_key), sizeof(struct pw_count)},
    [PW_MAP_EVENTS] = {"pw_events", 0, 0},
    [PW_MAP_TUNNEL] = {"pw_tunnel", 4, sizeof(struct pw_tunnel)},
    [PW_MAP_PEERS4] = {"pw_peers4", sizeof(struct pw_peer_key4), sizeof(struct pw_peer_node)},
    [PW_MAP_PEERS6] = {"pw_peers6", sizeof(struct pw_peer_key6), sizeof(struct pw_peer_node)},
    [PW_MAP_LIMITS] = {"pw_limits", sizeof(struct pw_limit_key), sizeof(struct pw_limit)},
};

const char *pw_map_name(enum pw_map map)
{
    return specs[map].name;
}

int pw_maps_open(enum pw_map map, struct pw_err *err)
{
    char path[PW_PIN_PATH];
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info);

    snprintf(path, sizeof(path), "%s/%s", PW_PIN_MAPS, specs[map].name);
    pw_fd fd = bpf_obj_get(path);
    if (fd < 0)
        return pw_err_errno(err, fd, "open map %s", path);
    /* The kernel copies as many bytes as the map says, not as many as we have room for. */
    if (bpf_map_get_info_by_fd(fd, &info, &len) < 0 || info.key_size != specs[map].key ||
        info.value_size != specs[map].value)
        return pw_err_set(err, -EPROTO, "%s is not the map that podwire pins there", path);
    return PW_TAKE_FD(fd);
}

uint64_t pw_maps_memory(int fd)
{
    char path[64], text[2048];

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    if (pw_file_read_text(path, text, sizeof(text), NULL) < 0)
        return 0;
    const char *line = strstr(text, "memlock:");
    return line ? strtoull(line + strlen("memlock:"), NULL, 10) : 0;
}

int pw_maps_fill(int fd, uint32_t *entries, uint32_t *max, struct pw_err *err)
{
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info), n = 0;
    uint8_t key[64];

    if (bpf_map_get_info_by_fd(fd, &info, &len) || info.key_size > sizeof(key))
        return pw_err_errno(err, -errno, "look at a map");
    *max = info.max_entries;
    /* An entry that goes meanwhile may make the walk begin again: no more than there can be. */
    for (const void *at = NULL; n < info.max_entries && !bpf_map_get_next_key(fd, at, key);
         at = key)
        n++;
    *entries = n;
    return 0;
}

int pw_conf_read(int fd, struct pw_conf *out, struct pw_err *err)
{
    uint32_t zero = 0;
    int rc = bpf_map_lookup_elem(fd, &zero, out);
    return rc ? pw_err_errno(err, rc, "read map pw_conf") : 0;
}

static void unmap_conf(struct pw_conf **conf)
{
    if (*conf)
        munmap(*conf, sizeof(**conf));
}
#define mapped_conf __attribute__((cleanup(unmap_conf))) struct pw_conf

static void unmap_tunnel(struct pw_tunnel **tunnel)
{
    if (*tunnel)
        munmap(*tunnel, sizeof(**tunnel));
}
#define mapped_tunnel __attribute__((cleanup(unmap_tunnel))) struct pw_tunnel

/* Programs read a data section in place, so it is also written in place: a copy over the whole
 * would show them half of it. */
static void *map_value(int fd, size_t size, enum pw_map map, struct pw_err *err)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        pw_err_errno(err, -errno, "write map %s", specs[map].name);
        return NULL;
    }
    return p;
}

static struct pw_conf *map_conf(int fd, struct pw_err *err)
{
    return map_value(fd, sizeof(struct pw_conf), PW_MAP_CONF, err);
}

int pw_conf_touch(int fd, struct pw_err *err)
{
    mapped_conf *conf = map_conf(fd, err);

    if (!conf)
        return -EIO;
    __atomic_add_fetch(&conf->generation, 1, __ATOMIC_RELEASE);
    return 0;
}

int pw_conf_trace(int fd, uint64_t until, struct pw_err *err)
{
    mapped_conf *conf = map_conf(fd, err);

    if (!conf)
        return -EIO;
    __atomic_store_n(&conf->trace_until, until, __ATOMIC_RELAXED);
    return 0;
}

/* Entries first, then how many count; an entry that stays is not touched. */
#define COPY_LIST(to, from, list, n)                                                               \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < PW_ARRAY_SIZE((to)->list); i_++)                                  \
            if (memcmp(&(to)->list[i_], &(from)->list[i_], sizeof((to)->list[i_])) != 0)           \
                (to)->list[i_] = (from)->list[i_];                                                 \
        __atomic_store_n(&(to)->n, (from)->n, __ATOMIC_SEQ_CST);                                   \
    } while (0)

int pw_conf_write(int fd, const struct pw_conf *conf, struct pw_err *err)
{
    mapped_conf *live = map_conf(fd, err);

    if (!live)
        return -EIO;
    live->mark = conf->mark;
    live->trace_until = conf->trace_until;
    COPY_LIST(live, conf, uplinks, n_uplinks);
    COPY_LIST(live, conf, native4, n_native4);
    COPY_LIST(live, conf, native6, n_native6);
    COPY_LIST(live, conf, except4, n_except4);
    COPY_LIST(live, conf, except6, n_except6);
    __atomic_store_n(&live->flags, conf->flags, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&live->generation, 1, __ATOMIC_SEQ_CST);
    return 0;
}

int pw_tunnel_read(int fd, struct pw_tunnel *out, struct pw_err *err)
{
    uint32_t zero = 0;
    int rc = bpf_map_lookup_elem(fd, &zero, out);
    return rc ? pw_err_errno(err, rc, "read map pw_tunnel") : 0;
}

int pw_tunnel_write(int fd, const struct pw_tunnel *tunnel, struct pw_err *err)
{
    mapped_tunnel *live = map_value(fd, sizeof(*live), PW_MAP_TUNNEL, err);

    if (!live)
        return -EIO;
    __atomic_store_n(&live->ifindex, 0, __ATOMIC_SEQ_CST);
    live->mtu = tunnel->mtu;
    live->vni = tunnel->vni;
    live->family = tunnel->family;
    memcpy(live->local, tunnel->local, sizeof(live->local));
    __atomic_store_n(&live->ifindex, tunnel->ifindex, __ATOMIC_SEQ_CST);
    return 0;
}

int pw_limit_get(int fd, uint32_t ifindex, enum pw_direction dir, struct pw_limit *out)
{
    struct pw_limit_key key = {ifindex, dir};
    return bpf_map_lookup_elem(fd, &key, out);
}

int pw_limit_set(int fd, uint32_t ifindex, enum pw_direction dir, const struct pw_limit *limit,
                 struct pw_err *err)
{
    struct pw_limit_key key = {ifindex, dir};
    int rc = bpf_map_update_elem(fd, &key, limit, BPF_ANY);

    return rc ? pw_err_errno(err, rc, "bandwidth limit of device %u", ifindex) : 0;
}

int pw_limit_del(int fd, uint32_t ifindex, enum pw_direction dir)
{
    struct pw_limit_key key = {ifindex, dir};
    return bpf_map_delete_elem(fd, &key);
}

int pw_limit_next(int fd, struct pw_limit_key *key, bool first)
{
    return bpf_map_get_next_key(fd, first ? NULL : key, key);
}

/* Both kinds of keys begin with the number of bits, and the address follows. */
static struct pw_peer_key6 peer_key(const struct pw_addr *range)
{
    struct pw_peer_key6 key = {.prefix = range->prefix};

    memcpy(key.addr, range->b, sizeof(key.addr));
    return key;
}

int pw_peer_get(int fd, const struct pw_addr *range, struct pw_peer_node *out)
{
    struct pw_peer_key6 key = peer_key(range);
    return bpf_map_lookup_elem(fd, &key, out);
}

int pw_peer_set(int fd, const struct pw_addr *range, const struct pw_peer_node *node,
                struct pw_err *err)
{
    struct pw_peer_key6 key = peer_key(range);
    char text[PW_ADDR_STRLEN];
    int rc = bpf_map_update_elem(fd, &key, node, BPF_ANY);

    if (rc == -ENOSPC)
        return pw_err_set(err, rc, "range %s of another node: there are %u of them already",
                          pw_addr_text(range, true, text), PW_MAX_PEER_RANGES);
    return rc ? pw_err_errno(err, rc, "range %s of another node", pw_addr_text(range, true, text))
              : 0;
}

int pw_peer_del(int fd, const struct pw_addr *range)
{
    struct pw_peer_key6 key = peer_key(range);
    return bpf_map_delete_elem(fd, &key);
}

int pw_peer_next(int fd, int family, const struct pw_addr *range, struct pw_addr *out)
{
    struct pw_peer_key6 key = {0}, next = {0};

    if (range)
        key = peer_key(range);
    int rc = bpf_map_get_next_key(fd, range ? &key : NULL, &next);
    if (rc)
        return rc;
    *out = (struct pw_addr){.family = (uint8_t)family, .prefix = (uint8_t)next.prefix};
    memcpy(out->b, next.addr, sizeof(next.addr));
    return 0;
}

/* An IPv4 key is the address's first 4 bytes, an IPv6 key all 16: both lie at the start of b. */
int pw_ip_get(int fd, const struct pw_addr *addr, struct pw_ep *out)
{
    return bpf_map_lookup_elem(fd, addr->b, out);
}

int pw_ip_set(int fd, const struct pw_addr *addr, const struct pw_ep *ep, bool replace,
              struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];
    int rc = bpf_map_update_elem(fd, addr->b, ep, replace ? BPF_ANY : BPF_NOEXIST);

    if (rc == -E2BIG)
        return pw_err_set(err, -ENOSPC, "register address %s: the node's %u addresses are taken",
                          pw_addr_text(addr, false, text), PW_MAX_ADDRS);
    return rc ? pw_err_errno(err, rc, "register address %s", pw_addr_text(addr, false, text)) : 0;
}

int pw_ip_del(int fd, const struct pw_addr *addr)
{
    return bpf_map_delete_elem(fd, addr->b);
}

int pw_ip_next(int fd, int family, const struct pw_addr *addr, struct pw_addr *out)
{
    struct pw_addr next = {.family = (uint8_t)family, .prefix = family == 4 ? 32 : 128};
    int rc = bpf_map_get_next_key(fd, addr ? addr->b : NULL, next.b);

    if (!rc)
        *out = next;
    return rc;
}

int pw_endpoint_get(int fd, uint32_t ifindex, struct pw_ep *out)
{
    return bpf_map_lookup_elem(fd, &ifindex, out);
}

int pw_endpoint_set(int fd, uint32_t ifindex, const struct pw_ep *ep, struct pw_err *err)
{
    int rc = bpf_map_update_elem(fd, &ifindex, ep, BPF_ANY);
    if (rc == -E2BIG)
        return pw_err_set(err, -ENOSPC, "register device %u: the node's %u endpoints are taken",
                          ifindex, PW_MAX_ENDPOINTS);
    return rc ? pw_err_errno(err, rc, "register device %u", ifindex) : 0;
}

int pw_endpoint_del(int fd, uint32_t ifindex)
{
    return bpf_map_delete_elem(fd, &ifindex);
}

int pw_guest_get(int fd, uint32_t ifindex, struct pw_guest *out)
{
    return bpf_map_lookup_elem(fd, &ifindex, out);
}

int pw_guest_set(int fd, uint32_t ifindex, const struct pw_guest *guest, struct pw_err *err)
{
    int rc = bpf_map_update_elem(fd, &ifindex, guest, BPF_ANY);
    return rc ? pw_err_errno(err, rc, "register the guest of endpoint %u", ifindex) : 0;
}

int pw_guest_del(int fd, uint32_t ifindex)
{
    return bpf_map_delete_elem(fd, &ifindex);
}

int pw_key_next(int fd, const uint32_t *key, uint32_t *out)
{
    return bpf_map_get_next_key(fd, key, out);
}

int pw_slot_claim(int fd, uint32_t hint, uint32_t ifindex, uint32_t *slot, struct pw_err *err)
{
    for (uint32_t i = 0; i < PW_MAX_ENDPOINTS; i++) {
        uint32_t s = (hint + i) % PW_MAX_ENDPOINTS;
        int rc = bpf_map_update_elem(fd, &s, &ifindex, BPF_NOEXIST);
        if (rc == 0) {
            *slot = s;
            return 0;
        }
        if (rc == -E2BIG)
            break;
        if (rc != -EEXIST)
            return pw_err_errno(err, rc, "claim a counter slot for device %u", ifindex);
    }
    return pw_err_set(err, -ENOSPC, "register device %u: the node's %u endpoints are taken",
                      ifindex, PW_MAX_ENDPOINTS);
}

int pw_slot_owner(int fd, uint32_t slot, uint32_t *ifindex)
{
    return bpf_map_lookup_elem(fd, &slot, ifindex);
}

int pw_slot_free(int fd, uint32_t slot)
{
    return bpf_map_delete_elem(fd, &slot);
}

/* Room for one value of a per-CPU map; *n is how many CPUs. */
static void *percpu(size_t size, size_t *n)
{
    int cpus = libbpf_num_possible_cpus();

    *n = cpus > 0 ? (size_t)cpus : 0;
    return cpus > 0 ? calloc((size_t)cpus, size) : NULL;
}

static void add(struct pw_count *sum, const struct pw_count *c)
{
    sum->packets += c->packets;
    sum->bytes += c->bytes;
}

int pw_counters_read(int fd, uint32_t slot, struct pw_counters *out, struct pw_err *err)
{
    size_t n;
    pw_free struct pw_counters *v = percpu(sizeof(*v), &n);
    struct pw_counters sum = {0};

    if (!v)
        return pw_err_set(err, -ENOMEM, "read counters: out of memory");
    int rc = bpf_map_lookup_elem(fd, &slot, v);
    if (rc)
        return pw_err_errno(err, rc, "read counters of slot %u", slot);
    for (size_t i = 0; i < n; i++) {
        add(&sum.from_pod, &v[i].from_pod);
        add(&sum.to_pod, &v[i].to_pod);
    }
    *out = sum;
    return 0;
}

int pw_counters_zero(int fd, uint32_t slot, struct pw_err *err)
{
    size_t n;
    pw_free struct pw_counters *v = percpu(sizeof(*v), &n);

    if (!v)
        return pw_err_set(err, -ENOMEM, "clear counters: out of memory");
    /* The analyzer overlooks that `v` has a cleanup. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    int rc = bpf_map_update_elem(fd, &slot, v, BPF_ANY);
    return rc ? pw_err_errno(err, rc, "clear counters of slot %u", slot) : 0;
}

int pw_reason_read(int fd, const struct pw_reason_key *key, struct pw_count *out)
{
    size_t n;
    pw_free struct pw_count *v = percpu(sizeof(*v), &n);
    struct pw_count sum = {0};

    if (!v)
        return -ENOMEM;
    int rc = bpf_map_lookup_elem(fd, key, v);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        add(&sum, &v[i]);
    *out = sum;
    return 0;
}

int pw_reason_next(int fd, const struct pw_reason_key *key, struct pw_reason_key *out)
{
    return bpf_map_get_next_key(fd, key, out);
}

static const struct pw_reason_text reasons[] = {
#define REASON_ENTRY(num, name, kind, text) {num, PW_KIND_##kind, #name, text},
    PW_REASONS(REASON_ENTRY)
#undef REASON_ENTRY
};

enum pw_reason_kind pw_reason_kind(const struct pw_reason_text *reason)
{
    return reason ? reason->kind : PW_KIND_STACK;
}

const char *pw_reason_kind_name(const struct pw_reason_text *reason)
{
    static const char *const names[] = {
        [PW_KIND_STACK] = "stack", [PW_KIND_DROP] = "drop", [PW_KIND_REPLY] = "reply"};
    return names[pw_reason_kind(reason)];
}

const struct pw_reason_text *pw_reason_at(size_t i)
{
    return i < PW_ARRAY_SIZE(reasons) ? &reasons[i] : NULL;
}

const struct pw_reason_text *pw_reason_find(uint16_t number)
{
    for (size_t i = 0; i < PW_ARRAY_SIZE(reasons); i++)
        if (reasons[i].number == number)
            return &reasons[i];
    return NULL;
}

void pw_reasons_forget(int fd, uint32_t slot)
{
    /* By name: a walk over the map would grow with the node's endpoints. */
    for (size_t i = 0; i < PW_ARRAY_SIZE(reasons); i++) {
        for (unsigned dir = PW_FROM_POD; dir <= PW_TO_POD; dir++) {
            struct pw_reason_key key = {
                .slot = slot, .reason = reasons[i].number, .dir = (uint16_t)dir};
            bpf_map_delete_elem(fd, &key);
        }
    }
}
