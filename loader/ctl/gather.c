/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/ctl/gather.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/fs.h"
#include "loader/nl/link.h"

#define RECORDS PW_RUN_DIR "/endpoints"
#define RECORD_MAX 65536

/* ---- endpoints ---- */

static void *grow(void *array, size_t n, size_t size)
{
    /* Doubling at powers of two: no capacity to carry along. */
    if (n & (n - 1))
        return array;
    return reallocarray(array, n ? 2 * n : 1, size);
}

static int no_memory(struct pw_err *err)
{
    return pw_err_set(err, -ENOMEM, "list endpoints: out of memory");
}

static int by_ifindex(const void *a, const void *b)
{
    uint32_t x = ((const struct ctl_ep *)a)->ep.ifindex, y = ((const struct ctl_ep *)b)->ep.ifindex;
    return x < y ? -1 : x > y;
}

static struct ctl_ep *find_ifindex(struct ctl_eps *eps, uint32_t ifindex)
{
    struct ctl_ep key = {.ep.ifindex = ifindex};
    return eps->n ? bsearch(&key, eps->ep, eps->n, sizeof(key), by_ifindex) : NULL;
}

static int read_endpoints(struct pw_dp *dp, struct ctl_eps *eps, struct pw_err *err)
{
    int fd = pw_dp_map(dp, PW_MAP_ENDPOINTS, err);
    uint32_t at;

    if (fd < 0)
        return fd;
    for (int rc = pw_key_next(fd, NULL, &at); rc == 0; rc = pw_key_next(fd, &at, &at)) {
        struct ctl_ep e = {0};
        if (eps->n > PW_MAX_ENDPOINTS)
            break; /* changes under the walk: enough */
        if (pw_endpoint_get(fd, at, &e.ep))
            continue;
        e.ep.ifindex = at;
        struct ctl_ep *more = grow(eps->ep, eps->n, sizeof(*more));
        if (!more)
            return no_memory(err);
        eps->ep = more;
        eps->ep[eps->n++] = e;
    }
    if (eps->n)
        qsort(eps->ep, eps->n, sizeof(*eps->ep), by_ifindex);
    return 0;
}

static int read_addrs(struct pw_dp *dp, int family, struct ctl_eps *eps, struct pw_err *err)
{
    int fd = pw_dp_map(dp, family == 4 ? PW_MAP_IP4 : PW_MAP_IP6, err);
    struct pw_addr a;
    struct pw_ep v;
    size_t n = 0;

    if (fd < 0)
        return fd;
    for (int rc = pw_ip_next(fd, family, NULL, &a); rc == 0 && n <= PW_MAX_ADDRS;
         rc = pw_ip_next(fd, family, &a, &a), n++) {
        struct ctl_ep *e = pw_ip_get(fd, &a, &v) ? NULL : find_ifindex(eps, v.ifindex);
        if (!e)
            continue;
        struct pw_addr *more = grow(e->addrs, e->n_addrs, sizeof(*more));
        if (!more)
            return no_memory(err);
        e->addrs = more;
        e->addrs[e->n_addrs++] = a;
    }
    return 0;
}

static int most_first(const void *a, const void *b)
{
    const struct ctl_reason *x = a, *y = b;
    if (x->count.packets != y->count.packets)
        return x->count.packets < y->count.packets ? 1 : -1;
    return (int)x->number - (int)y->number;
}

static int add_reason(struct ctl_reason **list, size_t *n, const struct pw_reason_key *key,
                      const struct pw_count *count, struct pw_err *err)
{
    struct ctl_reason *more = grow(*list, *n, sizeof(*more));

    if (!more)
        return no_memory(err);
    *list = more;
    more[(*n)++] = (struct ctl_reason){pw_reason_find(key->reason), key->reason, key->dir, *count};
    return 0;
}

