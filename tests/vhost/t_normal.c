// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/* What a well-behaved front-end and guest see: negotiation, split and packed rings, indirect,
 * stop and start, config, slots, status, log, inflight, enable, device state. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"
#include "tests/vhost/fe.h"
#include "vmm-net/dev.h"
#include "vmm-net/proto.h"

static const char *kind(const struct fe_conf *c)
{
    return c->packed ? "packed" : "split";
}

static void frames(const struct fe_conf *c)
{
    struct fe fe;

    fe_open(&fe, c);
    fe_up(&fe, c);
    ok(fe_frame_passes(&fe, 1), "%s: a frame passes", kind(c));
    unsigned good = 0;
    for (unsigned i = 0; i < 1000; i++)
        good += fe_frame_passes(&fe, 1);
    is_int(good, 1000, "%s: a thousand more, many times round the ring", kind(c));

    /* Bursts that fill the ring. */
    unsigned got = 0;
    for (unsigned k = 0; k < 20; k++) {
        for (unsigned i = 0; i < fe.num; i++) {
            struct fe_seg s = {FE_BUF(1, i), VNET_HDR_LEN + 60, 0};
            fe_frame(&fe, s.addr, 60);
            fe_post(&fe, 1, &s, 1);
        }
        fe_kick(&fe, 1);
        got += fe_wait(&fe, 1, fe.num);
    }
    is_int(got, 20u * fe.num, "%s: bursts of a whole ring", kind(c));
    is_int(fe_count(&fe.stats.pair[0].tx_frames), 1001 + 20u * fe.num, "%s: each counted once",
           kind(c));
    is_int(fe_count(&fe.stats.pair[0].ring_errors), 0, "%s: nothing wrong", kind(c));

    /* Header apart from the frame; header in three pieces; in an indirect table. */
    struct fe_seg two[] = {{FE_BUF(1, 0), 12, 0}, {FE_BUF(1, 1), 60, 0}};
    struct fe_seg four[] = {{FE_BUF(1, 0), 3, 0},
                            {FE_BUF(1, 0) + 3, 4, 0},
                            {FE_BUF(1, 0) + 7, 5, 0},
                            {FE_BUF(1, 1), 60, 0}};
    uint64_t before = fe_count(&fe.stats.pair[0].tx_bytes);
    fe_frame(&fe, FE_BUF(1, 0), 0);
    fe_post(&fe, 1, two, 2);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_bytes, before + 60), "%s: header by itself", kind(c));
    fe_close(&fe);

    fe_open(&fe, c);
    fe_up(&fe, c);
    fe_frame(&fe, FE_BUF(1, 0), 0);
    fe_post(&fe, 1, four, 4);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_bytes, 60), "%s: header in three pieces", kind(c));
    fe_close(&fe);

    fe_open(&fe, c);
    fe_up(&fe, c);
    fe_frame(&fe, FE_BUF(1, 0), 0);
    for (unsigned i = 0; i < 2; i++)
        fe_desc(&fe, FE_TABLE(1), i, two[i].addr, two[i].len, !c->packed && !i ? FE_F_NEXT : 0,
                c->packed ? 0 : 1);
    struct fe_seg ind = {FE_TABLE(1), 32, FE_F_INDIRECT};
    fe_post(&fe, 1, &ind, 1);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_bytes, 60), "%s: indirect", kind(c));
    is_int(fe_wait(&fe, 1, 1), 1, "%s: indirect buffer comes back", kind(c));
    fe_close(&fe);
}

