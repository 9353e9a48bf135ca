/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back-ends of vhost-user devices (loader/vhost.h). Each has a supervisor of its own; the agent is
 * for the case that this was killed too. A back-end is started as on the node itself, in the mount
 * namespace of its first process and out of the container's control groups, so that it outlives the
 * agent and its container; where that cannot be seen (a container without hostPID), none is
 * started.
 */
#ifndef PW_AGENT_BACKENDS_H
#define PW_AGENT_BACKENDS_H

#include "agent/agent.h"

/* Start again those that do not run. Cheap when all do. */
void pw_backends_keep(struct pw_agent *a, double now);

#endif
