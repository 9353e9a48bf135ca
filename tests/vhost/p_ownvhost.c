// SPDX-License-Identifier: Apache-2.0
/*
 * A VMM that uses /dev/vhost-net by itself: it opens a tap by name as VMMs do, hands its guest's
 * rings to the kernel, and its guest asks who the gateway is (ARP) and sends a datagram to an echo
 * server, its checksum left to the device, from every queue pair.
 *   ownvhost TAP PAIRS MAC OWN-ADDRESS GATEWAY SERVER      (UDP port 7)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/addr.h"
#include "tests/vhost/fe.h"

#define BUFFERS 32
#define PORT 7

static struct fe fe;
static uint8_t mac[6], gateway_mac[6];
static struct in_addr own, gateway, server;

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(1);
}

#define DO(call)                                                                                   \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            die(#call);                                                                            \
    } while (0)

static int open_tap(const char *name, unsigned pairs)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), len = VNET_HDR_LEN;

    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
    if (pairs > 1)
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    DO(fd);
    DO(ioctl(fd, TUNSETIFF, &ifr));
    DO(ioctl(fd, TUNSETVNETHDRSZ, &len));
    DO(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6));
    return fd;
}

static void hand_over(unsigned pair, int tap)
{
    struct {
        struct vhost_memory m;
        struct vhost_memory_region r[FE_REGIONS];
    } mem = {.m.nregions = FE_REGIONS,
             .r = {{FE_GPA0, FE_REGION_SIZE, (uintptr_t)fe.mem[0], 0},
                   {FE_GPA1, FE_REGION_SIZE, (uintptr_t)fe.mem[1], 0}}};
    uint64_t features = VIF_VERSION_1 | VNF_MRG_RXBUF;
    int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);

    DO(fd);
    DO(ioctl(fd, VHOST_SET_OWNER, NULL));
    DO(ioctl(fd, VHOST_SET_FEATURES, &features));
    DO(ioctl(fd, VHOST_SET_MEM_TABLE, &mem));
    for (unsigned k = 0; k < 2; k++) {
        unsigned r = 2 * pair + k;
        struct vhost_vring_state num = {k, fe.num}, base = {k, 0};
        struct vhost_vring_addr a = {.index = k,
                                     .desc_user_addr = (uintptr_t)fe_at(&fe, FE_DESC(r)),
                                     .avail_user_addr = (uintptr_t)fe_at(&fe, FE_AVAIL(r)),
                                     .used_user_addr = (uintptr_t)fe_at(&fe, FE_USED(r))};
        struct vhost_vring_file kick = {k, fe.ring[r].kick}, call = {k, fe.ring[r].call};
        struct vhost_vring_file backend = {k, tap};
        DO(ioctl(fd, VHOST_SET_VRING_NUM, &num));
        DO(ioctl(fd, VHOST_SET_VRING_BASE, &base));
        DO(ioctl(fd, VHOST_SET_VRING_ADDR, &a));
        DO(ioctl(fd, VHOST_SET_VRING_KICK, &kick));
        DO(ioctl(fd, VHOST_SET_VRING_CALL, &call));
        DO(ioctl(fd, VHOST_NET_SET_BACKEND, &backend));
    }
    for (unsigned i = 0; i < BUFFERS; i++) {
        struct fe_seg s = {FE_BUF(2 * pair, i), 2048, FE_F_WRITE};
        fe_post(&fe, 2 * pair, &s, 1);
    }
    fe_kick(&fe, 2 * pair);
}

/* The next frame from any queue, NULL when none comes for a second. */
static const uint8_t *receive(void)
{
    static uint8_t frame[2048];
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned p = 0; p < fe.pairs; p++) {
            if (!fe_used(&fe, 2 * p, &id, &len))
                continue;
            memcpy(frame, (uint8_t *)fe_at(&fe, FE_BUF(2 * p, id % BUFFERS)) + VNET_HDR_LEN,
                   sizeof(frame) - VNET_HDR_LEN);
            return frame;
        }
        usleep(1000);
    }
    return NULL;
}

static uint8_t *begin_frame(unsigned pair, const uint8_t to[6], uint16_t type)
{
    uint8_t *p = fe_at(&fe, FE_BUF(2 * pair + 1, 0));

    memset(p, 0, 256);
    p += VNET_HDR_LEN;
    memcpy(p, to, 6);
    memcpy(p + 6, mac, 6);
    type = htons(type);
    memcpy(p + 12, &type, 2);
    return p + 14;
}

