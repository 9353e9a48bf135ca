/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our nftables tables. That of the datapath has two chains:
 *   raw   what the programs marked is not tracked: connection tracking sees both directions of a
 *         flow or neither
 *   nat   pods' packets to anywhere but the native ranges leave with the node's address
 * Its comment carries a checksum of what was put in, which together with the number of rules tells
 * whether the table is still as we made it.
 * That of the tunnel is there while the tunnel is, and makes its outer packets notrack. Their
 * source port is a hash of the flow inside, their destination port the same both ways, so to
 * connection tracking none is ever an answer to another: an entry for each flow and direction, of
 * no use.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include "loader/base/cleanup.h"
#include "loader/base/hash.h"
#include "loader/nl/nft.h"
#include "loader/node.h"

#define TABLE "podwire"
#define TUNNEL_TABLE "podwire-tunnel"
#define FAMILY NFPROTO_INET
#define CHAIN_RAW "raw"
#define CHAIN_NAT "nat"
#define CHAIN_IN "in"
#define CHAIN_OUT "out"
#define NAT_RULES 2
/* Raised when the rules below change. */
#define LAYOUT 2

struct content {
    struct pw_addr native4[2 * PW_MAX_RANGES], native6[2 * PW_MAX_RANGES];
    size_t n4, n6;
    char comment[PW_NFT_COMMENT];
};

/* A table's comment: by it the next look knows whether all is as it was made. */
static void tell_content(uint64_t hash, char comment[PW_NFT_COMMENT])
{
    snprintf(comment, PW_NFT_COMMENT, "made by podwire, content %016llx", (unsigned long long)hash);
}

static void content_of(const struct pw_node_conf *conf, struct content *c)
{
    uint64_t h = PW_HASH_START;
    uint32_t layout = LAYOUT;

    memset(c, 0, sizeof(*c));
    for (size_t i = 0; i < conf->n_native; i++) {
        if (conf->native[i].family == 4)
            c->native4[c->n4++] = conf->native[i];
        else
            c->native6[c->n6++] = conf->native[i];
    }
    c->n4 = pw_nft_ranges_merge(c->native4, c->n4);
    c->n6 = pw_nft_ranges_merge(c->native6, c->n6);
    h = pw_hash(h, &layout, sizeof(layout));
    h = pw_hash(h, &conf->mark, sizeof(conf->mark));
    h = pw_hash(h, &conf->masquerade, sizeof(conf->masquerade));
    for (size_t i = 0; i < c->n4; i++)
        h = pw_hash(h, &c->native4[i], sizeof(c->native4[i]));
    for (size_t i = 0; i < c->n6; i++)
        h = pw_hash(h, &c->native6[i], sizeof(c->native6[i]));
    tell_content(h, c->comment);
}

static bool chain_has(struct pw_nl *nfnl, const char *table, const char *name, size_t rules)
{
    struct pw_nft_chain chain;

    return pw_nft_chain_get(nfnl, FAMILY, table, name, &chain, NULL) == 0 && chain.use == rules;
}

bool pw_nft_in_place(struct pw_nl *nfnl, const struct pw_node_conf *conf)
{
    struct pw_nft_table table;
    struct content c;

    content_of(conf, &c);
    return pw_nft_table_get(nfnl, FAMILY, TABLE, &table, NULL) == 0 &&
           strcmp(table.comment, c.comment) == 0 && chain_has(nfnl, TABLE, CHAIN_RAW, 1) &&
           (!conf->masquerade || chain_has(nfnl, TABLE, CHAIN_NAT, NAT_RULES));
}

static void notrack_rule(struct pw_nlbatch *b, uint32_t mark)
{
    struct pw_nft_rule r = pw_nft_rule_begin(b, FAMILY, TABLE, CHAIN_RAW, false, NULL);

    pw_nft_meta(&r, NFT_META_MARK);
    pw_nft_mask(&r, mark);
    pw_nft_cmp(&r, true, &mark, sizeof(mark));
    pw_nft_simple(&r, "notrack");
    pw_nft_rule_end(&r);
}

static void masquerade_rule(struct pw_nlbatch *b, int family)
{
    struct pw_nft_rule r = pw_nft_rule_begin(b, FAMILY, TABLE, CHAIN_NAT, false, NULL);
    uint8_t nfproto = family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

    pw_nft_meta(&r, NFT_META_IIFNAME);
    pw_nft_cmp(&r, true, PW_IF_PREFIX, strlen(PW_IF_PREFIX));
    /* Pods of ranges that nobody told us are pods all the same. */
    pw_nft_meta(&r, NFT_META_OIFNAME);
    pw_nft_cmp(&r, false, PW_IF_PREFIX, strlen(PW_IF_PREFIX));
    pw_nft_meta(&r, NFT_META_NFPROTO);
    pw_nft_cmp(&r, true, &nfproto, sizeof(nfproto));
    if (family == 4)
        pw_nft_network(&r, offsetof(struct iphdr, daddr), 4);
    else
        pw_nft_network(&r, offsetof(struct ip6_hdr, ip6_dst), 16);
    pw_nft_lookup(&r, family == 4 ? "native4" : "native6", true);
    pw_nft_simple(&r, "masq");
    pw_nft_rule_end(&r);
}

