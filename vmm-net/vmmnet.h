/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvmmnet: the host side of a virtio-net device whose frames go to a tap.
 *
 * One `struct vmmnet` is one device of one virtual machine. It is driven in one of two ways:
 *   - vhost-user: the VMM is another process; vmmnet_connection() and vmmnet_handle() serve it.
 *   - embedded: the VMM runs this library in its own process and calls vmmnet_set_memory(),
 *     vmmnet_ring_set() and their like.
 * Either way one worker thread per queue pair moves the frames. The guest is hostile: whatever it
 * writes into memory or rings stops its own ring at most, with a counter and a reason.
 *
 * Threads: all functions on one device are called from one thread at a time (the control thread).
 * Errors: 0 or a negative errno, with a sentence in `err` (see loader/base/err.h).
 */
#ifndef PW_VMM_VMMNET_H
#define PW_VMM_VMMNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "loader/base/err.h"

#define VMMNET_MAX_PAIRS 16   /* queue pairs of one device */
#define VMMNET_MAX_RING 4096  /* descriptors of one ring */
#define VMMNET_MAX_REGIONS 64 /* guest memory regions */

/* A tap queue that is not there: frames from the guest are validated and thrown away. */
#define VMMNET_NULL_TAP (-1)

/* Counters of one queue pair; tx is from the guest, rx towards it. Written by its worker only. */
struct vmmnet_counters {
    uint64_t tx_frames, tx_bytes;
    uint64_t rx_frames, rx_bytes;
    uint64_t tx_bad_header; /* virtio-net header refused */
    uint64_t tx_bad_length; /* shorter than an Ethernet header or over the limit */
    uint64_t tx_refused;    /* the tap said no (down, full, malformed) */
    uint64_t tx_discarded;  /* drained from a disabled ring */
    uint64_t rx_truncated;  /* did not fit what the guest had posted */
    uint64_t rx_starved;    /* times the guest had no buffers posted */
    uint64_t kicks, calls;  /* notifications from and to the guest */
    uint64_t sleeps;        /* times the worker went to sleep */
    uint64_t ring_errors;   /* times a ring was stopped because of what was in it */
    uint64_t reserved[2];
};

#define VMMNET_STATS_MAGIC 0x31545356u /* "VST1" */

/*
 * The counters' page: shared memory that any process with read access may map while the device
 * runs. Fields are naturally aligned and each is written with one store; a reader sees each
 * counter whole, not all of them at one instant. New fields go at the end, `size` grows.
 */
struct vmmnet_stats {
    uint32_t magic;
    uint32_t size; /* of this struct, as the writer knows it */
    uint32_t pairs;
    uint32_t connected;    /* 1 while a front-end is connected */
    uint64_t connections;  /* accepted or made, ever */
    uint64_t refused;      /* second front-ends, other users */
    uint64_t messages;     /* handled */
    uint64_t bad_messages; /* answered with an error or ended the connection */
    uint64_t features;     /* acked by the guest's driver */
    uint64_t faults;       /* guest memory that vanished under us (SIGBUS) */
    char last_error[128];  /* newest refusal, for people; may be torn */
    struct vmmnet_counters pair[VMMNET_MAX_PAIRS];
    uint64_t restarts;    /* times that a supervisor had to start the back-end again */
    uint32_t last_status; /* how it ended the last time, as of waitpid(2) */
    uint32_t pad;
};

struct vmmnet_conf {
    unsigned pairs;       /* queue pairs offered, 1..VMMNET_MAX_PAIRS */
    const int *tap;       /* `pairs` descriptors, or VMMNET_NULL_TAP each; the device owns them
                             from a successful vmmnet_new on */
    const int *vhost_net; /* `pairs` descriptors of /dev/vhost-net (owned likewise), whose kernel
                             code then moves the frames, or NULL: workers of ours do. Guest memory
                             is the calling process's. Counters of frames stay 0 */
    bool have_mac;
    uint8_t mac[6];        /* in the config space, when have_mac */
    uint16_t mtu;          /* in the config space; 0: not offered */
    uint64_t features_off; /* virtio feature bits not to offer */
    unsigned busy_poll_us; /* longest time a worker polls before it sleeps; 0: sleeps at once */
    bool no_uring;         /* never use io_uring */
    struct vmmnet_stats *stats; /* zeroed memory of the caller's, or NULL for private memory */
};

struct vmmnet;