static void stop_and_start(const struct fe_conf *c)
{
    struct fe fe;

    fe_open(&fe, c);
    fe_up(&fe, c);
    for (unsigned i = 0; i < 70; i++)
        fe_frame_passes(&fe, 1);
    uint32_t base = fe_ring_stop(&fe, 1);
    if (c->packed)
        is_int(base, (6u | 0u << 15) * 0x10001u, "packed: base after 70 of 64: 6, wrapped");
    else
        is_int(base, 70, "split: base after 70");
    /* Posted while stopped: untouched; processed after the start with that base. */
    struct fe_seg s = {FE_BUF(1, 0), VNET_HDR_LEN + 60, 0};
    fe_post(&fe, 1, &s, 1);
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    is_int(fe_ask_state(&fe, VU_SET_VRING_BASE, 1, base), 0, "%s: base taken", kind(c));
    is_int(fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fe.ring[1].call), 0, "%s: call taken", kind(c));
    is_int(fe_count(&fe.stats.pair[0].tx_frames), 70, "%s: a stopped ring is not touched", kind(c));
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick), 0, "%s: started", kind(c));
    is_int(fe_wait(&fe, 1, 1), 1, "%s: goes on where it stopped, without a kick", kind(c));

    /* Disabled: transmit is drained and discarded. */
    is_int(fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 0), 0, "%s: disabled", kind(c));
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "%s: a disabled ring is drained", kind(c));
    is_int(fe_count(&fe.stats.pair[0].tx_discarded), 1, "%s: and its frame discarded", kind(c));
    uint64_t f = fe.features;
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f), 0, "%s: same features again", kind(c));
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "%s: drained still", kind(c));
    is_int(fe_count(&fe.stats.pair[0].tx_discarded), 2,
           "%s: SET_FEATURES neither enables nor disables", kind(c));
    is_int(fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 1), 0, "%s: enabled", kind(c));
    ok(fe_frame_passes(&fe, 1), "%s: frames pass again", kind(c));

    /* RESET_DEVICE and up again on the same connection. */
    is_int(fe_ask(&fe, VU_RESET_DEVICE, NULL, 0, NULL, 0), 0, "%s: reset", kind(c));
    fe_negotiate(&fe, c);
    fe_ring_start(&fe, 0);
    fe_ring_start(&fe, 1);
    ok(fe_frame_passes(&fe, 1), "%s: works after a reset, memory kept", kind(c));
    fe_close(&fe);
}

static void without_protocol_features(void)
{
    struct fe_conf c = {.features_out = VHF_PROTOCOL};
    struct fe fe;

    fe_open(&fe, &c);
    fe_negotiate(&fe, &c);
    fe_memory(&fe);
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    /* Address before base, as some front-ends have it; no SET_VRING_ENABLE. */
    fe_ask_state(&fe, VU_SET_VRING_NUM, 1, fe.num);
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0, "address before base");
    fe_ask_state(&fe, VU_SET_VRING_BASE, 1, 0);
    fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fe.ring[1].call);
    fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick);
    ok(fe_frame_passes(&fe, 1), "without bit 30 rings start enabled");
    fe_close(&fe);

    struct fe_conf d = {0};
    fe_open(&fe, &d);
    fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 1);
    is_int(fe_send(&fe, VU_SET_VRING_ENABLE, &(struct vu_state){1, 1}, 8, NULL, 0, 0), 0,
           "SET_VRING_ENABLE before SET_FEATURES");
    fe_negotiate(&fe, &d);
    fe_memory(&fe);
    fe_ask_state(&fe, VU_SET_VRING_NUM, 1, fe.num);
    fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
    fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick);
    ok(fe_frame_passes(&fe, 1), "and it stays enabled");
    struct vu_state s = {1, 0};
    fe_send(&fe, VU_SET_STATUS, &(uint64_t){0}, 8, NULL, 0, 0);
    is_int(fe_get(&fe, VU_GET_VRING_BASE, &s, 8), 0, "GET_VRING_BASE after status 0");
    is_int(fe.reply.p.state.num, 1, "still knows the position");
    fe_close(&fe);
}

static void polled(void)
{
    struct fe_conf c = {0};
    struct fe fe;

    fe_open(&fe, &c);
    fe_up(&fe, &c);
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, -1), 0, "no kick descriptor: the ring is polled");
    struct fe_seg s = {FE_BUF(1, 0), VNET_HDR_LEN + 60, 0};
    fe_frame(&fe, s.addr, 60);
    fe_post(&fe, 1, &s, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "and served without kicks");
    fe_close(&fe);
}

static bool raised(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t v;

    return poll(&p, 1, 5000) == 1 && read(fd, &v, sizeof(v)) == (ssize_t)sizeof(v);
}

