/* SPDX-License-Identifier: Apache-2.0 */
/* DHCP, DHCPv6 and router solicitations of virtual machines: what is answered, with which bytes,
 * and what not. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>

#include "loader/autoconf.h"
#include "tests/bpf/dp.h"

#define MAC_A "02:00:00:00:00:0a"
#define MAC_T "02:00:00:00:00:0e"
#define SERVER "169.254.1.1"
#define ALL_SERVERS "ff02::1:2"
#define UDP4 (ETH_HLEN + 20)
#define BOOTP (UDP4 + 8)
#define OPTIONS (BOOTP + 240)
#define UDP6 (ETH_HLEN + 40)
#define DHCP6 (UDP6 + 8)
#define ANSWER(name) ((struct dp_want){PW_VIA_REPLY, PW_##name, 0, false})

static struct pkt p;
static struct pw_guest guest;

static void set_guest(int ep, const struct pw_guest *g)
{
    int fd = bpf_map__fd(dp.skel->maps.pw_guests);
    if (g ? bpf_map_update_elem(fd, &dp.ep[ep].ifindex, g, BPF_ANY)
          : bpf_map_delete_elem(fd, &dp.ep[ep].ifindex))
        bail("guest: %s", strerror(errno));
}

static struct pw_addr addr(const char *text)
{
    struct pw_addr a;
    struct pw_err err = PW_ERR_INIT;
    if (pw_addr_parse(text, &a, &err))
        bail("%s", err.msg);
    return a;
}

static void make_guest(void)
{
    struct pw_autoconf c = {.ip4 = addr("10.1.0.5/24"),
                            .ip6 = addr("fd00:1::5/64"),
                            .gw4 = addr("10.1.0.1"),
                            .routes = {{addr("0.0.0.0/0"), false}, {addr("::/0"), false}},
                            .n_routes = 2,
                            .dns = {addr("10.96.0.10"), addr("fd00:96::a")},
                            .n_dns = 2,
                            .domain = "a.example",
                            .mtu = 1400};
    struct pw_err err = PW_ERR_INIT;
    memcpy(c.mac, dp.ep[DP_T].mac, 6);
    memcpy(c.host_mac, dp.ep[DP_T].host_mac, 6);
    if (pw_autoconf_make(&c, &guest, &err))
        bail("%s", err.msg);
    set_guest(DP_T, &guest);
}

/* ---- DHCP ---- */

struct ask4 {
    uint8_t type;
    const char *ciaddr, *requested, *server, *src, *dst;
    uint16_t flags;
};

static void ask4(int ep, struct ask4 q)
{
    static const uint8_t cookie[4] = {0x63, 0x82, 0x53, 0x63};
    uint8_t boot[236] = {1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 9};
    uint32_t a;

    boot[10] = (uint8_t)(q.flags >> 8);
    if (q.ciaddr && inet_pton(AF_INET, q.ciaddr, boot + 12) != 1)
        bail("address");
    memcpy(boot + 28, dp.ep[ep].mac, 6);
    dp_eth(&p, ep);
    if (!q.dst)
        memset(p.data, 0xff, 6);
    pkt_ip(&p, q.src ? q.src : "0.0.0.0", q.dst ? q.dst : "255.255.255.255");
    pkt_udp(&p, 68, 67);
    pkt_pay(&p, boot, sizeof(boot));
    pkt_pay(&p, cookie, 4);
    pkt_pay(&p, (uint8_t[]){53, 1, q.type}, 3);
    pkt_pay(&p, (uint8_t[]){61, 7, 1, 2, 0, 0, 0, 0, 0xe}, 9);
    if (q.requested) {
        a = inet_addr(q.requested);
        pkt_pay(&p, (uint8_t[]){50, 4}, 2), pkt_pay(&p, &a, 4);
    }
    if (q.server) {
        a = inet_addr(q.server);
        pkt_pay(&p, (uint8_t[]){54, 4}, 2), pkt_pay(&p, &a, 4);
    }
    pkt_pay(&p, (uint8_t[]){0, 55, 4, 1, 3, 6, 121, 255}, 8);
    pkt_fill(&p, 3, 20); /* behind the end: not looked at */
    pkt_done(&p);
}

