/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "cni/kind.h"
#include "cni/netns.h"
#include "loader/base/cleanup.h"
#include "loader/expedite.h"
#include "loader/guest.h"
#include "loader/nl/link.h"
#include "loader/vhost.h"

static void keep_first(int *rc, int one)
{
    if (!*rc)
        *rc = one;
}

static int delete_device(const char *host_if, struct pw_err *err)
{
    /* Its programs go with it, for which the kernel waits out grace periods. */
    pw_expedited;
    return pw_link_delete(host_if, err);
}

/* What would stay in the pod's namespace, if that is still there. */
static int remove_inside(const struct pw_state *st, struct pw_err *err)
{
    const struct pw_kind *kind = pw_kind_of(st->device);
    pw_cleanup(pw_netns_close) struct pw_netns ns = PW_NETNS_INIT;

    if (!kind || !kind->remove || pw_netns_open(&ns, st->netns, NULL) || ns.id != st->netns_id)
        return 0;
    int rc = pw_netns_enter(&ns, err);
    if (rc)
        return rc;
    rc = kind->remove(st, err);
    pw_netns_leave(&ns);
    return rc;
}

int pw_detach_endpoint(const struct pw_state *st, struct pw_err *err)
{
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    char host_if[16];
    int rc;

    /* The name follows from the attachment, so no record is needed for it. */
    pw_plan_host_if(st->container_id, st->ifname, host_if);
    if (st->host_if[0])
        snprintf(host_if, sizeof(host_if), "%s", st->host_if);
    /* A record from before the device was made, or none, does not know its number. */
    uint32_t ifindex = st->host_ifindex ? st->host_ifindex : if_nametoindex(host_if);
    rc = remove_inside(st, err);
    /* Without a record it may be of any kind. */
    if (!rc && (!st->device || st->device == PW_DEV_VHOST_USER))
        rc = pw_vhost_remove(host_if, err);
    if (!rc && st->dan[0])
        rc = pw_guest_dan_file(st->dan, st->container_id, st->ifname, NULL, NULL, err);
    /* The device first: with its programs goes the source check. */
    if (!rc)
        rc = delete_device(host_if, err);
    if (rc)
        return rc;
    int one = pw_dp_open(&dp, NULL, err);
    if (one == -ENOENT)
        return 0; /* nothing is loaded: nothing to be left */
    if (!one)
        one = pw_dp_ep_del(dp, host_if, ifindex, st->ips, st->n_ips, err);
    /* An ADD that was killed may have left what is not to be found by the device. */
    if (!one && st->host_if[0] && !st->complete)
        one = pw_dp_sweep(dp, NULL, err);
    return one;
}

int pw_cmd_del(const struct pw_req *req, struct pw_err *err)
{
    const struct pw_env *env = &req->env;
    struct pw_state st;
    int rc = 0;
    bool read = pw_state_read(env->container_id, env->ifname, &st, NULL) == 0;

    if (!read) {
        st = (struct pw_state){0};
        snprintf(st.container_id, sizeof(st.container_id), "%s", env->container_id);
        snprintf(st.ifname, sizeof(st.ifname), "%s", env->ifname);
    }
    /* Of another network's attachment only what this network could have given is released. */
    bool ours = !read || strcmp(st.network, req->conf.name) == 0;
    if (ours)
        keep_first(&rc, pw_detach_endpoint(&st, err));
    /* Addresses are free for others only when nothing uses them any more. */
    if (!rc)
        keep_first(&rc, pw_ipam_del(req, err));
    if (!rc && ours)
        keep_first(&rc, pw_state_remove(env->container_id, env->ifname, err));
    return rc;
}
