/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, routes, neighbours and routing rules. Changes go into a batch, see nlsock.h. */
#ifndef PW_NL_ROUTE_H
#define PW_NL_ROUTE_H

#include <linux/rtnetlink.h>

#include "loader/nl/nlsock.h"

/* Protocol number of routes that are ours, on nodes and in pods (free in linux/rtnetlink.h and in
 * iproute2's rt_protos). */
#define PW_RTPROT 119

/* An address of a device. */
struct pw_ifaddr {
    uint32_t ifindex;
    uint32_t flags; /* IFA_F_* */
    uint8_t scope;
    struct pw_addr addr; /* with its prefix */
};

/* Adds nothing that has to be waited for: no duplicate detection. With `no_prefix_route` no route
 * for the prefix is made. */
void pw_addr_add(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr,
                 bool no_prefix_route);
void pw_addr_del(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr);

/* Each entry of a list; a negative value ends the listing and is returned. After an interrupted
 * dump the list is told from its beginning, by `restart`. */
struct pw_list_cb {
    int (*fn)(const void *entry, void *arg, struct pw_err *err);
    void (*restart)(void *arg); /* may be NULL: entries may come twice */
    void *arg;
};
/* fn gets struct pw_ifaddr. `ifindex` 0: of all devices. */
int pw_addr_list(struct pw_nl *nl, uint32_t ifindex, const struct pw_list_cb *cb,
                 struct pw_err *err);

/* What a packet gets in front on a route into a tunnel device (lwtunnel). */
struct pw_encap {
    struct pw_addr dst,
        src;     /* of the outer header; family 0: no encapsulation, the kernel's choice */
    uint32_t id; /* VNI */
};

/* A route, or one next hop of it. */
struct pw_route {
    struct pw_addr dst; /* family must be set; prefix 0 is the default route */
    struct pw_addr gw;  /* family 0: none */
    struct pw_addr src; /* preferred source; family 0: none */
    uint32_t oif;
    uint32_t priority; /* 0: the kernel's choice */
    uint32_t table;    /* 0: main */
    uint32_t mtu;      /* 0: the device's */
    uint32_t advmss;
    uint8_t protocol; /* RTPROT_*; 0: PW_RTPROT */
    uint8_t scope;
    uint8_t type; /* RTN_*; 0: unicast */
    bool onlink;  /* the gateway need not be inside a connected range */
    struct pw_encap encap;
};

/* Replaces a route of the same destination, table and priority. */
void pw_route_replace(struct pw_nlbatch *b, const struct pw_route *r);
/* IPv4: behind others of the same destination; they are used by what is bound to the device. */
void pw_route_append(struct pw_nlbatch *b, const struct pw_route *r);
/* Fails with EEXIST where there is one. */
void pw_route_add(struct pw_nlbatch *b, const struct pw_route *r);
/* Success when there is none. */
void pw_route_del(struct pw_nlbatch *b, const struct pw_route *r);
/* fn gets struct pw_route, once for each next hop. `family` 4, 6. All tables, the local one too. */
int pw_route_list(struct pw_nl *nl, int family, const struct pw_list_cb *cb, struct pw_err *err);
/* The way to an address: `out` has the gateway (family 0 where it is on a segment of ours), the
 * device and the type. Negative errno, without a message, where there is none. */
int pw_route_get(struct pw_nl *nl, const struct pw_addr *to, struct pw_route *out);

struct pw_neigh {
    uint32_t ifindex;
    uint16_t state; /* NUD_* */
    struct pw_addr addr;
    uint8_t mac[6];
    bool has_mac;
};
/* A permanent entry, in place of any other. `router`: IPv6's path MTUs that were learned through a
 * gateway whose entry does not say so are forgotten after half a minute. */
void pw_neigh_replace(struct pw_nlbatch *b, uint32_t ifindex, const struct pw_addr *addr,
                      const uint8_t mac[6], bool router);
/* fn gets struct pw_neigh. */
int pw_neigh_list(struct pw_nl *nl, uint32_t ifindex, const struct pw_list_cb *cb,
                  struct pw_err *err);

/* A routing rule, as far as it matters here. */
struct pw_rule {
    uint8_t family; /* 4, 6 */
    uint8_t action; /* FR_ACT_* */
    uint32_t priority, table;
    bool selective; /* has any condition: mark, source, destination, device, ... */
    bool by_mark;
    bool by_other; /* by something other than mark, source, destination and device of arrival */
};
/* fn gets struct pw_rule. */
int pw_rule_list(struct pw_nl *nl, int family, const struct pw_list_cb *cb, struct pw_err *err);

#endif
