/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's pure parts: what networks say joined, ranges for nftables, names of pins, answers of
 * nftables and tables of legacy iptables read. */
#include <netinet/in.h>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "loader/attach.h"
#include "loader/ctl/packet.h"
#include "loader/nl/nft.h"
#include "loader/node.h"
#include "loader/xtables.h"
#include "tests/lib/tap.h"

static struct pw_err err;

static struct pw_addr range(const char *text)
{
    struct pw_addr a = {0};
    if (pw_addr_parse(text, &a, &err))
        bail("%s", text);
    return a;
}

static const char *texts(const struct pw_addr *list, size_t n)
{
    static char buf[1024];
    char text[PW_ADDR_STRLEN];
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(buf + len, sizeof(buf) - len, "%s%s", i ? " " : "",
                                pw_addr_text(&list[i], true, text));
    return buf;
}

static void ranges(void)
{
    struct pw_addr r[] = {range("10.2.0.0/16"), range("10.0.0.0/8"),     range("192.168.1.5/24"),
                          range("10.0.0.0/8"),  range("10.255.255.255"), range("0.0.0.0/32")};
    size_t n = pw_nft_ranges_merge(r, PW_ARRAY_SIZE(r));

    is_str(texts(r, n), "0.0.0.0/32 10.0.0.0/8 192.168.1.0/24",
           "ranges in ranges go, host bits too, in order");
    struct pw_addr all[] = {range("fd00::/8"), range("::/0")};
    n = pw_nft_ranges_merge(all, 2);
    is_str(texts(all, n), "::/0", "everything swallows the rest");
    is_int(pw_nft_ranges_merge(all, 0), 0, "nothing stays nothing");
}

static struct pw_node_conf conf_named(const char *name)
{
    struct pw_node_conf c;
    pw_node_conf_default(&c);
    snprintf(c.network, sizeof(c.network), "%s", name);
    return c;
}

static void networks(void)
{
    static struct pw_node_state state;
    static struct pw_node_conf all;
    struct pw_node_conf a = conf_named("a"), b = conf_named("b");
    bool changed;

    is_int(pw_node_join(&state, &all, &err), 0, "nobody has said anything");
    ok(all.ask_conntrack && !all.masquerade, "then conntrack is asked, which is always right");

    a.native[a.n_native++] = range("10.0.0.1/8");
    a.pods[a.n_pods++] = range("10.1.0.0/24");
    a.ask_conntrack = false;
    snprintf(a.uplinks[0], sizeof(a.uplinks[0]), "eth0");
    is_int(pw_node_state_put(&state, &a, &changed, &err), 0, "a network speaks");
    ok(changed, "which is new");
    /* The same words with other rubbish in the padding. */
    struct pw_node_conf same;
    memset(&same, 0xa5, sizeof(same));
    memset(same.uplinks, 0, sizeof(same.uplinks));
    memset(same.network, 0, sizeof(same.network));
    snprintf(same.network, sizeof(same.network), "a");
    snprintf(same.uplinks[0], sizeof(same.uplinks[0]), "eth0");
    same.native[0] = range("10.255.0.0/8");
    same.pods[0] = range("10.1.0.0/24");
    same.n_native = same.n_pods = 1;
    same.n_services = 0;
    same.masquerade = true;
    same.ask_conntrack = same.forward_accept = false;
    same.mark = PW_MARK_DEFAULT;
    is_int(pw_node_state_put(&state, &same, &changed, &err), 0, "it says the same again");
    ok(!changed, "which is nothing new, whatever is in the padding");

    b.native[b.n_native++] = range("172.16.0.0/12");
    b.native[b.n_native++] = range("10.3.0.0/16");
    b.pods[b.n_pods++] = range("192.168.7.0/24");
    b.masquerade = false;
    b.forward_accept = true;
    snprintf(b.uplinks[0], sizeof(b.uplinks[0]), "eth1");
    snprintf(b.uplinks[1], sizeof(b.uplinks[1]), "eth0");
    is_int(pw_node_state_put(&state, &b, &changed, &err), 0, "another network");
    is_int(pw_node_join(&state, &all, &err), 0, "joined");
    is_str(texts(all.native, all.n_native), "10.0.0.0/8 172.16.0.0/12 192.168.7.0/24",
           "ranges are united; pods' own are native");
    ok(all.masquerade && all.ask_conntrack && all.forward_accept, "a yes outweighs a no");
    ok(strcmp(all.uplinks[0], "eth0") == 0 && strcmp(all.uplinks[1], "eth1") == 0 &&
           !all.uplinks[2][0],
       "uplinks are united");

    b.mark = 0x10000;
    pw_node_state_put(&state, &b, &changed, &err);
    is_int(pw_node_join(&state, &all, &err), -EDOM, "two marks on one node are refused");
    has_str(err.msg, "networks a and b", "naming the two");
    b.mark = 0x8000;
    is_int(pw_node_state_put(&state, &b, &changed, &err), -EINVAL, "kube-proxy's mark is refused");
    b.mark = 0;
    is_int(pw_node_state_put(&state, &b, &changed, &err), -EINVAL, "so is none");
    b.mark = PW_MARK_DEFAULT;
    b.n_native = 1000;
    is_int(pw_node_state_put(&state, &b, &changed, &err), -EINVAL, "so are 1000 ranges");
    b.n_native = 0;
    for (int i = 0; i <= PW_MAX_RANGES; i++) {
        char text[32];
        snprintf(text, sizeof(text), "11.%d.0.0/16", i);
        b.native[b.n_native++] = range(text);
    }
    pw_node_state_put(&state, &b, &changed, &err);
    is_int(pw_node_join(&state, &all, &err), -EDOM, "more ranges of a family than programs take");
    b.n_native = 0;
    pw_node_state_put(&state, &b, &changed, &err);
    for (int i = 0; i < PW_MAX_NETWORKS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%d", i);
        struct pw_node_conf c = conf_named(name);
        int rc = pw_node_state_put(&state, &c, &changed, &err);
        if (rc) {
            is_int(rc, -ENOSPC, "a network too many is refused");
            is_int(i, PW_MAX_NETWORKS - 2, "and no sooner");
            break;
        }
    }
}

