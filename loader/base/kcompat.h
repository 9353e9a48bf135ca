/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel constants newer than the headers this may be built with, under our own names. That a
 * constant is here says nothing of the running kernel: rtnetlink ignores nested attributes that it
 * does not know, so what was asked for is read back and only then believed.
 */
#ifndef PW_BASE_KCOMPAT_H
#define PW_BASE_KCOMPAT_H

/* IFLA_INFO_DATA of netkit (linux/if_link.h). 6.7: */
#define PW_IFLA_NETKIT_PEER_INFO 1
#define PW_IFLA_NETKIT_PRIMARY 2
#define PW_IFLA_NETKIT_POLICY 3
#define PW_IFLA_NETKIT_PEER_POLICY 4
#define PW_IFLA_NETKIT_MODE 5
/* 6.13: */
#define PW_IFLA_NETKIT_SCRUB 6
#define PW_IFLA_NETKIT_PEER_SCRUB 7
/* 6.14: */
#define PW_IFLA_NETKIT_HEADROOM 8
#define PW_IFLA_NETKIT_TAILROOM 9

enum pw_netkit_policy {
    PW_NETKIT_PASS = 0,
    PW_NETKIT_BLACKHOLE = 2,
};

enum pw_netkit_mode {
    PW_NETKIT_MODE_L2 = 0,
    PW_NETKIT_MODE_L3 = 1,
};

enum pw_netkit_scrub {
    PW_NETKIT_SCRUB_NONE = 0,
    PW_NETKIT_SCRUB_DEFAULT = 1,
};

#endif
