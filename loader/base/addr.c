/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static unsigned width(const struct pw_addr *a)
{
    return a->family == 4 ? 32 : 128;
}

int pw_addr_parse(const char *text, struct pw_addr *out, struct pw_err *err)
{
    struct pw_addr a = {0};
    char host[PW_ADDR_STRLEN];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);

    if (n == 0 || n >= sizeof(host))
        return pw_err_set(err, -EINVAL, "'%.60s' is not an IP address", text);
    memcpy(host, text, n);
    host[n] = '\0';
    if (inet_pton(AF_INET, host, a.b) == 1)
        a.family = 4;
    else if (inet_pton(AF_INET6, host, a.b) == 1)
        a.family = 6;
    else
        return pw_err_set(err, -EINVAL, "'%.60s' is not an IP address", text);

    a.prefix = (uint8_t)width(&a);
    if (slash) {
        unsigned bits = 0;
        size_t digits = strspn(slash + 1, "0123456789");
        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
            return pw_err_set(err, -EINVAL, "'%.60s': bad prefix length", text);
        for (size_t i = 0; i < digits; i++)
            bits = bits * 10 + (unsigned)(slash[1 + i] - '0');
        if (bits > width(&a))
            return pw_err_set(err, -EINVAL, "'%.60s': prefix length over %u", text, width(&a));
        a.prefix = (uint8_t)bits;
    }
    *out = a;
    return 0;
}

const char *pw_addr_text(const struct pw_addr *a, bool with_prefix, char buf[PW_ADDR_STRLEN])
{
    char host[INET6_ADDRSTRLEN] = "?";
    inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, host, sizeof(host));
    if (with_prefix)
        snprintf(buf, PW_ADDR_STRLEN, "%s/%u", host, a->prefix);
    else
        snprintf(buf, PW_ADDR_STRLEN, "%s", host);
    return buf;
}

struct pw_addr pw_addr_network(struct pw_addr a)
{
    for (unsigned i = 0; i < sizeof(a.b); i++) {
        unsigned bit = i * 8;
        if (bit >= a.prefix)
            a.b[i] = 0;
        else if (a.prefix - bit < 8)
            a.b[i] &= (uint8_t)(0xff00U >> (a.prefix - bit));
    }
    return a;
}

bool pw_addr_same(const struct pw_addr *a, const struct pw_addr *b)
{
    return a->family == b->family && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool pw_addr_in(const struct pw_addr *a, const struct pw_addr *range)
{
    struct pw_addr masked = *a, net = pw_addr_network(*range);
    if (a->family != range->family)
        return false;
    masked.prefix = range->prefix;
    masked = pw_addr_network(masked);
    return pw_addr_same(&masked, &net);
}

bool pw_addr_within(const struct pw_addr *a, const struct pw_addr *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a->prefix >= ranges[i].prefix && pw_addr_in(a, &ranges[i]))
            return true;
    return false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int pw_mac_parse(const char *text, uint8_t out[6], struct pw_err *err)
{
    uint8_t mac[6];

    if (strlen(text) != PW_MAC_STRLEN - 1)
        return pw_err_set(err, -EINVAL, "'%.40s' is not a MAC address", text);
    for (int i = 0; i < 6; i++) {
        int hi = hex(text[i * 3]), lo = hex(text[i * 3 + 1]);
        char sep = text[i * 3 + 2];
        if (hi < 0 || lo < 0 || (i < 5 && sep != ':' && sep != '-'))
            return pw_err_set(err, -EINVAL, "'%.40s' is not a MAC address", text);
        mac[i] = (uint8_t)(hi << 4 | lo);
    }
    if (mac[0] & 1)
        return pw_err_set(err, -EINVAL, "MAC address %s is a multicast address", text);
    if (memcmp(mac, "\0\0\0\0\0", 6) == 0)
        return pw_err_set(err, -EINVAL, "MAC address %s is all zero", text);
    memcpy(out, mac, 6);
    return 0;
}

const char *pw_mac_text(const uint8_t mac[6], char buf[PW_MAC_STRLEN])
{
    snprintf(buf, PW_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return buf;
}
