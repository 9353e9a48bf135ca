/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench/clock.h"

#define BAR 24

void nb_progress_start(struct nb_progress *p, bool wanted, unsigned total)
{
    p->on = wanted && isatty(STDERR_FILENO);
    p->start = nb_now();
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
    for (unsigned i = 0; i < BAR; i++)
        bar[i] = i < done * BAR / p->total ? '#' : '.';
    bar[BAR] = '\0';
    /* The first steps say little about the rest. */
    if (done >= 3) {
        unsigned s =
            (unsigned)((double)(nb_now() - p->start) / done * (p->total - done) / 1e9 + 0.5);
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
    if (p->on)
        fputs("\r\033[K", stderr);
}
