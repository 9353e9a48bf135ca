/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user message bytes (QEMU's docs/interop/vhost-user.rst): layouts, and reading and writing
 * one message on a non-blocking stream socket. Knows sizes, not meanings.
 */
#ifndef PW_VMM_WIRE_H
#define PW_VMM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VU_VERSION 0x1u
#define VU_VERSION_MASK 0x3u
#define VU_REPLY 0x4u
#define VU_NEED_REPLY 0x8u

#define VU_MAX_FDS 8
#define VU_CONFIG_MAX 256
#define VU_VRING_IDX_MASK 0xffu
#define VU_VRING_NOFD 0x100u

/* Requests of a front-end. */
enum vu_request {
    VU_GET_FEATURES = 1,
    VU_SET_FEATURES = 2,
    VU_SET_OWNER = 3,
    VU_RESET_OWNER = 4,
    VU_SET_MEM_TABLE = 5,
    VU_SET_LOG_BASE = 6,
    VU_SET_LOG_FD = 7,
    VU_SET_VRING_NUM = 8,
    VU_SET_VRING_ADDR = 9,
    VU_SET_VRING_BASE = 10,
    VU_GET_VRING_BASE = 11,
    VU_SET_VRING_KICK = 12,
    VU_SET_VRING_CALL = 13,
    VU_SET_VRING_ERR = 14,
    VU_GET_PROTOCOL_FEATURES = 15,
    VU_SET_PROTOCOL_FEATURES = 16,
    VU_GET_QUEUE_NUM = 17,
    VU_SET_VRING_ENABLE = 18,
    VU_SEND_RARP = 19,
    VU_NET_SET_MTU = 20,
    VU_SET_BACKEND_REQ_FD = 21,
    VU_GET_CONFIG = 24,
    VU_SET_CONFIG = 25,
    VU_GET_INFLIGHT_FD = 31,
    VU_SET_INFLIGHT_FD = 32,
    VU_RESET_DEVICE = 34,
    VU_GET_MAX_MEM_SLOTS = 36,
    VU_ADD_MEM_REG = 37,
    VU_REM_MEM_REG = 38,
    VU_SET_STATUS = 39,
    VU_GET_STATUS = 40,
    VU_SET_DEVICE_STATE_FD = 42,
    VU_CHECK_DEVICE_STATE = 43,
    VU_REQUEST_MAX = 44
};

/* Requests of a back-end. */
#define VU_BACKEND_CONFIG_CHANGE 2

/* Protocol feature bits. */
enum {
    VU_PF_MQ = 0,
    VU_PF_LOG_SHMFD = 1,
    VU_PF_RARP = 2,
    VU_PF_REPLY_ACK = 3,
    VU_PF_NET_MTU = 4,
    VU_PF_BACKEND_REQ = 5,
    VU_PF_CONFIG = 9,
    VU_PF_INFLIGHT_SHMFD = 12,
    VU_PF_RESET_DEVICE = 13,
    VU_PF_CONFIGURE_MEM_SLOTS = 15,
    VU_PF_STATUS = 16,
    VU_PF_DEVICE_STATE = 19,
};

struct vu_hdr {
    uint32_t request, flags, size;
};
_Static_assert(sizeof(struct vu_hdr) == 12, "message header");

struct vu_state {
    uint32_t index, num;
};

struct vu_addr {
    uint32_t index, flags;
    uint64_t desc, used, avail, log;
};
_Static_assert(sizeof(struct vu_addr) == 40, "vring address");

struct vu_region {
    uint64_t guest_addr, size, user_addr, mmap_offset;
};

struct vu_memory {
    uint32_t n, padding;
    struct vu_region region[VU_MAX_FDS];
};
_Static_assert(sizeof(struct vu_memory) == 264, "memory table");

struct vu_mem_reg {
    uint64_t padding;
    struct vu_region region;
};

struct vu_log {
    uint64_t size, offset;
};

struct vu_config {
    uint32_t offset, size, flags;
    uint8_t data[VU_CONFIG_MAX];
};

/* 20 bytes on the wire in rust-vmm's structs, 24 in QEMU's and DPDK's. */
struct vu_inflight {
    uint64_t mmap_size, mmap_offset;
    uint16_t queues, queue_size;
    uint32_t padding;
};
_Static_assert(sizeof(struct vu_inflight) == 24, "inflight description");

struct vu_device_state {
    uint32_t direction, phase;
};

union vu_payload {
    uint64_t u64;
    struct vu_state state;
    struct vu_addr addr;
    struct vu_memory memory;
    struct vu_mem_reg mem_reg;
    struct vu_log log;
    struct vu_config config;
    struct vu_inflight inflight;
    struct vu_device_state device_state;
    uint8_t bytes[sizeof(struct vu_config)];
};

/* One message, and how much of it has arrived. Owns its descriptors; zero `fds` above `nfds`. */
struct vu_msg {
    struct vu_hdr h;
    union vu_payload p;
    int fds[VU_MAX_FDS];
    unsigned nfds;
    size_t got; /* bytes of header and payload so far */
};

#define VU_MSG_INIT {.fds = {-1, -1, -1, -1, -1, -1, -1, -1}}

/*
 * Go on reading one message. 1: it is whole; 0: more must arrive; negative: the stream is over
 * (-ECONNRESET) or not vhost-user (-EPROTO: version, flags, size, too many descriptors).
 */
int vu_recv(int sock, struct vu_msg *m);
/* Close what descriptors are left and make ready for the next message. */
void vu_msg_reset(struct vu_msg *m);
/*
 * Send header, payload of h.size bytes and `fd` (-1: none) without blocking. A front-end that does
 * not read its replies gets -EAGAIN: the caller ends the connection.
 */
int vu_send(int sock, struct vu_msg *m, int fd);

#endif
