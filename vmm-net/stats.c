// SPDX-License-Identifier: Apache-2.0
/* Counters as others see them: read from a file that the back-end, or a guest that took it over,
 * may be writing. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "vmm-net/vmmnet.h"

int vmmnet_stats_read(const char *path, struct vmmnet_stats *out, struct pw_err *err)
{
    struct vmmnet_stats s = {0};
    ssize_t n = pw_file_read(path, &s, sizeof(s), err);

    if (n < 0)
        return (int)n;
    if (n < (ssize_t)sizeof(s) || s.magic != VMMNET_STATS_MAGIC || s.size < sizeof(s) ||
        s.pairs > VMMNET_MAX_PAIRS)
        return pw_err_set(err, -EINVAL, "%s is not a counters' file of this version", path);
    s.last_error[sizeof(s.last_error) - 1] = '\0';
    for (char *p = s.last_error; *p; p++)
        if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
            *p = '?';
    *out = s;
    return 0;
}

static void pair(const struct vmmnet_counters *c, FILE *out)
{
    fprintf(out,
            "{\"tx_frames\":%" PRIu64 ",\"tx_bytes\":%" PRIu64 ",\"rx_frames\":%" PRIu64
            ",\"rx_bytes\":%" PRIu64 ",\"tx_bad_header\":%" PRIu64 ",\"tx_bad_length\":%" PRIu64
            ",\"tx_refused\":%" PRIu64 ",\"tx_discarded\":%" PRIu64 ",\"rx_truncated\":%" PRIu64
            ",\"rx_starved\":%" PRIu64 ",\"kicks\":%" PRIu64 ",\"calls\":%" PRIu64
            ",\"sleeps\":%" PRIu64 ",\"ring_errors\":%" PRIu64 "}",
            c->tx_frames, c->tx_bytes, c->rx_frames, c->rx_bytes, c->tx_bad_header,
            c->tx_bad_length, c->tx_refused, c->tx_discarded, c->rx_truncated, c->rx_starved,
            c->kicks, c->calls, c->sleeps, c->ring_errors);
}

void vmmnet_stats_json(const struct vmmnet_stats *s, FILE *out)
{
    fprintf(out,
            "{\"connected\":%s,\"connections\":%" PRIu64 ",\"refused\":%" PRIu64
            ",\"messages\":%" PRIu64 ",\"bad_messages\":%" PRIu64 ",\"features\":\"0x%" PRIx64
            "\",\"faults\":%" PRIu64 ",\"restarts\":%" PRIu64
            ",\"last_status\":%u,\"last_error\":\"%s\",\"pairs\":[",
            s->connected ? "true" : "false", s->connections, s->refused, s->messages,
            s->bad_messages, s->features, s->faults, s->restarts, s->last_status, s->last_error);
    for (unsigned i = 0; i < s->pairs; i++) {
        if (i)
            fputc(',', out);
        pair(&s->pair[i], out);
    }
    fputs("]}", out);
}
