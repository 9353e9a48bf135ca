// SPDX-License-Identifier: Apache-2.0
/* pw-test: vm timeout=180 */
/*
 * The relay: rings handed to the kernel's vhost-net. Frames both ways, every change of
 * configuration under load, and a front-end and guest that break the rules: the kernel judges what
 * is in the rings, we what it is told of them.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"
#include "tests/vhost/fe.h"
#include "tests/vhost/wild.h"
#include "vmm-net/dev.h"
#include "vmm-net/proto.h"
#include "vmm-net/relay.h"

static struct fe fe;
static struct fe_conf conf = {.relay = true};
static int packet;

static void begin(void)
{
    if (!fe_tap("rl0", &conf.tap, &packet))
        bail("no tap");
    fe_open(&fe, &conf);
    fe_up(&fe, &conf);
}

static void end(const char *name)
{
    ok(fe_recovers(&fe, &conf), "%s: the device serves the next front-end", name);
    fe_close(&fe);
    close(packet);
}

/* Frames that reached the tap from the guest, until `want` or nothing more comes. */
static unsigned on_tap(unsigned want)
{
    struct pollfd p = {.fd = packet, .events = POLLIN};
    unsigned n = 0;
    uint8_t buf[2048];

    while (n < want && poll(&p, 1, 5000) == 1 && recv(packet, buf, sizeof(buf), 0) > 0)
        n++;
    return n;
}

static void post_tx(unsigned buffer)
{
    struct fe_seg s = {FE_BUF(1, buffer), VNET_HDR_LEN + 60, 0};

    fe_frame(&fe, s.addr, 60);
    fe_post(&fe, 1, &s, 1);
}

static void post_rx(unsigned n, uint32_t len)
{
    for (unsigned i = 0; i < n; i++) {
        struct fe_seg s = {FE_BUF(0, i), len, FE_F_WRITE};
        fe_post(&fe, 0, &s, 1);
    }
    fe_kick(&fe, 0);
}

/* Ring 1 started again where it stopped, what is in it kept. */
static bool go_on(uint32_t base)
{
    struct vu_addr a;

    fe_ring_addr_msg(&fe, 1, &a);
    return !fe_ask_state(&fe, VU_SET_VRING_NUM, 1, fe.num) &&
           !fe_ask_state(&fe, VU_SET_VRING_BASE, 1, base) &&
           !fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0) &&
           !fe_ask_fd(&fe, VU_SET_VRING_CALL, 1, fe.ring[1].call) &&
           !fe_ask_fd(&fe, VU_SET_VRING_ERR, 1, fe.ring[1].err) &&
           !fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, fe.ring[1].kick) &&
           !fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 1);
}

static void offer(void)
{
    uint64_t kernel = 0;
    int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

    begin();
    ok(!vn_relay_probe(fd, &kernel, NULL), "the kernel says what it can do");
    diag("0x%llx", (unsigned long long)kernel);
    close(fd);
    fe_get(&fe, VU_GET_FEATURES, NULL, 0);
    uint64_t f = fe.reply.p.u64;
    const uint64_t rings = VNF_MRG_RXBUF | VIF_INDIRECT_DESC | VIF_EVENT_IDX | VIF_IN_ORDER;
    ok((f & rings) == (kernel & rings), "ring features are those of the kernel");
    ok(!(f & VIF_RING_PACKED), "no packed rings");
    ok(f & VNF_HOST_TSO4 && f & VNF_GUEST_TSO4, "offloads are the tap's");
    fe_get(&fe, VU_GET_PROTOCOL_FEATURES, NULL, 0);
    ok(!(fe.reply.p.u64 >> VU_PF_INFLIGHT_SHMFD & 1), "no inflight buffer");
    is_int(fe_ask_fd(&fe, VU_SET_VRING_KICK, 1, -1), 1, "a ring without kicks: refused");
    has_str(fe.err.msg, "kicks", "and says why");
    end("offer");
}

