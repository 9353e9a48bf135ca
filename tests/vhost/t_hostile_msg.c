// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/*
 * What a hostile front-end can send, each case by itself: refused with an answer where one was
 * asked for, else the connection ends; no descriptor leaks; the device serves the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"
#include "tests/vhost/fe.h"
#include "vmm-net/proto.h"
#include "vmm-net/serve.h"

static struct fe fe;
static const struct fe_conf conf;

static void begin(void)
{
    fe_open(&fe, &conf);
    fe_up(&fe, &conf);
}

static void end(const char *name)
{
    ok(fe_recovers(&fe, &conf), "%s: the device serves the next front-end", name);
    fe_close(&fe);
}

/* Refused in both ways: with an answer the connection stays, without it ends. */
static void refused(const char *name, uint32_t request, const void *payload, uint32_t size,
                    const int *fds, unsigned nfds)
{
    unsigned open_fds = fe_count_fds();

    is_int(fe_ask(&fe, request, payload, size, fds, nfds), 1, "%s: refused with an answer", name);
    is_int(fe_count_fds(), open_fds, "%s: no descriptor is left", name);
    ok(fe_frame_passes(&fe, 1), "%s: the rings go on", name);
    ok(fe_send(&fe, request, payload, size, fds, nfds, 0) < 0, "%s: else the connection ends",
       name);
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
}

static void state(const char *name, uint32_t request, uint32_t index, uint32_t num)
{
    struct vu_state s = {index, num};

    refused(name, request, &s, sizeof(s), NULL, 0);
}

static void case_21(void)
{
    begin();
    state("case 21 SET_VRING_NUM of ring 2", VU_SET_VRING_NUM, 2, 64);
    state("case 21 SET_VRING_BASE of ring 65536", VU_SET_VRING_BASE, 65536, 0);
    state("case 21 SET_VRING_ENABLE of ring 65537", VU_SET_VRING_ENABLE, 65537, 1);
    state("case 21 SET_VRING_ENABLE of ring 0xffffffff", VU_SET_VRING_ENABLE, ~0u, 1);
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    a.index = 0x10001;
    refused("case 21 SET_VRING_ADDR of ring 65537", VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t req[] = {VU_SET_VRING_KICK, VU_SET_VRING_CALL, VU_SET_VRING_ERR};
        uint64_t v = 255;
        refused("case 21 descriptor for ring 255", req[i], &v, 8, &fe.ring[0].kick, 1);
        v = 1ull << 32 | 1;
        refused("case 21 descriptor for ring 2^32 + 1", req[i], &v, 8, &fe.ring[0].kick, 1);
    }
    struct vu_state s = {7, 0};
    ok(fe_send(&fe, VU_GET_VRING_BASE, &s, 8, NULL, 0, 0) < 0,
       "case 21 GET_VRING_BASE of ring 7: connection ends");
    end("case 21");
}

static void case_22(void)
{
    static const uint32_t sizes[] = {0, 3, 63, 65, 8192, 32768, 65536, 65600, ~0u};

    begin();
    state("case 22 size changed under a running ring", VU_SET_VRING_NUM, 1, 128);
    state("case 22 base changed under a running ring", VU_SET_VRING_BASE, 1, 7);
    for (unsigned i = 0; i < PW_ARRAY_SIZE(sizes); i++) {
        fe_ring_stop(&fe, 1);
        is_int(fe_ask_state(&fe, VU_SET_VRING_NUM, 1, sizes[i]), 1, "case 22 size %u: refused",
               sizes[i]);
        fe_ring_start(&fe, 1);
    }
    end("case 22");

    struct fe_conf p = {.packed = true};
    fe_open(&fe, &p);
    fe_up(&fe, &p);
    fe_ring_stop(&fe, 1);
    is_int(fe_ask_state(&fe, VU_SET_VRING_BASE, 1, 64 | 1u << 15), 0, "case 22 packed base 64");
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick), 1,
           "case 22 packed base beyond the ring: refused when it starts");
    fe_close(&fe);
}

