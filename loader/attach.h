/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs on devices. A program hangs on a BPF link, and the link is pinned: it outlives every
 * process, is replaced in place (atomic in the kernel), and goes when the pin is removed or the
 * device goes. A pin whose device is gone stays as an empty shell until pw_detach or a sweep.
 */
#ifndef PW_LOADER_ATTACH_H
#define PW_LOADER_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/pin.h"

enum pw_hook {
    PW_HOOK_NETKIT_FROM_POD, /* netkit's peer hook, through the primary */
    PW_HOOK_NETKIT_GUARD,    /* tcx ingress of the primary */
    PW_HOOK_FROM_POD,        /* tcx ingress of a veth's host end, or of a tap */
    PW_HOOK_FROM_UPLINK,     /* tcx ingress of an uplink */
    PW_HOOK_FROM_OVERLAY,    /* tcx ingress of the tunnel device */
    PW_HOOK_GUEST_OUT,       /* tcx ingress of a tap in a pod's namespace */
    PW_HOOK_GUEST_SEND,      /* the same, beside an interface that is no pair's end */
    PW_HOOK_GUEST_IN,        /* tcx ingress of the pod's interface beside it */
    PW_HOOK_LIMIT_NETKIT,    /* as NETKIT_FROM_POD, of endpoints with a bandwidth limit */
    PW_HOOK_LIMIT_FROM,      /* as FROM_POD, the same */
    PW_HOOK_LIMIT_TO,        /* tcx egress of their host end */
    PW_HOOK_COUNT
};

/* Name in the pin, and the program's name in the object. */
const char *pw_hook_name(enum pw_hook hook);
const char *pw_hook_program(enum pw_hook hook);
/* Which hook a pin's name speaks of ("pw-1a2b:guard"), and the part before; false: not ours. */
bool pw_hook_of_pin(const char *name, char device[32], enum pw_hook *hook);

/*
 * Attach `prog` (a descriptor) before all other programs of the hook and pin the link as
 * links/DEVICE:HOOK, or, when that pin is there and its link is on this device, put `prog` into
 * it. A pin left by a device that is gone is replaced.
 */
int pw_attach(const char *device, uint32_t ifindex, enum pw_hook hook, int prog,
              struct pw_err *err);
/* Take it off and remove the pin; success when there is none. When it returns, no packet is in the
 * program any more. */
int pw_detach(const char *device, enum pw_hook hook, struct pw_err *err);

struct pw_attached {
    /* As the kernel tells it; 0: the device is gone. Of netkit's peer hook it is the peer's, in the
     * pod's namespace: compare with pw_attached_to. */
    uint32_t ifindex;
    uint32_t prog_id;
};
/* Whether a link of this hook is on the device `ifindex` (a host end or an uplink). */
bool pw_attached_to(const struct pw_attached *at, enum pw_hook hook, uint32_t ifindex);
/* What a pin holds; -ENOENT when there is none, -EPROTO when it is no link of this hook. */
int pw_attach_info(const char *device, enum pw_hook hook, struct pw_attached *out,
                   struct pw_err *err);
/* Put another program into a pinned link, in place. -ENOLINK when its device is gone. */
int pw_attach_update(const char *device, enum pw_hook hook, int prog, struct pw_err *err);

#endif
