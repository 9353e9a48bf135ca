/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ipam_range.h"

#include <string.h>

#include "loader/base/cleanup.h"

#define MAX_RANGES 1024
#define MAX_EXCLUDE 4096

pw_num pw_addr_num(const struct pw_addr *a)
{
    pw_num n = 0;
    for (int i = 0; i < (a->family == 4 ? 4 : 16); i++)
        n = n << 8 | a->b[i];
    return n;
}

struct pw_addr pw_num_addr(pw_num n, int family)
{
    int len = family == 4 ? 4 : 16;
    struct pw_addr a = {.family = (uint8_t)family, .prefix = (uint8_t)(len * 8)};
    for (int i = len; i-- > 0; n >>= 8)
        a.b[i] = (uint8_t)n;
    return a;
}

void pw_ranges_free(struct pw_ranges *r)
{
    free(r->list);
    free(r->exclude);
    *r = (struct pw_ranges)PW_RANGES_INIT;
}

/* The last number of a range of addresses. */
static pw_num last_of(const struct pw_addr *net)
{
    unsigned host = (net->family == 4 ? 32U : 128U) - net->prefix;
    pw_num size = host == 128 ? 0 : (pw_num)1 << host;
    return pw_addr_num(net) + (size - 1);
}

static int read_addr(const json_t *range, const char *key, const struct pw_addr *subnet,
                     struct pw_addr *out, struct pw_err *err)
{
    const char *text = NULL;
    struct pw_addr a;
    int rc = pw_json_str(range, key, &text, err);

    if (rc || !text || !*text)
        return rc;
    if (strchr(text, '/') || pw_addr_parse(text, &a, err))
        return pw_err_set(err, PW_CNI_CONF, "'%s': '%.60s' is no IP address", key, text);
    if (!pw_addr_in(&a, subnet))
        return pw_err_set(err, PW_CNI_CONF, "'%s' %s is not in the range's subnet", key, text);
    *out = a;
    return 0;
}

static int read_subnet(const json_t *range, struct pw_addr *out, struct pw_err *err)
{
    const char *text = "";
    char buf[PW_ADDR_STRLEN];
    struct pw_addr net;
    int rc = pw_json_str(range, "subnet", &text, err);

    if (rc)
        return rc;
    if (!strchr(text, '/') || pw_addr_parse(text, out, err))
        return pw_err_set(err, PW_CNI_CONF, "'subnet': '%.60s' is no range", text);
    net = pw_addr_network(*out);
    if (!pw_addr_same(&net, out))
        return pw_err_set(err, PW_CNI_CONF, "'subnet' %s has host bits set: %s is meant?", text,
                          pw_addr_text(&net, true, buf));
    return 0;
}

static int read_exclude(const json_t *range, struct pw_ranges *all, struct pw_err *err)
{
    json_t *list, *item;
    size_t i;
    int rc = pw_json_list(range, "exclude", &list, err);

    json_array_foreach (list, i, item) {
        const char *text = "";
        if (!rc)
            rc = pw_json_item_str(item, "exclude", &text, err);
        if (rc)
            return rc;
        if (all->n_exclude == MAX_EXCLUDE)
            return pw_err_set(err, PW_CNI_CONF, "'exclude': more than %d", MAX_EXCLUDE);
        struct pw_addr *more = realloc(all->exclude, (all->n_exclude + 1) * sizeof(*all->exclude));
        if (!more)
            return pw_err_errno(err, -ENOMEM, "exclude");
        all->exclude = more;
        if (pw_addr_parse(text, &more[all->n_exclude], err))
            return pw_err_set(err, PW_CNI_CONF, "'exclude': '%.60s' is no address or range", text);
        more[all->n_exclude] = pw_addr_network(more[all->n_exclude]);
        all->n_exclude++;
    }
    return rc;
}

