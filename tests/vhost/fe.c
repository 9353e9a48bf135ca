// SPDX-License-Identifier: Apache-2.0
#include "tests/vhost/fe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000

static void die(struct fe *fe, const char *what)
{
    printf("Bail out! %s: %s\n", what, fe ? fe->err.msg : "");
    fflush(stdout);
    _exit(1);
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 200 * 1000};

    nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- life ---- */

static void open_memory(struct fe *fe, const struct fe_conf *conf)
{
    fe->packed = conf->packed;
    fe->num = conf->num ? conf->num : 64;
    fe->pairs = conf->pairs ? conf->pairs : 1;
    for (unsigned i = 0; i < FE_REGIONS; i++) {
        fe->memfd[i] = memfd_create("guest", MFD_CLOEXEC);
        if (fe->memfd[i] < 0 || ftruncate(fe->memfd[i], FE_REGION_SIZE))
            die(fe, "guest memory");
        fe->mem[i] =
            mmap(NULL, FE_REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memfd[i], 0);
        if (fe->mem[i] == MAP_FAILED)
            die(fe, "guest memory");
    }
    for (unsigned r = 0; r < FE_RINGS; r++) {
        fe->ring[r].kick = eventfd(0, EFD_CLOEXEC);
        fe->ring[r].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        fe->ring[r].err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
}

void fe_reconnect(struct fe *fe)
{
    int sv[2];

    if (fe->sock >= 0)
        close(fe->sock);
    vmmnet_disconnect(fe->net);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) ||
        vmmnet_connection(fe->net, sv[1], &fe->err))
        die(fe, "connect");
    fe->sock = sv[0];
    fe->features = fe->protocol = 0;
}

void fe_open(struct fe *fe, const struct fe_conf *conf)
{
    int tap[VMMNET_MAX_PAIRS], vhost[VMMNET_MAX_PAIRS];

    memset(fe, 0, sizeof(*fe));
    fe->sock = -1;
    open_memory(fe, conf);
    fe->relay = conf->relay;
    for (unsigned i = 0; i < fe->pairs; i++) {
        tap[i] = conf->taps ? conf->taps[i] : conf->tap > 0 && !i ? conf->tap : VMMNET_NULL_TAP;
        vhost[i] = conf->relay ? open("/dev/vhost-net", O_RDWR | O_CLOEXEC) : -1;
    }
    struct vmmnet_conf c = {.pairs = fe->pairs,
                            .tap = tap,
                            .vhost_net = conf->relay ? vhost : NULL,
                            .have_mac = true,
                            .mac = {2, 0, 0, 0, 0, 1},
                            .mtu = conf->mtu,
                            .features_off = conf->features_off,
                            .busy_poll_us = conf->busy_poll_us,
                            .stats = &fe->stats};
    if (vmmnet_new(&c, &fe->net, &fe->err))
        die(fe, "new device");
    fe_reconnect(fe);
}

void fe_open_socket(struct fe *fe, const struct fe_conf *conf, int sock)
{
    memset(fe, 0, sizeof(*fe));
    open_memory(fe, conf);
    fe->sock = sock;
}

void fe_open_path(struct fe *fe, const struct fe_conf *conf, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    fe_open_socket(fe, conf, -1);
    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    fe->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fe->sock < 0)
        die(fe, "socket");
    for (unsigned i = 0; connect(fe->sock, (struct sockaddr *)&a, sizeof(a)); i++) {
        if (i > WAIT_MS * 5)
            die(fe, "connect to the back-end");
        nap();
    }
}

void fe_close(struct fe *fe)
{
    vmmnet_free(fe->net);
    if (fe->sock >= 0)
        close(fe->sock);
    for (unsigned i = 0; i < FE_REGIONS; i++) {
        munmap(fe->mem[i], FE_REGION_SIZE);
        close(fe->memfd[i]);
    }
    for (unsigned r = 0; r < FE_RINGS; r++) {
        close(fe->ring[r].kick);
        close(fe->ring[r].call);
        close(fe->ring[r].err);
    }
}

