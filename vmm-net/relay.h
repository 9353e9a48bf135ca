/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay: a pair's rings handed to the kernel's vhost-net (linux/vhost.h), control stays here.
 * The kernel takes the worker's place and its gate is the back-end descriptor: a pause takes the
 * rings back, a resume hands over what may run then. So whatever is configured between the two is
 * never half done, and while a ring is back the kernel holds nothing of the front-end's for it.
 *
 * The kernel is told only what was checked here before: addresses are those of our own mappings,
 * whole rings lie in them, the dirty log covers all memory that there is (the kernel would write
 * past its end).
 */
#ifndef PW_VMM_RELAY_H
#define PW_VMM_RELAY_H

#include <stdint.h>

#include "loader/base/err.h"

struct vn_pair;

/* Check that `fd` is an open /dev/vhost-net; *features gets the virtio feature bits it can do. */
int vn_relay_probe(int fd, uint64_t *features, struct pw_err *err);
/* The feature bits of `offer` that a device has whose rings the kernel serves. */
uint64_t vn_relay_offer(uint64_t offer, uint64_t kernel);

/* Take the pair's rings back; their positions are where the kernel stopped. */
void vn_relay_detach(struct vn_pair *p);
/* Hand over the rings that are live and enabled. One that the kernel refuses is failed. */
void vn_relay_attach(struct vn_pair *p);
/* Back to the state after open: the kernel forgets our memory. Call it detached. */
void vn_relay_reset(struct vn_pair *p);

#endif
