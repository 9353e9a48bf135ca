/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching the first program to a hook of a device, and taking it off, waits inside the kernel
 * for an RCU grace period while it holds the lock of all network configuration: 5 to 16 ms on an
 * idle machine, which at 100 pods in parallel adds up to more than a second. Within a section of
 * this kind the kernel is asked for expedited grace periods (/sys/kernel/rcu_expedited), and the
 * same call takes 0.04 ms. Only who asks for a grace period within these fractions of a millisecond
 * notices; a node whose operator set rcu_normal (real-time) stays as it is, that knob outranks
 * ours.
 *
 * Lifetime: the knob is the node's. Sections of several processes overlap; the last one to leave
 * puts it back, and so does the next one after a process that was killed inside (a record in
 * PW_RUN_DIR/expedite says that the knob is ours). Where the operator set it, it is left alone.
 */
#ifndef PW_LOADER_EXPEDITE_H
#define PW_LOADER_EXPEDITE_H

/* A section: the lock file's descriptor, -1 when none was entered (no right, no such knob: things
 * work, slower). */
struct pw_expedite {
    int fd;
};
#define PW_EXPEDITE_INIT {-1}

void pw_expedite_begin(struct pw_expedite *e);
void pw_expedite_end(struct pw_expedite *e);
/* Put the knob back if a killed process left it; for unload. */
void pw_expedite_repair(void);

#define pw_expedited                                                                               \
    __attribute__((cleanup(pw_expedite_end), unused)) struct pw_expedite PW_EXPEDITE_NAME_ =       \
        PW_EXPEDITE_INIT;                                                                          \
    pw_expedite_begin(&PW_EXPEDITE_NAME_)
#define PW_EXPEDITE_NAME_ pw_expedite_section_

#endif
