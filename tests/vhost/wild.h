/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front-end and guest out of their minds: messages nearly right, in any order, and rings that are
 * written at random while they are in use. The same seed does the same.
 */
#ifndef PW_TESTS_WILD_H
#define PW_TESTS_WILD_H

#include "tests/vhost/fe.h"

/* Send one message and throw away what is answered; what fe_send says. */
int wild_message(struct fe *fe, uint64_t *seed);
/* Write something somewhere into the first pair's rings. */
void wild_ring(struct fe *fe, uint64_t *seed);

#endif
