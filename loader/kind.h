/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the kinds of devices, as configurations, records and podwirectl have them. */
#ifndef PW_LOADER_KIND_H
#define PW_LOADER_KIND_H

#include "bpf/abi/podwire.h"

/* "unknown" for a number that this version does not know. */
const char *pw_device_name(unsigned device);
/* 0 when no kind has that name. */
unsigned pw_device_find(const char *name);

#endif
