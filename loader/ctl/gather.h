/* SPDX-License-Identifier: Apache-2.0 */
/* What podwirectl shows of endpoints, put together from the maps, the kernel's devices and the
 * plugin's records. */
#ifndef PW_CTL_GATHER_H
#define PW_CTL_GATHER_H

#include "loader/ctl/ctl.h"
#include "loader/kind.h"

struct ctl_reason {
    const struct pw_reason_text *reason; /* NULL: a number that this version does not know */
    uint16_t number, dir;                /* enum pw_direction */
    struct pw_count count;
};

struct ctl_ep {
    struct pw_ep ep;
    char ifname[16]; /* "" when the device is gone */
    bool up;
    struct pw_addr *addrs; /* owned */
    size_t n_addrs;
    struct pw_counters counters;
    struct pw_count stack, dropped, answered; /* of packets from the pod and to it */
    struct ctl_reason *reasons;               /* owned; most packets first */
    size_t n_reasons;
    uint64_t rx_dropped, tx_dropped; /* by the host end, as the kernel counts */
    struct pw_limit limit[2];        /* by enum pw_direction; rate 0: none */
    json_t *record;                  /* the plugin's; owned; NULL when there is none */
};

struct ctl_eps {
    struct ctl_ep *ep; /* owned; by name of the device */
    size_t n;
    struct ctl_reason *unowned; /* owned; counted for no endpoint */
    size_t n_unowned;
};

int ctl_gather(struct pw_dp *dp, struct ctl_eps *out, struct pw_err *err);
void ctl_eps_free(struct ctl_eps *eps);
#define ctl_eps_auto __attribute__((cleanup(ctl_eps_free))) struct ctl_eps

/* "namespace/name" of the pod, else the beginning of the container's id, else "". */
const char *ctl_pod_name(const struct ctl_ep *ep, char buf[96]);
/* Find an endpoint by address; NULL. */
const struct ctl_ep *ctl_find_addr(const struct ctl_eps *eps, const struct pw_addr *a);
/* By device, "namespace/pod", pod, or the beginning of a container id; NULL. */
const struct ctl_ep *ctl_find_name(const struct ctl_eps *eps, const char *name);
/* By any of these; NULL with -ENOENT in `err`, saying what one may ask for. */
const struct ctl_ep *ctl_find(const struct ctl_eps *eps, const char *word, struct pw_err *err);

/* Bits that may go at once. */
uint64_t ctl_limit_burst(const struct pw_limit *l);

json_t *ctl_count_json(const struct pw_count *c);
json_t *ctl_reason_json(const struct ctl_reason *r);
json_t *ctl_ep_json(const struct ctl_ep *ep);

#endif
