/* SPDX-License-Identifier: Apache-2.0 */
/* cni/plan.c, cni/result.c and the parser of cni/state.c: no kernel needed. */
#include "cni/cmd.h"
#include "cni/kind.h"
#include "cni/plan.h"
#include "cni/result.h"
#include "loader/base/cleanup.h"
#include "loader/base/kcompat.h"
#include "tests/lib/tap.h"

static const struct pw_features with = {
    .tcx = true, .netkit = true, .netkit_scrub = true, .netkit_room = true};
static const struct pw_features without = {.tcx = true};

static void device(const struct pw_netconf *conf, const struct pw_features *f, int want,
                   const char *says)
{
    struct pw_plan_device d = {0};
    struct pw_err err = PW_ERR_INIT;
    int rc = pw_plan_device(conf, f, &d, &err);

    if (want < 0)
        is_int(rc, PW_CNI_CONF, "refused: %s", err.msg);
    else
        is_int(rc ? rc : (int)d.device, want, "device: %s", d.why);
    has_str(want < 0 ? err.msg : d.why, says, "says why");
}

static void devices(void)
{
    struct pw_netconf c = {.device = PW_CHOICE_AUTO, .name = "net"};

    device(&c, &with, PW_DEV_NETKIT, "has netkit");
    device(&c, &without, PW_DEV_VETH, "has no netkit");
    c.has_mac = true;
    device(&c, &with, PW_DEV_NETKIT_L2, "MAC was asked for");
    device(&c, &without, PW_DEV_VETH, "has no netkit");
    c.device = PW_CHOICE_NETKIT;
    device(&c, &with, -1, "takes no MAC");
    c.has_mac = false;
    device(&c, &with, PW_DEV_NETKIT, "configuration");
    device(&c, &without, -1, "this kernel has no netkit");
    c.device = PW_CHOICE_NETKIT_L2;
    device(&c, &with, PW_DEV_NETKIT_L2, "configuration");
    c.device = PW_CHOICE_VETH;
    device(&c, &with, PW_DEV_VETH, "configuration");
    /* The pod's choice, within what the operator lets it. */
    c.pod_device = "netkit";
    c.pod_device_from = "annotation podwire.io/device";
    device(&c, &with, -1, "podDevices");
    c.pod_devices = 1U << PW_CHOICE_NETKIT;
    device(&c, &with, PW_DEV_NETKIT, "annotation");
    c.pod_device = "veth";
    device(&c, &with, -1, "podDevices");
    c.pod_device = "tap";
    c.pod_devices = 1U << PW_CHOICE_TAP;
    device(&c, &without, PW_DEV_TAP, "annotation");
    c.pod_device = "pod-tap";
    device(&c, &with, -1, "podDevices");
    c.pod_device = "bridge";
    device(&c, &with, -1, "not one of");
}

static struct pw_ip_result ips(const char *const *list, size_t n)
{
    struct pw_ip_result r = PW_IP_RESULT_INIT;
    for (size_t i = 0; i < n; i++)
        pw_addr_parse(list[i], &r.ips[r.n_ips++], NULL);
    r.routes = calloc(4, sizeof(*r.routes));
    pw_addr_parse("0.0.0.0/0", &r.routes[0].dst, NULL);
    pw_addr_parse("::/0", &r.routes[1].dst, NULL);
    r.n_routes = 2;
    return r;
}

static struct pw_req request(void)
{
    return (struct pw_req){
        .env = {.container_id = "c1", .ifname = "eth0", .netns = "/run/netns/x", .args = ""},
        .conf = {.name = "net", .version = PW_V110}};
}