/* An option of the answer; NULL: it is not there. */
static const uint8_t *option4(uint8_t code)
{
    const uint8_t *at = dp_last()->data + OPTIONS, *end = dp_last()->data + dp_last()->len;
    while (at < end && *at != 255 && (*at != code))
        at += *at ? 2 + at[1] : 1;
    return at < end && *at == code ? at + 1 : NULL;
}

static bool is_option4(uint8_t code, const void *value, uint8_t n)
{
    const uint8_t *o = option4(code);
    return o && o[0] == n && memcmp(o + 1, value, n) == 0;
}

static bool is_addr4(size_t off, const char *want)
{
    uint32_t a = inet_addr(want);
    return memcmp(dp_last()->data + off, &a, 4) == 0;
}

static void answered4(uint8_t type, const char *dst, const char *yiaddr, const char *name)
{
    const uint8_t *d = dp_last()->data;

    is_int(dp_last()->len, ETH_HLEN + 576, "%s: length", name);
    ok(is_option4(53, &type, 1), "%s: type %d", name, type);
    ok(is_option4(54, "\xa9\xfe\x01\x01", 4) && is_addr4(ETH_HLEN + 12, SERVER),
       "%s: from the server", name);
    ok(is_addr4(ETH_HLEN + 16, dst), "%s: to %s", name, dst);
    ok(is_addr4(BOOTP + 16, yiaddr), "%s: the address", name);
    ok(is_option4(61, "\x01\x02\x00\x00\x00\x00\x0e", 7), "%s: client identifier", name);
    ok(d[BOOTP] == 2 && memcmp(d + BOOTP + 4, "\xde\xad\xbe\xef", 4) == 0 &&
           memcmp(d + BOOTP + 28, dp.ep[DP_T].mac, 6) == 0,
       "%s: answers this question", name);
    ok(memcmp(d + 6, dp.ep[DP_T].host_mac, 6) == 0 &&
           (d[0] == 0xff || memcmp(d, dp.ep[DP_T].mac, 6) == 0),
       "%s: MACs", name);
    ok((d[0] == 0xff) == !strcmp(dst, "255.255.255.255"), "%s: broadcast or not", name);
    is_int(pkt_csum(d + ETH_HLEN, 20, 0), 0, "%s: header checksum", name);
    is_int(pkt_csum(d + UDP4, 556, pkt_pseudo(d + ETH_HLEN, 17, 556)), 0, "%s: checksum", name);
    is_int(d[ETH_HLEN + 575], 255, "%s: ends", name);
}

