// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target over (message stream, ring memory): the input is a program of a hostile front-end
 * and guest. One device without threads, so that a finding repeats. The "tap" is a datagram
 * socket pair, which reads and writes as one.
 *
 * First byte: bit 0 packed rings, bit 1 rings are up before the program starts, bit 2 merged
 * receive buffers, bit 3 logging. Then operations:
 *   0 request flags size nfds fd-kinds payload    a message
 *   1 where(2) len bytes                          into ring memory
 *   2                                             the device runs
 *   3 len                                         a frame arrives at the tap
 *   4 ring count addr(2) len(2)                   `count` descriptors made available as they come
 *   5 which                                       a memfd is truncated, or whole again
 *   6                                             connection ends, a new one
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm-net/dev.h"
#include "vmm-net/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* The socket pair stands for a tap: it takes whatever a tap is asked to do. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    (void)fd;
    (void)request;
    return 0;
}

#define MEM (128u << 10)
#define GPA1 0x100000000ull
#define UVA0 0x7f0000000000ull
#define UVA1 0x7f8000000000ull
#define NUM 16
#define DESC(r) (0x1000u * (r))
#define AVAIL(r) (DESC(r) + 0x400)
#define USED(r) (DESC(r) + 0x800)

static int memfd[2] = {-1, -1};
static uint8_t *mem[2];
static size_t whole[2];

struct input {
    const uint8_t *p;
    size_t n;
};

static uint8_t u8(struct input *in)
{
    if (!in->n)
        return 0;
    in->n--;
    return *in->p++;
}

static uint16_t u16(struct input *in)
{
    uint16_t lo = u8(in);

    return (uint16_t)(lo | u8(in) << 8);
}

static void bytes(struct input *in, void *to, size_t n)
{
    size_t have = n < in->n ? n : in->n;

    memset(to, 0, n);
    memcpy(to, in->p, have);
    in->p += have;
    in->n -= have;
}

static int make_fd(uint8_t kind)
{
    switch (kind % 6) {
    case 0:
        return fcntl(memfd[0], F_DUPFD_CLOEXEC, 3);
    case 1:
        return fcntl(memfd[1], F_DUPFD_CLOEXEC, 3);
    case 2:
        return eventfd(0, EFD_CLOEXEC);
    case 3:
        return open("/dev/null", O_RDWR | O_CLOEXEC);
    case 4:
        return open("/dev/zero", O_RDONLY | O_CLOEXEC);
    default:
        return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    }
}

static int send_message(struct vn_proto *p, uint32_t request, uint32_t flags, const void *payload,
                        uint32_t size, const int *fds, unsigned nfds)
{
    struct vu_msg m = VU_MSG_INIT;
    struct pw_err err = PW_ERR_INIT;

    m.h = (struct vu_hdr){request, flags | VU_VERSION, size};
    memcpy(&m.p, payload, size);
    for (unsigned i = 0; i < nfds; i++)
        m.fds[m.nfds++] = fds[i];
    return vn_proto_dispatch(p, &m, &err);
}

static int message(struct vn_proto *p, struct input *in)
{
    uint8_t payload[sizeof(union vu_payload)] = {0};
    int fds[VU_MAX_FDS];
    uint32_t request = u8(in) % (VU_REQUEST_MAX + 1);
    uint32_t flags = u8(in) & VU_NEED_REPLY;
    uint32_t size = u8(in);
    unsigned nfds = u8(in) % (VU_MAX_FDS + 1), n = 0;

    for (unsigned i = 0; i < nfds; i++) {
        int fd = make_fd(u8(in));
        if (fd >= 0)
            fds[n++] = fd;
    }
    bytes(in, payload, size);
    return send_message(p, request, flags, payload, size, fds, n);
}

static void ask(struct vn_proto *p, uint32_t request, const void *payload, uint32_t size, int fd,
                int fd2)
{
    int fds[2] = {fd, fd2};

    (void)send_message(p, request, VU_NEED_REPLY, payload, size, fds,
                       (unsigned)(fd >= 0) + (fd2 >= 0));
}