static void pins(void)
{
    char device[32];
    enum pw_hook hook;

    ok(pw_hook_of_pin("pw-1a2b3c4d5e6:guard", device, &hook) && hook == PW_HOOK_NETKIT_GUARD &&
           strcmp(device, "pw-1a2b3c4d5e6") == 0,
       "a pin's name is read");
    ok(pw_hook_of_pin("uplink-7:from_uplink", device, &hook) && hook == PW_HOOK_FROM_UPLINK,
       "an uplink's too");
    ok(!pw_hook_of_pin("pw-1", device, &hook) && !pw_hook_of_pin(":guard", device, &hook) &&
           !pw_hook_of_pin("pw-1:nonsense", device, &hook) &&
           !pw_hook_of_pin("pw-1:guard:guard", device, &hook) &&
           !pw_hook_of_pin("a-name-that-is-much-too-long-for-this:guard", device, &hook),
       "other names are not ours");
    is_int(pw_detach("../maps-1/x", PW_HOOK_FROM_POD, &err), -EINVAL,
           "a device's name cannot lead out of the folder");
}

/* ---- legacy iptables: entries as the kernel lays them out ---- */

struct rule4 {
    struct ipt_entry e;
    struct xt_standard_target t;
};

static struct rule4 rule4(const char *iif, const char *oif, int verdict)
{
    struct rule4 r = {0};
    r.e.target_offset = sizeof(r.e);
    r.e.next_offset = sizeof(r);
    r.t.target.u.target_size = sizeof(r.t);
    r.t.verdict = -verdict - 1;
    memcpy(r.e.ip.iniface, iif, strlen(iif));
    memset(r.e.ip.iniface_mask, 0xff, strlen(iif));
    memcpy(r.e.ip.outiface, oif, strlen(oif));
    memset(r.e.ip.outiface_mask, 0xff, strlen(oif));
    return r;
}

static struct pw_xtables_forward forward(const struct rule4 *rules, size_t n)
{
    struct pw_xtables_forward f;
    pw_xtables_read(NFPROTO_IPV4, (const uint8_t *)rules, n * sizeof(*rules), 0,
                    (n - 1) * sizeof(*rules), "pw-", &f);
    return f;
}

static void legacy(void)
{
    struct rule4 drop[] = {rule4("", "", NF_DROP)};
    ok(forward(drop, 1).policy_drop && !forward(drop, 1).others, "a policy of drop, and no rule");
    struct rule4 accept[] = {rule4("", "", NF_ACCEPT)};
    ok(!forward(accept, 1).policy_drop, "a policy of accept");
    struct rule4 both[] = {rule4("pw-", "", NF_ACCEPT), rule4("", "pw-", NF_ACCEPT),
                           rule4("", "", NF_DROP)};
    struct pw_xtables_forward f = forward(both, 3);
    ok(f.policy_drop && f.accepts_from && f.accepts_to, "rules that accept pods");
    both[0].e.ip.proto = IPPROTO_TCP;
    ok(!forward(both, 3).accepts_from, "TCP alone is not all");
    struct rule4 cross[] = {rule4("pw-", "pw-", NF_ACCEPT), rule4("", "", NF_DROP)};
    f = forward(cross, 2);
    ok(!f.accepts_from && !f.accepts_to, "from pods to pods is not all either");
    struct rule4 other[] = {rule4("docker0", "", NF_ACCEPT), rule4("", "", NF_DROP)};
    f = forward(other, 2);
    ok(!f.accepts_from && !f.others, "others' devices are not ours");
    struct rule4 any[] = {rule4("", "eth0", NF_ACCEPT), rule4("", "", NF_DROP)};
    ok(forward(any, 2).others, "a rule for any device may be for pods");
    both[1].e.next_offset = 0;
    ok(!forward(both, 3).policy_drop, "an entry without length ends the reading");
    both[1].e.next_offset = 60000;
    ok(!forward(both, 3).policy_drop, "so does one that is too long");
}