static void addr(const char *name, uint64_t desc, uint64_t avail, uint64_t used)
{
    struct vu_addr a = {.index = 1, .desc = desc, .avail = avail, .used = used};

    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1, "%s: refused", name);
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "%s: still connected", name);
}

static void case_23(void)
{
    const uint64_t d = FE_UVA0 + FE_DESC(1), a = FE_UVA0 + FE_AVAIL(1), u = FE_UVA0 + FE_USED(1);
    const uint64_t top = FE_UVA0 + FE_REGION_SIZE;

    begin();
    addr("case 23 descriptors unmapped", 0x1000, a, u);
    addr("case 23 avail unmapped", d, 0x1000, u);
    addr("case 23 used unmapped", d, a, 0x1000);
    addr("case 23 null", 0, 0, 0);
    addr("case 23 guest address for user address", FE_DESC(1), FE_AVAIL(1), FE_USED(1));
    addr("case 23 descriptors unaligned", d + 8, a, u);
    addr("case 23 avail unaligned", d, a + 1, u);
    addr("case 23 used unaligned", d, a, u + 2);
    addr("case 23 descriptors straddle", top - 512, a, u);
    addr("case 23 avail straddles", d, top - 16, u);
    addr("case 23 used straddles", d, a, top - 16);
    addr("case 23 wraps", ~15ull, a, u);
    struct vu_addr x = {.index = 1, .flags = 2, .desc = d, .avail = a, .used = u};
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &x, sizeof(x), NULL, 0), 1, "case 23 unknown flags");
    end("case 23");
}

static void memory(const char *name, const struct vu_memory *m, uint32_t size, const int *fds,
                   unsigned nfds)
{
    refused(name, VU_SET_MEM_TABLE, m, size, fds, nfds);
}

static const struct vu_memory good = {
    .n = 2,
    .region = {{FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0}, {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};

static void case_24(void)
{
    uint64_t v = 1;
    int many[16];
    int three[3];

    begin();
    for (unsigned i = 0; i < 16; i++)
        many[i] = fe.memfd[0];
    three[0] = three[2] = fe.memfd[0];
    three[1] = fe.memfd[1];
    memory("case 24 two regions, one descriptor", &good, 72, fe.memfd, 1);
    memory("case 24 two regions, three descriptors", &good, 72, three, 3);
    memory("case 24 two regions, none", &good, 72, NULL, 0);
    refused("case 24 kick without descriptor or flag", VU_SET_VRING_KICK, &v, 8, NULL, 0);
    refused("case 24 two kicks", VU_SET_VRING_KICK, &v, 8, many, 2);
    v = 1 | VU_VRING_NOFD;
    refused("case 24 kick with descriptor and flag", VU_SET_VRING_KICK, &v, 8, many, 1);
    refused("case 24 SET_OWNER with a descriptor", VU_SET_OWNER, NULL, 0, many, 1);
    unsigned fds = fe_count_fds();
    ok(fe_send(&fe, VU_GET_FEATURES, NULL, 0, many, 3, 0) < 0,
       "case 24 GET_FEATURES with descriptors: connection ends");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, many, 16, VU_NEED_REPLY), -EPROTO,
           "case 24 more descriptors than any request (MSG_CTRUNC): connection ends");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    is_int(fe_count_fds(), fds, "case 24 no descriptor is left");

    /* Descriptors that come with the payload, not the header. */
    struct vu_hdr h = {VU_SET_VRING_NUM, VU_VERSION, 8};
    ok(send(fe.sock, &h, sizeof(h), 0) == 12, "case 24 a header by itself");
    is_int(vmmnet_handle(fe.net, NULL), 0, "case 24 waits for the rest");
    struct vu_state s = {1, 64};
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr c;
    } ctl = {.c = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&ctl.c), &many[0], sizeof(int));
    struct iovec iov = {&s, sizeof(s)};
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl)};
    ok(sendmsg(fe.sock, &mh, 0) == 8, "case 24 payload with a descriptor");
    ok(vmmnet_handle(fe.net, NULL) < 0, "case 24 connection ends");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    is_int(fe_count_fds(), fds, "case 24 no descriptor is left by the payload either");
    end("case 24");
}

