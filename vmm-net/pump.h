/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between one pair's rings and its tap: the only file that knows both. Straight from and
 * into guest memory, in batches: one publication of used buffers and at most one interrupt per
 * batch. Nothing is queued here: without receive buffers the tap is not read.
 */
#ifndef PW_VMM_PUMP_H
#define PW_VMM_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm-net/virtq.h"
#include "vmm-net/vnet.h"

#define PUMP_BATCH 64
#define PUMP_TX_IOV 2048
#define PUMP_RX_IOV VQ_MAX_SEGS

struct vn_pair;
struct vn_uring;

/* A frame of the guest's, ready to be written: iov[0] is our copy of its header. */
struct pump_frame {
    struct vq_chain c;
    struct vnet_hdr hdr;
    struct iovec *iov; /* NULL: dropped */
    uint16_t segs;
    uint32_t len; /* bytes after the header */
    int result;   /* bytes written or negative errno */
};

struct vn_pump {
    struct pump_frame tx[PUMP_BATCH];
    struct iovec tx_iov[PUMP_TX_IOV];
    uint64_t tx_gpa[PUMP_TX_IOV];
    bool tx_blocked; /* the tap is full: wait until it takes more */

    /* Receive buffers taken from the ring and not used yet, a queue: iov[iov_head..iov_tail). */
    struct vq_chain rx[PUMP_RX_IOV];
    struct iovec rx_iov[PUMP_RX_IOV + 1];
    uint64_t rx_gpa[PUMP_RX_IOV];
    unsigned rx_head, rx_tail, iov_head, iov_tail;
    unsigned rx_slots;
    uint64_t rx_bytes;
    bool rx_starved; /* waits for the guest to post buffers */
    bool rx_full;    /* no more fit here, whatever the guest posts */
    bool rx_timeout; /* the last sleep ended by its timeout */
    bool rx_force;   /* waited long enough: read with what is there */

    bool tap_gone;
    uint32_t tap_events; /* what epoll watches of the tap now */
    struct vn_uring *uring;
};

/* Move up to a batch in each direction; how many frames (and drops) there were. */
unsigned vn_pump_run(struct vn_pair *p);
/*
 * Before sleep: ask for kicks where they are needed and watch the tap. True: there is work after
 * all. *timeout_ms: sleep no longer (-1: for ever).
 */
bool vn_pump_arm(struct vn_pair *p, int *timeout_ms);
/* Put unused receive buffers back: before the control side looks at or changes the rings. */
void vn_pump_rewind(struct vn_pair *p);

#endif
