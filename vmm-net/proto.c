// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/proto.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/dev.h"

/* Messages handled in one go before the event loop gets its turn. */
#define MESSAGES_AT_ONCE 32

#define ANY_PF (-1)

/* The index of the ring a message is about, for the dispatcher's range check. */
enum index_in { NO_INDEX, IN_STATE, IN_U64 };

struct row {
    const char *name;
    vn_handler *handle;
    uint16_t size, size_max; /* payload bytes; size_max 0: exactly `size` */
    uint8_t fds, fds_max;    /* descriptors; fds_max 0: exactly `fds` */
    int8_t need;             /* protocol feature bit that must have been acked */
    bool featured;           /* only after SET_FEATURES */
    bool replies;            /* has a reply of its own: a refusal ends the connection */
    enum index_in index;
};

#define U64 sizeof(uint64_t)
#define STATE sizeof(struct vu_state)
#define MEM_MIN (8 + sizeof(struct vu_region))

static const struct row table[VU_REQUEST_MAX] = {
    [VU_GET_FEATURES] = {"GET_FEATURES", vn_h_get_features, .need = ANY_PF, .replies = true},
    [VU_SET_FEATURES] = {"SET_FEATURES", vn_h_set_features, U64, .need = ANY_PF},
    [VU_SET_OWNER] = {"SET_OWNER", vn_h_owner, .need = ANY_PF},
    [VU_RESET_OWNER] = {"RESET_OWNER", vn_h_reset_owner, .need = ANY_PF},
    [VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", vn_h_mem_table, MEM_MIN, sizeof(struct vu_memory), 1,
                          VU_MAX_FDS, .need = ANY_PF},
    [VU_SET_LOG_BASE] = {"SET_LOG_BASE", vn_h_log_base, sizeof(struct vu_log), .fds = 1,
                         .need = VU_PF_LOG_SHMFD, .replies = true},
    [VU_SET_LOG_FD] = {"SET_LOG_FD", vn_h_log_fd, 0, U64, .fds = 1, .need = ANY_PF},
    [VU_SET_VRING_NUM] = {"SET_VRING_NUM", vn_h_ring_num, STATE, .need = ANY_PF, .index = IN_STATE},
    [VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", vn_h_ring_addr, sizeof(struct vu_addr), .need = ANY_PF,
                           .index = IN_STATE},
    [VU_SET_VRING_BASE] = {"SET_VRING_BASE", vn_h_ring_base, STATE, .need = ANY_PF,
                           .index = IN_STATE},
    [VU_GET_VRING_BASE] = {"GET_VRING_BASE", vn_h_ring_get_base, STATE, .need = ANY_PF,
                           .replies = true, .index = IN_STATE},
    [VU_SET_VRING_KICK] = {"SET_VRING_KICK", vn_h_ring_kick, U64, .fds_max = 1, .need = ANY_PF,
                           .index = IN_U64},
    [VU_SET_VRING_CALL] = {"SET_VRING_CALL", vn_h_ring_call, U64, .fds_max = 1, .need = ANY_PF,
                           .index = IN_U64},
    [VU_SET_VRING_ERR] = {"SET_VRING_ERR", vn_h_ring_err, U64, .fds_max = 1, .need = ANY_PF,
                          .index = IN_U64},
    [VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", vn_h_get_protocol, .need = ANY_PF,
                                  .replies = true},
    [VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", vn_h_set_protocol, U64, .need = ANY_PF},
    [VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", vn_h_queue_num, .need = VU_PF_MQ, .replies = true},
    [VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", vn_h_ring_enable, STATE, .need = ANY_PF,
                             .index = IN_STATE},
    [VU_SEND_RARP] = {"SEND_RARP", vn_h_rarp, U64, .need = VU_PF_RARP},
    [VU_NET_SET_MTU] = {"NET_SET_MTU", vn_h_mtu, U64, .need = VU_PF_NET_MTU},
    [VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", vn_h_backend_req, 0, U64, .fds = 1,
                               .need = VU_PF_BACKEND_REQ},
    [VU_GET_CONFIG] = {"GET_CONFIG", vn_h_get_config, 12, 12 + VU_CONFIG_MAX, .need = VU_PF_CONFIG,
                       .replies = true},
    [VU_SET_CONFIG] = {"SET_CONFIG", vn_h_set_config, 12, 12 + VU_CONFIG_MAX, .need = VU_PF_CONFIG},
    [VU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", vn_h_get_inflight, 20, 24,
                            .need = VU_PF_INFLIGHT_SHMFD, .featured = true, .replies = true},
    [VU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", vn_h_set_inflight, 20, 24, 1,
                            .need = VU_PF_INFLIGHT_SHMFD, .featured = true},
    [VU_RESET_DEVICE] = {"RESET_DEVICE", vn_h_reset, .need = VU_PF_RESET_DEVICE},
    [VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", vn_h_max_slots,
                              .need = VU_PF_CONFIGURE_MEM_SLOTS, .replies = true},
    [VU_ADD_MEM_REG] = {"ADD_MEM_REG", vn_h_add_mem, sizeof(struct vu_mem_reg), .fds = 1,
                        .need = VU_PF_CONFIGURE_MEM_SLOTS},
    [VU_REM_MEM_REG] = {"REM_MEM_REG", vn_h_rem_mem, sizeof(struct vu_mem_reg), .fds_max = 1,
                        .need = VU_PF_CONFIGURE_MEM_SLOTS},
    [VU_SET_STATUS] = {"SET_STATUS", vn_h_set_status, U64, .need = VU_PF_STATUS},
    [VU_GET_STATUS] = {"GET_STATUS", vn_h_get_status, .need = VU_PF_STATUS, .replies = true},
    [VU_SET_DEVICE_STATE_FD] = {"SET_DEVICE_STATE_FD", vn_h_state_fd,
                                sizeof(struct vu_device_state), .fds = 1,
                                .need = VU_PF_DEVICE_STATE, .replies = true},
    [VU_CHECK_DEVICE_STATE] = {"CHECK_DEVICE_STATE", vn_h_check_state, .need = VU_PF_DEVICE_STATE,
                               .replies = true},
};

/* Everything about a message that can be judged without its meaning. */
static int check(const struct vn_proto *p, const struct row *r, const struct vu_msg *m,
                 struct pw_err *err)
{
    unsigned size_max = r->size_max ? r->size_max : r->size;
    unsigned fds_max = r->fds_max ? r->fds_max : r->fds;

    if (m->h.size < r->size || m->h.size > size_max)
        return pw_err_set(err, -EPROTO, "%s: payload of %u bytes", r->name, m->h.size);
    if (m->nfds < r->fds || m->nfds > fds_max)
        return pw_err_set(err, -EPROTO, "%s: %u descriptors", r->name, m->nfds);
    if (r->need != ANY_PF && !(p->features >> r->need & 1))
        return pw_err_set(err, -EPROTO, "%s: protocol feature %d was not negotiated", r->name,
                          r->need);
    if (r->featured && !p->dev->have_features)
        return pw_err_set(err, -EPROTO, "%s: before SET_FEATURES", r->name);

    uint64_t ring = 0;
    if (r->index == IN_STATE)
        ring = m->p.state.index;
    if (r->index == IN_U64) {
        if (m->p.u64 & ~(uint64_t)(VU_VRING_IDX_MASK | VU_VRING_NOFD))
            return pw_err_set(err, -EPROTO, "%s: unknown bits in 0x%llx", r->name,
                              (unsigned long long)m->p.u64);
        if (!!(m->p.u64 & VU_VRING_NOFD) == (m->nfds == 1))
            return pw_err_set(err, -EPROTO, "%s: descriptor and its flag disagree", r->name);
        ring = m->p.u64 & VU_VRING_IDX_MASK;
    }
    if (r->index != NO_INDEX && ring >= 2ull * p->dev->npairs)
        return pw_err_set(err, -EINVAL, "%s: ring %llu of %u", r->name, (unsigned long long)ring,
                          2 * p->dev->npairs);
    return 0;
}

static int reply(struct vn_proto *p, struct vu_msg *m, int fd, struct pw_err *err)
{
    m->h.flags = VU_VERSION | VU_REPLY;
    if (p->sock < 0)
        return 0;
    int rc = vu_send(p->sock, m, fd);
    return rc ? pw_err_errno(err, rc, "the front-end does not read its replies") : 0;
}

int vn_proto_dispatch(struct vn_proto *p, struct vu_msg *m, struct pw_err *err)
{
    static const struct row unknown = {"unknown request", .need = ANY_PF};
    const struct row *r = m->h.request < VU_REQUEST_MAX && table[m->h.request].handle
                              ? &table[m->h.request]
                              : &unknown;
    bool ack = (m->h.flags & VU_NEED_REPLY) && (p->features >> VU_PF_REPLY_ACK & 1);
    pw_fd out = -1;
    int rc;

    p->dev->stats->messages++;
    if (!r->handle)
        rc = pw_err_set(err, -ENOSYS, "request %u is not known", m->h.request);
    else if (!(rc = check(p, r, m, err)))
        rc = r->handle(p, m, &out, err);

    bool refused = rc < 0;
    if (refused) {
        p->dev->stats->bad_messages++;
        if (err)
            vn_dev_note(p->dev, err->msg);
    }
    if (rc == VN_REPLY) {
        rc = reply(p, m, out, err);
    } else if (ack && !r->replies) {
        m->p.u64 = refused ? 1 : 0;
        m->h.size = sizeof(m->p.u64);
        rc = reply(p, m, -1, err);
    } else if (!r->handle) {
        rc = 0; /* nobody waits for an answer to what we do not know */
    }
    vu_msg_reset(m);
    return rc < 0 ? rc : 0;
}

int vn_proto_new(struct vmmnet *dev, int sock, struct vn_proto **out, struct pw_err *err)
{
    struct vn_proto *p = calloc(1, sizeof(*p));

    if (!p)
        return pw_err_set(err, -ENOMEM, "connection: out of memory");
    *p = (struct vn_proto){
        .dev = dev, .sock = sock, .backend_req = -1, .state_fd = -1, .in = VU_MSG_INIT};
    *out = p;
    return 0;
}

void vn_proto_free(struct vn_proto *p)
{
    if (!p)
        return;
    vu_msg_reset(&p->in);
    pw_closep(&p->sock);
    pw_closep(&p->backend_req);
    pw_closep(&p->state_fd);
    free(p);
}

void vn_proto_config_changed(struct vn_proto *p)
{
    struct vu_msg m = VU_MSG_INIT;

    if (p->backend_req < 0 || !(p->features >> VU_PF_CONFIG & 1))
        return;
    m.h = (struct vu_hdr){.request = VU_BACKEND_CONFIG_CHANGE, .flags = VU_VERSION};
    if (vu_send(p->backend_req, &m, -1))
        pw_closep(&p->backend_req);
}

/* ---- the public side ---- */

int vmmnet_connection(struct vmmnet *dev, int sock, struct pw_err *err)
{
    if (dev->proto)
        return pw_err_set(err, -EBUSY, "a front-end is connected already");
    int rc = vn_proto_new(dev, sock, &dev->proto, err);
    if (!rc) {
        dev->stats->connections++;
        dev->stats->connected = 1;
    }
    return rc;
}

int vmmnet_fd(const struct vmmnet *dev)
{
    return dev->proto ? dev->proto->sock : -1;
}

int vmmnet_handle(struct vmmnet *dev, struct pw_err *err)
{
    struct vn_proto *p = dev->proto;
    int rc = 0;

    if (!p)
        return pw_err_set(err, -ENOTCONN, "no front-end is connected");
    for (unsigned i = 0; i < MESSAGES_AT_ONCE && rc >= 0; i++) {
        rc = vu_recv(p->sock, &p->in);
        if (!rc)
            return 0;
        if (rc == -ECONNRESET)
            pw_err_set(err, rc, "the front-end closed the connection");
        else if (rc < 0)
            pw_err_errno(err, rc, "not a vhost-user message");
        else
            rc = vn_proto_dispatch(p, &p->in, err);
    }
    if (rc < 0) {
        if (rc != -ECONNRESET)
            dev->stats->bad_messages += rc == -EPROTO;
        vmmnet_disconnect(dev);
    }
    return rc < 0 ? rc : 0;
}

void vmmnet_disconnect(struct vmmnet *dev)
{
    if (!dev->proto)
        return;
    vn_proto_free(dev->proto);
    dev->proto = NULL;
    dev->stats->connected = 0;
    vn_dev_reset(dev, false);
}
