/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/plan.h"

#include <stdio.h>
#include <string.h>

#include "cni/kind.h"
#include "loader/base/cleanup.h"
#include "loader/base/hash.h"
#include "loader/base/kcompat.h"

#define MTU_DEFAULT 1500
#define MTU_MIN6 1280 /* RFC 8200 */
/* Up to this size GSO is as it always was; above, it is BIG TCP. */
#define GSO_LEGACY_MAX 65536U
/* What netkit and veth take (their tso_max_size). */
#define GSO_MAX (8 * 65535U)
/* Room that encapsulating devices behind the pod need, so that headers are not copied. */
#define NETKIT_HEADROOM 64
#define NETKIT_TAILROOM 32

const uint8_t pw_host_mac[6] = {0x02, 0x70, 0x77, 0x00, 0x00, 0x01};
const struct pw_addr pw_gateway4 = {4, 32, {169, 254, 1, 1}};
const struct pw_addr pw_gateway6 = {6, 128, {0xfe, 0x80, [15] = 1}};

/* Stirred, so that the bits at both ends are good. */
static uint64_t hash(const char *container_id, const char *ifname, uint64_t salt)
{
    const char *const parts[] = {container_id, ":", ifname};
    uint64_t h = PW_HASH_START ^ salt;

    for (size_t i = 0; i < 3; i++)
        h = pw_hash(h, parts[i], strlen(parts[i]));
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93ULL;
    return h ^ h >> 32;
}

void pw_plan_host_if(const char *container_id, const char *ifname, char out[16])
{
    snprintf(out, 16, PW_IF_PREFIX "%011llx",
             (unsigned long long)(hash(container_id, ifname, 0) & 0xfffffffffffULL));
}

/* ---- device ---- */

static int by_choice(enum pw_choice c, const struct pw_netconf *conf,
                     const struct pw_features *features, const char *from,
                     struct pw_plan_device *out, struct pw_err *err)
{
    out->asked = c;
    switch (c) {
    case PW_CHOICE_AUTO:
        if (!features->netkit) {
            out->device = PW_DEV_VETH;
            snprintf(out->why, sizeof(out->why), "auto (%s): the kernel has no netkit", from);
        } else if (conf->has_mac) {
            out->device = PW_DEV_NETKIT_L2;
            snprintf(out->why, sizeof(out->why),
                     "auto (%s): the kernel has netkit, and a MAC was asked for", from);
        } else {
            out->device = PW_DEV_NETKIT;
            snprintf(out->why, sizeof(out->why), "auto (%s): the kernel has netkit", from);
        }
        return 0;
    case PW_CHOICE_VETH:
    case PW_CHOICE_TAP:
    case PW_CHOICE_POD_TAP:
    case PW_CHOICE_VHOST_USER:
        out->device = (enum pw_device)c;
        break;
    default:
        if (!features->netkit)
            return pw_err_set(err, PW_CNI_CONF,
                              "device %s (%s): this kernel has no netkit (6.8 and newer have); "
                              "'auto' takes veth instead",
                              pw_choice_name(c), from);
        if (c == PW_CHOICE_NETKIT && conf->has_mac)
            return pw_err_set(err, PW_CNI_CONF,
                              "device netkit (%s) works at layer 3 and takes no MAC: ask for "
                              "netkit-l2, veth or auto",
                              from);
        out->device = c == PW_CHOICE_NETKIT ? PW_DEV_NETKIT : PW_DEV_NETKIT_L2;
        break;
    }
    snprintf(out->why, sizeof(out->why), "asked for by %s", from);
    return 0;
}

int pw_plan_device(const struct pw_netconf *conf, const struct pw_features *features,
                   struct pw_plan_device *out, struct pw_err *err)
{
    if (!conf->pod_device)
        return by_choice(conf->device, conf, features,
                         conf->device_from ? conf->device_from : "configuration", out, err);
    int c = pw_choice_find(conf->pod_device);
    if (c < 0)
        return pw_err_set(err, PW_CNI_CONF, "%s is '%.40s', not one of " PW_CHOICE_NAMES,
                          conf->pod_device_from, conf->pod_device);
    if (!(conf->pod_devices >> c & 1))
        return pw_err_set(err, PW_CNI_CONF,
                          "%s asks for device %s, which 'podDevices' of network %s does not "
                          "let pods choose",
                          conf->pod_device_from, conf->pod_device, conf->name);
    return by_choice((enum pw_choice)c, conf, features, conf->pod_device_from, out, err);
}