static void notifications(const struct fe_conf *base)
{
    for (unsigned ev = 0; ev < 2; ev++) {
        struct fe_conf c = *base;
        struct fe fe;
        const char *how = ev ? "event index" : "flags";

        c.features_out = ev ? 0 : VIF_EVENT_IDX;
        fe_open(&fe, &c);
        fe_up(&fe, &c);
        uint16_t *avail = fe_at(&fe, FE_AVAIL(1));
        if (!c.packed && ev)
            avail[2 + fe.num] = 2; /* used_event: tell me at the third */
        if (c.packed && ev) {
            avail[0] = 2 | 1 << 15;
            avail[1] = 2; /* at descriptor 2 of this lap */
        }
        if (!c.packed && !ev)
            avail[0] = 1;
        if (c.packed && !ev)
            avail[1] = 1;
        fe_frame_passes(&fe, 1); /* the very first may always raise it */
        uint64_t v;
        (void)!read(fe.ring[1].call, &v, sizeof(v));
        fe_frame_passes(&fe, 1);
        ok(read(fe.ring[1].call, &v, sizeof(v)) < 0, "%s: suppressed by %s", kind(&c), how);
        if (ev) {
            fe_frame_passes(&fe, 1);
            ok(raised(fe.ring[1].call), "%s: raised when the event is crossed", kind(&c));
        } else {
            avail[c.packed ? 1 : 0] = 0;
            fe_frame_passes(&fe, 1);
            ok(raised(fe.ring[1].call), "%s: raised when asked for", kind(&c));
        }
        int fd = eventfd(0, EFD_CLOEXEC);
        is_int(fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fd), 0, "%s: new call descriptor", kind(&c));
        ok(raised(fd), "%s: raised once when it is set", kind(&c));
        close(fd);
        fe_close(&fe);
    }
}

