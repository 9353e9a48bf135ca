/* SPDX-License-Identifier: Apache-2.0 */
/* Ways into a microVM. The guest is a namespace, and a process moves frames between the VM's tap
 * and the guest's device as a VMM would, the same for all of these paths, so that their difference
 * is that of the wiring. */
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bench/paths.h"
#include "loader/base/cleanup.h"

#define FRAME (65536 + 64)

struct vmm_arg {
    int vm, dev;        /* the VM's tap, and the one that is the guest's device */
    const char *socket; /* of a vhost-user pod, instead */
    int guest;          /* network namespace of the guest */
    int ready;
};

/* A tap with the offloads a virtio device would negotiate: big segments pass whole. */
static int open_tap(const struct nb_spot *at, const char *name, struct pw_err *err)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    pw_fd fd = nb_open_at(at, "/dev/net/tun", O_RDWR | O_NONBLOCK, err);
    if (fd < 0)
        return fd;
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
        return pw_err_errno(err, -errno, "open the tap %s", name);
    return PW_TAKE_FD(fd);
}

static void drain(int from, int to, unsigned char *buf)
{
    for (int i = 0; i < 64; i++) {
        ssize_t n = read(from, buf, FRAME);
        if (n <= 0)
            return;
        /* A full queue drops the frame, as a ring without free descriptors does. */
        (void)!write(to, buf, (size_t)n);
    }
}

static int vmm_main(void *p)
{
    struct vmm_arg *a = p;
    char ok = 'x';
    pw_free unsigned char *buf = malloc(FRAME);
    if (!buf || write(a->ready, &ok, 1) != 1)
        return 1;
    for (;;) {
        struct pollfd fds[2] = {{a->vm, POLLIN, 0}, {a->dev, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents)
            drain(a->vm, a->dev, buf);
        if (fds[1].revents)
            drain(a->dev, a->vm, buf);
    }
}

static int make_guest(struct nb_site *s, struct nb_pod *pod, struct pw_err *err)
{
    char name[32];
    snprintf(name, sizeof(name), "guest-%s", pod->name);
    return nb_pod_make(&s->node[pod->node], name, &pod->guest, err);
}

/* Start `fn` on the pod's node, which writes a byte to a->ready when it serves the guest. */
static int start_vmm(struct nb_site *s, struct nb_pod *pod, int (*fn)(void *), struct vmm_arg *a,
                     struct pw_err *err)
{
    struct nb_spot at = {&s->node[pod->node], -1};
    int ready[2];
    char c;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return pw_err_errno(err, -errno, "pipe");
    a->guest = pod->guest;
    a->ready = ready[1];
    pid_t pid = nb_spawn(&at, fn, a, err);
    close(ready[1]);
    bool up = pid > 0 && read(ready[0], &c, 1) == 1;
    close(ready[0]);
    if (pid < 0)
        return pid;
    s->ours |= 1U << s->nhelpers;
    s->helper[s->nhelpers++] = pid;
    return up ? 0 : pw_err_set(err, -EIO, "the VMM of pod %s did not start", pod->name);
}

int nb_vmm_start(struct nb_site *s, struct nb_pod *pod, const char *tap, bool in_pod,
                 struct pw_err *err)
{
    struct nb_spot at = {&s->node[pod->node], in_pod ? pod->net : -1};
    int rc = make_guest(s, pod, err);
    if (rc < 0)
        return rc;
    struct nb_spot guest = {&s->node[pod->node], pod->guest};
    pw_fd dev = open_tap(&guest, "eth0", err);
    if (dev < 0)
        return dev;
    pod->tap = open_tap(&at, tap, err);
    if (pod->tap < 0)
        return pod->tap;
    struct vmm_arg a = {.vm = pod->tap, .dev = dev};
    return start_vmm(s, pod, vmm_main, &a, err);
}

/* A program of ours, beside this one. */
static void own_program(const char *name, char out[PATH_MAX + 32])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX);
    out[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(out, '/');
    snprintf(slash ? slash + 1 : out, 32, "%s", name);
}