/* ---- messages ---- */

static int send_raw(int sock, struct vu_hdr *h, void *payload, uint32_t size, const int *fds,
                    unsigned nfds)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * 32)];
        struct cmsghdr align;
    } ctl = {0};
    struct iovec iov[2] = {{h, sizeof(*h)}, {payload, size}};
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

    if (nfds) {
        mh.msg_control = ctl.buf;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int fe_send(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
            unsigned nfds, uint32_t flags)
{
    struct vu_hdr h = {request, VU_VERSION | flags, size};
    uint8_t copy[512] = {0};
    if (size > sizeof(copy))
        die(fe, "payload");
    if (payload)
        memcpy(copy, payload, size);
    int rc = send_raw(fe->sock, &h, copy, size, fds, nfds);

    if (rc || !fe->net)
        return rc;
    fe->err = (struct pw_err)PW_ERR_INIT;
    return vmmnet_handle(fe->net, &fe->err);
}

/* A reply: 1, none: 0. Another program is waited for. */
static int receive(struct fe *fe)
{
    struct vu_msg *m = &fe->reply;
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl;
    struct iovec iov = {&m->h, sizeof(m->h)};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = ctl.buf,
                        .msg_controllen = sizeof(ctl.buf)};
    struct pollfd p = {.fd = fe->sock, .events = POLLIN};

    if (!fe->net && poll(&p, 1, WAIT_MS) != 1)
        return 0;
    for (unsigned i = 0; i < VU_MAX_FDS; i++)
        m->fds[i] = -1;
    m->nfds = 0;
    if (recvmsg(fe->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(m->h))
        return 0;
    if (m->h.size > sizeof(m->p) ||
        (m->h.size && recv(fe->sock, &m->p, m->h.size, MSG_WAITALL) != (ssize_t)m->h.size))
        return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
    if (c && c->cmsg_type == SCM_RIGHTS) {
        memcpy(&m->fds[0], CMSG_DATA(c), sizeof(int));
        m->nfds = 1;
    }
    return (m->h.flags & VU_REPLY) != 0;
}

int fe_ask(struct fe *fe, uint32_t request, const void *payload, uint32_t size, const int *fds,
           unsigned nfds)
{
    int rc = fe_send(fe, request, payload, size, fds, nfds, VU_NEED_REPLY);

    if (rc < 0)
        return rc;
    if (receive(fe) != 1 || fe->reply.h.request != request || fe->reply.h.size != 8)
        return -EPIPE;
    return fe->reply.p.u64 ? 1 : 0;
}

int fe_ask_u64(struct fe *fe, uint32_t request, uint64_t v)
{
    return fe_ask(fe, request, &v, sizeof(v), NULL, 0);
}

int fe_ask_state(struct fe *fe, uint32_t request, uint32_t index, uint32_t num)
{
    struct vu_state s = {index, num};

    return fe_ask(fe, request, &s, sizeof(s), NULL, 0);
}

int fe_ask_fd(struct fe *fe, uint32_t request, uint32_t index, int fd)
{
    uint64_t v = fd < 0 ? index | VU_VRING_NOFD : index;

    return fe_ask(fe, request, &v, sizeof(v), &fd, fd >= 0);
}

int fe_get(struct fe *fe, uint32_t request, const void *payload, uint32_t size)
{
    int rc = fe_send(fe, request, payload, size, NULL, 0, 0);

    if (rc < 0)
        return rc;
    return receive(fe) == 1 && fe->reply.h.request == request ? 0 : -EPIPE;
}

void fe_negotiate(struct fe *fe, const struct fe_conf *conf)
{
    if (fe_get(fe, VU_GET_FEATURES, NULL, 0))
        die(fe, "GET_FEATURES");
    uint64_t f = fe->reply.p.u64 & ~conf->features_out & ~VHF_LOG_ALL;
    if (!conf->packed)
        f &= ~VIF_RING_PACKED;
    if (fe_get(fe, VU_GET_PROTOCOL_FEATURES, NULL, 0))
        die(fe, "GET_PROTOCOL_FEATURES");
    fe->protocol = fe->reply.p.u64 & ~conf->protocol_out;
    if (fe_send(fe, VU_SET_PROTOCOL_FEATURES, &fe->protocol, 8, NULL, 0, 0))
        die(fe, "SET_PROTOCOL_FEATURES");
    if (fe_send(fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0))
        die(fe, "SET_OWNER");
    if (fe_send(fe, VU_SET_FEATURES, &f, sizeof(f), NULL, 0, 0))
        die(fe, "SET_FEATURES");
    fe->features = f;
}

void fe_memory(struct fe *fe)
{
    struct vu_memory m = {
        .n = 2,
        .region = {{FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0}, {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};

    if (fe_ask(fe, VU_SET_MEM_TABLE, &m, 8 + 2 * sizeof(m.region[0]), fe->memfd, 2))
        die(fe, "SET_MEM_TABLE");
}

static void ring_clear(struct fe *fe, unsigned r)
{
    struct fe_ring *g = &fe->ring[r];
    uint64_t v;

    memset(fe_at(fe, FE_DESC(r)), 0, 0x40000);
    g->avail = g->used = 0;
    g->avail_wrap = g->used_wrap = true;
    while (read(g->call, &v, sizeof(v)) > 0) {
    }
    while (read(g->err, &v, sizeof(v)) > 0) {
    }
}

void fe_ring_addr_msg(const struct fe *fe, unsigned r, struct vu_addr *a)
{
    (void)fe;
    *a = (struct vu_addr){.index = r,
                          .desc = FE_UVA0 + FE_DESC(r),
                          .avail = FE_UVA0 + FE_AVAIL(r),
                          .used = FE_UVA0 + FE_USED(r),
                          .log = FE_USED(r)};
}

void fe_ring_start(struct fe *fe, unsigned r)
{
    struct vu_addr a;

    ring_clear(fe, r);
    fe_ring_addr_msg(fe, r, &a);
    if (fe_ask_state(fe, VU_SET_VRING_NUM, r, fe->num) ||
        fe_ask_state(fe, VU_SET_VRING_BASE, r, fe->packed ? 0x80008000u : 0) ||
        fe_ask(fe, VU_SET_VRING_ADDR, &a, sizeof(a), NULL, 0) ||
        fe_ask_fd(fe, VU_SET_VRING_CALL, r, fe->ring[r].call) ||
        fe_ask_fd(fe, VU_SET_VRING_ERR, r, fe->ring[r].err) ||
        fe_ask_fd(fe, VU_SET_VRING_KICK, r, fe->ring[r].kick) ||
        fe_ask_state(fe, VU_SET_VRING_ENABLE, r, 1))
        die(fe, "start a ring");
    uint64_t v;
    (void)!read(fe->ring[r].call, &v, sizeof(v)); /* raised once when it was set */
}

void fe_up(struct fe *fe, const struct fe_conf *conf)
{
    fe_negotiate(fe, conf);
    fe_memory(fe);
    for (unsigned r = 0; r < fe->pairs * 2; r++)
        fe_ring_start(fe, r);
}

uint32_t fe_ring_stop(struct fe *fe, unsigned r)
{
    struct vu_state s = {r, 0};

    if (fe_get(fe, VU_GET_VRING_BASE, &s, sizeof(s)))
        die(fe, "GET_VRING_BASE");
    return fe->reply.p.state.num;
}

/* ---- guest ---- */

void *fe_at(struct fe *fe, uint64_t gpa)
{
    return gpa >= FE_GPA1 ? fe->mem[1] + (gpa - FE_GPA1) : fe->mem[0] + (gpa - FE_GPA0);
}

static void put16(void *p, uint16_t v)
{
    __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

static uint16_t get16(void *p)
{
    return __atomic_load_n((uint16_t *)p, __ATOMIC_ACQUIRE);
}

void fe_desc(struct fe *fe, uint64_t table, unsigned slot, uint64_t addr, uint32_t len,
             uint16_t flags, uint16_t other)
{
    uint8_t *d = (uint8_t *)fe_at(fe, table) + 16ull * slot;

    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + (fe->packed ? 12 : 14), &other, 2);
    put16(d + (fe->packed ? 14 : 12), flags);
}

void fe_avail(struct fe *fe, unsigned r, uint16_t head)
{
    uint8_t *a = fe_at(fe, FE_AVAIL(r));

    put16(a + 4 + 2ull * (fe->ring[r].avail % fe->num), head);
    put16(a + 2, ++fe->ring[r].avail);
}

void fe_post(struct fe *fe, unsigned r, const struct fe_seg *s, unsigned n)
{
    struct fe_ring *g = &fe->ring[r];

    if (!fe->packed) {
        uint16_t head = g->avail % fe->num;
        for (unsigned i = 0; i < n; i++)
            fe_desc(fe, FE_DESC(r), (head + i) % fe->num, s[i].addr, s[i].len,
                    (uint16_t)(s[i].flags | (i + 1 < n ? FE_F_NEXT : 0)),
                    (uint16_t)((head + i + 1) % fe->num));
        fe_avail(fe, r, head);
        return;
    }
    /* The first descriptor's flags last: they make the chain available. */
    uint16_t first = g->avail, first_flags = 0;
    for (unsigned i = 0; i < n; i++) {
        uint16_t f = (uint16_t)(s[i].flags | (i + 1 < n ? FE_F_NEXT : 0) |
                                (g->avail_wrap ? 1u << 7 : 1u << 15));
        if (!i)
            first_flags = f;
        fe_desc(fe, FE_DESC(r), g->avail, s[i].addr, s[i].len,
                i ? f : (uint16_t)(g->avail_wrap ? 1u << 15 : 1u << 7), first);
        if (!i) /* not available yet: avail bit unlike the wrap counter */
            put16((uint8_t *)fe_at(fe, FE_DESC(r)) + 16ull * first + 14,
                  g->avail_wrap ? 0 : (uint16_t)(1u << 7 | 1u << 15));
        if (++g->avail == fe->num) {
            g->avail = 0;
            g->avail_wrap = !g->avail_wrap;
        }
    }
    put16((uint8_t *)fe_at(fe, FE_DESC(r)) + 16ull * first + 14, first_flags);
}

void fe_kick(struct fe *fe, unsigned r)
{
    uint64_t one = 1;

    if (write(fe->ring[r].kick, &one, sizeof(one)) < 0)
        die(fe, "kick");
}

bool fe_used(struct fe *fe, unsigned r, uint16_t *id, uint32_t *len)
{
    struct fe_ring *g = &fe->ring[r];

    if (!fe->packed) {
        uint8_t *u = fe_at(fe, FE_USED(r));
        uint32_t v;
        if (get16(u + 2) == g->used)
            return false;
        u += 4 + 8ull * (g->used % fe->num);
        memcpy(&v, u, 4);
        *id = (uint16_t)v;
        memcpy(len, u + 4, 4);
        g->used++;
        return true;
    }
    uint8_t *d = (uint8_t *)fe_at(fe, FE_DESC(r)) + 16ull * g->used;
    uint16_t f = get16(d + 14);
    if (!!(f & 1u << 15) != g->used_wrap || !!(f & 1u << 7) != g->used_wrap)
        return false;
    memcpy(id, d + 12, 2);
    memcpy(len, d + 8, 4);
    /* Tests post chains of one descriptor where they look at more than one used buffer. */
    if (++g->used == fe->num) {
        g->used = 0;
        g->used_wrap = !g->used_wrap;
    }
    return true;
}

unsigned fe_wait(struct fe *fe, unsigned r, unsigned n)
{
    uint64_t end = now_ms() + WAIT_MS;
    unsigned got = 0;
    uint16_t id;
    uint32_t len;

    while (got < n && now_ms() < end) {
        if (fe_used(fe, r, &id, &len))
            got++;
        else
            nap();
    }
    return got;
}

const char *fe_wait_error(struct fe *fe, unsigned r)
{
    struct pollfd p = {.fd = fe->ring[r].err, .events = POLLIN};

    if (poll(&p, 1, WAIT_MS) != 1)
        return NULL;
    return fe->net ? vmmnet_ring_error(fe->net, r) : "";
}

bool fe_wait_count(const uint64_t *counter, uint64_t want)
{
    uint64_t end = now_ms() + WAIT_MS;

    while (__atomic_load_n(counter, __ATOMIC_RELAXED) < want) {
        if (now_ms() > end)
            return false;
        nap();
    }
    return true;
}

void fe_frame(struct fe *fe, uint64_t gpa, uint32_t len)
{
    uint8_t *p = fe_at(fe, gpa);

    memset(p, 0, VNET_HDR_LEN + len);
    if (len < 14)
        return;
    memset(p + VNET_HDR_LEN, 0xff, 6);
    static const uint8_t from[] = {2, 0, 0, 0, 0, 1, 0x88, 0xb5}; /* local experimental */
    memcpy(p + VNET_HDR_LEN + 6, from, sizeof(from));
}

bool fe_frame_passes(struct fe *fe, unsigned r)
{
    uint64_t before = fe_count(&fe->stats.pair[r / 2].tx_frames);
    struct fe_seg s = {FE_BUF(r, 0), VNET_HDR_LEN + 60, 0};

    fe_frame(fe, s.addr, 60);
    fe_post(fe, r, &s, 1);
    fe_kick(fe, r);
    if (fe_wait(fe, r, 1) != 1)
        return false;
    return fe->relay || fe_wait_count(&fe->stats.pair[r / 2].tx_frames, before + 1);
}

bool fe_recovers(struct fe *fe, const struct fe_conf *conf)
{
    for (unsigned i = 0; i < FE_REGIONS; i++)
        if (ftruncate(fe->memfd[i], FE_REGION_SIZE))
            die(fe, "guest memory");
    fe_reconnect(fe);
    fe_up(fe, conf);
    return fe_frame_passes(fe, 1);
}

bool fe_tap(const char *name, int *tap, int *packet)
{
    struct ifreq ifr = {0};
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5)};
    struct pw_err err = PW_ERR_INIT;

    /* No frames of the kernel's own (router solicitations, multicast reports). */
    FILE *f = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "we");
    if (f) {
        fputs("1", f);
        fclose(f);
    }
    if (vmmnet_tap_open(name, 1, tap, &err))
        return false;
    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
    *packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));
    if (*packet < 0 || ioctl(*packet, SIOCGIFFLAGS, &ifr))
        return false;
    ifr.ifr_flags |= IFF_UP;
    if (ioctl(*packet, SIOCSIFFLAGS, &ifr))
        return false;
    ll.sll_ifindex = (int)if_nametoindex(name);
    return !bind(*packet, (struct sockaddr *)&ll, sizeof(ll));
}

bool fe_inject(int packet, uint32_t len)
{
    uint8_t f[9216] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};

    for (uint32_t i = 14; i < len; i++)
        f[i] = (uint8_t)i;
    return send(packet, f, len, 0) == (ssize_t)len;
}

static unsigned count_dir(const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

unsigned fe_count_fds(void)
{
    return count_dir("/proc/self/fd");
}

unsigned fe_count_threads(void)
{
    return count_dir("/proc/self/task");
}

unsigned fe_count_maps(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned n = 0;
    int c;

    while (f && (c = getc(f)) != EOF)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}
