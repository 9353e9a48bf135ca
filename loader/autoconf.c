/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/autoconf.h"

#include <arpa/inet.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define FOREVER 0xffffffffU
#define LABEL_MAX 63
#define NAME_MAX_WIRE 255
/* RFC 8319, 4. The default route itself is told for ever beside it: nothing repeats this by itself.
 */
#define ROUTER_LIFETIME 65535U

enum {
    OPT4_MASK = 1,
    OPT4_ROUTER = 3,
    OPT4_DNS = 6,
    OPT4_DOMAIN = 15,
    OPT4_MTU = 26,
    OPT4_SEARCH = 119,
    OPT4_ROUTES = 121,
};
enum {
    ND_SOURCE_MAC = 1,
    ND_PREFIX = 3,
    ND_MTU = 5,
    ND_ROUTE = 24,
    ND_DNS = 25,
    ND_SEARCH = 31,
};
enum {
    OPT6_DNS = 23,
    OPT6_SEARCH = 24,
};

/* Bytes in the making. Once something did not fit, nothing more is put. */
struct out {
    uint8_t *to;
    size_t n, max;
    bool full;
};

static void put(struct out *o, const void *bytes, size_t n)
{
    o->full = o->full || n > o->max - o->n;
    if (o->full)
        return;
    memcpy(o->to + o->n, bytes, n);
    o->n += n;
}

static void put8(struct out *o, unsigned v)
{
    put(o, &(uint8_t){(uint8_t)v}, 1);
}

static void put16(struct out *o, unsigned v)
{
    uint16_t be = htons((uint16_t)v);
    put(o, &be, sizeof(be));
}

static void put32(struct out *o, uint32_t v)
{
    uint32_t be = htonl(v);
    put(o, &be, sizeof(be));
}

/* ---- names ---- */

/* "a.example" as labels (RFC 1035, 3.1), not compressed. */
static int put_name(struct out *o, const char *name, struct pw_err *err)
{
    size_t wire = 1;

    for (const char *at = name; *at;) {
        size_t n = strcspn(at, ".");
        wire += n + 1;
        if (n == 0 || n > LABEL_MAX || wire > NAME_MAX_WIRE)
            return pw_err_set(err, -EINVAL, "'%.64s' is no domain name", name);
        put8(o, (unsigned)n);
        put(o, at, n);
        at += n + (at[n] == '.');
    }
    put8(o, 0);
    return 0;
}

/* The search list; the domain stands for it where there is none, and must be a name anyway. */
static int put_names(struct out *o, const struct pw_autoconf *c, struct pw_err *err)
{
    struct out domain = *o;
    int rc = c->domain ? put_name(&domain, c->domain, err) : 0;

    if (c->n_search == 0)
        *o = domain;
    for (size_t i = 0; i < c->n_search && !rc; i++)
        rc = put_name(o, c->search[i], err);
    return rc;
}

static size_t count_dns(const struct pw_autoconf *c, int family)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_dns; i++)
        n += c->dns[i].family == family;
    return n;
}

static void put_dns(struct out *o, const struct pw_autoconf *c, int family)
{
    for (size_t i = 0; i < c->n_dns; i++)
        if (c->dns[i].family == family)
            put(o, c->dns[i].b, family == 4 ? 4 : 16);
}

static bool has_default(const struct pw_autoconf *c, int family)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].dst.family == family && c->routes[i].dst.prefix == 0)
            return true;
    return false;
}

/* ---- DHCP ---- */

static void put_option4(struct out *o, unsigned code, const struct out *value)
{
    if (value->n == 0)
        return;
    o->full = o->full || value->full || value->n > 255;
    put8(o, code);
    put8(o, (unsigned)value->n);
    put(o, value->to, value->n);
}

static void put_route4(struct out *o, const struct pw_addr *dst, const uint8_t *gw)
{
    put8(o, dst->prefix);
    put(o, dst->b, (dst->prefix + 7U) / 8);
    put(o, gw, 4);
}

/* With classless routes a client ignores the router option (RFC 3442), so that they are all there,
 * and are left out where that option says as much. */
static void put_routes4(struct out *o, const struct pw_autoconf *c)
{
    static const uint8_t here[4];
    uint8_t buf[255];
    struct out v = {.to = buf, .max = sizeof(buf)};
    bool near = pw_addr_in(&c->gw4, &c->ip4), more = !near;
    struct pw_addr gw = c->gw4;

    gw.prefix = 32;
    if (!near)
        put_route4(&v, &gw, here);
    for (size_t i = 0; i < c->n_routes; i++) {
        if (c->routes[i].dst.family != 4)
            continue;
        more |= c->routes[i].dst.prefix != 0 || c->routes[i].onlink;
        put_route4(&v, &c->routes[i].dst, c->routes[i].onlink ? here : gw.b);
    }
    if (more)
        put_option4(o, OPT4_ROUTES, &v);
}