static void frames(void)
{
    begin();
    unsigned good = 0;
    for (unsigned i = 0; i < 200; i++)
        good += fe_frame_passes(&fe, 1);
    is_int(good, 200, "from the guest: buffers come back, three times round the ring");
    is_int(on_tap(200), 200, "and the frames are on the tap");
    ok(poll(&(struct pollfd){.fd = fe.ring[1].call, .events = POLLIN}, 1, 5000) == 1,
       "the VMM's own call eventfd is raised");

    post_rx(60, 1600);
    unsigned sent = 0;
    for (unsigned i = 0; i < 50; i++)
        sent += fe_inject(packet, 200);
    is_int(sent, 50, "towards the guest: 50 frames");
    is_int(fe_wait(&fe, 0, 50), 50, "arrive");
    const uint8_t *b = fe_at(&fe, FE_BUF(0, 49));
    ok(b[10] == 1 && b[VNET_HDR_LEN + 12] == 0x88 && b[VNET_HDR_LEN + 199] == 199,
       "with header and bytes");
    ok(poll(&(struct pollfd){.fd = fe.ring[0].call, .events = POLLIN}, 1, 5000) == 1,
       "and an interrupt");
    end("frames");

    begin();
    post_rx(60, 512);
    ok(fe_inject(packet, 1400), "a frame over several buffers");
    is_int(fe_wait(&fe, 0, 3), 3, "takes three");
    is_int(((uint8_t *)fe_at(&fe, FE_BUF(0, 0)))[10], 3, "which the header says");
    end("mergeable buffers");
}

static void stop_and_go(void)
{
    begin();
    for (unsigned i = 0; i < 5; i++)
        fe_frame_passes(&fe, 1);
    uint32_t base = fe_ring_stop(&fe, 1);
    is_int(base, 5, "GET_VRING_BASE is what the kernel did");
    uint16_t id;
    uint32_t len;
    post_tx(0);
    fe_kick(&fe, 1);
    usleep(50000);
    ok(!fe_used(&fe, 1, &id, &len), "stopped: nothing is taken");
    ok(go_on(base), "started again");
    is_int(fe_wait(&fe, 1, 1), 1, "what was kicked meanwhile goes out");
    is_int(on_tap(6), 6, "each frame once");

    is_int(fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 0), 0, "disabled");
    post_tx(0);
    fe_kick(&fe, 1);
    usleep(50000);
    ok(!fe_used(&fe, 1, &id, &len), "stands still");
    is_int(fe_ask_state(&fe, VU_SET_VRING_ENABLE, 1, 1), 0, "enabled");
    is_int(fe_wait(&fe, 1, 1), 1, "goes on");

    is_int(fe_ask(&fe, VU_RESET_DEVICE, NULL, 0, NULL, 0), 0, "RESET_DEVICE");
    uint64_t f = fe.features;
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, f), 0, "features again");
    fe_ring_start(&fe, 1);
    ok(fe_frame_passes(&fe, 1), "and it works with the memory it had");
    end("stop");
}

static atomic_bool flood_stop;

static void *flood(void *arg)
{
    uint64_t *passed = arg;

    while (!atomic_load(&flood_stop))
        *passed += fe_frame_passes(&fe, 1);
    return NULL;
}

