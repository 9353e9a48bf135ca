/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments by which each VMM gets at a guest's device, from "guest" of the record. */
#include <stdio.h>
#include <string.h>

#include "loader/ctl/vm.h"
#include "loader/guest.h"

static const char *socket_of(const json_t *g)
{
    const char *s = vm_text(g, "socket");
    return *s ? s : NULL;
}

static bool vmm_listens(const json_t *g)
{
    return strcmp(vm_text(g, "listens"), "vmm") == 0;
}

/* The back-end works on the guest's memory. Beside the arguments, which may be used as they are. */
static void need_shared(const char *how)
{
    fprintf(stderr, "note: the guest's memory must be shared: %s\n", how);
}

/* ---- QEMU ---- */

static void qemu_device(const json_t *g)
{
    int queues = vm_number(g, "queues");

    printf("-device virtio-net-pci,netdev=net0,mac=%s,host_mtu=%d", vm_text(g, "mac"),
           vm_number(g, "mtu"));
    if (queues > 1)
        printf(",mq=on,vectors=%d", 2 * queues + 2);
    putchar('\n');
}

static void qemu_vhost_user(const json_t *g)
{
    int queues = vm_number(g, "queues");

    printf("-chardev socket,id=char0,path=%s%s\n", socket_of(g),
           vmm_listens(g) ? ",server=on,wait=off" : ",reconnect=1");
    printf("-netdev vhost-user,id=net0,chardev=char0");
    if (queues > 1)
        printf(",queues=%d", queues);
    putchar('\n');
    qemu_device(g);
    need_shared("-object memory-backend-memfd,id=mem0,size=SIZE,share=on -machine "
                "memory-backend=mem0");
    if (!vmm_listens(g))
        fputs("note: QEMU from 9.2 on says reconnect-ms=1000 for reconnect=1\n", stderr);
}

static int qemu(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = vm_guest(e);
    int queues = vm_number(g, "queues");

    (void)err;
    if (socket_of(g)) {
        qemu_vhost_user(g);
        return 0;
    }
    printf("-netdev tap,id=net0,ifname=%s,script=no,downscript=no%s", vm_text(g, "tap"),
           access("/dev/vhost-net", F_OK) == 0 ? ",vhost=on" : "");
    if (queues > 1)
        printf(",queues=%d", queues);
    putchar('\n');
    qemu_device(g);
    return 0;
}

/* ---- the others ---- */

static int cloud_hypervisor(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = vm_guest(e);

    (void)err;
    if (socket_of(g))
        printf("--net vhost_user=true,socket=%s,vhost_mode=%s", socket_of(g),
               vmm_listens(g) ? "server" : "client");
    else
        printf("--net tap=%s", vm_text(g, "tap"));
    printf(",mac=%s,mtu=%d,num_queues=%d\n", vm_text(g, "mac"), vm_number(g, "mtu"),
           2 * vm_number(g, "queues"));
    if (socket_of(g))
        need_shared("--memory size=SIZE,shared=on");
    return 0;
}

static int firecracker(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = vm_guest(e);

    if (socket_of(g))
        return pw_err_set(err, -EINVAL,
                          "Firecracker has no vhost-user network device: give its pods device tap "
                          "or pod-tap");
    if (vm_number(g, "queues") > 1)
        return pw_err_set(err, -EINVAL,
                          "Firecracker takes a tap with a single queue, and %s has %d",
                          vm_text(g, "tap"), vm_number(g, "queues"));
    return ctl_print_json(json_pack("{s:[{s:s, s:s, s:s}]}", "network-interfaces", "iface_id",
                                    vm_text(e->record, "ifname"), "guest_mac", vm_text(g, "mac"),
                                    "host_dev_name", vm_text(g, "tap")));
}

static int kata(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = vm_guest(e), *netns = json_object_get(g, "netns");

    if (socket_of(g) && !vmm_listens(g))
        return pw_err_set(err, -EINVAL,
                          "Kata's VMM listens on the socket, and here the back-end does: set "
                          "\"vhostUser\": {\"mode\": \"client\"}");
    return ctl_print_json(json_pack("{s:O?, s:[o]}", "netns", netns, "devices",
                                    pw_guest_dan_device(g, vm_text(e->record, "ifname"))));
}

const struct vm_vmm *vm_find_vmm(const char *name)
{
    static const struct vm_vmm vmms[] = {{"qemu", qemu},
                                         {"cloud-hypervisor", cloud_hypervisor},
                                         {"firecracker", firecracker},
                                         {"kata", kata}};

    for (size_t i = 0; i < PW_ARRAY_SIZE(vmms); i++)
        if (strcmp(vmms[i].name, name) == 0)
            return &vmms[i];
    return NULL;
}