static void sum_reasons(struct ctl_ep *e)
{
    for (size_t i = 0; i < e->n_reasons; i++) {
        const struct ctl_reason *r = &e->reasons[i];
        struct pw_count *const sums[] = {[PW_KIND_STACK] = &e->stack,
                                         [PW_KIND_DROP] = &e->dropped,
                                         [PW_KIND_REPLY] = &e->answered};
        struct pw_count *sum = sums[pw_reason_kind(r->reason)];
        sum->packets += r->count.packets;
        sum->bytes += r->count.bytes;
    }
    if (e->n_reasons)
        qsort(e->reasons, e->n_reasons, sizeof(*e->reasons), most_first);
}

static struct ctl_ep *find_slot(struct ctl_eps *eps, uint32_t slot)
{
    for (size_t i = 0; i < eps->n; i++)
        if (eps->ep[i].ep.slot == slot)
            return &eps->ep[i];
    return NULL;
}

static int read_counters(struct pw_dp *dp, struct ctl_eps *eps, struct pw_err *err)
{
    int counters = pw_dp_map(dp, PW_MAP_COUNTERS, err);
    int reasons = counters < 0 ? counters : pw_dp_map(dp, PW_MAP_REASONS, err);
    struct pw_reason_key key;
    struct pw_count count;

    if (reasons < 0)
        return reasons;
    int limits = pw_dp_map(dp, PW_MAP_LIMITS, NULL);
    for (size_t i = 0; i < eps->n; i++) {
        struct ctl_ep *e = &eps->ep[i];
        pw_counters_read(counters, e->ep.slot, &e->counters, NULL);
        for (unsigned dir = PW_FROM_POD; limits >= 0 && dir <= PW_TO_POD; dir++)
            pw_limit_get(limits, e->ep.ifindex, dir, &e->limit[dir]);
    }
    size_t n = 0;
    for (int rc = pw_reason_next(reasons, NULL, &key); rc == 0 && n < 64 * PW_MAX_ENDPOINTS;
         rc = pw_reason_next(reasons, &key, &key), n++) {
        if (pw_reason_read(reasons, &key, &count) || !count.packets)
            continue;
        struct ctl_ep *e = find_slot(eps, key.slot);
        int bad = e ? add_reason(&e->reasons, &e->n_reasons, &key, &count, err)
                    : add_reason(&eps->unowned, &eps->n_unowned, &key, &count, err);
        if (bad)
            return bad;
    }
    for (size_t i = 0; i < eps->n; i++)
        sum_reasons(&eps->ep[i]);
    if (eps->n_unowned)
        qsort(eps->unowned, eps->n_unowned, sizeof(*eps->unowned), most_first);
    return 0;
}

static int read_links(struct ctl_eps *eps, struct pw_err *err)
{
    pw_free struct pw_link *links = NULL;
    pw_nlsock nl = PW_NL_INIT;
    size_t n = 0;

    int rc = pw_nl_open(&nl, NETLINK_ROUTE, err);
    if (!rc)
        rc = pw_link_list(&nl, &links, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        struct ctl_ep *e = find_ifindex(eps, links[i].ifindex);
        if (!e)
            continue;
        snprintf(e->ifname, sizeof(e->ifname), "%s", links[i].name);
        e->up = links[i].flags & IFF_UP;
        e->rx_dropped = links[i].rx_dropped;
        e->tx_dropped = links[i].tx_dropped;
    }
    return rc;
}

/* ---- the plugin's records ---- */

