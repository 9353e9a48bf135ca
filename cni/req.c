/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/req.h"

#include <string.h>

#include "loader/base/cleanup.h"

int pw_req_read_fd(int fd, char **text, size_t *len, struct pw_err *err)
{
    size_t cap = 16384, n = 0;
    pw_free char *buf = malloc(cap);

    while (buf) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pw_err_set(err, PW_CNI_IO, "read configuration from stdin: %s",
                              strerrordesc_np(errno));
        if (got == 0) {
            *text = PW_TAKE_PTR(buf);
            *len = n;
            return 0;
        }
        n += (size_t)got;
        if (n > PW_STDIN_MAX)
            return pw_err_set(err, PW_CNI_DECODE, "configuration on stdin is larger than %lu bytes",
                              PW_STDIN_MAX);
        if (n == cap) {
            char *more = realloc(buf, cap *= 2);
            if (!more)
                break;
            buf = more;
        }
    }
    return pw_err_set(err, PW_CNI_IO, "no memory for the configuration on stdin");
}

void pw_req_free(struct pw_req *req)
{
    pw_netconf_free(&req->conf);
    free(req->text);
    req->text = NULL;
}
