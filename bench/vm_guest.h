/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that costs nothing: it sends one frame over and over and counts what comes, either
 * through a tap that is written and read as a VMM would, or through the rings of libvmmnet with
 * that tap behind them. It never waits for an interrupt: what is measured is the wiring.
 */
#ifndef PW_BENCH_VM_GUEST_H
#define PW_BENCH_VM_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"

#define NB_GUEST_FRAME 65600 /* the largest frame, virtio-net header included */

struct nb_guest {
    int tap;            /* owned; by `net` when there is one */
    struct vmmnet *net; /* the back-end, NULL: the tap itself */
    uint8_t *mem;       /* guest memory; without rings: frame and receive buffer */
    size_t len;         /* of the frame to send, header included */
    int kick[2], call[2];
    uint16_t avail[2], used[2];
};

/* Open a tap of this network namespace. With `rings` a back-end of one worker, pinned to
 * `worker_cpu`, stands before it. Closed by nb_guest_close. */
int nb_guest_open(struct nb_guest *g, const char *tap, bool rings, int worker_cpu,
                  struct pw_err *err);
void nb_guest_close(struct nb_guest *g);
/* The frame to send: virtio-net header (12 bytes) and Ethernet frame. */
void nb_guest_frame(struct nb_guest *g, const void *frame, size_t len);
/* Send it up to n times; how often it was taken. */
unsigned nb_guest_send(struct nb_guest *g, unsigned n);
/* One frame, if there is one: its length without header, else 0. Its first bytes, as far as they
 * fit into one buffer, are at *frame until the next call. */
size_t nb_guest_receive(struct nb_guest *g, const uint8_t **frame);

#endif
