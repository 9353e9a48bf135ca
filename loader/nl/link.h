/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices: pairs are made, devices are changed, asked for and deleted. Changes are put into
 * a batch and happen at pw_nl_commit.
 */
#ifndef PW_NL_LINK_H
#define PW_NL_LINK_H

#include <net/if.h>

#include "loader/nl/nlsock.h"

/* A device as the kernel tells it. Plain value, no ownership. Zero where it does not say. */
struct pw_link {
    uint32_t ifindex, mtu, flags; /* IFF_* */
    uint32_t peer;                /* IFLA_LINK: ifindex of the other end, in its own namespace */
    uint32_t master;
    char name[IFNAMSIZ];
    char kind[16]; /* "" for hardware */
    uint8_t mac[6];
    bool has_mac;
    uint32_t gso_max, gro_max, gso4_max, gro4_max, tso_max;
    uint64_t rx_dropped, tx_dropped, rx_packets, tx_packets, rx_bytes, tx_bytes;
    struct {
        bool primary;
        bool has_scrub, has_room; /* the kernel knows these attributes */
        uint8_t mode;             /* enum pw_netkit_mode */
        uint8_t policy, peer_policy, scrub, peer_scrub;
        uint32_t headroom, tailroom;
    } netkit;
    struct {
        bool tap, persist, multi_queue; /* tap: layer 2 */
        uint32_t queues;                /* that somebody has open; of a multi queue one */
    } tun;
    struct {
        bool external; /* collect metadata: packets say where to */
        uint16_t port;
    } vxlan;
};

/* One end of a pair that is to be made. */
struct pw_link_end {
    const char *name;
    int netns; /* fd, or -1: the socket's own */
    uint8_t mac[6];
    bool has_mac; /* else the kernel's choice */
};

/* A pair that is to be made. */
struct pw_pair {
    struct pw_link_end host, pod;
    uint32_t mtu;              /* of both; 0: the kernel's choice */
    uint32_t gso_max, gro_max; /* BIG TCP, IPv6; 0: the kernel's choice */
    uint32_t gso4_max, gro4_max;
    struct {
        uint8_t mode; /* enum pw_netkit_mode */
        uint8_t policy, peer_policy;
        bool set_scrub; /* keep marks and priorities of packets from the pod */
        uint8_t scrub, peer_scrub;
        uint32_t headroom, tailroom; /* bytes; 0: not set */
    } netkit;
};

/* A kind of device: fills only its own attributes, the message is common. A tap is not made by
 * netlink (loader/tap.h) and has a name alone. */
struct pw_link_kind {
    const char *name;
    uint16_t peer_attr; /* holds struct ifinfomsg and the attributes of the pod's end */
    void (*fill)(struct pw_nlbuf *b, const struct pw_pair *pair);
};
extern const struct pw_link_kind pw_link_veth, pw_link_netkit, pw_link_tap;

/* Make a pair, both ends with name, MAC, MTU and namespace in one message. Both are down: veth
 * cannot be brought up before it has its other end. */
void pw_link_add_pair(struct pw_nlbatch *b, const struct pw_link_kind *kind,
                      const struct pw_pair *pair);
/* Make a VXLAN device for packets that say where to, down, without ARP and without learning. The
 * kernel takes ports of both families for it. */
void pw_link_add_vxlan(struct pw_nlbatch *b, const char *name, uint16_t port, uint32_t mtu);
/* Ask for a device in a batch; the answer goes to the reply function, see pw_link_read. */
void pw_link_ask(struct pw_nlbatch *b, const char *name);
/* A reply of a request or dump; false when it is no device. */
bool pw_link_read(const struct pw_nlmsg *msg, struct pw_link *out);

void pw_link_set_up(struct pw_nlbatch *b, uint32_t ifindex, bool up);
void pw_link_set_mtu(struct pw_nlbatch *b, uint32_t ifindex, uint32_t mtu);
void pw_link_set_mac(struct pw_nlbatch *b, uint32_t ifindex, const uint8_t mac[6]);
/* As a host end must be: no reverse path filter, forwarding on, no IPv6 address of its own making.
 * Success where the kernel has no IPv6. */
void pw_link_set_forwarding(struct pw_nlbatch *b, uint32_t ifindex);
/* No IPv6 address of the device's own making. Success where the kernel has no IPv6. */
void pw_link_set_addrgen_none(struct pw_nlbatch *b, uint32_t ifindex);
/* By index, or by name when `ifindex` is 0. Success when there is none. */
void pw_link_del(struct pw_nlbatch *b, uint32_t ifindex, const char *name);
/* Delete a device, and with it its other end, in this process' namespace; success when there is
 * none. Returns as soon as both are out of service and nobody can see them; a child that frees
 * itself sits out what the kernel still waits for. */
int pw_link_delete(const char *name, struct pw_err *err);

/* Whether there is no such device in this process' namespace. False as well where that cannot be
 * found out (no descriptor is free, say): nothing of a device that may be there is to be removed.
 */
bool pw_link_gone(uint32_t ifindex);
bool pw_link_gone_name(const char *name);

/* Read one device, by index or, when `ifindex` is 0, by name. -ENODEV. */
int pw_link_get(struct pw_nl *nl, uint32_t ifindex, const char *name, struct pw_link *out,
                struct pw_err *err);

/* All devices of the socket's namespace; `*out` is a new array that the caller frees. */
int pw_link_list(struct pw_nl *nl, struct pw_link **out, size_t *n, struct pw_err *err);

#endif