static int make4(const struct pw_autoconf *c, struct pw_guest *g, struct pw_err *err)
{
    struct out o = {.to = g->opts4, .max = sizeof(g->opts4)};
    uint8_t names[255], dns[4 * PW_AUTOCONF_DNS];
    struct out n = {.to = names, .max = sizeof(names)}, d = {.to = dns, .max = sizeof(dns)};
    int rc = put_names(&n, c, err);

    if (rc)
        return rc;
    memcpy(&g->ip4, c->ip4.b, 4);
    put8(&o, OPT4_MASK);
    put8(&o, 4);
    put32(&o, c->ip4.prefix ? FOREVER << (32 - c->ip4.prefix) : 0);
    put8(&o, OPT4_MTU);
    put8(&o, 2);
    put16(&o, c->mtu);
    if (has_default(c, 4)) {
        put8(&o, OPT4_ROUTER);
        put8(&o, 4);
        put(&o, c->gw4.b, 4);
    }
    put_routes4(&o, c);
    put_dns(&d, c, 4);
    put_option4(&o, OPT4_DNS, &d);
    if (c->domain) {
        put8(&o, OPT4_DOMAIN);
        put8(&o, (unsigned)strlen(c->domain));
        put(&o, c->domain, strlen(c->domain));
    }
    if (c->n_search)
        put_option4(&o, OPT4_SEARCH, &n);
    return o.full ? pw_err_set(err, -ENOSPC, "routes and DNS do not fit into a DHCP answer") : 0;
}

/* ---- router advertisement ---- */

/* RFC 4861, 4.6: lengths count 8 bytes. */
static void put_nd(struct out *o, unsigned type, size_t bytes)
{
    put8(o, type);
    put8(o, (unsigned)(bytes / 8));
}

/* RFC 4291, appendix A. */
static bool is_of_mac(const struct pw_addr *a, const uint8_t mac[6])
{
    const uint8_t id[8] = {mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
    return a->prefix == 64 && memcmp(a->b + 8, id, 8) == 0;
}

static void put_prefix(struct out *o, const struct pw_autoconf *c)
{
    struct pw_addr net = pw_addr_network(c->ip6);
    bool slaac = is_of_mac(&c->ip6, c->mac);

    if (c->ip6.prefix == 128)
        return;
    put_nd(o, ND_PREFIX, 32);
    put8(o, net.prefix);
    put8(o, slaac ? 0xc0 : 0x80); /* on the link; to make up an address from only where it is right
                                   */
    put32(o, FOREVER);
    put32(o, FOREVER);
    put32(o, 0);
    put(o, net.b, 16);
}

static void put_routes6(struct out *o, const struct pw_autoconf *c)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct pw_addr *dst = &c->routes[i].dst;
        size_t bytes = dst->prefix == 0 ? 0 : dst->prefix <= 64 ? 8 : 16;
        if (dst->family != 6)
            continue;
        put_nd(o, ND_ROUTE, 8 + bytes);
        put8(o, dst->prefix);
        put8(o, 0);
        put32(o, FOREVER);
        put(o, dst->b, bytes);
    }
}

static void put_search_nd(struct out *o, const struct out *names)
{
    static const uint8_t zero[8];
    size_t pad = (8 - names->n % 8) % 8;

    if (names->n == 0)
        return;
    put_nd(o, ND_SEARCH, 8 + names->n + pad);
    put16(o, 0);
    put32(o, FOREVER);
    put(o, names->to, names->n);
    put(o, zero, pad);
}

static int make6(const struct pw_autoconf *c, struct pw_guest *g, struct pw_err *err)
{
    struct out ra = {.to = g->ra, .max = sizeof(g->ra)};
    struct out opts = {.to = g->opts6, .max = sizeof(g->opts6)};
    uint8_t names[255];
    struct out n = {.to = names, .max = sizeof(names)};
    size_t dns = count_dns(c, 6);
    int rc = put_names(&n, c, err);

    if (rc)
        return rc;
    memcpy(&g->ip6, c->ip6.b, 16);
    put8(&ra, 134);
    put8(&ra, 0);
    put16(&ra, 0);
    put8(&ra, 64);   /* hop limit */
    put8(&ra, 0xc0); /* addresses and the rest by DHCPv6 */
    put16(&ra, has_default(c, 6) ? ROUTER_LIFETIME : 0);
    put32(&ra, 0);
    put32(&ra, 0);
    put_nd(&ra, ND_SOURCE_MAC, 8);
    put(&ra, c->host_mac, 6);
    put_nd(&ra, ND_MTU, 8);
    put16(&ra, 0);
    put32(&ra, c->mtu);
    put_prefix(&ra, c);
    put_routes6(&ra, c);
    if (dns) {
        put_nd(&ra, ND_DNS, 8 + 16 * dns);
        put16(&ra, 0);
        put32(&ra, FOREVER);
        put_dns(&ra, c, 6);
        put16(&opts, OPT6_DNS);
        put16(&opts, (unsigned)(16 * dns));
        put_dns(&opts, c, 6);
    }
    put_search_nd(&ra, &n);
    if (n.n) {
        put16(&opts, OPT6_SEARCH);
        put16(&opts, (unsigned)n.n);
        put(&opts, n.to, n.n);
    }
    if (ra.full || opts.full || n.full)
        return pw_err_set(err, -ENOSPC,
                          "routes and DNS do not fit into a router advertisement or DHCPv6 answer");
    g->ra_len = (uint16_t)ra.n;
    g->opts6_len = (uint16_t)opts.n;
    return 0;
}

int pw_autoconf_make(const struct pw_autoconf *conf, struct pw_guest *out, struct pw_err *err)
{
    struct pw_guest g = {0};
    int rc = conf->ip4.family ? make4(conf, &g, err) : 0;

    if (!rc && conf->ip6.family)
        rc = make6(conf, &g, err);
    if (!rc)
        *out = g;
    return rc;
}
