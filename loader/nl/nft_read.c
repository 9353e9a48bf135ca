/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells of nftables; nft.c changes it. */
#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>

#include "loader/nl/nft.h"

#define NFT_TYPE(msg) ((NFNL_SUBSYS_NFTABLES << 8) | (msg))

static uint32_t be32(const struct pw_nlattr *a)
{
    return ntohl(pw_nl_u32(a));
}

/* A comment in user data: records of type, length and bytes. */
static void read_comment(const struct pw_nlattr *a, char out[PW_NFT_COMMENT])
{
    const uint8_t *p = a->data, *end = a->data + a->len;

    while (end - p >= 2 && end - p - 2 >= p[1]) {
        if (p[0] == 0 && p[1] > 0) {
            size_t n = p[1] < PW_NFT_COMMENT ? p[1] : PW_NFT_COMMENT - 1;
            memcpy(out, p + 2, n);
            out[n] = '\0';
            return;
        }
        p += 2 + p[1];
    }
}

static void ask(struct pw_nlbatch *b, uint16_t msg, uint16_t flags, uint8_t family,
                const char *what)
{
    struct nfgenmsg m = {.nfgen_family = family, .version = NFNETLINK_V0};
    pw_nlbatch_add(b, NFT_TYPE(msg), flags, &m, sizeof(m), "nftables: %s", what);
}

static int read_table(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct pw_nft_table *t = arg;
    struct nfgenmsg m;
    struct pw_nlattr a;

    (void)err;
    if (msg->type != NFT_TYPE(NFT_MSG_NEWTABLE))
        return 0;
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NFTA_TABLE_USE)
            t->use = be32(&a);
        else if (a.type == NFTA_TABLE_USERDATA)
            read_comment(&a, t->comment);
    }
    return 0;
}

int pw_nft_table_get(struct pw_nl *nl, uint8_t family, const char *table, struct pw_nft_table *out,
                     struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_nft_table t = {0};

    ask(&b, NFT_MSG_GETTABLE, 0, family, "read table");
    pw_nl_put_str(&b.buf, NFTA_TABLE_NAME, table);
    int rc = pw_nl_commit(nl, &b, read_table, &t, err);
    if (!rc)
        *out = t;
    return rc;
}

static bool chain_read(const struct pw_nlmsg *msg, struct pw_nft_chain *out)
{
    struct nfgenmsg m;
    struct pw_nlattr a, h;

    if (msg->type != NFT_TYPE(NFT_MSG_NEWCHAIN) || msg->len < sizeof(m))
        return false;
    *out = (struct pw_nft_chain){.policy = NF_ACCEPT};
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m)), hook;
    out->family = m.nfgen_family;
    while (pw_nl_next_attr(&cur, &a)) {
        switch (a.type) {
        case NFTA_CHAIN_TABLE:
            pw_nl_str(&a, out->table, sizeof(out->table));
            break;
        case NFTA_CHAIN_NAME:
            pw_nl_str(&a, out->name, sizeof(out->name));
            break;
        case NFTA_CHAIN_TYPE:
            pw_nl_str(&a, out->type, sizeof(out->type));
            break;
        case NFTA_CHAIN_POLICY:
            out->policy = be32(&a);
            break;
        case NFTA_CHAIN_USE:
            out->use = be32(&a);
            break;
        case NFTA_CHAIN_HOOK:
            hook = pw_nl_nested(&a);
            out->base = true;
            while (pw_nl_next_attr(&hook, &h))
                if (h.type == NFTA_HOOK_HOOKNUM)
                    out->hook = be32(&h);
            break;
        default:
            break;
        }
    }
    return true;
}

static int read_one_chain(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    struct pw_nft_chain c;

    (void)err;
    if (chain_read(msg, &c))
        *(struct pw_nft_chain *)arg = c;
    return 0;
}

