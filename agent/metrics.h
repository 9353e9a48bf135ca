/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PW_AGENT_METRICS_H
#define PW_AGENT_METRICS_H

#include <stdio.h>

#include "agent/agent.h"

/* All metrics, in Prometheus' text format (0.0.4); the caller frees. -ENOMEM. */
int pw_metrics_write(const struct pw_agent *a, char **out, size_t *len);

/* The value of a label, whatever it holds. */
void pw_metrics_label(FILE *f, const char *text);

#endif
