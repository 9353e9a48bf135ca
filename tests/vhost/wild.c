// SPDX-License-Identifier: Apache-2.0
#include "tests/vhost/wild.h"

#include <string.h>
#include <sys/socket.h>

#include "loader/base/cleanup.h"

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 16;
}

int wild_message(struct fe *fe, uint64_t *seed)
{
    static const struct {
        uint32_t request, size;
        unsigned fds; /* 1: an eventfd, 2: the memory */
    } kinds[] = {
        {VU_SET_FEATURES, 8, 0},    {VU_SET_MEM_TABLE, 72, 2}, {VU_SET_VRING_NUM, 8, 0},
        {VU_SET_VRING_ADDR, 40, 0}, {VU_SET_VRING_BASE, 8, 0}, {VU_SET_VRING_KICK, 8, 1},
        {VU_SET_VRING_CALL, 8, 1},  {VU_SET_VRING_ERR, 8, 1},  {VU_SET_VRING_ENABLE, 8, 0},
        {VU_GET_VRING_BASE, 8, 0},  {VU_RESET_DEVICE, 0, 0},   {VU_REM_MEM_REG, 40, 0},
        {VU_SET_OWNER, 0, 0},       {VU_RESET_OWNER, 0, 0},
    };
    union vu_payload p = {0};
    uint64_t x = draw(seed);
    unsigned k = (unsigned)(x % PW_ARRAY_SIZE(kinds)), ring = (unsigned)(x >> 8 & 1);
    bool wrong = !(x >> 16 & 7);

    switch (kinds[k].request) {
    case VU_SET_FEATURES:
        p.u64 = wrong ? x : fe->features;
        break;
    case VU_SET_MEM_TABLE:
        p.memory = (struct vu_memory){.n = 2,
                                      .region = {{FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0},
                                                 {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};
        if (wrong)
            p.memory.region[x >> 20 & 1].size = x >> 24;
        break;
    case VU_SET_VRING_ADDR:
        fe_ring_addr_msg(fe, ring, &p.addr);
        if (wrong)
            p.addr.used += x >> 20 & 0xfffff;
        break;
    case VU_SET_VRING_NUM:
        p.state = (struct vu_state){ring, wrong ? (uint32_t)(x >> 20) : fe->num};
        break;
    default:
        p.state = (struct vu_state){ring, (uint32_t)(x >> 20 & (wrong ? ~0u : 1))};
        if (kinds[k].fds == 1)
            p.u64 = ring;
    }
    int rc = fe_send(fe, kinds[k].request, &p, kinds[k].size,
                     kinds[k].fds == 2 ? fe->memfd : &fe->ring[ring].kick, kinds[k].fds, 0);
    while (recv(fe->sock, &p, sizeof(p), MSG_DONTWAIT) > 0) {
    }
    return rc;
}

void wild_ring(struct fe *fe, uint64_t *seed)
{
    uint64_t x = draw(seed);
    unsigned ring = (unsigned)(x & 1), slot = (unsigned)(x >> 4) % fe->num;
    uint8_t *at;

    switch (x >> 1 & 7) {
    case 0: /* a byte of a descriptor */
        at = (uint8_t *)fe_at(fe, FE_DESC(ring)) + 16ull * slot;
        at[x >> 12 & 15] = (uint8_t)(x >> 20);
        break;
    case 1: /* flags and index of the avail ring, an entry */
        at = fe_at(fe, FE_AVAIL(ring));
        at[x >> 12 & 7] = (uint8_t)(x >> 20);
        break;
    case 2:
        at = fe_at(fe, FE_USED(ring));
        at[x >> 12 & 7] = (uint8_t)(x >> 20);
        break;
    default: { /* a frame of any kind from anywhere, as its driver would post it */
        struct fe_seg s = {FE_BUF(ring, slot), (uint32_t)(x >> 20) % 2000, ring ? 0 : FE_F_WRITE};
        uint8_t *f = fe_at(fe, s.addr);
        for (unsigned i = 0; i < 64; i += 8) {
            uint64_t y = draw(seed);
            memcpy(f + i, &y, 8);
        }
        if (x >> 40 & 1) /* a header that passes: the frame's own garbage gets out */
            memset(f, 0, VNET_HDR_LEN);
        fe_post(fe, ring, &s, 1);
    }
    }
}