#define VHOST_GUEST "tests/vhost/guest"

static int vhost_main(void *p)
{
    struct vmm_arg *a = p;
    char program[PATH_MAX + 32];
    own_program(VHOST_GUEST, program);
    char dev[] = "eth0", socket[sizeof(((struct nb_pod *)0)->socket)];
    snprintf(socket, sizeof(socket), "%s", a->socket);
    char *argv[] = {program, socket, dev, NULL};
    if (setns(a->guest, CLONE_NEWNET) < 0 || dup2(a->ready, 1) < 0)
        return 1;
    execv(program, argv);
    return 127;
}

int nb_vhost_start(struct nb_site *s, struct nb_pod *pod, struct pw_err *err)
{
    struct vmm_arg a = {.socket = pod->socket};
    int rc = make_guest(s, pod, err);
    if (rc == 0)
        rc = start_vmm(s, pod, vhost_main, &a, err);
    return rc < 0 ? pw_err_wrap(err, "socket %s", pod->socket) : 0;
}

/* The guest's own configuration: address, MAC if given, default route. `routed`: other pods are
 * reached by the gateway too. */
static int guest_net(struct nb_site *s, struct nb_pod *p, const char *mac, const char *gateway,
                     bool routed, struct pw_err *err)
{
    struct nb_spot at = {&s->node[p->node], p->guest};
    char addr[PW_ADDR_STRLEN];
    bool v4 = s->set->family == 4;
    int rc;
    pw_addr_text(&p->addr, !routed, addr);
    if (mac && (rc = nb_cmd(&at, err, "ip link set eth0 address %s", mac)) < 0)
        return rc;
    if ((rc = nb_cmd(&at, err, "ip link set eth0 mtu %u", s->set->mtu)) < 0 ||
        (rc = nb_cmd(&at, err, "ip addr add %s dev eth0%s", addr, v4 ? "" : " nodad")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link set lo up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip link set eth0 up")) < 0 ||
        (rc = nb_cmd(&at, err, "ip route add default via %s dev eth0 onlink", gateway)) < 0)
        return rc;
    return 0;
}

static bool tun_available(char why[200])
{
    if (access("/dev/net/tun", R_OK | W_OK) == 0)
        return true;
    snprintf(why, 200, "no /dev/net/tun");
    return false;
}

static bool tap_available(const struct nb_path *p, const struct nb_settings *set, char why[200])
{
    (void)p;
    (void)set;
    return tun_available(why);
}

static void gateway_of(const struct nb_site *s, int node, char out[40])
{
    snprintf(out, 40, s->set->family == 4 ? "10.244.%d.1" : "fd00:244:%d::1", node + 1);
}

/* The plain pod, on the bridge as the guests are. */
static int bridged_pod(struct nb_site *s, struct pw_err *err)
{
    struct nb_pod *p = &s->pod[NB_POD_PLAIN];
    struct nb_spot node = {&s->node[0], -1}, pod = {&s->node[0], p->net};
    bool v4 = s->set->family == 4;
    char gw[40];
    const char *text = v4 ? "10.244.1.20/24" : "fd00:244:1::20/64";
    int rc;
    gateway_of(s, 0, gw);
    if ((rc = pw_addr_parse(text, &p->addr, err)) < 0 ||
        (rc = nb_cmd(&node, err,
                     "ip link add plain mtu %u master br0 up type veth peer name eth0 mtu %u netns "
                     "%s",
                     s->set->mtu, s->set->mtu, p->name)) < 0 ||
        (rc = nb_cmd(&pod, err, "ip addr add %s dev eth0%s", text, v4 ? "" : " nodad")) < 0 ||
        (rc = nb_cmd(&pod, err, "ip link set eth0 up")) < 0)
        return rc;
    return nb_cmd(&pod, err, "ip route add default via %s", gw);
}

static int tap_bridge_setup(const struct nb_path *path, struct nb_site *s, struct pw_err *err)
{
    int rc;
    char gw[40], text[64], tap[16];
    (void)path;
    for (int i = 0; i < 1 + s->far; i++) {
        struct nb_spot at = {&s->node[i], -1};
        gateway_of(s, i, gw);
        if ((rc = nb_cmd(&at, err, "ip link add br0 mtu %u type bridge", s->set->mtu)) < 0 ||
            (rc = nb_cmd(&at, err, "ip addr add %s/%d dev br0%s", gw, s->set->family == 4 ? 24 : 64,
                         s->set->family == 4 ? "" : " nodad")) < 0 ||
            (rc = nb_cmd(&at, err, "ip link set br0 up")) < 0)
            return rc;
    }
    for (unsigned i = 0; i < nb_site_pods(s); i++) {
        struct nb_pod *p = &s->pod[i];
        struct nb_spot at = {&s->node[p->node], -1};
        snprintf(tap, sizeof(tap), "tap%u", i);
        snprintf(text, sizeof(text), s->set->family == 4 ? "10.244.%d.%u/24" : "fd00:244:%d::%u/64",
                 p->node + 1, i + 10);
        gateway_of(s, p->node, gw);
        if ((rc = pw_addr_parse(text, &p->addr, err)) < 0 ||
            (rc = nb_vmm_start(s, p, tap, false, err)) < 0 ||
            (rc = nb_cmd(&at, err, "ip link set %s mtu %u master br0 up", tap, s->set->mtu)) < 0 ||
            (rc = guest_net(s, p, NULL, gw, false, err)) < 0)
            return rc;
    }
    return s->plain ? bridged_pod(s, err) : 0;
}

const struct nb_path nb_path_tap_bridge = {
    .name = "tap-bridge",
    .title = "VM: tap + bridge",
    .group = NB_GROUP_VM,
    .by_default = true,
    .available = tap_available,
    .setup = tap_bridge_setup,
};

/* Whose eth0 a pod's tap is joined to. */
struct joined {
    const char *type, *body; /* of the reference plugin; NULL: podwire's veth */
    bool routed;             /* the guest reaches other pods by its gateway */
};

static bool mirred_available(const struct nb_path *p, const struct nb_settings *set, char why[200])
{
    const struct joined *j = p->data;
    char plugin[300];
    snprintf(plugin, sizeof(plugin), "%s/%s", set->cni_dir, j->type ? j->type : "");
    if (!nb_have("tc") || (j->type && !nb_have(plugin))) {
        snprintf(why, 200, "needs tc%s%s", j->type ? " and the reference plugin " : "",
                 j->type ? j->type : "");
        return false;
    }
    return (j->type || nb_podwire_available(set, why)) && tun_available(why);
}

/* MAC address of eth0 of a pod, which the guest takes over. */
static int pod_mac(const struct nb_spot *at, char out[PW_MAC_STRLEN], struct pw_err *err)
{
    const char *argv[] = {"ip", "-j", "link", "show", "eth0", NULL};
    pw_cleanup(nb_out_free) struct nb_out o = {0};
    int rc = nb_exec(at, argv, NULL, NULL, &o, err);
    if (rc < 0)
        return rc;
    json_t *doc = json_loads(o.text ? o.text : "", 0, NULL);
    const char *mac = json_string_value(json_object_get(json_array_get(doc, 0), "address"));
    snprintf(out, PW_MAC_STRLEN, "%s", mac ? mac : "");
    json_decref(doc);
    return out[0] ? 0 : pw_err_set(err, -ENOENT, "eth0 has no MAC address");
}

/* ADD of all pods, the plain one too, by podwire. */
static int podwire_add_all(struct nb_site *s, const char *device, enum nb_nat nat,
                           struct pw_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++)
        rc = nb_podwire_add(s, &s->pod[i], device, nat, err);
    if (rc == 0 && s->plain)
        rc = nb_podwire_add(s, &s->pod[NB_POD_PLAIN], "veth", nat, err);
    return rc;
}

