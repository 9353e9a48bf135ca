// SPDX-License-Identifier: Apache-2.0
/* The device's life: pairs, gates, workers. What is configured on rings is in ring.c. */
#include "vmm-net/dev.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/proto.h"
#include "vmm-net/relay.h"
#include "vmm-net/tapdev.h"
#include "vmm-net/uring.h"

#define WORKER_STACK (256 * 1024)

/* ---- gate ---- */

static bool gate_enter(struct vn_gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (g->paused && !g->quit)
        pthread_cond_wait(&g->changed, &g->lock);
    g->busy = !g->quit;
    bool in = g->busy;
    pthread_mutex_unlock(&g->lock);
    return in;
}

static void gate_leave(struct vn_gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->busy = false;
    if (g->paused)
        pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void wake(struct vn_pair *p)
{
    uint64_t one = 1;

    if (write(p->wake, &one, sizeof(one)) < 0) {
        /* full means that it is awake anyway */
    }
}

/*
 * A front-end can make its call descriptor blocking again behind our back and fill it, which
 * leaves the worker in write(2). Emptying it lets the worker go on.
 */
static void unblock(struct vn_pair *p)
{
    uint64_t v;

    for (unsigned i = 0; i < 2; i++) {
        const int fds[2] = {p->ring[i].call, p->ring[i].err};
        for (unsigned k = 0; k < 2; k++) {
            if (fds[k] < 0 || vn_eventfd_claim(fds[k]))
                continue;
            /* Just made non-blocking. NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection) */
            ssize_t n = read(fds[k], &v, sizeof(v));
            (void)n;
        }
    }
}

void vn_pair_pause(struct vn_pair *p)
{
    struct vn_gate *g = &p->gate;

    pthread_mutex_lock(&g->lock);
    g->paused++;
    while (g->busy) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += 100 * 1000 * 1000;
        if (t.tv_nsec >= 1000000000) {
            t.tv_nsec -= 1000000000;
            t.tv_sec++;
        }
        if (pthread_cond_timedwait(&g->changed, &g->lock, &t))
            unblock(p);
    }
    pthread_mutex_unlock(&g->lock);
    if (g->paused > 1)
        return;
    if (p->relay.fd >= 0)
        vn_relay_detach(p);
    else
        vn_pump_rewind(p);
}

void vn_pair_resume(struct vn_pair *p)
{
    struct vn_gate *g = &p->gate;

    if (g->paused == 1 && p->relay.fd >= 0)
        vn_relay_attach(p);
    pthread_mutex_lock(&g->lock);
    if (!--g->paused)
        pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    wake(p);
}

void vn_dev_pause(struct vmmnet *dev)
{
    for (unsigned i = 0; i < dev->npairs; i++)
        vn_pair_pause(dev->pair[i]);
}

void vn_dev_resume(struct vmmnet *dev)
{
    for (unsigned i = 0; i < dev->npairs; i++)
        vn_pair_resume(dev->pair[i]);
}

/* ---- worker ---- */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until_work(struct vn_pair *p, int timeout_ms)
{
    struct epoll_event ev[8];
    uint64_t v;

    vn_count(&p->count->sleeps, 1);
    int n = epoll_wait(p->epoll, ev, (int)PW_ARRAY_SIZE(ev), timeout_ms);
    if (!n)
        p->pump.rx_timeout = true;
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u32 == VN_EV_WAKE && read(p->wake, &v, sizeof(v)) < 0)
            continue;
        if (ev[i].data.u32 < VN_EV_KICK)
            continue;
        struct vn_ring *r = &p->ring[ev[i].data.u32 - VN_EV_KICK];
        vn_count(&p->count->kicks, 1);
        if (!atomic_exchange(&r->stale_kick, false))
            atomic_store(&r->kicked, true);
    }
}

/*
 * Poll while there is work, and some time longer: `spin` doubles when work came within it and
 * halves when it did not, so that an idle device costs nothing and a busy one no wake-ups.
 */
static void *worker(void *arg)
{
    struct vn_pair *p = arg;
    const uint64_t most = p->dev->busy_poll_ns;
    const uint64_t least = most / 16;
    uint64_t spin = most / 2;
    uint64_t idle_since = 0;

    pthread_mutex_lock(&p->gate.lock);
    p->gate.running = true;
    pthread_cond_broadcast(&p->gate.changed);
    pthread_mutex_unlock(&p->gate.lock);
    while (gate_enter(&p->gate)) {
        unsigned work = vn_pump_run(p);
        bool asleep = false;
        int timeout = -1;
        if (work) {
            if (idle_since)
                spin = spin * 2 > most ? most : spin * 2;
            idle_since = 0;
        } else if (most) {
            uint64_t t = now_ns();
            if (!idle_since)
                idle_since = t;
            if (t - idle_since >= spin) {
                spin = spin / 2 < least ? least : spin / 2;
                asleep = !vn_pump_arm(p, &timeout);
            }
        } else {
            asleep = !vn_pump_arm(p, &timeout);
        }
        gate_leave(&p->gate);
        if (asleep) {
            sleep_until_work(p, timeout);
            idle_since = 0;
        }
    }
    return NULL;
}