static void raw(const char *name, uint32_t request, uint32_t flags, uint32_t size)
{
    struct vu_hdr h = {request, flags, size};
    uint8_t junk[300] = {0};

    ok(send(fe.sock, &h, sizeof(h), 0) == 12, "%s", name);
    (void)!send(fe.sock, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);
    ok(vmmnet_handle(fe.net, NULL) < 0, "%s: connection ends", name);
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
}

static void case_25(void)
{
    struct vu_memory m = good;
    int fds[9];

    begin();
    raw("case 25 version 0", VU_GET_FEATURES, 0, 0);
    raw("case 25 version 2", VU_GET_FEATURES, 2, 0);
    raw("case 25 a reply", VU_GET_FEATURES, VU_VERSION | VU_REPLY, 0);
    raw("case 25 size 4 GiB", VU_SET_FEATURES, VU_VERSION, ~0u);
    raw("case 25 size over any request", VU_SET_FEATURES, VU_VERSION, sizeof(union vu_payload) + 1);
    uint64_t v[2] = {0, 0};
    refused("case 25 SET_FEATURES of 7 bytes", VU_SET_FEATURES, v, 7, NULL, 0);
    refused("case 25 SET_FEATURES of 9 bytes", VU_SET_FEATURES, v, 9, NULL, 0);
    refused("case 25 SET_FEATURES of 0 bytes", VU_SET_FEATURES, v, 0, NULL, 0);
    refused("case 25 SET_OWNER of 8 bytes", VU_SET_OWNER, v, 8, NULL, 0);
    for (unsigned i = 0; i < 9; i++)
        fds[i] = fe.memfd[i % 2];
    m.n = 0;
    memory("case 25 no regions", &m, 72, fds, 2);
    m.n = 9;
    memory("case 25 nine regions", &m, sizeof(m), fds, 8);
    m.n = ~0u;
    memory("case 25 2^32 - 1 regions", &m, sizeof(m), fds, 8);
    m.n = 2;
    memory("case 25 two regions, bytes of three", &m, 104, fds, 2);
    memory("case 25 two regions, bytes of one", &m, 40, fds, 2);
    state("case 25 SET_VRING_ENABLE with 2", VU_SET_VRING_ENABLE, 1, 2);
    is_int(fe_ask(&fe, 0, NULL, 0, NULL, 0), 1, "case 25 request 0: refused");
    end("case 25");
}

static void case_26(void)
{
    struct vu_memory m;
    int p[2];

    begin();
    m = good;
    m.region[1].guest_addr = FE_GPA0 + FE_REGION_SIZE - 4096;
    memory("case 26 guest addresses overlap", &m, 72, fe.memfd, 2);
    m = good;
    m.region[1].user_addr = FE_UVA0 + 4096;
    memory("case 26 user addresses overlap", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].size = 0;
    memory("case 26 empty region", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].guest_addr = ~0ull - 4096;
    memory("case 26 guest address overflows", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].user_addr = ~0ull - 4096;
    memory("case 26 user address overflows", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].mmap_offset = ~0ull - 4096;
    memory("case 26 offset overflows", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].mmap_offset = 4096;
    memory("case 26 beyond the file's end", &m, 72, fe.memfd, 2);
    m = good;
    m.region[0].size = 1ull << 62;
    memory("case 26 size over everything", &m, 72, fe.memfd, 2);
    m = good;
    ok(!pipe2(p, O_CLOEXEC), "pipe");
    int fds[2] = {fe.memfd[0], p[0]};
    memory("case 26 a pipe", &m, 72, fds, 2);
    close(p[0]);
    close(p[1]);
    fds[1] = eventfd(0, EFD_CLOEXEC);
    memory("case 26 an eventfd", &m, 72, fds, 2);
    close(fds[1]);
    fds[1] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    memory("case 26 a file on disk", &m, 72, fds, 2);
    close(fds[1]);
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fe.memfd[1]);
    fds[1] = open(link, O_RDONLY | O_CLOEXEC);
    memory("case 26 read only", &m, 72, fds, 2);
    close(fds[1]);

    struct vu_mem_reg r = {.region = {FE_GPA0 + 4096, 4096, 0x1000, 0}};
    refused("case 26 ADD_MEM_REG overlapping", VU_ADD_MEM_REG, &r, sizeof(r), fe.memfd, 1);
    r.region.guest_addr = 0x30000000;
    refused("case 26 REM_MEM_REG of what is not there", VU_REM_MEM_REG, &r, sizeof(r), NULL, 0);
    unsigned added = 0;
    for (unsigned i = 0; i < 80; i++) {
        r.region = (struct vu_region){0x40000000 + 0x10000ull * i, 4096,
                                      0x5000000000ull + 0x10000ull * i, 0};
        added += fe_ask(&fe, VU_ADD_MEM_REG, &r, sizeof(r), fe.memfd, 1) == 0;
    }
    is_int(added, VMMNET_MAX_REGIONS - 2, "case 26 no more regions than slots");
    end("case 26");
}