static void dhcp4(void)
{
    ask4(DP_T, (struct ask4){.type = 1});
    dp_check(DP_T, &p, ANSWER(DHCP4), "DISCOVER");
    answered4(2, "10.1.0.5", "10.1.0.5", "OFFER");
    ok(is_option4(1, "\xff\xff\xff\x00", 4) && is_option4(3, "\x0a\x01\x00\x01", 4) &&
           is_option4(6, "\x0a\x60\x00\x0a", 4) && is_option4(15, "a.example", 9) &&
           is_option4(26, "\x05\x78", 2) && is_option4(51, "\x00\x01\x51\x80", 4) && !option4(121),
       "OFFER: mask, router, name server, domain, MTU, lease");
    ask4(DP_T, (struct ask4){.type = 1, .flags = 0x8000});
    dp_check(DP_T, &p, ANSWER(DHCP4), "DISCOVER of a client that cannot take unicast");
    answered4(2, "255.255.255.255", "10.1.0.5", "OFFER by broadcast");
    ask4(DP_T, (struct ask4){.type = 1, .requested = "10.9.9.9"});
    dp_check(DP_T, &p, ANSWER(DHCP4), "DISCOVER with a wish");
    answered4(2, "10.1.0.5", "10.1.0.5", "OFFER of what it is");

    ask4(DP_T, (struct ask4){.type = 3, .requested = "10.1.0.5", .server = SERVER});
    dp_check(DP_T, &p, ANSWER(DHCP4), "REQUEST of what was offered");
    answered4(5, "10.1.0.5", "10.1.0.5", "ACK");
    ask4(DP_T, (struct ask4){.type = 3, .requested = "10.1.0.5", .server = "10.1.0.7"});
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "REQUEST to another server");
    ask4(DP_T, (struct ask4){.type = 3, .requested = "10.1.0.5"});
    dp_check(DP_T, &p, ANSWER(DHCP4), "REQUEST of a client that was here before");
    ask4(DP_T, (struct ask4){.type = 3, .requested = "10.1.0.6"});
    dp_check(DP_T, &p, ANSWER(DHCP4_NAK), "REQUEST of one that was elsewhere");
    answered4(6, "255.255.255.255", "0.0.0.0", "NAK");
    ok(!option4(51) && !option4(1) && !option4(3), "NAK: tells nothing else");
    ask4(DP_T, (struct ask4){.type = 3, .server = SERVER});
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "REQUEST of nothing");

    ask4(DP_T, (struct ask4){.type = 3, .ciaddr = "10.1.0.5", .src = "10.1.0.5", .dst = SERVER});
    dp_check(DP_T, &p, ANSWER(DHCP4), "REQUEST that renews");
    answered4(5, "10.1.0.5", "10.1.0.5", "ACK of a renewal");
    ok(is_addr4(BOOTP + 12, "10.1.0.5"), "ACK of a renewal: the client's address");
    ask4(DP_T, (struct ask4){.type = 3, .ciaddr = "10.1.0.5", .src = "10.1.0.5"});
    dp_check(DP_T, &p, ANSWER(DHCP4), "REQUEST that rebinds");
    ask4(DP_T, (struct ask4){.type = 3, .ciaddr = "10.1.0.6", .src = "10.1.0.5", .dst = SERVER});
    dp_check(DP_T, &p, ANSWER(DHCP4_NAK), "REQUEST that renews another address");
    ask4(DP_T, (struct ask4){.type = 3, .ciaddr = "10.1.0.6", .src = "10.1.0.6", .dst = SERVER});
    dp_check(DP_T, &p, DP_DROP(SPOOF_IP4), "and from that address");
    ask4(DP_T, (struct ask4){.type = 8, .ciaddr = "10.1.0.5", .src = "10.1.0.5"});
    dp_check(DP_T, &p, ANSWER(DHCP4), "INFORM");
    answered4(5, "10.1.0.5", "0.0.0.0", "ACK of an INFORM");
    ok(!option4(51) && option4(6), "ACK of an INFORM: no lease, but the rest");
    ask4(DP_T, (struct ask4){.type = 8, .ciaddr = "10.1.0.6", .src = "10.1.0.5"});
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "INFORM of another address");
    for (uint8_t type = 0; type < 20; type++) {
        if (type == 1 || type == 3 || type == 8)
            continue;
        ask4(DP_T, (struct ask4){.type = type, .ciaddr = "10.1.0.5", .server = SERVER});
        dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "message type %d", type);
    }
}