/* What Kata's tcfilter and tc-redirect-tap do: the pod's eth0 by a container plugin, a tap beside
 * it, and every frame of either sent out by the other. */
static int tap_mirred_setup(const struct nb_path *path, struct nb_site *s, struct pw_err *err)
{
    const struct joined *j = path->data;
    int rc = j->type ? nb_reference_add(s, j->type, j->body, err)
                     : podwire_add_all(s, "veth", NB_NAT, err);
    char mac[PW_MAC_STRLEN];
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++) {
        struct nb_pod *p = &s->pod[i];
        struct nb_spot at = {&s->node[p->node], p->net};
        if (!p->gateway[0])
            return pw_err_set(err, -EPROTO, "ADD of pod %s names no gateway", p->name);
        if ((rc = pod_mac(&at, mac, err)) < 0 || (rc = nb_vmm_start(s, p, "tap0", true, err)) < 0 ||
            (rc = nb_cmd(&at, err, "ip link set tap0 mtu %u up", s->set->mtu)) < 0)
            return rc;
        const char *const dev[2] = {"eth0", "tap0"};
        for (int k = 0; k < 2; k++)
            if ((rc = nb_cmd(&at, err, "tc qdisc add dev %s handle ffff: ingress", dev[k])) < 0 ||
                (rc = nb_cmd(&at, err,
                             "tc filter add dev %s parent ffff: protocol all prio 1 u32 match u32 "
                             "0 0 action mirred egress redirect dev %s",
                             dev[k], dev[!k])) < 0)
                return rc;
        rc = guest_net(s, p, mac, p->gateway, j->routed, err);
    }
    if (rc == 0 && path->redirects && s->set->deny_redirect)
        rc = nb_podwire_off(s, err);
    return rc;
}

