/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be made, worked out from the request, the kernel's features, the uplinks and what IPAM
 * gave. Pure: no system calls, so it is tested without a kernel.
 */
#ifndef PW_CNI_PLAN_H
#define PW_CNI_PLAN_H

#include "cni/ipam.h"
#include "loader/nl/link.h"
#include "loader/nl/route.h"
#include "loader/vhost.h"

/* MAC of every host end, and the gateway of every pod: the same everywhere, so that a pod that
 * moves (CRIU, a VM) keeps its neighbours. */
extern const uint8_t pw_host_mac[6];
extern const struct pw_addr pw_gateway4, pw_gateway6;

/* Host end of an attachment: PW_IF_PREFIX and 11 hex digits of a hash. */
void pw_plan_host_if(const char *container_id, const char *ifname, char out[16]);
/* The tap beside an interface in the pod's namespace, named as KubeVirt wants it: tap0 beside eth0,
 * tap37a8eec1ce1 beside pod37a8eec1ce1. */
void pw_plan_tap_name(const char *ifname, char out[16]);

/* Which device, from what the operator and the pod say and the kernel has. */
struct pw_plan_device {
    enum pw_choice asked;
    enum pw_device device;
    char why[192];
};
int pw_plan_device(const struct pw_netconf *conf, const struct pw_features *features,
                   struct pw_plan_device *out, struct pw_err *err);

struct pw_kind;

struct pw_plan_route {
    struct pw_route route;        /* oif is filled in later */
    const struct pw_ip_route *of; /* what the configuration says; NULL for our own */
    bool append;                  /* each interface of the pod has its own */
    bool may_exist;               /* another interface of the pod may have it already */
};

/* Owns `routes`; free with pw_plan_free. */
struct pw_plan {
    struct pw_plan_device choice;
    char host_if[16];
    uint32_t mtu;
    bool l2;
    uint8_t mac[6];
    bool has4, has6;
    struct pw_addr ips[PW_MAX_IPS];   /* with full prefix, as set on the device */
    struct pw_addr shown[PW_MAX_IPS]; /* as the result has them */
    size_t n_ips;
    struct pw_addr gw4, gw6;      /* the result's gateways */
    struct pw_plan_route *routes; /* in the pod */
    size_t n_routes;
    const struct pw_kind *kind;
    struct pw_pair pair;   /* names point into the plan and the request; pod.netns is not set */
    struct pw_tap tap;     /* kinds with a tap; its index is not set */
    struct pw_vhost vhost; /* kind vhost-user */
};
#define PW_PLAN_INIT {.routes = NULL}

int pw_plan_make(const struct pw_req *req, const struct pw_plan_device *choice,
                 const struct pw_features *features, const struct pw_uplink_limits *limits,
                 const struct pw_ip_result *ips, struct pw_plan *out, struct pw_err *err);
void pw_plan_free(struct pw_plan *p);

#endif
