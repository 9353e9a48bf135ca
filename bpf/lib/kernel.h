/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs need of the kernel: UAPI headers, constants that UAPI lacks, tiny CO-RE types.
 */
#ifndef PW_BPF_KERNEL_H
#define PW_BPF_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* linux/if_arp.h and linux/icmp.h would draw in the C library. */
#define PW_ARPHRD_ETHER 1
#define PW_ARPOP_REQUEST 1
#define PW_ARPOP_REPLY 2

#define PW_AF_INET 2
#define PW_AF_INET6 10

/* The kernel's negative errno of "no such entry", and of no other failure. */
#define PW_ENOENT 2

enum {
    ICMP_DEST_UNREACH = 3,
    ICMP_SOURCE_QUENCH = 4,
    ICMP_REDIRECT = 5,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETERPROB = 12,
};
enum {
    NDISC_ROUTER_SOLICITATION = 133,
    NDISC_ROUTER_ADVERTISEMENT = 134,
    NDISC_NEIGHBOUR_SOLICITATION = 135,
    NDISC_NEIGHBOUR_ADVERTISEMENT = 136,
    NDISC_REDIRECT = 137,
};
#define PW_ICMP_HEADER 8 /* of either family */
#define PW_MLD_QUERY 130
#define PW_MLD_DONE 132
#define PW_MLD2_REPORT 143

#define PW_IP_FRAGMENT 0x3fff /* more-fragments bit and offset of iphdr::frag_off */
#define PW_IP_OFFSET 0x1fff

/* A load or store of `type` in one instruction, wherever it lies: for packets, whose fields the
 * compiler otherwise puts together from bytes. */
#define PW_AT(type, ptr) (*(type *)(ptr))

/* Of the kernel's own types, what is read of them. */
#define PW_KERNEL __attribute__((preserve_access_index))

struct nf_hook_entry {
    void *hook;
} PW_KERNEL;

struct nf_hook_entries {
    __u16 num_hook_entries;
    struct nf_hook_entry hooks[];
} PW_KERNEL;

struct nf_hook_ops {
    int priority;
} PW_KERNEL;

struct netns_nf {
    struct nf_hook_entries *hooks_ipv4[5], *hooks_ipv6[5];
} PW_KERNEL;

struct net {
    struct netns_nf nf;
} PW_KERNEL;

typedef struct {
    struct net *net;
} PW_KERNEL possible_net_t;

struct net_device {
    possible_net_t nd_net;
} PW_KERNEL;

struct sk_buff {
    struct net_device *dev;
    __u8 ip_summed : 2;
} PW_KERNEL;

void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
