/* SPDX-License-Identifier: Apache-2.0 */
/* pw-test: vm */
/*
 * The object itself: what user space sees of the shared structs is what the programs were built
 * with (BTF), it loads also where conntrack cannot be asked, and all flags work then.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "tests/bpf/dp.h"
#include "tests/bpf/no_ct.skel.h"

static const struct btf *btf;

static const struct btf_type *struct_of(const char *name)
{
    int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
    return id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
}

static int offset_of(const char *type, const char *member)
{
    const struct btf_type *t = struct_of(type);
    for (uint16_t i = 0; t && i < btf_vlen(t); i++)
        if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), member))
            return (int)btf_member_bit_offset(t, i) / 8;
    return -1;
}

#define SIZE(type, n)                                                                              \
    do {                                                                                           \
        const struct btf_type *t_ = struct_of(#type);                                              \
        is_int(t_ ? (int)t_->size : -1, sizeof(struct type), #type ": size");                      \
        is_int(t_ ? btf_vlen(t_) : 0, (n), #type ": members (more than this test knows?)");        \
    } while (0)
#define MEMBER(type, m) is_int(offset_of(#type, #m), offsetof(struct type, m), #type "::" #m)

static void layout(void)
{
    btf = bpf_object__btf(dp.skel->obj);
    SIZE(pw_ep, 8);
    MEMBER(pw_ep, ifindex), MEMBER(pw_ep, slot), MEMBER(pw_ep, mtu), MEMBER(pw_ep, device);
    MEMBER(pw_ep, flags), MEMBER(pw_ep, mac), MEMBER(pw_ep, host_mac), MEMBER(pw_ep, pad);
    SIZE(pw_guest, 7);
    MEMBER(pw_guest, ip4), MEMBER(pw_guest, ra_len), MEMBER(pw_guest, opts6_len);
    MEMBER(pw_guest, ip6), MEMBER(pw_guest, opts4), MEMBER(pw_guest, opts6);
    MEMBER(pw_guest, ra);
    SIZE(pw_conf, 14);
    MEMBER(pw_conf, flags), MEMBER(pw_conf, mark), MEMBER(pw_conf, trace_until);
    MEMBER(pw_conf, generation), MEMBER(pw_conf, n_uplinks), MEMBER(pw_conf, n_native4);
    MEMBER(pw_conf, n_native6), MEMBER(pw_conf, n_except4), MEMBER(pw_conf, n_except6);
    MEMBER(pw_conf, uplinks), MEMBER(pw_conf, native4), MEMBER(pw_conf, native6);
    MEMBER(pw_conf, except4), MEMBER(pw_conf, except6);
    SIZE(pw_range4, 2);
    MEMBER(pw_range4, addr), MEMBER(pw_range4, mask);
    SIZE(pw_range6, 2);
    MEMBER(pw_range6, addr), MEMBER(pw_range6, mask);
    SIZE(pw_ip6, 1);
    SIZE(pw_count, 2);
    MEMBER(pw_count, packets), MEMBER(pw_count, bytes);
    SIZE(pw_counters, 2);
    MEMBER(pw_counters, from_pod), MEMBER(pw_counters, to_pod);
    SIZE(pw_reason_key, 3);
    MEMBER(pw_reason_key, slot), MEMBER(pw_reason_key, reason), MEMBER(pw_reason_key, dir);
    /* struct pw_event is in no map's type; t_events compares what is in one. */

    const struct {
        const char *name;
        uint32_t key, value;
    } maps[] = {
        {PW_CONF_MAP, 4, sizeof(struct pw_conf)},
        {"pw_ip4", 4, sizeof(struct pw_ep)},
        {"pw_ip6", 16, sizeof(struct pw_ep)},
        {"pw_endpoints", 4, sizeof(struct pw_ep)},
        {"pw_guests", 4, sizeof(struct pw_guest)},
        {"pw_slots", 4, 4},
        {"pw_counters", 4, sizeof(struct pw_counters)},
        {"pw_reasons", sizeof(struct pw_reason_key), sizeof(struct pw_count)},
    };
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(dp.skel->obj, maps[i].name);
        ok(map && bpf_map__key_size(map) == maps[i].key &&
               bpf_map__value_size(map) == maps[i].value,
           "map %s: sizes of key and value", maps[i].name);
    }
}

