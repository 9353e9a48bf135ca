/* SPDX-License-Identifier: Apache-2.0 */
/* Words and numbers out of a line, with what is no number told from zero. Each function skips
 * blanks, takes one thing and moves `*at` behind it; on failure `*at` stays. */
#ifndef PW_BENCH_SCAN_H
#define PW_BENCH_SCAN_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline const char *nb_scan_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* A whole number without sign, in base 10 or 16. */
static inline bool nb_scan_u64(const char **at, int base, uint64_t *out)
{
    const char *s = nb_scan_blanks(*at);
    char *end;
    if (!strchr("0123456789abcdef", *s) || *s == '\0')
        return false;
    errno = 0;
    unsigned long long v = strtoull(s, &end, base);
    if (errno || end == s)
        return false;
    *out = v;
    *at = end;
    return true;
}

/* A decimal number. */
static inline bool nb_scan_double(const char **at, double *out)
{
    const char *s = nb_scan_blanks(*at);
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (errno || end == s)
        return false;
    *out = v;
    *at = end;
    return true;
}

/* A word up to the next blank or end of line, cut to fit. */
static inline bool nb_scan_word(const char **at, char *out, size_t size)
{
    const char *s = nb_scan_blanks(*at);
    size_t n = strcspn(s, " \t\n"), k = n < size ? n : size - 1;
    if (n == 0)
        return false;
    memcpy(out, s, k);
    out[k] = '\0';
    *at = s + n;
    return true;
}

/* The text `word`, exactly. */
static inline bool nb_scan_text(const char **at, const char *word)
{
    const char *s = nb_scan_blanks(*at);
    size_t n = strlen(word);
    if (strncmp(s, word, n) != 0)
        return false;
    *at = s + n;
    return true;
}

/* Nothing more but the end of the line. */
static inline bool nb_scan_end(const char *at)
{
    return at[strspn(at, " \t\n")] == '\0';
}

#endif