static void dhcp4_bad(void)
{
    const struct ask4 discover = {.type = 1};

    ask4(DP_A, discover);
    dp_check(DP_A, &p, DP_DROP(DHCP_CLIENT), "a pod that is no guest");
    ask4(DP_B, discover);
    dp_check(DP_B, &p, DP_DROP(DHCP_CLIENT), "one without MACs");
    ask4(DP_T, discover);
    memcpy(p.data + 6, dp.ep[DP_A].mac, 6);
    dp_check(DP_T, &p, DP_DROP(SPOOF_MAC), "a frame from another MAC");
    ask4(DP_T, discover);
    memcpy(p.data + BOOTP + 28, dp.ep[DP_A].mac, 6);
    dp_check(DP_T, &p, DP_DROP(SPOOF_MAC), "for another MAC");
    ask4(DP_T, discover);
    p.data[BOOTP + 27] = 1;
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "by way of a relay");
    ask4(DP_T, discover);
    p.data[BOOTP + 236] ^= 1;
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "another cookie");
    const struct {
        size_t off;
        uint8_t value;
        const char *name;
    } wrong[] = {{BOOTP, 2, "a reply"},
                 {BOOTP + 1, 6, "another hardware"},
                 {BOOTP + 2, 8, "a longer MAC"},
                 {OPTIONS + 1, 2, "a type of two bytes"},
                 {OPTIONS + 1, 0, "a type of none"},
                 {OPTIONS + 4, 200, "an option beyond the end"},
                 {OPTIONS + 4, 1, "a client identifier of one byte"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ask4(DP_T, discover);
        p.data[wrong[i].off] = wrong[i].value;
        pkt_sums(&p);
        dp_check(DP_T, &p, DP_DROP(MALFORMED), "%s", wrong[i].name);
    }
    /* The same message, each length by what UDP says, and by what the frame has. */
    ask4(DP_T, discover);
    size_t end = OPTIONS + 20, whole = p.len;
    unsigned answered = 0, malformed = 0, other = 0;
    for (size_t n = BOOTP; n < whole; n++) {
        ask4(DP_T, discover);
        struct udphdr *udp = pkt_l4hdr(&p);
        udp->len = htons((uint16_t)(n - UDP4));
        const char *bad = dp_try(DP_T, &p, n >= end ? ANSWER(DHCP4) : DP_DROP(MALFORMED));
        other += bad != NULL;
        answered += !bad && n >= end;
        malformed += !bad && n < end;
    }
    ok(!other && answered && malformed, "cut short anywhere: %u answered, %u malformed, %u other",
       answered, malformed, other);
    other = 0;
    for (size_t n = BOOTP; n < whole; n++) {
        ask4(DP_T, discover);
        p.len = n;
        other += dp_try(DP_T, &p, DP_DROP(MALFORMED)) != NULL;
    }
    is_int(other, 0, "a frame cut short anywhere is malformed");
    ask4(DP_T, discover);
    struct udphdr *udp = pkt_l4hdr(&p);
    udp->len = htons((uint16_t)(p.len - UDP4 + 1));
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "UDP longer than IP");

    /* Options without end, and more than anybody sends. */
    ask4(DP_T, discover);
    memset(p.data + OPTIONS + 20, 0, p.len - OPTIONS - 20);
    p.data[OPTIONS + 19] = 0;
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "no end");
    for (unsigned n = 100; n < 1200; n += 1000) {
        ask4(DP_T, discover);
        p.len = OPTIONS;
        static const uint8_t pads[1200];
        pkt_pay(&p, pads, n);
        pkt_pay(&p, (uint8_t[]){53, 1, 1, 255}, 4);
        pkt_done(&p);
        dp_check(DP_T, &p, n < 128 ? ANSWER(DHCP4) : DP_DROP(MALFORMED), "%u pads", n);
    }
    ask4(DP_T, discover);
    p.len = OPTIONS;
    static const uint8_t id[255];
    for (int i = 0; i < 4; i++)
        pkt_pay(&p, (uint8_t[]){61, 255}, 2), pkt_pay(&p, id, 255);
    pkt_pay(&p, (uint8_t[]){53, 1, 1, 255}, 4);
    pkt_done(&p);
    dp_check(DP_T, &p, ANSWER(DHCP4), "huge options");
    ok(!option4(61), "a huge client identifier is not repeated");

    ask4(DP_T, discover);
    pkt_ip4(&p)->frag_off = htons(0x2000);
    pkt_sums(&p);
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "a fragment");
    ask4(DP_T, (struct ask4){.type = 1, .src = "10.1.0.5", .dst = "10.1.0.2"});
    dp_check(DP_T, &p, DP_PEER(DP_A), "to another pod: no business of ours");
    dp_eth(&p, DP_T);
    pkt_ip(&p, "10.1.0.5", "255.255.255.255");
    pkt_udp(&p, 67, 68);
    pkt_fill(&p, 1, 300);
    pkt_done(&p);
    dp_check(DP_T, &p, DP_DROP(DHCP_SERVER), "a server in a guest");
    dp_udp(&p, DP_T, "10.1.0.5", SERVER);
    dp_check(DP_T, &p, DP_STACK(TO_HOST), "other packets to the server's address");

    guest.ip4 = 0;
    set_guest(DP_T, &guest);
    ask4(DP_T, discover);
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "a guest without IPv4");
    make_guest();
}

