/* SPDX-License-Identifier: Apache-2.0 */
/* Packets made for `path` and told by `drops --follow`. */
#ifndef PW_CTL_PACKET_H
#define PW_CTL_PACKET_H

#include "loader/base/addr.h"

struct ctl_packet {
    struct pw_addr src, dst; /* of one family */
    uint8_t src_mac[6], dst_mac[6];
    uint8_t proto; /* IPPROTO_* */
    uint16_t sport, dport;
    uint8_t ttl;
    size_t size; /* at layer 3, bytes; raised to what the headers need */
};

/* What BPF_PROG_TEST_RUN takes: a page, less what the kernel puts around. */
#define CTL_PACKET_MAX 3584
/* Write the frame, checksums included; returns its length, 0 when `size` is over the maximum. */
size_t ctl_packet_build(const struct ctl_packet *p, uint8_t out[CTL_PACKET_MAX]);

/* "tcp 10.1.0.2:40000 > 10.1.0.3:80" of a frame's first bytes. */
const char *ctl_packet_text(const uint8_t *frame, size_t len, char *buf, size_t size);

/* "tcp", "udp", "icmp" (by family), or a number. -1 when it is none. */
int ctl_proto_parse(const char *text, int family);
const char *ctl_proto_text(uint8_t proto, char buf[16]);

#endif