int pw_nft_chain_get(struct pw_nl *nl, uint8_t family, const char *table, const char *chain,
                     struct pw_nft_chain *out, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_nft_chain c = {0};

    ask(&b, NFT_MSG_GETCHAIN, 0, family, "read chain");
    pw_nl_put_str(&b.buf, NFTA_CHAIN_TABLE, table);
    pw_nl_put_str(&b.buf, NFTA_CHAIN_NAME, chain);
    int rc = pw_nl_commit(nl, &b, read_one_chain, &c, err);
    if (!rc)
        *out = c;
    return rc;
}

struct lister {
    union {
        pw_nft_chain_fn chain;
        pw_nft_rule_fn rule;
    };
    pw_nft_restart_fn restart;
    void *arg;
};

static void list_again(void *arg)
{
    const struct lister *l = arg;
    l->restart(l->arg);
}

static int tell_chain(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct pw_nft_chain c;

    return chain_read(msg, &c) ? l->chain(&c, l->arg, err) : 0;
}

int pw_nft_chain_list(struct pw_nl *nl, pw_nft_chain_fn fn, pw_nft_restart_fn restart, void *arg,
                      struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct lister l = {.chain = fn, .restart = restart, .arg = arg};

    ask(&b, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC, "list chains");
    int rc = pw_nl_dump(nl, &b, tell_chain, list_again, &l, err);
    return rc == -EINVAL || rc == -EOPNOTSUPP ? 0 : rc;
}

/* By which kube-proxy knows what it has to masquerade, and lets it pass. Other marks are somebody's
 * own business, and may be on any packet. */
#define KUBE_PROXY_MARK 0x4000U

/* What is understood of conditions: the name of a device, whole or its beginning; and three by
 * which a rule is not for packets that open a flow. */
struct reading {
    bool conditions_other, verdict, reject, unknown;
    uint32_t verdict_code;
    uint32_t meta;         /* key loaded last, plus one; 0: none */
    bool ct_state, ct_old; /* loaded last; and masked to states other than new */
};

static void read_verdict(struct pw_nlcur cur, struct reading *r, struct pw_nft_rule_info *out)
{
    struct pw_nlattr a, d, v;

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type != NFTA_IMMEDIATE_DATA)
            continue;
        struct pw_nlcur data = pw_nl_nested(&a);
        while (pw_nl_next_attr(&data, &d)) {
            if (d.type != NFTA_DATA_VERDICT)
                continue;
            struct pw_nlcur verdict = pw_nl_nested(&d);
            while (pw_nl_next_attr(&verdict, &v)) {
                if (v.type == NFTA_VERDICT_CODE) {
                    r->verdict = true;
                    r->verdict_code = be32(&v);
                } else if (v.type == NFTA_VERDICT_CHAIN) {
                    pw_nl_str(&v, out->jump, sizeof(out->jump));
                }
            }
        }
    }
}

static void read_meta(struct pw_nlcur cur, struct reading *r)
{
    struct pw_nlattr a;

    r->meta = 0;
    while (pw_nl_next_attr(&cur, &a))
        if (a.type == NFTA_META_KEY)
            r->meta = be32(&a) + 1;
    if (r->meta == NFT_META_MARK + 1)
        r->conditions_other = true;
}

/* Whether a condition leaves out what opens a flow: `key` is what was loaded, plus one. */
static bool leaves_out_new(uint32_t key, bool ct_old, bool equal, const struct pw_nlattr *value)
{
    uint32_t mark = 0;

    if (ct_old) /* (state & MASK) != 0 */
        return !equal;
    if (!equal || value->len == 0)
        return false;
    if (key == NFT_META_L4PROTO + 1)
        return value->data[0] == IPPROTO_ICMP || value->data[0] == IPPROTO_ICMPV6;
    memcpy(&mark, value->data, value->len < sizeof(mark) ? value->len : sizeof(mark));
    return key == NFT_META_MARK + 1 && mark == KUBE_PROXY_MARK;
}

