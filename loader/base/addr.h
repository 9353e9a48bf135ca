/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 and IPv6 addresses with a prefix, and MAC addresses, as text and as bytes. */
#ifndef PW_BASE_ADDR_H
#define PW_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

/* An address, or a range when `prefix` is shorter than the address. Plain value, no ownership. */
struct pw_addr {
    uint8_t family; /* 4, 6; 0 when unset */
    uint8_t prefix; /* bits, 0..32 or 0..128 */
    uint8_t b[16];  /* network byte order; an IPv4 address is in the first 4, the rest zero */
};

#define PW_ADDR_STRLEN 52
#define PW_MAC_STRLEN 18

/* Parse "10.0.0.1", "10.0.0.0/8", "fd00::1/64" (no prefix means a single address). -EINVAL. */
int pw_addr_parse(const char *text, struct pw_addr *out, struct pw_err *err);
/* With prefix ("10.0.0.0/8") or without; returns buf. */
const char *pw_addr_text(const struct pw_addr *a, bool with_prefix, char buf[PW_ADDR_STRLEN]);
/* Whether `a` lies in `range`. */
bool pw_addr_in(const struct pw_addr *a, const struct pw_addr *range);
/* Whether the range `a` lies wholly in one of the `n` ranges. */
bool pw_addr_within(const struct pw_addr *a, const struct pw_addr *ranges, size_t n);
/* Same family and address; prefixes are not compared. */
bool pw_addr_same(const struct pw_addr *a, const struct pw_addr *b);
/* The range with all host bits cleared. */
struct pw_addr pw_addr_network(struct pw_addr a);

/* Parse "02:00:00:00:00:01" (colons or hyphens). -EINVAL; multicast and all-zero are refused. */
int pw_mac_parse(const char *text, uint8_t out[6], struct pw_err *err);
const char *pw_mac_text(const uint8_t mac[6], char buf[PW_MAC_STRLEN]);

#endif
