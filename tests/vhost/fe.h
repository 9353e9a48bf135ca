/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front-end for tests: a VMM and its guest in one. It owns guest memory in memfds, speaks
 * vhost-user over a socket pair to a device in this process (or over a path to a back-end
 * program), and drives split and packed rings by hand, well-behaved or not.
 */
#ifndef PW_TESTS_FE_H
#define PW_TESTS_FE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm-net/vmmnet.h"
#include "vmm-net/vnet.h"
#include "vmm-net/wire.h"

#define FE_REGIONS 2
#define FE_REGION_SIZE (4u << 20)
#define FE_GPA0 0x0ull         /* rings and indirect tables */
#define FE_GPA1 0x100000000ull /* buffers */
#define FE_UVA0 0x7f0000000000ull
#define FE_UVA1 0x7f8000000000ull
#define FE_RINGS 8

/* Guest addresses of a ring's parts. */
#define FE_DESC(r) (FE_GPA0 + 0x40000ull * (r))
#define FE_AVAIL(r) (FE_DESC(r) + 0x10000)
#define FE_USED(r) (FE_DESC(r) + 0x20000)
#define FE_TABLE(r) (FE_DESC(r) + 0x30000)
/* Buffer `i` of a ring: 4 KiB each, 128 per ring. */
#define FE_BUF(r, i) (FE_GPA1 + 0x80000ull * (r) + 0x1000ull * (i))

#define FE_F_NEXT 1
#define FE_F_WRITE 2
#define FE_F_INDIRECT 4

struct fe_ring {
    int kick, call, err;
    uint16_t avail, used;       /* driver's positions */
    bool avail_wrap, used_wrap; /* packed */
};

struct fe {
    struct vmmnet *net; /* in this process, NULL: another program */
    struct vmmnet_stats stats;
    int sock;
    int memfd[FE_REGIONS];
    uint8_t *mem[FE_REGIONS];
    uint64_t features, protocol;
    bool packed;
    uint16_t num;
    unsigned pairs;
    bool relay; /* the kernel counts no frames */
    struct fe_ring ring[FE_RINGS];
    struct vu_msg reply;
    struct pw_err err;
};

struct fe_conf {
    bool packed;
    uint16_t num;          /* 0: 64 */
    unsigned pairs;        /* 0: 1 */
    uint64_t features_off; /* of the device's offer */
    uint64_t features_out; /* not acked by the guest */
    uint64_t protocol_out; /* not acked by the VMM */
    int tap;               /* 0 or VMMNET_NULL_TAP: none */
    const int *taps;       /* one for each pair, instead of `tap` */
    bool relay;            /* /dev/vhost-net serves the rings */
    uint16_t mtu;
    unsigned busy_poll_us;
};

struct fe_seg {
    uint64_t addr;
    uint32_t len;
    uint16_t flags; /* FE_F_WRITE, FE_F_INDIRECT; NEXT is added */
};

/* Device, memory and a connection; nothing negotiated yet. Ends the test on failure. */
void fe_open(struct fe *fe, const struct fe_conf *conf);
/* The same to a back-end program that listens at `path`. */
void fe_open_path(struct fe *fe, const struct fe_conf *conf, const char *path);
/* The same over a connected socket, which is taken. */
void fe_open_socket(struct fe *fe, const struct fe_conf *conf, int sock);
/* New connection to the same device, after it dropped the old one. */
void fe_reconnect(struct fe *fe);
void fe_close(struct fe *fe);

/*
 * Send a request and let the device handle it. Returns what vmmnet_handle says. With a reply
 * (`want_reply`), 1 when there is one in fe->reply. fds stay the caller's.
 */
int fe_send(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
            unsigned nfds, uint32_t flags);
/* With NEED_REPLY: 0 acknowledged, 1 refused, negative: connection over. */
int fe_ask(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
           unsigned nfds);
int fe_ask_u64(struct fe *fe, uint32_t request, uint64_t v);
int fe_ask_state(struct fe *fe, uint32_t request, uint32_t index, uint32_t num);
/* A request with a reply of its own: 0 and fe->reply, or negative. */
int fe_get(struct fe *fe, uint32_t request, const void *payload, uint32_t size);
int fe_ask_fd(struct fe *fe, uint32_t request, uint32_t index, int fd);

/* Steps of the usual handshake; each ends the test when it fails. */
void fe_negotiate(struct fe *fe, const struct fe_conf *conf);
void fe_memory(struct fe *fe);
void fe_ring_addr_msg(const struct fe *fe, unsigned r, struct vu_addr *a);
void fe_ring_start(struct fe *fe, unsigned r);
/* All of it for all rings. */
void fe_up(struct fe *fe, const struct fe_conf *conf);
/* GET_VRING_BASE; the base. */
uint32_t fe_ring_stop(struct fe *fe, unsigned r);

/* ---- guest ---- */

void *fe_at(struct fe *fe, uint64_t gpa);
/* Write descriptor `slot`: what comes last is next (split) or id (packed); flags as they are. */
void fe_desc(struct fe *fe, uint64_t table, unsigned slot, uint64_t addr, uint32_t len,
             uint16_t flags, uint16_t other);
/* Post one chain; descriptors are taken from the ring's position on. */
void fe_post(struct fe *fe, unsigned r, const struct fe_seg *s, unsigned n);
/* Split ring only: make `head` available without a look at it. */
void fe_avail(struct fe *fe, unsigned r, uint16_t head);
void fe_kick(struct fe *fe, unsigned r);
/* Take a used buffer, if there is one: its id (head) and length. */
bool fe_used(struct fe *fe, unsigned r, uint16_t *id, uint32_t *len);
/* Wait for `n` used buffers, at most some seconds; how many came. */
unsigned fe_wait(struct fe *fe, unsigned r, unsigned n);
/* Wait until the ring is stopped by the device; the reason, NULL when it did not happen. */
const char *fe_wait_error(struct fe *fe, unsigned r);
static inline uint64_t fe_count(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}
/* Wait until *counter is at least `want`. */
bool fe_wait_count(const uint64_t *counter, uint64_t want);

/* Write a valid frame (header of zeros and `len` bytes of Ethernet) at gpa. */
void fe_frame(struct fe *fe, uint64_t gpa, uint32_t len);
/* Post, kick and get back one good frame on transmit ring `r`. */
bool fe_frame_passes(struct fe *fe, unsigned r);
/* After something hostile: a new connection to the same device works like a first one. */
bool fe_recovers(struct fe *fe, const struct fe_conf *conf);
/* A tap NAME, up, in this namespace: its queue and a packet socket bound to it. False: not allowed.
 */
bool fe_tap(const char *name, int *tap, int *packet);
/* Send `len` bytes of test frame towards the guest through the packet socket. */
bool fe_inject(int packet, uint32_t len);
/* Number of open descriptors, mappings and threads of this process. */
unsigned fe_count_fds(void);
unsigned fe_count_maps(void);
unsigned fe_count_threads(void);

#endif
