/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ipam.h"

#include <stdio.h>
#include <string.h>

#include "cni/ipam_exec.h"
#include "cni/ipam_store.h"
#include "cni/result.h"
#include "loader/base/cleanup.h"

static bool builtin(const struct pw_req *req)
{
    return strcmp(req->conf.ipam_type, PW_IPAM_BUILTIN) == 0;
}

/* Owners' names: neither part has a colon or slash, see env.c. */
static void owner_of(const struct pw_req *req, char owner[256])
{
    snprintf(owner, 256, "%s:%s", req->env.container_id, req->env.ifname);
}

static int exhausted(const struct pw_range *r, struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];
    return pw_err_set(err, PW_CNI_EXHAUSTED, "no address is free in %s (set %u of ipam.ranges)",
                      pw_addr_text(&r->subnet, true, text), r->set + 1);
}

/* The first free address from..to that may be given out. */
static int search(struct pw_store *s, const struct pw_ranges *all, const struct pw_range *r,
                  pw_num from, pw_num to, pw_num *out, bool *found, struct pw_err *err)
{
    for (;;) {
        *found = false;
        from = pw_range_skip(all, r, from);
        if (from > to)
            return 0;
        int rc = pw_store_find(s, r->subnet.family, from, to, out, found, err);
        if (rc || !*found || pw_range_skip(all, r, *out) == *out)
            return rc;
        from = *out;
    }
}

/* Round robin: an address that was released is not given out again before all others were. */
static int next_free(struct pw_store *s, const struct pw_ranges *all, const struct pw_range *r,
                     struct pw_addr *out, bool *found, struct pw_err *err)
{
    pw_num first = pw_addr_num(&r->first), last = pw_addr_num(&r->last), n = 0;
    struct pw_addr before;
    int rc;

    pw_store_last(s, &r->first, &before);
    pw_num from = before.family ? pw_addr_num(&before) + 1 : first;
    if (from < first || from > last)
        from = first;
    rc = search(s, all, r, from, last, &n, found, err);
    if (!rc && !*found && from > first)
        rc = search(s, all, r, first, from - 1, &n, found, err);
    if (rc || !*found)
        return rc;
    *out = pw_num_addr(n, r->subnet.family);
    return pw_store_set_last(s, &r->first, out, err);
}

static int take_requested(struct pw_store *s, const struct pw_addr *want, struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];
    bool used = false;
    int rc = pw_store_is_used(s, want, &used, err);

    if (!rc && used)
        rc = pw_err_set(err, PW_CNI_TAKEN, "requested address %s is in use",
                        pw_addr_text(want, false, text));
    return rc;
}

/* One address of a set. `done` has a bit for each requested address that was given. */
static int choose(struct pw_store *s, const struct pw_netconf *conf, const struct pw_ranges *all,
                  size_t from, size_t to, unsigned *done, struct pw_addr *out, struct pw_err *err)
{
    bool found = false;
    int rc = 0;

    for (size_t k = 0; k < conf->n_requested; k++)
        for (size_t i = from; i < to; i++)
            if (!(*done >> k & 1) && pw_range_has(all, &all->list[i], &conf->requested[k])) {
                *done |= 1U << k;
                *out = conf->requested[k];
                out->prefix = all->list[i].subnet.prefix;
                return take_requested(s, &conf->requested[k], err);
            }
    for (size_t i = from; i < to && !rc && !found; i++) {
        rc = next_free(s, all, &all->list[i], out, &found, err);
        out->prefix = all->list[i].subnet.prefix;
    }
    if (!rc && !found)
        rc = exhausted(&all->list[from], err);
    return rc;
}

static int choose_all(struct pw_store *s, const struct pw_netconf *conf,
                      const struct pw_ranges *all, struct pw_ip_result *out, struct pw_err *err)
{
    char text[PW_ADDR_STRLEN];
    unsigned done = 0;

    for (size_t i = 0, end; i < all->n; i = end) {
        for (end = i; end < all->n && all->list[end].set == all->list[i].set; end++)
            ;
        int rc = choose(s, conf, all, i, end, &done, &out->ips[out->n_ips], err);
        if (rc)
            return rc;
        /* Two sets may overlap. */
        for (size_t k = 0; k < out->n_ips; k++)
            if (pw_addr_same(&out->ips[k], &out->ips[out->n_ips]))
                return pw_err_set(err, PW_CNI_CONF, "two sets of ipam.ranges give out %s",
                                  pw_addr_text(&out->ips[k], false, text));
        out->n_ips++;
    }
    for (size_t k = 0; k < conf->n_requested; k++)
        if (!(done >> k & 1))
            return pw_err_set(err, PW_CNI_CONF, "requested address %s is in no range",
                              pw_addr_text(&conf->requested[k], false, text));
    return 0;
}

static int builtin_add(const struct pw_req *req, struct pw_ip_result *out, struct pw_err *err)
{
    pw_cleanup(pw_ranges_free) struct pw_ranges all = PW_RANGES_INIT;
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    char owner[256];
    struct pw_ip_result r = PW_IP_RESULT_INIT;
    int rc = pw_ranges_read(&req->conf, &all, err);

    /* Routes and name servers are told as the configuration has them. */
    if (!rc)
        rc = pw_result_parse(req->conf.ipam, &r, err);
    if (rc) {
        if (err)
            err->code = PW_CNI_CONF;
        return pw_err_wrap(err, "ipam");
    }
    r.n_ips = 0;
    owner_of(req, owner);
    rc = pw_store_open(&s, PW_RUN_DIR, req->conf.name, true, err);
    /* What an ADD that was killed left to the same owner. */
    if (!rc)
        rc = pw_store_release(&s, owner, err);
    if (!rc)
        rc = choose_all(&s, &req->conf, &all, &r, err);
    if (!rc)
        rc = pw_store_take(&s, owner, r.ips, r.n_ips, err);
    if (rc)
        pw_ip_result_free(&r);
    else
        *out = r;
    return rc;
}