#define MIRRED(var, n, t, plugin, members, is_routed)                                              \
    static const struct joined var##_joined = {plugin, members, is_routed};                        \
    const struct nb_path nb_path_##var = {                                                         \
        .name = n,                                                                                 \
        .title = t,                                                                                \
        .group = NB_GROUP_VM,                                                                      \
        .redirects = !(plugin),                                                                    \
        .by_default = true,                                                                        \
        .data = &var##_joined,                                                                     \
        .available = mirred_available,                                                             \
        .setup = tap_mirred_setup,                                                                 \
    }

MIRRED(tap_mirred, "tap-mirred", "VM: tap + tc mirred, bridge", "bridge",
       "\"bridge\":\"cni0\",\"isGateway\":true", false);
MIRRED(tap_ptp, "tap-mirred-ptp", "VM: tap + tc mirred, ptp", "ptp", "\"ipMasq\":false", true);
MIRRED(tap_pw_veth, "tap-mirred-podwire", "VM: tap + tc mirred, podwire, veth", NULL, NULL, true);

/* podwire's own taps: where the plugin puts them, that kind of device decides. */
struct placement {
    const char *device;
    bool in_pod;
    enum nb_nat nat;
};

static bool podwire_tap_available(const struct nb_path *p, const struct nb_settings *set,
                                  char why[200])
{
    (void)p;
    return nb_podwire_available(set, why) && tun_available(why);
}

static int podwire_tap_setup(const struct nb_path *path, struct nb_site *s, struct pw_err *err)
{
    const struct placement *at = path->data;
    int rc = podwire_add_all(s, at->device, at->nat, err);
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++) {
        struct nb_pod *p = &s->pod[i];
        const char *tap = at->in_pod ? "tap0" : p->host_if;
        if (!tap[0] || !p->mac[0] || !p->gateway[0])
            return pw_err_set(err, -EPROTO, "ADD of pod %s names no tap, MAC or gateway", p->name);
        if ((rc = nb_vmm_start(s, p, tap, at->in_pod, err)) == 0)
            rc = guest_net(s, p, p->mac, p->gateway, true, err);
    }
    if (rc == 0 && s->set->deny_redirect)
        rc = nb_podwire_off(s, err);
    return rc;
}

