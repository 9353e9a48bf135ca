/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink codec: messages and attributes to bytes and back. No system calls; every length that
 * comes from outside is checked before it is used.
 */
#ifndef PW_NL_NLMSG_H
#define PW_NL_NLMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "loader/base/addr.h"

/*
 * Writer. The buffer grows as needed up to PW_NLBUF_MAX; after a failed growth `failed` stays set,
 * puts do nothing, and the sender refuses to send: callers need not check each put.
 */
#define PW_NLBUF_MAX (128 * 1024)
struct pw_nlbuf {
    uint8_t *data; /* owned */
    size_t len, cap;
    size_t msg; /* offset of the message that is being written */
    bool failed;
};

void pw_nlbuf_free(struct pw_nlbuf *b);

/* Begin a message: header and the family's fixed part (struct ifinfomsg ...), `len` bytes. The
 * message is closed by the next pw_nl_begin or by sending: lengths are kept current. */
void pw_nl_begin(struct pw_nlbuf *b, uint16_t type, uint16_t flags, const void *fixed, size_t len);
void pw_nl_put(struct pw_nlbuf *b, uint16_t type, const void *data, size_t len);
void pw_nl_put_u8(struct pw_nlbuf *b, uint16_t type, uint8_t v);
void pw_nl_put_u16(struct pw_nlbuf *b, uint16_t type, uint16_t v);
void pw_nl_put_u32(struct pw_nlbuf *b, uint16_t type, uint32_t v);
/* With the final NUL. */
void pw_nl_put_str(struct pw_nlbuf *b, uint16_t type, const char *s);
/* The 4 or 16 bytes of the address, without prefix. */
void pw_nl_put_addr(struct pw_nlbuf *b, uint16_t type, const struct pw_addr *a);
/* Bytes without an attribute header, padded (struct ifinfomsg inside VETH_INFO_PEER). */
void pw_nl_put_raw(struct pw_nlbuf *b, const void *data, size_t len);
/* Begin a nested attribute; give what it returns to pw_nl_nest_end. */
size_t pw_nl_nest(struct pw_nlbuf *b, uint16_t type);
void pw_nl_nest_end(struct pw_nlbuf *b, size_t nest);

/* A message or an attribute as read: points into the buffer it was read from. */
struct pw_nlmsg {
    uint16_t type, flags;
    uint32_t seq, pid;
    const uint8_t *data; /* after the netlink header */
    size_t len;
};
struct pw_nlattr {
    uint16_t type; /* without the NESTED and BYTEORDER bits */
    const uint8_t *data;
    size_t len;
};

/* Bytes still to be read. */
struct pw_nlcur {
    const uint8_t *p;
    size_t len;
};

/* Read one message, advance. False at the end, or where what is left is no whole message. */
bool pw_nl_next_msg(struct pw_nlcur *cur, struct pw_nlmsg *out);
bool pw_nl_next_attr(struct pw_nlcur *cur, struct pw_nlattr *out);

/* The message's fixed part, `len` bytes copied to `out`, zero-filled where the message is shorter;
 * returns a cursor on the attributes behind it. */
struct pw_nlcur pw_nl_fixed(const struct pw_nlmsg *msg, void *out, size_t len);
static inline struct pw_nlcur pw_nl_nested(const struct pw_nlattr *a)
{
    return (struct pw_nlcur){a->data, a->len};
}

/* Values; 0 or false when the attribute is shorter than the type. */
uint8_t pw_nl_u8(const struct pw_nlattr *a);
uint16_t pw_nl_u16(const struct pw_nlattr *a);
uint32_t pw_nl_u32(const struct pw_nlattr *a);
uint64_t pw_nl_u64(const struct pw_nlattr *a);
/* Copies at most size-1 bytes up to the first NUL and ends with NUL. */
void pw_nl_str(const struct pw_nlattr *a, char *buf, size_t size);
/* 4 bytes make an IPv4 address, 16 an IPv6 one, with full prefix; anything else: false. */
bool pw_nl_addr(const struct pw_nlattr *a, struct pw_addr *out);
bool pw_nl_mac(const struct pw_nlattr *a, uint8_t out[6]);

/* What an NLMSG_ERROR says. `code` 0 is an acknowledgement, else negative errno; `text` the
 * kernel's extended message or "". False when the message is too short to be one. */
struct pw_nlack {
    int code;
    uint32_t seq;
    char text[160];
};
bool pw_nl_ack(const struct pw_nlmsg *msg, struct pw_nlack *out);

/* What the NLMSG_DONE at the end of a dump says: 0, also when it says nothing, or negative errno.
 */
int pw_nl_done(const struct pw_nlmsg *msg);

#endif