static int builtin_del(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    char owner[256];
    int rc = pw_store_open(&s, PW_RUN_DIR, req->conf.name, false, err);

    if (rc == -ENOENT)
        return 0;
    owner_of(req, owner);
    return rc ? rc : pw_store_release(&s, owner, err);
}

static int builtin_check(const struct pw_req *req, const struct pw_addr *ips, size_t n,
                         struct pw_err *err)
{
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    struct pw_addr have[PW_MAX_IPS];
    char owner[256], text[PW_ADDR_STRLEN];
    size_t n_have = 0;
    int rc = pw_store_open(&s, PW_RUN_DIR, req->conf.name, false, err);

    owner_of(req, owner);
    if (!rc)
        rc = pw_store_owned(&s, owner, have, PW_MAX_IPS, &n_have, err);
    if (rc && rc != -ENOENT)
        return rc;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n_have && !pw_addr_same(&have[k], &ips[i]))
            k++;
        if (k == n_have)
            return pw_err_set(err, PW_CNI_CHECK, "address %s is not on record for the container",
                              pw_addr_text(&ips[i], false, text));
    }
    return 0;
}

/* Ready when every set has an address left. */
static int builtin_status(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_ranges_free) struct pw_ranges all = PW_RANGES_INIT;
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    int rc = pw_ranges_read(&req->conf, &all, err);

    if (!rc)
        rc = pw_store_open(&s, PW_RUN_DIR, req->conf.name, false, err);
    if (rc == -ENOENT)
        return 0;
    for (size_t i = 0, end; !rc && i < all.n; i = end) {
        bool found = false;
        pw_num n;
        for (end = i; end < all.n && all.list[end].set == all.list[i].set; end++)
            if (!found && !rc)
                rc = search(&s, &all, &all.list[end], pw_addr_num(&all.list[end].first),
                            pw_addr_num(&all.list[end].last), &n, &found, err);
        if (!rc && !found)
            rc = exhausted(&all.list[i], err);
    }
    if (rc && err)
        err->code = PW_CNI_UNAVAILABLE;
    return rc;
}

static bool listed(const json_t *list, const char *owner)
{
    json_t *item;
    size_t i;

    json_array_foreach ((json_t *)list, i, item) {
        const char *id = NULL, *ifname = NULL;
        if (!json_is_object(item) || pw_json_str(item, "containerID", &id, NULL) ||
            pw_json_str(item, "ifname", &ifname, NULL) || !id || !ifname)
            continue;
        size_t n = strlen(id);
        if (strncmp(owner, id, n) == 0 && owner[n] == ':' && strcmp(owner + n + 1, ifname) == 0)
            return true;
    }
    return false;
}

/* `arg`: both lists. */
static bool stays(const char *owner, void *arg)
{
    const json_t *const *lists = arg;
    return listed(lists[0], owner) || listed(lists[1], owner);
}

static int builtin_gc(const struct pw_req *req, const json_t *left, struct pw_err *err)
{
    const json_t *lists[] = {req->conf.valid, left};
    pw_cleanup(pw_store_close) struct pw_store s = PW_STORE_INIT;
    int rc = pw_store_open(&s, PW_RUN_DIR, req->conf.name, false, err);

    if (rc == -ENOENT)
        return 0;
    return rc ? rc : pw_store_sweep(&s, stays, lists, err);
}

/* ---- which of the two ---- */

int pw_ipam_add(const struct pw_req *req, struct pw_ip_result *out, struct pw_err *err)
{
    if (builtin(req))
        return builtin_add(req, out, err);
    pw_json *answer = NULL;
    int rc = pw_ipam_exec(req, "ADD", &answer, err);
    if (!rc && (rc = pw_result_parse(answer, out, err)))
        pw_err_wrap(err, "IPAM plugin %s", req->conf.ipam_type);
    if (!rc && out->n_ips == 0) {
        rc = pw_err_set(err, PW_CNI_CONF, "IPAM plugin %s gave no address", req->conf.ipam_type);
        pw_ip_result_free(out);
    }
    /* "If, on ADD, a delegated plugin fails, the upper plugin should execute again with DEL before
     * returning failure" (section 4). */
    if (rc)
        pw_ipam_exec(req, "DEL", NULL, NULL);
    return rc;
}

int pw_ipam_del(const struct pw_req *req, struct pw_err *err)
{
    return builtin(req) ? builtin_del(req, err) : pw_ipam_exec(req, "DEL", NULL, err);
}

int pw_ipam_check(const struct pw_req *req, const struct pw_addr *ips, size_t n, struct pw_err *err)
{
    return builtin(req) ? builtin_check(req, ips, n, err) : pw_ipam_exec(req, "CHECK", NULL, err);
}

int pw_ipam_status(const struct pw_req *req, struct pw_err *err)
{
    return builtin(req) ? builtin_status(req, err) : pw_ipam_exec(req, "STATUS", NULL, err);
}

int pw_ipam_gc(const struct pw_req *req, const json_t *left, struct pw_err *err)
{
    if (builtin(req))
        return builtin_gc(req, left, err);
    return json_array_size(left) ? 0 : pw_ipam_exec(req, "GC", NULL, err);
}