static void case_27(void)
{
    static const char *const what[] = {"rings", "buffers"};

    for (unsigned i = 0; i < 2; i++) {
        begin();
        fe_frame_passes(&fe, 1);
        ok(!ftruncate(fe.memfd[i], 0), "case 27 memfd of the %s truncated", what[i]);
        munmap(fe.mem[i], FE_REGION_SIZE); /* we must not touch it either */
        if (i == 1) {
            struct fe_seg s = {FE_BUF(1, 0), 72, 0};
            fe_post(&fe, 1, &s, 1);
        }
        fe_kick(&fe, 1);
        const char *why = fe_wait_error(&fe, 1);
        ok(why, "case 27 %s: the ring is stopped (%s)", what[i], why ? why : "no");
        is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "case 27 %s: alive", what[i]);
        ok(!ftruncate(fe.memfd[i], FE_REGION_SIZE), "memory for the next front-end");
        fe.mem[i] = mmap(NULL, FE_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe.memfd[i], 0);
        end("case 27");
    }
    ok(!vmmnet_sigbus(&fe), "case 27 faults elsewhere are not ours");
}

static atomic_bool flood_stop;

static void *flood(void *arg)
{
    uint64_t *passed = arg;

    while (!atomic_load(&flood_stop))
        *passed += fe_frame_passes(&fe, 1);
    return NULL;
}

