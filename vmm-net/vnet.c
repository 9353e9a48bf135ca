// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/vnet.h"

#include <linux/if_tun.h>

#define F_NEEDS_CSUM 1u
#define GSO_TCPV4 1u
#define GSO_TCPV6 4u
#define GSO_UDP_L4 5u
#define GSO_ECN 0x80u

struct vnet_rules vnet_rules(uint64_t features)
{
    struct vnet_rules r = {.csum = features & VNF_CSUM, .ecn = features & VNF_HOST_ECN};

    if (features & VNF_HOST_TSO4)
        r.gso_types |= 1u << GSO_TCPV4;
    if (features & VNF_HOST_TSO6)
        r.gso_types |= 1u << GSO_TCPV6;
    if (features & VNF_HOST_USO)
        r.gso_types |= 1u << GSO_UDP_L4;
    return r;
}

bool vnet_check(struct vnet_hdr *h, size_t len, const struct vnet_rules *r)
{
    h->num_buffers = 0;
    h->flags &= F_NEEDS_CSUM; /* the rest is for the other direction */

    if (h->flags) {
        if (!r->csum || (size_t)h->csum_start + h->csum_offset + 2 > len)
            return false;
    } else {
        h->csum_start = h->csum_offset = 0;
    }

    unsigned type = h->gso_type & ~GSO_ECN;
    if (!type) {
        if (h->gso_type)
            return false;
        h->gso_size = 0;
        /* Only a hint without segmentation; the kernel refuses one that is too long. */
        if (h->hdr_len > len)
            return false;
        return true;
    }
    if (type > GSO_UDP_L4 || !(r->gso_types >> type & 1))
        return false;
    if ((h->gso_type & GSO_ECN) && (!r->ecn || type == GSO_UDP_L4))
        return false;
    /* Segmentation needs the checksum's place, a size, and something to cut. */
    return h->flags && h->gso_size && h->hdr_len <= len && h->csum_start < len &&
           len > VNET_ETH_MIN;
}

unsigned vnet_tun_offload(uint64_t features)
{
    unsigned f = 0;

    if (!(features & VNF_GUEST_CSUM))
        return 0; /* the rest depends on it */
    f |= TUN_F_CSUM;
    if (features & VNF_GUEST_TSO4)
        f |= TUN_F_TSO4;
    if (features & VNF_GUEST_TSO6)
        f |= TUN_F_TSO6;
    if ((features & VNF_GUEST_ECN) && (f & (TUN_F_TSO4 | TUN_F_TSO6)))
        f |= TUN_F_TSO_ECN;
#ifdef TUN_F_USO4
    if ((features & VNF_GUEST_USO4) && (features & VNF_GUEST_USO6))
        f |= TUN_F_USO4 | TUN_F_USO6;
#endif
    return f;
}