static void requests(void)
{
    struct fe_conf c = {.pairs = 2, .mtu = 1400};
    struct fe fe;

    fe_open(&fe, &c);
    fe_negotiate(&fe, &c);
    is_int(fe.protocol, VN_PROTOCOL_FEATURES, "all protocol features of the list are offered");
    is_int(fe_get(&fe, VU_GET_QUEUE_NUM, NULL, 0), 0, "GET_QUEUE_NUM");
    is_int(fe.reply.p.u64, 4, "rings of two pairs: what Cloud Hypervisor and Dragonball ask for");
    is_int(fe_get(&fe, VU_GET_MAX_MEM_SLOTS, NULL, 0), 0, "GET_MAX_MEM_SLOTS");
    is_int(fe.reply.p.u64, VMMNET_MAX_REGIONS, "memory slots");

    struct vu_config cfg = {.offset = 0, .size = 12};
    is_int(fe_get(&fe, VU_GET_CONFIG, &cfg, 24), 0, "GET_CONFIG");
    is_int(fe.reply.h.size, 24, "as long as asked for");
    is_mem(fe.reply.p.config.data, "\x02\0\0\0\0\x01\x01\0\x02\0\x78\x05", 12,
           "MAC, link up, two pairs, MTU");
    cfg = (struct vu_config){.offset = 10, .size = 2};
    fe_get(&fe, VU_GET_CONFIG, &cfg, 14);
    is_mem(fe.reply.p.config.data, "\x78\x05", 2, "part of it");
    cfg = (struct vu_config){.offset = 0, .size = 6, .data = {2, 0, 0, 0, 0, 9}};
    is_int(fe_ask(&fe, VU_SET_CONFIG, &cfg, 18, NULL, 0), 1, "SET_CONFIG of a read-only field");
    cfg.flags = 1;
    is_int(fe_ask(&fe, VU_SET_CONFIG, &cfg, 18, NULL, 0), 0, "SET_CONFIG of a migration");

    is_int(fe_ask_u64(&fe, VU_NET_SET_MTU, 1400), 0, "NET_SET_MTU");
    is_int(fe_ask_u64(&fe, VU_NET_SET_MTU, 9000), 1, "NET_SET_MTU over what there is");
    is_int(fe_ask_u64(&fe, VU_SET_STATUS, 15), 0, "SET_STATUS");
    fe_get(&fe, VU_GET_STATUS, NULL, 0);
    is_int(fe.reply.p.u64, 15, "GET_STATUS");
    uint64_t mac = 0x010000000002ull;
    is_int(fe_ask_u64(&fe, VU_SEND_RARP, mac), 0, "SEND_RARP");
    is_int(fe_ask_u64(&fe, VU_SEND_RARP, mac + 2), 1, "SEND_RARP with another's address");
    is_int(fe_ask(&fe, VU_RESET_OWNER, NULL, 0, NULL, 0), 0, "RESET_OWNER");
    is_int(fe_ask(&fe, 99, NULL, 0, NULL, 0), 1, "an unknown request is refused");
    int fd = eventfd(0, EFD_CLOEXEC);
    unsigned fds = fe_count_fds();
    is_int(fe_ask(&fe, 1000, &mac, 8, &fd, 1), 1, "an unknown request with a descriptor too");
    is_int(fe_count_fds(), fds, "which is closed");
    is_int(fe_send(&fe, 99, NULL, 0, NULL, 0, 0), 0, "nobody waits: no answer, still connected");
    close(fd);
    ok(fe_get(&fe, VU_GET_FEATURES, NULL, 0) == 0, "and it goes on");

    /* Slots one by one. */
    struct vu_mem_reg m0 = {.region = {FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0}};
    struct vu_mem_reg m1 = {.region = {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}};
    is_int(fe_ask(&fe, VU_ADD_MEM_REG, &m0, sizeof(m0), &fe.memfd[0], 1), 0, "ADD_MEM_REG");
    is_int(fe_ask(&fe, VU_ADD_MEM_REG, &m1, sizeof(m1), &fe.memfd[1], 1), 0, "ADD_MEM_REG");
    fe_ring_start(&fe, 1);
    ok(fe_frame_passes(&fe, 1), "a ring in added memory");
    is_int(fe_ask(&fe, VU_REM_MEM_REG, &m1, sizeof(m1), NULL, 0), 0, "REM_MEM_REG");
    is_int(fe_ask(&fe, VU_REM_MEM_REG, &m1, sizeof(m1), NULL, 0), 1, "not twice");
    is_int(fe_ask(&fe, VU_ADD_MEM_REG, &m1, sizeof(m1), &fe.memfd[1], 1), 0, "and back");
    ok(fe_frame_passes(&fe, 1), "the ring goes on");

    /* Device state: out and in again. */
    int p[2];
    struct vu_device_state ds = {0, 0};
    ok(pipe2(p, O_CLOEXEC) == 0, "pipe");
    fe_send(&fe, VU_SET_DEVICE_STATE_FD, &ds, sizeof(ds), &p[1], 1, 0);
    struct vu_msg m;
    ok(recv(fe.sock, &m.h, 12, 0) == 12 && recv(fe.sock, &m.p, 8, 0) == 8 &&
           m.p.u64 == VU_VRING_NOFD,
       "SET_DEVICE_STATE_FD save: our descriptor is used");
    close(p[1]);
    char state[64];
    ssize_t n = read(p[0], state, sizeof(state));
    ok(n > 0 && read(p[0], state + n, 1) == 0, "state, then end of file");
    close(p[0]);
    is_int(fe_get(&fe, VU_CHECK_DEVICE_STATE, NULL, 0), 0, "CHECK_DEVICE_STATE");
    is_int(fe.reply.p.u64, 0, "saved well");
    for (unsigned bad = 0; bad < 2; bad++) {
        ok(pipe2(p, O_CLOEXEC) == 0, "pipe");
        state[0] = (char)(state[0] + (int)bad);
        ok(write(p[1], state, (size_t)n) == n, "state into the pipe");
        close(p[1]);
        ds.direction = 1;
        fe_send(&fe, VU_SET_DEVICE_STATE_FD, &ds, sizeof(ds), &p[0], 1, 0);
        ok(recv(fe.sock, &m.h, 12, 0) == 12 && recv(fe.sock, &m.p, 8, 0) == 8, "load");
        close(p[0]);
        fe_get(&fe, VU_CHECK_DEVICE_STATE, NULL, 0);
        is_int(fe.reply.p.u64, bad, bad ? "changed state is refused" : "state is taken");
    }
    int sv[2];
    ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "socket pair");
    is_int(fe_ask(&fe, VU_SET_BACKEND_REQ_FD, NULL, 0, &sv[1], 1), 0, "SET_BACKEND_REQ_FD");
    vn_proto_config_changed(fe.net->proto);
    struct vu_hdr h = {0};
    ok(recv(sv[0], &h, sizeof(h), 0) == 12 && h.request == VU_BACKEND_CONFIG_CHANGE,
       "the front-end is told of a changed config");
    close(sv[0]);
    close(sv[1]);
    fe_close(&fe);
}

