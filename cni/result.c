/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/result.h"

#include <string.h>

#include "loader/base/cleanup.h"

#define MAX_ROUTES 4096

void pw_ip_result_free(struct pw_ip_result *r)
{
    free(r->routes);
    json_decref(r->dns);
    *r = (struct pw_ip_result)PW_IP_RESULT_INIT;
}

/* ---- reading ---- */

static int bad(struct pw_err *err, const char *what)
{
    return pw_err_set(err, PW_CNI_DECODE, "result: %s", what);
}

static int parse_ips(const json_t *result, struct pw_ip_result *out, struct pw_err *err)
{
    json_t *list, *item;
    size_t i;

    if (pw_json_list(result, "ips", &list, NULL))
        return bad(err, "'ips' is no list");
    json_array_foreach (list, i, item) {
        const char *text = "";
        if (!json_is_object(item) || pw_json_str(item, "address", &text, NULL) ||
            !strchr(text, '/') || out->n_ips == PW_MAX_IPS ||
            pw_addr_parse(text, &out->ips[out->n_ips], NULL))
            return bad(err, "an address in 'ips' is wrong, or there are too many");
        out->n_ips++;
    }
    return 0;
}

static int parse_route(const json_t *item, struct pw_ip_route *r, struct pw_err *err)
{
    const char *dst = "", *gw = "";
    uint32_t table = UINT32_MAX, scope = UINT32_MAX;

    if (!json_is_object(item) || pw_json_str(item, "dst", &dst, NULL) || !strchr(dst, '/') ||
        pw_addr_parse(dst, &r->dst, NULL))
        return bad(err, "'dst' of a route is no range");
    r->dst = pw_addr_network(r->dst);
    if (pw_json_str(item, "gw", &gw, NULL) ||
        (*gw && (strchr(gw, '/') || pw_addr_parse(gw, &r->gw, NULL))))
        return bad(err, "'gw' of a route is no address");
    if (r->gw.family && r->gw.family != r->dst.family)
        return bad(err, "'gw' of a route is of another family than 'dst'");
    if (pw_json_u32(item, "mtu", UINT32_MAX, &r->mtu, NULL) ||
        pw_json_u32(item, "advmss", UINT32_MAX, &r->advmss, NULL) ||
        pw_json_u32(item, "priority", UINT32_MAX, &r->priority, NULL) ||
        pw_json_u32(item, "table", UINT32_MAX - 1, &table, NULL) ||
        pw_json_u32(item, "scope", 255, &scope, NULL))
        return bad(err, "a number in a route is wrong");
    if (table != UINT32_MAX) {
        r->table = table;
        r->has_table = true;
    }
    if (scope != UINT32_MAX) {
        r->scope = scope;
        r->has_scope = true;
    }
    return 0;
}

static int parse_routes(const json_t *result, struct pw_ip_result *out, struct pw_err *err)
{
    json_t *list, *item;
    size_t i;

    if (pw_json_list(result, "routes", &list, NULL))
        return bad(err, "'routes' is no list");
    size_t n = json_array_size(list);
    if (n > MAX_ROUTES)
        return bad(err, "too many routes");
    out->routes = calloc(n + 1, sizeof(*out->routes));
    if (!out->routes)
        return pw_err_errno(err, -ENOMEM, "result");
    json_array_foreach (list, i, item) {
        int rc = parse_route(item, &out->routes[i], err);
        if (rc)
            return rc;
        out->n_routes++;
    }
    return 0;
}

int pw_result_parse(const json_t *result, struct pw_ip_result *out, struct pw_err *err)
{
    struct pw_ip_result r = PW_IP_RESULT_INIT;
    json_t *dns = NULL;
    int rc;

    if (!json_is_object(result))
        return bad(err, "no JSON object");
    rc = parse_ips(result, &r, err);
    if (!rc)
        rc = parse_routes(result, &r, err);
    if (!rc && pw_json_map(result, "dns", &dns, NULL))
        rc = bad(err, "'dns' is no object");
    if (rc) {
        pw_ip_result_free(&r);
        return rc;
    }
    r.dns = json_incref(dns);
    *out = r;
    return 0;
}

json_int_t pw_result_find_interface(const json_t *result, const char *ifname)
{
    json_t *list = NULL, *item;
    size_t i;

    pw_json_list(result, "interfaces", &list, NULL);
    json_array_foreach (list, i, item) {
        const char *name = "", *sandbox = "";
        if (json_is_object(item) && !pw_json_str(item, "name", &name, NULL) &&
            !pw_json_str(item, "sandbox", &sandbox, NULL) && *sandbox && strcmp(name, ifname) == 0)
            return (json_int_t)i;
    }
    return -1;
}

int pw_result_parse_of(const json_t *result, const char *ifname, struct pw_ip_result *out,
                       struct pw_err *err)
{
    struct pw_ip_result r = PW_IP_RESULT_INIT;
    json_int_t ours = pw_result_find_interface(result, ifname);
    size_t n = 0;
    int rc = pw_result_parse(result, &r, err);