static const struct vu_memory table = {
    .n = 2,
    .region = {{FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0}, {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};

static void changes(void)
{
    pthread_t t;
    uint64_t passed = 0, v = 1;
    int bad = 0;

    begin();
    unsigned fds = fe_count_fds();
    atomic_store(&flood_stop, false);
    pthread_create(&t, NULL, flood, &passed);
    for (unsigned i = 0; i < 100; i++) {
        bad |= fe_send(&fe, VU_SET_MEM_TABLE, &table, 72, fe.memfd, 2, 0);
        int fd = eventfd(0, EFD_CLOEXEC);
        bad |= fe_send(&fe, VU_SET_VRING_CALL, &v, 8, &fd, 1, 0);
        close(fd);
        bad |= fe_send(&fe, VU_SET_VRING_KICK, &v, 8, &fe.ring[1].kick, 1, 0);
    }
    atomic_store(&flood_stop, true);
    pthread_join(t, NULL);
    ok(!bad && passed > 0, "memory and descriptors replaced 100 times under load: %llu frames pass",
       (unsigned long long)passed);
    is_int(fe_count(&fe.stats.pair[0].ring_errors), 0, "and the kernel refuses none of it");
    is_int(fe_count_fds(), fds, "no descriptor is left");

    /* A slot of its own, and its end. */
    int fd = memfd_create("slot", MFD_CLOEXEC);
    struct vu_mem_reg m = {.region = {0x200000000ull, 1 << 20, 0x7fc000000000ull, 0}};
    ok(!ftruncate(fd, 1 << 20), "memory");
    is_int(fe_ask(&fe, VU_ADD_MEM_REG, &m, sizeof(m), &fd, 1), 0, "ADD_MEM_REG");
    struct fe_seg s = {m.region.guest_addr, VNET_HDR_LEN + 60, 0};
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "a frame from there passes");
    is_int(fe_ask(&fe, VU_REM_MEM_REG, &m, sizeof(m), NULL, 0), 0, "REM_MEM_REG");
    fe_post(&fe, 1, &s, 1);
    fe_kick(&fe, 1);
    ok(fe_wait_error(&fe, 1) || fe_wait(&fe, 1, 1) == 0, "and no longer");
    close(fd);
    end("changes");
}

static bool bit(const uint8_t *log, uint64_t gpa)
{
    return log[gpa / 4096 / 8] >> (gpa / 4096 % 8) & 1;
}

static void dirty_log(void)
{
    size_t size = (FE_GPA1 + FE_REGION_SIZE) / 4096 / 8;
    int fd = memfd_create("log", MFD_CLOEXEC);
    struct vu_log l = {size, 0};
    struct vu_addr a;

    begin();
    ok(!ftruncate(fd, (off_t)size), "log memory");
    uint8_t *log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    post_rx(8, 1600);
    is_int(fe_send(&fe, VU_SET_LOG_BASE, &l, sizeof(l), &fd, 1, 0), 0, "SET_LOG_BASE");
    (void)!recv(fe.sock, &fe.reply.h, 20, 0);
    is_int(fe_ask_u64(&fe, VU_SET_FEATURES, fe.features | VHF_LOG_ALL), 0, "logging starts");
    fe_ring_addr_msg(&fe, 0, &a);
    a.flags = 1;
    is_int(fe_ask(&fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0), 0, "ring with log");
    ok(fe_inject(packet, 200) && fe_wait(&fe, 0, 1) == 1, "a frame while logging");
    ok(bit(log, FE_BUF(0, 0)), "its page is marked");
    ok(bit(log, FE_USED(0)), "and the used ring's");
    ok(!bit(log, FE_BUF(0, 5)), "no other");

    /* The kernel does not know where the log ends. */
    int more = memfd_create("more", MFD_CLOEXEC);
    struct vu_mem_reg m = {.region = {1ull << 40, 4096, 0x7fd000000000ull, 0}};
    ok(!ftruncate(more, 4096), "memory");
    is_int(fe_ask(&fe, VU_ADD_MEM_REG, &m, sizeof(m), &more, 1), 0, "memory beyond the log");
    has_str(fe_wait_error(&fe, 0), "refuses", "the kernel gets no such ring");
    has_str(fe.stats.last_error, "dirty log", "and the counters say why");
    close(more);
    munmap(log, size);
    close(fd);
    end("dirty log");
}

static void broken(const char *name)
{
    fe_kick(&fe, 1);
    ok(poll(&(struct pollfd){.fd = fe.ring[1].err, .events = POLLIN}, 1, 10000) == 1,
       "%s: the kernel raises the VMM's error eventfd", name);
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "%s: still connected", name);
    end(name);
}

