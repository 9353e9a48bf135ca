/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtual machine is told when it asks for its configuration: the options of the answers
 * that the programs give to DHCP (RFC 2131, 2132, 3397, 3442), router solicitations (RFC 4861,
 * 4191, 8106) and DHCPv6 (RFC 8415, 3646).
 */
#ifndef PW_LOADER_AUTOCONF_H
#define PW_LOADER_AUTOCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/podwire.h"
#include "loader/base/addr.h"
#include "loader/base/err.h"

/* By another name server than the first three of a family no resolver asks. */
#define PW_AUTOCONF_DNS 6
#define PW_AUTOCONF_SEARCH 6 /* of resolv.conf */
#define PW_AUTOCONF_ROUTES 24

/* Plain value; the names belong to the caller. */
struct pw_autoconf {
    struct pw_addr ip4, ip6; /* with their subnets' prefix; family 0: none */
    struct pw_addr gw4;      /* next hop; IPv6's is fe80::1 */
    struct {
        struct pw_addr dst;
        bool onlink; /* IPv4: not by the next hop */
    } routes[PW_AUTOCONF_ROUTES];
    size_t n_routes;
    struct pw_addr dns[PW_AUTOCONF_DNS];
    size_t n_dns;
    const char *domain; /* or NULL */
    const char *search[PW_AUTOCONF_SEARCH];
    size_t n_search;
    uint32_t mtu;
    uint8_t mac[6], host_mac[6];
};

/* -ENOSPC when it is more than answers have room for, -EINVAL when a name is none. */
int pw_autoconf_make(const struct pw_autoconf *conf, struct pw_guest *out, struct pw_err *err);

#endif
