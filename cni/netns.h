/* SPDX-License-Identifier: Apache-2.0 */
/* The container's network namespace: opened once, then only the descriptor is used. */
#ifndef PW_CNI_NETNS_H
#define PW_CNI_NETNS_H

#include <stdint.h>

#include "cni/cnierr.h"

struct pw_netns {
    int fd;      /* the container's */
    int host;    /* ours, to come back */
    uint64_t id; /* tells it from others as long as it lives */
};
#define PW_NETNS_INIT {-1, -1, 0}

/* Open what CNI_NETNS names: /run/netns/X, /proc/PID/ns/net, /proc/PID/fd/N. PW_CNI_CONTAINER when
 * it does not exist; PW_CNI_NETNS when it is no network namespace, or our own. */
int pw_netns_open(struct pw_netns *ns, const char *path, struct pw_err *err);
void pw_netns_close(struct pw_netns *ns);

/* The calling thread enters and leaves; sockets that it opens meanwhile stay there. Whoever cannot
 * come back must not go on: pw_netns_leave ends the process then. */
int pw_netns_enter(const struct pw_netns *ns, struct pw_err *err);
void pw_netns_leave(const struct pw_netns *ns);

#endif
