// SPDX-License-Identifier: Apache-2.0
/*
 * A VMM that runs libvmmnet in its own process, as small as it can be. It plays the guest itself:
 * its driver posts one receive buffer, sends one ARP request, and prints who answered.
 *
 *   vmmnet-example [--jail] TAP OWN-ADDRESS ADDRESS-TO-ASK-FOR
 *
 * What a VMM does with the library is in vmm(); the rest stands for a guest's driver. With --jail
 * two processes do it, as a runtime and its VMM would: the first opens the tap where it is and
 * hands it over, the second has a network namespace with nothing in it and no privilege.
 */
#include <arpa/inet.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm-net/vmmnet.h"

#define GUEST_BASE 0x40000000ull /* where the guest sees its memory */
#define GUEST_SIZE (1u << 20)
#define RING_SIZE 8
#define HEADER 12 /* virtio-net header */

/* Guest addresses: each ring has a page, each buffer has one. */
#define DESC(ring) (GUEST_BASE + 0x1000ull * (ring))
#define AVAIL(ring) (DESC(ring) + 0x400)
#define USED(ring) (DESC(ring) + 0x800)
#define BUFFER(ring) (GUEST_BASE + 0x10000ull * ((ring) + 1ull))

#define VERSION_1 (1ull << 32)
#define MAC_FEATURE (1ull << 5)

static uint8_t *memory;

static void *at(uint64_t guest_addr)
{
    return memory + (guest_addr - GUEST_BASE);
}

/* The driver's side of a split ring: one descriptor, made available. */
static void post(unsigned ring, uint32_t len, bool writable)
{
    struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags, next;
    } d = {BUFFER(ring), len, writable ? 2 : 0, 0};
    uint16_t *avail = at(AVAIL(ring));

    memcpy(at(DESC(ring)), &d, sizeof(d));
    avail[2] = 0; /* the first entry names descriptor 0 */
    __atomic_store_n(&avail[1], 1, __ATOMIC_RELEASE);
}

static uint16_t used(unsigned ring)
{
    uint16_t *u = at(USED(ring));

    return __atomic_load_n(&u[1], __ATOMIC_ACQUIRE);
}

/* An ARP request behind an empty virtio-net header; its length. */
static uint32_t arp_request(uint8_t *p, const uint8_t mac[6], struct in_addr from,
                            struct in_addr to)
{
    static const uint8_t fixed[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};

    memset(p, 0, HEADER + 60);
    p += HEADER;
    memset(p, 0xff, 6);
    memcpy(p + 6, mac, 6);
    memcpy(p + 12, fixed, sizeof(fixed));
    memcpy(p + 22, mac, 6);
    memcpy(p + 28, &from, 4);
    memcpy(p + 38, &to, 4);
    return HEADER + 60;
}

static int fail(const struct pw_err *err)
{
    fprintf(stderr, "vmmnet-example: %s\n", err->msg);
    return 1;
}

