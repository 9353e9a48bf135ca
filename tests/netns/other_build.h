/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the datapath another build: the same programs, with a constant more. */
#ifndef PW_TESTS_OTHER_BUILD_H
#define PW_TESTS_OTHER_BUILD_H

extern const volatile int pw_other_build;
const volatile int pw_other_build = 1;

#endif