static void case_28(void)
{
    pthread_t t;
    uint64_t passed = 0;
    int bad = 0;

    begin();
    atomic_store(&flood_stop, false);
    pthread_create(&t, NULL, flood, &passed);
    for (unsigned i = 0; i < 300; i++)
        bad |= fe_send(&fe, VU_SET_MEM_TABLE, &good, 72, fe.memfd, 2, 0);
    atomic_store(&flood_stop, true);
    pthread_join(t, NULL);
    ok(!bad && passed > 0, "case 28 memory table replaced 300 times under load: frames pass");
    is_int(fe_count(&fe.stats.pair[0].ring_errors), 0,
           "case 28 and none is read from the wrong place");

    struct vu_memory m = {.n = 1, .region = {{FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};
    is_int(fe_ask(&fe, VU_SET_MEM_TABLE, &m, 40, &fe.memfd[1], 1), 0,
           "case 28 a table without the rings");
    struct fe_seg s = {FE_BUF(1, 0), 72, 0};
    uint64_t frames = fe_count(&fe.stats.pair[0].tx_frames);
    fe_frame(&fe, s.addr, 60);
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    is_int(fe_ask(&fe, VU_SET_OWNER, NULL, 0, NULL, 0), 0, "case 28 they stand still");
    is_int(fe_count(&fe.stats.pair[0].tx_frames), frames, "case 28 nothing is processed");
    is_int(fe_ask(&fe, VU_SET_MEM_TABLE, &good, 72, fe.memfd, 2), 0, "case 28 and back");
    is_int(fe_wait(&fe, 1, 1), 1, "case 28 they go on");
    end("case 28");
}

static void case_29(void)
{
    struct vu_log l = {4096, 0};
    int fd = memfd_create("log", MFD_CLOEXEC);

    begin();
    ok(!ftruncate(fd, 1 << 20), "log");
    ok(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0) < 0, "case 29 log too small");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    l = (struct vu_log){1 << 20, ~0ull - 4096};
    ok(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0) < 0, "case 29 offset overflows");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    l = (struct vu_log){2 << 20, 0};
    ok(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0) < 0, "case 29 more than the file");
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
    l = (struct vu_log){1 << 20, 0};
    is_int(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0), 0, "case 29 a good one");
    struct vu_msg m;
    (void)!recv(fe.sock, &m.h, 20, 0);
    fe_ask_u64(&fe, VU_SET_FEATURES, fe.features | VHF_LOG_ALL);
    struct vu_addr a;
    fe_ring_addr_msg(&fe, 1, &a);
    a.flags = 1;
    a.log = ~0ull - 16;
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1,
           "case 29 log address of the used ring wraps");
    a.log = 1ull << 40;
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 1,
           "case 29 log address beyond the log");
    close(fd);
    end("case 29");
}

static void case_30(void)
{
    struct vu_inflight i = {.queues = 2, .queue_size = 64};

    begin();
    fe_get(&fe, VU_GET_INFLIGHT_FD, &i, 24);
    close(fe.reply.fds[0]);
    unsigned fds = fe_count_fds(), maps = fe_count_maps();
    for (unsigned k = 0; k < 500; k++) {
        i = (struct vu_inflight){.queues = 2, .queue_size = 64};
        if (fe_get(&fe, VU_GET_INFLIGHT_FD, &i, k % 2 ? 20 : 24))
            break;
        int fd = fe.reply.fds[0];
        i = fe.reply.p.inflight;
        fe_ask(&fe, VU_SET_INFLIGHT_FD, &i, k % 2 ? 20 : 24, &fd, 1);
        close(fd);
    }
    is_int(fe_count_fds(), fds, "case 30 inflight 500 times: no descriptor is left");
    is_int(fe_count_maps(), maps, "case 30 nor a mapping");
    static const struct vu_inflight bad[] = {
        {4096, 0, 0, 64, 0},      {4096, 0, 3, 64, 0},    {4096, 0, 2, 0, 0},
        {4096, 0, 2, 8192, 0},    {64, 0, 2, 64, 0},      {~0ull, 64, 2, 64, 0},
        {4096, ~63ull, 2, 64, 0}, {1 << 30, 0, 2, 64, 0},
    };
    int fd = memfd_create("inflight", MFD_CLOEXEC);
    ok(!ftruncate(fd, 8192), "inflight");
    for (unsigned k = 0; k < PW_ARRAY_SIZE(bad); k++)
        refused("case 30 wrong description", VU_SET_INFLIGHT_FD, &bad[k], 24, &fd, 1);
    end("case 30");

    for (unsigned packed = 0; packed < 2; packed++) {
        struct fe_conf c = {.packed = packed};
        fe_open(&fe, &c);
        fe_negotiate(&fe, &c);
        fe_memory(&fe);
        uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        uint32_t x = 1;
        for (unsigned k = 0; k < 8192; k++) {
            x = x * 1664525 + 1013904223;
            p[k] = (uint8_t)(x >> 24);
        }
        p[8] = 1; /* version 1, 64 descriptors: looks used */
        p[9] = 0;
        p[10] = 64;
        p[11] = 0;
        i = (struct vu_inflight){8192, 0, 2, 64, 0};
        is_int(fe_ask(&fe, VU_SET_INFLIGHT_FD, &i, 24, &fd, 1), 0, "case 30 garbage inside");
        fe_ring_start(&fe, 1);
        struct fe_seg s = {FE_BUF(1, 0), 72, 0};
        for (unsigned k = 0; k < 64; k++) {
            fe_post(&fe, 1, &s, 1);
            memset(p + 12, (int)k, 100);
        }
        fe_kick(&fe, 1);
        is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "case 30 tampered with: alive");
        munmap(p, 8192);
        ok(fe_recovers(&fe, &c), "case 30: the device serves the next front-end");
        fe_close(&fe);
    }
    close(fd);
}

