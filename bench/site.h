/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A site: two nodes joined by a veth wire, with pods on them. Every path gets a site of its own,
 * so that all paths are up at the same time (rounds are interleaved) and none sees another's
 * rules, routes or programs.
 */
#ifndef PW_BENCH_SITE_H
#define PW_BENCH_SITE_H

#include <jansson.h>
#include <stdbool.h>

#include "bench/gen.h"
#include "bench/lab.h"

enum nb_rules { NB_RULES_NFT, NB_RULES_IPTABLES };

/* What is set alike for all paths, and where programs are found. Strings are borrowed. */
struct nb_settings {
    int family;        /* 4 or 6 */
    const char *cc;    /* TCP congestion control */
    const char *qdisc; /* root qdisc of all devices; NULL: as the kernel gives it */
    unsigned mtu;      /* 0: 1500 */
    unsigned gso_max;  /* bytes; 0: 65536 */
    bool gro;          /* on the devices that have it */
    unsigned rules;    /* Services whose rules each node holds */
    enum nb_rules rules_kind;
    const char *cni_dir; /* the reference plugins */
    const char *podwire; /* the plugin */
    const char *podwirectl;
    bool taps;          /* frames will be written to guests' taps */
    bool deny_redirect; /* a test's wish: set up podwire paths with redirection off, unsaid */
};

enum nb_where {
    NB_LOCAL,       /* two pods of one node; host: loopback */
    NB_REMOTE_HOST, /* a pod to the other node's own network */
    NB_REMOTE_POD,  /* a pod to a pod of the other node */
    NB_WHERES
};
extern const char *const nb_where_name[NB_WHERES];
extern const char *const nb_where_title[NB_WHERES];

#define NB_PODS 4
enum { NB_POD_A1, NB_POD_A2, NB_POD_B1, NB_POD_PLAIN };

struct nb_pod {
    char name[16], id[40];
    int node; /* index of its node */
    int net;  /* owned */
    struct pw_addr addr;
    /* What the CNI result says besides the address; empty where it does not. */
    char gateway[PW_ADDR_STRLEN], mac[PW_MAC_STRLEN], host_if[16], socket[108];
    char dev[16];
    int guest;        /* owned: network of the guest behind a tap, -1 where there is none */
    int tap;          /* owned: what its VMM holds, -1 where it is not a tap */
    char plugin[256]; /* for DEL; empty: nothing was added */
    char *conf;       /* owned */
};

struct nb_site {
    const struct nb_settings *set;
    bool far;   /* pods on the second node too; else that is a plain host */
    bool plain; /* a container's pod on the first node, where the others are guests' */
    struct nb_node node[2];
    struct nb_end host[2];
    struct nb_pod pod[NB_PODS];
    /* Processes on the way, whose CPU time counts: those that play a VMM, ours to end (a bit each
     * in `ours`), and vhost-user back-ends. */
    pid_t helper[4 * NB_PODS];
    unsigned nhelpers, ours;
    int services[2];        /* of how many Services each node was seen to hold the rules */
    double add_ms[NB_PODS]; /* how long each ADD took */
};

/* Nodes, wire, addresses, routes. Owns everything; nb_site_drop also after a failure. */
int nb_site_make(struct nb_site *s, const struct nb_settings *set, const char *tag, bool far,
                 struct pw_err *err);
void nb_site_drop(struct nb_site *s);
/* Bring GRO, GSO sizes and queueing of every device to the settings, and load the rules. After the
 * path has been set up. */
int nb_site_tune(struct nb_site *s, struct pw_err *err);
/* The devices of all namespaces with what was really set (new reference). */
json_t *nb_site_describe(const struct nb_site *s);
/* The two ends of a measurement. `host`: the nodes themselves. False if that is not set up. */
bool nb_site_ends(const struct nb_site *s, enum nb_where where, bool host, struct nb_end *client,
                  struct nb_end *server);

/* The same for frames that are written to a guest's tap: from the first pod to the plain one, or to
 * the other host. */
bool nb_site_tap_ends(const struct nb_site *s, enum nb_where where, struct nb_end *client,
                      struct nb_end *server);

/* How many pods the measured path has at its ends: indexes 0..n-1 of pod[]; NB_POD_PLAIN is beside
 * them. */
unsigned nb_site_pods(const struct nb_site *s);
/* Make the network namespaces of all pods. */
int nb_site_pods_make(struct nb_site *s, struct pw_err *err);
/* CNI ADD of one pod by `plugin` with the network configuration `conf`; fills address, gateway, MAC
 * and the host's device from the result. DEL happens in nb_site_drop. */
int nb_cni_add(struct nb_site *s, struct nb_pod *pod, const char *plugin, const char *conf,
               struct pw_err *err);
/* Start a process that plays the VMM of a pod: frames between the device `tap` (of the pod's own
 * network when `in_pod`, else of the node's; made unless it is there) and eth0 of the guest. */
int nb_vmm_start(struct nb_site *s, struct nb_pod *pod, const char *tap, bool in_pod,
                 struct pw_err *err);

/* The same over the vhost-user socket that ADD named. */
int nb_vhost_start(struct nb_site *s, struct nb_pod *pod, struct pw_err *err);

/* Pod address range of a node ("10.244.1.0/24") in the wanted family. */
const char *nb_pod_range(const struct nb_site *s, int node);

#endif
