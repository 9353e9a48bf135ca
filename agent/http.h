/* SPDX-License-Identifier: Apache-2.0 */
/* /healthz, /readyz and /metrics, served by the agent's own loop. */
#ifndef PW_AGENT_HTTP_H
#define PW_AGENT_HTTP_H

#include "agent/agent.h"

struct pw_http;

/* Listen on "ADDRESS:PORT" ("[::1]:9470", ":9470" for all). */
int pw_http_open(struct pw_http **out, const char *listen, struct pw_agent *a, struct pw_err *err);
/* To be polled for input; -1 when there is none (`http` may be NULL). */
int pw_http_fd(const struct pw_http *http);
/* Serve what has come. */
void pw_http_run(struct pw_http *http);
/* Seconds until it wants to run without input; negative: never. */
double pw_http_timeout(const struct pw_http *http);
void pw_http_close(struct pw_http *http);

/* "ADDRESS:PORT" into its parts. Pure. -EINVAL. */
int pw_http_parse(const char *listen, char address[64], uint16_t *port, struct pw_err *err);

#endif