static void case_31(void)
{
    uint64_t v = 1, full = ~0ull - 1;
    int p[2], sv[2];

    begin();
    ok(!pipe2(p, O_CLOEXEC) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sv), "pipe and socket");
    const int wrong[] = {p[1], sv[0], fe.memfd[0], STDIN_FILENO};
    for (unsigned i = 0; i < 4; i++) {
        refused("case 31 kick is no eventfd", VU_SET_VRING_KICK, &v, 8, &wrong[i], 1);
        refused("case 31 call is no eventfd", VU_SET_VRING_CALL, &v, 8, &wrong[i], 1);
        refused("case 31 err is no eventfd", VU_SET_VRING_ERR, &v, 8, &wrong[i], 1);
    }
    close(p[0]);
    close(p[1]);
    close(sv[0]);
    close(sv[1]);

    int call = eventfd(0, EFD_CLOEXEC);
    is_int(fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, call), 0, "case 31 call");
    fcntl(call, F_SETFL, O_RDWR); /* blocking again, behind the device's back */
    uint64_t drain;
    (void)!read(call, &drain, 8);
    ok(write(call, &full, 8) == 8, "case 31 full, and blocking");
    struct fe_seg s = {FE_BUF(1, 0), 72, 0};
    fe_frame(&fe, s.addr, 60);
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "case 31 the frame passes");
    is_int(fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fe.ring[1].call), 0,
           "case 31 a worker stuck on it is freed");
    ok(fe_frame_passes(&fe, 1), "case 31 and goes on");
    close(call);
    fcntl(fe.ring[1].kick, F_SETFL, O_RDWR | O_NONBLOCK);
    (void)!write(fe.ring[1].kick, &full, 8);
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick), 0, "case 31 a kick that is full");
    (void)!read(fe.ring[1].kick, &drain, 8);
    fcntl(fe.ring[1].kick, F_SETFL, O_RDWR);
    ok(fe_frame_passes(&fe, 1), "case 31 works when it is not");
    end("case 31");
}

/* ---- case 32, with the program's own loop ---- */

static struct vn_server server = VN_SERVER_INIT;
static char path[64];
static int stop_fd = -1;

