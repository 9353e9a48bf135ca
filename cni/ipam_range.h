/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of the built-in IPAM, written as those of the reference plugin host-local: `ipam.ranges`,
 * a list of sets (one address from each), each a list of ranges (tried in order). No system calls.
 */
#ifndef PW_CNI_IPAM_RANGE_H
#define PW_CNI_IPAM_RANGE_H

#include "cni/conf.h"

#define PW_IPAM_BUILTIN "podwire"
#define PW_MAX_SETS PW_MAX_REQUESTED

struct pw_range {
    unsigned set;
    struct pw_addr subnet;
    struct pw_addr first, last; /* that may be given out, inclusive */
    struct pw_addr gateway;     /* never given out; family 0: none */
};

/* All ranges, those of one set next to each other. Owns its arrays. */
struct pw_ranges {
    struct pw_range *list;
    size_t n;
    unsigned sets;
    struct pw_addr *exclude; /* never given out, whatever the range */
    size_t n_exclude;
};
#define PW_RANGES_INIT {.list = NULL}
void pw_ranges_free(struct pw_ranges *r);

/* The configuration's ranges, the capability ipRanges before them. PW_CNI_CONF. */
int pw_ranges_read(const struct pw_netconf *conf, struct pw_ranges *out, struct pw_err *err);

/* Only the subnets, each once. */
int pw_ipam_subnets(const struct pw_netconf *conf, struct pw_addr *out, size_t max, size_t *n,
                    struct pw_err *err);

/* Addresses as numbers, for counting. */
typedef unsigned __int128 pw_num;
pw_num pw_addr_num(const struct pw_addr *a);
struct pw_addr pw_num_addr(pw_num n, int family);

/* The first number from `n` on that is neither excluded nor the gateway; may be beyond last. */
pw_num pw_range_skip(const struct pw_ranges *all, const struct pw_range *r, pw_num n);
/* Whether the address may be given out of the range, also on request. */
bool pw_range_has(const struct pw_ranges *all, const struct pw_range *r, const struct pw_addr *a);

#endif
