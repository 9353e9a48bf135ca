/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of vm-rate share: the ways, the works, and one measurement. */
#ifndef PW_BENCH_VM_H
#define PW_BENCH_VM_H

#include "bench/site.h"
#include "bench/vm_guest.h"

enum vm_wiring {
    VM_MIRRED_PTP,  /* the reference ptp plugin's veth, a tap in the pod joined to it by tc */
    VM_MIRRED_OURS, /* the same with podwire's veth */
    VM_TAP,         /* podwire's tap in the node's namespace */
    VM_POD_TAP,     /* podwire's tap in the pod's */
};

/* A way: a node with the guest's pod and the pod that it talks to. */
struct vm_lane {
    const char *name, *title;
    enum vm_wiring wiring;
    bool rings; /* libvmmnet between guest and tap, in this process */
    bool dpdk;  /* podwire-vhost there, DPDK's virtio-user as guest: no guest of ours */
    struct nb_site site;
    struct nb_guest guest;
    char tap[16];
    uint8_t mac[6], gateway[6];
    int counters; /* /proc/net/dev of the pod that frames go to */
    int sink;     /* the program that ends them there */
    bool up, has_site;
    char why[PW_ERR_LEN];
};

struct vm_work {
    const char *name, *title, *unit;
    bool down, request;
    size_t size; /* of the frame */
    double scale;
};

struct vm_how {
    struct nb_settings set;
    double seconds;
    bool masquerade; /* by podwire, and by ptp */
    int cpu[2];      /* of the guest (and of a pod that sends to it), of the back-end */
};

/* Set a way up; vm_lane_down in any case. The calling thread is in the tap's network then. */
int vm_lane_up(struct vm_lane *l, const struct vm_how *how, struct pw_err *err);
void vm_lane_down(struct vm_lane *l);
/* MAC address of a device. */
int vm_link_mac(const struct nb_spot *at, const char *dev, uint8_t mac[6], struct pw_err *err);
/* Frames and bytes that have come to the pod. */
bool vm_counted(const struct vm_lane *l, uint64_t *frames, uint64_t *bytes);
/* Pin the calling thread. */
void vm_pin(int cpu);

/* Rate in the work's unit (its time, where it is a request), and CPU seconds for each GB. */
int vm_measure(struct vm_lane *l, const struct vm_work *w, const struct vm_how *how, double *rate,
               double *cpu_gb, struct pw_err *err);

/* ---- DPDK's virtio-user as the guest (vm_dpdk.c) ---- */

enum vm_backend { VM_OURS, VM_DPDK };
/* Whether dpdk-testpmd and `vhost` are there; else why not. */
bool vm_dpdk_available(const char *vhost, char why[200]);
/* Rings alone: Mpps of 64 bytes that a back-end takes and throws away. `options` of virtio-user. */
int vm_dpdk_rings(const char *vhost, enum vm_backend b, const char *options,
                  const struct vm_how *how, double *mpps, struct pw_err *err);
/* podwire-vhost before the way's tap: Mpps of 64 bytes that reach the pod, the back-end's CPU
 * seconds for each GB, and what it holds in memory, KiB (guest memory apart). */
int vm_dpdk_up(const char *vhost, struct vm_lane *l, const struct vm_how *how, double *mpps,
               double *cpu_gb, double *kib, struct pw_err *err);

#endif
