/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker, ufw, firewalld and others set the policy of FORWARD to drop. Redirected packets never
 * meet it, so the fast path works and all that needs the stack dies: hard to understand for whoever
 * has it. Found here, and mended where the operator wants it.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/nl/nft.h"
#include "loader/node.h"
#include "loader/xtables.h"

#define COMMENT "podwire: forwardAccept"
static const char pods[] = PW_IF_PREFIX "+"; /* as iptables writes it */
#define MAX_CHAINS 32

struct chains {
    size_t n;
    struct pw_nft_chain chain[MAX_CHAINS];
};

static int on_chain(const struct pw_nft_chain *chain, void *arg, struct pw_err *err)
{
    struct chains *c = arg;

    (void)err;
    if (chain->base && chain->hook == NF_INET_FORWARD && strcmp(chain->type, "filter") == 0 &&
        (chain->family == NFPROTO_IPV4 || chain->family == NFPROTO_IPV6 ||
         chain->family == NFPROTO_INET) &&
        c->n < MAX_CHAINS)
        c->chain[c->n++] = *chain;
    return 0;
}

static void no_chains(void *arg)
{
    ((struct chains *)arg)->n = 0;
}

/* Whether the rule's one condition is the name that all host ends begin with (or a part of it). */
static bool for_pods(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && strncmp(name, PW_IF_PREFIX, n) == 0;
}

#define MAX_JUMPS 24 /* of one chain */
#define MAX_DEPTH 8

struct rules {
    const struct pw_uplinks *up;
    bool accepts_from, accepts_to; /* before anything drops all */
    bool last_drops;
    bool may_accept; /* a pod's flow to the outside, for all we know */
    size_t n_jumps;
    char jumps[MAX_JUMPS][PW_NFT_NAME];
    size_t n_ours;
    uint64_t ours[4];
};

static bool begins_alike(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    return strncmp(a, b, n < m ? n : m) == 0;
}

/* Whether a pod's packet that opens a flow to the outside may meet the rule's conditions. */
static bool concerns(const struct pw_nft_rule_info *rule, const struct pw_uplinks *up)
{
    char name[IF_NAMESIZE];
    bool out_by = !rule->oif[0] || !up || up->n == 0;

    for (size_t i = 0; !out_by && i < up->n; i++)
        out_by = if_indextoname(up->ifindex[i], name) && begins_alike(rule->oif, name);
    return out_by && !rule->not_for_new && begins_alike(rule->iif, PW_IF_PREFIX);
}

static int on_rule(const struct pw_nft_rule_info *rule, void *arg, struct pw_err *err)
{
    struct rules *r = arg;

    (void)err;
    if (concerns(rule, r->up)) {
        r->may_accept |= rule->may_accept || (rule->jump[0] && r->n_jumps == MAX_JUMPS);
        if (rule->jump[0] && r->n_jumps < MAX_JUMPS)
            memcpy(r->jumps[r->n_jumps++], rule->jump, PW_NFT_NAME);
    }
    if (rule->accepts && for_pods(rule->iif) && !rule->oif[0])
        r->accepts_from = true;
    if (rule->accepts && for_pods(rule->oif) && !rule->iif[0])
        r->accepts_to = true;
    r->last_drops = rule->drops_all;
    if (strcmp(rule->comment, COMMENT) == 0 && r->n_ours < PW_ARRAY_SIZE(r->ours))
        r->ours[r->n_ours++] = rule->handle;
    return 0;
}

static void no_rules(void *arg)
{
    struct rules *r = arg;
    *r = (struct rules){.up = r->up};
}

typedef void (*chain_fn)(const struct pw_nft_chain *chain, const struct rules *r, void *arg);

/* Each chain that forwarded packets go through, with its rules. */
static int each_chain(struct pw_nl *nfnl, const struct pw_uplinks *up, chain_fn visit, void *arg,
                      struct pw_err *err)
{
    pw_free struct chains *c = malloc(sizeof(*c));

    if (!c)
        return pw_err_set(err, -ENOMEM, "list chains: out of memory");
    c->n = 0;
    int rc = pw_nft_chain_list(nfnl, on_chain, no_chains, c, err);
    for (size_t i = 0; !rc && i < c->n; i++) {
        const struct pw_nft_chain *chain = &c->chain[i];
        struct rules r = {.up = up};
        rc = pw_nft_rule_list(nfnl, chain->family, chain->table, chain->name, on_rule, no_rules, &r,
                              err);
        if (rc == -ENOENT)
            rc = 0; /* gone meanwhile */
        else if (!rc)
            visit(chain, &r, arg);
    }
    return rc;
}

/* Whether the rules, or those of a chain that they go on to, may accept a pod's flow. */
static bool may_accept(struct pw_nl *nfnl, const struct pw_nft_chain *in, const struct rules *r,
                       int depth)
{
    bool may = r->may_accept || (depth == 0 && r->n_jumps);
    struct pw_nft_chain next = *in;
    struct rules *deeper = may || !r->n_jumps ? NULL : malloc(sizeof(*deeper));

    if (!deeper)
        return may || r->n_jumps;
    for (size_t i = 0; !may && i < r->n_jumps; i++) {
        memcpy(next.name, r->jumps[i], sizeof(next.name));
        *deeper = (struct rules){.up = r->up};
        may = pw_nft_rule_list(nfnl, in->family, in->table, next.name, on_rule, no_rules, deeper,
                               NULL) ||
              may_accept(nfnl, &next, deeper, depth - 1);
    }
    free(deeper);
    return may;
}

