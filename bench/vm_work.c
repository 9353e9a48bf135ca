/* SPDX-License-Identifier: Apache-2.0 */
/* One measurement of one way. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bench/stats.h"
#include "bench/vm.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"

static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t s = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

/* A frame of IPv4 with virtio-net header: UDP, or a TCP segment to be cut, or an echo request. */
static size_t build(uint8_t *out, const struct vm_work *w, const uint8_t from_mac[6],
                    const uint8_t to_mac[6], const uint8_t *from, const uint8_t *to)
{
    uint8_t *e = out + 12, *ip = e + 14, *l4 = ip + 20;
    uint16_t c, len = htons((uint16_t)(w->size - 14));
    memset(out, 0, 12 + w->size);
    memcpy(e, to_mac, 6);
    memcpy(e + 6, from_mac, 6);
    e[12] = 8;
    ip[0] = 0x45;
    memcpy(ip + 2, &len, 2);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = w->request ? IPPROTO_ICMP : w->size > 1514 ? IPPROTO_TCP : IPPROTO_UDP;
    memcpy(ip + 12, from, 4);
    memcpy(ip + 16, to, 4);
    c = checksum(ip, 20);
    memcpy(ip + 10, &c, 2);
    if (w->request) {
        l4[0] = 8; /* echo request */
        c = checksum(l4, w->size - 34);
        memcpy(l4 + 2, &c, 2);
    } else if (w->size > 1514) {
        struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                   .hdr_len = 54,
                                   .gso_size = 1460,
                                   .csum_start = 34,
                                   .csum_offset = 16};
        memcpy(out, &h, sizeof(h));
        l4[0] = l4[2] = 0x13;
        l4[12] = 0x50;
        l4[13] = 0x10; /* ACK */
    } else {
        l4[0] = l4[2] = 0x13;
        len = htons((uint16_t)(w->size - 34));
        memcpy(l4 + 4, &len, 2);
    }
    return 12 + w->size;
}

static double seconds_of(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* CPU time on the VMM's side, which does the rest of the way in its own system calls: ours where
 * the tap is written, the back-end's worker where there are rings (the driver is the guest). */
static double cpu_s(const struct vm_lane *l)
{
    return seconds_of(RUSAGE_SELF) - (l->rings ? seconds_of(RUSAGE_THREAD) : 0);
}

static void up(struct vm_lane *l, const struct vm_work *w, const struct vm_how *how, double *rate,
               double *cpu)
{
    uint64_t f0 = 0, f1 = 0, b0 = 0, b1 = 0, start = pw_clock_ns(), now;
    const uint64_t warm = start + (uint64_t)(how->seconds * 2e8);
    double cpu0 = 0;
    bool on = false;
    uint64_t end = warm + (uint64_t)(how->seconds * 1e9);
    for (now = start; now < end; now = pw_clock_ns()) {
        nb_guest_send(&l->guest, 64);
        if (!on && now >= warm) {
            on = true;
            start = pw_clock_ns();
            cpu0 = cpu_s(l);
            vm_counted(l, &f0, &b0);
        }
    }
    vm_counted(l, &f1, &b1);
    double s = (double)(pw_clock_ns() - start) / 1e9, frames = (double)(f1 - f0);
    *rate = frames * (w->size > 1514 ? (double)w->size : 1) / s * w->scale;
    *cpu = frames > 0 ? (cpu_s(l) - cpu0) / (frames * (double)w->size / 1e9) : 0;
}

/* What is still under way does not count for the next. */
static void drain(struct vm_lane *l)
{
    const uint8_t *f;
    uint64_t end = pw_clock_ns() + 20 * 1000 * 1000;
    while (pw_clock_ns() < end)
        nb_guest_receive(&l->guest, &f);
}

static void request(struct vm_lane *l, const struct vm_work *w, const struct vm_how *how,
                    double *us)
{
    static double rtt[20000];
    const uint8_t *f;
    size_t n = 0;
    uint64_t end = pw_clock_ns() + (uint64_t)(how->seconds * 1e9);
    /* At least one, however busy the machine is. */
    while (n < PW_ARRAY_SIZE(rtt) && pw_clock_ns() < end + (n ? 0 : 5000000000)) {
        uint64_t t = pw_clock_ns(), lost = t + 100 * 1000 * 1000;
        bool got = false;
        nb_guest_send(&l->guest, 1);
        while (!got && pw_clock_ns() < lost)
            got = nb_guest_receive(&l->guest, &f) == w->size && f[23] == IPPROTO_ICMP && f[34] == 0;
        if (got)
            rtt[n++] = (double)(pw_clock_ns() - t) * w->scale;
        else
            drain(l); /* an answer that comes late after all */
    }
    *us = nb_median(rtt, n);
}

/* ---- towards the guest ---- */

struct sender {
    struct vm_lane *l;
    const uint8_t *frame;
    size_t len;
    double seconds;
    int cpu;
};

/* In the pod: segments out of eth0 through a packet socket, as big as its TCP would hand over. */
static int send_down(void *arg)
{
    struct sender *s = arg;
    int one = 1, buffer = 8 << 20;
    pw_fd fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll ll = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(0x0800),
                             .sll_ifindex = (int)if_nametoindex("eth0")};
    vm_pin(s->cpu);
    /* Whoever receives on this core goes first. */
    if (sched_getscheduler(0) == SCHED_RR)
        sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 4});
    if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
        return 1;
    uint64_t end = pw_clock_ns() + (uint64_t)(s->seconds * 1e9);
    while (pw_clock_ns() < end)
        if (write(fd, s->frame, s->len) < 0 && errno != ENOBUFS && errno != EAGAIN)
            return 2;
    return 0;
}

