/* SPDX-License-Identifier: Apache-2.0 */
/* Running CNI plugins, as a runtime would. */
#ifndef PW_AGENT_PLUGIN_H
#define PW_AGENT_PLUGIN_H

#include "agent/conf.h"

/* DEL of an attachment, whose namespace is gone, by all plugins of the list on a node with these
 * ranges, the last first. Waits for each at most some seconds. The first failure is returned, after
 * all had their turn. */
int pw_plugin_del(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                  const char *container_id, const char *ifname, struct pw_err *err);

#endif
