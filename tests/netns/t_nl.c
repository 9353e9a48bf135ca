/* SPDX-License-Identifier: Apache-2.0 */
/* loader/nl on a real kernel: each verb does what its name says, seen by reading back. */
#include "loader/base/kcompat.h"
#include "loader/nl/link.h"
#include "loader/nl/route.h"
#include "tests/lib/tap.h"

#include <fcntl.h>
#include <sched.h>

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>

struct find {
    struct pw_addr want;
    unsigned n, all;
    struct pw_route route;
    struct pw_neigh neigh;
    struct pw_ifaddr addr;
};

static int find_route(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_route *r = entry;
    struct find *f = arg;
    (void)err;
    f->all++;
    if (pw_addr_same(&r->dst, &f->want) && r->dst.prefix == f->want.prefix) {
        f->n++;
        f->route = *r;
    }
    return 0;
}

static int find_neigh(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_neigh *e = entry;
    struct find *f = arg;
    (void)err;
    if (pw_addr_same(&e->addr, &f->want)) {
        f->n++;
        f->neigh = *e;
    }
    return 0;
}

static int find_addr(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_ifaddr *e = entry;
    struct find *f = arg;
    (void)err;
    if (pw_addr_same(&e->addr, &f->want)) {
        f->n++;
        f->addr = *e;
    }
    return 0;
}

static int count_rules(const void *entry, void *arg, struct pw_err *err)
{
    const struct pw_rule *r = entry;
    unsigned *n = arg;
    (void)err;
    n[0]++;
    n[1] += r->selective;
    return 0;
}

static struct pw_addr addr(const char *text)
{
    struct pw_addr a = {0};
    pw_addr_parse(text, &a, NULL);
    return a;
}

