/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was left while nobody looked: entries and pins of devices that are gone; endpoints of pods
 * that are. The latter only where it is certain: the pod's network namespace is gone by its path,
 * and the API, asked now, has no such pod on this node.
 */
#ifndef PW_AGENT_RECONCILE_H
#define PW_AGENT_RECONCILE_H

#include "agent/agent.h"

/* Look for it, and ask the API when there is something to ask about. */
void pw_reconcile(struct pw_agent *a, double now);
/* What is under way; returns when it wants to be called next. */
double pw_reconcile_run(struct pw_agent *a, double now);
void pw_reconcile_stop(struct pw_agent *a);

/* Interfaces of pods that a runtime has still to take away: of one network, or (NULL) of all. */
size_t pw_reconcile_attached(const char *network);

#endif
