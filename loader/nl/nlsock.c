/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/nl/nlsock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* A reply to one request or a part of a dump; the kernel makes dumps' parts as large as the reads,
 * at most 32 KiB. */
#define RECV_SIZE (32 * 1024)
#define DUMP_TRIES 8

int pw_nl_open(struct pw_nl *nl, int protocol, struct pw_err *err)
{
    pw_fd fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    int on = 1;

    if (fd < 0)
        return pw_err_errno(err, -errno, "netlink socket");
    /* Niceties: text of errors, errors without a copy of the request, dumps that honour filters. */
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
    nl->fd = PW_TAKE_FD(fd);
    nl->seq = 1;
    return 0;
}

void pw_nl_close(struct pw_nl *nl)
{
    if (nl->fd >= 0)
        close(nl->fd);
    nl->fd = -1;
}

void pw_nlbatch_free(struct pw_nlbatch *b)
{
    pw_nlbuf_free(&b->buf);
    free(b->ops);
    *b = (struct pw_nlbatch)PW_NLBATCH_INIT;
}

void pw_nlbatch_add(struct pw_nlbatch *b, uint16_t type, uint16_t flags, const void *fixed,
                    size_t len, const char *what, ...)
{
    va_list ap;

    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 16;
        struct pw_nlop *ops = realloc(b->ops, cap * sizeof(*ops));
        if (!ops) {
            b->buf.failed = true;
            return;
        }
        b->ops = ops;
        b->cap = cap;
    }
    struct pw_nlop *op = &b->ops[b->n++];
    *op = (struct pw_nlop){.msg = b->buf.len};
    va_start(ap, what);
    vsnprintf(op->what, sizeof(op->what), what, ap);
    va_end(ap);
    pw_nl_begin(&b->buf, type, flags | NLM_F_REQUEST, fixed, len);
}

void pw_nlbatch_ignore_tell(struct pw_nlbatch *b, int errno_, bool *ignored)
{
    if (b->n) {
        b->ops[b->n - 1].ignore = errno_;
        b->ops[b->n - 1].ignored = ignored;
    }
}

void pw_nlbatch_ignore(struct pw_nlbatch *b, int errno_)
{
    pw_nlbatch_ignore_tell(b, errno_, NULL);
}

static void batch_reset(struct pw_nlbatch *b)
{
    b->buf.len = b->buf.msg = 0;
    b->buf.failed = false;
    b->n = 0;
}

/* Number the requests; gives the sequence number of the last that is acknowledged. */
static uint32_t number(struct pw_nl *nl, struct pw_nlbatch *b, bool ack)
{
    struct nlmsghdr h = {0};
    uint32_t acked = 0;

    for (size_t i = 0; i < b->n; i++) {
        uint8_t *p = b->buf.data + b->ops[i].msg;
        memcpy(&h, p, sizeof(h));
        h.nlmsg_seq = b->ops[i].seq = nl->seq++;
        if (h.nlmsg_flags & NLM_F_ACK)
            acked = h.nlmsg_seq;
        else if (ack && i + 1 == b->n && !acked) {
            h.nlmsg_flags |= NLM_F_ACK;
            acked = h.nlmsg_seq;
        }
        memcpy(p, &h, sizeof(h));
    }
    return acked;
}

static int send_batch(struct pw_nl *nl, struct pw_nlbatch *b, struct pw_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n;

    do {
        n = sendto(nl->fd, b->buf.data, b->buf.len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return pw_err_errno(err, -errno, "%s: netlink send", b->ops[0].what);
    return 0;
}

/* One datagram from the kernel. The kernel works on a request within the send and on a dump within
 * the read, so an answer that is not there now never comes: no read waits. */
static ssize_t receive(struct pw_nl *nl, uint8_t *buf, struct pw_err *err)
{
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t n = recvfrom(nl->fd, buf, RECV_SIZE, MSG_DONTWAIT | MSG_TRUNC,
                             (struct sockaddr *)&from, &from_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return pw_err_set(err, -EPROTO, "netlink: no answer");
        if (n < 0)
            return pw_err_errno(err, -errno, "netlink receive");
        if (n > RECV_SIZE)
            return pw_err_set(err, -EMSGSIZE, "netlink: answer of %zd bytes", n);
        if (from_len == sizeof(from) && from.nl_pid == 0)
            return n;
    }
}

static struct pw_nlop *op_of(struct pw_nlbatch *b, uint32_t seq)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->ops[i].seq == seq)
            return &b->ops[i];
    return NULL;
}

