/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user conversation: one table row per request says payload size, descriptors and what
 * must have been negotiated; the dispatcher checks the row before the handler runs.
 */
#ifndef PW_VMM_PROTO_H
#define PW_VMM_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "vmm-net/vmmnet.h"
#include "vmm-net/wire.h"

/* What we speak. */
#define VN_PROTOCOL_FEATURES                                                                       \
    (1ull << VU_PF_MQ | 1ull << VU_PF_LOG_SHMFD | 1ull << VU_PF_RARP | 1ull << VU_PF_REPLY_ACK |   \
     1ull << VU_PF_NET_MTU | 1ull << VU_PF_BACKEND_REQ | 1ull << VU_PF_CONFIG |                    \
     1ull << VU_PF_INFLIGHT_SHMFD | 1ull << VU_PF_RESET_DEVICE |                                   \
     1ull << VU_PF_CONFIGURE_MEM_SLOTS | 1ull << VU_PF_STATUS | 1ull << VU_PF_DEVICE_STATE)

/* One connection. */
struct vn_proto {
    struct vmmnet *dev;
    int sock;          /* -1: replies are thrown away (fuzzing) */
    uint64_t features; /* protocol features acked */
    int backend_req;
    int state_fd; /* device state being loaded */
    bool state_bad;
    struct vu_msg in;
};

/* sock is taken on success. */
int vn_proto_new(struct vmmnet *dev, int sock, struct vn_proto **out, struct pw_err *err);
/* Close everything of the connection; the device is not touched. */
void vn_proto_free(struct vn_proto *p);

/*
 * Check and handle one whole message; its descriptors are gone afterwards. Negative: the
 * connection must end. A request that is refused but answered is no error.
 */
int vn_proto_dispatch(struct vn_proto *p, struct vu_msg *m, struct pw_err *err);
/* Tell the front-end that the config space changed, if it wants to know. */
void vn_proto_config_changed(struct vn_proto *p);

/* ---- handlers of proto_dev.c and proto_ring.c ---- */

enum vn_answer {
    VN_DONE = 0,  /* acknowledge if asked to */
    VN_REPLY = 1, /* m->p and m->h.size are the reply, *fd goes with it (and is closed) */
};

typedef int vn_handler(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err);

vn_handler vn_h_get_features, vn_h_set_features, vn_h_owner, vn_h_reset_owner, vn_h_mem_table,
    vn_h_log_base, vn_h_log_fd, vn_h_get_protocol, vn_h_set_protocol, vn_h_queue_num, vn_h_rarp,
    vn_h_mtu, vn_h_backend_req, vn_h_get_config, vn_h_set_config, vn_h_get_inflight,
    vn_h_set_inflight, vn_h_reset, vn_h_max_slots, vn_h_add_mem, vn_h_rem_mem, vn_h_set_status,
    vn_h_get_status, vn_h_state_fd, vn_h_check_state;
vn_handler vn_h_ring_num, vn_h_ring_addr, vn_h_ring_base, vn_h_ring_get_base, vn_h_ring_kick,
    vn_h_ring_call, vn_h_ring_err, vn_h_ring_enable;

#endif
