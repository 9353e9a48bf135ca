/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio-net header (virtio 1.2, 5.1.6) and the feature bits of the device. */
#ifndef PW_VMM_VNET_H
#define PW_VMM_VNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feature bits, by their names in the standard. */
#define VIRTIO_BIT(n) (1ull << (n))
#define VNF_CSUM VIRTIO_BIT(0)
#define VNF_GUEST_CSUM VIRTIO_BIT(1)
#define VNF_MTU VIRTIO_BIT(3)
#define VNF_MAC VIRTIO_BIT(5)
#define VNF_GUEST_TSO4 VIRTIO_BIT(7)
#define VNF_GUEST_TSO6 VIRTIO_BIT(8)
#define VNF_GUEST_ECN VIRTIO_BIT(9)
#define VNF_HOST_TSO4 VIRTIO_BIT(11)
#define VNF_HOST_TSO6 VIRTIO_BIT(12)
#define VNF_HOST_ECN VIRTIO_BIT(13)
#define VNF_MRG_RXBUF VIRTIO_BIT(15)
#define VNF_STATUS VIRTIO_BIT(16)
#define VNF_CTRL_VQ VIRTIO_BIT(17)
#define VNF_CTRL_RX VIRTIO_BIT(18)
#define VNF_GUEST_ANNOUNCE VIRTIO_BIT(21)
#define VNF_MQ VIRTIO_BIT(22)
#define VHF_LOG_ALL VIRTIO_BIT(26)
#define VIF_INDIRECT_DESC VIRTIO_BIT(28)
#define VIF_EVENT_IDX VIRTIO_BIT(29)
#define VHF_PROTOCOL VIRTIO_BIT(30)
#define VIF_VERSION_1 VIRTIO_BIT(32)
#define VIF_RING_PACKED VIRTIO_BIT(34)
#define VIF_IN_ORDER VIRTIO_BIT(35)
#define VNF_GUEST_USO4 VIRTIO_BIT(54)
#define VNF_GUEST_USO6 VIRTIO_BIT(55)
#define VNF_HOST_USO VIRTIO_BIT(56)

#define VNET_HDR_LEN 12
#define VNET_ETH_MIN 14
#define VNET_FRAME_MAX (65536 + 14 + 4) /* the largest a tap gives or takes, VLAN tag included */

struct vnet_hdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct vnet_hdr) == VNET_HDR_LEN, "virtio-net header");

/* What a guest's frame may ask for, from the acked features. */
struct vnet_rules {
    bool csum;
    uint8_t gso_types; /* bit n: gso_type n allowed */
    bool ecn;
};

struct vnet_rules vnet_rules(uint64_t features);
/*
 * Whether the header of a guest's frame of `len` bytes (header apart) is one that we pass on. It
 * is cleaned of what has no meaning in this direction. `h` is our own copy.
 */
bool vnet_check(struct vnet_hdr *h, size_t len, const struct vnet_rules *r);
/* TUN_F_* bits for TUNSETOFFLOAD: what the guest said it takes. */
unsigned vnet_tun_offload(uint64_t features);

#endif
