/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtual machine's monitor needs to be told of a pod that is one. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/vm.h"
#include "loader/vhost.h"

static json_t *to_json(const struct ctl_ep *e)
{
    static const char *const keys[] = {"pod", "containerId", "ifname", "network"};
    json_t *o = json_copy((json_t *)vm_guest(e)), *v;

    for (size_t i = 0; i < PW_ARRAY_SIZE(keys); i++)
        if ((v = json_object_get(e->record, keys[i])))
            json_object_set(o, keys[i], v);
    json_object_set_new(o, "kind", json_string(pw_device_name(e->ep.device)));
    json_object_set_new(o, "device", json_string(e->ifname));
    if (e->ep.device == PW_DEV_VHOST_USER)
        json_object_set_new(o, "backend", vm_backend_json(e->ifname));
    return o;
}

/* ---- show ---- */

static void line(const char *name, const char *value)
{
    if (*value)
        printf("  %-11s %s\n", name, value);
}

static void each(const char *name, const json_t *list, const char *key, const char *and_key,
                 const char *word)
{
    json_t *item;
    size_t i;

    json_array_foreach ((json_t *)list, i, item) {
        const char *first = key ? vm_text(item, key) : json_string_value(item);
        const char *second = and_key ? vm_text(item, and_key) : "";
        printf("  %-11s %s%s%s\n", i ? "" : name, first ? first : "", *second ? word : "", second);
    }
}

static void show(const struct ctl *ctl, const struct ctl_ep *e)
{
    const json_t *g = vm_guest(e), *owner = json_object_get(g, "owner"),
                 *group = json_object_get(g, "group");
    char pod[96], text[128];

    printf("%s%s%s, %s\n", ctl_paint(ctl, PAINT_BOLD), ctl_pod_name(e, pod),
           ctl_paint(ctl, PAINT_PLAIN), pw_device_name(e->ep.device));
    line("tap", vm_text(g, "tap"));
    line("namespace", *vm_text(g, "netns") ? vm_text(g, "netns") : "the node's");
    snprintf(text, sizeof(text), "%d, vnet header of 12 bytes", vm_number(g, "queues"));
    line("queues", text);
    if (owner || group)
        snprintf(text, sizeof(text), "user %s%lld, group %s%lld", owner ? "" : "any ",
                 owner ? json_integer_value(owner) : 0LL, group ? "" : "any ",
                 group ? json_integer_value(group) : 0LL);
    line("opened by", owner || group ? text : "root");
    if (*vm_text(g, "socket")) {
        line("socket", vm_text(g, "socket"));
        line("listens", strcmp(vm_text(g, "listens"), "vmm") == 0 ? "the VMM" : "the back-end");
    }
    line("MAC", vm_text(g, "mac"));
    snprintf(text, sizeof(text), "%d", vm_number(g, "mtu"));
    line("MTU", text);
    each("addresses", json_object_get(g, "addresses"), NULL, NULL, "");
    each("routes", json_object_get(g, "routes"), "dst", "gw", " via ");
    each("neighbours", json_object_get(g, "neighbours"), "address", "mac", " is ");
    each("name server", json_object_get(json_object_get(g, "dns"), "nameservers"), NULL, NULL, "");
    if (e->ep.device == PW_DEV_VHOST_USER)
        vm_backend_show(ctl, e->ifname);
}

/* ---- restart ---- */

static int restart(const struct ctl *ctl, const struct ctl_ep *e)
{
    struct pw_err err = PW_ERR_INIT;
    bool started;

    if (e->ep.device != PW_DEV_VHOST_USER) {
        pw_err_set(&err, -EINVAL, "%s is a %s: only vhost-user has a back-end", e->ifname,
                   pw_device_name(e->ep.device));
        return ctl_fail(&err);
    }
    if (pw_vhost_restart(e->ifname, &started, &err))
        return ctl_fail(&err);
    if (ctl->json)
        return ctl_print_json(json_pack("{s:b}", "changed", started));
    puts(started ? "The back-end runs again." : "The back-end is running already.");
    return CTL_OK;
}

/* ---- the command ---- */

/* The one that is a virtual machine: a container may have interfaces of other kinds too. */
static const struct ctl_ep *find_guest(const struct ctl_eps *eps, const char *name,
                                       struct pw_err *err)
{
    const struct ctl_ep *e = ctl_find(eps, name, err);

    if (!e)
        return NULL;
    for (size_t i = 0; !vm_guest(e) && i < eps->n; i++) {
        const char *id = vm_text(eps->ep[i].record, "containerId");
        if (*id && strcmp(id, vm_text(e->record, "containerId")) == 0 && vm_guest(&eps->ep[i]))
            e = &eps->ep[i];
    }
    if (vm_guest(e))
        return e;
    pw_err_set(err, -EINVAL, "'%.60s' is no virtual machine: its device is %s", name,
               pw_device_name(e->ep.device));
    return NULL;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"vmm", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    struct pw_err err = PW_ERR_INIT;
    const char *name = NULL;
    ctl_dp *dp = NULL;
    ctl_eps_auto eps = {0};
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "jhm:", options, NULL)) != -1) {
        if (c == 'j')
            ctl->json = true;
        else if (c == 'h')
            return ctl_help(&ctl_vm);
        else if (c == 'm')
            name = optarg;
        else
            return ctl_usage(&ctl_vm, "unknown option '%s'", argv[optind - 1]);
    }
    const char *what = argv[optind], *pod = what ? argv[optind + 1] : NULL;
    bool args = what && strcmp(what, "args") == 0, again = what && strcmp(what, "restart") == 0;
    if (!what || (!args && !again && strcmp(what, "show") != 0) || !pod || argv[optind + 2])
        return ctl_usage(&ctl_vm, "say 'show POD', 'args POD --vmm VMM' or 'restart POD'");
    const struct vm_vmm *vmm = name ? vm_find_vmm(name) : NULL;
    if (args && !vmm)
        return ctl_usage(&ctl_vm, "--vmm is qemu, cloud-hypervisor, firecracker or kata");
    if (ctl_open(&dp, &err) || ctl_gather(dp, &eps, &err))
        return ctl_fail(&err);
    const struct ctl_ep *e = find_guest(&eps, pod, &err);
    if (!e)
        return ctl_fail(&err);
    if (args)
        return vmm->print(e, &err) ? ctl_fail(&err) : CTL_OK;
    if (again)
        return restart(ctl, e);
    if (ctl->json)
        return ctl_print_json(to_json(e));
    show(ctl, e);
    return CTL_OK;
}

const struct ctl_cmd ctl_vm = {
    "vm", "show POD [--json] | args POD --vmm VMM | restart POD",
    "says what the VMM of a pod needs to know", run,
    "`show`: the tap or socket, what the guest is to configure, and a back-end's counters. "
    "`args`:\n"
    "command line arguments for qemu and cloud-hypervisor, the network part of a configuration\n"
    "file for firecracker, the file for a directly attachable network for kata. `restart`: start\n"
    "the back-end of a vhost-user device again, where its supervisor was killed.\n"};
