/* SPDX-License-Identifier: Apache-2.0 */
/* Where front-ends come from: a listening socket, a path to connect to, or a socket handed over. */
#ifndef PW_VMM_SERVE_H
#define PW_VMM_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/err.h"
#include "vmm-net/vmmnet.h"

struct vn_server {
    int listen;     /* -1: none */
    int connected;  /* a socket that is connected already, -1: none */
    int dir;        /* directory of the path in connecting mode, -1: not connecting */
    char name[108]; /* the path's last part */
    uid_t allow[3]; /* users that may connect to us */
    unsigned nallow;
    bool has_group; /* and processes of this group */
    gid_t group;
    bool once; /* end with the first connection */
};

#define VN_SERVER_INIT {.listen = -1, .connected = -1, .dir = -1}

/* Listen on `path` (an old socket that nobody listens on is replaced). It belongs to `uid` and
 * `gid`, -1: as it comes. */
int vn_server_listen(struct vn_server *s, const char *path, mode_t mode, uid_t uid, gid_t gid,
                     struct pw_err *err);
/*
 * Connect to `path` later, again and again. Only its directory must exist now: it is opened as a
 * mount of its own where we may, so that it can be reached after everything else is out of reach.
 * The caller changes into `dir` before vn_serve: the path's last part is looked up from there.
 */
int vn_server_connect(struct vn_server *s, const char *path, struct pw_err *err);
/* Take a descriptor: connected or listening is found out. */
int vn_server_fd(struct vn_server *s, int fd, struct pw_err *err);
void vn_server_close(struct vn_server *s);

/*
 * Serve until `stop` becomes readable (0), or the one connection has ended (0), or nothing can be
 * served any more. Never blocked by a front-end: the next one is answered at once while another is
 * connected.
 */
int vn_serve(struct vmmnet *net, struct vmmnet_stats *stats, struct vn_server *s, int stop,
             struct pw_err *err);

#endif