static void *serve(void *arg)
{
    (void)arg;
    vn_serve(fe.net, &fe.stats, &server, stop_fd, NULL);
    return NULL;
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The device closes this connection. */
static bool closed(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    return fd >= 0 && poll(&p, 1, 10000) == 1 && recv(fd, &c, 1, 0) <= 0;
}

static bool answers(int fd)
{
    struct vu_hdr h = {VU_GET_FEATURES, VU_VERSION, 0};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buf[20];

    return send(fd, &h, sizeof(h), MSG_NOSIGNAL) == 12 && poll(&p, 1, 10000) == 1 &&
           recv(fd, buf, sizeof(buf), MSG_WAITALL) == 20;
}

static int dial_and_ask(void)
{
    for (unsigned i = 0; i < 1000; i++) { /* until the one before is gone */
        int fd = dial();
        if (fd >= 0 && answers(fd))
            return fd;
        close(fd);
        usleep(5000);
    }
    return -1;
}

static void case_32(void)
{
    pthread_t t;
    struct vu_hdr h = {VU_GET_FEATURES, VU_VERSION, 0};

    begin();
    vmmnet_disconnect(fe.net);
    snprintf(path, sizeof(path), "/tmp/pw-vhost-test.%d", getpid());
    stop_fd = eventfd(0, EFD_CLOEXEC);
    ok(!vn_server_listen(&server, path, 0666, -1, -1, &fe.err), "case 32 listens");
    ok(vn_server_listen(&(struct vn_server)VN_SERVER_INIT, path, 0666, -1, -1, NULL) == -EADDRINUSE,
       "case 32 a second back-end does not take the path");
    server.allow[server.nallow++] = geteuid();
    unsigned fds = fe_count_fds();
    pthread_create(&t, NULL, serve, NULL);

    int a = dial_and_ask();
    ok(a >= 0, "case 32 one front-end");
    int b = dial();
    ok(b >= 0 && closed(b), "case 32 a second is turned away at once");
    close(b);
    ok(answers(a), "case 32 the first does not notice");
    ok(send(a, &h, 5, 0) == 5, "case 32 stalls in mid message");
    b = dial();
    ok(b >= 0 && closed(b), "case 32 the loop is not blocked");
    close(b);
    ok(send(a, (char *)&h + 5, 7, 0) == 7, "case 32 goes on");
    char buf[20];
    ok(recv(a, buf, 20, MSG_WAITALL) == 20, "case 32 and is answered");

    unsigned sent = 0;
    while (sent < 1000000 && send(a, &h, sizeof(h), MSG_NOSIGNAL) == 12)
        sent++;
    ok(sent < 1000000, "case 32 one that never reads its replies is cut off (after %u)", sent);
    close(a);
    a = dial_and_ask();
    ok(a >= 0 && !shutdown(a, SHUT_WR), "case 32 half-closes");
    ok(closed(a), "case 32 is let go");
    close(a);
    a = dial_and_ask();
    ok(a >= 0 && send(a, &h, 12, 0) == 12 && !close(a), "case 32 goes away without its answer");

    for (unsigned i = 0; i < 1000; i++)
        close(dial());
    a = dial_and_ask();
    ok(a >= 0, "case 32 after a storm of 1,000 connects: serves");
    close(a);

    if (geteuid() == 0) {
        chmod(path, 0666);
        uint64_t before = fe_count(&fe.stats.refused);
        pid_t pid = fork();
        if (!pid) {
            if (setuid(4242))
                _exit(2);
            int fd = dial();
            _exit(fd >= 0 && closed(fd) ? 0 : 1);
        }
        int status = 1;
        waitpid(pid, &status, 0);
        is_int(status, 0, "case 32 another user's is turned away");
        ok(fe_count(&fe.stats.refused) > before, "case 32 and counted");
    } else {
        skip("needs root", "case 32 another user's");
    }
    uint64_t one = 1;
    (void)!write(stop_fd, &one, 8);
    pthread_join(t, NULL);
    vmmnet_disconnect(fe.net);
    is_int(fe_count_fds(), fds, "case 32 no descriptor is left");
    vn_server_close(&server);
    close(stop_fd);
    ok(!vn_server_listen(&server, path, 0600, -1, -1, NULL),
       "case 32 a path left behind is taken over");
    vn_server_close(&server);
    unlink(path);
    end("case 32");
}

static void case_33(void)
{
    begin();
    fe_reconnect(&fe);
    struct fe_conf c = {0};
    fe_negotiate(&fe, &c);
    uint64_t f = fe.features;
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f | 1ull << 63), 1, "case 33 unknown feature: refused");
    has_str(fe.err.msg, "not offered", "case 33 and says which");
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f & ~VIF_VERSION_1), 1, "case 33 legacy: refused");
    has_str(fe.err.msg, "legacy", "case 33 and says so");
    is_int(fe_ask_u64(&fe, VU_SET_PROTOCOL_FEATURES, 1ull << 8), 1,
           "case 33 protocol feature not offered: refused");
    fe_memory(&fe);
    fe_ring_start(&fe, 1);
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f & ~VIF_EVENT_IDX), 1,
           "case 33 features changed under running rings: refused");
    fe_reconnect(&fe);
    ok(fe_send(&fe, VU_SET_STATUS, &f, 8, NULL, 0, 0) < 0,
       "case 33 a request of a protocol feature that was not acked");
    end("case 33");
}

