/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI lists: what they say, and when they are there. */
#ifndef PW_AGENT_CONFLIST_H
#define PW_AGENT_CONFLIST_H

#include "agent/conf.h"

/* The list for pods of a RuntimeClass, or for all others (`class` NULL), on a node with these pod
 * ranges. A new reference; NULL without memory. Pure. */
json_t *pw_conflist_make(const struct pw_agent_conf *conf, const struct pw_agent_class *class,
                         const struct pw_addr *pods, size_t n_pods);

/*
 * Whether the lists should be there. A runtime calls a node without a list not ready, so that is
 * not for what passes: an API server that is away changes nothing (`known` false), and what keeps
 * the node from taking pods must have lasted for `patience` seconds. Pure; `since` is the caller's
 * to keep, 0 at first: when it began.
 */
enum pw_conflist_action { PW_CONFLIST_KEEP, PW_CONFLIST_WRITE, PW_CONFLIST_WITHDRAW };
enum pw_conflist_action pw_conflist_decide(bool known, bool can, double now, double patience,
                                           double *since);

/* Write all of them, each by one rename inside its folder, those that differ from what is there.
 * *changed: how many. */
int pw_conflist_write(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                      size_t *changed, struct pw_err *err);
/*
 * Keep those that are there, but have them take no pods, and say `why`: a runtime can take a pod's
 * network away only with a list. One that is missing is made for pods of these ranges, when there
 * are any. *changed: how many.
 */
int pw_conflist_close(const struct pw_agent_conf *conf, const struct pw_addr *pods, size_t n_pods,
                      const char *why, size_t *changed, struct pw_err *err);
/* Remove them, and what a killed writer left. Success when there are none. */
int pw_conflist_remove(const struct pw_agent_conf *conf, size_t *removed, struct pw_err *err);
/* Whether the list for most pods is there. */
bool pw_conflist_there(const struct pw_agent_conf *conf);
/* -ENOENT when a plugin that the lists name is not in cni.pluginDirectory. */
int pw_conflist_plugins(const struct pw_agent_conf *conf, struct pw_err *err);

#endif