/* Make a device and start its workers (asleep until a ring runs). Free with vmmnet_free. */
int vmmnet_new(const struct vmmnet_conf *conf, struct vmmnet **out, struct pw_err *err);
/* Stop workers, unmap guest memory, close every descriptor. NULL is fine. */
void vmmnet_free(struct vmmnet *dev);
const struct vmmnet_stats *vmmnet_stats(const struct vmmnet *dev);
/* Virtio feature bits this device offers, VHOST_F_LOG_ALL and bit 30 included. */
uint64_t vmmnet_features(const struct vmmnet *dev);

/*
 * The counters of a device that keeps them in a file, running or dead: a copy, whole in itself
 * whatever the writer does, with `pairs` in bounds and text that ends. -EINVAL: no such file.
 */
int vmmnet_stats_read(const char *path, struct vmmnet_stats *out, struct pw_err *err);
/* As a JSON object, in one line without its end. */
void vmmnet_stats_json(const struct vmmnet_stats *s, FILE *out);

/* ---- vhost-user ---- */

/*
 * Begin a connection on `sock` (a connected unix stream socket; owned from success on). -EBUSY
 * while there is another.
 */
int vmmnet_connection(struct vmmnet *dev, int sock, struct pw_err *err);
/* The connection's socket for poll(2), -1 when there is none. */
int vmmnet_fd(const struct vmmnet *dev);
/*
 * Handle what the socket has, without blocking. Negative: the connection is over (-ECONNRESET for
 * an orderly end, else the reason in `err`) and everything it brought is released.
 */
int vmmnet_handle(struct vmmnet *dev, struct pw_err *err);
/* End the connection, if there is one: rings stopped, memory unmapped, descriptors closed. */
void vmmnet_disconnect(struct vmmnet *dev);

/* ---- embedded ---- */

struct vmmnet_region {
    uint64_t guest_addr;
    uint64_t size;
    void *host; /* where the caller has it mapped; must stay so until replaced or vmmnet_free */
};

struct vmmnet_ring {
    uint16_t size;              /* descriptors */
    uint16_t base;              /* where to begin; packed rings: index | wrap << 15, so 1 << 15 for
                                   a fresh one; a split ring's own used index goes before it */
    uint64_t desc, avail, used; /* guest addresses (packed: ring, driver area, device area) */
    int kick, call;             /* eventfds, borrowed until vmmnet_ring_stop (duplicated inside) */
};

/* Features the driver acked: a subset of vmmnet_features() with VIRTIO_F_VERSION_1. */
int vmmnet_ack_features(struct vmmnet *dev, uint64_t features, struct pw_err *err);
/* Replace the whole table. Rings that run go on if their addresses are still there. */
int vmmnet_set_memory(struct vmmnet *dev, const struct vmmnet_region *regions, unsigned n,
                      struct pw_err *err);
/* Start ring `index` (2 * pair is the guest's receive ring, 2 * pair + 1 its transmit ring). */
int vmmnet_ring_start(struct vmmnet *dev, unsigned index, const struct vmmnet_ring *ring,
                      struct pw_err *err);
/* Stop it; *base (may be NULL) says where a later start goes on. */
int vmmnet_ring_stop(struct vmmnet *dev, unsigned index, uint16_t *base, struct pw_err *err);
/* Why the ring was stopped by what was in it, NULL when it was not. */
const char *vmmnet_ring_error(const struct vmmnet *dev, unsigned index);

/*
 * Guest memory can vanish: a file that backs it may be truncated by its owner, and a touch then
 * raises SIGBUS. vmmnet_new installs a handler, once per process, that replaces the lost region
 * by empty memory and stops the device; addresses that are not guest memory go to the handler
 * that was there before. A VMM that installs its own later calls this first from it; true: handled.
 */
bool vmmnet_sigbus(void *addr);

/* ---- taps ---- */

/*
 * Open `pairs` queues of tap NAME in the current network namespace (made if there is none and the
 * caller may), with vnet header, non-blocking. fds[] filled only on success.
 */
int vmmnet_tap_open(const char *name, unsigned pairs, int *fds, struct pw_err *err);
/* Hand a tap's queues to another process over a connected unix socket, and receive them. */
int vmmnet_tap_send(int sock, const char *name, const int *fds, unsigned n, struct pw_err *err);
int vmmnet_tap_recv(int sock, char name[16], int *fds, unsigned max, unsigned *n,
                    struct pw_err *err);

#endif
