/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach.h"

#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

#include "loader/base/cleanup.h"
#include "loader/nl/link.h"

static const struct {
    const char *name, *program;
    enum bpf_attach_type type;
} hooks[PW_HOOK_COUNT] = {
    [PW_HOOK_NETKIT_FROM_POD] = {"from_pod", "pw_netkit_from_pod", BPF_NETKIT_PEER},
    [PW_HOOK_NETKIT_GUARD] = {"guard", "pw_netkit_guard", BPF_TCX_INGRESS},
    [PW_HOOK_FROM_POD] = {"ingress", "pw_veth_from_pod", BPF_TCX_INGRESS},
    [PW_HOOK_FROM_UPLINK] = {"from_uplink", "pw_from_uplink", BPF_TCX_INGRESS},
    [PW_HOOK_FROM_OVERLAY] = {"from_overlay", "pw_from_overlay", BPF_TCX_INGRESS},
    [PW_HOOK_GUEST_OUT] = {"guest_out", "pw_guest_out", BPF_TCX_INGRESS},
    [PW_HOOK_GUEST_SEND] = {"guest_send", "pw_guest_send", BPF_TCX_INGRESS},
    [PW_HOOK_GUEST_IN] = {"guest_in", "pw_guest_in", BPF_TCX_INGRESS},
    [PW_HOOK_LIMIT_NETKIT] = {"limit_netkit", "pw_netkit_limit_from", BPF_NETKIT_PEER},
    [PW_HOOK_LIMIT_FROM] = {"limit_from", "pw_limit_from", BPF_TCX_INGRESS},
    [PW_HOOK_LIMIT_TO] = {"limit_to", "pw_limit_to", BPF_TCX_EGRESS},
};

const char *pw_hook_name(enum pw_hook hook)
{
    return hooks[hook].name;
}

const char *pw_hook_program(enum pw_hook hook)
{
    return hooks[hook].program;
}

bool pw_hook_of_pin(const char *name, char device[32], enum pw_hook *hook)
{
    const char *colon = strchr(name, ':');

    if (!colon || colon == name || colon - name >= 32)
        return false;
    for (unsigned h = 0; h < PW_HOOK_COUNT; h++) {
        if (strcmp(colon + 1, hooks[h].name) == 0) {
            memcpy(device, name, (size_t)(colon - name));
            device[colon - name] = '\0';
            *hook = h;
            return true;
        }
    }
    return false;
}

/* The device part comes from outside (an interface name): it must not lead out of the folder. */
static int pin_path(char path[PW_PIN_PATH], const char *device, enum pw_hook hook,
                    struct pw_err *err)
{
    if (device[0] == '\0' || strlen(device) >= 32 || strpbrk(device, "/.:"))
        return pw_err_set(err, -EINVAL, "'%.40s' cannot name a pin (no '/', '.' or ':')", device);
    snprintf(path, PW_PIN_PATH, "%s/%s:%s", PW_PIN_LINKS, device, hooks[hook].name);
    return 0;
}

static int link_info(int fd, const char *path, enum pw_hook hook, struct pw_attached *out,
                     struct pw_err *err)
{
    struct bpf_link_info info = {0};
    uint32_t len = sizeof(info);
    int rc = bpf_link_get_info_by_fd(fd, &info, &len);

    /* Also fails where the descriptor is a program's or a map's. */
    if (rc)
        return pw_err_set(err, -EPROTO, "%s is not a link that podwire made", path);
    uint32_t want = hooks[hook].type == BPF_NETKIT_PEER ? BPF_LINK_TYPE_NETKIT : BPF_LINK_TYPE_TCX;
    uint32_t type = want == BPF_LINK_TYPE_TCX ? info.tcx.attach_type : info.netkit.attach_type;
    if (info.type != want || type != hooks[hook].type)
        return pw_err_set(err, -EPROTO, "%s is not a link that podwire made", path);
    out->ifindex = want == BPF_LINK_TYPE_TCX ? info.tcx.ifindex : info.netkit.ifindex;
    out->prog_id = info.prog_id;
    return 0;
}

bool pw_attached_to(const struct pw_attached *at, enum pw_hook hook, uint32_t ifindex)
{
    pw_nlsock nl = PW_NL_INIT;
    struct pw_link link;

    if (hooks[hook].type != BPF_NETKIT_PEER || at->ifindex == 0)
        return at->ifindex == ifindex;
    return pw_nl_open(&nl, NETLINK_ROUTE, NULL) == 0 &&
           pw_link_get(&nl, ifindex, NULL, &link, NULL) == 0 && link.peer == at->ifindex;
}

