/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink answers: the socket's calls are replaced, so that the codec, the socket layer and every
 * reader of the verbs see the input as what the kernel sent. */
#include "loader/nl/link.h"
#include "loader/nl/route.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
ssize_t __wrap_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                        socklen_t *addr_len);
ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                      socklen_t addr_len);

static const uint8_t *input;
static size_t input_len;

/* Datagrams: two bytes of length, then so many bytes. */
ssize_t __wrap_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                        socklen_t *addr_len)
{
    (void)fd;
    (void)flags;
    if (input_len < 2) {
        errno = EAGAIN;
        return -1;
    }
    size_t n = (size_t)(input[0] | input[1] << 8);
    input += 2;
    input_len -= 2;
    if (n > input_len)
        n = input_len;
    memcpy(buf, input, n < len ? n : len);
    input += n;
    input_len -= n;
    struct sockaddr_nl from = {.nl_family = AF_NETLINK};
    memcpy(addr, &from, sizeof(from));
    *addr_len = sizeof(from);
    return (ssize_t)n;
}

ssize_t __wrap_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                      socklen_t addr_len)
{
    (void)fd;
    (void)buf;
    (void)flags;
    (void)addr;
    (void)addr_len;
    return (ssize_t)len;
}

static int seen(const void *entry, void *arg, struct pw_err *err)
{
    (void)entry;
    (void)err;
    return ++*(int *)arg > 100000 ? -E2BIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pw_nl nl = {.fd = -1, .seq = 1};
    struct pw_err err = PW_ERR_INIT;
    struct pw_link link, *links = NULL;
    int count = 0;
    size_t n = 0;
    const struct pw_list_cb cb = {seen, NULL, &count};

    if (size < 1)
        return 0;
    input = data + 1;
    input_len = size - 1;
    switch (data[0] % 7) {
    case 0:
        pw_link_get(&nl, 0, "eth0", &link, &err);
        break;
    case 1:
        if (pw_link_list(&nl, &links, &n, &err) == 0)
            free(links);
        break;
    case 2:
        pw_addr_list(&nl, 0, &cb, &err);
        break;
    case 3:
        pw_route_list(&nl, 4, &cb, &err);
        break;
    case 4:
        pw_neigh_list(&nl, 3, &cb, &err);
        break;
    case 5:
        pw_rule_list(&nl, 6, &cb, &err);
        break;
    default: {
        struct pw_nlbatch b = PW_NLBATCH_INIT;
        pw_link_set_up(&b, 1, true);
        pw_link_del(&b, 2, "x");
        pw_nl_commit(&nl, &b, NULL, NULL, &err);
        pw_nlbatch_free(&b);
    }
    }
    return 0;
}