static int vmm(int tap, struct in_addr from, struct in_addr to)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2};
    struct pw_err err = PW_ERR_INIT;
    char asked[INET_ADDRSTRLEN];

    /* 1. A device over a tap. It starts its worker, which sleeps until a ring runs. */
    struct vmmnet_conf conf = {.pairs = 1, .tap = &tap, .have_mac = true, .busy_poll_us = 50};
    struct vmmnet *net = NULL;
    memcpy(conf.mac, mac, sizeof(mac));
    if (vmmnet_new(&conf, &net, &err))
        return fail(&err);

    /* 2. What the driver acked (a VMM hands on what its guest chose of vmmnet_features()). */
    if (vmmnet_ack_features(net, VERSION_1 | MAC_FEATURE, &err))
        return fail(&err);

    /* 3. Guest memory, where the VMM has it mapped. */
    memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct vmmnet_region region = {GUEST_BASE, GUEST_SIZE, memory};
    if (memory == MAP_FAILED || vmmnet_set_memory(net, &region, 1, &err))
        return fail(&err);

    /* 4. The rings, when the driver sets DRIVER_OK. kick is what the guest's notification writes
     *    to (an ioeventfd under KVM), call what raises its interrupt (an irqfd). */
    int kick[2], call[2];
    for (unsigned i = 0; i < 2; i++) {
        kick[i] = eventfd(0, EFD_CLOEXEC);
        call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        struct vmmnet_ring ring = {.size = RING_SIZE,
                                   .desc = DESC(i),
                                   .avail = AVAIL(i),
                                   .used = USED(i),
                                   .kick = kick[i],
                                   .call = call[i]};
        if (vmmnet_ring_start(net, i, &ring, &err))
            return fail(&err);
    }

    /* The guest: a buffer to receive into, a request to send, an interrupt to wait for. */
    uint64_t one = 1;
    post(0, 2048, true);
    post(1, arp_request(at(BUFFER(1)), mac, from, to), false);
    for (unsigned i = 0; i < 2; i++)
        if (write(kick[i], &one, sizeof(one)) < 0)
            return 1;
    struct pollfd p = {.fd = call[0], .events = POLLIN};
    while (!used(0) && poll(&p, 1, 5000) == 1 && read(call[0], &one, sizeof(one)) > 0) {
        /* raised once when it was set, and again for the frame */
    }

    const uint8_t *reply = (const uint8_t *)at(BUFFER(0)) + HEADER;
    int rc = used(0) && reply[12] == 8 && reply[13] == 6 && reply[21] == 2 ? 0 : 1;
    if (rc == 0)
        printf("%s is at %02x:%02x:%02x:%02x:%02x:%02x\n",
               inet_ntop(AF_INET, &to, asked, sizeof(asked)), reply[22], reply[23], reply[24],
               reply[25], reply[26], reply[27]);
    else
        fprintf(stderr, "vmmnet-example: no answer (%s)\n",
                vmmnet_ring_error(net, 0) ? vmmnet_ring_error(net, 0) : "rings are well");

    /* 5. Stop. The base is where a later start of the ring goes on. */
    uint16_t base = 0;
    for (unsigned i = 0; i < 2; i++)
        (void)vmmnet_ring_stop(net, i, &base, NULL);
    vmmnet_free(net);
    return rc;
}

/* The runtime's part: it may open the tap, and hands it to whoever is at the other end. */
static int runtime(int sock, const char *name)
{
    struct pw_err err = PW_ERR_INIT;
    int tap = -1, status = 1;

    if (vmmnet_tap_open(name, 1, &tap, &err) || vmmnet_tap_send(sock, name, &tap, 1, &err))
        return fail(&err);
    close(tap); /* the VMM's alone from now on */
    close(sock);
    return wait(&status) < 0 || !WIFEXITED(status) ? 1 : WEXITSTATUS(status);
}

/* The VMM's: whatever it could open is out of reach before the tap comes. */
static int jailed(int sock, struct in_addr from, struct in_addr to)
{
    struct pw_err err = PW_ERR_INIT;
    char name[16];
    int tap = -1;
    unsigned n = 0;

    if (unshare(CLONE_NEWNET) || setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
        setresuid(65534, 65534, 65534)) {
        perror("vmmnet-example: jail");
        return 1;
    }
    if (vmmnet_tap_recv(sock, name, &tap, 1, &n, &err))
        return fail(&err);
    return vmm(tap, from, to);
}

int main(int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    struct in_addr from, to;
    int tap = -1, sock[2];
    bool jail = argc == 5 && !strcmp(argv[1], "--jail");

    argv += jail;
    if (argc - jail != 4 || inet_pton(AF_INET, argv[2], &from) != 1 ||
        inet_pton(AF_INET, argv[3], &to) != 1) {
        fputs("usage: vmmnet-example [--jail] TAP OWN-ADDRESS ADDRESS-TO-ASK-FOR\n", stderr);
        return 2;
    }
    if (!jail)
        return vmmnet_tap_open(argv[1], 1, &tap, &err) ? fail(&err) : vmm(tap, from, to);

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock)) {
        perror("vmmnet-example: socket");
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0)
        return 1;
    close(sock[pid ? 1 : 0]);
    return pid ? runtime(sock[0], argv[1]) : jailed(sock[1], from, to);
}
