/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's log: one line per event on standard error, "TIME LEVEL text". Only the agent's own
 * files log; what they call returns errors. */
#ifndef PW_AGENT_LOG_H
#define PW_AGENT_LOG_H

enum pw_log_level { PW_LOG_ERROR, PW_LOG_WARN, PW_LOG_INFO, PW_LOG_DEBUG };

/* Lines above this level are left out. */
void pw_log_set(enum pw_log_level level);
/* "error", "warn", "info", "debug"; -1 when it is none of these. */
int pw_log_find(const char *name);

/* Whatever the text holds, it becomes one line: control characters become '?'. */
__attribute__((format(printf, 2, 3))) void pw_log(enum pw_log_level level, const char *fmt, ...);

/*
 * For what is tried again and again: say it when it is new, and again when `every` seconds have
 * passed. `last` is zero at first; clear it (pw_log_well) when the matter is well again.
 */
struct pw_log_again {
    char text[512];
    double said;
};
__attribute__((format(printf, 5, 6))) void pw_log_new(struct pw_log_again *last, double now,
                                                      double every, enum pw_log_level level,
                                                      const char *fmt, ...);
/* The matter is well: says so, if something had been said. */
void pw_log_well(struct pw_log_again *last, const char *text);

#endif
