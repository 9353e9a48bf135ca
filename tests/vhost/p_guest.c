// SPDX-License-Identifier: Apache-2.0
/*
 * guest SOCKET TAP: a VMM with vhost-user and its guest's driver, as far as netbench needs them.
 * The "guest" is the network namespace it runs in, and its device the tap: frames are read from the
 * tap into the rings' buffers and written from them, without another copy. Split rings, mergeable
 * buffers, all offloads. Writes a byte to standard output when it serves the device.
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/vhost/fe.h"

#define NUM 128  /* descriptors of a ring, each with a buffer of its own */
#define BUF 4096 /* bytes of a buffer */
#define MAX 17   /* buffers of the largest frame: 64 KiB and headers */
#define RX 0
#define TX 1
#define EVENT_IDX (1ULL << 29)

static int open_tap(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int size = VNET_HDR_LEN, fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
        return -1;
    return fd;
}

/* Unless the back-end is looking anyway. */
static void kick(struct fe *fe, unsigned r)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(*(volatile uint16_t *)fe_at(fe, FE_USED(r)) & 1))
        fe_kick(fe, r);
}

static void expect(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "guest: %s\n", what);
    _exit(1);
}

/* Descriptors are taken in a circle and come back in the order they went. */
static struct {
    unsigned next, free;
    uint8_t chain[NUM]; /* how many the frame with that head has */
} tx = {.free = NUM};

static void transmit(struct fe *fe, int tap)
{
    struct iovec v[MAX];
    uint16_t head;
    uint32_t len;
    unsigned sent = 0;

    while (fe_used(fe, TX, &head, &len)) {
        expect(head < NUM, "a used descriptor that is none");
        tx.free += tx.chain[head];
    }
    for (; tx.free >= MAX; sent++) {
        for (unsigned i = 0; i < MAX; i++)
            v[i] = (struct iovec){fe_at(fe, FE_BUF(TX, (tx.next + i) % NUM)), BUF};
        ssize_t got = readv(tap, v, MAX);
        if (got <= 0)
            break;
        unsigned n = ((unsigned)got + BUF - 1) / BUF, at = tx.next;
        for (unsigned i = 0; i < n; i++) {
            uint32_t part = i + 1 < n ? BUF : (uint32_t)got - i * BUF;
            fe_desc(fe, FE_DESC(TX), (at + i) % NUM, FE_BUF(TX, (at + i) % NUM), part,
                    i + 1 < n ? FE_F_NEXT : 0, (uint16_t)((at + i + 1) % NUM));
        }
        tx.chain[at] = (uint8_t)n;
        tx.next = (at + n) % NUM;
        tx.free -= n;
        fe_avail(fe, TX, (uint16_t)at);
        if (sent % 16 == 0)
            kick(fe, TX);
    }
    if (sent)
        kick(fe, TX);
}

static void receive(struct fe *fe, int tap)
{
    struct iovec v[MAX];
    uint16_t id[MAX];
    uint32_t len;
    bool any = false;

    while (fe_used(fe, RX, &id[0], &len)) {
        uint16_t n;
        expect(id[0] < NUM && len >= VNET_HDR_LEN && len <= BUF, "a used buffer that is none");
        memcpy(&n, (uint8_t *)fe_at(fe, FE_BUF(RX, id[0])) + VNET_HDR_LEN - 2, sizeof(n));
        expect(n >= 1 && n <= MAX, "a frame in too many buffers");
        v[0] = (struct iovec){fe_at(fe, FE_BUF(RX, id[0])), len};
        for (unsigned i = 1; i < n; i++) {
            while (!fe_used(fe, RX, &id[i], &len)) {
            }
            expect(id[i] < NUM && len <= BUF, "a used buffer that is none");
            v[i] = (struct iovec){fe_at(fe, FE_BUF(RX, id[i])), len};
        }
        /* A guest whose queue is full drops the frame. */
        (void)!writev(tap, v, n);
        for (unsigned i = 0; i < n; i++)
            fe_avail(fe, RX, id[i]);
        any = true;
    }
    if (any)
        kick(fe, RX);
}

int main(int argc, char **argv)
{
    struct fe_conf conf = {.num = NUM, .features_out = EVENT_IDX};
    struct fe fe;
    uint64_t calls;

    if (argc != 3) {
        fputs("usage: guest SOCKET TAP\n", stderr);
        return 2;
    }
    int tap = open_tap(argv[2]);
    expect(tap >= 0, "no tap");
    fe_open_path(&fe, &conf, argv[1]);
    fe_up(&fe, &conf);
    for (unsigned i = 0; i < NUM; i++) {
        fe_desc(&fe, FE_DESC(RX), i, FE_BUF(RX, i), BUF, FE_F_WRITE, 0);
        fe_avail(&fe, RX, (uint16_t)i);
    }
    kick(&fe, RX);
    expect(write(1, "x", 1) == 1, "nobody waits");
    for (;;) {
        struct pollfd p[3] = {{tx.free >= MAX ? tap : -1, POLLIN, 0},
                              {fe.ring[RX].call, POLLIN, 0},
                              {fe.ring[TX].call, POLLIN, 0}};
        if (poll(p, 3, -1) < 0)
            continue;
        for (unsigned r = RX; r <= TX; r++)
            if (p[1 + r].revents)
                (void)!read(p[1 + r].fd, &calls, sizeof(calls));
        receive(&fe, tap);
        transmit(&fe, tap);
    }
}