/* Virtual machines: what the result says is for a guest to configure itself by. */
static void guests(void)
{
    const char *const dual[] = {"10.1.0.1/24", "fd00:1::5/64"}, *const odd[] = {"10.1.0.5/31"};
    struct pw_ip_result r = ips(dual, 2);
    struct pw_req req = request();
    struct pw_plan_device tap = {.device = PW_DEV_TAP}, pod_tap = {.device = PW_DEV_POD_TAP};
    struct pw_uplink_limits limits = {.mtu = 1500};
    struct pw_plan p = PW_PLAN_INIT;
    struct pw_err err = PW_ERR_INIT;
    char buf[PW_ADDR_STRLEN];

    is_int(pw_plan_make(&req, &tap, &without, &limits, &r, &p, &err), 0, "tap, dual stack");
    ok(p.l2 && p.kind->guest && !p.kind->configure, "nothing is set in the pod");
    is_str(p.tap.name, p.host_if, "the tap is the host end");
    is_str(pw_addr_text(&p.ips[0], true, buf), "10.1.0.1/32", "the node routes the address");
    is_str(pw_addr_text(&p.shown[0], true, buf), "10.1.0.1/24",
           "the guest gets the subnet's prefix");
    is_str(pw_addr_text(&p.gw4, false, buf), "10.1.0.2", "and a gateway in it, not itself");
    is_int(p.n_routes, 2, "routes of the configuration alone");
    pw_plan_free(&p);

    snprintf(req.conf.tap.name, sizeof(req.conf.tap.name), "vm0");
    is_int(pw_plan_make(&req, &pod_tap, &without, &limits, &r, &p, &err), 0, "pod-tap");
    is_str(p.tap.name, "vm0", "name as configured");
    pw_plan_free(&p);
    req.conf.tap.name[0] = '\0';
    const char *const names[][2] = {{"eth0", "tap0"},
                                    {"pod37a8eec1ce1", "tap37a8eec1ce1"},
                                    {"a", "tapa"},
                                    {"abcdefghijklmno", "tapdefghijklmno"}};
    for (size_t i = 0; i < PW_ARRAY_SIZE(names); i++) {
        req.env.ifname = names[i][0];
        pw_plan_make(&req, &pod_tap, &without, &limits, &r, &p, &err);
        is_str(p.tap.name, names[i][1], "the tap beside %s", names[i][0]);
        pw_plan_free(&p);
    }
    pw_ip_result_free(&r);
    r = ips(odd, 1);
    is_int(pw_plan_make(&req, &tap, &without, &limits, &r, &p, &err), 0,
           "a range without a gateway");
    ok(pw_addr_same(&p.gw4, &pw_gateway4), "the pods' gateway");
    pw_plan_free(&p);
    pw_ip_result_free(&r);
}

static const struct pw_plan_route *route_to(const struct pw_plan *p, const char *text)
{
    struct pw_addr a;
    pw_addr_parse(text, &a, NULL);
    for (size_t i = 0; i < p->n_routes; i++)
        if (pw_addr_same(&p->routes[i].route.dst, &a) && p->routes[i].route.dst.prefix == a.prefix)
            return &p->routes[i];
    return NULL;
}

static void plans(void)
{
    const char *const dual[] = {"10.1.0.5/24", "fd00:1::5/64"};
    struct pw_ip_result r = ips(dual, 2);
    struct pw_req req = request();
    struct pw_plan_device netkit = {.device = PW_DEV_NETKIT}, veth = {.device = PW_DEV_VETH};
    struct pw_uplink_limits limits = {.mtu = 9000};
    struct pw_plan p = PW_PLAN_INIT;
    struct pw_err err = PW_ERR_INIT;
    char buf[PW_ADDR_STRLEN];

    is_int(pw_plan_make(&req, &netkit, &with, &limits, &r, &p, &err), 0, "netkit, dual stack");
    is_int(p.mtu, 9000, "MTU from the uplink");
    is_str(pw_addr_text(&p.ips[0], true, buf), "10.1.0.5/32", "address of its own");
    ok(strncmp(p.host_if, "pw-", 3) == 0 && strlen(p.host_if) == 14, "host end's name");
    ok(!p.l2 && !p.pair.pod.has_mac, "layer 3 has no MAC");
    is_int(p.pair.netkit.peer_policy, PW_NETKIT_BLACKHOLE, "the pod's end is shut");
    ok(p.pair.netkit.set_scrub && p.pair.netkit.headroom,
       "scrub and room where the kernel has them");
    const struct pw_plan_route *d = route_to(&p, "0.0.0.0/0");
    ok(d && pw_addr_same(&d->route.gw, &pw_gateway4) && d->route.onlink && d->may_exist,
       "default route by the gateway, unless another interface has it");
    d = route_to(&p, "fd00:1::/64");
    ok(d && pw_addr_same(&d->route.gw, &pw_gateway6) && !d->of, "its subnet by the gateway");
    ok(route_to(&p, "169.254.1.1/32"), "the gateway itself");
    is_int(p.pair.gso_max, 0, "no BIG TCP without the uplink's");
    pw_plan_free(&p);

    limits = (struct pw_uplink_limits){
        .mtu = 1500, .gso_max = 196608, .gro_max = 600000, .gso4_max = 65536, .gro4_max = 65536};
    req.conf.mtu = 1400;
    is_int(pw_plan_make(&req, &veth, &without, &limits, &r, &p, &err), 0, "veth");
    is_int(p.mtu, 1400, "MTU from the configuration");
    ok(p.pair.gso_max == 196608 && p.pair.gro_max == 8 * 65535U, "BIG TCP, within what veth takes");
    is_int(p.pair.gso4_max, 0, "of IPv6 alone");
    ok(p.l2 && (p.mac[0] & 3) == 2, "a MAC of its own making");
    uint8_t mac[6];
    memcpy(mac, p.mac, 6);
    pw_plan_free(&p);
    req.env.ifname = "eth1";
    pw_plan_make(&req, &veth, &without, &limits, &r, &p, &err);
    ok(memcmp(mac, p.mac, 6) != 0, "another for another interface");
    pw_plan_free(&p);

    req.conf.mtu = 1279;
    is_int(pw_plan_make(&req, &veth, &without, &limits, &r, &p, &err), PW_CNI_CONF,
           "an MTU too small for IPv6");
    req.conf.mtu = 0;
    req.conf.has_mac = true;
    memcpy(req.conf.mac, pw_host_mac, 6);
    is_int(pw_plan_make(&req, &veth, &without, &limits, &r, &p, &err), PW_CNI_CONF,
           "the gateway's MAC");
    pw_ip_result_free(&r);

    r = ips(dual, 1);
    req = request();
    limits = (struct pw_uplink_limits){0};
    is_int(pw_plan_make(&req, &veth, &without, &limits, &r, &p, &err), 0, "IPv4 alone");
    is_int(p.mtu, 1500, "MTU without an uplink");
    ok(!route_to(&p, "::/0"), "routes of a family that the pod lacks are left out");
    pw_plan_free(&p);
    pw_ip_result_free(&r);
}