int main(void)
{
    struct pw_err err = PW_ERR_INIT;
    pw_nlsock nl = PW_NL_INIT;
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    struct pw_link host, pod;
    struct pw_addr a4 = addr("10.9.0.2/24"), a6 = addr("fd09::2/64"), gw = addr("169.254.1.1");
    struct pw_addr gw6 = addr("fe80::1");
    const uint8_t mac[6] = {2, 1, 2, 3, 4, 5}, mac2[6] = {2, 1, 2, 3, 4, 6};

    pw_fd old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET))
        bail("unshare: needs root");
    pw_fd podns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    pw_nlsock podnl = PW_NL_INIT;
    if (pw_nl_open(&podnl, NETLINK_ROUTE, &err) || setns(old, CLONE_NEWNET) ||
        pw_nl_open(&nl, NETLINK_ROUTE, &err))
        bail("sockets: %s", err.msg);

    struct pw_pair pair = {
        .host = {.name = "pw-host", .netns = -1, .mac = {2, 1, 2, 3, 4, 5}, .has_mac = true},
        .pod = {.name = "eth0", .netns = podns, .mac = {2, 1, 2, 3, 4, 6}, .has_mac = true},
        .mtu = 1400,
        .gso_max = 100000,
        .gro_max = 100000,
        .gso4_max = 90000,
        .gro4_max = 90000,
    };
    pw_link_add_pair(&b, &pw_link_veth, &pair);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "veth pair made in one message: %s",
           err.msg);
    is_int(pw_link_get(&nl, 0, "pw-host", &host, &err), 0, "host end is read: %s", err.msg);
    is_int(pw_link_get(&podnl, 0, "eth0", &pod, &err), 0, "pod's end is read: %s", err.msg);
    is_str(host.kind, "veth", "kind");
    is_int(host.mtu, 1400, "host MTU");
    is_int(pod.mtu, 1400, "pod MTU");
    is_mem(host.mac, mac, 6, "host MAC");
    is_mem(pod.mac, mac2, 6, "pod MAC");
    is_int(pod.gso_max, 100000, "BIG TCP, IPv6");
    is_int(pod.gro4_max, 90000, "BIG TCP, IPv4");
    is_int(host.peer, pod.ifindex, "host end knows the pod's");
    ok(!(host.flags & IFF_UP), "down at first");

    pw_link_add_pair(&b, &pw_link_veth, &pair);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), -EEXIST, "the same name again is refused");
    has_str(err.msg, "create veth pair pw-host", "the error names it");

    /* One batch for all of the pod's side. */
    pw_link_set_up(&b, pod.ifindex, true);
    pw_addr_add(&b, pod.ifindex, &a4, true);
    pw_addr_add(&b, pod.ifindex, &a6, true);
    pw_neigh_replace(&b, pod.ifindex, &gw, mac, false);
    pw_neigh_replace(&b, pod.ifindex, &gw6, mac, true);
    struct pw_route def = {.dst = addr("0.0.0.0/0"), .gw = gw, .oif = pod.ifindex, .onlink = true};
    struct pw_route def6 = {.dst = addr("::/0"), .gw = gw6, .oif = pod.ifindex, .mtu = 1300};
    pw_route_add(&b, &def);
    pw_link_set_up(&b, 1, true);
    pw_route_add(&b, &def6);
    is_int(pw_nl_commit(&podnl, &b, NULL, NULL, &err), 0, "pod's side in one batch: %s", err.msg);
    pw_link_set_up(&b, host.ifindex, true);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "host end up: %s", err.msg);

    struct find f = {.want = a4};
    struct pw_list_cb cb = {find_addr, NULL, &f};
    pw_addr_list(&podnl, pod.ifindex, &cb, &err);
    is_int(f.n, 1, "IPv4 address is there");
    is_int(f.addr.addr.prefix, 24, "with its prefix");
    f = (struct find){.want = a6};
    pw_addr_list(&podnl, 0, &cb, &err);
    ok(f.n == 1 && !(f.addr.flags & IFA_F_TENTATIVE), "IPv6 address is there, and not tentative");
    f = (struct find){.want = gw};
    cb.fn = find_neigh;
    pw_neigh_list(&podnl, pod.ifindex, &cb, &err);
    ok(f.n == 1 && f.neigh.state == NUD_PERMANENT && memcmp(f.neigh.mac, mac, 6) == 0,
       "neighbour is there for ever");
    f = (struct find){.want = addr("::/0")};
    cb.fn = find_route;
    pw_route_list(&podnl, 6, &cb, &err);
    ok(f.n == 1 && pw_addr_same(&f.route.gw, &gw6) && f.route.protocol == PW_RTPROT, "IPv6 route");
    is_int(f.route.mtu, 1300, "its MTU");
    f = (struct find){.want = addr("0.0.0.0/0")};
    pw_route_list(&podnl, 4, &cb, &err);
    ok(f.n == 1 && pw_addr_same(&f.route.gw, &gw), "IPv4 route");
    f = (struct find){.want = addr("10.9.0.0/24")};
    pw_route_list(&podnl, 4, &cb, &err);
    ok(f.n == 0 && f.all > 0, "no route for the prefix");
    pw_route_add(&b, &def);
    is_int(pw_nl_commit(&podnl, &b, NULL, NULL, &err), -EEXIST, "a route twice is refused");

    /* A failing request in the middle is reported, the rest is done. */
    pw_link_set_mtu(&b, host.ifindex, 1390);
    pw_link_set_up(&b, 99999, true);
    pw_link_set_mac(&b, host.ifindex, mac2);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), -ENODEV, "one of a batch fails");
    has_str(err.msg, "bring up device 99999", "the error says which");
    pw_link_get(&nl, host.ifindex, NULL, &host, &err);
    ok(host.mtu == 1390 && memcmp(host.mac, mac2, 6) == 0, "those before and after it happened");
    pw_link_set_mtu(&b, host.ifindex, 5);
    ok(pw_nl_commit(&nl, &b, NULL, NULL, &err) < 0, "an MTU of 5 is refused");
    has_str(err.msg, "mtu less than device minimum", "in the kernel's own words");

    unsigned rules[2] = {0};
    struct pw_list_cb rcb = {count_rules, NULL, rules};
    is_int(pw_rule_list(&podnl, 4, &rcb, &err), 0, "rules are listed");
    ok(rules[0] == 3 && rules[1] == 0, "three, none selective");

    /* More devices than one part of a dump holds. */
    for (int i = 0; i < 60; i++) {
        char h[IFNAMSIZ], p[IFNAMSIZ];
        snprintf(h, sizeof(h), "pw-m%d", i);
        snprintf(p, sizeof(p), "m%d", i);
        struct pw_pair m = {.host = {.name = h, .netns = -1}, .pod = {.name = p, .netns = podns}};
        pw_link_add_pair(&b, &pw_link_veth, &m);
    }
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "60 pairs in one send: %s", err.msg);
    struct pw_link *list = NULL;
    size_t n = 0;
    is_int(pw_link_list(&nl, &list, &n, &err), 0, "devices are listed");
    ok(n >= 62, "all of them");
    for (size_t i = 0; i < n; i++)
        if (strncmp(list[i].name, "pw-", 3) == 0)
            pw_link_del(&b, list[i].ifindex, list[i].name);
    free(list);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "and deleted in one send: %s", err.msg);
    is_int(pw_link_get(&podnl, 0, "eth0", &pod, &err), -ENODEV, "other ends are gone too");
    pw_link_del(&b, 0, "pw-host");
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "deleting what is gone succeeds");

    struct pw_pair doomed = {.host = {.name = "pw-host", .netns = -1},
                             .pod = {.name = "eth0", .netns = podns}};
    pw_link_add_pair(&b, &pw_link_veth, &doomed);
    is_int(pw_nl_commit(&nl, &b, NULL, NULL, &err), 0, "a pair again: %s", err.msg);
    is_int(pw_link_delete("pw-host", &err), 0, "deleted by a child: %s", err.msg);
    is_int(pw_link_get(&nl, 0, "pw-host", &pod, &err), -ENODEV, "it is gone at once");
    is_int(pw_link_get(&podnl, 0, "eth0", &pod, &err), -ENODEV, "and its other end");
    is_int(pw_link_delete("pw-host", &err), 0, "what is gone can be deleted");
    is_int(pw_link_delete("lo", &err), -EOPNOTSUPP, "the child's error is ours");
    has_str(err.msg, "delete device lo", "naming the device");

    struct pw_pair nk = {.host = {.name = "pw-nk", .netns = -1},
                         .pod = {.name = "eth0", .netns = podns},
                         .mtu = 1400,
                         .netkit = {.mode = PW_NETKIT_MODE_L3,
                                    .policy = PW_NETKIT_PASS,
                                    .peer_policy = PW_NETKIT_BLACKHOLE}};
    pw_link_add_pair(&b, &pw_link_netkit, &nk);
    int rc = pw_nl_commit(&nl, &b, NULL, NULL, &err);
    if (rc == -EOPNOTSUPP) {
        skip("kernel has no netkit", "netkit pair");
        return tap_done();
    }
    is_int(rc, 0, "netkit pair made in one message: %s", err.msg);
    is_int(pw_link_get(&nl, 0, "pw-nk", &host, &err), 0, "and read: %s", err.msg);
    ok(host.netkit.primary && host.netkit.mode == PW_NETKIT_MODE_L3 &&
           host.netkit.peer_policy == PW_NETKIT_BLACKHOLE,
       "layer 3, peer blackholed");
    return tap_done();
}
