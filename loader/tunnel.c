/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/tunnel.h"

int pw_tunnel_up(struct pw_dp *dp, struct pw_nl *rtnl, const struct pw_peers_conf *conf,
                 uint32_t *ifindex, size_t *changes, struct pw_err *err)
{
    (void)dp;
    (void)rtnl;
    (void)changes;
    *ifindex = 0;
    if (conf->routing == PW_ROUTING_VXLAN)
        return pw_err_set(err, -EOPNOTSUPP, "routing vxlan: not in this build");
    return 0;
}

int pw_tunnel_down(struct pw_dp *dp, struct pw_nl *rtnl, size_t *changes, struct pw_err *err)
{
    (void)dp;
    (void)rtnl;
    (void)changes;
    (void)err;
    return 0;
}
