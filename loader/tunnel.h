/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that carries packets to other nodes over any network between them: one VXLAN device
 * for all (collect metadata: each packet says where to), with a program on what arrives.
 */
#ifndef PW_LOADER_TUNNEL_H
#define PW_LOADER_TUNNEL_H

#include "loader/nl/nlsock.h"
#include "loader/peers.h"

/*
 * Make the device, or make it so: its program before it is up, its addresses, its MTU. *tunnel:
 * what pw_tunnel_tell has to tell the programs. Counts into *changes. -EEXIST when a device of that
 * name, or its port, is somebody else's.
 */
int pw_tunnel_up(struct pw_dp *dp, struct pw_nl *rtnl, const struct pw_peers_conf *conf,
                 struct pw_tunnel *tunnel, size_t *changes, struct pw_err *err);
/* From now on programs send by it; all zero: by none. */
int pw_tunnel_tell(struct pw_dp *dp, const struct pw_tunnel *tunnel, size_t *changes,
                   struct pw_err *err);
/* Remove the device; success when there is none. Programs no longer send by it. */
int pw_tunnel_down(struct pw_nl *rtnl, size_t *changes, struct pw_err *err);

#endif
