/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

#include <string.h>

#include "cni/plan.h"
#include "loader/base/cleanup.h"
#include "loader/nl/link.h"
#include "loader/vhost.h"

struct gc {
    const struct pw_req *req;
    struct pw_err *err; /* of the first failure */
    int rc;
    json_t *left; /* as in the list of valid ones: what is not in it and stays all the same */
};

static bool is_valid(const json_t *list, const struct pw_state *st)
{
    json_t *item;
    size_t i;

    json_array_foreach ((json_t *)list, i, item) {
        const char *id = "", *ifname = "";
        pw_json_str(item, "containerID", &id, NULL);
        pw_json_str(item, "ifname", &ifname, NULL);
        if (strcmp(id, st->container_id) == 0 && strcmp(ifname, st->ifname) == 0)
            return true;
    }
    return false;
}

static bool device_gone(const struct pw_state *st)
{
    char host_if[16];
    pw_plan_host_if(st->container_id, st->ifname, host_if);
    return pw_link_gone_name(host_if);
}

static void collect(const struct pw_state *st, void *arg)
{
    struct gc *gc = arg;
    struct pw_err *err = gc->rc ? NULL : gc->err;

    if (is_valid(gc->req->conf.valid, st))
        return;
    /* Another network's. One that cannot be read is nobody's once its device is gone. */
    bool unread = !st->network[0];
    if (!unread && strcmp(st->network, gc->req->conf.name) != 0)
        return;
    bool stays = unread && !device_gone(st);
    int rc = stays ? 0 : pw_detach_endpoint(st, err);
    if (rc || stays)
        json_array_append_new(gc->left, json_pack("{s:s, s:s}", "containerID", st->container_id,
                                                  "ifname", st->ifname));
    else
        rc = pw_state_remove(st->container_id, st->ifname, err);
    if (rc && !gc->rc)
        gc->rc = rc;
}

int pw_cmd_gc(const struct pw_req *req, struct pw_err *err)
{
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    pw_json *left = json_array();
    struct gc gc = {.req = req, .err = err, .left = left};

    if (!left)
        return pw_err_errno(err, -ENOMEM, "GC");
    int rc = pw_state_each(collect, &gc, err);
    if (!gc.rc)
        gc.rc = rc;
    /* What killed processes left of devices that are gone. */
    rc = pw_dp_open(&dp, NULL, gc.rc ? NULL : err);
    if (!rc)
        rc = pw_dp_sweep(dp, NULL, gc.rc ? NULL : err);
    if (rc && rc != -ENOENT && !gc.rc)
        gc.rc = rc;
    rc = pw_vhost_keep(gc.rc ? NULL : err);
    if (rc && !gc.rc)
        gc.rc = rc;
    rc = pw_ipam_gc(req, left, gc.rc ? NULL : err);
    return gc.rc ? gc.rc : rc;
}
