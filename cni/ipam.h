/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for an interface: by the built-in store or by another plugin (CNI 1.1.0, section 4).
 * Built in: what is given out is kept under PW_RUN_DIR/ipam/NETWORK, until DEL or GC.
 */
#ifndef PW_CNI_IPAM_H
#define PW_CNI_IPAM_H

#include "cni/req.h"

/* A route as a result has it. */
struct pw_ip_route {
    struct pw_addr dst, gw; /* gw.family 0: by the pod's gateway */
    uint32_t mtu, advmss, priority, table;
    uint32_t scope;
    bool has_table, has_scope;
};

/* What an interface gets. Owns `routes` and `dns`; free with pw_ip_result_free. */
#define PW_MAX_IPS 32
struct pw_ip_result {
    struct pw_addr ips[PW_MAX_IPS]; /* with the subnet's prefix */
    size_t n_ips;
    struct pw_ip_route *routes;
    size_t n_routes;
    json_t *dns; /* or NULL */
};
#define PW_IP_RESULT_INIT {.routes = NULL}
void pw_ip_result_free(struct pw_ip_result *r);

/* Give out addresses. On failure nothing is kept (a delegated plugin has been called with DEL). */
int pw_ipam_add(const struct pw_req *req, struct pw_ip_result *out, struct pw_err *err);
/* Release; success when nothing was given out. */
int pw_ipam_del(const struct pw_req *req, struct pw_err *err);
/* The addresses that are on record; -1 in `n` for a delegated plugin, which only its own CHECK
 * asks. */
int pw_ipam_check(const struct pw_req *req, const struct pw_addr *ips, size_t n,
                  struct pw_err *err);
int pw_ipam_status(const struct pw_req *req, struct pw_err *err);
/* Release all but the attachments in req->conf.valid, and in `left`, whose addresses are still in
 * use. A delegated plugin, which cannot be told of these, is called only when there are none. */
int pw_ipam_gc(const struct pw_req *req, const json_t *left, struct pw_err *err);

#endif