static void names(void)
{
    char a[16], b[16];
    pw_plan_host_if("c1", "eth0", a);
    pw_plan_host_if("c1", "eth0", b);
    is_str(a, b, "the same attachment has the same host end");
    pw_plan_host_if("c1:", "eth0", b);
    ok(strcmp(a, b) != 0, "another has another");
}

static json_t *result(enum pw_version version, const char *prev)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    struct pw_result_if ifs[2] = {{.name = "pw-1", .mtu = 1400},
                                  {.name = "eth0",
                                   .mac = mac,
                                   .mtu = 1400,
                                   .sandbox = "/x",
                                   .socket_path = "/s",
                                   .n_ips = 2}};
    struct pw_addr ip[2] = {{4, 32, {10, 1, 0, 5}}, {6, 128, {0xfd}}};
    struct pw_ip_route route = {.dst = {4, 0, {0}},
                                .gw = pw_gateway4,
                                .mtu = 1300,
                                .priority = 5,
                                .has_table = true,
                                .table = 7};
    json_t *p = prev ? json_loads(prev, 0, NULL) : NULL;
    struct pw_result r = {.version = version,
                          .ifs = ifs,
                          .n_ifs = 2,
                          .ips = ip,
                          .gw4 = &pw_gateway4,
                          .gw6 = &pw_gateway6,
                          .routes = &route,
                          .n_routes = 1,
                          .prev = p};
    json_t *o = pw_result_make(&r);
    json_decref(p);
    return o;
}

static void is_json(json_t *got, const char *want, const char *name)
{
    pw_free char *text = json_dumps(got, JSON_COMPACT);
    is_str(text, want, "%s", name);
    json_decref(got);
}

static void results(void)
{
    is_json(result(PW_V110, NULL),
            "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"pw-1\",\"mtu\":1400},"
            "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,\"sandbox\":\"/x\","
            "\"socketPath\":\"/s\"}],"
            "\"ips\":[{\"interface\":1,\"address\":\"10.1.0.5/32\",\"gateway\":\"169.254.1.1\"},"
            "{\"interface\":1,\"address\":\"fd00::/128\",\"gateway\":\"fe80::1\"}],"
            "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\",\"mtu\":1300,\"priority\":5,"
            "\"table\":7}]}",
            "1.1.0: MTU, socket, and routes' properties");
    is_json(result(PW_V100, NULL),
            "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"pw-1\"},"
            "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/x\"}],"
            "\"ips\":[{\"interface\":1,\"address\":\"10.1.0.5/32\",\"gateway\":\"169.254.1.1\"},"
            "{\"interface\":1,\"address\":\"fd00::/128\",\"gateway\":\"fe80::1\"}],"
            "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"}]}",
            "1.0.0: without");
    is_json(
        result(PW_V040, NULL),
        "{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"pw-1\"},"
        "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/x\"}],"
        "\"ips\":[{\"version\":\"4\",\"interface\":1,\"address\":\"10.1.0.5/32\",\"gateway\":"
        "\"169.254.1.1\"},{\"version\":\"6\",\"interface\":1,\"address\":\"fd00::/128\","
        "\"gateway\":\"fe80::1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"}]}",
        "0.4.0: addresses with their version");
    is_json(result(PW_V100,
                   "{\"cniVersion\":\"1.0.0\",\"odd\":[1],\"interfaces\":[{\"name\":\"lo\"}],"
                   "\"dns\":{\"search\":[\"x\"]}}"),
            "{\"cniVersion\":\"1.0.0\",\"odd\":[1],\"interfaces\":[{\"name\":\"lo\"},{\"name\":"
            "\"pw-1\"},"
            "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/x\"}],"
            "\"dns\":{\"search\":[\"x\"]},"
            "\"ips\":[{\"interface\":2,\"address\":\"10.1.0.5/32\",\"gateway\":\"169.254.1.1\"},"
            "{\"interface\":2,\"address\":\"fd00::/128\",\"gateway\":\"fe80::1\"}],"
            "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"}]}",
            "a result from before is kept and added to");

    struct pw_err err = {.code = PW_CNI_CONF, .msg = "bad \xff byte"};
    is_json(pw_result_error(PW_V040, &err),
            "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"bad ? byte\"}", "an error");
    is_int(pw_cni_code_of(-EBUSY), 11, "busy is: try again");
    is_int(pw_cni_code_of(-ENOSPC), 5, "no space is: I/O");
    is_int(pw_cni_code_of(-EINVAL), 999, "the rest is: internal");
}

