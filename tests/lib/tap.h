/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TAP for tests written in C: each check prints one line, tap_done() prints the plan and gives
 * main's exit code. A test that ends without tap_done() has no plan, and tests/run fails it.
 *
 *     int main(void)
 *     {
 *         ok(pw_addr_parse("10.0.0.1", &a, &err) == 0, "parses an IPv4 address");
 *         is_str(pw_addr_text(&a, false, buf), "10.0.0.1", "and prints it again");
 *         return tap_done();
 *     }
 *
 * Every check gives whether it held, so that what depends on it can be left out.
 */
#ifndef PW_TESTS_TAP_H
#define PW_TESTS_TAP_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAP_PRINTF(a, b) __attribute__((format(printf, a, b), unused))

static unsigned tap_run, tap_failed;

/* A line of explanation; shown when the test file fails. */
TAP_PRINTF(1, 2) static void diag(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("# ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

TAP_PRINTF(4, 5)
static bool tap_check(bool held, const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("%sok %u - ", held ? "" : "not ", ++tap_run);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    if (!held) {
        tap_failed++;
        diag("at %s:%d", file, line);
    }
    fflush(stdout); /* what was proved before a crash stays visible */
    return held;
}

#define ok(cond, ...) tap_check((cond), __FILE__, __LINE__, __VA_ARGS__)

/* Integers of any type, compared as long long. */
#define is_int(got, want, ...)                                                                     \
    ({                                                                                             \
        long long tap_got_ = (long long)(got), tap_want_ = (long long)(want);                      \
        bool tap_ok_ = tap_check(tap_got_ == tap_want_, __FILE__, __LINE__, __VA_ARGS__);          \
        if (!tap_ok_)                                                                              \
            diag("got %lld, want %lld", tap_got_, tap_want_);                                      \
        tap_ok_;                                                                                   \
    })

/* Strings; either may be NULL. */
#define is_str(got, want, ...)                                                                     \
    ({                                                                                             \
        const char *tap_got_ = (got), *tap_want_ = (want);                                         \
        bool tap_ok_ = tap_check(tap_got_ && tap_want_ ? strcmp(tap_got_, tap_want_) == 0          \
                                                       : tap_got_ == tap_want_,                    \
                                 __FILE__, __LINE__, __VA_ARGS__);                                 \
        if (!tap_ok_)                                                                              \
            diag("got '%s', want '%s'", tap_got_ ? tap_got_ : "(null)",                            \
                 tap_want_ ? tap_want_ : "(null)");                                                \
        tap_ok_;                                                                                   \
    })

/* `text` contains `part`. */
#define has_str(text, part, ...)                                                                   \
    ({                                                                                             \
        const char *tap_text_ = (text), *tap_part_ = (part);                                       \
        bool tap_ok_ =                                                                             \
            tap_check(tap_text_ && strstr(tap_text_, tap_part_), __FILE__, __LINE__, __VA_ARGS__); \
        if (!tap_ok_)                                                                              \
            diag("'%s' is not in '%s'", tap_part_, tap_text_ ? tap_text_ : "(null)");              \
        tap_ok_;                                                                                   \
    })

__attribute__((unused)) static void tap_hex(const char *what, const void *data, size_t n)
{
    const uint8_t *b = data;
    for (size_t i = 0; i < n; i += 16) {
        char line[16 * 3 + 1] = "";
        for (size_t j = i; j < n && j < i + 16; j++)
            snprintf(line + (j - i) * 3, 4, " %02x", b[j]);
        diag("%s %04zx:%s", what, i, line);
    }
}

/* `n` bytes are the same; both sides are dumped when they are not. */
#define is_mem(got, want, n, ...)                                                                  \
    ({                                                                                             \
        const void *tap_got_ = (got), *tap_want_ = (want);                                         \
        size_t tap_n_ = (n);                                                                       \
        bool tap_ok_ =                                                                             \
            tap_check(memcmp(tap_got_, tap_want_, tap_n_) == 0, __FILE__, __LINE__, __VA_ARGS__);  \
        if (!tap_ok_) {                                                                            \
            tap_hex("got ", tap_got_, tap_n_);                                                     \
            tap_hex("want", tap_want_, tap_n_);                                                    \
        }                                                                                          \
        tap_ok_;                                                                                   \
    })

/* One test left out: why first, then its name. */
TAP_PRINTF(2, 3) static void skip(const char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("ok %u - ", ++tap_run);
    vprintf(fmt, ap);
    printf(" # SKIP %s\n", why);
    va_end(ap);
}

/* The whole file left out; only as the first thing. Does not return. */
__attribute__((noreturn, unused)) static void skip_all(const char *why)
{
    printf("1..0 # SKIP %s\n", why);
    exit(0);
}

/* Nothing further can be tested: fails the file. Does not return. */
__attribute__((noreturn, format(printf, 1, 2), unused)) static void bail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("Bail out! ", stdout);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    exit(1);
}

/* Prints the plan; the value main returns. */
static inline int tap_done(void)
{
    printf("1..%u\n", tap_run);
    return tap_failed ? 1 : 0;
}

#endif
