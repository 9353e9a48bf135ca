/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of hostile front-ends share: one device, and what must hold after each case. */
#ifndef PW_TESTS_HOSTILE_H
#define PW_TESTS_HOSTILE_H

#include "tests/lib/tap.h"
#include "tests/vhost/fe.h"

#define UNUSED __attribute__((unused))
#define OUTSIDE "buffer outside guest memory"

static struct fe fe;
static struct fe_conf conf;

UNUSED static void begin(void)
{
    fe_open(&fe, &conf);
    fe_up(&fe, &conf);
}

UNUSED static const char *kind(void)
{
    return conf.packed ? "packed" : "split";
}

UNUSED static void end(const char *name)
{
    ok(fe_recovers(&fe, &conf), "%s (%s): the device serves the next front-end", name, kind());
    fe_close(&fe);
}

/* The ring is stopped, for this reason. */
UNUSED static void broken(const char *name, unsigned ring, const char *why)
{
    fe_kick(&fe, ring);
    const char *got = fe_wait_error(&fe, ring);
    if (!ok(got && !strcmp(got, why), "%s (%s): ring stopped", name, kind()))
        diag("reason '%s', want '%s'", got ? got : "(not stopped)", why);
    end(name);
}

/* Refused in both ways: with an answer the connection stays, without it ends. */
UNUSED static void refused(const char *name, uint32_t request, const void *payload, uint32_t size,
                           const int *fds, unsigned nfds)
{
    unsigned open_fds = fe_count_fds();

    is_int(fe_ask(&fe, request, payload, size, fds, nfds), 1, "%s: refused with an answer", name);
    is_int(fe_count_fds(), open_fds, "%s: no descriptor is left", name);
    ok(fe_frame_passes(&fe, 1), "%s: the rings go on", name);
    ok(fe_send(&fe, request, payload, size, fds, nfds, 0) < 0, "%s: else the connection ends",
       name);
    fe_reconnect(&fe);
    fe_up(&fe, &conf);
}

/* The memory table of fe_memory(). */
UNUSED static const struct vu_memory regions = {
    .n = 2,
    .region = {{FE_GPA0, FE_REGION_SIZE, FE_UVA0, 0}, {FE_GPA1, FE_REGION_SIZE, FE_UVA1, 0}}};

#endif
