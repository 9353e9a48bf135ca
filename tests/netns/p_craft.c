/* SPDX-License-Identifier: Apache-2.0 */
/*
 * craft: send frames made by hand and say where they turn up.
 * usage: craft from=NS:IF [watch=NS:IF]... KIND [key=value]...
 *   KIND    udp, dhcp-server, dhcp-client, arp-request, arp-reply, ns, na, dad, rs, ra, redirect,
 *           mld, vlan, ethertype, runt
 *   keys    src= dst= (addresses), smac= dmac= (frame), sha= spa= tpa= (ARP), target= lladdr=
 *           (ND; lladdr=none leaves the option out), sport= dport= n= (how often, default 3),
 *           direct=1 (straight to the driver, past queues and the programs at the device's egress)
 * Waits until nothing has come for $PW_QUIET ms (default 40). Prints "PLACE COUNT" for each watched
 * place, and "answer MAC COUNT" for ARP and neighbour advertisements that come back to the sender.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/nsx.h"
#include "tests/lib/pkt.h"

static struct {
    const char *key, *value;
} args[] = {{"from", NULL},    {"src", NULL},  {"dst", NULL}, {"smac", NULL},   {"dmac", NULL},
            {"sha", NULL},     {"spa", NULL},  {"tpa", NULL}, {"target", NULL}, {"lladdr", NULL},
            {"sport", "4000"}, {"dport", "9"}, {"n", "3"},    {"direct", "0"},  {"kind", NULL}};

static struct {
    const char *place;
    int fd;
    unsigned seen;
} watch[9];
static unsigned n_watch, answers;
static uint8_t answer_mac[6];
static const uint8_t magic[] = "podwire-craft-5\x9d\xa5";

__attribute__((noreturn)) static void die(const char *what, const char *which)
{
    fprintf(stderr, "craft: %s: %s: %s\n", what, which, strerror(errno));
    exit(2);
}

static const char *arg(const char *key, const char *fallback)
{
    for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
        if (strcmp(args[i].key, key) == 0 && args[i].value)
            return args[i].value;
    if (!fallback)
        die("missing", key);
    return fallback;
}

static int open_packet(const char *place, uint16_t protocol)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
    const char *dev = strchr(place, ':');
    char ns[48];
    int fd = -1, one = 1;

    if (!dev)
        die("not NS:IF", place);
    snprintf(ns, sizeof(ns), "%.*s", (int)(dev - place), place);
    fd = nsx_socket(ns, AF_PACKET, SOCK_RAW, 0);
    nsx_enter(ns);
    at.sll_ifindex = (int)if_nametoindex(dev + 1);
    nsx_enter("-");
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
    if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die("packet socket", place);
    return fd;
}

/* An ICMPv6 message with a target or none, and a link-layer option where one was asked for. */
static void nd(struct pkt *p, uint8_t type, uint32_t rest, bool target, uint8_t opt)
{
    uint8_t option[8] = {opt, 1};
    struct in6_addr a;

    pkt_ip(p, arg("src", NULL), arg("dst", NULL));
    pkt_ip6(p)->hop_limit = 255;
    pkt_icmp(p, type, 0, rest);
    if (target) {
        if (inet_pton(AF_INET6, arg("target", NULL), &a) != 1)
            die("not an IPv6 address", arg("target", NULL));
        pkt_pay(p, &a, sizeof(a));
    }
    if (opt && strcmp(arg("lladdr", "none"), "none") != 0) {
        if (!pkt_mac(option + 2, arg("lladdr", NULL)))
            die("not a MAC", arg("lladdr", NULL));
        pkt_pay(p, option, sizeof(option));
    }
}