    if (rc)
        return rc;
    if (ours < 0) {
        pw_ip_result_free(&r);
        return pw_err_set(err, PW_CNI_CONF, "has no interface %s", ifname);
    }
    const json_t *ips = pw_json_get(result, "ips");
    for (size_t i = 0; i < r.n_ips; i++) {
        const json_t *index = pw_json_get(json_array_get(ips, i), "interface");
        if (!index || (json_is_integer(index) && json_integer_value(index) == ours))
            r.ips[n++] = r.ips[i];
    }
    r.n_ips = n;
    *out = r;
    return 0;
}

/* ---- writing ---- */

/* All of these steal `value`; a NULL one (no memory) marks the object as failed. */
static void put(json_t *o, const char *key, json_t *value, bool *failed)
{
    *failed |= json_object_set_new(o, key, value) != 0;
}

static json_t *interface(const struct pw_result *r, const struct pw_result_if *i, bool *failed)
{
    char mac[PW_MAC_STRLEN];
    json_t *o = json_object();

    put(o, "name", json_string(i->name), failed);
    if (i->mac)
        put(o, "mac", json_string(pw_mac_text(i->mac, mac)), failed);
    if (r->version >= PW_V110 && i->mtu)
        put(o, "mtu", json_integer(i->mtu), failed);
    if (i->sandbox)
        put(o, "sandbox", pw_json_text(i->sandbox), failed);
    if (r->version >= PW_V110 && i->socket_path)
        put(o, "socketPath", pw_json_text(i->socket_path), failed);
    return o;
}

static json_t *address(const struct pw_result *r, const struct pw_addr *a, size_t interface_,
                       bool *failed)
{
    char text[PW_ADDR_STRLEN];
    const struct pw_addr *gw = a->family == 4 ? r->gw4 : r->gw6;
    json_t *o = json_object();

    if (r->version < PW_V100)
        put(o, "version", json_string(a->family == 4 ? "4" : "6"), failed);
    put(o, "interface", json_integer((json_int_t)interface_), failed);
    put(o, "address", json_string(pw_addr_text(a, true, text)), failed);
    if (gw)
        put(o, "gateway", json_string(pw_addr_text(gw, false, text)), failed);
    return o;
}

static json_t *route(const struct pw_result *r, const struct pw_ip_route *p, bool *failed)
{
    char text[PW_ADDR_STRLEN];
    json_t *o = json_object();

    put(o, "dst", json_string(pw_addr_text(&p->dst, true, text)), failed);
    if (p->gw.family)
        put(o, "gw", json_string(pw_addr_text(&p->gw, false, text)), failed);
    if (r->version < PW_V110)
        return o;
    if (p->mtu)
        put(o, "mtu", json_integer(p->mtu), failed);
    if (p->advmss)
        put(o, "advmss", json_integer(p->advmss), failed);
    if (p->priority)
        put(o, "priority", json_integer(p->priority), failed);
    if (p->has_table)
        put(o, "table", json_integer(p->table), failed);
    if (p->has_scope)
        put(o, "scope", json_integer(p->scope), failed);
    return o;
}

/* The list under `key` of the object, made when it is not there. Borrowed. */
static json_t *list_of(json_t *o, const char *key, bool *failed)
{
    json_t *l = json_object_get(o, key);
    if (!json_is_array(l)) {
        put(o, key, json_array(), failed);
        l = json_object_get(o, key);
    }
    return l;
}

static bool dns_empty(const json_t *dns)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *)dns, key, v)
        if (json_array_size(v) || (json_is_string(v) && json_string_length(v)))
            return false;
    return true;
}

json_t *pw_result_make(const struct pw_result *r)
{
    bool failed = false;
    json_t *o = r->prev ? json_deep_copy(r->prev) : json_object();

    put(o, "cniVersion", json_string(pw_version_names[r->version]), &failed);
    json_t *ifs = list_of(o, "interfaces", &failed);
    json_t *ips = list_of(o, "ips", &failed);
    for (size_t i = 0; i < r->n_ifs; i++) {
        size_t index = json_array_size(ifs);
        failed |= json_array_append_new(ifs, interface(r, &r->ifs[i], &failed)) != 0;
        for (size_t k = 0; k < r->ifs[i].n_ips; k++)
            failed |= json_array_append_new(ips, address(r, &r->ips[k], index, &failed)) != 0;
    }
    if (r->n_routes) {
        json_t *routes = list_of(o, "routes", &failed);
        for (size_t i = 0; i < r->n_routes; i++)
            failed |= json_array_append_new(routes, route(r, &r->routes[i], &failed)) != 0;
    }
    if (r->dns && !dns_empty(r->dns))
        put(o, "dns", json_deep_copy(r->dns), &failed);
    else if (dns_empty(json_object_get(o, "dns")))
        json_object_del(o, "dns");
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *pw_result_error(enum pw_version version, const struct pw_err *err)
{
    bool failed = false;
    json_t *o = json_object();

    put(o, "cniVersion", json_string(pw_version_names[version]), &failed);
    put(o, "code", json_integer(pw_cni_code_of(err->code)), &failed);
    put(o, "msg", pw_json_text(err->msg), &failed);
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}
