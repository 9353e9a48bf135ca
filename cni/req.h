/* SPDX-License-Identifier: Apache-2.0 */
/* One request: environment, the bytes of stdin, and what they say. */
#ifndef PW_CNI_REQ_H
#define PW_CNI_REQ_H

#include "cni/conf.h"

struct pw_req {
    struct pw_env env;
    char *text; /* stdin, handed to delegated plugins as it is; owned */
    size_t len;
    struct pw_netconf conf;
};
#define PW_REQ_INIT {.text = NULL}

/* Read stdin to its end into a new buffer. PW_CNI_IO; PW_CNI_DECODE beyond PW_STDIN_MAX bytes. */
#define PW_STDIN_MAX (256UL * 1024 * 1024)
int pw_req_read_fd(int fd, char **text, size_t *len, struct pw_err *err);
void pw_req_free(struct pw_req *req);

#endif