/* ---- DHCPv6 ---- */

static const uint8_t client_id[14] = {0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 14};
static const uint8_t server_id[14] = {0, 2, 0, 10, 0, 3, 0, 1, 2, 0x70, 0x77, 0, 0, 1};

static void start6(int ep, uint8_t type, bool server)
{
    dp_eth(&p, ep);
    pkt_ip(&p, "fe80::e", ALL_SERVERS);
    pkt_udp(&p, 546, 547);
    pkt_pay(&p, (uint8_t[]){type, 1, 2, 3}, 4);
    pkt_pay(&p, client_id, 14);
    if (server)
        pkt_pay(&p, server_id, 14);
    pkt_pay(&p, (uint8_t[]){0, 6, 0, 2, 0, 23, 0, 8, 0, 2, 0, 0}, 12);
}

static void add_ia(const char *own)
{
    uint8_t ia[44] = {0, 3, 0, (uint8_t)(own ? 40 : 12), 9, 8, 7, 6};
    ia[17] = 5, ia[19] = 24;
    if (own && inet_pton(AF_INET6, own, ia + 20) != 1)
        bail("address");
    pkt_pay(&p, ia, own ? 44 : 16);
}

static void ask6(uint8_t type, bool server, const char *own)
{
    start6(DP_T, type, server);
    add_ia(own);
    pkt_done(&p);
}

static const uint8_t *option6(uint8_t code, uint16_t *n)
{
    const uint8_t *at = dp_last()->data + DHCP6 + 4, *end = dp_last()->data + dp_last()->len;
    while (at + 4 <= end && at[1] != code)
        at += 4 + at[2] * 256 + at[3];
    if (at + 4 > end)
        return NULL;
    *n = (uint16_t)(at[2] * 256 + at[3]);
    return at + 4 + *n <= end ? at + 4 : NULL;
}

static bool is_option6(uint8_t code, const void *value, uint16_t n)
{
    uint16_t have;
    const uint8_t *o = option6(code, &have);
    return o && have == n && memcmp(o, value, n) == 0;
}

static void answered6(uint8_t type, bool ia, const char *name)
{
    const uint8_t *d = dp_last()->data;
    uint8_t want[40] = {9, 8, 7, 6, 0, 0, 0xa8, 0xc0, 0, 1, 0x27, 0x50, 0, 5, 0, 24};
    size_t n = dp_last()->len - UDP6;
    uint16_t have;

    memcpy(want + 16, guest.ip6.w, 16);
    memcpy(want + 32, (uint8_t[]){0, 1, 0x51, 0x80, 0, 1, 0x51, 0x80}, 8);
    ok(d[DHCP6] == type && memcmp(d + DHCP6 + 1, "\1\2\3", 3) == 0, "%s: type %d", name, type);
    ok(is_option6(1, client_id + 4, 10) && is_option6(2, server_id + 4, 10), "%s: identifiers",
       name);
    ok(ia ? is_option6(3, want, 40) : !option6(3, &have), "%s: address", name);
    ok(memcmp(d + 22, (uint8_t[16]){0xfe, 0x80, [15] = 1}, 16) == 0 &&
           memcmp(d + 38, p.data + 22, 16) == 0 && d[UDP6 + 1] == 0x23 && d[UDP6 + 3] == 0x22,
       "%s: from the gateway to the client", name);
    is_int(pkt_csum(d + UDP6, n, pkt_pseudo(d + ETH_HLEN, 17, n)), 0, "%s: checksum", name);
}

