/* SPDX-License-Identifier: Apache-2.0 */
/* podwire-vhost's command line. */
#ifndef PW_VMM_OPTIONS_H
#define PW_VMM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loader/base/err.h"
#include "vmm-net/vmmnet.h"

enum vh_action { VH_RUN, VH_CAPABILITIES, VH_HELP, VH_VERSION, VH_SHOW_STATS };

struct vh_options {
    enum vh_action action;
    const char *socket_path; /* listen there, or connect to it with `client` */
    bool client;
    int fd;          /* a connected or listening socket handed over, -1: none */
    const char *tap; /* name, NULL: by descriptors or none */
    int tap_fd[VMMNET_MAX_PAIRS];
    unsigned tap_fds;
    bool null_tap;
    bool vhost_net; /* the kernel moves the frames */
    unsigned queues;
    bool have_mac;
    uint8_t mac[6];
    uint16_t mtu;
    unsigned busy_poll_us;
    uint64_t features_off;
    bool no_uring, no_sandbox, supervise, once;
    int ready_fd, lock_fd; /* of who started us, -1: none */
    uid_t uid, peer_uid, socket_uid;
    gid_t gid, peer_gid, socket_gid; /* of the socket: -1 as it comes */
    bool have_uid, have_peer_uid, have_peer_gid;
    mode_t mode;
    const char *stats; /* path of the counters' file */
};

int vh_options_parse(int argc, char **argv, struct vh_options *o, struct pw_err *err);
extern const char vh_help[];

#endif
