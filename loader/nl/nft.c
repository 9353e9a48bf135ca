/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of nftables; nft_read.c asks. */
#include "loader/nl/nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nfnetlink.h>

#define NFT_TYPE(msg) ((NFNL_SUBSYS_NFTABLES << 8) | (msg))
/* Type of a comment in the user data that nft keeps with tables and rules (libnftnl/udata.h). */
#define UDATA_COMMENT 0

/* Every integer of nftables is big-endian. */
static void put_be32(struct pw_nlbuf *b, uint16_t type, uint32_t v)
{
    pw_nl_put_u32(b, type, htonl(v));
}

static void batch_mark(struct pw_nlbatch *b, uint16_t type, const char *what)
{
    struct nfgenmsg m = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    pw_nlbatch_add(b, type, 0, &m, sizeof(m), "%s", what);
}

void pw_nft_begin(struct pw_nlbatch *b)
{
    batch_mark(b, NFNL_MSG_BATCH_BEGIN, "change nftables");
}

void pw_nft_end(struct pw_nlbatch *b)
{
    batch_mark(b, NFNL_MSG_BATCH_END, "commit nftables");
}

/* Each message asks for its own acknowledgement: older kernels give none for the batch's end. */
static void begin(struct pw_nlbatch *b, uint16_t msg, uint16_t flags, uint8_t family,
                  const char *what, const char *table, const char *name)
{
    struct nfgenmsg m = {.nfgen_family = family, .version = NFNETLINK_V0};
    pw_nlbatch_add(b, NFT_TYPE(msg), flags | NLM_F_ACK, &m, sizeof(m), "nftables: %s %s%s%s", what,
                   table, name ? " " : "", name ? name : "");
}

static void put_comment(struct pw_nlbuf *b, uint16_t type, const char *comment)
{
    uint8_t udata[2 + PW_NFT_COMMENT];
    size_t n = strnlen(comment, PW_NFT_COMMENT - 1);

    udata[0] = UDATA_COMMENT;
    udata[1] = (uint8_t)(n + 1);
    memcpy(udata + 2, comment, n);
    udata[2 + n] = '\0';
    pw_nl_put(b, type, udata, n + 3);
}

void pw_nft_table_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *comment)
{
    begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, family, "add table", table, NULL);
    pw_nl_put_str(&b->buf, NFTA_TABLE_NAME, table);
    if (comment)
        put_comment(&b->buf, NFTA_TABLE_USERDATA, comment);
}

void pw_nft_table_del(struct pw_nlbatch *b, uint8_t family, const char *table)
{
    begin(b, NFT_MSG_DELTABLE, 0, family, "delete table", table, NULL);
    pw_nl_put_str(&b->buf, NFTA_TABLE_NAME, table);
}

void pw_nft_chain_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *chain,
                      const char *type, uint32_t hook, int32_t priority)
{
    begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family, "add chain", table, chain);
    pw_nl_put_str(&b->buf, NFTA_CHAIN_TABLE, table);
    pw_nl_put_str(&b->buf, NFTA_CHAIN_NAME, chain);
    size_t nest = pw_nl_nest(&b->buf, NFTA_CHAIN_HOOK);
    put_be32(&b->buf, NFTA_HOOK_HOOKNUM, hook);
    put_be32(&b->buf, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    pw_nl_nest_end(&b->buf, nest);
    put_be32(&b->buf, NFTA_CHAIN_POLICY, NF_ACCEPT);
    pw_nl_put_str(&b->buf, NFTA_CHAIN_TYPE, type);
}

static int by_address(const void *a, const void *b)
{
    const struct pw_addr *x = a, *y = b;
    int c = memcmp(x->b, y->b, sizeof(x->b));
    return c ? c : (int)x->prefix - (int)y->prefix; /* the wider of two first */
}

size_t pw_nft_ranges_merge(struct pw_addr *ranges, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        ranges[i] = pw_addr_network(ranges[i]);
    qsort(ranges, n, sizeof(*ranges), by_address);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !pw_addr_in(&ranges[i], &ranges[kept - 1]))
            ranges[kept++] = ranges[i];
    return kept;
}