static int open_pinned(const char *path, struct pw_err *err)
{
    int fd = bpf_obj_get(path);

    return fd < 0 ? pw_err_errno(err, fd, "open %s", path) : fd;
}

/* The pinned link of a device as a descriptor, and what it is attached to. */
static int open_link(const char *device, enum pw_hook hook, struct pw_attached *at,
                     struct pw_err *err)
{
    char path[PW_PIN_PATH];
    int rc = pin_path(path, device, hook, err);

    if (rc)
        return rc;
    pw_fd fd = open_pinned(path, err);
    if (fd < 0)
        return fd;
    rc = link_info(fd, path, hook, at, err);
    return rc ? rc : PW_TAKE_FD(fd);
}

int pw_attach_info(const char *device, enum pw_hook hook, struct pw_attached *out,
                   struct pw_err *err)
{
    pw_fd fd = open_link(device, hook, out, err);
    return fd < 0 ? fd : 0;
}

int pw_attach_update(const char *device, enum pw_hook hook, int prog, struct pw_err *err)
{
    struct pw_attached at = {0};
    pw_fd fd = open_link(device, hook, &at, err);

    if (fd < 0)
        return fd;
    int rc = at.ifindex ? bpf_link_update(fd, prog, NULL) : -ENOLINK;
    return rc ? pw_err_errno(err, rc, "replace program %s on %s", hooks[hook].program, device) : 0;
}

/* A pin of that name is there. True: its link is on the device, and now runs `prog`. */
static int adopt(const char *path, const char *device, uint32_t ifindex, enum pw_hook hook,
                 int prog, bool *adopted, struct pw_err *err)
{
    struct pw_attached at = {0};
    pw_fd fd = open_pinned(path, err);

    *adopted = false;
    if (fd == -ENOENT)
        return 0; /* gone meanwhile */
    if (fd < 0)
        return fd;
    int rc = link_info(fd, path, hook, &at, err);
    if (rc)
        return rc;
    if (pw_attached_to(&at, hook, ifindex)) {
        rc = bpf_link_update(fd, prog, NULL);
        if (rc == 0) {
            *adopted = true;
            return 0;
        }
        if (rc != -ENOLINK)
            return pw_err_errno(err, rc, "replace program %s on %s", hooks[hook].program, device);
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return pw_err_errno(err, -errno, "remove %s", path);
    return 0;
}

int pw_attach(const char *device, uint32_t ifindex, enum pw_hook hook, int prog, struct pw_err *err)
{
    char path[PW_PIN_PATH];
    int rc = pin_path(path, device, hook, err);

    if (rc)
        return rc;
    /* The usual case, a new device, comes first. A link that is not pinned yet goes with its
     * descriptor: being killed here leaves nothing. */
    for (int tries = 0; tries < 3; tries++) {
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BPF_F_BEFORE);
        pw_fd link = bpf_link_create(prog, (int)ifindex, hooks[hook].type, &opts);
        if (link < 0 && link != -EEXIST)
            return pw_err_errno(err, link, "attach %s to %s", hooks[hook].program, device);
        if (link >= 0) {
            rc = bpf_obj_pin(link, path);
            if (rc == 0)
                return 0;
            if (rc != -EEXIST)
                return pw_err_errno(err, rc, "pin %s", path);
        }
        bool adopted = false;
        rc = adopt(path, device, ifindex, hook, prog, &adopted, err);
        if (rc || adopted)
            return rc;
    }
    return pw_err_set(err, -EEXIST, "attach %s to %s: it is attached there and not by podwire",
                      hooks[hook].program, device);
}

int pw_detach(const char *device, enum pw_hook hook, struct pw_err *err)
{
    char path[PW_PIN_PATH];
    struct pw_attached at = {0};
    int rc = pin_path(path, device, hook, err);

    if (rc)
        return rc;
    pw_fd fd = open_pinned(path, NULL);
    if (fd == -ENOENT)
        return 0;
    /* Detached before the pin goes: removing the last reference does it too, but some time later.
     * What cannot be opened, or is not ours, is only unpinned. */
    if (fd >= 0 && link_info(fd, path, hook, &at, NULL) == 0 && at.ifindex != 0) {
        rc = bpf_link_detach(fd);
        if (rc && rc != -ENOLINK)
            return pw_err_errno(err, rc, "detach %s from %s", hooks[hook].program, device);
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return pw_err_errno(err, -errno, "remove %s", path);
    return 0;
}