/* ---- routes ---- */

static struct pw_plan_route *add_route(struct pw_plan *p)
{
    struct pw_plan_route *r = &p->routes[p->n_routes++];
    *r = (struct pw_plan_route){.route = {.protocol = PW_RTPROT}};
    return r;
}

static struct pw_addr gateway(const struct pw_plan *p, const struct pw_addr *a)
{
    return a->family == 4 ? p->gw4 : p->gw6;
}

/* The gateway itself is reached directly; IPv6's is link-local and needs no route. */
static void gateway_route(struct pw_plan *p)
{
    struct pw_plan_route *r = add_route(p);
    r->route.dst = pw_gateway4;
    r->route.scope = RT_SCOPE_LINK;
    r->append = true;
}

/* The rest of its subnet is reached by this interface, also when another has the default route. */
static void subnet_route(struct pw_plan *p, const struct pw_addr *ip)
{
    unsigned width = ip->family == 4 ? 32 : 128;
    struct pw_addr net = pw_addr_network(*ip);

    if (ip->prefix == 0 || ip->prefix == width)
        return;
    for (size_t i = 0; i < p->n_routes; i++)
        if (pw_addr_same(&p->routes[i].route.dst, &net) &&
            p->routes[i].route.dst.prefix == net.prefix)
            return;
    struct pw_plan_route *r = add_route(p);
    r->route.dst = net;
    r->route.gw = gateway(p, ip);
    r->route.onlink = ip->family == 4;
    r->may_exist = true;
}

static void ipam_route(struct pw_plan *p, const struct pw_ip_route *from)
{
    /* One network's routes serve pods of one family too (ipRanges, ips): theirs are what counts. */
    if (!(from->dst.family == 4 ? p->has4 : p->has6))
        return;
    struct pw_plan_route *r = add_route(p);
    r->of = from;
    r->route.dst = from->dst;
    r->route.mtu = from->mtu;
    r->route.advmss = from->advmss;
    r->route.priority = from->priority;
    r->route.table = from->has_table ? from->table : 0;
    if (from->has_scope && from->scope == RT_SCOPE_LINK && from->dst.family == 4) {
        r->route.scope = RT_SCOPE_LINK;
    } else {
        /* Whatever gateway IPAM knows: behind a pair there is only the node. */
        r->route.gw = gateway(p, &from->dst);
        r->route.onlink = from->dst.family == 4;
    }
    r->may_exist = from->dst.prefix == 0;
}

static int plan_routes(struct pw_plan *p, const struct pw_ip_result *ips, struct pw_err *err)
{
    p->routes = calloc(1 + ips->n_ips + ips->n_routes, sizeof(*p->routes));
    if (!p->routes)
        return pw_err_errno(err, -ENOMEM, "plan routes");
    /* A guest has its subnet on its own device. */
    if (p->has4 && !p->kind->guest)
        gateway_route(p);
    for (size_t i = 0; i < ips->n_ips && !p->kind->guest; i++)
        subnet_route(p, &ips->ips[i]);
    for (size_t i = 0; i < ips->n_routes; i++)
        ipam_route(p, &ips->routes[i]);
    return 0;
}

/*
 * What configures a guest (a kernel's command line, an image's scripts) wants a gateway inside the
 * subnet. Any address but its own will do: all of them are answered with the node's MAC.
 */
static struct pw_addr guest_gateway(const struct pw_addr *ip)
{
    struct pw_addr gw = pw_addr_network(*ip);

    if (ip->prefix > 30)
        return pw_gateway4;
    gw.prefix = 32;
    gw.b[3] |= 1;
    if (pw_addr_same(&gw, ip))
        gw.b[3] ^= 3;
    return gw;
}