static int op_error(const struct pw_nlop *op, const struct pw_nlack *ack, struct pw_err *err)
{
    if (ack->text[0])
        return pw_err_errno(err, ack->code, "%s: %s", op->what, ack->text);
    return pw_err_errno(err, ack->code, "%s", op->what);
}

static int check_ready(struct pw_nlbatch *b, struct pw_err *err)
{
    if (b->buf.failed)
        return pw_err_set(err, -ENOMEM, "netlink: request too large");
    return 0;
}

int pw_nl_commit(struct pw_nl *nl, struct pw_nlbatch *b, pw_nl_reply_fn reply, void *arg,
                 struct pw_err *err)
{
    uint8_t buf[RECV_SIZE];
    struct pw_nlack ack;
    struct pw_nlmsg msg;
    bool done = false;
    int rc;

    if (b->n == 0 && !b->buf.failed)
        return 0;
    rc = check_ready(b, err);
    uint32_t last = rc ? 0 : number(nl, b, true);
    if (!rc)
        rc = send_batch(nl, b, err);
    if (rc) {
        batch_reset(b);
        return rc;
    }
    while (!done) {
        ssize_t n = receive(nl, buf, rc ? NULL : err);
        if (n < 0) {
            rc = rc ? rc : (int)n;
            break;
        }
        struct pw_nlcur cur = {buf, (size_t)n};
        while (pw_nl_next_msg(&cur, &msg)) {
            if (!pw_nl_ack(&msg, &ack)) {
                if (op_of(b, msg.seq) && reply && !rc)
                    rc = reply(&msg, arg, err);
                continue;
            }
            const struct pw_nlop *op = op_of(b, ack.seq);
            if (!op)
                continue;
            if (ack.code && ack.code != -op->ignore && !rc)
                rc = op_error(op, &ack, err);
            else if (ack.code && op->ignored && ack.code == -op->ignore)
                *op->ignored = true;
            if (ack.seq == last)
                done = true;
        }
    }
    batch_reset(b);
    return rc;
}

/* One pass; *again is set when it has to be repeated. */
static int dump_once(struct pw_nl *nl, struct pw_nlbatch *b, pw_nl_reply_fn reply, void *arg,
                     bool *again, struct pw_err *err)
{
    uint8_t buf[RECV_SIZE];
    struct pw_nlack ack;
    struct pw_nlmsg msg;
    const char *what = b->ops[0].what;
    int rc;

    *again = false;
    number(nl, b, false);
    uint32_t seq = b->ops[0].seq;
    rc = send_batch(nl, b, err);
    if (rc)
        return rc;
    for (;;) {
        ssize_t n = receive(nl, buf, rc ? NULL : err);
        if (n < 0)
            return rc ? rc : (int)n;
        struct pw_nlcur cur = {buf, (size_t)n};
        while (pw_nl_next_msg(&cur, &msg)) {
            if (msg.seq != seq)
                continue;
            if (msg.flags & NLM_F_DUMP_INTR)
                *again = true;
            if (msg.type == NLMSG_DONE) {
                int code = pw_nl_done(&msg);
                return code && !rc ? pw_err_errno(err, code, "%s", what) : rc;
            }
            if (pw_nl_ack(&msg, &ack))
                return ack.code && !rc ? op_error(&b->ops[0], &ack, err) : rc;
            if (!rc)
                rc = reply(&msg, arg, err);
        }
    }
}

int pw_nl_dump(struct pw_nl *nl, struct pw_nlbatch *b, pw_nl_reply_fn reply,
               void (*restart)(void *), void *arg, struct pw_err *err)
{
    bool again = true;
    int rc = check_ready(b, err);

    for (int i = 0; !rc && again && i < DUMP_TRIES; i++) {
        if (i && restart)
            restart(arg);
        rc = dump_once(nl, b, reply, arg, &again, err);
    }
    /* Under endless change the last pass is as good as any. */
    batch_reset(b);
    return rc;
}
