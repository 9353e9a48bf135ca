// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/*
 * What a hostile front-end can do with what it hands over: memory, logs and eventfds that change,
 * vanish or are something else while they are in use.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "tests/vhost/hostile.h"

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
        bad |= fe_send(&fe, VU_SET_MEM_TABLE, &regions, 72, fe.memfd, 2, 0);
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
    is_int(fe_ask(&fe, VU_SET_MEM_TABLE, &regions, 72, fe.memfd, 2), 0, "case 28 and back");
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

    /* A buffer made for split rings is too small for packed ones. */
    for (unsigned reset = 0; reset < 2; reset++) {
        struct fe_conf c = {.packed = true, .pairs = 4};
        fe_open(&fe, &c);
        fe_negotiate(&fe, &c);
        fe_ask_u64(&fe, VU_SET_FEATURES, fe.features & ~VIF_RING_PACKED);
        fe_memory(&fe);
        i = (struct vu_inflight){.queues = 8, .queue_size = 4096};
        is_int(fe_get(&fe, VU_GET_INFLIGHT_FD, &i, 24), 0, "case 30 for split rings");
        close(fe.reply.fds[0]);
        if (reset)
            fe_ask(&fe, VU_RESET_DEVICE, NULL, 0, NULL, 0);
        is_int(fe_ask_u64(&fe, VU_SET_FEATURES, fe.features), 0, "case 30 then packed rings");
        fe_ring_start(&fe, 7);
        ok(fe_frame_passes(&fe, 7), "case 30 which are served without it");
        fe_close(&fe);
    }

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

int main(void)
{
    case_27();
    case_28();
    case_29();
    case_30();
    case_31();
    case_34();
    return tap_done();
}
