/* SPDX-License-Identifier: Apache-2.0 */
/* The network configuration on stdin (CNI 1.1.0, section 3, "Deriving request configuration"). */
#ifndef PW_CNI_CONF_H
#define PW_CNI_CONF_H

#include "cni/env.h"
#include "cni/json.h"
#include "loader/base/addr.h"
#include "loader/datapath.h"
#include "loader/tap.h"

/* Which device a pod gets; `auto` is netkit where the kernel has it, else veth. */
enum pw_choice {
    PW_CHOICE_AUTO = 0,
    PW_CHOICE_NETKIT = PW_DEV_NETKIT,
    PW_CHOICE_NETKIT_L2 = PW_DEV_NETKIT_L2,
    PW_CHOICE_VETH = PW_DEV_VETH,
    PW_CHOICE_TAP = PW_DEV_TAP,
    PW_CHOICE_POD_TAP = PW_DEV_POD_TAP,
    PW_CHOICE_VHOST_USER = PW_DEV_VHOST_USER,
};
const char *pw_choice_name(enum pw_choice c);
/* -1 when there is none of that name; for messages: all their names. */
int pw_choice_find(const char *name);
#define PW_CHOICE_NAMES "auto, netkit, netkit-l2, veth, tap, pod-tap, vhost-user"

/* Versions that are answered, the oldest first. */
enum pw_version {
    PW_V030,
    PW_V031,
    PW_V040,
    PW_V100,
    PW_V110,
    PW_VERSIONS,
};
extern const char *const pw_version_names[PW_VERSIONS];

#define PW_MAX_REQUESTED 16
#define PW_DEVICE_ANNOTATION "podwire.io/device"

/* A configuration as read. Owns `root` and `looked_up`; all else is a value or points into them. */
struct pw_netconf {
    json_t *root;
    enum pw_version version;
    const char *name;
    const char *closed;      /* why the network takes no pods; NULL: it does */
    const char *device_from; /* key by which the pod's namespace has 'device'; NULL: none */

    enum pw_choice device; /* the operator's */
    unsigned pod_devices;  /* bit set of enum pw_choice that a pod may ask for */
    uint32_t mtu;          /* 0: from the uplink */
    bool redirect_tap;     /* behind another plugin, which has the addresses: no IPAM of ours */
    bool autoconf;         /* virtual machines are told their configuration when they ask */
    const char *kata_dan;  /* folder of Kata's files, or NULL: none are written */
    struct pw_tap tap;     /* of kinds that have one; name "": by the interface's */
    struct {
        const char *socket;  /* its path, with {device}, {id}, {ifname}; NULL: by default */
        bool connect;        /* the VMM listens there */
        const char *program; /* the back-end; NULL: beside the plugin */
        bool vhost_net;      /* the kernel's vhost-net moves the frames */
    } vhost;
    struct pw_node_conf node;

    json_t *ipam; /* object */
    const char *ipam_type;
    unsigned ipam_timeout; /* seconds */
    json_t *dns;           /* top-level, or NULL */
    json_t *prev_result;   /* object or NULL */
    json_t *valid;         /* GC: list, NULL when the key is missing */
    json_t *ip_ranges;     /* capability; list or NULL */

    /* What podwired is asked about the pod, in ADD (cni/lookup.h). */
    const char *lookup;   /* podwired's socket; NULL: it is not asked */
    bool lookup_required; /* no ADD without its answer */
    json_t *looked_up;    /* its answer, which others point into; owned, or NULL */
    char unanswered[128]; /* why there is none; "": there is, or it was not asked */
    char by_lookup[256];  /* text of device_from */

    /* What the pod or its runtime asked for. */
    const char *pod_device;      /* NULL: nothing */
    const char *pod_device_from; /* "annotation podwire.io/device" ... */
    bool has_mac;
    struct pw_bandwidth from_pod, to_pod; /* capability bandwidth: egress, ingress */
    uint8_t mac[6];
    struct pw_addr requested[PW_MAX_REQUESTED];
    size_t n_requested;
};

/* Parse `text` for the command in `env`. PW_CNI_DECODE (no JSON), PW_CNI_VERSION, PW_CNI_CONF.
 * `*out` is set on success only; free it with pw_netconf_free. */
int pw_netconf_parse(const char *text, size_t len, const struct pw_env *env, struct pw_netconf *out,
                     struct pw_err *err);
void pw_netconf_free(struct pw_netconf *c);

/* The first of the configured uplinks that is no device of the node; NULL when all are there. */
const char *pw_netconf_no_uplink(const struct pw_netconf *c);

/* The version that `text` asks for, if it can be found, else the newest: for VERSION and for
 * errors about the rest. */
enum pw_version pw_netconf_version(const char *text, size_t len);

#define PW_NETCONF_INIT {.root = NULL}

#endif
