// SPDX-License-Identifier: Apache-2.0
/* pw-test: timeout=180 */
/* What a hostile guest can do with its receive ring, while frames come for it. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/vhost/hostile.h"

static int tap_fd = -1, packet = -1;

static void begin_rx(void)
{
    char old[2048];

    while (read(tap_fd, old, sizeof(old)) > 0) {
        /* frames that the case before left behind */
    }
    conf.tap = tap_fd < 0 ? 0 : fcntl(tap_fd, F_DUPFD_CLOEXEC, 3);
    begin();
}

static void post_rx(uint64_t addr, uint32_t len, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct fe_seg s = {addr + (uint64_t)i * len, len, FE_F_WRITE};
        fe_post(&fe, 0, &s, 1);
    }
}

static void broken_rx(const char *name, const char *why)
{
    fe_kick(&fe, 0);
    fe_inject(packet, 60);
    const char *got = fe_wait_error(&fe, 0);
    if (!ok(got && !strcmp(got, why), "%s (%s): ring stopped", name, kind()))
        diag("reason '%s', want '%s'", got ? got : "(not stopped)", why);
    end(name);
}

static void receive(void)
{
    begin_rx();
    post_rx(FE_BUF(0, 0), 2048, 32);
    fe_kick(&fe, 0);
    fe_inject(packet, 100);
    is_int(fe_wait(&fe, 0, 1), 1, "(%s) a frame arrives", kind());
    is_mem((uint8_t *)fe_at(&fe, FE_BUF(0, 0)) + 10, "\x01\0\x02\0\0\0\0\x01", 8,
           "(%s) one buffer, and its bytes", kind());
    is_int(fe_count(&fe.stats.pair[0].rx_bytes), 100, "(%s) counted", kind());
    end("receive");

    begin_rx();
    struct fe_seg s = {FE_BUF(0, 0), 2048, 0};
    fe_post(&fe, 0, &s, 1);
    broken_rx("case 13 a receive buffer to read from", "descriptor of the wrong direction");

    begin_rx();
    post_rx(0x10000000, 2048, 1);
    broken_rx("case 8 receive buffer nowhere", OUTSIDE);

    begin_rx();
    post_rx(FE_BUF(0, 0), 0, 1);
    broken_rx("case 6 receive buffer of no length", "empty receive buffer");

    /* A frame over 72 buffers of one byte. The ring must hold them all. */
    struct fe_conf keep = conf;
    conf.num = 128;
    begin_rx();
    post_rx(FE_BUF(0, 0), 1, 128);
    fe_kick(&fe, 0);
    fe_inject(packet, 60);
    is_int(fe_wait(&fe, 0, 72), 72, "case 17 one-byte receive buffers (%s): 72 of them", kind());
    is_int(((uint8_t *)fe_at(&fe, FE_BUF(0, 0)))[10], 72, "case 17 (%s): and the header says so",
           kind());
    fe_inject(packet, 60); /* 56 are left: too few */
    ok(fe_wait_count(&fe.stats.pair[0].rx_truncated, 1) || fe_count(&fe.stats.pair[0].rx_starved),
       "case 17 one-byte receive buffers (%s): too few for the next", kind());
    end("case 17 one-byte receive buffers");
    conf = keep;

    begin_rx();
    for (unsigned i = 0; i < 16; i++)
        post_rx(FE_DESC(0), 0x40000, 1); /* the whole of ring 0's memory */
    fe_kick(&fe, 0);
    for (unsigned i = 0; i < 20; i++)
        fe_inject(packet, 1500);
    is_int(fe_send(&fe, VU_SET_OWNER, NULL, 0, NULL, 0, 0), 0,
           "case 16 receive buffers on the rings (%s): the guest ruins itself, we answer", kind());
    end("case 16 receive buffers on the rings");

    begin_rx();
    unsigned maps = fe_count_maps();
    uint64_t sent = 0;
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned k = 0; k < 20; k++)
            fe_inject(packet, 1500);
        sent += fe_frame_passes(&fe, 1);
    }
    is_int(sent, 50, "case 18 no receive buffers, both sides flood (%s): transmit goes on", kind());
    is_int(fe_count_maps(), maps, "case 18 (%s): nothing is queued here", kind());
    post_rx(FE_BUF(0, 0), 2048, 32);
    fe_kick(&fe, 0);
    ok(fe_wait(&fe, 0, 1) == 1, "case 18 (%s): posted at last, frames arrive", kind());
    end("case 18");

    /* A guest that is slow to post more, not one that never will. */
    begin_rx();
    post_rx(FE_BUF(0, 0), 1024, 1);
    fe_kick(&fe, 0);
    for (unsigned i = 0; i < 20; i++)
        fe_inject(packet, 1400);
    ok(fe_wait_count(&fe.stats.pair[0].rx_truncated, 1),
       "(%s) a frame that did not fit for too long is lost", kind());
    usleep(2000);
    post_rx(FE_BUF(0, 8), 2048, 40);
    fe_kick(&fe, 0);
    ok(fe_wait(&fe, 0, 10) == 10, "(%s) those behind it are not", kind());
    end("slow guest");
    conf.tap = 0;
}

int main(void)
{
    if (!fe_tap("t0", &tap_fd, &packet))
        skip_all("no tap can be made here");
    for (unsigned p = 0; p < 2; p++) {
        conf = (struct fe_conf){.packed = p};
        receive();
    }
    return tap_done();
}