/* First address behind a range; false when the range ends with the address space. */
static bool behind(const struct pw_addr *range, struct pw_addr *out)
{
    *out = pw_addr_network(*range);
    for (int bit = range->prefix - 1; bit >= 0; bit--) {
        uint8_t mask = (uint8_t)(0x80U >> (bit % 8));
        out->b[bit / 8] ^= mask; /* add one at the prefix's last bit, carry */
        if (out->b[bit / 8] & mask)
            return true;
    }
    return false;
}

static void put_elem(struct pw_nlbuf *b, const struct pw_addr *a, bool end)
{
    size_t elem = pw_nl_nest(b, NFTA_LIST_ELEM);
    size_t key = pw_nl_nest(b, NFTA_SET_ELEM_KEY);
    pw_nl_put_addr(b, NFTA_DATA_VALUE, a);
    pw_nl_nest_end(b, key);
    if (end)
        put_be32(b, NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    pw_nl_nest_end(b, elem);
}

void pw_nft_set_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *set,
                    int addr_family, const struct pw_addr *ranges, size_t n)
{
    /* nft's numbers of the types ipv4_addr and ipv6_addr, so that it can list the set. */
    uint32_t type = addr_family == 4 ? 7 : 8, len = addr_family == 4 ? 4 : 16;

    begin(b, NFT_MSG_NEWSET, NLM_F_CREATE, family, "add set", table, set);
    pw_nl_put_str(&b->buf, NFTA_SET_TABLE, table);
    pw_nl_put_str(&b->buf, NFTA_SET_NAME, set);
    put_be32(&b->buf, NFTA_SET_FLAGS, NFT_SET_INTERVAL);
    put_be32(&b->buf, NFTA_SET_KEY_TYPE, type);
    put_be32(&b->buf, NFTA_SET_KEY_LEN, len);
    put_be32(&b->buf, NFTA_SET_ID, (uint32_t)addr_family);
    if (!n)
        return;
    begin(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, family, "fill set", table, set);
    pw_nl_put_str(&b->buf, NFTA_SET_ELEM_LIST_TABLE, table);
    pw_nl_put_str(&b->buf, NFTA_SET_ELEM_LIST_SET, set);
    put_be32(&b->buf, NFTA_SET_ELEM_LIST_SET_ID, (uint32_t)addr_family);
    size_t list = pw_nl_nest(&b->buf, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = 0; i < n; i++) {
        struct pw_addr end;
        put_elem(&b->buf, &ranges[i], false);
        /* Also where the next range begins at once: an end and a begin may have the same key. */
        if (behind(&ranges[i], &end))
            put_elem(&b->buf, &end, true);
    }
    pw_nl_nest_end(&b->buf, list);
}

struct pw_nft_rule pw_nft_rule_begin(struct pw_nlbatch *b, uint8_t family, const char *table,
                                     const char *chain, bool at_head, const char *comment)
{
    begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | (at_head ? 0 : NLM_F_APPEND), family, "add rule to",
          table, chain);
    pw_nl_put_str(&b->buf, NFTA_RULE_TABLE, table);
    pw_nl_put_str(&b->buf, NFTA_RULE_CHAIN, chain);
    return (struct pw_nft_rule){&b->buf, pw_nl_nest(&b->buf, NFTA_RULE_EXPRESSIONS), comment};
}

void pw_nft_rule_end(struct pw_nft_rule *r)
{
    pw_nl_nest_end(r->b, r->exprs);
    if (r->comment)
        put_comment(r->b, NFTA_RULE_USERDATA, r->comment);
}

void pw_nft_rule_del(struct pw_nlbatch *b, uint8_t family, const char *table, const char *chain,
                     uint64_t handle)
{
    uint64_t be = htobe64(handle);

    begin(b, NFT_MSG_DELRULE, 0, family, "delete rule from", table, chain);
    pw_nl_put_str(&b->buf, NFTA_RULE_TABLE, table);
    pw_nl_put_str(&b->buf, NFTA_RULE_CHAIN, chain);
    pw_nl_put(&b->buf, NFTA_RULE_HANDLE, &be, sizeof(be));
}