static void make(struct pkt *p)
{
    const char *kind = arg("kind", NULL);
    bool arp = strncmp(kind, "arp", 3) == 0;
    static const uint8_t mld[] = {4, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 9};
    static const uint8_t ra[] = {0, 0, 0, 0, 0, 0, 0, 0};

    pkt_start(p);
    pkt_eth(p, arg("dmac", NULL), arg("smac", NULL), 0);
    if (arp) {
        pkt_arp(p, strcmp(kind, "arp-reply") == 0 ? 2 : 1, arg("sha", NULL), arg("spa", NULL),
                "00:00:00:00:00:00", arg("tpa", NULL));
    } else if (strcmp(kind, "ns") == 0) {
        nd(p, 135, 0, true, 1);
    } else if (strcmp(kind, "dad") == 0) {
        nd(p, 135, 0, true, 0);
    } else if (strcmp(kind, "na") == 0) {
        nd(p, 136, 0x60000000, true, 2);
    } else if (strcmp(kind, "rs") == 0) {
        nd(p, 133, 0, false, 1);
    } else if (strcmp(kind, "ra") == 0) {
        nd(p, 134, 0x40000708, false, 0);
        pkt_pay(p, ra, sizeof(ra));
    } else if (strcmp(kind, "redirect") == 0) {
        nd(p, 137, 0, true, 0);
        pkt_pay(p, &pkt_ip6(p)->daddr, 16);
    } else if (strcmp(kind, "mld") == 0) {
        nd(p, 143, 1, false, 0);
        pkt_pay(p, mld, sizeof(mld));
    } else {
        uint16_t sport = (uint16_t)nsx_number(arg("sport", NULL)),
                 dport = (uint16_t)nsx_number(arg("dport", NULL));
        if (strcmp(kind, "vlan") == 0)
            pkt_vlan(p, 5);
        pkt_ip(p, arg("src", NULL), arg("dst", NULL));
        if (strcmp(kind, "dhcp-server") == 0)
            sport = p->type == ETH_P_IP ? 67 : 547, dport = p->type == ETH_P_IP ? 68 : 546;
        else if (strcmp(kind, "dhcp-client") == 0)
            sport = p->type == ETH_P_IP ? 68 : 546, dport = p->type == ETH_P_IP ? 67 : 547;
        pkt_udp(p, sport, dport);
        pkt_pay(p, magic, sizeof(magic));
    }
    pkt_done(p);
    if (strcmp(kind, "ethertype") == 0)
        pkt_ethhdr(p)->h_proto = htons(0x88b5);
    else if (strcmp(kind, "runt") == 0)
        p->len = 20;
}

/* What tells a frame from others: the end of ARP, ND and what we put into datagrams. */
static bool is_ours(const uint8_t *frame, size_t len, const struct pkt *p)
{
    size_t n = p->len - p->l3 < 24 ? p->len - p->l3 : 24;

    return memmem(frame, len, magic, sizeof(magic)) ||
           (p->len > n && memmem(frame, len, p->data + p->len - n, n));
}

static void note_answer(const uint8_t *f, size_t len)
{
    bool arp = len >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2;
    bool na = len >= 78 && f[12] == 0x86 && f[20] == 58 && f[54] == 136;

    if (!arp && !na)
        return;
    answers++;
    memcpy(answer_mac, arp ? f + 22 : len >= 86 ? f + 80 : f + 6, 6);
}

int main(int argc, char **argv)
{
    static struct pkt p;
    static uint8_t frame[70000];
    struct pollfd fds[10];
    int fd = -1, quiet = 40, direct = 0;

    nsx_enter("-");
    for (int i = 1; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        bool known = false;
        if (!eq) {
            args[sizeof(args) / sizeof(args[0]) - 1].value = argv[i];
            continue;
        }
        *eq = '\0';
        if (strcmp(argv[i], "watch") == 0 && n_watch < 8) {
            watch[n_watch++].place = eq + 1;
            continue;
        }
        for (size_t k = 0; k < sizeof(args) / sizeof(args[0]); k++)
            if (strcmp(args[k].key, argv[i]) == 0) {
                args[k].value = eq + 1;
                known = true;
            }
        if (!known)
            die("unknown key", argv[i]);
    }
    fd = open_packet(arg("from", NULL), ETH_P_ALL);
    for (unsigned i = 0; i < n_watch; i++) {
        watch[i].fd = open_packet(watch[i].place, ETH_P_ALL);
        fds[i] = (struct pollfd){.fd = watch[i].fd, .events = POLLIN};
    }
    fds[n_watch] = (struct pollfd){.fd = fd, .events = POLLIN};
    direct = (int)nsx_number(arg("direct", NULL));
    if (direct && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &direct, sizeof(direct)) < 0)
        die("bypass queues", arg("from", NULL));
    make(&p);
    for (int i = (int)nsx_number(arg("n", NULL)); i > 0; i--)
        /* netkit tells the sender of a drop at once. */
        if (send(fd, p.data, p.len, 0) < 0 && errno != ENOBUFS)
            die("send", arg("from", NULL));
    if (getenv("PW_QUIET"))
        quiet = (int)nsx_number(getenv("PW_QUIET"));
    while (poll(fds, n_watch + 1, quiet) > 0) {
        for (unsigned i = 0; i <= n_watch; i++) {
            ssize_t n;
            if (!fds[i].revents || (n = recv(fds[i].fd, frame, sizeof(frame), 0)) <= 0)
                continue;
            if (i == n_watch)
                note_answer(frame, (size_t)n);
            else if (is_ours(frame, (size_t)n, &p))
                watch[i].seen++;
        }
    }
    for (unsigned i = 0; i < n_watch; i++)
        printf("%s %u\n", watch[i].place, watch[i].seen);
    printf("answer %02x:%02x:%02x:%02x:%02x:%02x %u\n", answer_mac[0], answer_mac[1], answer_mac[2],
           answer_mac[3], answer_mac[4], answer_mac[5], answers);
    return 0;
}