static void read_cmp(struct pw_nlcur cur, struct reading *r, struct pw_nft_rule_info *out)
{
    struct pw_nlattr a, d, value = {0};
    char *name = r->meta == NFT_META_IIFNAME + 1   ? out->iif
                 : r->meta == NFT_META_OIFNAME + 1 ? out->oif
                                                   : NULL;
    uint32_t key = r->meta;
    bool equal = true;

    r->meta = 0;
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NFTA_CMP_OP)
            equal = be32(&a) == NFT_CMP_EQ;
        if (a.type != NFTA_CMP_DATA)
            continue;
        struct pw_nlcur data = pw_nl_nested(&a);
        while (pw_nl_next_attr(&data, &d))
            if (d.type == NFTA_DATA_VALUE)
                value = d;
    }
    if (name && !name[0] && equal && value.data) {
        pw_nl_str(&value, name, sizeof(out->iif));
        return;
    }
    r->conditions_other = true;
    out->not_for_new |= leaves_out_new(key, r->ct_old, equal, &value);
    r->ct_old = false;
}

static void read_ct(struct pw_nlcur cur, struct reading *r)
{
    struct pw_nlattr a;

    r->conditions_other = true;
    while (pw_nl_next_attr(&cur, &a))
        if (a.type == NFTA_CT_KEY)
            r->ct_state = be32(&a) == NFT_CT_STATE;
}

/* [bitwise reg & MASK] of the state just loaded; what follows compares it with 0. */
static void read_bitwise(struct pw_nlcur cur, struct reading *r)
{
    struct pw_nlattr a, d;
    uint32_t mask;

    r->conditions_other = true;
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type != NFTA_BITWISE_MASK || !r->ct_state)
            continue;
        struct pw_nlcur data = pw_nl_nested(&a);
        while (pw_nl_next_attr(&data, &d)) {
            if (d.type != NFTA_DATA_VALUE || d.len != sizeof(mask))
                continue;
            memcpy(&mask, d.data, sizeof(mask));
            r->ct_old = !(mask & (NF_CT_STATE_BIT(IP_CT_NEW) | NF_CT_STATE_UNTRACKED_BIT));
        }
    }
    r->ct_state = false;
}

/* A match of iptables. Layouts are those of its revisions from 2 on (mark: from 1 on), which agree
 * so far. */
static void read_match(struct pw_nlcur cur, struct reading *r, struct pw_nft_rule_info *out)
{
    struct xt_conntrack_mtinfo3 ct;
    struct xt_mark_mtinfo1 mark;
    struct pw_nlattr a;
    char name[32] = "";

    r->conditions_other = true;
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NFTA_MATCH_NAME)
            pw_nl_str(&a, name, sizeof(name));
        if (a.type != NFTA_MATCH_INFO)
            continue;
        if (strcmp(name, "mark") == 0 && a.len >= sizeof(mark)) {
            memcpy(&mark, a.data, sizeof(mark));
            out->not_for_new |= mark.mark == KUBE_PROXY_MARK && !mark.invert;
        } else if (strcmp(name, "conntrack") == 0 && a.len >= sizeof(ct)) {
            memcpy(&ct, a.data, sizeof(ct));
            out->not_for_new |=
                (ct.match_flags & XT_CONNTRACK_STATE) && !(ct.invert_flags & XT_CONNTRACK_STATE) &&
                !(ct.state_mask &
                  (XT_CONNTRACK_STATE_BIT(IP_CT_NEW) | XT_CONNTRACK_STATE_UNTRACKED));
        }
    }
}

/* Of iptables' targets only the queues may end in an accept. */
static void read_target(struct pw_nlcur cur, struct reading *r)
{
    struct pw_nlattr a;
    char name[32] = "";

    while (pw_nl_next_attr(&cur, &a))
        if (a.type == NFTA_TARGET_NAME)
            pw_nl_str(&a, name, sizeof(name));
    if (strcmp(name, "REJECT") == 0)
        r->reject = true;
    else if (strstr(name, "QUEUE"))
        r->unknown = true;
    r->conditions_other |= strcmp(name, "LOG") != 0 && !r->reject;
}