static void dhcp6(void)
{
    static const uint8_t dns[16] = {0xfd, 0, 0, 0x96, [15] = 0xa};
    uint16_t n;

    ask6(1, false, NULL);
    dp_check(DP_T, &p, ANSWER(DHCP6), "SOLICIT");
    answered6(2, true, "ADVERTISE");
    ok(is_option6(7, "\xff", 1), "ADVERTISE: no better will come");
    ok(is_option6(23, dns, 16) && is_option6(24, "\1a\7example", 11), "ADVERTISE: name servers");
    ask6(3, true, "fd00:1::5");
    dp_check(DP_T, &p, ANSWER(DHCP6), "REQUEST");
    answered6(7, true, "REPLY");
    ok(!option6(7, &n), "REPLY: no preference");
    ask6(5, true, "fd00:1::5");
    dp_check(DP_T, &p, ANSWER(DHCP6), "RENEW");
    answered6(7, true, "REPLY to RENEW");
    ask6(6, false, "fd00:1::5");
    dp_check(DP_T, &p, ANSWER(DHCP6), "REBIND");
    answered6(7, true, "REPLY to REBIND");
    ask6(4, false, "fd00:1::5");
    dp_check(DP_T, &p, ANSWER(DHCP6), "CONFIRM");
    answered6(7, false, "REPLY to CONFIRM");
    ok(is_option6(13, "\0\0", 2), "REPLY to CONFIRM: yes");
    ask6(4, false, "fd00:1::6");
    dp_check(DP_T, &p, ANSWER(DHCP6), "CONFIRM of another address");
    ok(is_option6(13, "\0\4", 2), "REPLY to CONFIRM: no");
    for (uint8_t type = 8; type <= 9; type++) {
        ask6(type, true, "fd00:1::5");
        dp_check(DP_T, &p, ANSWER(DHCP6), "%s", type == 8 ? "RELEASE" : "DECLINE");
        answered6(7, false, "its REPLY");
        ok(is_option6(13, "\0\0", 2), "its REPLY: yes");
    }
    start6(DP_T, 11, false);
    pkt_done(&p);
    dp_check(DP_T, &p, ANSWER(DHCP6), "INFORMATION-REQUEST");
    answered6(7, false, "its REPLY");
    ok(is_option6(23, dns, 16), "its REPLY: name server");

    static uint8_t duid[134] = {0, 1, 0, 130};
    start6(DP_T, 1, false);
    p.len = DHCP6 + 4;
    pkt_pay(&p, duid, 134);
    add_ia(NULL);
    pkt_done(&p);
    dp_check(DP_T, &p, ANSWER(DHCP6), "the longest identifier");
    ok(is_option6(1, duid + 4, 130), "is repeated");
    n = (uint16_t)(dp_last()->len - UDP6);
    is_int(pkt_csum(dp_last()->data + UDP6, n, pkt_pseudo(dp_last()->data + ETH_HLEN, 17, n)), 0,
           "and in the checksum");
}

