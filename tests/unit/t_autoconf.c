/* SPDX-License-Identifier: Apache-2.0 */
/* loader/autoconf.c: what a guest is told, byte by byte where clients are particular; what does not
 * fit or is no name is refused, and leaves nothing behind. That clients take it:
 * tests/cni/t_autoconf. */
#include <arpa/inet.h>

#include "loader/autoconf.h"
#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

static struct pw_err err;
static struct pw_guest g;

static struct pw_addr addr(const char *text)
{
    struct pw_addr a = {0};
    if (pw_addr_parse(text, &a, &err))
        bail("%s", text);
    return a;
}

static void route(struct pw_autoconf *c, const char *dst, bool onlink)
{
    c->routes[c->n_routes].dst = addr(dst);
    c->routes[c->n_routes++].onlink = onlink;
}

static struct pw_autoconf plain(void)
{
    struct pw_autoconf c = {.ip4 = addr("10.1.0.9/24"),
                            .ip6 = addr("fd00:1::9/64"),
                            .gw4 = addr("10.1.0.1"),
                            .mtu = 1400,
                            .mac = {2, 0x12, 0x34, 0x56, 0x78, 0x9a},
                            .host_mac = {2, 0, 0, 0, 0, 1}};
    route(&c, "0.0.0.0/0", false);
    route(&c, "::/0", false);
    return c;
}

static const char *hex(const uint8_t *p, size_t n)
{
    static char buf[1024];

    buf[0] = '\0';
    for (size_t i = 0; i < n && 2 * i + 2 < sizeof(buf); i++)
        snprintf(buf + 2 * i, 3, "%02x", p[i]);
    return buf;
}

/* Value of a DHCPv4 option; "" when it is not there. */
static const char *opt4(uint8_t code)
{
    for (size_t i = 0; i + 2 <= sizeof(g.opts4) && g.opts4[i]; i += 2U + g.opts4[i + 1])
        if (g.opts4[i] == code)
            return hex(g.opts4 + i + 2, g.opts4[i + 1]);
    return "";
}

/* The nth option of a router advertisement of that type, all of it. */
static const char *nd(uint8_t type, unsigned nth)
{
    for (size_t i = 16; i + 8 <= g.ra_len && g.ra[i + 1]; i += 8U * g.ra[i + 1])
        if (g.ra[i] == type && !nth--)
            return hex(g.ra + i, 8U * g.ra[i + 1]);
    return "";
}

static void usual(void)
{
    struct pw_autoconf c = plain();

    c.dns[c.n_dns++] = addr("10.96.0.10");
    c.dns[c.n_dns++] = addr("fd00:96::a");
    c.domain = "b.example";
    is_int(pw_autoconf_make(&c, &g, &err), 0, "a usual pod");
    is_str(hex((uint8_t *)&g.ip4, 4), "0a010009", "its address");
    is_str(opt4(1), "ffffff00", "mask");
    is_str(opt4(26), "0578", "MTU");
    is_str(opt4(3), "0a010001", "router");
    is_str(opt4(121), "", "no classless routes, where the router says as much");
    is_str(opt4(6), "0a60000a", "IPv4's name server");
    is_str(opt4(15), "622e6578616d706c65", "domain");
    is_str(opt4(119), "", "no search list");
    is_str(hex(g.ra, 16), "8600000040c0ffff0000000000000000",
           "advertisement: hop limit 64, DHCPv6, a router for 65535 s");
    is_str(nd(1, 0), "0101020000000001", "the router's MAC");
    is_str(nd(5, 0), "0501000000000578", "MTU");
    is_str(nd(3, 0), "03044080ffffffffffffffff00000000fd000001000000000000000000000000",
           "the prefix is on the link, for ever, and no address to be made of it");
    is_str(nd(24, 0), "18010000ffffffff", "the default route for ever");
    is_str(nd(25, 0), "19030000fffffffffd00009600000000000000000000000a", "IPv6's name server");
    is_str(nd(31, 0), "1f030000ffffffff0162076578616d706c65000000000000",
           "the domain stands for the search list, padded");
    is_int(g.ra_len % 8, 0, "in units of 8 bytes");
    is_str(hex(g.opts6, g.opts6_len),
           "00170010fd00009600000000000000000000000a0018000b0162076578616d706c6500",
           "DHCPv6: name server and search list");

    c.search[c.n_search++] = "a.example.";
    is_int(pw_autoconf_make(&c, &g, &err), 0, "with a search list");
    is_str(opt4(119), "0161076578616d706c6500", "it is told, a dot at the end or not");
}

