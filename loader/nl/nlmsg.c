/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/nl/nlmsg.h"

#include <stdlib.h>
#include <string.h>

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* Room for `n` bytes, padded to four and zeroed; NULL when there is none. */
static uint8_t *room(struct pw_nlbuf *b, size_t n)
{
    size_t need = align4(n);

    if (b->failed)
        return NULL;
    if (n > PW_NLBUF_MAX || b->len + need > PW_NLBUF_MAX) {
        b->failed = true;
        return NULL;
    }
    if (b->len + need > b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 2048;
        while (cap < b->len + need)
            cap *= 2;
        uint8_t *data = realloc(b->data, cap);
        if (!data) {
            b->failed = true;
            return NULL;
        }
        b->data = data;
        b->cap = cap;
    }
    uint8_t *p = b->data + b->len;
    memset(p, 0, need);
    b->len += need;
    return p;
}

/* The header of the message that is being written always carries its length so far. */
static void set_msg_len(struct pw_nlbuf *b)
{
    uint32_t len = (uint32_t)(b->len - b->msg);
    memcpy(b->data + b->msg + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
}

void pw_nlbuf_free(struct pw_nlbuf *b)
{
    free(b->data);
    *b = (struct pw_nlbuf){0};
}

void pw_nl_begin(struct pw_nlbuf *b, uint16_t type, uint16_t flags, const void *fixed, size_t len)
{
    struct nlmsghdr h = {.nlmsg_type = type, .nlmsg_flags = flags};
    size_t at = b->len;
    uint8_t *p = room(b, sizeof(h) + len);

    if (!p)
        return;
    memcpy(p, &h, sizeof(h));
    if (len)
        memcpy(p + sizeof(h), fixed, len);
    b->msg = at;
    set_msg_len(b);
}

void pw_nl_put(struct pw_nlbuf *b, uint16_t type, const void *data, size_t len)
{
    struct nlattr h = {.nla_type = type, .nla_len = (uint16_t)(sizeof(h) + len)};

    if (len > UINT16_MAX - sizeof(h)) {
        b->failed = true;
        return;
    }
    uint8_t *p = room(b, sizeof(h) + len);
    if (!p)
        return;
    memcpy(p, &h, sizeof(h));
    if (len)
        memcpy(p + sizeof(h), data, len);
    set_msg_len(b);
}

void pw_nl_put_u8(struct pw_nlbuf *b, uint16_t type, uint8_t v)
{
    pw_nl_put(b, type, &v, sizeof(v));
}

void pw_nl_put_u16(struct pw_nlbuf *b, uint16_t type, uint16_t v)
{
    pw_nl_put(b, type, &v, sizeof(v));
}

void pw_nl_put_u32(struct pw_nlbuf *b, uint16_t type, uint32_t v)
{
    pw_nl_put(b, type, &v, sizeof(v));
}

void pw_nl_put_str(struct pw_nlbuf *b, uint16_t type, const char *s)
{
    pw_nl_put(b, type, s, strlen(s) + 1);
}

void pw_nl_put_addr(struct pw_nlbuf *b, uint16_t type, const struct pw_addr *a)
{
    pw_nl_put(b, type, a->b, a->family == 4 ? 4 : 16);
}

void pw_nl_put_raw(struct pw_nlbuf *b, const void *data, size_t len)
{
    uint8_t *p = room(b, len);
    if (!p)
        return;
    memcpy(p, data, len);
    set_msg_len(b);
}

size_t pw_nl_nest(struct pw_nlbuf *b, uint16_t type)
{
    size_t at = b->len;
    pw_nl_put(b, type | NLA_F_NESTED, NULL, 0);
    return at;
}

void pw_nl_nest_end(struct pw_nlbuf *b, size_t nest)
{
    if (b->failed)
        return;
    size_t n = b->len - nest;
    if (n > UINT16_MAX) {
        b->failed = true;
        return;
    }
    uint16_t len = (uint16_t)n;
    memcpy(b->data + nest + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

static void advance(struct pw_nlcur *cur, size_t n)
{
    n = align4(n);
    /* The last one's padding may be missing. */
    if (n > cur->len)
        n = cur->len;
    cur->p += n;
    cur->len -= n;
}

bool pw_nl_next_msg(struct pw_nlcur *cur, struct pw_nlmsg *out)
{
    struct nlmsghdr h;

    if (cur->len < sizeof(h))
        return false;
    memcpy(&h, cur->p, sizeof(h));
    if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > cur->len)
        return false;
    *out = (struct pw_nlmsg){.type = h.nlmsg_type,
                             .flags = h.nlmsg_flags,
                             .seq = h.nlmsg_seq,
                             .pid = h.nlmsg_pid,
                             .data = cur->p + sizeof(h),
                             .len = h.nlmsg_len - sizeof(h)};
    advance(cur, h.nlmsg_len);
    return true;
}

bool pw_nl_next_attr(struct pw_nlcur *cur, struct pw_nlattr *out)
{
    struct nlattr h;

    if (cur->len < sizeof(h))
        return false;
    memcpy(&h, cur->p, sizeof(h));
    if (h.nla_len < sizeof(h) || h.nla_len > cur->len)
        return false;
    *out = (struct pw_nlattr){.type = h.nla_type & NLA_TYPE_MASK,
                              .data = cur->p + sizeof(h),
                              .len = h.nla_len - sizeof(h)};
    advance(cur, h.nla_len);
    return true;
}

struct pw_nlcur pw_nl_fixed(const struct pw_nlmsg *msg, void *out, size_t len)
{
    struct pw_nlcur cur = {msg->data, msg->len};

    memset(out, 0, len);
    memcpy(out, msg->data, msg->len < len ? msg->len : len);
    advance(&cur, len);
    return cur;
}

static uint64_t number(const struct pw_nlattr *a, size_t size)
{
    uint64_t v = 0;
    uint16_t v2;
    uint32_t v4;

    if (a->len < size)
        return 0;
    switch (size) {
    case 1:
        return a->data[0];
    case 2:
        memcpy(&v2, a->data, sizeof(v2));
        return v2;
    case 4:
        memcpy(&v4, a->data, sizeof(v4));
        return v4;
    default:
        memcpy(&v, a->data, sizeof(v));
        return v;
    }
}

uint8_t pw_nl_u8(const struct pw_nlattr *a)
{
    return (uint8_t)number(a, 1);
}

uint16_t pw_nl_u16(const struct pw_nlattr *a)
{
    return (uint16_t)number(a, 2);
}

uint32_t pw_nl_u32(const struct pw_nlattr *a)
{
    return (uint32_t)number(a, 4);
}

uint64_t pw_nl_u64(const struct pw_nlattr *a)
{
    return number(a, 8);
}

void pw_nl_str(const struct pw_nlattr *a, char *buf, size_t size)
{
    size_t n = strnlen((const char *)a->data, a->len);
    if (n > size - 1)
        n = size - 1;
    memcpy(buf, a->data, n);
    buf[n] = '\0';
}

bool pw_nl_addr(const struct pw_nlattr *a, struct pw_addr *out)
{
    if (a->len != 4 && a->len != 16)
        return false;
    *out = (struct pw_addr){.family = a->len == 4 ? 4 : 6, .prefix = (uint8_t)(a->len * 8)};
    memcpy(out->b, a->data, a->len);
    return true;
}

bool pw_nl_mac(const struct pw_nlattr *a, uint8_t out[6])
{
    if (a->len != 6)
        return false;
    memcpy(out, a->data, 6);
    return true;
}

/* Nothing but 0 and negative errnos goes further up. */
static int errno_of(int32_t code)
{
    return code > 0 || code < -4095 ? -EPROTO : code;
}

int pw_nl_done(const struct pw_nlmsg *msg)
{
    int32_t code;

    pw_nl_fixed(msg, &code, sizeof(code));
    return errno_of(code);
}

bool pw_nl_ack(const struct pw_nlmsg *msg, struct pw_nlack *out)
{
    struct nlmsgerr e;
    struct pw_nlcur cur;
    struct pw_nlattr a;

    if (msg->type != NLMSG_ERROR || msg->len < sizeof(e))
        return false;
    cur = pw_nl_fixed(msg, &e, sizeof(e));
    *out = (struct pw_nlack){.code = errno_of(e.error), .seq = e.msg.nlmsg_seq};
    /* The request's own bytes come before the attributes unless the kernel left them out. */
    if (!(msg->flags & NLM_F_CAPPED) && e.msg.nlmsg_len > sizeof(e.msg))
        advance(&cur, e.msg.nlmsg_len - sizeof(e.msg));
    if (msg->flags & NLM_F_ACK_TLVS)
        while (pw_nl_next_attr(&cur, &a))
            if (a.type == NLMSGERR_ATTR_MSG)
                pw_nl_str(&a, out->text, sizeof(out->text));
    return true;
}
