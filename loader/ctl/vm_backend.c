/* SPDX-License-Identifier: Apache-2.0 */
/* The back-end of a vhost-user device: whether it runs, and what it has counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/fs.h"
#include "loader/ctl/vm.h"
#include "loader/vhost.h"
#include "vmm-net/vmmnet.h"

_Static_assert(PW_VHOST_MAX_QUEUES == VMMNET_MAX_PAIRS, "queues of a back-end");

static bool counters(const char *tap, struct vmmnet_stats *s)
{
    char path[64];

    pw_vhost_stats_path(tap, path);
    return vmmnet_stats_read(path, s, NULL) == 0;
}

/* The supervisor's one child, which serves the VMM; 0 while there is none. */
static pid_t worker_of(pid_t supervisor)
{
    char path[64], text[16];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)supervisor, (int)supervisor);
    ssize_t n = supervisor ? pw_file_read_text(path, text, sizeof(text), NULL) : -1;
    return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* As podwire-vhost --show-stats prints it. */
static json_t *counters_json(const struct vmmnet_stats *s)
{
    pw_free char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return NULL;
    vmmnet_stats_json(s, f);
    return fclose(f) ? NULL : json_loads(text, 0, NULL);
}

json_t *vm_backend_json(const char *tap)
{
    struct pw_err err = PW_ERR_INIT;
    struct vmmnet_stats s;
    pid_t pid, worker;
    int rc = pw_vhost_check(tap, &pid, &err);
    json_t *o = json_pack("{s:b}", "running", rc == 0 || pid);

    if (o && pid)
        json_object_set_new(o, "pid", json_integer(pid));
    if (o && (worker = worker_of(pid)))
        json_object_set_new(o, "worker", json_integer(worker));
    if (o && rc)
        json_object_set_new(o, "problem", json_string(err.msg));
    if (o && counters(tap, &s))
        json_object_set_new(o, "counters", counters_json(&s));
    return o;
}

static unsigned long long sum(const struct vmmnet_stats *s, size_t offset)
{
    unsigned long long n = 0;

    for (unsigned i = 0; i < s->pairs; i++)
        n += *(const uint64_t *)((const char *)&s->pair[i] + offset);
    return n;
}
#define SUM(field) sum(&s, offsetof(struct vmmnet_counters, field))

void vm_backend_show(const struct ctl *ctl, const char *tap)
{
    struct pw_err err = PW_ERR_INIT;
    struct vmmnet_stats s;
    pid_t pid;

    if (pw_vhost_check(tap, &pid, &err))
        printf("  %-11s %s%s%s\n", "back-end", ctl_paint(ctl, PAINT_RED), err.msg,
               ctl_paint(ctl, PAINT_PLAIN));
    else
        printf("  %-11s running, process %d, supervised by %d\n", "back-end", (int)worker_of(pid),
               (int)pid);
    if (!counters(tap, &s))
        return;
    printf("  %-11s %sconnected, %llu connections, restarted %llu times\n", "VMM",
           s.connected ? "" : "not ", (unsigned long long)s.connections,
           (unsigned long long)s.restarts);
    printf("  %-11s %llu frames, %llu bytes; refused %llu, bad %llu\n", "from guest",
           SUM(tx_frames), SUM(tx_bytes), SUM(tx_refused), SUM(tx_bad_header) + SUM(tx_bad_length));
    printf("  %-11s %llu frames, %llu bytes; cut off %llu, no buffers %llu times\n", "to guest",
           SUM(rx_frames), SUM(rx_bytes), SUM(rx_truncated), SUM(rx_starved));
    if (s.last_error[0])
        printf("  %-11s %s\n", "last error", s.last_error);
}