static void families(void)
{
    struct pw_autoconf c = plain();
    static const uint8_t none[sizeof(g.ra)];

    c.ip6.family = 0;
    is_int(pw_autoconf_make(&c, &g, &err), 0, "IPv4 alone");
    ok(g.ip4 && !g.ra_len && !g.opts6_len && memcmp(&g.ip6, none, 16) == 0, "no word of IPv6");
    c = plain();
    c.ip4.family = 0;
    is_int(pw_autoconf_make(&c, &g, &err), 0, "IPv6 alone");
    ok(!g.ip4 && g.ra_len && memcmp(g.opts4, none, sizeof(g.opts4)) == 0, "no word of IPv4");
}

static void routes(void)
{
    struct pw_autoconf c = plain();

    c.gw4 = addr("169.254.1.1");
    route(&c, "10.8.0.0/13", false);
    route(&c, "10.9.9.9/32", true);
    route(&c, "fd00:8::/33", false);
    route(&c, "fd00:9::1/128", false);
    is_int(pw_autoconf_make(&c, &g, &err), 0, "a gateway outside the subnet, further routes");
    is_str(opt4(121),
           "20a9fe010100000000"
           "00a9fe0101"
           "0d0a08a9fe0101"
           "200a09090900000000",
           "the way to it, the default, one by it, one on the link");
    is_str(nd(24, 1), "18022100fffffffffd00000800000000", "IPv6: the first half of an address");
    is_str(nd(24, 2), "18038000fffffffffd000009000000000000000000000001", "and all of one");

    c = plain();
    c.n_routes = 0;
    c.ip4.prefix = 32;
    c.ip6.prefix = 128;
    is_int(pw_autoconf_make(&c, &g, &err), 0, "no routes, no subnets");
    is_str(opt4(3), "", "no router");
    is_str(opt4(1), "ffffffff", "the longest mask");
    is_str(nd(3, 0), "", "no prefix");
    is_str(hex(g.ra + 6, 2), "0000", "the advertiser is no router");
    c.ip4.prefix = 0;
    is_int(pw_autoconf_make(&c, &g, &err), 0, "a subnet of everything");
    is_str(opt4(1), "00000000", "the shortest mask");

    c = plain();
    c.ip6 = addr("fd00:1::12:34ff:fe56:789a/64");
    is_int(pw_autoconf_make(&c, &g, &err), 0, "the address that the MAC stands for");
    is_str(hex(g.ra + 16 + 16 + 3, 1), "c0", "may be made up");
}

static void refused(const struct pw_autoconf *c, int rc, const char *what)
{
    struct pw_guest out, before;

    memset(&out, 0xa5, sizeof(out));
    before = out;
    is_int(pw_autoconf_make(c, &out, &err), rc, "%s: refused", what);
    ok(memcmp(&out, &before, sizeof(out)) == 0, "%s: and nothing is told", what);
}

static void limits(void)
{
    static const char label[] = "a23456789b123456789c123456789d123456789e123456789f123456789g1234";
    static char name[300];
    static const char *const bad[] = {"a..b", ".", ".a", "a.b..", label};
    struct pw_autoconf c = plain();

    for (size_t i = 0; i < PW_ARRAY_SIZE(bad); i++) {
        c.domain = bad[i];
        refused(&c, -EINVAL, bad[i]);
    }
    c.search[c.n_search++] = "a.example";
    refused(&c, -EINVAL, "no name, beside a search list");
    c.domain = NULL;
    c.search[0] = "a..b";
    refused(&c, -EINVAL, "in the search list");

    /* 255 bytes on the wire are a name, one more is none. */
    c = plain();
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[253] = '\0';
    c.domain = name;
    refused(&c, -ENOSPC, "the longest name");
    memcpy(name + 253, ".a", 3);
    refused(&c, -EINVAL, "a longer one");

    c = plain();
    c.domain = label + 1;
    is_int(pw_autoconf_make(&c, &g, &err), 0, "the longest label");

    unsigned fit = 0;
    while (c.n_routes < PW_AUTOCONF_ROUTES && pw_autoconf_make(&c, &g, &err) == 0) {
        fit++;
        route(&c, "10.9.0.1/32", false);
    }
    refused(&c, -ENOSPC, "more routes than DHCP has room for");
    ok(fit > 10, "of long ones there are %u", fit);
    c = plain();
    fit = 0;
    while (c.n_routes < PW_AUTOCONF_ROUTES && pw_autoconf_make(&c, &g, &err) == 0) {
        fit++;
        route(&c, "fd00:9::1/128", false);
    }
    refused(&c, -ENOSPC, "more than an advertisement has room for");
    ok(fit > 5 && g.ra_len <= sizeof(g.ra), "of long ones there are %u", fit);
}

int main(void)
{
    usual();
    families();
    routes();
    limits();
    return tap_done();
}