#define TAP(var, n, t, kind, inside, with)                                                         \
    static const struct placement var##_placement = {kind, inside, with};                          \
    const struct nb_path nb_path_##var = {                                                         \
        .name = n,                                                                                 \
        .title = t,                                                                                \
        .group = NB_GROUP_VM,                                                                      \
        .redirects = true,                                                                         \
        .by_default = (with) == NB_NAT,                                                            \
        .data = &var##_placement,                                                                  \
        .available = podwire_tap_available,                                                        \
        .setup = podwire_tap_setup,                                                                \
    }

TAP(pw_tap, "podwire-tap", "VM: podwire, tap", "tap", false, NB_NAT);
TAP(pw_tap_nonat, "podwire-tap-nonat", "VM: podwire, tap, no NAT", "tap", false, NB_NO_NAT);
TAP(pw_pod_tap, "podwire-pod-tap", "VM: podwire, tap in the pod", "pod-tap", true, NB_NAT);
TAP(pw_pod_tap_nonat, "podwire-pod-tap-nonat", "VM: podwire, tap in the pod, no NAT", "pod-tap",
    true, NB_NO_NAT);

static bool vhost_available(const struct nb_path *p, const struct nb_settings *set, char why[200])
{
    char program[PATH_MAX + 32];
    own_program(VHOST_GUEST, program);
    if (!podwire_tap_available(p, set, why))
        return false;
    if (access(program, X_OK) == 0)
        return true;
    snprintf(why, 200, "no program %.150s (make all)", program);
    return false;
}

/* Both processes of a pod's back-end: the one that serves the guest and its supervisor. */
static int find_backend(struct nb_site *s, const struct nb_pod *pod, struct pw_err *err)
{
    pw_cleanup(nb_out_free) struct nb_out out = {0};
    const char *argv[] = {s->set->podwirectl, "vm", "show", pod->id, "--json", NULL};
    struct nb_spot at = {&s->node[pod->node], -1};
    int rc = nb_exec(&at, argv, NULL, NULL, &out, err), pid = 0, worker = 0;
    if (rc < 0)
        return rc;
    json_t *doc = json_loads(out.text ? out.text : "", 0, NULL);
    rc = json_unpack(doc, "{s:{s:i,s:i}}", "backend", "pid", &pid, "worker", &worker);
    json_decref(doc);
    if (rc < 0)
        return pw_err_set(err, -ESRCH, "no back-end serves %s: its CPU time would be missing",
                          pod->socket);
    _Static_assert(PW_ARRAY_SIZE(s->helper) >= 3 * NB_PODS, "two of these and a VMM for each pod");
    s->helper[s->nhelpers++] = pid;
    s->helper[s->nhelpers++] = worker;
    return 0;
}

static int vhost_setup(const struct nb_path *path, struct nb_site *s, struct pw_err *err)
{
    int rc = 0;
    (void)path;
    for (unsigned i = 0; i < nb_site_pods(s) && rc == 0; i++) {
        struct nb_pod *p = &s->pod[i];
        if ((rc = nb_podwire_add(s, p, "vhost-user", NB_NAT, err)) < 0)
            return rc;
        if (!p->socket[0] || !p->mac[0] || !p->gateway[0])
            return pw_err_set(err, -EPROTO, "ADD of pod %s names no socket, MAC or gateway",
                              p->name);
        if ((rc = find_backend(s, p, err)) < 0 || (rc = nb_vhost_start(s, p, err)) < 0)
            return rc;
        rc = guest_net(s, p, p->mac, p->gateway, true, err);
    }
    if (rc == 0 && s->set->deny_redirect)
        rc = nb_podwire_off(s, err);
    return rc;
}

const struct nb_path nb_path_pw_vhost = {
    .name = "podwire-vhost-user",
    .title = "VM: podwire, vhost-user",
    .group = NB_GROUP_VM,
    .redirects = true,
    .by_default = true,
    .available = vhost_available,
    .setup = vhost_setup,
};