unsigned vn_dev_step(struct vmmnet *dev)
{
    unsigned n = 0;
    int timeout;

    for (unsigned i = 0; i < dev->npairs; i++) {
        n += vn_pump_run(dev->pair[i]);
        (void)vn_pump_arm(dev->pair[i], &timeout);
    }
    return n;
}

/* ---- life ---- */

void vn_dev_note(struct vmmnet *dev, const char *text)
{
    pthread_mutex_lock(&dev->text_lock);
    strncpy(dev->stats->last_error, text, sizeof(dev->stats->last_error) - 1);
    pthread_mutex_unlock(&dev->text_lock);
}

static void pair_free(struct vn_pair *p)
{
    if (!p)
        return;
    if (p->has_thread) {
        pthread_mutex_lock(&p->gate.lock);
        p->gate.quit = true;
        pthread_cond_broadcast(&p->gate.changed);
        pthread_mutex_unlock(&p->gate.lock);
        wake(p);
        pthread_join(p->thread, NULL);
    }
    vn_uring_free(p->pump.uring);
    pw_closep(&p->relay.fd);
    pw_closep(&p->tap);
    pw_closep(&p->wake);
    pw_closep(&p->epoll);
    pthread_mutex_destroy(&p->gate.lock);
    pthread_cond_destroy(&p->gate.changed);
    free(p);
}

static int pair_new(struct vmmnet *dev, unsigned index, struct pw_err *err)
{
    struct vn_pair *p = calloc(1, sizeof(*p));
    if (!p)
        return pw_err_set(err, -ENOMEM, "queue pair %u: out of memory", index);

    p->dev = dev;
    p->index = index;
    p->count = &dev->stats->pair[index];
    p->tap = p->wake = p->epoll = p->relay.fd = -1;
    p->tap_on = index == 0;
    for (unsigned i = 0; i < 2; i++)
        p->ring[i].kick = p->ring[i].call = p->ring[i].err = -1;
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->gate.lock, NULL);
    pthread_cond_init(&p->gate.changed, &ca);
    pthread_condattr_destroy(&ca);
    dev->pair[index] = p;
    dev->npairs = index + 1;

    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = VN_EV_WAKE};
    if (p->wake < 0 || p->epoll < 0 || epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->wake, &ev))
        return pw_err_errno(err, -errno, "queue pair %u: eventfd", index);
    return 0;
}

static int pair_start(struct vn_pair *p, struct pw_err *err)
{
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    int rc = pthread_create(&p->thread, &attr, worker, p);
    pthread_attr_destroy(&attr);
    if (rc)
        return pw_err_errno(err, -rc, "queue pair %u: start worker", p->index);
    p->has_thread = true;
    /* Starting takes system calls that a filter set right after us need not allow. */
    pthread_mutex_lock(&p->gate.lock);
    while (!p->gate.running)
        pthread_cond_wait(&p->gate.changed, &p->gate.lock);
    pthread_mutex_unlock(&p->gate.lock);
    return 0;
}

/* What we can do at all, less what the tap cannot and the caller does not want. */
static uint64_t offer(const struct vmmnet_conf *conf, uint64_t kernel)
{
    uint64_t f = VNF_CSUM | VNF_GUEST_CSUM | VNF_GUEST_TSO4 | VNF_GUEST_TSO6 | VNF_GUEST_ECN |
                 VNF_HOST_TSO4 | VNF_HOST_TSO6 | VNF_HOST_ECN | VNF_MRG_RXBUF | VNF_STATUS |
                 VNF_CTRL_VQ | VNF_CTRL_RX | VNF_GUEST_ANNOUNCE | VHF_LOG_ALL | VIF_INDIRECT_DESC |
                 VIF_EVENT_IDX | VHF_PROTOCOL | VIF_VERSION_1 | VIF_RING_PACKED | VIF_IN_ORDER;

    if (conf->pairs > 1)
        f |= VNF_MQ;
    if (conf->have_mac)
        f |= VNF_MAC;
    if (conf->mtu)
        f |= VNF_MTU;
    if (conf->tap[0] != VMMNET_NULL_TAP) {
        uint64_t uso = VNF_GUEST_USO4 | VNF_GUEST_USO6 | VNF_HOST_USO;
        unsigned have = vn_tap_probe_offload(conf->tap[0]);
        if ((vnet_tun_offload(VNF_GUEST_CSUM | uso) & ~have) == 0)
            f |= uso;
    }
    f &= ~conf->features_off;
    return conf->vhost_net ? vn_relay_offer(f, kernel) : f;
}

