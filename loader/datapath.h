/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datapath as user space sees it: programs and maps loaded once per boot and version, pinned
 * under PW_PIN_DIR; endpoints registered in them.
 *
 * Lifetimes. Everything that carries packets is pinned and outlives any process: the links
 * (links/NAME), the programs (progs/BUILD-ID/NAME, `current` names the one in use) and the maps
 * (maps-ABI/NAME). A handle (struct pw_dp) only holds file descriptors; closing it, or being
 * killed, changes nothing. pw_dp_ep_del removes an endpoint's links and entries, pw_dp_unload all.
 */
#ifndef PW_LOADER_DATAPATH_H
#define PW_LOADER_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/podwire.h"
#include "loader/base/addr.h"
#include "loader/autoconf.h"
#include "loader/base/err.h"

#define PW_PIN_DIR "/sys/fs/bpf/podwire"
#define PW_RUN_DIR "/run/podwire"
/* Host ends of all devices begin with this, so that one firewall rule can name them. */
#define PW_IF_PREFIX "pw-"

struct pw_dp;

/*
 * What one network's configuration says of the node as a whole. Plain value, no ownership. What
 * several networks of a node say is joined: ranges and uplinks are united, a yes outweighs a no.
 */
struct pw_node_conf {
    char network[132];                        /* its name; what it said before is replaced */
    char uplinks[PW_MAX_UPLINKS][16];         /* empty: found by the default routes */
    struct pw_addr native[2 * PW_MAX_RANGES]; /* cluster's ranges: not masqueraded */
    size_t n_native;
    struct pw_addr pods[2 * PW_MAX_RANGES]; /* this node's own pod ranges, when known */
    size_t n_pods;
    struct pw_addr services[2 * PW_MAX_RANGES]; /* parts of them that the stack must always see */
    size_t n_services;
    bool masquerade;     /* pods' packets to anywhere else; default on */
    bool ask_conntrack;  /* default on */
    bool forward_accept; /* add accept rules for PW_IF_PREFIX where FORWARD drops; default off */
    uint32_t mark;       /* default PW_MARK_DEFAULT */
};
#define PW_MARK_DEFAULT 0x1000U
#define PW_MARK_KUBE_PROXY 0xc000U /* bits that are taken */
void pw_node_conf_default(struct pw_node_conf *conf);

/* A bandwidth limit. */
struct pw_bandwidth {
    uint64_t rate;  /* bits per second; 0: none */
    uint64_t burst; /* bits; 0, or INT32_MAX and more (what runtimes write for "any"): ours */
};

/* An endpoint: one interface of one pod. The caller owns the arrays. */
struct pw_endpoint {
    uint32_t ifindex; /* host end */
    char ifname[16];
    enum pw_device device;
    uint32_t mtu;
    uint8_t mac[6]; /* pod's; zero for PW_DEV_NETKIT */
    uint8_t host_mac[6];
    const struct pw_addr *addrs;
    size_t n_addrs;
    struct pw_bandwidth from_pod, to_pod;
    /* What a virtual machine is told that asks for its configuration; NULL: it is not answered. For
     * pw_dp_ep_check it matters only whether there is one. */
    const struct pw_guest *guest;
};

/*
 * Open the pinned datapath; when nothing is pinned yet, load and pin it first (under a lock, so
 * that concurrent first callers load once) and apply `conf`. With `conf` NULL nothing is loaded:
 * -ENOENT when there is no datapath. -EPROTO when the one that is there has another PW_ABI.
 * The caller closes the handle.
 */
int pw_dp_open(struct pw_dp **out, const struct pw_node_conf *conf, struct pw_err *err);
/* As pw_dp_open, for whoever speaks for no network: loads when nothing is pinned, and applies what
 * the node's networks said before. *loaded: it was not there. */
int pw_dp_load(struct pw_dp **out, bool *loaded, struct pw_err *err);
void pw_dp_close(struct pw_dp *dp);
static inline void pw_dp_closep(struct pw_dp **dp)
{
    pw_dp_close(*dp);
    *dp = NULL;
}

/*
 * Register an endpoint: claim a counter slot, write its entries, attach and pin its programs. The
 * host end exists and is down (netkit: with policy blackhole); the caller brings it up afterwards.
 * Undone on failure. Registering the same interface again repairs what is missing.
 */
int pw_dp_ep_add(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err);