static int read_record(const char *name, void *arg, struct pw_err *err)
{
    struct ctl_eps *eps = arg;
    static char text[RECORD_MAX];
    char path[512];
    size_t len = strlen(name);

    (void)err;
    if (len < 6 || len > 300 || strcmp(name + len - 5, ".json") != 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%.300s", RECORDS, name);
    ssize_t n = pw_file_read(path, text, RECORD_MAX, NULL);
    json_t *record = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    const char *host = json_string_value(json_object_get(record, "hostIf"));
    for (size_t i = 0; host && i < eps->n; i++) {
        if (strcmp(eps->ep[i].ifname, host) == 0 && !eps->ep[i].record) {
            const char *kind = json_string_value(json_object_get(record, "device"));
            eps->ep[i].record = json_incref(record);
            /* In the maps it is a tap like others. */
            if (kind && pw_device_find(kind) == PW_DEV_VHOST_USER)
                eps->ep[i].ep.device = PW_DEV_VHOST_USER;
            break;
        }
    }
    json_decref(record);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ctl_ep *)a)->ifname, ((const struct ctl_ep *)b)->ifname);
}

static const char *record_text(const struct ctl_ep *ep, const char *key)
{
    const char *s = json_string_value(json_object_get(ep->record, key));
    return s ? s : "";
}

static const char *pod_text(const struct ctl_ep *ep, const char *key)
{
    const char *s = json_string_value(json_object_get(json_object_get(ep->record, "pod"), key));
    return s ? s : "";
}

const char *ctl_pod_name(const struct ctl_ep *ep, char buf[96])
{
    const char *name = pod_text(ep, "name"), *ns = pod_text(ep, "namespace");

    if (name[0])
        snprintf(buf, 96, "%.40s%s%.50s", ns, ns[0] ? "/" : "", name);
    else
        snprintf(buf, 96, "%.12s", record_text(ep, "containerId"));
    /* Names come from a runtime: nothing that steers a terminal. */
    for (char *c = buf; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return buf;
}

int ctl_gather(struct pw_dp *dp, struct ctl_eps *out, struct pw_err *err)
{
    ctl_eps_auto eps = {0};

    int rc = read_endpoints(dp, &eps, err);
    if (!rc)
        rc = read_addrs(dp, 4, &eps, err);
    if (!rc)
        rc = read_addrs(dp, 6, &eps, err);
    if (!rc)
        rc = read_counters(dp, &eps, err);
    if (!rc)
        rc = read_links(&eps, err);
    if (!rc)
        rc = pw_pin_each(RECORDS, read_record, &eps, err);
    if (rc)
        return rc;
    if (eps.n)
        qsort(eps.ep, eps.n, sizeof(*eps.ep), by_name);
    *out = eps;
    eps = (struct ctl_eps){0};
    return 0;
}

void ctl_eps_free(struct ctl_eps *eps)
{
    for (size_t i = 0; i < eps->n; i++) {
        free(eps->ep[i].addrs);
        free(eps->ep[i].reasons);
        json_decref(eps->ep[i].record);
    }
    free(eps->ep);
    free(eps->unowned);
    *eps = (struct ctl_eps){0};
}

const struct ctl_ep *ctl_find_addr(const struct ctl_eps *eps, const struct pw_addr *a)
{
    for (size_t i = 0; i < eps->n; i++)
        for (size_t j = 0; j < eps->ep[i].n_addrs; j++)
            if (pw_addr_same(&eps->ep[i].addrs[j], a))
                return &eps->ep[i];
    return NULL;
}

const struct ctl_ep *ctl_find_name(const struct ctl_eps *eps, const char *name)
{
    char pod[96];

    for (size_t i = 0; i < eps->n; i++) {
        const struct ctl_ep *e = &eps->ep[i];
        size_t n = strlen(name);
        if (strcmp(e->ifname, name) == 0 || strcmp(pod_text(e, "name"), name) == 0 ||
            strcmp(ctl_pod_name(e, pod), name) == 0 ||
            (n >= 4 && strncmp(record_text(e, "containerId"), name, n) == 0))
            return e;
    }
    return NULL;
}

const struct ctl_ep *ctl_find(const struct ctl_eps *eps, const char *word, struct pw_err *err)
{
    const struct ctl_ep *e = ctl_find_name(eps, word);
    struct pw_addr a;

    if (!e && pw_addr_parse(word, &a, NULL) == 0)
        e = ctl_find_addr(eps, &a);
    if (!e)
        pw_err_set(err, -ENOENT,
                   "no endpoint '%.60s' on this node (a pod, device, address or container id; "
                   "`podwirectl endpoints` lists them)",
                   word);
    return e;
}

uint64_t ctl_limit_burst(const struct pw_limit *l)
{
    return (uint64_t)((double)l->rate * 8 * (double)l->depth / 1e9);
}

/* ---- JSON ---- */

json_t *ctl_count_json(const struct pw_count *c)
{
    return json_pack("{s:I, s:I}", "packets", (json_int_t)c->packets, "bytes",
                     (json_int_t)c->bytes);
}

json_t *ctl_reason_json(const struct ctl_reason *r)
{
    char number[16];

    snprintf(number, sizeof(number), "%u", r->number);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I}", "reason", r->reason ? r->reason->name : number, "verdict",
        pw_reason_kind_name(r->reason), "direction", r->dir == PW_TO_POD ? "to_pod" : "from_pod",
        "text", r->reason ? r->reason->text : "unknown to this version", "packets",
        (json_int_t)r->count.packets, "bytes", (json_int_t)r->count.bytes);
}

