// SPDX-License-Identifier: Apache-2.0
/* Requests about one ring. The dispatcher has checked size, descriptors and the ring's index. */
#include "vmm-net/dev.h"
#include "vmm-net/proto.h"

#include "loader/base/cleanup.h"

int vn_h_ring_num(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_num(p->dev, m->p.state.index, m->p.state.num, err);
}

int vn_h_ring_addr(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_addr(p->dev, m->p.addr.index, &m->p.addr, false, err);
}

int vn_h_ring_base(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_base(p->dev, m->p.state.index, m->p.state.num, err);
}

int vn_h_ring_get_base(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    (void)err;
    m->p.state.num = vn_ring_stop(p->dev, m->p.state.index);
    m->h.size = sizeof(m->p.state);
    return VN_REPLY;
}

static unsigned index_of(const struct vu_msg *m)
{
    return (unsigned)(m->p.u64 & VU_VRING_IDX_MASK);
}

int vn_h_ring_kick(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_kick(p->dev, index_of(m), &m->fds[0], err);
}

int vn_h_ring_call(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_call(p->dev, index_of(m), &m->fds[0], err);
}

int vn_h_ring_err(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    return vn_ring_errfd(p->dev, index_of(m), &m->fds[0], err);
}

int vn_h_ring_enable(struct vn_proto *p, struct vu_msg *m, int *fd, struct pw_err *err)
{
    (void)fd;
    if (m->p.state.num > 1)
        return pw_err_set(err, -EINVAL, "SET_VRING_ENABLE: %u is neither 0 nor 1", m->p.state.num);
    vn_ring_enable(p->dev, m->p.state.index, m->p.state.num);
    return VN_DONE;
}
