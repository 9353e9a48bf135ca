// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/*
 * What a hostile guest can write into rings and buffers, each case by itself: the ring is stopped
 * with the right reason or the frame dropped and counted, nothing is touched that must not be
 * (AddressSanitizer, UBSan), and the device serves the next front-end.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/vhost/hostile.h"

/* The frame is dropped and counted, the buffer comes back, the ring goes on. */
static void dropped(const char *name, const uint64_t *counter)
{
    fe_kick(&fe, 1);
    ok(fe_wait_count(counter, 1), "%s (%s): dropped and counted", name, kind());
    is_int(fe_count(&fe.stats.pair[0].tx_frames), 0, "%s (%s): not sent", name, kind());
    is_int(fe_count(&fe.stats.pair[0].ring_errors), 0, "%s (%s): the ring goes on", name, kind());
    end(name);
}

static void tx(const struct fe_seg *s, unsigned n)
{
    fe_frame(&fe, FE_BUF(1, 0), 60);
    fe_post(&fe, 1, s, n);
}

static void bad_segment(const char *name, uint64_t addr, uint32_t len, const char *why)
{
    struct fe_seg s[] = {{FE_BUF(1, 0), VNET_HDR_LEN + 60, 0}, {addr, len, 0}};

    begin();
    tx(s, 2);
    broken(name, 1, why);
}

static void split_only(void)
{
    begin();
    uint16_t *avail = fe_at(&fe, FE_AVAIL(1));
    avail[1] = 65;
    broken("case 1 avail index jumps by more than the ring", 1,
           "avail index jumps by more than the ring");

    begin();
    avail = fe_at(&fe, FE_AVAIL(1));
    fe_frame_passes(&fe, 1);
    avail[1] = 0; /* backwards: 65535 ahead */
    broken("case 1 avail index goes back", 1, "avail index jumps by more than the ring");

    begin();
    fe_avail(&fe, 1, 64);
    broken("case 2 head out of range", 1, "head beyond the ring");

    begin();
    fe_avail(&fe, 1, 65535);
    broken("case 2 head 65535", 1, "head beyond the ring");

    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_BUF(1, 0), 60, FE_F_NEXT, 64);
    fe_avail(&fe, 1, 0);
    broken("case 3 next out of range", 1, "next beyond the ring");

    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_BUF(1, 0), 60, FE_F_NEXT, 1);
    fe_desc(&fe, FE_DESC(1), 1, FE_BUF(1, 0), 60, FE_F_NEXT, 0);
    fe_avail(&fe, 1, 0);
    broken("case 4 loop", 1, "loop in a chain");

    begin();
    fe_desc(&fe, FE_TABLE(1), 0, FE_BUF(1, 0), 72, FE_F_NEXT, 2);
    fe_desc(&fe, FE_DESC(1), 0, FE_TABLE(1), 32, FE_F_INDIRECT, 0);
    fe_avail(&fe, 1, 0);
    broken("case 11 next beyond the indirect table", 1, "next beyond the indirect table");

    begin();
    fe_desc(&fe, FE_TABLE(1), 0, FE_BUF(1, 0), 72, FE_F_NEXT, 1);
    fe_desc(&fe, FE_TABLE(1), 1, FE_BUF(1, 0), 72, FE_F_NEXT, 0);
    fe_desc(&fe, FE_DESC(1), 0, FE_TABLE(1), 32, FE_F_INDIRECT, 0);
    fe_avail(&fe, 1, 0);
    broken("case 11 loop in an indirect table", 1, "loop in an indirect table");
}

static void packed_only(void)
{
    const uint16_t on = 1u << 7;

    begin();
    for (unsigned i = 0; i < 64; i++)
        fe_desc(&fe, FE_DESC(1), i, FE_BUF(1, 0), 60, on | FE_F_NEXT, 0);
    broken("case 4 a chain round the whole ring", 1, "loop in a chain");

    begin();
    fe_desc(&fe, FE_DESC(1), 0, FE_BUF(1, 0), 72, on, 64);
    broken("case 20 buffer id out of range", 1, "buffer id beyond the ring");

    /* Wrap bits of the wrong lap, or both set, or both clear: not available, whatever is there. */
    begin();
    static const uint16_t flips[] = {0, 1u << 15, 1u << 7 | 1u << 15};
    for (unsigned i = 0; i < 3; i++) {
        fe_desc(&fe, FE_DESC(1), 0, ~0ull, ~0u, flips[i], 0xffff);
        fe_kick(&fe, 1);
        is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "case 20 still answers");
    }
    is_int(fe_count(&fe.stats.pair[0].ring_errors), 0,
           "case 20 wrap flips: not available, not looked at");
    fe_desc(&fe, FE_DESC(1), 0, 0, 0, 0, 0);
    ok(fe_frame_passes(&fe, 1), "case 20 wrap flips: the right one is");
    end("case 20 wrap flips");

    /* The driver flips wrap bits of what it gave us while we hold it. */
    begin();
    for (unsigned lap = 0; lap < 200; lap++) {
        for (unsigned i = 0; i < 64; i++)
            fe_desc(&fe, FE_DESC(1), i, FE_BUF(1, i), 72, lap % 2 ? on : 1u << 15, (uint16_t)i);
        fe_kick(&fe, 1);
    }
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "case 20 flips under way: answers");
    end("case 20 wrap flips under way");
}

