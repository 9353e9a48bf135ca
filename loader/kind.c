/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kind.h"

#include <string.h>

#include "loader/base/cleanup.h"

static const char *const names[] = {
    [PW_DEV_NETKIT] = "netkit",   [PW_DEV_NETKIT_L2] = "netkit-l2",
    [PW_DEV_VETH] = "veth",       [PW_DEV_TAP] = "tap",
    [PW_DEV_POD_TAP] = "pod-tap", [PW_DEV_VHOST_USER] = "vhost-user",
};

const char *pw_device_name(unsigned device)
{
    return device < PW_ARRAY_SIZE(names) && names[device] ? names[device] : "unknown";
}

unsigned pw_device_find(const char *name)
{
    for (unsigned d = 0; d < PW_ARRAY_SIZE(names); d++)
        if (names[d] && strcmp(names[d], name) == 0)
            return d;
    return 0;
}