static void dhcp6_bad(void)
{
    const struct {
        uint8_t type;
        bool server, ia;
        const char *name;
    } none[] = {{1, true, true, "SOLICIT to a server"},
                {1, false, false, "SOLICIT of no address"},
                {3, false, true, "REQUEST to nobody"},
                {3, true, false, "REQUEST of no address"},
                {4, false, false, "CONFIRM of nothing"},
                {4, true, true, "CONFIRM to a server"},
                {5, false, true, "RENEW to nobody"},
                {6, true, true, "REBIND to a server"},
                {8, false, true, "RELEASE to nobody"},
                {11, false, true, "INFORMATION-REQUEST of an address"},
                {2, true, true, "ADVERTISE"},
                {7, true, true, "REPLY"},
                {10, true, true, "RECONFIGURE"},
                {12, false, true, "of a relay"},
                {13, false, true, "to a relay"}};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        start6(DP_T, none[i].type, none[i].server);
        if (none[i].ia)
            add_ia("fd00:1::5");
        pkt_done(&p);
        dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "%s", none[i].name);
    }
    ask6(3, true, NULL);
    p.data[DHCP6 + 4 + 14 + 13] ^= 1;
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "REQUEST to another server");
    ask6(1, false, NULL);
    memcpy(p.data + 6, dp.ep[DP_A].mac, 6);
    dp_check(DP_T, &p, DP_DROP(SPOOF_MAC), "a frame from another MAC");
    ask6(1, false, NULL);
    inet_pton(AF_INET6, "fd00:1::2", p.data + 22);
    dp_check(DP_T, &p, DP_DROP(SPOOF_IP6), "from another's address");
    ask6(1, false, NULL);
    inet_pton(AF_INET6, "fe80::1", p.data + 38);
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "by unicast");
    ask6(1, false, NULL);
    p.data[DHCP6 + 4 + 3] = 2;
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "an identifier that is too short");
    ask6(1, false, NULL);
    p.data[DHCP6 + 4 + 2] = 1;
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "one that is too long");
    start6(DP_T, 1, false);
    pkt_pay(&p, client_id, 14);
    add_ia(NULL);
    pkt_done(&p);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "two of them");
    start6(DP_A, 1, false);
    add_ia(NULL);
    pkt_done(&p);
    dp_check(DP_A, &p, DP_DROP(DHCP_CLIENT), "a pod that is no guest");

    ask6(1, false, "fd00:1::5");
    size_t whole = p.len;
    unsigned other = 0;
    for (size_t n = DHCP6; n < whole; n++) {
        ask6(1, false, "fd00:1::5");
        struct udphdr *udp = pkt_l4hdr(&p);
        udp->len = htons((uint16_t)(n - UDP6));
        const char *bad = dp_try(DP_T, &p, DP_DROP(MALFORMED));
        /* Whole options: a message without the rest. */
        if (n == DHCP6 + 4 || n == DHCP6 + 18 || n == DHCP6 + 24 || n == DHCP6 + 30)
            bad = dp_try(DP_T, &p, DP_DROP(DHCP_CLIENT));
        if (bad)
            diag("%zu: %s", n - DHCP6, bad);
        other += bad != NULL;
    }
    is_int(other, 0, "cut short anywhere");
    start6(DP_T, 1, false);
    for (int i = 0; i < 100; i++)
        pkt_pay(&p, "\0\20\0\4abcd", 8);
    add_ia(NULL);
    pkt_done(&p);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "more options than anybody sends");

    struct pw_guest v4 = guest;
    memset(&v4.ip6, 0, sizeof(v4.ip6));
    v4.ra_len = 0;
    set_guest(DP_T, &v4);
    ask6(1, false, NULL);
    dp_check(DP_T, &p, DP_DROP(DHCP_CLIENT), "a guest without IPv6");
    make_guest();
}

/* ---- router solicitations ---- */

static void rs(int ep, const char *src, const void *opts, size_t n)
{
    dp_eth(&p, ep);
    pkt_ip(&p, src, "ff02::2");
    pkt_icmp(&p, 133, 0, 0);
    pkt_pay(&p, opts, n);
    pkt_done(&p);
    pkt_ip6(&p)->hop_limit = 255;
}

