/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/work.h"

#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"

const struct nb_work nb_works[] = {
    {"tcp-stream", "TCP stream, 1 flow", NB_TCP_STREAM, false, true, false, true, "Gbit/s", "GB"},
    {"tcp-stream-rev", "TCP stream, 1 flow, server to client", NB_TCP_STREAM, false, false, true,
     true, "Gbit/s", "GB"},
    {"tcp-stream-n", "TCP stream, N flows", NB_TCP_STREAM, true, true, false, true, "Gbit/s", "GB"},
    {"tcp-stream-bidir", "TCP stream, N flows, both directions at once", NB_TCP_STREAM, true, true,
     true, false, "Gbit/s", "GB"},
    {"tcp-rr", "TCP request and response", NB_TCP_RR, false, true, true, true, "req/s", "request"},
    {"tcp-crr", "TCP connect, request, response, close", NB_TCP_CRR, false, true, true, true,
     "conn/s", "connection"},
    {"udp-rr", "UDP request and response", NB_UDP_RR, false, true, true, true, "req/s", "request"},
    {"udp-rate", "UDP packets as fast as they go", NB_UDP_RATE, false, true, false, true, "pkt/s",
     "packet"},
    {"tap-rate", "UDP frames written to a guest's tap", NB_TAP_RATE, false, true, false, false,
     "pkt/s", "packet"},
    {"iperf3", "TCP stream by iperf3", NB_IPERF3, false, true, false, false, "Gbit/s", "GB"},
    {"iperf3-rev", "TCP stream by iperf3, server to client", NB_IPERF3, false, false, true, false,
     "Gbit/s", "GB"},
    {"sockperf", "UDP request and response by sockperf", NB_SOCKPERF, false, true, true, false,
     "req/s", "request"},
};
const unsigned nb_nworks = PW_ARRAY_SIZE(nb_works);

const struct nb_work *nb_work_find(const char *name)
{
    for (unsigned i = 0; i < nb_nworks; i++)
        if (strcmp(nb_works[i].name, name) == 0)
            return &nb_works[i];
    return NULL;
}

const char *nb_work_baseline(const struct nb_work *w)
{
    return w->kind == NB_TAP_RATE ? "tap-mirred-ptp" : "host";
}

static bool by_bytes(const struct nb_work *w)
{
    return w->kind == NB_TCP_STREAM || w->kind == NB_IPERF3;
}

double nb_work_rate(const struct nb_work *w, const struct nb_sample *s)
{
    if (s->ns == 0)
        return 0;
    if (by_bytes(w))
        return (double)s->bytes * 8 / (double)s->ns;
    return (double)s->ops * 1e9 / (double)s->ns;
}

double nb_work_amount(const struct nb_work *w, const struct nb_sample *s)
{
    return by_bytes(w) ? (double)s->bytes / 1e9 : (double)s->ops;
}

void nb_work_number(const struct nb_work *w, uint64_t requests, uint64_t *warm, uint64_t *run)
{
    switch (w->kind) {
    case NB_TCP_STREAM:
        *run = requests * 8192;
        break; /* a request costs about as much as 8 KiB */
    case NB_TCP_CRR:
        *run = requests / 4;
        break;
    case NB_UDP_RATE:
        *run = requests * 2;
        break;
    case NB_TAP_RATE:
        *run = requests < 2000 ? requests * 2 : 4000; /* what fits into the receiver's socket */
        break;
    default:
        *run = requests;
        break;
    }
    *run = *run ? *run : 1;
    /* Caches, routes, neighbours and the stream's window have settled after that. */
    *warm = *run / 5 + 10;
}

const char *nb_work_count_per(const struct nb_work *w)
{
    return by_bytes(w) ? "MB" : w->per;
}

double nb_work_count_amount(const struct nb_work *w, const struct nb_sample *s)
{
    return by_bytes(w) ? (double)s->bytes / 1e6 : (double)s->ops;
}

bool nb_work_has_latency(const struct nb_work *w)
{
    return !by_bytes(w) && w->kind != NB_UDP_RATE && w->kind != NB_TAP_RATE;
}

bool nb_work_available(const struct nb_work *w, int family, char why[200])
{
    const char *prog = w->kind == NB_IPERF3 ? "iperf3" : w->kind == NB_SOCKPERF ? "sockperf" : NULL;
    if (prog && !nb_have(prog)) {
        snprintf(why, 200, "the program '%s' is missing (Debian package of that name)", prog);
        return false;
    }
    if (w->kind == NB_SOCKPERF && family == 6) {
        snprintf(why, 200, "sockperf is used over IPv4 only");
        return false;
    }
    return true;
}
