/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "loader/base/cleanup.h"

static const char *const names[] = {"error", "warn", "info", "debug"};
static enum pw_log_level limit = PW_LOG_INFO;

void pw_log_set(enum pw_log_level level)
{
    limit = level;
}

int pw_log_find(const char *name)
{
    for (size_t i = 0; i < PW_ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static void line(enum pw_log_level level, char *text)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    if (level > limit)
        return;
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(stderr, "%s.%03ldZ %-5s %s\n", when, now.tv_nsec / 1000000, names[level], text);
}

void pw_log(enum pw_log_level level, const char *fmt, ...)
{
    char text[1536];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    line(level, text);
}

void pw_log_new(struct pw_log_again *last, double now, double every, enum pw_log_level level,
                const char *fmt, ...)
{
    char text[sizeof(last->text)];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (last->said != 0 && strcmp(text, last->text) == 0 && now - last->said < every)
        return;
    snprintf(last->text, sizeof(last->text), "%s", text);
    last->said = now;
    line(level, text);
}

void pw_log_well(struct pw_log_again *last, const char *text)
{
    if (last->said != 0)
        pw_log(PW_LOG_INFO, "%s", text);
    last->said = 0;
}