int pw_nft_apply(struct pw_nl *nfnl, const struct pw_node_conf *conf, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct content c;

    content_of(conf, &c);
    pw_nft_begin(&b);
    /* Added first, so that there is one to delete. */
    pw_nft_table_add(&b, FAMILY, TABLE, NULL);
    pw_nft_table_del(&b, FAMILY, TABLE);
    pw_nft_table_add(&b, FAMILY, TABLE, c.comment);
    pw_nft_set_add(&b, FAMILY, TABLE, "native4", 4, c.native4, c.n4);
    pw_nft_set_add(&b, FAMILY, TABLE, "native6", 6, c.native6, c.n6);
    pw_nft_chain_add(&b, FAMILY, TABLE, CHAIN_RAW, "filter", NF_INET_PRE_ROUTING, -300);
    notrack_rule(&b, conf->mark);
    /* A nat chain makes the kernel track all connections, even with no rule in it. */
    if (conf->masquerade) {
        pw_nft_chain_add(&b, FAMILY, TABLE, CHAIN_NAT, "nat", NF_INET_POST_ROUTING, 100);
        masquerade_rule(&b, 4);
        masquerade_rule(&b, 6);
    }
    pw_nft_end(&b);
    return pw_nl_commit(nfnl, &b, NULL, NULL, err);
}

static int remove_table(struct pw_nl *nfnl, const char *name, bool *was, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_nft_table table;

    int rc = pw_nft_table_get(nfnl, FAMILY, name, &table, NULL);
    *was = rc == 0;
    if (rc == -ENOENT || rc == -EINVAL || rc == -EOPNOTSUPP)
        return 0; /* no table, or a kernel without nftables */
    pw_nft_begin(&b);
    pw_nft_table_del(&b, FAMILY, name);
    pw_nft_end(&b);
    return pw_nl_commit(nfnl, &b, NULL, NULL, err);
}

int pw_nft_remove(struct pw_nl *nfnl, struct pw_err *err)
{
    bool was;

    return remove_table(nfnl, TABLE, &was, err);
}

/* ---- the tunnel's ---- */

static void tunnel_rule(struct pw_nlbatch *b, const char *chain, const struct pw_addr *node,
                        uint16_t port)
{
    struct pw_nft_rule r = pw_nft_rule_begin(b, FAMILY, TUNNEL_TABLE, chain, false, NULL);
    bool v4 = node->family == 4, in = strcmp(chain, CHAIN_IN) == 0;
    uint8_t nfproto = v4 ? NFPROTO_IPV4 : NFPROTO_IPV6, udp = IPPROTO_UDP;
    uint32_t len = v4 ? 4 : 16;
    uint16_t dport = htons(port);

    pw_nft_meta(&r, NFT_META_NFPROTO);
    pw_nft_cmp(&r, true, &nfproto, sizeof(nfproto));
    pw_nft_meta(&r, NFT_META_L4PROTO);
    pw_nft_cmp(&r, true, &udp, sizeof(udp));
    pw_nft_transport(&r, offsetof(struct udphdr, uh_dport), sizeof(dport));
    pw_nft_cmp(&r, true, &dport, sizeof(dport));
    if (v4)
        pw_nft_network(&r, in ? offsetof(struct iphdr, daddr) : offsetof(struct iphdr, saddr), len);
    else
        pw_nft_network(
            &r, in ? offsetof(struct ip6_hdr, ip6_dst) : offsetof(struct ip6_hdr, ip6_src), len);
    pw_nft_cmp(&r, true, node->b, len);
    pw_nft_simple(&r, "notrack");
    pw_nft_rule_end(&r);
}

int pw_nft_tunnel_up(struct pw_nl *nfnl, uint16_t port, const struct pw_addr *node, size_t n,
                     size_t *changes, struct pw_err *err)
{
    static const char *const chains[] = {CHAIN_IN, CHAIN_OUT};
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_nft_table table;
    char comment[PW_NFT_COMMENT];
    uint64_t h = pw_hash(PW_HASH_START, &port, sizeof(port));

    for (size_t i = 0; i < n; i++)
        h = pw_hash(h, node[i].b, sizeof(node[i].b));
    tell_content(h, comment);
    if (pw_nft_table_get(nfnl, FAMILY, TUNNEL_TABLE, &table, NULL) == 0 &&
        strcmp(table.comment, comment) == 0 && chain_has(nfnl, TUNNEL_TABLE, CHAIN_IN, n) &&
        chain_has(nfnl, TUNNEL_TABLE, CHAIN_OUT, n))
        return 0;
    ++*changes;
    pw_nft_begin(&b);
    pw_nft_table_add(&b, FAMILY, TUNNEL_TABLE, NULL);
    pw_nft_table_del(&b, FAMILY, TUNNEL_TABLE);
    pw_nft_table_add(&b, FAMILY, TUNNEL_TABLE, comment);
    pw_nft_chain_add(&b, FAMILY, TUNNEL_TABLE, CHAIN_IN, "filter", NF_INET_PRE_ROUTING, -300);
    pw_nft_chain_add(&b, FAMILY, TUNNEL_TABLE, CHAIN_OUT, "filter", NF_INET_LOCAL_OUT, -300);
    for (size_t c = 0; c < PW_ARRAY_SIZE(chains); c++)
        for (size_t i = 0; i < n; i++)
            tunnel_rule(&b, chains[c], &node[i], port);
    pw_nft_end(&b);
    return pw_nl_commit(nfnl, &b, NULL, NULL, err);
}

int pw_nft_tunnel_down(struct pw_nl *nfnl, size_t *changes, struct pw_err *err)
{
    bool was;
    int rc = remove_table(nfnl, TUNNEL_TABLE, &was, err);

    *changes += was;
    return rc;
}
