/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink socket: sequence numbers, acknowledgements with the kernel's own words in the error,
 * dumps that are repeated when they were interrupted, several requests in one send.
 */
#ifndef PW_NL_NLSOCK_H
#define PW_NL_NLSOCK_H

#include "loader/base/cleanup.h"
#include "loader/base/err.h"
#include "loader/nl/nlmsg.h"

/* A socket belongs to the network namespace it was opened in and stays there. */
struct pw_nl {
    int fd;
    uint32_t seq;
};
#define PW_NL_INIT {-1, 0}

/* `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_XFRM ... */
int pw_nl_open(struct pw_nl *nl, int protocol, struct pw_err *err);
void pw_nl_close(struct pw_nl *nl);

/*
 * Requests that are sent together, in order. The kernel goes on after one that fails, so what a
 * failed batch left is for the caller to undo. A batch can be filled again after it was sent.
 */
#define PW_NL_WHAT 96
struct pw_nlop {
    size_t msg;    /* offset in buf */
    int ignore;    /* errno that counts as success, or 0 */
    bool *ignored; /* set when it came; or NULL */
    uint32_t seq;
    char what[PW_NL_WHAT]; /* for the error: "add address 10.1.0.5/32" */
};
struct pw_nlbatch {
    struct pw_nlbuf buf;
    struct pw_nlop *ops; /* owned */
    size_t n, cap;
};
#define PW_NLBATCH_INIT {{NULL, 0, 0, 0, false}, NULL, 0, 0}
void pw_nlbatch_free(struct pw_nlbatch *b);

/* Begin the next request (NLM_F_REQUEST is added); `what` names it in errors. */
__attribute__((format(printf, 6, 7))) void pw_nlbatch_add(struct pw_nlbatch *b, uint16_t type,
                                                          uint16_t flags, const void *fixed,
                                                          size_t len, const char *what, ...);
/* The request begun last may fail with `errno_` (ENODEV on delete ...). */
void pw_nlbatch_ignore(struct pw_nlbatch *b, int errno_);
/* The same, and *ignored becomes true at commit if it did. */
void pw_nlbatch_ignore_tell(struct pw_nlbatch *b, int errno_, bool *ignored);

/* Called for each message that answers a request; a negative value ends the reading and is returned
 * (the rest of the answer is still taken from the socket). */
typedef int (*pw_nl_reply_fn)(const struct pw_nlmsg *msg, void *arg, struct pw_err *err);

/*
 * Send all requests in one system call and wait for their answers. One acknowledgement is asked
 * for, with the last request; where the caller set NLM_F_ACK itself, nothing is added. Returns the
 * first failure that is not ignored. Empties the batch. `reply` may be NULL.
 */
int pw_nl_commit(struct pw_nl *nl, struct pw_nlbatch *b, pw_nl_reply_fn reply, void *arg,
                 struct pw_err *err);

/* Send the one request in `b` as a dump. Started again when the kernel says that it changed
 * meanwhile; `restart` (may be NULL) is called first, so that what was collected can be dropped. */
int pw_nl_dump(struct pw_nl *nl, struct pw_nlbatch *b, pw_nl_reply_fn reply,
               void (*restart)(void *), void *arg, struct pw_err *err);

#define pw_nlsock pw_cleanup(pw_nl_close) struct pw_nl
#define pw_nlbatch_auto pw_cleanup(pw_nlbatch_free) struct pw_nlbatch

#endif