static void read_expr(struct pw_nlcur cur, struct reading *r, struct pw_nft_rule_info *out)
{
    struct pw_nlattr a;
    struct pw_nlcur data = {0};
    char name[24] = "";

    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NFTA_EXPR_NAME)
            pw_nl_str(&a, name, sizeof(name));
        else if (a.type == NFTA_EXPR_DATA)
            data = pw_nl_nested(&a);
    }
    if (strcmp(name, "counter") == 0 || strcmp(name, "log") == 0)
        return;
    if (strcmp(name, "immediate") == 0)
        read_verdict(data, r, out);
    else if (strcmp(name, "reject") == 0)
        r->reject = true;
    else if (strcmp(name, "meta") == 0)
        read_meta(data, r);
    else if (strcmp(name, "cmp") == 0)
        read_cmp(data, r, out);
    else if (strcmp(name, "ct") == 0)
        read_ct(data, r);
    else if (strcmp(name, "bitwise") == 0)
        read_bitwise(data, r);
    else if (strcmp(name, "match") == 0)
        read_match(data, r, out);
    else if (strcmp(name, "target") == 0)
        read_target(data, r);
    else if (strcmp(name, "payload") == 0)
        r->conditions_other = true;
    else /* maps of verdicts, queues ... */
        r->conditions_other = r->unknown = true;
}

bool pw_nft_rule_read(const struct pw_nlmsg *msg, struct pw_nft_rule_info *out)
{
    struct nfgenmsg m;
    struct pw_nlattr a, e;
    struct reading r = {0};

    if (msg->type != NFT_TYPE(NFT_MSG_NEWRULE) || msg->len < sizeof(m))
        return false;
    *out = (struct pw_nft_rule_info){0};
    struct pw_nlcur cur = pw_nl_fixed(msg, &m, sizeof(m));
    while (pw_nl_next_attr(&cur, &a)) {
        if (a.type == NFTA_RULE_HANDLE) {
            out->handle = be64toh(pw_nl_u64(&a));
        } else if (a.type == NFTA_RULE_USERDATA) {
            read_comment(&a, out->comment);
        } else if (a.type == NFTA_RULE_EXPRESSIONS) {
            struct pw_nlcur exprs = pw_nl_nested(&a);
            while (pw_nl_next_attr(&exprs, &e))
                read_expr(pw_nl_nested(&e), &r, out);
        }
    }
    bool by_device = out->iif[0] || out->oif[0];
    out->drops_all =
        !by_device && !r.conditions_other && (r.reject || (r.verdict && r.verdict_code == NF_DROP));
    out->accepts = !r.conditions_other && r.verdict && r.verdict_code == NF_ACCEPT;
    out->may_accept = r.verdict ? r.verdict_code == NF_ACCEPT : r.unknown && !r.reject;
    return true;
}

static int tell_rule(const struct pw_nlmsg *msg, void *arg, struct pw_err *err)
{
    const struct lister *l = arg;
    struct pw_nft_rule_info info;

    return pw_nft_rule_read(msg, &info) ? l->rule(&info, l->arg, err) : 0;
}

int pw_nft_rule_list(struct pw_nl *nl, uint8_t family, const char *table, const char *chain,
                     pw_nft_rule_fn fn, pw_nft_restart_fn restart, void *arg, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct lister l = {.rule = fn, .restart = restart, .arg = arg};

    ask(&b, NFT_MSG_GETRULE, NLM_F_DUMP, family, "list rules");
    pw_nl_put_str(&b.buf, NFTA_RULE_TABLE, table);
    pw_nl_put_str(&b.buf, NFTA_RULE_CHAIN, chain);
    return pw_nl_dump(nl, &b, tell_rule, list_again, &l, err);
}
