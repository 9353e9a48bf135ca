/* SPDX-License-Identifier: Apache-2.0 */
/* Results of others: prevResult, and what an IPAM plugin answers. What is read is written again. */
#include "cni/plan.h"
#include "cni/result.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_ip_result r = PW_IP_RESULT_INIT, of = PW_IP_RESULT_INIT;
    struct pw_err err = PW_ERR_INIT;
    struct pw_result_if ifs = {.name = "eth0", .mtu = 1500, .sandbox = "/run/netns/x"};

    if (size < 1)
        return 0;
    json_t *j = json_loadb((const char *)data + 1, size - 1, JSON_DECODE_ANY, NULL);
    if (!j)
        return 0;
    int rc = pw_result_parse(j, &r, &err);
    if (rc && !err.msg[0])
        abort();
    if (pw_result_parse_of(j, "eth0", &of, &err) == 0 && of.n_ips > r.n_ips)
        abort();
    if (!rc) {
        struct pw_result out = {.version = (enum pw_version)(data[0] % PW_VERSIONS),
                                .ifs = &ifs,
                                .n_ifs = 1,
                                .ips = r.ips,
                                .gw4 = &pw_gateway4,
                                .gw6 = &pw_gateway6,
                                .routes = r.routes,
                                .n_routes = r.n_routes,
                                .dns = r.dns,
                                .prev = data[0] & 64 ? j : NULL};
        ifs.n_ips = r.n_ips;
        json_t *made = pw_result_make(&out);
        struct pw_ip_result again = PW_IP_RESULT_INIT;
        if (!made)
            abort();
        /* Ours is understood by ourselves, unless what was there already is too much. */
        if (!out.prev && (pw_result_parse_of(made, "eth0", &again, &err) ||
                          again.n_ips != r.n_ips || again.n_routes != r.n_routes))
            abort();
        pw_ip_result_free(&again);
        json_decref(made);
    }
    pw_ip_result_free(&r);
    pw_ip_result_free(&of);
    json_decref(j);
    return 0;
}