static void plan_addresses(struct pw_plan *p, const struct pw_ip_result *ips)
{
    p->gw4 = pw_gateway4;
    p->gw6 = pw_gateway6;
    for (size_t i = 0; i < ips->n_ips; i++) {
        p->ips[i] = ips->ips[i];
        p->ips[i].prefix = p->ips[i].family == 4 ? 32 : 128;
        p->shown[i] = p->kind->guest ? ips->ips[i] : p->ips[i];
        if (p->kind->guest && !p->has4 && p->ips[i].family == 4)
            p->gw4 = guest_gateway(&ips->ips[i]);
        p->has4 |= p->ips[i].family == 4;
        p->has6 |= p->ips[i].family == 6;
    }
    p->n_ips = ips->n_ips;
}

/* ---- device's attributes ---- */

void pw_plan_tap_name(const char *ifname, char out[16])
{
    snprintf(out, 16, "tap%.12s", strlen(ifname) > 3 ? ifname + 3 : ifname);
}

/* In the node's namespace the tap is the host end. */
static void plan_tap(struct pw_plan *p, const struct pw_req *req)
{
    p->tap = req->conf.tap;
    if (!p->kind->pod_tap)
        memcpy(p->tap.name, p->host_if, sizeof(p->tap.name));
    else if (!p->tap.name[0])
        pw_plan_tap_name(req->env.ifname, p->tap.name);
}

static void replace(const char **at, const char *key, const char *value, char *out, size_t size)
{
    size_t n = strlen(out);

    snprintf(out + n, size - n, "%s", value);
    *at += strlen(key);
}

/* The socket's path from the configuration's: its keys stand for what this plugin has checked. */
static int plan_socket(const struct pw_plan *p, const struct pw_req *req, char out[108],
                       struct pw_err *err)
{
    const char *const keys[][2] = {
        {"{device}", p->host_if}, {"{id}", req->env.container_id}, {"{ifname}", req->env.ifname}};
    const char *at = req->conf.vhost.socket;
    char text[1024] = "";

