/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/kind.h"

#include "cni/cmd.h"
#include "cni/guest.h"
#include "loader/base/cleanup.h"

static const struct pw_kind kinds[] = {
    {.device = PW_DEV_NETKIT,
     .link = &pw_link_netkit,
     .create = pw_iface_create,
     .configure = pw_iface_configure_pod,
     .check = pw_check_pod},
    {.device = PW_DEV_NETKIT_L2,
     .l2 = true,
     .link = &pw_link_netkit,
     .create = pw_iface_create,
     .configure = pw_iface_configure_pod,
     .check = pw_check_pod},
    {.device = PW_DEV_VETH,
     .l2 = true,
     .link = &pw_link_veth,
     .create = pw_iface_create,
     .configure = pw_iface_configure_pod,
     .check = pw_check_pod},
    {.device = PW_DEV_TAP,
     .l2 = true,
     .guest = true,
     .link = &pw_link_tap,
     .create = pw_guest_create_tap},
    {.device = PW_DEV_VHOST_USER,
     .l2 = true,
     .guest = true,
     .backend = true,
     .link = &pw_link_tap,
     .create = pw_guest_create_tap},
    {.device = PW_DEV_POD_TAP,
     .l2 = true,
     .guest = true,
     .pod_tap = true,
     .link = &pw_link_veth,
     .create = pw_guest_create_joined,
     .configure = pw_guest_configure_joined,
     .check = pw_guest_check_joined,
     .remove = pw_guest_remove_joined},
};

const struct pw_kind *pw_kind_of(enum pw_device device)
{
    for (size_t i = 0; i < PW_ARRAY_SIZE(kinds); i++)
        if (kinds[i].device == device)
            return &kinds[i];
    return NULL;
}