static void without_conntrack(void)
{
    static struct pkt p;
    struct pw_test_no_ct *skel = pw_test_no_ct__open();
    if (!skel)
        bail("open the variant");
    struct {
        struct bpf_map *mine, *theirs;
    } shared[] = {{skel->maps.pw_ip4, dp.skel->maps.pw_ip4},
                  {skel->maps.pw_ip6, dp.skel->maps.pw_ip6},
                  {skel->maps.data_pw_conf, dp.skel->maps.data_pw_conf},
                  {skel->maps.pw_reasons, dp.skel->maps.pw_reasons},
                  {skel->maps.pw_counters, dp.skel->maps.pw_counters},
                  {skel->maps.pw_endpoints, dp.skel->maps.pw_endpoints}};
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        bpf_map__reuse_fd(shared[i].mine, bpf_map__fd(shared[i].theirs));
    ok(pw_test_no_ct__load(skel) == 0, "loads where conntrack cannot be asked");
    dp_nat("inet"); /* else there is nothing to ask */

    struct bpf_program *real = dp.skel->progs.pw_explain_from_pod;
    dp.skel->progs.pw_explain_from_pod = skel->progs.pw_explain_from_pod;
    for (uint32_t flags = 0; flags < 8; flags++) {
        dp_flags(flags);
        bool ask = flags & PW_CONF_ASK_CT, redirect = flags & PW_CONF_REDIRECT,
             wire = flags & PW_CONF_WIRE;
        struct dp_want off = DP_MARKED(REDIRECT_OFF), none = DP_STACK(CT_UNAVAILABLE),
                       policy = DP_STACK(POLICY_ROUTING);
        dp_udp(&p, DP_A, "10.1.0.2", "10.1.0.3");
        dp_next_prog = skel->progs.pw_veth_from_pod;
        dp_check(DP_A, &p,
                 ask         ? none
                 : !redirect ? off
                             : DP_PEER(DP_B),
                 "to a pod, flags %u", flags);
        dp_tcp(&p, DP_A, "fd00:1::2", "fd00:2::9", "A", 10);
        dp_next_prog = skel->progs.pw_veth_from_pod;
        dp_check(DP_A, &p,
                 !wire       ? policy
                 : ask       ? none
                 : !redirect ? off
                             : DP_REDIRECT(dp.uplink),
                 "to the wire, IPv6, flags %u", flags);
    }
    dp.skel->progs.pw_explain_from_pod = real;
    pw_test_no_ct__destroy(skel);

    for (uint32_t flags = 0; flags < 8; flags++) {
        dp_flags(flags);
        bool redirect = flags & PW_CONF_REDIRECT, wire = flags & PW_CONF_WIRE;
        struct dp_want off = DP_MARKED(REDIRECT_OFF), policy = DP_STACK(POLICY_ROUTING);
        dp_tcp(&p, -1, "10.2.0.9", "10.1.0.2", "A", 10);
        dp_check(-1, &p,
                 !wire       ? policy
                 : !redirect ? off
                             : DP_PEER(DP_A),
                 "from the wire, where it can be asked, flags %u", flags);
    }
    dp.conf = (struct pw_conf){};
    dp_conf();
    dp_udp(&p, DP_A, "10.1.0.2", "10.2.0.9");
    dp_check(DP_A, &p, DP_STACK(OUTSIDE), "configuration not written yet: the stack");
    dp_udp(&p, DP_A, "10.1.0.99", "10.2.0.9");
    dp_check(DP_A, &p, DP_DROP(SPOOF_IP4), "but sources are checked");
}

int main(void)
{
    dp_open();
    layout();
    without_conntrack();
    return tap_done();
}