static void case_34(void)
{
    pthread_t t;
    uint64_t passed = 0;
    int bad = 0;

    begin();
    unsigned fds = fe_count_fds();
    atomic_store(&flood_stop, false);
    pthread_create(&t, NULL, flood, &passed);
    for (unsigned i = 0; i < 2000; i++) {
        int fd = eventfd(0, EFD_CLOEXEC);
        uint64_t v = 1;
        bad |= fe_send(&fe, VU_SET_VRING_CALL, &v, 8, &fd, 1, 0);
        bad |= fe_send(&fe, VU_SET_VRING_ERR, &v, 8, &fd, 1, 0);
        close(fd);
        bad |= fe_send(&fe, VU_SET_VRING_KICK, &v, 8, &fe.ring[1].kick, 1, 0);
    }
    atomic_store(&flood_stop, true);
    pthread_join(t, NULL);
    ok(!bad && passed > 0, "case 34 descriptors swapped 6,000 times under load: frames pass");
    is_int(fe_count_fds(), fds, "case 34 no descriptor is left");
    end("case 34");
}

static void case_35(void)
{
    static const struct vu_config bad[] = {
        {~0u, 12, 0, {0}}, {~0u - 5, 6, 0, {0}}, {60, 1, 0, {0}},      {59, 2, 0, {0}},
        {0, ~0u, 0, {0}},  {256, 256, 0, {0}},   {8, ~0u - 3, 0, {0}}, {0, 0, 0, {0}},
    };

    begin();
    for (unsigned i = 0; i < PW_ARRAY_SIZE(bad); i++) {
        uint32_t n = bad[i].size <= VU_CONFIG_MAX ? bad[i].size : 12;
        is_int(fe_get(&fe, VU_GET_CONFIG, &bad[i], 12 + n), 0, "case 35 GET_CONFIG %u + %u",
               bad[i].offset, bad[i].size);
        is_int(fe.reply.h.size, 0, "case 35 answered with nothing");
        is_int(fe_ask(&fe, VU_SET_CONFIG, &bad[i], 12 + n, NULL, 0), 1, "case 35 SET_CONFIG");
    }
    struct vu_config c = {0, 200, 0, {0}};
    is_int(fe_get(&fe, VU_GET_CONFIG, &c, 12 + 12), 0, "case 35 says 200, brings 12");
    is_int(fe.reply.h.size, 0, "case 35 answered with nothing");
    end("case 35");
}

#ifdef __SANITIZE_THREAD__
#define CONNECTS 500u /* the races are the same, the sanitizer is slow */
#else
#define CONNECTS 10000u
#endif

/* Everything that a connection brings, ten thousand times. */
static void connects(void)
{
    begin();
    for (unsigned i = 0; i < 50; i++)
        fe_recovers(&fe, &conf);
    unsigned fds = fe_count_fds(), maps = fe_count_maps(), threads = fe_count_threads();
    unsigned good_ones = 0;
    for (unsigned i = 0; i < CONNECTS; i++) {
        fe_reconnect(&fe);
        fe_up(&fe, &conf);
        good_ones += i % 100 ? 1 : fe_frame_passes(&fe, 1);
    }
    is_int(good_ones, CONNECTS, "%u connects, each with memory, rings and descriptors", CONNECTS);
    is_int(fe_count_fds(), fds, "as many descriptors as before");
    is_int(fe_count_threads(), threads, "as many threads");
    ok(fe_count_maps() <= maps + 8, "as many mappings (%u, then %u)", maps, fe_count_maps());
    fe_close(&fe);
}

int main(void)
{
    case_21();
    case_22();
    case_23();
    case_24();
    case_25();
    case_26();
    case_27();
    case_28();
    case_29();
    case_30();
    case_31();
    case_32();
    case_33();
    case_34();
    case_35();
    connects();
    return tap_done();
}
