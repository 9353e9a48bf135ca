/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/scan.h"
#include "loader/base/clock.h"

#define BAR 24

void nb_progress_start(struct nb_progress *p, bool wanted, unsigned total)
{
    p->told = wanted && getenv(NB_STEPS_ENV);
    p->on = wanted && (p->told || isatty(STDERR_FILENO));
    p->start = pw_clock_ns();
    p->total = total ? total : 1;
}

void nb_progress_step(struct nb_progress *p, unsigned done, const char *fmt, ...)
{
    char what[160], bar[BAR + 1], left[32] = "";
    struct winsize ws = {0};
    va_list ap;
    if (!p->on)
        return;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (p->told) {
        dprintf(NB_STEPS_FD, NB_STEP "%u %u %s\n", done, p->total, what);
        return;
    }
    for (unsigned i = 0; i < BAR; i++)
        bar[i] = i < done * BAR / p->total ? '#' : '.';
    bar[BAR] = '\0';
    /* The first steps say little about the rest. */
    if (done >= 3) {
        unsigned s =
            (unsigned)((double)(pw_clock_ns() - p->start) / done * (p->total - done) / 1e9 + 0.5);
        if (s >= 60)
            snprintf(left, sizeof(left), "%um%02us left", s / 60, s % 60);
        else
            snprintf(left, sizeof(left), "%us left", s);
    }
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 40 ? ws.ws_col : 80;
    int room = width - BAR - 9 - 13;
    fprintf(stderr, "\r[%s] %3u%%  %-*.*s %12s", bar, done * 100 / p->total, room, room, what,
            left);
    fflush(stderr);
}

void nb_progress_end(struct nb_progress *p)
{
    if (p->on && !p->told)
        fputs("\r\033[K", stderr);
}

void nb_progress_follow(void *progress, const char *text)
{
    struct nb_progress *p = progress;
    const char *at = NULL, *end;
    uint64_t done, total;
    /* The last step that is there as a whole. */
    for (const char *s = text; (s = strstr(s, NB_STEP)) && (end = strchr(s, '\n')); s = end)
        at = s + strlen(NB_STEP);
    if (!at || !nb_scan_u64(&at, 10, &done) || !nb_scan_u64(&at, 10, &total))
        return;
    at = nb_scan_blanks(at);
    end = strchr(at, '\n');
    if (total != p->total || done == 0)
        nb_progress_start(p, p->on, (unsigned)total);
    nb_progress_step(p, (unsigned)done, "guest: %.*s", (int)(end - at), at);
}
