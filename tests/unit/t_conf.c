/* SPDX-License-Identifier: Apache-2.0 */
/* cni/env.c and cni/conf.c: what is understood, what is refused, and with which code. */
#include "cni/conf.h"
#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

#define IPAM "\"ipam\":{\"type\":\"podwire\",\"ranges\":[[{\"subnet\":\"10.1.0.0/24\"}]]}"
#define HEAD "{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"podwire\","

static struct pw_env env_of(enum pw_cni_command command, const char *args)
{
    return (struct pw_env){.command = command,
                           .container_id = "c1",
                           .netns = "/run/netns/x",
                           .ifname = "eth0",
                           .args = args,
                           .path = ""};
}

static void environment(void)
{
    static const struct {
        const char *set[8];
        int code;
        const char *says;
    } cases[] = {
        {{NULL}, PW_CNI_ENV, "CNI_COMMAND"},
        {{"CNI_COMMAND="}, PW_CNI_ENV, "CNI_COMMAND"},
        {{"CNI_COMMAND=add"}, PW_CNI_ENV, "unknown CNI_COMMAND 'add'"},
        {{"CNI_COMMAND=ADD"}, PW_CNI_ENV, "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"},
        {{"CNI_COMMAND=ADD", "CNI_CONTAINERID=c", "CNI_IFNAME=eth0"}, PW_CNI_ENV, "CNI_NETNS"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=eth0"}, 0, NULL},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=eth0", "CNI_NETNS="}, 0, NULL},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=../c", "CNI_IFNAME=e"}, PW_CNI_ENV, "CONTAINERID"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=-c", "CNI_IFNAME=e"}, PW_CNI_ENV, "CONTAINERID"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=a b", "CNI_IFNAME=e"}, PW_CNI_ENV, "CONTAINERID"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=a/b", "CNI_IFNAME=e"}, PW_CNI_ENV, "CONTAINERID"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=a/b"}, PW_CNI_ENV, "CNI_IFNAME"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=.."}, PW_CNI_ENV, "CNI_IFNAME"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=a:b"}, PW_CNI_ENV, "CNI_IFNAME"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=sixteen-chars-xx"},
         PW_CNI_ENV,
         "IFN"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=e", "CNI_ARGS=x"},
         PW_CNI_ENV,
         "ARGS"},
        {{"CNI_COMMAND=DEL", "CNI_CONTAINERID=c", "CNI_IFNAME=e", "CNI_ARGS=;a=b;;"}, 0, NULL},
        {{"CNI_COMMAND=GC"}, 0, NULL},
        {{"CNI_COMMAND=STATUS", "CNI_CONTAINERID=../x"}, 0, NULL},
        {{"CNI_COMMAND=VERSION", "CNI_IFNAME=dummy", "CNI_NETNS=dummy", "CNI_PATH=dummy"}, 0, NULL},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        struct pw_env env;
        int rc = pw_env_read((char *const *)cases[i].set, &env, &err);
        is_int(rc, cases[i].code, "environment %zu: code", i);
        if (cases[i].says)
            has_str(err.msg, cases[i].says, "environment %zu: names it", i);
    }
    char buf[PW_ENV_ARG_LEN];
    struct pw_env env = env_of(PW_CNI_ADD, "IgnoreUnknown=1;K8S_POD_NAME=a=b;IP=10.0.0.1;MAC=");
    ok(pw_env_arg(&env, "K8S_POD_NAME", buf), "argument in the middle");
    is_str(buf, "a=b", "its value may have an equals sign");
    ok(!pw_env_arg(&env, "MAC", buf), "an empty one is none");
    ok(!pw_env_arg(&env, "POD_NAME", buf), "part of a key is no key");
}