static void copy_key(json_t *to, const struct ctl_ep *ep, const char *key)
{
    json_t *v = json_object_get(ep->record, key);
    if (v)
        json_object_set(to, key, v);
}

static json_t *limit_json(const struct pw_limit *l)
{
    if (!l->rate)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "bitsPerSecond", (json_int_t)(l->rate * 8), "burstBits",
                     (json_int_t)ctl_limit_burst(l), "delayed", (json_int_t)l->delayed);
}

json_t *ctl_ep_json(const struct ctl_ep *ep)
{
    static const char *const keys[] = {"pod",   "containerId", "ifname", "network",
                                       "netns", "asked",       "why",    "complete"};
    char text[PW_ADDR_STRLEN], mac[PW_MAC_STRLEN];
    json_t *addrs = json_array(), *reasons = json_array();

    for (size_t i = 0; i < ep->n_addrs; i++)
        json_array_append_new(addrs, json_string(pw_addr_text(&ep->addrs[i], false, text)));
    for (size_t i = 0; i < ep->n_reasons; i++)
        json_array_append_new(reasons, ctl_reason_json(&ep->reasons[i]));
    json_t *o = json_pack(
        "{s:s, s:i, s:s, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:I}}", "device",
        ep->ifname, "ifindex", (int)ep->ep.ifindex, "kind", pw_device_name(ep->ep.device), "up",
        ep->up, "mtu", (int)ep->ep.mtu, "addresses", addrs, "fromPod",
        ctl_count_json(&ep->counters.from_pod), "toPod", ctl_count_json(&ep->counters.to_pod),
        "stack", ctl_count_json(&ep->stack), "dropped", ctl_count_json(&ep->dropped), "reasons",
        reasons, "deviceDrops", "rx", (json_int_t)ep->rx_dropped, "tx", (json_int_t)ep->tx_dropped);
    if (o && (ep->ep.flags & PW_EP_L2)) {
        json_object_set_new(o, "mac", json_string(pw_mac_text(ep->ep.mac, mac)));
        json_object_set_new(o, "hostMac", json_string(pw_mac_text(ep->ep.host_mac, mac)));
    }
    if (o && (ep->limit[PW_FROM_POD].rate || ep->limit[PW_TO_POD].rate))
        json_object_set_new(o, "bandwidth",
                            json_pack("{s:o, s:o}", "fromPod", limit_json(&ep->limit[PW_FROM_POD]),
                                      "toPod", limit_json(&ep->limit[PW_TO_POD])));
    for (size_t i = 0; o && i < PW_ARRAY_SIZE(keys); i++)
        copy_key(o, ep, keys[i]);
    return o;
}
