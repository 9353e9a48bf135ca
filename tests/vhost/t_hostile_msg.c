// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/*
 * What a hostile front-end can say, each case by itself: refused with an answer where one was
 * asked for, else the connection ends; no descriptor leaks; the device serves the next one.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "tests/vhost/hostile.h"
#include "vmm-net/proto.h"

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
    memory("case 24 two regions, one descriptor", &regions, 72, fe.memfd, 1);
    memory("case 24 two regions, three descriptors", &regions, 72, three, 3);
    memory("case 24 two regions, none", &regions, 72, NULL, 0);
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
    struct vu_memory m = regions;
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
    m = regions;
    m.region[1].guest_addr = FE_GPA0 + FE_REGION_SIZE - 4096;
    memory("case 26 guest addresses overlap", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[1].user_addr = FE_UVA0 + 4096;
    memory("case 26 user addresses overlap", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].size = 0;
    memory("case 26 empty region", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].guest_addr = ~0ull - 4096;
    memory("case 26 guest address overflows", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].user_addr = ~0ull - 4096;
    memory("case 26 user address overflows", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].mmap_offset = ~0ull - 4096;
    memory("case 26 offset overflows", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].mmap_offset = 4096;
    memory("case 26 beyond the file's end", &m, 72, fe.memfd, 2);
    m = regions;
    m.region[0].size = 1ull << 62;
    memory("case 26 size over everything", &m, 72, fe.memfd, 2);
    m = regions;
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

static void case_33(void)
{
    begin();
    fe_reconnect(&fe);
    struct fe_conf c = {0};
    fe_negotiate(&fe, &c);
    uint64_t f = fe.features;
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f | 1ull << 63), 1, "case 33 unknown feature: refused");
    has_str(fe.err.msg, "not offered", "case 33 and says which");
    is_int(fe_ask_u64(&fe, VU_SET_PROTOCOL_FEATURES, 1ull << 8), 1,
           "case 33 protocol feature not offered: refused");
    fe_memory(&fe);
    fe_ring_start(&fe, 1);
    fe_ring_stop(&fe, 1);
    fe_ask_u64(&fe, VU_SET_FEATURES, f & ~VIF_VERSION_1);
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick), 1, "case 33 legacy: refused");
    has_str(fe.err.msg, "legacy", "case 33 and says so");
    fe_ask_u64(&fe, VU_SET_FEATURES, f);
    fe_ring_stop(&fe, 1);
    fe_ring_start(&fe, 1);
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f & ~VIF_EVENT_IDX), 1,
           "case 33 features changed under running rings: refused");
    fe_reconnect(&fe);
    ok(fe_send(&fe, VU_SET_STATUS, &f, 8, NULL, 0, 0) < 0,
       "case 33 a request of a protocol feature that was not acked");
    end("case 33");
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

int main(void)
{
    case_21();
    case_22();
    case_23();
    case_24();
    case_25();
    case_26();
    case_33();
    case_35();
    return tap_done();
}