static void lengths(void)
{
    struct fe_seg big[20], huge[3], zero[] = {{FE_BUF(1, 0), 0, 0}, {~0ull, 0, 0}};

    for (unsigned i = 0; i < 20; i++)
        big[i] = (struct fe_seg){FE_BUF(1, i), 4096, 0};
    begin();
    tx(big, 20);
    dropped("case 5 total length over any frame", &fe.stats.pair[0].tx_bad_length);

    for (unsigned i = 0; i < 3; i++)
        huge[i] = (struct fe_seg){FE_GPA1, FE_REGION_SIZE, 0};
    begin();
    tx(huge, 3);
    dropped("case 5 total length of 12 MiB", &fe.stats.pair[0].tx_bad_length);
    bad_segment("case 5 length of 4 GiB", FE_BUF(1, 1), ~0u, OUTSIDE);

    begin();
    tx(zero, 2);
    dropped("case 6 only zero lengths", &fe.stats.pair[0].tx_bad_length);
    begin();
    struct fe_seg mixed[] = {{~0ull, 0, 0}, {FE_BUF(1, 0), 72, 0}, {0x20000000, 0, 0}};
    tx(mixed, 3);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_frames, 1),
       "case 6 zero length at a bad address (%s): nothing is read there, the frame passes", kind());
    end("case 6 zero length at a bad address");

    bad_segment("case 7 address + length wraps", ~0ull - 10, 60, OUTSIDE);
    bad_segment("case 7 crosses a region's end", FE_GPA0 + FE_REGION_SIZE - 8, 16, OUTSIDE);
    bad_segment("case 7 begins before a region", FE_GPA1 - 8, 16, OUTSIDE);
    bad_segment("case 8 in a hole", 0x10000000, 60, OUTSIDE);
    bad_segment("case 8 beyond all", FE_GPA1 + FE_REGION_SIZE, 1, OUTSIDE);
    bad_segment("case 8 the front-end's user address", FE_UVA1, 60, OUTSIDE);

    static const uint32_t shorts[] = {1, 11, 12, 13, 25};
    for (unsigned i = 0; i < 5; i++) {
        struct fe_seg s = {FE_BUF(1, 0), shorts[i], 0};
        char name[64];
        snprintf(name, sizeof(name), "case %s of %u bytes",
                 shorts[i] <= 12 ? "9 chain" : "15 frame and header", shorts[i]);
        begin();
        tx(&s, 1);
        dropped(name, &fe.stats.pair[0].tx_bad_length);
    }
    begin();
    struct fe_seg bytes[20];
    for (unsigned i = 0; i < 20; i++)
        bytes[i] = (struct fe_seg){FE_BUF(1, 0) + i, i < 19 ? 1 : 60, 0};
    tx(bytes, 20);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_frames, 1),
       "case 10 header over twelve descriptors (%s): passes", kind());
    is_int(fe_count(&fe.stats.pair[0].tx_bytes), 67, "case 10 (%s): with its bytes", kind());
    end("case 10");

    begin();
    struct fe_seg over[] = {{FE_BUF(1, 0), 12, 0}, {FE_BUF(1, 1), 65555, 0}};
    tx(over, 2);
    dropped("case 15 frame over the limit", &fe.stats.pair[0].tx_bad_length);
    begin();
    struct fe_conf keep = conf;
    fe_close(&fe);
    conf.mtu = 1500;
    begin();
    struct fe_seg mtu[] = {{FE_BUF(1, 0), 12, 0}, {FE_BUF(1, 1), 1519, 0}};
    tx(mtu, 2);
    dropped("case 15 frame over the MTU", &fe.stats.pair[0].tx_bad_length);
    conf = keep;
}

