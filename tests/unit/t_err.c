/* SPDX-License-Identifier: Apache-2.0 */
/* loader/base/err.c: messages are built up from the inside and never overrun; NULL is allowed. */
#include "loader/base/err.h"
#include "tests/lib/tap.h"

int main(void)
{
    struct pw_err err = PW_ERR_INIT;

    is_int(pw_err_set(&err, -EBUSY, "link %s", "nk1"), -EBUSY, "set returns the code");
    is_int(err.code, -EBUSY, "and keeps it");
    is_str(err.msg, "link nk1", "message");

    is_int(pw_err_wrap(&err, "attach %d", 7), -EBUSY, "wrap returns the first code");
    is_str(err.msg, "attach 7: link nk1", "wrap puts its words before");

    is_int(pw_err_errno(&err, -ENOENT, "open %s", "/x"), -ENOENT, "errno returns the code");
    is_str(err.msg, "open /x: No such file or directory", "errno adds the errno's text");
    pw_err_errno(&err, -123456, "x");
    is_str(err.msg, "x: unknown error", "an errno that does not exist");

    err = (struct pw_err)PW_ERR_INIT;
    is_int(pw_err_wrap(&err, "outer"), -EIO, "wrapping nothing is an error all the same");
    is_int(pw_err_set(NULL, -EPERM, "x"), -EPERM, "set without an object");
    is_int(pw_err_errno(NULL, -EPERM, "x"), -EPERM, "errno without an object");
    is_int(pw_err_wrap(NULL, "x"), -EIO, "wrap without an object");

    char big[2 * PW_ERR_LEN];
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    struct {
        struct pw_err err;
        char guard[16];
    } g;
    memset(&g, 'G', sizeof(g));
    pw_err_set(&g.err, -EINVAL, "%s", big);
    is_int(strlen(g.err.msg), PW_ERR_LEN - 1, "a long message is cut");
    pw_err_wrap(&g.err, "%s", "prefix");
    is_int(strlen(g.err.msg), PW_ERR_LEN - 1, "cut when wrapped");
    ok(strncmp(g.err.msg, "prefix: aaaa", 12) == 0, "keeping its beginning");
    pw_err_errno(&g.err, -EINVAL, "%s", big);
    is_int(strlen(g.err.msg), PW_ERR_LEN - 1, "cut with an errno");
    is_mem(g.guard, "GGGGGGGGGGGGGGGG", 16, "nothing after the object is touched");
    return tap_done();
}
