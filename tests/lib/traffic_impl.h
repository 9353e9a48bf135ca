/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the flow engine share; tests include traffic.h. */
#ifndef PW_TESTS_TRAFFIC_IMPL_H
#define PW_TESTS_TRAFFIC_IMPL_H

#include "tests/lib/traffic.h"

#define PATTERN 65521U /* prime, so that no power of two of bytes shifts into the same content */
#define CHUNK 65536U
/* Given to the kernel at once: more than a segment of BIG TCP, which so comes about by itself. */
#define SENT (4 * CHUNK)
#define MAX_WINDOW 64U
#define MAX_FLOWS 512U

enum phase { RUNNING, ENDING, DONE, FAILED };

/* A direction of a TCP flow. */
struct half {
    uint64_t sent, got;
    bool shut, eof;
};

struct tr_state {
    unsigned nr;
    enum phase phase;
    int client, listener, server;
    bool connected;
    struct half up, down;         /* TCP */
    uint64_t next, answered;      /* messages */
    uint64_t waiting[MAX_WINDOW]; /* number + 1 of the message under way in this slot */
    unsigned length[MAX_WINDOW];  /* its payload */
    unsigned long long progress;  /* when something last moved */
    uint64_t at_step;             /* `moved` when the current step was over */
    unsigned size;                /* of the largest message, lowered to the path's MTU */
    unsigned told;                /* how often of an MTU that `size` fits already */
};

/* The bytes of a stream from `offset` on, SENT of them; `salt` tells streams apart. */
const uint8_t *tr_content(unsigned salt, uint64_t offset);
__attribute__((format(printf, 2, 3))) void tr_fail(struct tr_flow *f, const char *fmt, ...);
/* n bytes or messages arrived. */
void tr_moved(struct tr_flow *f, uint64_t n);
/* What the server learned of the client; false (and failed) when it is not as it must be. */
bool tr_met(struct tr_flow *f, const union nsx_addr *peer, unsigned ttl);

static inline bool tr_is6(const struct tr_flow *f)
{
    return f->spec.dst.sa.sa_family == AF_INET6;
}

/* Do what can be done without waiting; `stop`: send nothing new. */
void tr_message_turn(struct tr_flow *f, bool stop);
/* The path's MTU as the client's socket has it; 0 when it has none. */
unsigned tr_path_mtu(const struct tr_flow *f);

#endif
