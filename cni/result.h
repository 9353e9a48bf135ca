/* SPDX-License-Identifier: Apache-2.0 */
/* Results (CNI 1.1.0, section 5): what IPAM says, what ADD answers, each in its own version. */
#ifndef PW_CNI_RESULT_H
#define PW_CNI_RESULT_H

#include "cni/ipam.h"

/* Read `ips`, `routes` and `dns` of a result of any version from 0.3.0 on. PW_CNI_DECODE. */
int pw_result_parse(const json_t *result, struct pw_ip_result *out, struct pw_err *err);

/* The same, with only the addresses of interface `ifname` inside the container; routes all.
 * PW_CNI_CONF where the result does not have the interface. */
int pw_result_parse_of(const json_t *result, const char *ifname, struct pw_ip_result *out,
                       struct pw_err *err);

/* Index of the container's interface in `interfaces` of a result, or -1. */
json_int_t pw_result_find_interface(const json_t *result, const char *ifname);

/* An interface for the answer. */
struct pw_result_if {
    const char *name;
    const uint8_t *mac; /* NULL: has none */
    uint32_t mtu;
    const char *sandbox;     /* NULL: on the host */
    const char *socket_path; /* NULL: none */
    size_t n_ips;            /* how many of the addresses it has, the first ones */
};

/* What ADD made. */
struct pw_result {
    enum pw_version version;
    const struct pw_result_if *ifs;
    size_t n_ifs;
    const struct pw_addr *ips;
    const struct pw_addr *gw4, *gw6; /* gateway of each family */
    const struct pw_ip_route *routes;
    size_t n_routes;
    const json_t *dns;  /* or NULL */
    const json_t *prev; /* result of the plugin before, kept and added to; or NULL */
};
/* New reference, or NULL without memory. */
json_t *pw_result_make(const struct pw_result *r);

/* An error as the runtime reads it. New reference, or NULL. */
json_t *pw_result_error(enum pw_version version, const struct pw_err *err);

#endif