/* Each configuration that is wrong in one place, and the code of the specification for it. */
static void refused(void)
{
    static const struct {
        enum pw_cni_command command;
        int code;
        const char *text;
        const char *says;
    } cases[] = {
        {PW_CNI_ADD, PW_CNI_DECODE, "", "stdin"},
        {PW_CNI_ADD, PW_CNI_DECODE, "{", "stdin"},
        {PW_CNI_ADD, PW_CNI_DECODE, "[]", "no JSON object"},
        {PW_CNI_ADD, PW_CNI_DECODE, "null", "stdin"},
        {PW_CNI_ADD, PW_CNI_DECODE, "{} x", "stdin"},
        {PW_CNI_ADD, PW_CNI_DECODE, "{\"name\":\"\xff\"}", "stdin"},
        {PW_CNI_ADD, PW_CNI_DECODE, "{\"cniVersion\":5}", "cniVersion"},
        {PW_CNI_ADD, PW_CNI_VERSION, "{}", "0.1.0"},
        {PW_CNI_ADD, PW_CNI_VERSION, "{\"cniVersion\":\"0.2.0\"}", "0.2.0"},
        {PW_CNI_ADD, PW_CNI_VERSION, "{\"cniVersion\":\"2.0.0\"}", "2.0.0"},
        {PW_CNI_CHECK_CMD, PW_CNI_VERSION, "{\"cniVersion\":\"0.3.1\"}", "does not have"},
        {PW_CNI_GC, PW_CNI_VERSION, "{\"cniVersion\":\"1.0.0\"}", "does not have"},
        {PW_CNI_STATUS, PW_CNI_VERSION, "{\"cniVersion\":\"1.0.0\"}", "does not have"},
        {PW_CNI_ADD, PW_CNI_CONF, "{\"cniVersion\":\"1.1.0\"}", "'name'"},
        {PW_CNI_ADD, PW_CNI_CONF, "{\"cniVersion\":\"1.1.0\",\"name\":\"../x\"," IPAM "}",
         "'name'"},
        {PW_CNI_ADD, PW_CNI_CONF, "{\"cniVersion\":\"1.1.0\",\"name\":7," IPAM "}", "'name'"},
        {PW_CNI_ADD, PW_CNI_DECODE, "{\"cniVersion\":\"1.1.0\",\"name\":\"a\\u0000b\"," IPAM "}",
         "stdin"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"device\":\"bridge\"," IPAM "}", "'bridge'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"device\":1," IPAM "}", "'device'"},
        {PW_CNI_DEL, PW_CNI_CONF, HEAD "\"closed\":true," IPAM "}", "'closed'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"podDevices\":\"veth\"," IPAM "}", "'podDevices'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"podDevices\":[\"x\"]," IPAM "}", "'x'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"lookup\":1," IPAM "}", "'lookup'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"lookup\":\"agent.sock\"," IPAM "}", "no absolute path"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"lookup\":\"/s\",\"lookupRequired\":1," IPAM "}",
         "'lookupRequired'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"lookupRequired\":true," IPAM "}", "needs 'lookup'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mtu\":\"1500\"," IPAM "}", "'mtu'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mtu\":-1," IPAM "}", "'mtu'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mtu\":67," IPAM "}", "'mtu'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mtu\":1e3," IPAM "}", "'mtu'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mtu\":99999999999," IPAM "}", "'mtu'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"uplinks\":[\"a/b\"]," IPAM "}", "'uplinks'"},
        {PW_CNI_ADD, PW_CNI_CONF,
         HEAD "\"uplinks\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]," IPAM "}",
         "'uplinks'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"nativeRanges\":[\"10.0.0.0/33\"]," IPAM "}",
         "nativeRanges"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"masquerade\":\"yes\"," IPAM "}", "'masquerade'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":0," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":\"0x1ffffffff\"," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":\"-1\"," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":\"\"," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":true," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":4294967296," IPAM "}", "'mark'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":\"0x4000\"," IPAM "}", "kube-proxy's"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"mark\":49152," IPAM "}", "kube-proxy's"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"dns\":[]," IPAM "}", "'dns'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"prevResult\":[]," IPAM "}", "'prevResult'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"runtimeConfig\":[]," IPAM "}", "'runtimeConfig'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"runtimeConfig\":{\"mac\":\"x\"}," IPAM "}", "mac"},
        {PW_CNI_ADD, PW_CNI_CONF,
         HEAD "\"runtimeConfig\":{\"mac\":\"ff:ff:ff:ff:ff:ff\"}," IPAM "}", "mac"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"runtimeConfig\":{\"ips\":[1]}," IPAM "}", "ips"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"runtimeConfig\":{\"ips\":\"10.1.0.5\"}," IPAM "}", "ips"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"args\":{\"cni\":{\"ips\":7}}," IPAM "}", "ips"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"runtimeConfig\":{\"ips\":[\"10.1\"]}," IPAM "}", "ips"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"args\":{\"cni\":{\"ips\":[\"10.1\"]}}," IPAM "}", "ips"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"x\":1}", "'ipam'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"ipam\":{}}", "'ipam.type'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"ipam\":{\"type\":\"../x\"}}", "'ipam.type'"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"ipam\":{\"type\":\"podwire\"}}", "no range"},
        {PW_CNI_ADD, PW_CNI_CONF, HEAD "\"ipam\":{\"type\":\"podwire\",\"ranges\":[{}]}}", "lists"},
        {PW_CNI_GC, PW_CNI_CONF, HEAD "\"cni.dev/valid-attachments\":{}," IPAM "}", "valid"},
        {PW_CNI_GC, PW_CNI_CONF,
         HEAD "\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]," IPAM "}", "valid"},
        {PW_CNI_GC, PW_CNI_CONF, HEAD "\"cni.dev/valid-attachments\":[7]," IPAM "}", "valid"},
    };
    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++) {
        struct pw_err err = PW_ERR_INIT;
        struct pw_env env = env_of(cases[i].command, "");
        struct pw_netconf c = PW_NETCONF_INIT;
        int rc = pw_netconf_parse(cases[i].text, strlen(cases[i].text), &env, &c, &err);
        is_int(rc, cases[i].code, "refused: %.60s", cases[i].text);
        has_str(err.msg, cases[i].says, "and told why");
        ok(!c.root, "and nothing is left");
    }
    struct pw_err err = PW_ERR_INIT;
    struct pw_env env = env_of(PW_CNI_ADD, "IP=10.x;MAC=zz");
    struct pw_netconf c = PW_NETCONF_INIT;
    const char *text = HEAD IPAM "}";
    is_int(pw_netconf_parse(text, strlen(text), &env, &c, &err), PW_CNI_ENV, "IP= that is none");
    has_str(err.msg, "CNI_ARGS", "names the variable");
}

