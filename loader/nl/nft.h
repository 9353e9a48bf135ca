/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nftables by netlink: messages that make up a change, and what the kernel tells of tables, chains
 * and rules. A change is one batch, from pw_nft_begin to pw_nft_end, and happens whole or not at
 * all. Expressions are appended to the rule begun last, as in libnftnl's debug output.
 */
#ifndef PW_NL_NFT_H
#define PW_NL_NFT_H

#include <netinet/in.h> /* before linux/in.h, which then leaves out its twins */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "loader/nl/nlsock.h"

/* ---- changes ---- */

void pw_nft_begin(struct pw_nlbatch *b);
void pw_nft_end(struct pw_nlbatch *b);

/* `family`: NFPROTO_*. Success when the table is there. `comment` may be NULL. */
void pw_nft_table_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *comment);
/* With all that is in it. */
void pw_nft_table_del(struct pw_nlbatch *b, uint8_t family, const char *table);

void pw_nft_chain_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *chain,
                      const char *type, uint32_t hook, int32_t priority);

/* A set of ranges of IPv4 or IPv6 addresses (`addr_family` 4, 6). The ranges must not overlap
 * (pw_nft_ranges_merge). */
void pw_nft_set_add(struct pw_nlbatch *b, uint8_t family, const char *table, const char *set,
                    int addr_family, const struct pw_addr *ranges, size_t n);
/* Sort and drop ranges that lie in others; all of one family. Returns how many are left. */
size_t pw_nft_ranges_merge(struct pw_addr *ranges, size_t n);

/* Begin a rule at the end of a chain, or at its head; expressions follow; pw_nft_rule_end closes
 * it. `comment` may be NULL. */
struct pw_nft_rule {
    struct pw_nlbuf *b;
    size_t exprs;
    const char *comment;
};
struct pw_nft_rule pw_nft_rule_begin(struct pw_nlbatch *b, uint8_t family, const char *table,
                                     const char *chain, bool at_head, const char *comment);
void pw_nft_rule_end(struct pw_nft_rule *r);
void pw_nft_rule_del(struct pw_nlbatch *b, uint8_t family, const char *table, const char *chain,
                     uint64_t handle);

/* [meta load KEY => reg 1], NFT_META_* */
void pw_nft_meta(struct pw_nft_rule *r, uint32_t key);
/* [payload load LEN at OFFSET of the network header => reg 1]; of the transport header */
void pw_nft_network(struct pw_nft_rule *r, uint32_t offset, uint32_t len);
void pw_nft_transport(struct pw_nft_rule *r, uint32_t offset, uint32_t len);
/* [bitwise reg 1 = reg 1 & MASK] of 32 bits, host byte order */
void pw_nft_mask(struct pw_nft_rule *r, uint32_t mask);
/* [cmp eq/neq reg 1 DATA] */
void pw_nft_cmp(struct pw_nft_rule *r, bool equal, const void *data, size_t len);
/* [lookup reg 1 set SET], inverted: not in it */
void pw_nft_lookup(struct pw_nft_rule *r, const char *set, bool invert);
/* Expressions without attributes: notrack, masq, counter. */
void pw_nft_simple(struct pw_nft_rule *r, const char *name);
void pw_nft_accept(struct pw_nft_rule *r);

/* ---- questions ---- */

#define PW_NFT_NAME 64
#define PW_NFT_COMMENT 96

struct pw_nft_table {
    uint32_t use;
    char comment[PW_NFT_COMMENT];
};
/* -ENOENT when there is none. */
int pw_nft_table_get(struct pw_nl *nl, uint8_t family, const char *table, struct pw_nft_table *out,
                     struct pw_err *err);

struct pw_nft_chain {
    uint8_t family;
    char table[PW_NFT_NAME], name[PW_NFT_NAME], type[16];
    bool base;
    uint32_t hook, policy, use; /* of a base chain: NF_INET_*, NF_ACCEPT or NF_DROP */
};
/* -ENOENT when there is none. */
int pw_nft_chain_get(struct pw_nl *nl, uint8_t family, const char *table, const char *chain,
                     struct pw_nft_chain *out, struct pw_err *err);
typedef int (*pw_nft_chain_fn)(const struct pw_nft_chain *chain, void *arg, struct pw_err *err);
/* Lists are told from their beginning, by `restart`, when they changed meanwhile. */
typedef void (*pw_nft_restart_fn)(void *arg);
/* All chains of all families. Success, with none, where the kernel has no nftables. */
int pw_nft_chain_list(struct pw_nl *nl, pw_nft_chain_fn fn, pw_nft_restart_fn restart, void *arg,
                      struct pw_err *err);

/* A rule as far as it matters here. */
struct pw_nft_rule_info {
    uint64_t handle;
    char comment[PW_NFT_COMMENT];
    bool drops_all;        /* nothing but counter, log, and a final drop or reject */
    bool accepts;          /* ends with accept, and has no condition but devices' names */
    char iif[16], oif[16]; /* the packet's device must have that name, or one that begins so */
    /* Not for a packet that opens a TCP or UDP flow: the rule is about established flows, ICMP, or
     * what kube-proxy has marked. */
    bool not_for_new;
    bool may_accept;        /* accepts, perhaps under conditions; or nobody knows what it does */
    char jump[PW_NFT_NAME]; /* chain where it goes on */
};
typedef int (*pw_nft_rule_fn)(const struct pw_nft_rule_info *rule, void *arg, struct pw_err *err);
/* The rules of one chain, in order. */
int pw_nft_rule_list(struct pw_nl *nl, uint8_t family, const char *table, const char *chain,
                     pw_nft_rule_fn fn, pw_nft_restart_fn restart, void *arg, struct pw_err *err);
/* Codec of one answer of a rule dump, for tests; false when it is no rule. */
bool pw_nft_rule_read(const struct pw_nlmsg *msg, struct pw_nft_rule_info *out);

#endif