struct expr {
    size_t elem, data;
};

static struct expr expr_begin(struct pw_nft_rule *r, const char *name)
{
    struct expr e = {.elem = pw_nl_nest(r->b, NFTA_LIST_ELEM)};
    pw_nl_put_str(r->b, NFTA_EXPR_NAME, name);
    e.data = pw_nl_nest(r->b, NFTA_EXPR_DATA);
    return e;
}

static void expr_end(struct pw_nft_rule *r, struct expr e)
{
    pw_nl_nest_end(r->b, e.data);
    pw_nl_nest_end(r->b, e.elem);
}

static void put_data(struct pw_nft_rule *r, uint16_t type, const void *data, size_t len)
{
    size_t nest = pw_nl_nest(r->b, type);
    pw_nl_put(r->b, NFTA_DATA_VALUE, data, len);
    pw_nl_nest_end(r->b, nest);
}

void pw_nft_meta(struct pw_nft_rule *r, uint32_t key)
{
    struct expr e = expr_begin(r, "meta");
    put_be32(r->b, NFTA_META_DREG, NFT_REG_1);
    put_be32(r->b, NFTA_META_KEY, key);
    expr_end(r, e);
}

static void payload(struct pw_nft_rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
    struct expr e = expr_begin(r, "payload");
    put_be32(r->b, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_be32(r->b, NFTA_PAYLOAD_BASE, base);
    put_be32(r->b, NFTA_PAYLOAD_OFFSET, offset);
    put_be32(r->b, NFTA_PAYLOAD_LEN, len);
    expr_end(r, e);
}

void pw_nft_network(struct pw_nft_rule *r, uint32_t offset, uint32_t len)
{
    payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, len);
}

void pw_nft_transport(struct pw_nft_rule *r, uint32_t offset, uint32_t len)
{
    payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, offset, len);
}

void pw_nft_mask(struct pw_nft_rule *r, uint32_t mask)
{
    uint32_t zero = 0;
    struct expr e = expr_begin(r, "bitwise");
    put_be32(r->b, NFTA_BITWISE_SREG, NFT_REG_1);
    put_be32(r->b, NFTA_BITWISE_DREG, NFT_REG_1);
    put_be32(r->b, NFTA_BITWISE_LEN, sizeof(mask));
    put_data(r, NFTA_BITWISE_MASK, &mask, sizeof(mask));
    put_data(r, NFTA_BITWISE_XOR, &zero, sizeof(zero));
    expr_end(r, e);
}

void pw_nft_cmp(struct pw_nft_rule *r, bool equal, const void *data, size_t len)
{
    struct expr e = expr_begin(r, "cmp");
    put_be32(r->b, NFTA_CMP_SREG, NFT_REG_1);
    put_be32(r->b, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_data(r, NFTA_CMP_DATA, data, len);
    expr_end(r, e);
}

void pw_nft_lookup(struct pw_nft_rule *r, const char *set, bool invert)
{
    struct expr e = expr_begin(r, "lookup");
    pw_nl_put_str(r->b, NFTA_LOOKUP_SET, set);
    put_be32(r->b, NFTA_LOOKUP_SREG, NFT_REG_1);
    if (invert)
        put_be32(r->b, NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    expr_end(r, e);
}

void pw_nft_simple(struct pw_nft_rule *r, const char *name)
{
    expr_end(r, expr_begin(r, name));
}

void pw_nft_accept(struct pw_nft_rule *r)
{
    struct expr e = expr_begin(r, "immediate");
    put_be32(r->b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = pw_nl_nest(r->b, NFTA_IMMEDIATE_DATA);
    size_t verdict = pw_nl_nest(r->b, NFTA_DATA_VERDICT);
    put_be32(r->b, NFTA_VERDICT_CODE, NF_ACCEPT);
    pw_nl_nest_end(r->b, verdict);
    pw_nl_nest_end(r->b, data);
    expr_end(r, e);
}