/* ---- nftables' answers ---- */

static struct pw_nft_rule_info read_back(struct pw_nlbatch *b)
{
    struct pw_nft_rule_info info = {0};
    struct pw_nlcur cur = {b->buf.data + b->ops[b->n - 1].msg, b->buf.len - b->ops[b->n - 1].msg};
    struct pw_nlmsg msg;

    if (!pw_nl_next_msg(&cur, &msg) || !pw_nft_rule_read(&msg, &info))
        bail("what is written cannot be read");
    return info;
}

static void nft_rules(void)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_nft_rule_info info;

    struct pw_nft_rule r = pw_nft_rule_begin(&b, NFPROTO_INET, "t", "c", true, "made by a test");
    pw_nft_meta(&r, NFT_META_IIFNAME);
    pw_nft_cmp(&r, true, "pw-", 3);
    pw_nft_simple(&r, "counter");
    pw_nft_accept(&r);
    pw_nft_rule_end(&r);
    info = read_back(&b);
    ok(info.accepts && !info.drops_all, "a rule that accepts");
    is_str(info.iif, "pw-", "by device");
    is_str(info.oif, "", "of arrival");
    is_str(info.comment, "made by a test", "with its comment");

    r = pw_nft_rule_begin(&b, NFPROTO_INET, "t", "c", true, NULL);
    pw_nft_meta(&r, NFT_META_MARK);
    pw_nft_mask(&r, 4);
    pw_nft_accept(&r);
    pw_nft_rule_end(&r);
    info = read_back(&b);
    ok(!info.accepts, "one with more conditions is not for all");

    r = pw_nft_rule_begin(&b, NFPROTO_INET, "t", "c", true, NULL);
    pw_nft_meta(&r, NFT_META_OIFNAME);
    pw_nft_cmp(&r, false, "pw-", 3);
    pw_nft_accept(&r);
    pw_nft_rule_end(&r);
    info = read_back(&b);
    ok(!info.accepts, "nor one for all other devices");

    r = pw_nft_rule_begin(&b, NFPROTO_INET, "t", "c", true, NULL);
    pw_nft_simple(&r, "counter");
    pw_nft_simple(&r, "reject");
    pw_nft_rule_end(&r);
    info = read_back(&b);
    ok(info.drops_all, "a rule that rejects all");
}

static void packets(void)
{
    static uint8_t frame[CTL_PACKET_MAX];
    struct ctl_packet p = {.src = range("10.1.0.2"),
                           .dst = range("10.1.0.3"),
                           .proto = IPPROTO_TCP,
                           .sport = 40000,
                           .dport = 80,
                           .ttl = 64};
    char text[128];
    size_t n = ctl_packet_build(&p, frame);

    is_int(n, 54, "a TCP segment");
    is_str(ctl_packet_text(frame, n, text, sizeof(text)), "tcp 10.1.0.2:40000 > 10.1.0.3:80",
           "is told as it was made");
    is_mem(frame + 24, "\x26\xca", 2, "its IPv4 checksum is right");
    p.src = range("fd00:1::2");
    p.dst = range("fd00:1::3");
    p.proto = IPPROTO_UDP;
    p.size = 1400;
    n = ctl_packet_build(&p, frame);
    is_int(n, 1414, "a large one of IPv6");
    is_str(ctl_packet_text(frame, n, text, sizeof(text)), "udp [fd00:1::2]:40000 > [fd00:1::3]:80",
           "is told too");
    p.size = 100000;
    is_int(ctl_packet_build(&p, frame), 0, "too large is refused");
    for (size_t i = 0; i < 80; i++)
        ctl_packet_text(frame, i, text, sizeof(text));
    ok(true, "packets that were cut anywhere are told without harm");
    is_int(ctl_proto_parse("icmp", 6), IPPROTO_ICMPV6, "icmp means that of the family");
    is_int(ctl_proto_parse("256", 4), -1, "no protocol 256");
}

int main(void)
{
    ranges();
    networks();
    pins();
    legacy();
    nft_rules();
    packets();
    return tap_done();
}
