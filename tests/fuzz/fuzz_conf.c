/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration on stdin, from bytes to a plan. First byte: command and kernel's features. What
 * is one is also taken for podwired's answer about the pod. */
#include "cni/ipam_range.h"
#include "cni/lookup.h"
#include "cni/plan.h"
#include "cni/result.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan(struct pw_req *req, uint8_t bits)
{
    struct pw_features features = {.tcx = true, .netkit = bits & 8, .netkit_room = bits & 16};
    struct pw_uplink_limits limits = {.mtu = bits & 32 ? 1500 : 0, .gso_max = 1U << 18};
    struct pw_plan_device choice;
    struct pw_ranges ranges = PW_RANGES_INIT;
    struct pw_ip_result ips = PW_IP_RESULT_INIT;
    struct pw_plan p = PW_PLAN_INIT;
    struct pw_err err;

    if (pw_plan_device(&req->conf, &features, &choice, &err) ||
        pw_ranges_read(&req->conf, &ranges, &err))
        return;
    for (size_t i = 0; i < ranges.n; i++) {
        const struct pw_range *r = &ranges.list[i];
        pw_num n = pw_range_skip(&ranges, r, pw_addr_num(&r->first));
        struct pw_addr a = pw_num_addr(n, r->subnet.family);
        if (n <= pw_addr_num(&r->last) && !pw_range_has(&ranges, r, &a))
            abort();
        if (ips.n_ips < PW_MAX_IPS)
            ips.ips[ips.n_ips++] = a;
    }
    struct pw_ip_result routes = PW_IP_RESULT_INIT;
    if (pw_result_parse(req->conf.ipam, &routes, &err) == 0) {
        ips.routes = routes.routes;
        ips.n_routes = routes.n_routes;
        if (pw_plan_make(req, &choice, &features, &limits, &ips, &p, &err) == 0)
            pw_plan_free(&p);
        pw_ip_result_free(&routes);
    }
    pw_ranges_free(&ranges);
}

/* A device is one afterwards, or there is a reason. */
static void look_up(const char *text, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_netconf conf = PW_NETCONF_INIT;
    int rc = pw_lookup_take(&conf, text, size, &err);

    if (rc ? !err.msg[0] || conf.device || conf.pod_device : !pw_choice_name(conf.device))
        abort();
    pw_netconf_free(&conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_req req = {.env = {.container_id = "c", .ifname = "eth0", .args = "IP=10.1.0.9"}};
    struct pw_err err = PW_ERR_INIT;

    if (size < 1)
        return 0;
    req.env.command = (enum pw_cni_command)(data[0] % 6);
    const char *text = (const char *)data + 1;
    pw_netconf_version(text, size - 1);
    look_up(text, size - 1);
    int rc = pw_netconf_parse(text, size - 1, &req.env, &req.conf, &err);
    if (rc) {
        /* Every refusal has a code of the specification and words. */
        unsigned code = pw_cni_code_of(rc);
        if (!err.msg[0] || code == 0 || code == 999)
            abort();
        json_decref(pw_result_error(PW_V110, &err));
        return 0;
    }
    plan(&req, data[0]);
    pw_netconf_free(&req.conf);
    return 0;
}
