/* SPDX-License-Identifier: Apache-2.0 */
/* The ways into a pod, each a constant table of verbs. */
#ifndef PW_BENCH_PATH_H
#define PW_BENCH_PATH_H

#include "bench/site.h"

enum nb_group { NB_GROUP_HOST, NB_GROUP_CONTAINER, NB_GROUP_VM };

struct nb_path {
    const char *name;  /* as on the command line */
    const char *title; /* as in tables */
    enum nb_group group;
    bool redirects;  /* packets must not be forwarded by a node's stack: checked in every round */
    bool by_default; /* measured when no paths are named */
    const void *data;
    /* False and a reason when this build, machine or kernel cannot have the path. */
    bool (*available)(const struct nb_path *p, const struct nb_settings *set, char why[200]);
    /* Wire the pods of a made site. Everything is undone by nb_site_drop. */
    int (*setup)(const struct nb_path *p, struct nb_site *s, struct pw_err *err);
};

extern const struct nb_path *const nb_paths[];
extern const unsigned nb_npaths;
/* By name, or NULL. */
const struct nb_path *nb_path_find(const char *name);

/* Set up a whole site for a path: nodes, pods, wiring, settings. Drop it in any case. */
int nb_path_up(const struct nb_path *p, struct nb_site *s, const struct nb_settings *set, bool far,
               struct pw_err *err);
/* Send some traffic and prove that the path carries it, and in the way that it claims: -EPERM
 * with "redirection not in use: ..." when a path that redirects was forwarded by the stack. */
int nb_path_verify(const struct nb_path *p, const struct nb_site *s, enum nb_where where,
                   struct pw_err *err);
/* Whether a sample shows packets of a redirecting path in a node's stack. */
bool nb_path_leaks(const struct nb_path *p, const struct nb_sample *s);

#endif