static void bring_up(struct vn_proto *p, uint8_t how)
{
    uint64_t protocol = VN_PROTOCOL_FEATURES;
    uint64_t f = p->dev->offered & ~(VIF_RING_PACKED | VNF_MRG_RXBUF | VHF_LOG_ALL);
    struct vu_memory m = {.n = 2, .region = {{0, MEM, UVA0, 0}, {GPA1, MEM, UVA1, 0}}};

    f |= (how & 1 ? VIF_RING_PACKED : 0) | (how & 4 ? VNF_MRG_RXBUF : 0) |
         (how & 8 ? VHF_LOG_ALL : 0);
    ask(p, VU_SET_PROTOCOL_FEATURES, &protocol, 8, -1, -1);
    ask(p, VU_SET_FEATURES, &f, 8, -1, -1);
    ask(p, VU_SET_MEM_TABLE, &m, 72, make_fd(0), make_fd(1));
    for (uint32_t r = 0; r < 2; r++) {
        struct vu_state num = {r, NUM}, base = {r, how & 1 ? 0x8000 : 0}, on = {r, 1};
        struct vu_addr a = {r,      how >> 3 & 1, UVA0 + DESC(r), UVA0 + USED(r), UVA0 + AVAIL(r),
                            USED(r)};
        uint64_t index = r;
        ask(p, VU_SET_VRING_NUM, &num, 8, -1, -1);
        ask(p, VU_SET_VRING_BASE, &base, 8, -1, -1);
        ask(p, VU_SET_VRING_ADDR, &a, sizeof(a), -1, -1);
        ask(p, VU_SET_VRING_CALL, &index, 8, make_fd(2), -1);
        ask(p, VU_SET_VRING_ENABLE, &on, 8, -1, -1);
        ask(p, VU_SET_VRING_KICK, &index, 8, make_fd(2), -1);
    }
}

/* Descriptors in a row, made available whatever they are. */
static void post(struct input *in, bool packed)
{
    unsigned r = u8(in) & 1, count = u8(in) % NUM;
    uint32_t addr = u16(in);
    uint16_t len = u16(in);
    uint16_t idx;

    if (whole[0] < MEM)
        return;
    memcpy(&idx, mem[0] + AVAIL(r) + 2, 2);
    for (unsigned i = 0; i < count; i++, idx++) {
        uint8_t *d = mem[0] + DESC(r) + 16ull * (idx % NUM);
        uint64_t gpa = GPA1 + addr + 16ull * i;
        uint32_t l = len;
        uint16_t flags = r ? 0 : VQ_F_WRITE, id = idx % NUM;
        memcpy(d, &gpa, 8);
        memcpy(d + 8, &l, 4);
        if (packed) {
            flags |= VQ_F_AVAIL;
            memcpy(d + 12, &id, 2);
            memcpy(d + 14, &flags, 2);
        } else {
            memcpy(d + 12, &flags, 2);
            memcpy(mem[0] + AVAIL(r) + 4 + 2ull * (idx % NUM), &id, 2);
        }
    }
    memcpy(mem[0] + AVAIL(r) + 2, &idx, 2);
}

static void set_whole(unsigned i, size_t n)
{
    if (whole[i] == n)
        return;
    if (ftruncate(memfd[i], (off_t)n))
        abort();
    whole[i] = n;
}

static void prepare(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (memfd[i] < 0) {
            memfd[i] = memfd_create("fuzz", MFD_CLOEXEC);
            whole[i] = 0;
            set_whole(i, MEM);
            mem[i] = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_SHARED, memfd[i], 0);
            if (mem[i] == MAP_FAILED)
                abort();
        }
        set_whole(i, MEM);
    }
    memset(mem[0], 0, 0x4000);
    memset(mem[1], 0, 0x1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    int tap[1] = {VMMNET_NULL_TAP}, sp[2];
    struct vmmnet_conf conf = {.pairs = 1, .tap = tap, .have_mac = true, .mtu = 1500};
    struct vmmnet *dev;
    uint8_t frame[2048] = {0}, sink[70000];
    uint8_t how = u8(&in);

    prepare();
    if (vn_dev_new(&conf, false, &dev, NULL) ||
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sp))
        abort();
    dev->pair[0]->tap = sp[0];
    dev->pair[0]->tap_on = true;
    if (vn_proto_new(dev, -1, &dev->proto, NULL))
        abort();
    if (how & 2)
        bring_up(dev->proto, how);

    for (unsigned steps = 0; in.n && steps < 200; steps++) {
        switch (u8(&in) % 7) {
        case 0:
            if (message(dev->proto, &in) >= 0)
                break;
            __attribute__((fallthrough));
        case 6:
            vmmnet_disconnect(dev);
            if (vn_proto_new(dev, -1, &dev->proto, NULL))
                abort();
            break;
        case 1: {
            uint16_t at = u16(&in);
            uint8_t len = u8(&in);
            uint8_t buf[256];
            bytes(&in, buf, len);
            if (whole[at >> 15] == MEM)
                memcpy(mem[at >> 15] + (at & 0x7fff), buf, len);
            break;
        }
        case 2:
            vn_dev_step(dev);
            break;
        case 3:
            (void)!send(sp[1], frame, (size_t)u8(&in) * 8 + 1, MSG_DONTWAIT);
            break;
        case 4:
            post(&in, how & 1);
            break;
        case 5: {
            uint8_t w = u8(&in);
            set_whole(w & 1, w & 2 ? MEM : 4096u * (w >> 4));
            break;
        }
        }
        while (recv(sp[1], sink, sizeof(sink), MSG_DONTWAIT) > 0) {
        }
    }
    vn_dev_step(dev);
    vmmnet_free(dev);
    close(sp[1]);
    return 0;
}
