/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets in other network namespaces. A socket stays in the namespace where it was made, so one
 * process plays clients and servers of a whole topology, and no test has to look after background
 * processes.
 */
#ifndef PW_TESTS_NSX_H
#define PW_TESTS_NSX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

union nsx_addr {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/*
 * Make the calling thread's namespace the one called `name` (`ip netns` names; "-" or "node": the
 * one in which the process was started). Ends the program when there is none: a test cannot go on.
 */
void nsx_enter(const char *name);

/* socket(2) in namespace `name`, non-blocking; the caller's namespace is the start one again
 * afterwards. -1 and errno. */
int nsx_socket(const char *name, int family, int type, int protocol);

/* Parse an address without a port, and set the port. */
bool nsx_parse(union nsx_addr *out, const char *text, unsigned port);
socklen_t nsx_len(const union nsx_addr *a);
/* "10.0.0.1:80", "[fd00::1]:80"; in a buffer of the function's own, of which there are four. */
const char *nsx_text(const union nsx_addr *a);
unsigned nsx_port(const union nsx_addr *a);

/* A number from a command line; ends the program when it is none. */
unsigned long nsx_number(const char *text);

/* CLOCK_MONOTONIC in ms. */
unsigned long long nsx_now(void);

#endif
