/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/gather.h"

static json_t *to_json(const struct ctl_eps *eps)
{
    json_t *list = json_array();

    for (size_t i = 0; i < eps->n; i++)
        json_array_append_new(list, ctl_ep_json(&eps->ep[i]));
    return list;
}

static const char *join_addrs(const struct ctl_ep *e, char *buf, size_t size)
{
    char text[PW_ADDR_STRLEN];
    size_t n = 0;

    snprintf(buf, size, "-");
    for (size_t i = 0; i < e->n_addrs && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? " " : "",
                              pw_addr_text(&e->addrs[i], false, text));
    return buf;
}

static unsigned long long device_drops(const struct ctl_ep *e)
{
    unsigned long long rx = e->rx_dropped, tx = e->tx_dropped;
    return rx + tx;
}

static void list(const struct ctl *ctl, const struct ctl_eps *eps)
{
    static const char *const titles[] = {
        "POD",       "DEVICE",   "KIND",          ">SENT FAST", ">RECEIVED FAST",
        ">BY STACK", ">DROPPED", ">DEVICE DROPS", "ADDRESSES",  NULL};
    struct ctl_table t;
    char pod[96], addrs[512];

    if (eps->n == 0) {
        puts("No endpoints: no pod of this node is connected by podwire.");
        return;
    }
    ctl_table_init(&t, titles);
    for (size_t i = 0; i < eps->n; i++) {
        const struct ctl_ep *e = &eps->ep[i];
        ctl_pod_name(e, pod);
        ctl_table_add(&t, "%s\t%s\t%s%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%s", pod[0] ? pod : "-",
                      e->ifname[0] ? e->ifname : "(gone)", pw_device_name(e->ep.device),
                      e->up || !e->ifname[0] ? "" : ", down",
                      (unsigned long long)e->counters.from_pod.packets,
                      (unsigned long long)e->counters.to_pod.packets,
                      (unsigned long long)e->stack.packets, (unsigned long long)e->dropped.packets,
                      device_drops(e), join_addrs(e, addrs, sizeof(addrs)));
    }
    ctl_table_print(&t, ctl);
    printf("%s\nPackets. Fast: redirected by a program, which does not yet mean delivered: what a\n"
           "device drops afterwards is beside it.%s\n",
           ctl_paint(ctl, PAINT_DIM), ctl_paint(ctl, PAINT_PLAIN));
}

static void line(const char *name, const struct pw_count *c)
{
    char bytes[24];
    printf("  %-16s %12llu packets  %9s\n", name, (unsigned long long)c->packets,
           ctl_bytes(c->bytes, bytes));
}

static void limit(const char *name, const struct pw_limit *l)
{
    if (l->rate)
        printf("  %-16s %12llu kbit/s, %llu kbit at once; %llu packets delayed\n", name,
               (unsigned long long)(l->rate / 125), (unsigned long long)ctl_limit_burst(l) / 1000,
               (unsigned long long)l->delayed);
}

static void details(const struct ctl *ctl, const struct ctl_ep *e)
{
    char pod[96], text[512];
    const char *why = json_string_value(json_object_get(e->record, "why"));

    ctl_pod_name(e, pod);
    printf("%s%s%s  %s\n", ctl_paint(ctl, PAINT_BOLD), pod[0] ? pod : e->ifname,
           ctl_paint(ctl, PAINT_PLAIN), join_addrs(e, text, sizeof(text)));
    printf("  device           %s, %s, %s, MTU %u\n", e->ifname[0] ? e->ifname : "(gone)",
           pw_device_name(e->ep.device), e->up ? "up" : "down", e->ep.mtu);
    if (why && *why)
        printf("  why              %.120s\n", why);
    line("sent fast", &e->counters.from_pod);
    line("received fast", &e->counters.to_pod);
    line("by the stack", &e->stack);
    line("dropped", &e->dropped);
    if (e->answered.packets)
        line("answered", &e->answered);
    printf("  %-16s %12llu packets\n", "device drops", device_drops(e));
    limit("may send", &e->limit[PW_FROM_POD]);
    limit("may receive", &e->limit[PW_TO_POD]);
    for (size_t i = 0; i < e->n_reasons; i++) {
        const struct ctl_reason *r = &e->reasons[i];
        printf("    %s %-8s %12llu  %s: %s\n", r->dir == PW_TO_POD ? "to  " : "from",
               pw_reason_kind_name(r->reason), (unsigned long long)r->count.packets,
               r->reason ? r->reason->name : "?",
               r->reason ? r->reason->text : "unknown to this version");
    }
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    ctl_dp *dp = NULL;
    ctl_eps_auto eps = {0};

    int rc = ctl_options(ctl, &ctl_endpoints, argc, argv);
    if (rc >= 0)
        return rc;
    if (ctl_open(&dp, &err) || ctl_gather(dp, &eps, &err))
        return ctl_fail(&err);
    if (!argv[optind]) {
        if (ctl->json)
            return ctl_print_json(to_json(&eps));
        list(ctl, &eps);
        return CTL_OK;
    }
    const struct ctl_ep *e = ctl_find(&eps, argv[optind], &err);
    if (!e)
        return ctl_fail(&err);
    if (ctl->json)
        return ctl_print_json(ctl_ep_json(e));
    details(ctl, e);
    return CTL_OK;
}

const struct ctl_cmd ctl_endpoints = {
    "endpoints", "[POD] [--json]", "lists the pods' interfaces and where their packets went", run,
    "With POD (name, namespace/name, device, address, or the beginning of a container id) all\n"
    "that is known of one, with the reasons for what was not redirected.\n"};