static bool drops(const struct pw_nft_chain *c, const struct rules *r)
{
    return (c->policy == NF_DROP || r->last_drops) && !(r->accepts_from && r->accepts_to);
}

static size_t legacy_drops(struct pw_forward_drop *out, size_t max, size_t n)
{
    static const uint8_t families[] = {NFPROTO_IPV4, NFPROTO_IPV6};

    for (size_t i = 0; i < PW_ARRAY_SIZE(families); i++) {
        bool sure = false;
        if (!pw_xtables_forward_drops(families[i], PW_IF_PREFIX, &sure))
            continue;
        if (n < max)
            out[n] = (struct pw_forward_drop){.family = families[i],
                                              .table = "filter",
                                              .chain = "FORWARD",
                                              .legacy = true,
                                              .by_policy = true,
                                              .sure = sure};
        n++;
    }
    return n;
}

struct drop_list {
    struct pw_nl *nfnl;
    struct pw_forward_drop *out;
    size_t max, n;
};

static void tell_drop(const struct pw_nft_chain *chain, const struct rules *r, void *arg)
{
    struct drop_list *l = arg;

    if (!drops(chain, r))
        return;
    if (l->n < l->max) {
        struct pw_forward_drop *d = &l->out[l->n];
        *d = (struct pw_forward_drop){.family = chain->family,
                                      .by_policy = chain->policy == NF_DROP,
                                      .sure = !may_accept(l->nfnl, chain, r, MAX_DEPTH)};
        snprintf(d->table, sizeof(d->table), "%s", chain->table);
        snprintf(d->chain, sizeof(d->chain), "%s", chain->name);
    }
    l->n++;
}

int pw_forward_drops(struct pw_nl *nfnl, const struct pw_uplinks *up, struct pw_forward_drop *out,
                     size_t max, struct pw_err *err)
{
    struct drop_list l = {nfnl, out, max, 0};
    int rc = each_chain(nfnl, up, tell_drop, &l, err);

    return rc ? rc : (int)legacy_drops(out, max, l.n);
}

static void accept_rule(struct pw_nlbatch *b, const struct pw_nft_chain *c, uint32_t key)
{
    struct pw_nft_rule r = pw_nft_rule_begin(b, c->family, c->table, c->name, true, COMMENT);

    /* As iptables-nft writes "-i pw-+ -j ACCEPT", so that it can list the rule. */
    pw_nft_meta(&r, key);
    pw_nft_cmp(&r, true, PW_IF_PREFIX, strlen(PW_IF_PREFIX));
    pw_nft_simple(&r, "counter");
    pw_nft_accept(&r);
    pw_nft_rule_end(&r);
}

/* Legacy tables are changed by the program that comes with them: their blob has no atomic insert,
 * and the program holds the lock that others respect. */
static void run_legacy(uint8_t family, const char *op, const char *direction)
{
    pw_xtables_run(family, (const char *[]){"-w", "5", op, "FORWARD", direction, pods, "-m",
                                            "comment", "--comment", COMMENT, "-j", "ACCEPT", NULL});
}

struct change {
    struct pw_nlbatch *b;
    size_t n;
};

static void accept_pods(const struct pw_nft_chain *chain, const struct rules *r, void *arg)
{
    struct change *c = arg;

    if (!drops(chain, r))
        return;
    if (!r->accepts_to)
        accept_rule(c->b, chain, NFT_META_OIFNAME);
    if (!r->accepts_from)
        accept_rule(c->b, chain, NFT_META_IIFNAME);
    c->n++;
}

static void remove_ours(const struct pw_nft_chain *chain, const struct rules *r, void *arg)
{
    struct change *c = arg;

    for (size_t i = 0; i < r->n_ours; i++, c->n++)
        pw_nft_rule_del(c->b, chain->family, chain->table, chain->name, r->ours[i]);
}

/* What `visit` puts into one batch, which happens whole or not at all. */
static int change_chains(struct pw_nl *nfnl, chain_fn visit, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct change c = {&b, 0};

    pw_nft_begin(&b);
    int rc = each_chain(nfnl, NULL, visit, &c, err);
    pw_nft_end(&b);
    return rc || !c.n ? rc : pw_nl_commit(nfnl, &b, NULL, NULL, err);
}

int pw_forward_accept(struct pw_nl *nfnl, struct pw_err *err)
{
    struct pw_forward_drop legacy[2];
    int rc = change_chains(nfnl, accept_pods, err);

    if (rc)
        return rc;
    size_t n = legacy_drops(legacy, PW_ARRAY_SIZE(legacy), 0);
    for (size_t i = 0; i < n; i++) {
        run_legacy(legacy[i].family, "-I", "-i");
        run_legacy(legacy[i].family, "-I", "-o");
    }
    return 0;
}

int pw_forward_restore(struct pw_nl *nfnl, struct pw_err *err)
{
    static const uint8_t families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
    int rc = change_chains(nfnl, remove_ours, err);

    for (size_t i = 0; i < PW_ARRAY_SIZE(families); i++) {
        if (!pw_xtables_forward_has(families[i], PW_IF_PREFIX))
            continue;
        run_legacy(families[i], "-D", "-i");
        run_legacy(families[i], "-D", "-o");
    }
    return rc;
}