static void hostile_rings(void)
{
    begin();
    fe_avail(&fe, 1, 200);
    broken("head out of range");
    begin();
    fe.ring[1].avail = 999;
    fe_avail(&fe, 1, 0);
    broken("avail index jumps");
    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_BUF(1, 0), 60, FE_F_NEXT, 0);
    fe_avail(&fe, 1, 0);
    broken("loop");
    begin();
    fe_desc(&fe, FE_DESC(1), 0, 0x10000000, 60, 0, 0);
    fe_avail(&fe, 1, 0);
    broken("buffer in a hole");
    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_GPA0 + FE_REGION_SIZE - 8, 4096, 0, 0);
    fe_avail(&fe, 1, 0);
    broken("buffer crosses a region's end");
    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_TABLE(1), 17, FE_F_INDIRECT, 0);
    fe_avail(&fe, 1, 0);
    broken("indirect table of 17 bytes");

    /* A header that asks for what the tap does not do: the frame is lost, the ring goes on. */
    begin();
    post_tx(0);
    struct vnet_hdr *h = fe_at(&fe, FE_BUF(1, 0));
    *h = (struct vnet_hdr){.flags = 1, .gso_type = 77, .csum_start = 9999};
    fe_kick(&fe, 1);
    is_int(fe_wait(&fe, 1, 1), 1, "garbage in a frame's header: used up");
    ok(fe_frame_passes(&fe, 1), "and the next passes");
    is_int(on_tap(1), 1, "which is on the tap");
    end("header");

    for (unsigned i = 0; i < 2; i++) {
        begin();
        fe_frame_passes(&fe, 1);
        if (i == 1)
            post_tx(0);
        ok(!ftruncate(fe.memfd[i], 0), "memory truncated under the kernel");
        munmap(fe.mem[i], FE_REGION_SIZE);
        fe_kick(&fe, 1);
        usleep(50000);
        is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "alive");
        ok(!ftruncate(fe.memfd[i], FE_REGION_SIZE), "memory for the next front-end");
        fe.mem[i] = mmap(NULL, FE_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe.memfd[i], 0);
        end("truncated");
    }
}

/* Messages nearly right, in any order, with the kernel behind them. */
static void hostile_messages(void)
{
    uint64_t seed = 1;
    unsigned ended = 0;

    begin();
    unsigned fds = fe_count_fds(), threads = fe_count_threads();
    for (unsigned i = 0; i < 1500; i++) {
        int rc = wild_message(&fe, &seed);
        if (rc < 0 || i % 100 == 99) {
            ended += rc < 0;
            fe_reconnect(&fe);
            fe_up(&fe, &conf);
        }
        fe_kick(&fe, i % 2);
    }
    ok(ended > 10, "1,500 messages at random: %u connections ended by them", ended);
    ok(fe_recovers(&fe, &conf), "the device is well");
    is_int(fe_count_fds(), fds, "no descriptor is left");
    is_int(fe_count_threads(), threads, "nor a thread");
    end("messages");
}

static void connects(void)
{
    begin();
    for (unsigned i = 0; i < 5; i++)
        fe_recovers(&fe, &conf);
    unsigned fds = fe_count_fds(), maps = fe_count_maps(), threads = fe_count_threads(), good = 0;
    for (unsigned i = 0; i < 100; i++)
        good += fe_recovers(&fe, &conf);
    is_int(good, 100, "100 connects, each with a frame through the kernel");
    is_int(fe_count_fds(), fds, "as many descriptors as before");
    is_int(fe_count_threads(), threads, "as many threads");
    ok(fe_count_maps() <= maps + 8, "as many mappings");
    end("connects");
}

static void two_pairs(void)
{
    struct fe_conf c = {.relay = true, .pairs = 2};
    int taps[2];

    ok(!vmmnet_tap_open("rl2", 2, taps, NULL), "a tap of two queues");
    c.taps = taps;
    fe_open(&fe, &c);
    fe_up(&fe, &c);
    ok(fe_frame_passes(&fe, 1) && fe_frame_passes(&fe, 3), "frames of both pairs are taken");
    fe_close(&fe);
}

static void wrong_device(void)
{
    int tap[1], fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct vmmnet_conf c = {.pairs = 1, .tap = tap, .vhost_net = &fd};
    struct pw_err err = PW_ERR_INIT;
    struct vmmnet *net = NULL;

    ok(!vmmnet_tap_open("rl3", 1, tap, &err), "a tap");
    ok(vmmnet_new(&c, &net, &err) == -EINVAL, "another device than vhost-net: refused");
    has_str(err.msg, "is not /dev/vhost-net", "and said");
    tap[0] = VMMNET_NULL_TAP;
    ok(vmmnet_new(&c, &net, &err) == -EINVAL, "no tap: refused");
}

int main(void)
{
    if (access("/dev/vhost-net", R_OK | W_OK))
        skip_all("no /dev/vhost-net on this kernel; the guests of group vm have it");
    wrong_device();
    offer();
    frames();
    stop_and_go();
    changes();
    dirty_log();
    hostile_rings();
    hostile_messages();
    connects();
    two_pairs();
    return tap_done();
}