static void indirect(const char *name, uint64_t addr, uint32_t len, uint16_t flags, const char *why)
{
    struct fe_seg s = {addr, len, (uint16_t)(FE_F_INDIRECT | flags)};

    begin();
    fe_desc(&fe, FE_TABLE(1), 0, FE_BUF(1, 0), 72, 0, 0);
    tx(&s, 1);
    broken(name, 1, why);
}

static void indirects(void)
{
    indirect("case 11 length no multiple of 16", FE_TABLE(1), 17, 0,
             "indirect table of a wrong size");
    indirect("case 11 length zero", FE_TABLE(1), 0, 0, "indirect table of a wrong size");
    indirect("case 11 longer than the ring", FE_TABLE(1), 65 * 16, 0,
             "indirect table of a wrong size");
    indirect("case 11 with NEXT", FE_TABLE(1), 16, FE_F_NEXT, "indirect descriptor with a next");
    indirect("case 11 crosses a region's end", FE_GPA0 + FE_REGION_SIZE - 16, 32, 0,
             "indirect table outside guest memory");
    indirect("case 11 nowhere", 0x10000000, 32, 0, "indirect table outside guest memory");

    begin();
    struct fe_seg s = {FE_TABLE(1), 16, FE_F_INDIRECT};
    fe_desc(&fe, FE_TABLE(1), 0, FE_TABLE(1), 16, FE_F_INDIRECT, 0);
    tx(&s, 1);
    broken("case 11 nested", 1, "indirect table inside an indirect table");

    struct fe_conf keep = conf;
    conf.features_out = VIRTIO_BIT(28);
    begin();
    tx(&s, 1);
    broken("case 11 not negotiated", 1, "indirect table not negotiated");
    conf = keep;

    begin();
    struct fe_seg w = {FE_BUF(1, 0), 72, FE_F_WRITE};
    tx(&w, 1);
    broken("case 13 a transmit buffer to write into", 1, "descriptor of the wrong direction");
}

static void header(const char *name, const struct vnet_hdr *h)
{
    struct fe_seg s = {FE_BUF(1, 0), VNET_HDR_LEN + 60, 0};

    begin();
    fe_frame(&fe, s.addr, 60);
    memcpy(fe_at(&fe, s.addr), h, sizeof(*h));
    fe_post(&fe, 1, &s, 1);
    dropped(name, &fe.stats.pair[0].tx_bad_header);
}

static void headers(void)
{
    header("case 14 unknown gso_type",
           &(struct vnet_hdr){.flags = 1, .gso_type = 2, .gso_size = 9});
    header("case 14 gso_type 127", &(struct vnet_hdr){.flags = 1, .gso_type = 127, .gso_size = 9});
    header("case 14 UFO", &(struct vnet_hdr){.flags = 1, .gso_type = 3, .gso_size = 9});
    header("case 14 gso_size 0", &(struct vnet_hdr){.flags = 1, .gso_type = 1});
    header("case 14 segments without checksum", &(struct vnet_hdr){.gso_type = 1, .gso_size = 9});
    header("case 14 ECN alone", &(struct vnet_hdr){.gso_type = 0x80});
    header("case 14 hdr_len beyond the frame", &(struct vnet_hdr){.hdr_len = 61});
    header("case 14 hdr_len beyond, segments",
           &(struct vnet_hdr){.flags = 1, .gso_type = 1, .gso_size = 9, .hdr_len = 61});
    header("case 14 csum_start beyond the frame", &(struct vnet_hdr){.flags = 1, .csum_start = 60});
    header("case 14 csum_offset beyond",
           &(struct vnet_hdr){.flags = 1, .csum_start = 34, .csum_offset = 65535});
    struct fe_conf keep = conf;
    conf.features_out = VNF_CSUM | VNF_HOST_TSO4;
    header("case 14 checksum not negotiated", &(struct vnet_hdr){.flags = 1, .csum_start = 34});
    conf.features_out = VNF_HOST_TSO4;
    header("case 14 segmentation not negotiated",
           &(struct vnet_hdr){.flags = 1, .gso_type = 1, .gso_size = 9, .csum_start = 34});
    conf = keep;
}

