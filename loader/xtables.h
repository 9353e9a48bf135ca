/* SPDX-License-Identifier: Apache-2.0 */
/* Legacy iptables (not the nft kind): reads the filter table of the kernel where there is one.
 * Asking never makes the kernel load or set up a table that is not in use. */
#ifndef PW_LOADER_XTABLES_H
#define PW_LOADER_XTABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Policy of FORWARD is drop, and no rule accepts what comes from and goes to devices whose names
 * begin with `prefix`. `family`: NFPROTO_IPV4, NFPROTO_IPV6. *sure: no other rule may do so either.
 */
bool pw_xtables_forward_drops(uint8_t family, const char *prefix, bool *sure);
/* Some rule of FORWARD accepts by such a name. */
bool pw_xtables_forward_has(uint8_t family, const char *prefix);
/* Run iptables-legacy (ip6tables-legacy) with these arguments and wait; false when it failed or is
 * not installed. `args` ends with NULL. */
bool pw_xtables_run(uint8_t family, const char *const *args);

/* The table's entries as the kernel hands them over, for tests and fuzzing: entries from `hook` up
 * to and with `underflow` are FORWARD. */
struct pw_xtables_forward {
    bool policy_drop, accepts_from, accepts_to;
    bool others; /* rules that may concern packets of these devices */
};
void pw_xtables_read(uint8_t family, const uint8_t *entries, size_t len, size_t hook,
                     size_t underflow, const char *prefix, struct pw_xtables_forward *out);

#endif
