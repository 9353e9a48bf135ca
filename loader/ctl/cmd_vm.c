/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtual machine's monitor needs to be told of a pod that is one. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/gather.h"
#include "loader/guest.h"

/* ---- reading "guest" of the record ---- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static int number_of(const json_t *o, const char *key)
{
    return (int)json_integer_value(json_object_get(o, key));
}

static const json_t *guest_of(const struct ctl_ep *e)
{
    return json_object_get(e->record, "guest");
}

static json_t *to_json(const struct ctl_ep *e)
{
    static const char *const keys[] = {"pod", "containerId", "ifname", "network"};
    json_t *o = json_copy((json_t *)guest_of(e)), *v;

    for (size_t i = 0; i < PW_ARRAY_SIZE(keys); i++)
        if ((v = json_object_get(e->record, keys[i])))
            json_object_set(o, keys[i], v);
    json_object_set_new(o, "kind", json_string(pw_device_name(e->ep.device)));
    json_object_set_new(o, "device", json_string(e->ifname));
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
        const char *first = key ? text_of(item, key) : json_string_value(item);
        const char *second = and_key ? text_of(item, and_key) : "";
        printf("  %-11s %s%s%s\n", i ? "" : name, first ? first : "", *second ? word : "", second);
    }
}

static void show(const struct ctl *ctl, const struct ctl_ep *e)
{
    const json_t *g = guest_of(e), *owner = json_object_get(g, "owner"),
                 *group = json_object_get(g, "group");
    char pod[96], text[128];

    printf("%s%s%s, %s\n", ctl_paint(ctl, PAINT_BOLD), ctl_pod_name(e, pod),
           ctl_paint(ctl, PAINT_PLAIN), pw_device_name(e->ep.device));
    line("tap", text_of(g, "tap"));
    line("namespace", *text_of(g, "netns") ? text_of(g, "netns") : "the node's");
    snprintf(text, sizeof(text), "%d, vnet header of 12 bytes", number_of(g, "queues"));
    line("queues", text);
    if (owner || group)
        snprintf(text, sizeof(text), "user %s%lld, group %s%lld", owner ? "" : "any ",
                 owner ? json_integer_value(owner) : 0LL, group ? "" : "any ",
                 group ? json_integer_value(group) : 0LL);
    line("opened by", owner || group ? text : "root");
    line("MAC", text_of(g, "mac"));
    snprintf(text, sizeof(text), "%d", number_of(g, "mtu"));
    line("MTU", text);
    each("addresses", json_object_get(g, "addresses"), NULL, NULL, "");
    each("routes", json_object_get(g, "routes"), "dst", "gw", " via ");
    each("neighbours", json_object_get(g, "neighbours"), "address", "mac", " is ");
    each("name server", json_object_get(json_object_get(g, "dns"), "nameservers"), NULL, NULL, "");
}

/* ---- arguments for each VMM ---- */

static int args_qemu(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = guest_of(e);
    int queues = number_of(g, "queues");
    const char *vhost = access("/dev/vhost-net", F_OK) == 0 ? ",vhost=on" : "";

    (void)err;
    printf("-netdev tap,id=net0,ifname=%s,script=no,downscript=no%s", text_of(g, "tap"), vhost);
    if (queues > 1)
        printf(",queues=%d", queues);
    printf("\n-device virtio-net-pci,netdev=net0,mac=%s,host_mtu=%d", text_of(g, "mac"),
           number_of(g, "mtu"));
    if (queues > 1)
        printf(",mq=on,vectors=%d", 2 * queues + 2);
    putchar('\n');
    return 0;
}

static int args_cloud_hypervisor(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = guest_of(e);

    (void)err;
    printf("--net tap=%s,mac=%s,mtu=%d,num_queues=%d\n", text_of(g, "tap"), text_of(g, "mac"),
           number_of(g, "mtu"), 2 * number_of(g, "queues"));
    return 0;
}

static int args_firecracker(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = guest_of(e);

    if (number_of(g, "queues") > 1)
        return pw_err_set(err, -EINVAL,
                          "Firecracker takes a tap with a single queue, and %s has %d",
                          text_of(g, "tap"), number_of(g, "queues"));
    return ctl_print_json(json_pack("{s:[{s:s, s:s, s:s}]}", "network-interfaces", "iface_id",
                                    text_of(e->record, "ifname"), "guest_mac", text_of(g, "mac"),
                                    "host_dev_name", text_of(g, "tap")));
}

static int args_kata(const struct ctl_ep *e, struct pw_err *err)
{
    const json_t *g = guest_of(e), *netns = json_object_get(g, "netns");

    (void)err;
    return ctl_print_json(json_pack("{s:O?, s:[o]}", "netns", netns, "devices",
                                    pw_guest_dan_device(g, text_of(e->record, "ifname"))));
}

static const struct vmm {
    const char *name;
    int (*print)(const struct ctl_ep *e, struct pw_err *err);
} vmms[] = {{"qemu", args_qemu},
            {"cloud-hypervisor", args_cloud_hypervisor},
            {"firecracker", args_firecracker},
            {"kata", args_kata}};

static const struct vmm *find_vmm(const char *name)
{
    for (size_t i = 0; i < PW_ARRAY_SIZE(vmms); i++)
        if (strcmp(vmms[i].name, name) == 0)
            return &vmms[i];
    return NULL;
}

/* ---- the command ---- */

/* The one that is a virtual machine: a container may have interfaces of other kinds too. */
static const struct ctl_ep *find_guest(const struct ctl_eps *eps, const char *name,
                                       struct pw_err *err)
{
    const struct ctl_ep *e = ctl_find(eps, name, err);

    if (!e)
        return NULL;
    for (size_t i = 0; !guest_of(e) && i < eps->n; i++) {
        const char *id = text_of(eps->ep[i].record, "containerId");
        if (*id && strcmp(id, text_of(e->record, "containerId")) == 0 && guest_of(&eps->ep[i]))
            e = &eps->ep[i];
    }
    if (guest_of(e))
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
    bool args = what && strcmp(what, "args") == 0;
    if (!what || (!args && strcmp(what, "show") != 0) || !pod || argv[optind + 2])
        return ctl_usage(&ctl_vm, "say 'show POD' or 'args POD --vmm VMM'");
    const struct vmm *vmm = name ? find_vmm(name) : NULL;
    if (args && !vmm)
        return ctl_usage(&ctl_vm, "--vmm is qemu, cloud-hypervisor, firecracker or kata");
    if (ctl_open(&dp, &err) || ctl_gather(dp, &eps, &err))
        return ctl_fail(&err);
    const struct ctl_ep *e = find_guest(&eps, pod, &err);
    if (!e)
        return ctl_fail(&err);
    if (args)
        return vmm->print(e, &err) ? ctl_fail(&err) : CTL_OK;
    if (ctl->json)
        return ctl_print_json(to_json(e));
    show(ctl, e);
    return CTL_OK;
}

const struct ctl_cmd ctl_vm = {
    "vm", "show POD [--json] | args POD --vmm VMM", "says what the VMM of a pod needs to know", run,
    "`show`: the tap, and what the guest is to configure. `args`: command line arguments for\n"
    "qemu and cloud-hypervisor, the network part of a configuration file for firecracker, the\n"
    "file for a directly attachable network for kata.\n"};
