/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void vset(struct pw_err *err, int code,
                                                       const char *fmt, va_list ap)
{
    err->code = code;
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
}

int pw_err_set(struct pw_err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vset(err, code, fmt, ap);
        va_end(ap);
    }
    return code;
}

int pw_err_errno(struct pw_err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vset(err, code, fmt, ap);
        va_end(ap);
        size_t n = strlen(err->msg);
        const char *name = strerrordesc_np(-code);
        snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", name ? name : "unknown error");
    }
    return code;
}

int pw_err_wrap(struct pw_err *err, const char *fmt, ...)
{
    if (!err)
        return -EIO;
    char inner[PW_ERR_LEN];
    memcpy(inner, err->msg, sizeof(inner));
    va_list ap;
    va_start(ap, fmt);
    vset(err, err->code ? err->code : -EIO, fmt, ap);
    va_end(ap);
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", inner);
    return err->code;
}