static void parse(const char *text, int want, size_t n_ips, const char *name)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_ip_result r = PW_IP_RESULT_INIT;
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
    is_int(pw_result_parse_of(j, "eth0", &r, &err), want, "%s", name);
    is_int(r.n_ips, n_ips, "addresses");
    json_decref(j);
    pw_ip_result_free(&r);
}

static void reading(void)
{
    const char *ifs = "\"interfaces\":[{\"name\":\"eth0\"},{\"name\":\"eth0\",\"sandbox\":\"/x\"}]";
    char text[600];

    snprintf(text, sizeof(text),
             "{%s,\"ips\":[{\"address\":\"10.0.0.1/24\",\"interface\":1},"
             "{\"version\":\"4\",\"address\":\"10.0.0.2/24\",\"interface\":0},"
             "{\"address\":\"10.0.0.3/24\"}],\"routes\":null,\"dns\":{}}",
             ifs);
    parse(text, 0, 2, "addresses of the container's interface, or of none");
    parse("{\"ips\":[]}", PW_CNI_CONF, 0, "without the interface");
    parse("{\"ips\":{}}", PW_CNI_DECODE, 0, "ips that is no list");
    parse("{\"ips\":[null]}", PW_CNI_DECODE, 0, "an address that is null");
    parse("{\"ips\":[{\"address\":\"10.0.0.1\"}]}", PW_CNI_DECODE, 0, "one without prefix");
    parse("{\"routes\":[{}]}", PW_CNI_DECODE, 0, "a route to nowhere");
    parse("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"fd00::1\"}]}", PW_CNI_DECODE, 0,
          "a gateway of another family");
    parse("{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"mtu\":-4}]}", PW_CNI_DECODE, 0, "a negative MTU");
    parse("{\"dns\":[]}", PW_CNI_DECODE, 0, "dns that is no object");
    parse("7", PW_CNI_DECODE, 0, "a number");
}

static void records(void)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"version\":2}",
        "{\"version\":1}",
        "{\"version\":1,\"containerId\":\"../c\",\"ifname\":\"eth0\",\"hostIf\":\"pw-1\"}",
        "{\"version\":1,\"containerId\":\"c\",\"ifname\":\"a/b\",\"hostIf\":\"pw-1\"}",
        "{\"version\":1,\"containerId\":\"c\",\"ifname\":\"eth0\",\"hostIf\":\"eth0\"}",
        "{\"version\":1,\"containerId\":\"c\",\"ifname\":\"eth0\",\"hostIf\":\"pw-/../x\"}",
    };
    struct pw_err err = PW_ERR_INIT;
    struct pw_state st;

    for (size_t i = 0; i < PW_ARRAY_SIZE(bad); i++)
        is_int(pw_state_parse(bad[i], strlen(bad[i]), &st, &err), -EBADMSG, "record: %s", bad[i]);
    const char *good = "{\"version\":1,\"complete\":true,\"containerId\":\"c\",\"ifname\":\"eth0\","
                       "\"hostIf\":\"pw-1\",\"hostIfindex\":-7,\"mtu\":1e9,\"device\":\"veth\","
                       "\"mac\":\"02:00:00:00:00:01\",\"addresses\":[\"10.0.0.1\",7,\"x\"]}";
    is_int(pw_state_parse(good, strlen(good), &st, &err), 0, "a record with odd values is read");
    ok(st.complete && st.device == PW_DEV_VETH && st.n_ips == 1 && st.host_ifindex == 0,
       "as far as it goes");
}

int main(void)
{
    devices();
    names();
    plans();
    guests();
    results();
    reading();
    records();
    return tap_done();
}
