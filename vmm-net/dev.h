/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device: queue pairs, their workers, and everything the control side may change about them.
 * vhost-user messages (proto) and the embedding interface (embed) both end here.
 *
 * One lock rule: a worker touches its pair only inside its gate; the control thread changes a pair
 * only between vn_pair_pause and vn_pair_resume. A worker's stay in the gate is one bounded batch
 * without blocking calls.
 */
#ifndef PW_VMM_DEV_H
#define PW_VMM_DEV_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm-net/mem.h"
#include "vmm-net/pump.h"
#include "vmm-net/virtq.h"
#include "vmm-net/vmmnet.h"
#include "vmm-net/vnet.h"
#include "vmm-net/wire.h"

enum { VN_RX = 0, VN_TX = 1 }; /* ring index = 2 * pair + this */

/* Tags of what a worker waits for; VN_EV_KICK + VN_TX is the other ring's. */
enum { VN_EV_TAP, VN_EV_WAKE, VN_EV_KICK };

struct vn_ring {
    struct vn_virtq q;
    uint32_t num;
    uint32_t base;
    struct vu_addr addr; /* user addresses; guest addresses when `by_guest` */
    bool by_guest;
    bool have_addr;
    bool started;    /* between a kick descriptor and GET_VRING_BASE */
    bool positioned; /* q knows where to go on */
    bool live;       /* resolved, not broken: the worker may use it */
    bool enabled;
    bool polled;            /* no kick descriptor: look by ourselves */
    atomic_bool kicked;     /* since it was started: a disabled ring is drained only then */
    atomic_bool stale_kick; /* the descriptor came with kicks meant for our predecessor */
    int kick, call, err;
};

struct vn_gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned paused;
    bool busy, quit, running;
};

/* The kernel's vhost-net in the worker's place; see relay.h. */
struct vn_relay {
    int fd; /* -1: frames are moved here */
    uint64_t features;
    bool owned;  /* it has our memory */
    bool has[2]; /* rings it serves now */
};

struct vn_pair {
    struct vmmnet *dev;
    unsigned index;
    int tap; /* VMMNET_NULL_TAP: frames go nowhere */
    bool tap_on;
    struct vn_ring ring[2];
    struct vn_gate gate;
    pthread_t thread;
    bool has_thread;
    int wake, epoll;
    struct vmmnet_counters *count;
    struct vn_pump pump;
    struct vn_relay relay;
};

struct vmmnet {
    unsigned npairs;
    struct vn_pair *pair[VMMNET_MAX_PAIRS];
    uint64_t offered, features;
    bool have_features;
    struct vnet_rules rules;
    unsigned hdr_merge; /* 1 when receive buffers merge */
    bool have_mac;
    uint8_t mac[6];
    uint16_t mtu;
    _Atomic uint8_t status;
    struct vn_mem mem;
    struct vn_log log;
    struct vn_map inflight;
    uint16_t inflight_queues, inflight_size;
    bool inflight_packed; /* what it was made for */
    uint64_t busy_poll_ns;
    bool no_uring;
    bool relayed; /* the kernel serves the rings of all pairs */
    struct vmmnet_stats *stats;
    bool own_stats;
    pthread_mutex_t text_lock; /* stats->last_error has several writers */
    struct vn_proto *proto;    /* the vhost-user connection, NULL when there is none */
};

/* vmmnet_new; without threads the caller runs the pairs by vn_dev_step (tests, fuzzing). */
int vn_dev_new(const struct vmmnet_conf *conf, bool threads, struct vmmnet **out,
               struct pw_err *err);
/* One batch of each pair; how many frames moved. */
unsigned vn_dev_step(struct vmmnet *dev);

/* Whether `fd` is an eventfd, and make it non-blocking. -EINVAL. */
int vn_eventfd_claim(int fd);

/* Nest; while any pause holds, the worker (or the kernel in its place) is outside the pair and
 * unused buffers are back. */
void vn_pair_pause(struct vn_pair *p);
void vn_pair_resume(struct vn_pair *p);
void vn_dev_pause(struct vmmnet *dev);
void vn_dev_resume(struct vmmnet *dev);

/* Add to a counter that others read meanwhile; each has one writer at a time. */
static inline void vn_count(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Keep a sentence for people in the counters' page. */
void vn_dev_note(struct vmmnet *dev, const char *text);

static inline struct vn_pair *vn_pair_of(struct vmmnet *dev, unsigned ring)
{
    return dev->pair[ring / 2];
}
static inline struct vn_ring *vn_ring_of(struct vmmnet *dev, unsigned ring)
{
    return &dev->pair[ring / 2]->ring[ring % 2];
}

/* ---- what the control side may do; `ring` is checked by the caller ---- */

/* -EINVAL: not offered; -EBUSY: changed under a running ring (logging may change). */
int vn_dev_features(struct vmmnet *dev, uint64_t features, struct pw_err *err);
/* Take all regions out of `mem`. Rings whose addresses are gone stand still. */
void vn_dev_memory(struct vmmnet *dev, struct vn_mem *mem);
int vn_dev_memory_add(struct vmmnet *dev, const struct vu_region *r, int fd, struct pw_err *err);
int vn_dev_memory_remove(struct vmmnet *dev, const struct vu_region *r, struct pw_err *err);
/* fd: NULL map ends logging. The map is taken. */
void vn_dev_log(struct vmmnet *dev, struct vn_log *log);
/* The map is taken. */
void vn_dev_inflight(struct vmmnet *dev, struct vn_map *map, uint16_t queues, uint16_t size);

int vn_ring_num(struct vmmnet *dev, unsigned ring, uint32_t num, struct pw_err *err);
int vn_ring_base(struct vmmnet *dev, unsigned ring, uint32_t base, struct pw_err *err);
int vn_ring_addr(struct vmmnet *dev, unsigned ring, const struct vu_addr *a, bool by_guest,
                 struct pw_err *err);
/* fd taken, -1: poll. Starts the ring. */
int vn_ring_kick(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err);
/* fd taken, -1: no interrupts wanted. */
int vn_ring_call(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err);
int vn_ring_errfd(struct vmmnet *dev, unsigned ring, int *fd, struct pw_err *err);
void vn_ring_enable(struct vmmnet *dev, unsigned ring, bool on);
uint32_t vn_ring_stop(struct vmmnet *dev, unsigned ring);
/* Back to the state after vmmnet_new, guest memory kept or not. */
void vn_dev_reset(struct vmmnet *dev, bool keep_memory);

/* ---- for the pump, inside the gate ---- */

/* Stop a ring because of what was in it. */
void vn_ring_fail(struct vn_pair *p, struct vn_ring *r, const char *why);
/* Raise the ring's call descriptor, if there is one. */
void vn_ring_signal(struct vn_pair *p, struct vn_ring *r);

#endif