static void rs_answered(const char *name, const char *dst)
{
    uint8_t to[16];
    const uint8_t *d = dp_last()->data;
    size_t n = guest.ra_len;

    inet_pton(AF_INET6, dst, to);
    is_int(dp_last()->len, UDP6 + n, "%s: length", name);
    ok(memcmp(d + 38, to, 16) == 0, "%s: to %s", name, dst);
    ok(memcmp(d, to[0] == 0xff ? (const uint8_t *)"\x33\x33\0\0\0\1" : dp.ep[DP_T].mac, 6) == 0,
       "%s: MAC", name);
    ok(memcmp(d + 22, (uint8_t[16]){0xfe, 0x80, [15] = 1}, 16) == 0 && d[ETH_HLEN + 7] == 255,
       "%s: from the gateway", name);
    ok(memcmp(d + UDP6 + 4, guest.ra + 4, n - 4) == 0, "%s: as user space made it", name);
    is_int(pkt_csum(d + UDP6, n, pkt_pseudo(d + ETH_HLEN, 58, n)), 0, "%s: checksum", name);
}

static void solicitations(void)
{
    static const uint8_t mac_t[8] = {1, 1, 2, 0, 0, 0, 0, 0xe},
                         mac_a[8] = {1, 1, 2, 0, 0, 0, 0, 0xa};
    uint8_t many[80] = {0};

    rs(DP_T, "fe80::e", mac_t, 8);
    dp_check(DP_T, &p, ANSWER(SOLICITED), "solicitation");
    rs_answered("advertisement", "fe80::e");
    rs(DP_T, "::", NULL, 0);
    dp_check(DP_T, &p, ANSWER(SOLICITED), "solicitation from nobody");
    rs_answered("advertisement to all", "ff02::1");
    rs(DP_T, "fd00:1::5", mac_t, 8);
    dp_check(DP_T, &p, ANSWER(SOLICITED), "solicitation from its own address");
    rs_answered("advertisement", "fd00:1::5");

    rs(DP_A, "fe80::a", NULL, 0);
    dp_check(DP_A, &p, DP_DROP(ROUTER_SOLICIT), "a pod that is no guest");
    rs(DP_B, "fe80::b", NULL, 0);
    dp_check(DP_B, &p, DP_DROP(ROUTER_SOLICIT), "one without MACs");
    rs(DP_T, "fe80::e", mac_a, 8);
    dp_check(DP_T, &p, DP_DROP(SPOOF_ND), "another's MAC in the option");
    rs(DP_T, "fe80::e", NULL, 0);
    memcpy(p.data + 6, dp.ep[DP_A].mac, 6);
    dp_check(DP_T, &p, DP_DROP(SPOOF_MAC), "a frame from another MAC");
    rs(DP_T, "fd00:1::2", NULL, 0);
    dp_check(DP_T, &p, DP_DROP(SPOOF_IP6), "from another's address");
    rs(DP_T, "::", mac_t, 8);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "a MAC of nobody");
    rs(DP_T, "fe80::e", NULL, 0);
    pkt_ip6(&p)->hop_limit = 64;
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "that was forwarded");
    rs(DP_T, "fe80::e", NULL, 0);
    p.data[UDP6 + 1] = 1;
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "with a code");
    rs(DP_T, "fe80::e", many, 8);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "an option of length 0");
    rs(DP_T, "fe80::e", mac_t, 7);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "an option cut short");
    many[0] = 14, many[1] = 9;
    rs(DP_T, "fe80::e", many, 64);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "one beyond the end");
    for (int i = 0; i < 10; i++)
        many[8 * i] = 14, many[8 * i + 1] = 1;
    rs(DP_T, "fe80::e", many, 80);
    dp_check(DP_T, &p, DP_DROP(MALFORMED), "more options than anybody sends");
    struct pw_guest g = guest;
    g.ra_len = 0;
    set_guest(DP_T, &g);
    rs(DP_T, "fe80::e", NULL, 0);
    dp_check(DP_T, &p, DP_DROP(ROUTER_SOLICIT), "a guest without IPv6");
    set_guest(DP_T, NULL);
}

int main(void)
{
    dp_open();
    make_guest();
    dhcp4();
    dhcp4_bad();
    dhcp6();
    dhcp6_bad();
    solicitations();
    return tap_done();
}