/* crosvm acks the protocol's bit first, then each half of what the driver writes. */
static void features_in_steps(void)
{
    struct fe_conf c = {0};
    struct fe fe;

    fe_open(&fe, &c);
    fe_negotiate(&fe, &c);
    uint64_t f = fe.features, protocol = fe.protocol;
    fe_reconnect(&fe);
    const uint64_t steps[] = {VHF_PROTOCOL, VHF_PROTOCOL | (f & UINT32_MAX), f};
    for (unsigned i = 0; i < PW_ARRAY_SIZE(steps); i++)
        is_int(fe_send(&fe, VU_SET_FEATURES, &steps[i], 8, NULL, 0, 0), 0, "features, step %u", i);
    fe_send(&fe, VU_SET_PROTOCOL_FEATURES, &protocol, 8, NULL, 0, 0);
    fe.protocol = protocol;
    fe_memory(&fe);
    fe_ring_start(&fe, 1);
    ok(fe_frame_passes(&fe, 1), "and frames pass");
    fe_close(&fe);
}

static bool bit(const uint8_t *log, uint64_t gpa)
{
    return log[gpa / 4096 / 8] >> (gpa / 4096 % 8) & 1;
}

static void dirty_log(const struct fe_conf *c)
{
    struct fe fe;
    size_t size = (FE_GPA1 + FE_REGION_SIZE) / 4096 / 8;

    fe_open(&fe, c);
    fe_up(&fe, c);
    int fd = memfd_create("log", MFD_CLOEXEC);
    ok(fd >= 0 && !ftruncate(fd, (off_t)size), "log memory");
    uint8_t *log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct vu_log l = {size, 0};
    is_int(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0), 0, "%s: SET_LOG_BASE", kind(c));
    struct vu_msg m;
    ok(recv(fe.sock, &m.h, 12, 0) == 12 && recv(fe.sock, &m.p, m.h.size, 0) == (ssize_t)m.h.size,
       "%s: has a reply", kind(c));
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, fe.features | VHF_LOG_ALL), 0,
           "%s: logging starts under running rings", kind(c));
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    a.flags = 1;
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0, "%s: ring with log", kind(c));
    ok(fe_frame_passes(&fe, 1), "%s: frame while logging", kind(c));
    ok(bit(log, c->packed ? FE_DESC(1) : FE_USED(1)), "%s: the used ring's page is marked",
       kind(c));
    ok(!bit(log, FE_BUF(1, 0)), "%s: what was only read is not", kind(c));
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, fe.features), 0, "%s: logging ends", kind(c));
    munmap(log, size);
    close(fd);
    fe_close(&fe);
}

/* Who takes marks and page while a batch is under way must find the page marked once more. */
static void marked_after_write(void)
{
    static _Alignas(4096) uint8_t memory[0x4000];
    uint8_t marks[1] = {0}, *desc = memory + 0x1000;
    struct vn_mem mem = {0};
    struct vn_log log = {.map = {.data = marks, .guard = -1}, .size = sizeof(marks)};
    struct vn_virtq q = {0};
    struct vq_chain c;
    struct iovec iov;
    uint64_t gpa;
    const struct vq_layout l = {.packed = true,
                                .num = 4,
                                .desc = desc,
                                .avail = memory + 0x2000,
                                .used = memory + 0x3000,
                                .desc_gpa = 0x1000,
                                .used_log = 0x3000,
                                .log_used = true};

    ok(!vn_mem_add(&mem, 0, 0, sizeof(memory), -1, 0, memory, NULL), "memory");
    vq_layout(&q, &mem, &log, &l);
    vq_position(&q, 0x8000);
    desc[8] = 16;
    desc[14] = VQ_F_AVAIL;
    is_int(vq_pop(&q, false, &c, &iov, &gpa, 1), VQ_OK, "packed: a buffer");
    vq_push(&q, &c, 0);
    marks[0] = 0;
    vq_publish(&q);
    is_int(marks[0] & 1 << 1, 1 << 1,
           "packed: the batch's first descriptor is marked when it is seen");
    vn_mem_clear(&mem);
}

