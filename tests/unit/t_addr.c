/* SPDX-License-Identifier: Apache-2.0 */
/* loader/base/addr.c: text to bytes and back, ranges, and what must be refused. */
#include "loader/base/addr.h"
#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

static void round_trips(void)
{
    static const struct {
        const char *in, *out;
        int family, prefix;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1/32", 4, 32},
        {"10.1.2.3/8", "10.1.2.3/8", 4, 8},
        {"0.0.0.0/0", "0.0.0.0/0", 4, 0},
        {"fd00::1", "fd00::1/128", 6, 128},
        {"FD00:0:0::1/64", "fd00::1/64", 6, 64},
        {"::/0", "::/0", 6, 0},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1/128", 6, 128},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", 6, 128},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++) {
        struct pw_addr a;
        char buf[PW_ADDR_STRLEN];
        if (!ok(pw_addr_parse(cases[i].in, &a, NULL) == 0, "parses %s", cases[i].in))
            continue;
        is_int(a.family, cases[i].family, "%s: family", cases[i].in);
        is_int(a.prefix, cases[i].prefix, "%s: prefix", cases[i].in);
        is_str(pw_addr_text(&a, true, buf), cases[i].out, "%s: and back", cases[i].in);
    }
}

static void refuses(void)
{
    static const char *const bad[] = {
        "",
        "/",
        "/8",
        "10.0.0",
        "10.0.0.256",
        "10.0.0.1/",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/+8",
        "10.0.0.1/8/8",
        "10.0.0.1/8 ",
        " 10.0.0.1",
        "10.0.0.1/0008",
        "fd00::1/129",
        "fd00::1%eth0",
        "fd00:::1",
        "host",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(bad); i++) {
        struct pw_addr a, before;
        struct pw_err err = PW_ERR_INIT;
        memset(&a, 0xa5, sizeof(a));
        before = a;
        is_int(pw_addr_parse(bad[i], &a, &err), -EINVAL, "refuses '%s'", bad[i]);
        is_mem(&a, &before, sizeof(a), "'%s': leaves the output alone", bad[i]);
        ok(err.code == -EINVAL && err.msg[0], "'%s': says why", bad[i]);
    }
}

static void ranges(void)
{
    static const struct {
        const char *addr, *range;
        bool in;
    } cases[] = {
        {"10.1.2.3", "10.0.0.0/8", true},
        {"10.1.2.3", "10.1.2.3/32", true},
        {"10.1.2.3", "10.1.2.2/32", false},
        {"10.1.2.3", "10.1.2.2/31", true},
        {"11.0.0.0", "10.0.0.0/8", false},
        {"11.0.0.0", "10.9.9.9/7", true},
        {"1.2.3.4", "0.0.0.0/0", true},
        {"::1", "0.0.0.0/0", false},
        {"1.2.3.4", "::/0", false},
        {"fd00:0:0:1::9", "fd00:0:0:1::/64", true},
        {"fd00:0:0:2::9", "fd00:0:0:1::/64", false},
        {"fd00::1:8000", "fd00::1:0/113", false},
        {"fd00::1:7fff", "fd00::1:0/113", true},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++) {
        struct pw_addr a, r;
        if (pw_addr_parse(cases[i].addr, &a, NULL) || pw_addr_parse(cases[i].range, &r, NULL))
            bail("cases[%zu] does not parse", i);
        is_int(pw_addr_in(&a, &r), cases[i].in, "%s is%s in %s", cases[i].addr,
               cases[i].in ? "" : " not", cases[i].range);
    }

    struct pw_addr a, b;
    char buf[PW_ADDR_STRLEN];
    if (pw_addr_parse("10.1.255.3/20", &a, NULL) || pw_addr_parse("10.1.255.3", &b, NULL))
        bail("does not parse");
    ok(pw_addr_same(&a, &b), "the prefix does not make another address");
    a = pw_addr_network(a);
    is_str(pw_addr_text(&a, true, buf), "10.1.240.0/20", "network of a range");
    is_str(pw_addr_text(&a, false, buf), "10.1.240.0", "text without the prefix");
    ok(!pw_addr_same(&a, &b), "another address is another address");
}

static void macs(void)
{
    static const uint8_t want[6] = {0x02, 0, 0xab, 0xcd, 0xef, 0x01};
    static const char *const bad[] = {
        "",
        "02:00:ab:cd:ef",
        "02:00:ab:cd:ef:0",
        "02:00:ab:cd:ef:011",
        "02:00:ab:cd:ef:0g",
        "02 00 ab cd ef 01",
        "00:00:00:00:00:00",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
    };
    uint8_t mac[6];
    char buf[PW_MAC_STRLEN];

    ok(pw_mac_parse("02:00:AB:cd:ef:01", mac, NULL) == 0, "parses a MAC address");
    is_mem(mac, want, 6, "its bytes");
    is_str(pw_mac_text(mac, buf), "02:00:ab:cd:ef:01", "and back");
    ok(pw_mac_parse("02-00-ab-cd-ef-01", mac, NULL) == 0, "hyphens do as well");
    for (size_t i = 0; i < PW_ARRAY_SIZE(bad); i++) {
        struct pw_err err = PW_ERR_INIT;
        is_int(pw_mac_parse(bad[i], mac, &err), -EINVAL, "refuses MAC '%s'", bad[i]);
        ok(err.msg[0], "'%s': says why", bad[i]);
    }
    is_mem(mac, want, 6, "refused ones leave the output alone");
}

int main(void)
{
    round_trips();
    refuses();
    ranges();
    macs();
    return tap_done();
}