static void odd_buffers(void)
{
    begin();
    struct fe_seg s[] = {{FE_BUF(1, 0), 12, 0}, {FE_DESC(1), 1024, 0}, {FE_USED(1), 500, 0}};
    tx(s, 3);
    fe_kick(&fe, 1);
    ok(fe_wait_count(&fe.stats.pair[0].tx_frames, 1),
       "case 16 transmit buffers on the rings (%s): only the guest's own bytes", kind());
    end("case 16 transmit");

    begin();
    uint16_t *avail = fe_at(&fe, FE_AVAIL(1));
    if (conf.packed) {
        avail[0] = 0x7fff;
        avail[1] = 2;
    } else {
        avail[2 + fe.num] = 0x8000;
    }
    unsigned good = 0;
    for (unsigned i = 0; i < 200; i++)
        good += fe_frame_passes(&fe, 1);
    is_int(good, 200, "case 17 event index that suppresses for ever (%s): frames pass", kind());
    end("case 17 event index");

    begin();
    for (unsigned i = 0; i < 100000; i++)
        fe_kick(&fe, 1);
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0, "case 17 kick storm (%s): answers",
           kind());
    ok(fe_frame_passes(&fe, 1), "case 17 kick storm (%s): serves", kind());
    end("case 17 kick storm");

    begin();
    unsigned lost = 0;
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned k = 0; k < 64; k++) {
            struct fe_seg one = {FE_BUF(1, k), 72, 0};
            fe_frame(&fe, one.addr, 60);
            fe_post(&fe, 1, &one, 1);
        }
        fe_kick(&fe, 1);
        if (i % 2) {
            uint32_t base = fe_ring_stop(&fe, 1);
            unsigned done = 0;
            uint16_t id;
            uint32_t len;
            while (fe_used(&fe, 1, &id, &len))
                done++;
            unsigned pos = conf.packed ? base & 0x7fff : base & 0xffff;
            lost += conf.packed ? done % 64 != pos : done != pos;
        } else {
            fe_ask(&fe, VU_RESET_DEVICE, NULL, 0, NULL, 0);
            fe_negotiate(&fe, &conf);
        }
        fe_ring_start(&fe, 1);
    }
    is_int(lost, 0, "case 19 stop in mid batch (%s): the base is what was used", kind());
    end("case 19 reset in mid batch");
}

/* ---- memory that changes while it is read ---- */

static atomic_bool flip_stop;
static uint64_t flip_at;

static void *flip(void *arg)
{
    volatile uint8_t *p = fe_at(&fe, flip_at);
    uint32_t x = 12345;

    (void)arg;
    while (!atomic_load(&flip_stop)) {
        x = x * 1664525 + 1013904223;
        p[(x >> 8) % 64] = (uint8_t)(x >> 24);
    }
    return NULL;
}

static void changing(const char *name, uint64_t at, const struct fe_seg *s, unsigned n)
{
    pthread_t t;
    unsigned good = 0, stops = 0;

    begin();
    flip_at = at;
    atomic_store(&flip_stop, false);
    pthread_create(&t, NULL, flip, NULL);
    for (unsigned i = 0; i < 300; i++) {
        fe_frame(&fe, FE_BUF(1, 0), 60);
        fe_desc(&fe, FE_TABLE(1), 0, FE_BUF(1, 0), 72, 0, 0);
        fe_post(&fe, 1, s, n);
        fe_kick(&fe, 1);
        uint64_t b =
            fe_count(&fe.stats.pair[0].tx_bad_length) + fe_count(&fe.stats.pair[0].tx_bad_header);
        for (unsigned k = 0; k < 50 && !vmmnet_ring_error(fe.net, 1); k++) {
            uint16_t id;
            uint32_t len;
            if (fe_used(&fe, 1, &id, &len))
                break;
            usleep(20);
        }
        good +=
            fe_count(&fe.stats.pair[0].tx_bad_length) + fe_count(&fe.stats.pair[0].tx_bad_header) ==
            b;
        if (vmmnet_ring_error(fe.net, 1) || i % 20 == 19) {
            stops++;
            fe_ring_stop(&fe, 1);
            fe_ring_start(&fe, 1);
        }
    }
    atomic_store(&flip_stop, true);
    pthread_join(t, NULL);
    ok(good + stops > 0, "%s (%s): no more than frames dropped and rings stopped", name, kind());
    end(name);
}

int main(void)
{
    for (unsigned p = 0; p < 2; p++) {
        conf = (struct fe_conf){.packed = p};
        p ? packed_only() : split_only();
        lengths();
        indirects();
        headers();
        odd_buffers();
        struct fe_seg plain = {FE_BUF(1, 0), 72, 0}, table = {FE_TABLE(1), 16, FE_F_INDIRECT};
        changing("case 12 descriptors change while read", FE_DESC(1), &plain, 1);
        changing("case 12 avail ring changes while read", FE_AVAIL(1), &plain, 1);
        changing("case 12 used ring changes while written", FE_USED(1), &plain, 1);
        changing("case 12 header changes while read", FE_BUF(1, 0), &plain, 1);
        changing("case 11 indirect table changes while read", FE_TABLE(1), &table, 1);
    }
    return tap_done();
}
