/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that carries packets to other nodes over any network between them: one VXLAN device
 * for all (collect metadata: each packet says where to), with a program on what arrives.
 */
#ifndef PW_LOADER_TUNNEL_H
#define PW_LOADER_TUNNEL_H

#include "loader/nl/nlsock.h"
#include "loader/peers.h"

/* Make it, or make it so; tell the programs of it. *ifindex: its number. Counts into *changes. */
int pw_tunnel_up(struct pw_dp *dp, struct pw_nl *rtnl, const struct pw_peers_conf *conf,
                 uint32_t *ifindex, size_t *changes, struct pw_err *err);
/* Remove it, and all that programs know of it. Success when there is none. */
int pw_tunnel_down(struct pw_dp *dp, struct pw_nl *rtnl, size_t *changes, struct pw_err *err);

#endif