/*
 * Join a tap and the interface of a pod in the pod's namespace, which the calling thread is in:
 * what comes from either goes to the other. `ifindex` is the interface's, the tap's is by
 * PW_TAP_IFINDEX higher; `pair`: the interface is the end of a pair, whose other end gets what the
 * tap sends. `name` is the endpoint's host end, or another name without one; pw_dp_ep_del takes the
 * programs off with the rest.
 */
int pw_dp_tap_join(struct pw_dp *dp, const char *name, uint32_t ifindex, bool pair,
                   struct pw_err *err);
/* -ESTALE when they are not joined. */
int pw_dp_tap_check(const char *name, uint32_t ifindex, bool pair, struct pw_err *err);

/* Remove all of an endpoint, also when part of it, or the device, is gone already. `ifindex` may
 * be 0 when unknown. Entries of `addrs` are removed only where they still belong to the endpoint;
 * without `addrs` all of the device's are looked for. The device should be gone or down by then:
 * with its programs goes the source check. Success when the datapath is not loaded any more. */
int pw_dp_ep_del(struct pw_dp *dp, const char *ifname, uint32_t ifindex,
                 const struct pw_addr *addrs, size_t n_addrs, struct pw_err *err);

/* Whether entries and links of the endpoint are as pw_dp_ep_add leaves them; -ESTALE and what
 * differs when not. */
int pw_dp_ep_check(struct pw_dp *dp, const struct pw_endpoint *ep, struct pw_err *err);

/* Remove entries, slots and pins whose device no longer exists. `removed` (may be NULL) is how
 * many. */
int pw_dp_sweep(struct pw_dp *dp, size_t *removed, struct pw_err *err);

/*
 * Bring node-wide state in line with `conf`: programs on the uplinks, native ranges, the nftables
 * table, forwarding. Cheap when nothing changed (ADD calls it every time); what has no cheap sign
 * of change is looked at when the last look is 10 s old. NULL: what the networks said before.
 * -EDOM when what this node's networks say contradicts, or is too much together.
 */
int pw_node_sync(struct pw_dp *dp, const struct pw_node_conf *conf, struct pw_err *err);

/*
 * Where a datapath is loaded and this network has had a pod: bring the node in line as its next ADD
 * would, so that what somebody damaged is mended before. Else nothing. For whoever asks often.
 */
int pw_node_keep(const struct pw_node_conf *conf, struct pw_err *err);

/* What the devices of pods take over from the uplinks: the smallest of each. Zero where there is no
 * uplink. Sizes are those of BIG TCP, as of IFLA_GSO_MAX_SIZE and so on. */
struct pw_uplink_limits {
    size_t uplinks; /* how many there are */
    uint32_t mtu;
    uint32_t gso_max, gro_max, gso4_max, gro4_max;
};
int pw_node_uplink_limits(struct pw_dp *dp, struct pw_uplink_limits *out, struct pw_err *err);

/* Switch redirection on or off for the whole node; survives upgrades, not a reboot. */
int pw_node_redirect(struct pw_dp *dp, bool on, struct pw_err *err);

/*
 * Replace the programs that are loaded by those of this binary, link by link; the maps stay. At no
 * instant is a device without a program, and no packet is lost. Going back to an older version is
 * the same, with the older binary. Does nothing when they are in use already; finishes what a
 * killed call left. `moved` (may be NULL): how many links.
 */
int pw_dp_upgrade(size_t *moved, struct pw_err *err);

/* Remove everything: links, programs, maps, nftables table, files. -EBUSY while endpoints exist,
 * unless `force`, which leaves their devices without programs and sets them down first. Success
 * when nothing is loaded. */
int pw_dp_unload(bool force, struct pw_err *err);

/* Something that keeps the node from taking pods (fatal) or makes it slower or unsafe. */
struct pw_problem {
    bool fatal;
    bool limits;      /* pods that are connected suffer too */
    char text[256];   /* what is wrong, one sentence */
    char remedy[256]; /* what to do */
};
/* Fill at most `max`; returns how many there are. Needs no loaded datapath. */
size_t pw_node_problems(const struct pw_node_conf *conf, struct pw_problem *out, size_t max);

/* What the running kernel can do, found by doing it (creating and reading back), never by version;
 * kept in PW_RUN_DIR per boot. */
struct pw_features {
    bool tcx, netkit, netkit_scrub, netkit_room, redirect_peer, ct_lookup;
};
int pw_features_get(struct pw_features *out, struct pw_err *err);

#endif