    if (!at)
        at = req->conf.vhost.connect ? PW_VHOST_DIR "/{device}/vmm.sock"
                                     : PW_VHOST_DIR "/{device}.sock";
    while (*at && strlen(text) < sizeof(text) - 1) {
        size_t k = 0;
        while (k < PW_ARRAY_SIZE(keys) && strncmp(at, keys[k][0], strlen(keys[k][0])) != 0)
            k++;
        if (k < PW_ARRAY_SIZE(keys))
            replace(&at, keys[k][0], keys[k][1], text, sizeof(text));
        else
            replace(&at, "x", (char[]){*at, '\0'}, text, sizeof(text));
    }
    if (strlen(text) >= 108)
        return pw_err_set(err, PW_CNI_CONF,
                          "socket path %.200s: longer than the 107 characters that a socket may "
                          "have (vhostUser.socket: {device} is short)",
                          text);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

/* The tap's queues are the back-end's, so the tap is root's; the VMM's user gets the socket. */
static int plan_vhost(struct pw_plan *p, const struct pw_req *req, struct pw_err *err)
{
    struct pw_vhost *v = &p->vhost;

    *v = (struct pw_vhost){.connect = req->conf.vhost.connect,
                           .vhost_net = req->conf.vhost.vhost_net,
                           .has_owner = p->tap.has_owner,
                           .has_group = p->tap.has_group,
                           .owner = p->tap.owner,
                           .group = p->tap.group,
                           .queues = p->tap.queues ? p->tap.queues : 1,
                           .mtu = p->mtu};
    p->tap.has_owner = p->tap.has_group = false;
    memcpy(v->tap, p->host_if, sizeof(v->tap));
    memcpy(v->mac, p->mac, sizeof(v->mac));
    if (v->queues > PW_VHOST_MAX_QUEUES)
        return pw_err_set(err, PW_CNI_CONF, "'tap.queues' is %u: a back-end has up to %d",
                          v->queues, PW_VHOST_MAX_QUEUES);
    if (req->conf.kata_dan && !v->connect)
        return pw_err_set(err, PW_CNI_CONF,
                          "'kataDan' with device vhost-user needs 'vhostUser.mode' client: Kata's "
                          "VMM listens");
    return plan_socket(p, req, v->socket, err);
}

static uint32_t clamp(uint32_t v)
{
    return v > GSO_MAX ? GSO_MAX : v;
}

static void plan_pair(struct pw_plan *p, const struct pw_req *req,
                      const struct pw_features *features, const struct pw_uplink_limits *limits)
{
    struct pw_pair *pair = &p->pair;

    *pair = (struct pw_pair){
        .host = {.name = p->host_if, .netns = -1},
        .pod = {.name = req->env.ifname, .netns = -1},
        .mtu = p->mtu,
    };
    /* Only where the uplink has BIG TCP: otherwise the kernel's sizes are right. */
    if (limits->gso_max > GSO_LEGACY_MAX || limits->gro_max > GSO_LEGACY_MAX) {
        pair->gso_max = clamp(limits->gso_max);
        pair->gro_max = clamp(limits->gro_max);
    }
    if (limits->gso4_max > GSO_LEGACY_MAX || limits->gro4_max > GSO_LEGACY_MAX) {
        pair->gso4_max = clamp(limits->gso4_max);
        pair->gro4_max = clamp(limits->gro4_max);
    }
    if (p->l2) {
        memcpy(pair->host.mac, pw_host_mac, 6);
        memcpy(pair->pod.mac, p->mac, 6);
        pair->host.has_mac = pair->pod.has_mac = true;
    }
    if (p->kind->link != &pw_link_netkit)
        return;
    pair->netkit.mode = p->choice.device == PW_DEV_NETKIT ? PW_NETKIT_MODE_L3 : PW_NETKIT_MODE_L2;
    pair->netkit.policy = PW_NETKIT_PASS;
    /* For good: with a program attached its verdict counts, without one nothing gets out. */
    pair->netkit.peer_policy = PW_NETKIT_BLACKHOLE;
    if (features->netkit_scrub) {
        /* From the pod nothing is taken over (marks select routes); to it priorities may stay. */
        pair->netkit.set_scrub = true;
        pair->netkit.scrub = PW_NETKIT_SCRUB_DEFAULT;
        pair->netkit.peer_scrub = PW_NETKIT_SCRUB_DEFAULT;
    }
    if (features->netkit_room) {
        pair->netkit.headroom = NETKIT_HEADROOM;
        pair->netkit.tailroom = NETKIT_TAILROOM;
    }
}

/* Locally administered, the same for the same attachment. */
static void own_mac(const struct pw_env *env, uint8_t mac[6])
{
    uint64_t h = hash(env->container_id, env->ifname, 0x6d6163);

    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)(h >> (8 * i));
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

int pw_plan_make(const struct pw_req *req, const struct pw_plan_device *choice,
                 const struct pw_features *features, const struct pw_uplink_limits *limits,
                 const struct pw_ip_result *ips, struct pw_plan *out, struct pw_err *err)
{
    struct pw_plan *p = out;

    *p = (struct pw_plan){.choice = *choice, .kind = pw_kind_of(choice->device)};
    p->l2 = p->kind->l2;
    pw_plan_host_if(req->env.container_id, req->env.ifname, p->host_if);
    p->mtu = req->conf.mtu ? req->conf.mtu : limits->mtu ? limits->mtu : MTU_DEFAULT;
    plan_addresses(p, ips);
    if (p->has6 && p->mtu < MTU_MIN6)
        return pw_err_set(err, PW_CNI_CONF, "MTU %u is too small for IPv6 (1280)", p->mtu);
    if (p->l2) {
        if (req->conf.has_mac)
            memcpy(p->mac, req->conf.mac, 6);
        else
            own_mac(&req->env, p->mac);
        if (memcmp(p->mac, pw_host_mac, 6) == 0)
            return pw_err_set(err, PW_CNI_CONF, "the MAC asked for is that of the gateway");
    }
    int rc = plan_routes(p, ips, err);
    if (rc) {
        pw_plan_free(p);
        return rc;
    }
    plan_pair(p, req, features, limits);
    plan_tap(p, req);
    if (p->kind->backend)
        rc = plan_vhost(p, req, err);
    if (rc)
        pw_plan_free(p);
    return rc;
}

void pw_plan_free(struct pw_plan *p)
{
    free(p->routes);
    p->routes = NULL;
    p->n_routes = 0;
}
