/* SPDX-License-Identifier: Apache-2.0 */
/* This node's pods as the API tells of them, reduced to what says their device; and who asks for
 * it. Pure. */
#ifndef PW_AGENT_PODS_H
#define PW_AGENT_PODS_H

#include "agent/conf.h"

#define PW_PODS_MAX 4096 /* of a node; the rest is not known */

struct pw_pod {
    char namespace[64], name[254], uid[64];
    const struct pw_agent_class *class; /* its RuntimeClass, when that has a device */
    char asked[24];                     /* annotation podwire.io/device; "" for none */
    bool seen;                          /* in the list that is under way */
};

struct pw_pods {
    const struct pw_agent_conf *conf;
    struct pw_pod *pod; /* owned */
    size_t n, cap;
};

/* The members of a Pod that are looked at, for agent/pick.h; in a list, and in a watch's event.
 * With annotations of whatever length the API lets users write (256 KiB, six-fold when escaped). */
#define PW_PODS_KEPT (2U << 20)
extern const char *const pw_pods_keep[], *const pw_pods_keep_event[];

/* As in agent/cluster.h. */
void pw_pods_begin(struct pw_pods *p);
void pw_pods_end(struct pw_pods *p);
int pw_pods_put(struct pw_pods *p, const json_t *object, bool deleted, struct pw_err *err);

/* What is asked, and the answer: agent/lookup.h says how they look. */
#define PW_PODS_QUESTION 1024 /* bytes */
struct pw_pod_question {
    char namespace[64], name[254];
    char uid[64]; /* as the runtime has it; "" for any */
};
/* -EINVAL, and *out is of no use. */
int pw_pods_question(const char *text, size_t len, struct pw_pod_question *out, struct pw_err *err);
/* NULL: not known. */
const struct pw_pod *pw_pods_find(const struct pw_pods *p, const struct pw_pod_question *q);
/* A new reference, NULL without memory. */
json_t *pw_pods_device(const struct pw_pod *pod);
void pw_pods_free(struct pw_pods *p);

#endif