static void send_frame(unsigned pair, uint32_t len)
{
    struct fe_seg s = {FE_BUF(2 * pair + 1, 0), VNET_HDR_LEN + 14 + len, 0};

    fe_post(&fe, 2 * pair + 1, &s, 1);
    fe_kick(&fe, 2 * pair + 1);
    if (fe_wait(&fe, 2 * pair + 1, 1) != 1)
        die("transmit");
}

static bool ask_gateway(unsigned pair)
{
    static const uint8_t all[6] = {255, 255, 255, 255, 255, 255},
                         fixed[] = {0, 1, 8, 0, 6, 4, 0, 1};
    uint8_t *p = begin_frame(pair, all, 0x0806);
    const uint8_t *f;

    memcpy(p, fixed, sizeof(fixed));
    memcpy(p + 8, mac, 6);
    memcpy(p + 14, &own, 4);
    memcpy(p + 24, &gateway, 4);
    send_frame(pair, 46);
    while ((f = receive()))
        if (f[12] == 8 && f[13] == 6 && f[21] == 2 && !memcmp(f + 28, &gateway, 4)) {
            memcpy(gateway_mac, f + 22, 6);
            return true;
        }
    return false;
}

static uint32_t sum(const void *data, unsigned len, uint32_t s)
{
    const uint8_t *p = data;

    for (unsigned i = 0; i < len; i += 2)
        s += (uint32_t)p[i] << 8 | p[i + 1];
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static bool echo(unsigned pair)
{
    static const char text[] = "through the kernel's vhost-net";
    const uint16_t len = 8 + sizeof(text);
    uint8_t *p = begin_frame(pair, gateway_mac, 0x0800);
    const uint8_t *f;

    p[0] = 0x45;
    p[3] = (uint8_t)(20 + len);
    p[8] = 64;
    p[9] = IPPROTO_UDP;
    memcpy(p + 12, &own, 4);
    memcpy(p + 16, &server, 4);
    uint16_t c = htons((uint16_t)~sum(p, 20, 0));
    memcpy(p + 10, &c, 2);
    uint8_t *u = p + 20;
    u[0] = 0xc0;
    u[1] = (uint8_t)pair;
    u[3] = PORT;
    u[5] = (uint8_t)len;
    memcpy(u + 8, text, sizeof(text));
    /* The pseudo header's sum: the device adds the rest. */
    c = htons((uint16_t)sum(p + 12, 8, IPPROTO_UDP + (uint32_t)len));
    memcpy(u + 6, &c, 2);
    struct vnet_hdr h = {.flags = 1, .csum_start = 34, .csum_offset = 6};
    memcpy(p - 14 - VNET_HDR_LEN, &h, sizeof(h));
    send_frame(pair, 20u + len);
    while ((f = receive()))
        if (f[12] == 8 && f[13] == 0 && f[23] == IPPROTO_UDP && !memcmp(f + 26, &server, 4) &&
            f[37] == (uint8_t)pair && !memcmp(f + 42, text, sizeof(text)))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct fe_conf conf = {.pairs = argc == 7 ? (unsigned)strtoul(argv[2], NULL, 10) : 0};
    struct pw_err err = PW_ERR_INIT;

    if (!conf.pairs || conf.pairs * 2 > FE_RINGS || pw_mac_parse(argv[3], mac, &err) ||
        inet_pton(AF_INET, argv[4], &own) != 1 || inet_pton(AF_INET, argv[5], &gateway) != 1 ||
        inet_pton(AF_INET, argv[6], &server) != 1) {
        fputs("usage: ownvhost TAP PAIRS MAC OWN-ADDRESS GATEWAY SERVER\n", stderr);
        return 2;
    }
    fe_open_socket(&fe, &conf, -1);
    for (unsigned i = 0; i < conf.pairs; i++)
        hand_over(i, open_tap(argv[1], conf.pairs));
    unsigned good = 0;
    for (unsigned i = 0; i < conf.pairs; i++) {
        bool arp = false, udp = false;
        /* As any guest would, more than once: a tap drops what is sent to it until the kernel has
         * seen that somebody has opened it. */
        for (unsigned k = 0; k < 10 && !arp; k++)
            arp = ask_gateway(i);
        for (unsigned k = 0; k < 5 && arp && !udp; k++)
            udp = echo(i);
        printf("pair %u: %s, %s\n", i, arp ? "the gateway answers" : "no gateway",
               udp ? "the datagram comes back" : "no datagram");
        good += udp;
    }
    return good == conf.pairs ? 0 : 1;
}