static void inflight(const struct fe_conf *c)
{
    struct fe fe;
    struct vu_inflight i = {.queues = 2, .queue_size = 64};

    fe_open(&fe, c);
    fe_negotiate(&fe, c);
    fe_memory(&fe);
    is_int(fe_get(&fe, VU_GET_INFLIGHT_FD, &i, 24), 0, "%s: GET_INFLIGHT_FD", kind(c));
    int fd = fe.reply.fds[0];
    i = fe.reply.p.inflight;
    ok(fd >= 0 && i.mmap_size, "%s: memory of our size", kind(c));
    is_int(fe_ask(&fe, VU_SET_INFLIGHT_FD, &i, 24, &fd, 1), 0, "%s: SET_INFLIGHT_FD", kind(c));
    fe_ring_start(&fe, 1);
    for (unsigned k = 0; k < 100; k++)
        fe_frame_passes(&fe, 1);
    is_int(fe_count(&fe.stats.pair[0].tx_frames), 100, "%s: frames pass while tracked", kind(c));

    /* The back-end dies without GET_VRING_BASE; the VMM comes back with a base that is wrong. */
    struct fe_seg s = {FE_BUF(1, 0), VNET_HDR_LEN + 60, 0};
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    fe_reconnect(&fe);
    fe_post(&fe, 1, &s, 1);
    fe_negotiate(&fe, c);
    fe_memory(&fe);
    is_int(fe_ask(&fe, VU_SET_INFLIGHT_FD, &i, 24, &fd, 1), 0, "%s: given back", kind(c));
    fe_ask_state(&fe, VU_SET_VRING_NUM, 1, fe.num);
    fe_ask_state(&fe, VU_SET_VRING_BASE, 1, c->packed ? 0x8000 : 101);
    fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
    fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fe.ring[1].call);
    fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick);
    fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "%s: the buffer posted meanwhile is served", kind(c));
    is_int(fe_count(&fe.stats.pair[0].tx_frames), 101, "%s: and none twice", kind(c));
    close(fd);
    fe_close(&fe);
}

/* Died after the guest saw a batch and before that was noted; the guest's driver, whose ring was
 * full, has posted the first slot anew meanwhile. */
static void posted_anew(void)
{
    static _Alignas(64) uint8_t memory[0x4000], region[1024];
    struct {
        uint64_t features;
        uint16_t version, num, free[2], used, old_used;
        uint8_t wrap, old_wrap;
    } died = {.version = 1, .num = 4, .used = 2, .wrap = 1, .old_wrap = 1};
    static const uint16_t flags[] = {VQ_F_AVAIL, VQ_F_AVAIL | VQ_F_USED, VQ_F_USED};
    static const char *const what[] = {"was not seen", "was seen", "was seen and posted anew"};
    struct vn_mem mem = {0};
    const struct vq_layout l = {.packed = true,
                                .num = 4,
                                .desc = memory,
                                .avail = memory + 0x1000,
                                .used = memory + 0x2000};

    for (unsigned i = 0; i < PW_ARRAY_SIZE(flags); i++) {
        struct vn_virtq q = {.inflight = region};
        memcpy(region, &died, sizeof(died));
        memcpy(memory + 14, &flags[i], 2);
        vq_layout(&q, &mem, NULL, &l);
        vq_position(&q, 0x8000);
        is_int(vq_base(&q) & 0xffff, 0x8000 | (i ? 2 : 0), "packed: a batch that %s", what[i]);
    }
}

int main(void)
{
    for (unsigned p = 0; p < 2; p++) {
        struct fe_conf c = {.packed = p};
        frames(&c);
        stop_and_start(&c);
        notifications(&c);
        dirty_log(&c);
        inflight(&c);
    }
    features_in_steps();
    marked_after_write();
    posted_anew();
    without_protocol_features();
    polled();
    requests();
    return tap_done();
}
