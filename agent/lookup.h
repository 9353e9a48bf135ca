/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device a pod gets whose runtime has no CNI list for its RuntimeClass: the plugin asks, in
 * ADD. PW_AGENT_SOCKET is root's alone, of SOCK_SEQPACKET: one packet asks, one answers.
 *
 *   {"namespace": N, "name": N, "uid": U}        uid may be left out
 *   {"runtimeClass": NAME, "device": KIND}       by runtimeClasses
 *   {"annotation": KIND}                         the pod asks for it: 'podDevices' of the list say
 *                                                whether it may
 *   {}                                           nothing is said of it
 *   {"error": TEXT}                              the pod is not known
 *
 * The node's pods are followed, so that an API server that is away stands in nobody's way; who asks
 * for one that is not known yet waits until it is, for at most PW_LOOKUP_SECONDS. Nothing blocks,
 * and slow clients only themselves.
 */
#ifndef PW_AGENT_LOOKUP_H
#define PW_AGENT_LOOKUP_H

#include "agent/agent.h"

#define PW_LOOKUP_SECONDS 2.0

struct pw_lookup;
/* Listen, for the life of `a`. What an agent that was killed left there is replaced. */
int pw_lookup_open(struct pw_lookup **out, struct pw_agent *a, struct pw_err *err);
/* To be waited for; -1 for none. */
int pw_lookup_fd(const struct pw_lookup *l);
/* Do what is due; returns when it wants to be called next, at the latest. */
double pw_lookup_run(struct pw_lookup *l, double now);
void pw_lookup_close(struct pw_lookup *l);

/* For the metrics. */
struct pw_lookup_counts {
    bool followed; /* the API tells of the node's pods */
    size_t pods;   /* that are known */
    unsigned long answered;
    unsigned long timed_out; /* the pod was not known in time */
    unsigned long refused;   /* not understood */
    unsigned long left;      /* who asked was gone before the answer */
};
struct pw_lookup_counts pw_lookup_counts(const struct pw_lookup *l);

#endif