static int down(struct vm_lane *l, const struct vm_work *w, const struct vm_how *how, double *rate,
                double *cpu, struct pw_err *err)
{
    static uint8_t frame[NB_GUEST_FRAME];
    struct nb_pod *vm = &l->site.pod[NB_POD_A1], *pod = &l->site.pod[NB_POD_A2];
    struct nb_spot at = {&l->site.node[0], pod->net};
    uint8_t mac[6], next[6];
    uint64_t bytes = 0;
    double cpu0 = cpu_s(l) + seconds_of(RUSAGE_CHILDREN);
    const uint8_t *f;
    int rc = vm_link_mac(&at, "eth0", mac, err);
    if (rc == 0)
        rc = vm_link_mac(&(struct nb_spot){&l->site.node[0], -1}, pod->host_if, next, err);
    if (rc < 0)
        return rc;
    size_t len = build(frame, w, mac, next, pod->addr.b, vm->addr.b);
    /* A packet socket's header is the short one. */
    memmove(frame + 2, frame, 10);
    struct sender s = {l, frame + 2, len - 2, how->seconds * 1.3, how->cpu[0]};
    /* The sender has one core, who reads the tap the other. A driver is little work and sits with
     * the sender. */
    if (!l->rings)
        vm_pin(how->cpu[1]);
    pid_t pid = nb_spawn(&at, send_down, &s, err);
    if (pid < 0)
        return pid;
    uint64_t begin = pw_clock_ns() + (uint64_t)(how->seconds * 2e8), all = 0;
    uint64_t end = begin + (uint64_t)(how->seconds * 1e9),
             last = end + (uint64_t)(how->seconds * 3e8);
    struct pollfd p = {.fd = l->guest.tap, .events = POLLIN};
    for (uint64_t now = begin; now < last; now = pw_clock_ns()) {
        size_t n = nb_guest_receive(&l->guest, &f);
        if (!n && l->rings)
            usleep(20);
        else if (!n)
            poll(&p, 1, 1);
        all += n;
        if (now >= begin && now < end)
            bytes += n;
    }
    *rate = (double)bytes / how->seconds * w->scale;
    vm_pin(how->cpu[0]);
    rc = nb_wait(pid) ? pw_err_set(err, -EIO, "the pod's sender failed") : 0;
    /* Both ends: the sender's system calls carry segments up to the tap. */
    *cpu = all ? (cpu_s(l) + seconds_of(RUSAGE_CHILDREN) - cpu0) / ((double)all / 1e9) : 0;
    return rc;
}

int vm_measure(struct vm_lane *l, const struct vm_work *w, const struct vm_how *how, double *rate,
               double *cpu_gb, struct pw_err *err)
{
    static uint8_t frame[NB_GUEST_FRAME];
    int rc = 0;
    drain(l);
    if (w->down) {
        rc = down(l, w, how, rate, cpu_gb, err);
    } else {
        size_t len = build(frame, w, l->mac, l->gateway, l->site.pod[NB_POD_A1].addr.b,
                           l->site.pod[NB_POD_A2].addr.b);
        nb_guest_frame(&l->guest, frame, len);
        if (w->request)
            request(l, w, how, rate);
        else
            up(l, w, how, rate, cpu_gb);
    }
    drain(l);
    return rc < 0 ? rc : *rate > 0 ? 0 : pw_err_set(err, -EIO, "nothing came");
}