/* Whether the kernel can have the rings; *kernel gets what it can do in all pairs. */
static int check_relay(const struct vmmnet_conf *conf, uint64_t *kernel, struct pw_err *err)
{
    int rc = 0;

    for (unsigned i = 0; !rc && i < conf->pairs; i++) {
        uint64_t f = 0;
        if (conf->tap[i] == VMMNET_NULL_TAP)
            return pw_err_set(err, -EINVAL, "vhost-net needs a tap for queue pair %u", i);
        rc = vn_relay_probe(conf->vhost_net[i], &f, err);
        *kernel &= f;
    }
    return rc;
}

static int fill(struct vmmnet *dev, const struct vmmnet_conf *conf, bool threads,
                struct pw_err *err)
{
    uint64_t kernel = UINT64_MAX;
    int rc = vn_mem_init(err);

    if (!rc && (!conf->pairs || conf->pairs > VMMNET_MAX_PAIRS))
        rc = pw_err_set(err, -EINVAL, "%u queue pairs: 1 to %u are possible", conf->pairs,
                        VMMNET_MAX_PAIRS);
    for (unsigned i = 0; !rc && i < conf->pairs; i++) {
        rc = pair_new(dev, i, err);
        if (!rc && conf->tap[i] != VMMNET_NULL_TAP) {
            rc = vn_tap_prepare(conf->tap[i], err);
            if (!rc && i)
                rc = vn_tap_queue(conf->tap[i], false, err);
        }
    }
    if (!rc && conf->vhost_net)
        rc = check_relay(conf, &kernel, err);
    if (rc)
        return rc;
    dev->offered = offer(conf, kernel);
    dev->relayed = conf->vhost_net;
    /* From here on nothing of the caller's is changed on failure: descriptors are taken last. */
    for (unsigned i = 0; !rc && threads && !dev->relayed && i < conf->pairs; i++)
        rc = pair_start(dev->pair[i], err);
    if (rc)
        return rc;
    vn_dev_pause(dev);
    for (unsigned i = 0; i < conf->pairs; i++) {
        struct vn_pair *p = dev->pair[i];
        p->tap = conf->tap[i];
        if (conf->vhost_net)
            p->relay = (struct vn_relay){.fd = conf->vhost_net[i], .features = kernel};
        /* Optional: without it frames are written one call each. */
        else if (!conf->no_uring && p->tap != VMMNET_NULL_TAP)
            (void)vn_uring_new(PUMP_BATCH, &p->pump.uring, NULL);
    }
    vn_dev_resume(dev);
    return 0;
}

int vn_dev_new(const struct vmmnet_conf *conf, bool threads, struct vmmnet **out,
               struct pw_err *err)
{
    struct vmmnet *dev = calloc(1, sizeof(*dev));
    if (!dev)
        return pw_err_set(err, -ENOMEM, "device: out of memory");
    pthread_mutex_init(&dev->text_lock, NULL);
    dev->log.map = dev->inflight = (struct vn_map)VN_MAP_INIT;
    dev->stats = conf->stats;
    if (!dev->stats) {
        dev->stats = calloc(1, sizeof(*dev->stats));
        dev->own_stats = true;
    }
    if (!dev->stats) {
        pthread_mutex_destroy(&dev->text_lock);
        free(dev);
        return pw_err_set(err, -ENOMEM, "device: out of memory");
    }
    dev->stats->size = sizeof(*dev->stats);
    dev->stats->pairs = conf->pairs;
    dev->stats->connected = 0; /* the rest goes on from a back-end that died */
    dev->stats->features = 0;
    dev->stats->magic = VMMNET_STATS_MAGIC;
    dev->have_mac = conf->have_mac;
    memcpy(dev->mac, conf->mac, sizeof(dev->mac));
    dev->mtu = conf->mtu;
    dev->busy_poll_ns = (uint64_t)conf->busy_poll_us * 1000;
    int rc = fill(dev, conf, threads, err);
    if (rc) {
        vmmnet_free(dev);
        return rc;
    }
    *out = dev;
    return 0;
}

int vmmnet_new(const struct vmmnet_conf *conf, struct vmmnet **out, struct pw_err *err)
{
    return vn_dev_new(conf, true, out, err);
}

void vmmnet_free(struct vmmnet *dev)
{
    if (!dev)
        return;
    vmmnet_disconnect(dev);
    if (dev->npairs)
        vn_dev_reset(dev, false);
    for (unsigned i = 0; i < VMMNET_MAX_PAIRS; i++)
        pair_free(dev->pair[i]);
    vn_mem_clear(&dev->mem);
    if (dev->own_stats)
        free(dev->stats);
    pthread_mutex_destroy(&dev->text_lock);
    free(dev);
}

const struct vmmnet_stats *vmmnet_stats(const struct vmmnet *dev)
{
    return dev->stats;
}

uint64_t vmmnet_features(const struct vmmnet *dev)
{
    return dev->offered;
}