static int read_range(const json_t *range, unsigned set, struct pw_ranges *all, struct pw_err *err)
{
    struct pw_range r = {.set = set};
    int rc;

    if (!json_is_object(range))
        return pw_err_set(err, PW_CNI_CONF, "a range must be an object with 'subnet'");
    rc = read_subnet(range, &r.subnet, err);
    if (rc)
        return rc;
    pw_num first = pw_addr_num(&r.subnet), last = last_of(&r.subnet);
    /* Neither the network's own address (IPv6: the routers' anycast) nor IPv4's broadcast. */
    if (last - first >= 2) {
        first++;
        if (r.subnet.family == 4)
            last--;
    }
    r.first = pw_num_addr(first, r.subnet.family);
    r.last = pw_num_addr(last, r.subnet.family);
    rc = read_addr(range, "rangeStart", &r.subnet, &r.first, err);
    if (!rc)
        rc = read_addr(range, "rangeEnd", &r.subnet, &r.last, err);
    if (!rc)
        rc = read_addr(range, "gateway", &r.subnet, &r.gateway, err);
    if (!rc)
        rc = read_exclude(range, all, err);
    if (rc)
        return rc;
    if (pw_addr_num(&r.first) > pw_addr_num(&r.last))
        return pw_err_set(err, PW_CNI_CONF, "'rangeStart' is behind 'rangeEnd'");
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i].set == set && all->list[i].subnet.family != r.subnet.family)
            return pw_err_set(err, PW_CNI_CONF, "a set of ranges mixes IPv4 and IPv6");
    if (all->n == MAX_RANGES)
        return pw_err_set(err, PW_CNI_CONF, "more than %d ranges", MAX_RANGES);
    struct pw_range *more = realloc(all->list, (all->n + 1) * sizeof(*more));
    if (!more)
        return pw_err_errno(err, -ENOMEM, "ranges");
    all->list = more;
    all->list[all->n++] = r;
    return 0;
}

static int read_sets(const json_t *sets, struct pw_ranges *all, struct pw_err *err)
{
    const json_t *set, *range;
    size_t i, j;
    int rc = 0;

    json_array_foreach ((json_t *)sets, i, set) {
        if (!json_is_array(set) || json_array_size(set) == 0)
            return pw_err_set(err, PW_CNI_CONF, "'ranges' must be a list of lists of ranges");
        if (all->sets == PW_MAX_SETS)
            return pw_err_set(err, PW_CNI_CONF, "more than %d sets of ranges", PW_MAX_SETS);
        json_array_foreach ((json_t *)set, j, range) {
            rc = read_range(range, all->sets, all, err);
            if (rc)
                return rc;
        }
        all->sets++;
    }
    return 0;
}

int pw_ranges_read(const struct pw_netconf *conf, struct pw_ranges *out, struct pw_err *err)
{
    struct pw_ranges all = PW_RANGES_INIT;
    json_t *sets = NULL;
    int rc = read_sets(conf->ip_ranges, &all, err);

    /* One range alone may be written without the lists, as of old. */
    if (!rc && pw_json_get(conf->ipam, "subnet")) {
        rc = read_range(conf->ipam, all.sets, &all, err);
        all.sets++;
    }
    if (!rc)
        rc = pw_json_list(conf->ipam, "ranges", &sets, err);
    if (!rc)
        rc = read_sets(sets, &all, err);
    if (!rc && all.n == 0)
        rc = pw_err_set(err, PW_CNI_CONF, "'ipam.ranges' has no range");
    if (rc)
        pw_ranges_free(&all);
    else
        *out = all;
    return rc;
}

int pw_ipam_subnets(const struct pw_netconf *conf, struct pw_addr *out, size_t max, size_t *n,
                    struct pw_err *err)
{
    struct pw_ranges all = PW_RANGES_INIT;
    int rc = pw_ranges_read(conf, &all, err);

    for (size_t i = 0; !rc && i < all.n; i++) {
        const struct pw_addr *s = &all.list[i].subnet;
        size_t k = 0;
        while (k < *n && !(pw_addr_same(&out[k], s) && out[k].prefix == s->prefix))
            k++;
        if (k == *n && *n < max)
            out[(*n)++] = *s;
        else if (k == *n)
            rc = pw_err_set(err, PW_CNI_CONF, "more than %zu subnets", max);
    }
    pw_ranges_free(&all);
    return rc;
}

pw_num pw_range_skip(const struct pw_ranges *all, const struct pw_range *r, pw_num n)
{
    pw_num last = pw_addr_num(&r->last);
    bool moved = true;

    while (moved && n <= last) {
        moved = false;
        if (r->gateway.family && n == pw_addr_num(&r->gateway)) {
            n++;
            moved = true;
        }
        for (size_t i = 0; i < all->n_exclude; i++) {
            const struct pw_addr *e = &all->exclude[i];
            if (e->family != r->subnet.family || n < pw_addr_num(e) || n > last_of(e))
                continue;
            if (last_of(e) >= last)
                return last + 1;
            n = last_of(e) + 1;
            moved = true;
        }
    }
    return n;
}

bool pw_range_has(const struct pw_ranges *all, const struct pw_range *r, const struct pw_addr *a)
{
    if (a->family != r->subnet.family)
        return false;
    pw_num n = pw_addr_num(a);
    return n >= pw_addr_num(&r->first) && n <= pw_addr_num(&r->last) &&
           pw_range_skip(all, r, n) == n;
}