static struct pw_netconf good(enum pw_cni_command command, const char *args, const char *text)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_env env = env_of(command, args);
    struct pw_netconf c = PW_NETCONF_INIT;
    is_int(pw_netconf_parse(text, strlen(text), &env, &c, &err), 0, "taken: %.60s", text);
    if (err.msg[0])
        diag("%s", err.msg);
    return c;
}

static void understood(void)
{
    char buf[PW_ADDR_STRLEN];
    struct pw_netconf c = good(PW_CNI_ADD, "", HEAD IPAM "}");
    is_int(c.version, PW_V110, "version");
    is_int(c.device, PW_CHOICE_AUTO, "auto is the default");
    is_int(c.pod_devices, 0, "pods choose nothing by default");
    ok(c.node.masquerade && c.node.ask_conntrack && !c.node.forward_accept, "defaults of the node");
    is_int(c.node.n_pods, 1, "the network's subnet is the node's");
    is_int(c.node.n_native, 1, "and native");
    pw_netconf_free(&c);

    /* Every list and map null, as Go sends what it does not have. */
    c = good(PW_CNI_ADD, "",
             HEAD "\"podDevices\":null,\"uplinks\":null,\"nativeRanges\":null,\"dns\":null,"
                  "\"prevResult\":null,\"runtimeConfig\":{\"ips\":null,\"mac\":null,"
                  "\"ipRanges\":null,\"io.kubernetes.cri.pod-annotations\":null,"
                  "\"portMappings\":null},\"args\":{\"cni\":null}," IPAM "}");
    ok(!c.has_mac && c.n_requested == 0 && !c.pod_device, "null is as good as absent");
    pw_netconf_free(&c);

    /* Spelled as containerd spells them. */
    c = good(PW_CNI_ADD, "",
             HEAD "\"RuntimeConfig\":{\"Mac\":\"02:00:00:00:00:09\",\"IPs\":[\"10.1.0.9/24\"],"
                  "\"IPRanges\":[[{\"Subnet\":\"10.7.0.0/24\"}]]}," IPAM "}");
    ok(c.has_mac && c.mac[5] == 9, "MAC");
    is_int(c.n_requested, 1, "requested address");
    is_str(pw_addr_text(&c.requested[0], true, buf), "10.1.0.9/32", "without its prefix");
    is_int(c.node.n_pods, 2, "subnets of the capability count too");
    pw_netconf_free(&c);

    c = good(PW_CNI_ADD, "IgnoreUnknown=1;IP=10.1.0.5,10.1.0.6;MAC=02:00:00:00:00:07",
             HEAD IPAM "}");
    is_int(c.n_requested, 2, "IP= of CNI_ARGS");
    ok(c.has_mac && c.mac[5] == 7, "MAC= of CNI_ARGS");
    pw_netconf_free(&c);
    c = good(PW_CNI_ADD, "IP=10.1.0.5",
             HEAD "\"args\":{\"cni\":{\"ips\":[\"10.1.0.8\"]}}," IPAM "}");
    is_str(pw_addr_text(&c.requested[0], false, buf), "10.1.0.8", "args go before CNI_ARGS");
    is_int(c.n_requested, 1, "which is not looked at then");
    pw_netconf_free(&c);

    c = good(PW_CNI_ADD, "",
             HEAD "\"args\":{\"cni\":{\"device\":\"veth\"}},\"runtimeConfig\":{"
                  "\"io.kubernetes.cri.pod-annotations\":{\"podwire.io/device\":\"netkit\"}}," IPAM
                  "}");
    is_str(c.pod_device, "netkit", "the annotation goes before args");
    pw_netconf_free(&c);

    c = good(PW_CNI_ADD, "", HEAD "\"mark\":\"0x20\",\"mtu\":9000,\"unknown\":[{}]," IPAM "}");
    is_int(c.node.mark, 0x20, "mark");
    is_int(c.mtu, 9000, "MTU");
    ok(json_object_get(c.root, "unknown"), "unknown keys stay");
    pw_netconf_free(&c);

    /* A DEL must not fail for what only an ADD would act on. */
    c = good(PW_CNI_DEL, "IP=nonsense;MAC=x",
             HEAD "\"prevResult\":7,\"runtimeConfig\":{\"mac\":\"x\",\"ips\":[1]}," IPAM "}");
    pw_netconf_free(&c);
    c = good(PW_CNI_GC, "", HEAD IPAM "}");
    ok(!c.valid, "GC without the key: nothing is valid");
    pw_netconf_free(&c);
    /* What a foreign plugin makes of its ranges is its own affair. */
    c = good(PW_CNI_ADD, "", HEAD "\"ipam\":{\"type\":\"dhcp\",\"ranges\":\"odd\"}}");
    pw_netconf_free(&c);

    is_int(pw_netconf_version("{\"cniVersion\":\"0.4.0\"", 21), PW_V110,
           "version of damaged input");
    is_int(pw_netconf_version("{\"cniVersion\":\"0.4.0\"}", 22), PW_V040, "version of bad input");
}

int main(void)
{
    environment();
    refused();
    understood();
    return tap_done();
}
