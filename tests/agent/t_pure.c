/* SPDX-License-Identifier: Apache-2.0 */
/* podwired's pure parts: what is picked out of a stream, the map of the cluster, the configuration,
 * kubeconfig, the list and when it is there. */
#include "agent/cluster.h"
#include "agent/conf.h"
#include "agent/conflist.h"
#include "agent/kube.h"
#include "agent/pick.h"
#include "agent/pods.h"
#include "loader/base/cleanup.h"
#include "tests/lib/tap.h"

/* ---- pick ---- */

static char picked[4096];

static int collect(void *arg, const char *text, size_t len, struct pw_err *err)
{
    size_t at = strlen(picked);

    (void)arg;
    (void)err;
    snprintf(picked + at, sizeof(picked) - at, "%.*s\n", (int)len, text);
    return 0;
}

/* Fed in pieces of `step` bytes; what was picked, or the error. */
static const char *pick(const char *list, const char *in, size_t step)
{
    static const char *const frame[] = {"metadata.resourceVersion", NULL};
    static const char *const keep[] = {"a", "b.c", "b.d.e", "list.x", NULL};
    pw_cleanup(pw_pick_free) struct pw_pick p = {
        .keep = list ? frame : keep, .list = list, .keep_item = keep, .object = collect};
    static struct pw_err err;
    size_t len = strlen(in);
    int rc = 0;

    picked[0] = '\0';
    for (size_t i = 0; i < len && !rc; i += step)
        rc = pw_pick_feed(&p, in + i, len - i < step ? len - i : step, &err);
    if (!rc)
        rc = pw_pick_end(&p, &err);
    if (rc)
        return err.msg;
    if (list) {
        size_t n;
        const char *text = pw_pick_frame(&p, &n);
        if (text)
            collect(NULL, text, n, NULL);
    }
    return picked;
}

static void picks(void)
{
    static const struct {
        const char *list, *in, *out, *what;
    } cases[] = {
        {NULL, "{\"a\":1}", "{\"a\":1}\n", "a number"},
        {NULL, "{\"x\":1}", "{}\n", "nothing wanted"},
        {NULL, "{\"x\":{\"a\":[1,{\"}\":\"]\"}]},\"a\":\"s\\\"}\"}", "{\"a\":\"s\\\"}\"}\n",
         "brackets in strings, kept and not"},
        {NULL, "{\"b\":{\"q\":0,\"c\":[1, 2],\"d\":{\"e\":null,\"f\":1}},\"z\":0}",
         "{\"b\":{\"c\":[1,2],\"d\":{\"e\":null}}}\n", "members of members"},
        {NULL, " {\"a\" : true}\n\n{\"a\":{\"any\": {\"thing\": [ ]}}}\n",
         "{\"a\":true}\n{\"a\":{\"any\":{\"thing\":[]}}}\n", "a row of objects"},
        {NULL, "{\"list\":[{\"x\":1,\"y\":2},{\"y\":3},7]}", "{\"list\":[{\"x\":1},{},7]}\n",
         "members of an array's elements"},
        {NULL, "{\"b\":5,\"a\":-1.5e3}", "{\"b\":5,\"a\":-1.5e3}\n", "a scalar on the way"},
        {NULL, "{\"a\":\"\\\\\",\"x\":\"\\\\\"}", "{\"a\":\"\\\\\"}\n", "backslashes at the end"},
        {"items",
         "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"a\":1},{\"b\":{"
         "\"c\":2}}]}",
         "{\"a\":1}\n{\"b\":{\"c\":2}}\n{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}\n",
         "a list"},
        {"items", "{\"items\":[],\"metadata\":{\"resourceVersion\":\"7\"}}",
         "{\"items\":[],\"metadata\":{\"resourceVersion\":\"7\"}}\n", "an empty list"},
        {"items", "{\"items\":null}", "{\"items\":null}\n", "a list of null"},
        {"items", "{\"metadata\":{\"items\":[{\"a\":1}]},\"items\":[{\"items\":[3],\"a\":2}]}",
         "{\"a\":2}\n{\"metadata\":{},\"items\":[]}\n", "the array's name elsewhere"},
        {NULL, "{\"a\":1", "the answer ends in the middle", "cut"},
        {NULL, "{\"a\":1}}", "the answer is no JSON as expected", "too many brackets"},
        {NULL, "[1]", "the answer is no JSON as expected", "an array for an object"},
        {NULL, "{\"a\" 1}", "the answer is no JSON as expected", "no colon"},
        {NULL, "{\"a\":[1}", "the answer is no JSON as expected, after a", "the wrong bracket"},
        {"items", "{\"items\":[1]}", "the answer is no JSON as expected, after items",
         "an element that is no object"},
        {"items", "{\"items\":[{\"a\":1}]} {", "the answer is no JSON as expected",
         "more after it"},
        {"items", "", "the answer ends in the middle", "nothing"},
    };

    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++)
        for (size_t step = 1; step < 100; step += 98)
            is_str(pick(cases[i].list, cases[i].in, step), cases[i].out, "pick, by %zu: %s", step,
                   cases[i].what);
}

static void pick_bounds(void)
{
    const size_t size = 1 << 20;
    pw_free char *big = malloc(size);
    int n = snprintf(big, size, "{\"x\":\"");

    memset(big + n, 'y', size - 64);
    snprintf(big + n + size - 64, 32, "\",\"a\":1} {\"a\":2}");
    is_str(pick(NULL, big, 4096), "{\"a\":1}\n{\"a\":2}\n", "pick: a megabyte that is not wanted");
    big[2] = 'a';
    is_str(pick(NULL, big, 4096), "{\"a\":2}\n", "pick: a megabyte that is wanted is left out");
    memcpy(big, "{\"items\":[{\"a\":\"", 16);
    snprintf(big + n + size - 64, 32, "\"},{\"a\":2}]}");
    is_str(pick("items", big, 4096), "{\"a\":2}\n{\"items\":[]}\n", "pick: in a list too");
    n = snprintf(big, size, "{\"metadata\":{\"resourceVersion\":\"");
    big[n] = 'y';
    has_str(pick("items", big, 4096), "more than 65536 bytes",
            "pick: a list with too long a version");
    memset(big, '[', 200);
    memcpy(big, "{\"a\":", 5);
    big[200] = '\0';
    has_str(pick(NULL, big, 4096), "nested more than", "pick: too deep");
    memset(big, '[', size - 1);
    memcpy(big, "{\"x\":", 5);
    big[size - 1] = '\0';
    is_str(pick(NULL, big, 4096), "the answer ends in the middle", "pick: deep, but not wanted");
}

/* ---- cluster ---- */

static void put(struct pw_cluster *c, const char *name, const char *created, const char *address,
                const char *range)
{
    bool changed = false;
    pw_json *o = json_pack("{s:{s:s, s:s}, s:{s:[s]}, s:{s:[{s:s, s:s}]}}", "metadata", "name",
                           name, "creationTimestamp", created, "spec", "podCIDRs", range, "status",
                           "addresses", "type", "InternalIP", "address", address);
    if (pw_cluster_put(c, o, false, &changed, NULL))
        diag("put %s failed", name);
}

/* The peers as text: "name=range ...", refused ones counted. */
static const char *peers(const struct pw_cluster *c, size_t *refused)
{
    static char out[1024], why[320];
    struct pw_addr ranges[1];
    pw_free struct pw_peer *list = NULL;
    char text[PW_ADDR_STRLEN];
    size_t n = 0, len = 0;

    pw_addr_parse("10.0.0.0/8", &ranges[0], NULL);
    out[0] = '\0';
    if (pw_cluster_peers(c, "me", ranges, 1, &list, &n, refused, why, NULL))
        return "failed";
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < list[i].n_pods; j++)
            len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s=%s", len ? " " : "",
                                    list[i].name, pw_addr_text(&list[i].pods[j], true, text));
    return out;
}

static void clusters(void)
{
    pw_cleanup(pw_cluster_free) struct pw_cluster c = {0};
    bool changed = false;
    size_t refused;

    pw_cluster_begin(&c);
    put(&c, "me", "2020", "192.0.2.1", "10.1.0.0/24");
    put(&c, "c", "2021", "192.0.2.3", "10.3.0.0/24");
    put(&c, "b", "2022", "192.0.2.2", "10.2.0.0/24");
    pw_cluster_end(&c, &changed);
    ok(changed && c.synced, "cluster: a list is a change");
    is_str(peers(&c, &refused), "b=10.2.0.0/24 c=10.3.0.0/24", "cluster: the others, by name");
    is_int(refused, 0, "cluster: none refused");

    changed = false;
    pw_json *same =
        json_pack("{s:{s:s, s:s, s:s}, s:{s:s}, s:{s:[{s:s, s:s}, {s:s, s:s}]}}", "metadata",
                  "name", "b", "creationTimestamp", "2022", "resourceVersion", "99", "spec",
                  "podCIDR", "10.2.0.0/24", "status", "addresses", "type", "Hostname", "address",
                  "b", "type", "InternalIP", "address", "192.0.2.2");
    is_int(pw_cluster_put(&c, same, false, &changed, NULL), 0, "cluster: a heartbeat");
    ok(!changed, "cluster: changes nothing");

    put(&c, "liar", "2030", "192.0.2.66", "10.3.0.128/25");
    put(&c, "wide", "2031", "192.0.2.67", "10.0.0.0/8");
    put(&c, "thief", "1999", "192.0.2.68", "10.1.0.1/32");
    put(&c, "alien", "1999", "192.0.2.69", "11.0.0.0/24");
    is_str(peers(&c, &refused), "b=10.2.0.0/24 c=10.3.0.0/24", "cluster: lies are refused");
    is_int(refused, 4, "cluster: each of them");
    put(&c, "old", "2000", "192.0.2.70", "10.3.0.0/16");
    is_str(peers(&c, &refused), "b=10.2.0.0/24 old=10.3.0.0/16", "cluster: the older one has it");

    pw_cluster_begin(&c);
    put(&c, "me", "2020", "192.0.2.1", "10.1.0.0/24");
    put(&c, "c", "2021", "192.0.2.3", "10.3.0.0/24");
    changed = false;
    pw_cluster_end(&c, &changed);
    ok(changed, "cluster: what a list has not is gone");
    is_str(peers(&c, &refused), "c=10.3.0.0/24", "cluster: and the rest is not");
    changed = false;
    pw_json *gone = json_pack("{s:{s:s}}", "metadata", "name", "c");
    pw_cluster_put(&c, gone, true, &changed, NULL);
    ok(changed && !pw_cluster_find(&c, "c"), "cluster: deleted");
    pw_json *nameless = json_pack("{s:{}}", "metadata");
    is_int(pw_cluster_put(&c, nameless, false, &changed, NULL), -EBADMSG,
           "cluster: without a name");
}

/* ---- configuration ---- */

static const char *conf_error(const char *text)
{
    static struct pw_err err;
    pw_cleanup(pw_agent_conf_free) struct pw_agent_conf conf = {0};

    err = (struct pw_err)PW_ERR_INIT;
    pw_agent_conf_init(&conf);
    snprintf(conf.node_name, sizeof(conf.node_name), "me");
    if (!pw_agent_conf_parse(text, strlen(text), &conf, &err))
        pw_agent_conf_check(&conf, &err);
    return err.msg;
}

static void confs(void)
{
    static const struct {
        const char *in, *message;
    } bad[] = {
        {"", "expected"},
        {"[]", "must be an object"},
        {"{}", "'clusterRanges' is missing"},
        {"{\"clusterRange\": []}", "unknown key 'clusterRange'"},
        {"{\"vxlan\": {\"vnid\": 1}}", "unknown key 'vxlan.vnid'"},
        {"{\"vxlan\": {\"vni\": 16777216}}", "'vxlan.vni' must be a number from 1 to 16777215"},
        {"{\"vxlan\": 1}", "'vxlan' must be an object"},
        {"{\"routing\": \"ipip\"}", "'routing' must be \"auto\", \"native\" or \"vxlan\""},
        {"{\"clusterRanges\": [\"10.0.0.1\"]}", "'clusterRanges': '10.0.0.1' is no range"},
        {"{\"device\": \"bridge\"}", "'device': 'bridge' is no device"},
        {"{\"podDevices\": [1]}", "'podDevices'"},
        {"{\"mark\": \"0x4000\"}", "kube-proxy's bits"},
        {"{\"mtu\": -1}", "'mtu' must be a number"},
        {"{\"masquerade\": 1}", "'masquerade' must be true or false"},
        {"{\"cni\": {\"directory\": \"etc\"}}", "'cni.directory' must be an absolute path"},
        {"{\"cni\": {\"file\": \"../x.conflist\"}}", "'cni.file' must begin with"},
        {"{\"cni\": {\"file\": \"x.conf\"}, \"clusterRanges\": [\"10.0.0.0/8\"]}",
         "must end in .conflist"},
        {"{\"cni\": {\"plugin\": {\"mtu\": 1}}}", "'cni.plugin.mtu' is the agent's to write"},
        {"{\"cni\": {\"after\": [{}]}}", "has no 'type'"},
        {"{\"runtimeClasses\": {\"kata\": {}}}", "'runtimeClasses.kata' needs 'device'"},
        {"{\"runtimeClasses\": {\"kata\": {\"device\": \"tap\", \"plugin\": {}}}}",
         "'plugin' is for a list of its own"},
        {"{\"lookupRequired\": 1}", "'lookupRequired' must be true or false"},
        {"{\"clusterRanges\": [\"10.0.0.0/8\"], \"lookupRequired\": true}", "nothing is looked up"},
        {"{\"cni\": {\"plugin\": {\"lookup\": \"/x\"}}}",
         "'cni.plugin.lookup' is the agent's to write"},
        {"{\"runtimeClasses\": {\"kata\": {\"device\": \"tap\", \"dir\": \"\"}}}",
         "unknown key 'runtimeClasses.kata.dir'"},
        {"{\"clusterRanges\": [\"10.0.0.0/8\"], \"runtimeClasses\": {\"kata\": {\"device\": "
         "\"tap\", "
         "\"directory\": \"/etc/cni/net.d\"}}}",
         "that of all other pods"},
        {"{\"clusterRanges\": [\"10.0.0.0/8\"], \"runtimeClasses\": {\"a\": {\"device\": "
         "\"tap\", "
         "\"directory\": \"/etc/x\"}, \"b\": {\"device\": \"veth\", \"directory\": "
         "\"/etc/x\"}}}",
         "have one 'directory', but not"},
        {"{\"clusterRanges\": [\"10.0.0.0/8\"], \"runtimeClasses\": {\"a\": {\"device\": "
         "\"tap\", "
         "\"directory\": \"/etc/x\"}, \"b\": {\"device\": \"tap\", \"directory\": "
         "\"/etc/x\", "
         "\"plugin\": {}}}}",
         "have one 'directory', but not"},
        {"{\"logLevel\": \"loud\"}", "'logLevel' must be"},
        {"{\"listen\": 9470}", "'listen' must be a string"},
        {"{\"mtu\": 1, \"mtu\": 2}", "duplicate"},
    };

    for (size_t i = 0; i < PW_ARRAY_SIZE(bad); i++)
        has_str(conf_error(bad[i].in), bad[i].message, "configuration: %s", bad[i].in);
    is_str(conf_error("{\"clusterRanges\": [\"10.244.0.0/16\", \"fd00::/48\"]}"), "",
           "configuration: the least");
    is_str(conf_error("{\"clusterRanges\": [\"10.0.0.0/8\"], \"runtimeClasses\": {"
                      "\"a\": {\"device\": \"tap\", \"directory\": \"/etc/x\"},"
                      "\"b\": {\"device\": \"tap\", \"directory\": \"/etc/x\"},"
                      "\"c\": {\"device\": \"tap\"}, \"d\": {\"device\": \"veth\"}}}"),
           "", "configuration: two classes with one folder and one device");
}

/* ---- the list ---- */

static void lists(void)
{
    static const char text[] =
        "{\"clusterRanges\": [\"10.244.0.0/16\"], \"podDevices\": [\"veth\"], \"mtu\": 1400,"
        "\"cni\": {\"plugin\": {\"kataDan\": true}},"
        "\"runtimeClasses\": {\"kata\": {\"device\": \"tap\", \"directory\": \"/etc/cni/kata.d\","
        "\"plugin\": {\"tap\": {\"queues\": 2}}}}}";
    pw_cleanup(pw_agent_conf_free) struct pw_agent_conf conf = {0};
    struct pw_addr pods[2];
    double since = 0;

    pw_agent_conf_init(&conf);
    is_int(pw_agent_conf_parse(text, strlen(text), &conf, NULL), 0, "list: a configuration");
    pw_addr_parse("10.244.3.0/24", &pods[0], NULL);
    pw_addr_parse("fd00:3::/64", &pods[1], NULL);
    pw_json *list = pw_conflist_make(&conf, NULL, pods, 2);
    pw_json *kata = pw_conflist_make(&conf, &conf.classes[0], pods, 2);
    const json_t *e = json_array_get(json_object_get(list, "plugins"), 0);
    const json_t *k = json_array_get(json_object_get(kata, "plugins"), 0);
    is_str(json_string_value(json_object_get(e, "device")), "auto", "list: the device");
    is_str(json_string_value(json_object_get(k, "device")), "tap", "list: that of a RuntimeClass");
    ok(json_object_get(e, "podDevices") && !json_object_get(k, "podDevices"),
       "list: pods of a RuntimeClass have no other choice");
    ok(json_object_get(e, "kataDan") && json_object_get(k, "kataDan") &&
           json_object_get(k, "tap") && !json_object_get(e, "tap"),
       "list: more keys of all, and of one");
    is_int(json_array_size(json_object_get(list, "plugins")), 2, "list: portmap after it");

    is_int(pw_conflist_decide(false, false, 10, 5, &since), PW_CONFLIST_KEEP, "not known: kept");
    is_int(pw_conflist_decide(true, true, 11, 5, &since), PW_CONFLIST_WRITE, "can: written");
    is_int(pw_conflist_decide(true, false, 12, 5, &since), PW_CONFLIST_KEEP, "cannot: not yet");
    is_int(pw_conflist_decide(true, false, 16, 5, &since), PW_CONFLIST_KEEP, "cannot: not yet");
    is_int(pw_conflist_decide(true, false, 17, 5, &since), PW_CONFLIST_WITHDRAW,
           "cannot: withdrawn");
    is_int(pw_conflist_decide(true, true, 18, 5, &since), PW_CONFLIST_WRITE, "can again: written");
    is_int(pw_conflist_decide(true, false, 19, 5, &since), PW_CONFLIST_KEEP, "counted from anew");
    is_int(pw_conflist_decide(false, false, 30, 5, &since), PW_CONFLIST_KEEP, "not known: kept");
}

/* ---- pods to look up ---- */

static int put_pod(struct pw_pods *p, const char *text, bool deleted)
{
    pw_json *o = json_loads(text, 0, NULL);
    return pw_pods_put(p, o, deleted, NULL);
}

static const char *device_of(const struct pw_pods *p, const char *name, const char *uid)
{
    static char text[200];
    struct pw_pod_question q = {.namespace = "ns"};
    snprintf(q.name, sizeof(q.name), "%s", name);
    snprintf(q.uid, sizeof(q.uid), "%s", uid);
    const struct pw_pod *pod = pw_pods_find(p, &q);
    pw_json *o = pod ? pw_pods_device(pod) : json_null();
    pw_free char *dump = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);

    snprintf(text, sizeof(text), "%s", dump);
    return text;
}

#define POD(name, uid, more)                                                                       \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"" name "\",\"uid\":\"" uid "\"" more "}"

static void pods(void)
{
    static const char text[] = "{\"clusterRanges\": [\"10.244.0.0/16\"],"
                               "\"runtimeClasses\": {\"kata\": {\"device\": \"tap\"}}}";
    static const char kata[] = "{\"device\":\"tap\",\"runtimeClass\":\"kata\"}";
    pw_cleanup(pw_agent_conf_free) struct pw_agent_conf conf = {0};
    pw_cleanup(pw_pods_free) struct pw_pods p = {.conf = &conf};

    pw_agent_conf_init(&conf);
    is_int(pw_agent_conf_parse(text, strlen(text), &conf, NULL), 0, "pods: a configuration");
    pw_json *list = pw_conflist_make(&conf, NULL, NULL, 0);
    const json_t *e = json_array_get(json_object_get(list, "plugins"), 0);
    is_str(json_string_value(json_object_get(e, "lookup")), "/run/podwire/agent.sock",
           "list: where to ask");
    put_pod(&p, POD("a", "1", "},\"spec\":{\"runtimeClassName\":\"kata\"}"), false);
    put_pod(&p, POD("b", "2", "},\"spec\":{\"runtimeClassName\":\"kat\"}"), false);
    put_pod(&p, POD("c", "3", ",\"annotations\":{\"podwire.io/device\":\"veth\"}}"), false);
    put_pod(&p, POD("d", "4", ",\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"}}"), false);
    is_int(put_pod(&p, "{\"metadata\":{\"name\":\"x\"}}", false), -EBADMSG,
           "pods: without namespace");
    is_str(device_of(&p, "a", "1"), kata, "pods: of a class");
    is_str(device_of(&p, "a", ""), kata, "pods: by name alone");
    is_str(device_of(&p, "a", "2"), "null", "pods: another uid");
    is_str(device_of(&p, "b", "2"), "{}", "pods: a class without a device");
    is_str(device_of(&p, "c", "3"), "{\"annotation\":\"veth\"}", "pods: an annotation");
    is_str(device_of(&p, "d", "h"), "{}", "pods: a static one's uid");
    is_str(device_of(&p, "d", "4"), "null", "pods: not the API's uid of it");
    put_pod(&p, POD("a", "9", "}"), false);
    is_str(device_of(&p, "a", "9"), "{}", "pods: made anew");
    put_pod(&p, POD("a", "9", "}"), true);
    is_str(device_of(&p, "a", "9"), "null", "pods: deleted");
    pw_pods_begin(&p);
    put_pod(&p, POD("c", "3", "}"), false);
    pw_pods_end(&p);
    is_int((long)p.n, 1, "pods: what a new list does not have is gone");
    is_str(device_of(&p, "c", "3"), "{}", "pods: what it has is there");
}

static void questions(void)
{
    static const struct {
        const char *in;
        int rc;
    } cases[] = {
        {"{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"u\"}", 0},
        {"{\"namespace\":\"n\",\"name\":\"p\",\"uid\":\"\"}", 0},
        {"{\"namespace\":\"n\",\"name\":\"p\"}", 0},
        {"{\"namespace\":\"n\",\"name\":\"p\",\"uid\":1}", -EINVAL},
        {"{\"namespace\":\"n\"}", -EINVAL},
        {"{\"namespace\":\"\",\"name\":\"p\"}", -EINVAL},
        {"{\"namespace\":\"n\\u0000\",\"name\":\"p\"}", -EINVAL},
        {"{\"namespace\":\"n\",\"name\":\"p\",\"name\":\"q\"}", -EINVAL},
        {"{\"namespace\":\"0123456789012345678901234567890123456789012345678901234567890123\","
         "\"name\":\"p\"}",
         -EINVAL},
        {"[]", -EINVAL},
        {"", -EINVAL},
    };
    struct pw_pod_question q;

    for (size_t i = 0; i < PW_ARRAY_SIZE(cases); i++)
        is_int(pw_pods_question(cases[i].in, strlen(cases[i].in), &q, NULL), cases[i].rc,
               "question: %s", cases[i].in);
}

/* ---- kubeconfig ---- */

#define KUBECONFIG(cluster, user)                                                                  \
    "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: x\n  context: {}\n"      \
    "- name: c\n  context:\n    cluster: k\n    user: u\nclusters:\n- name: k\n  cluster:\n"       \
    "    server: https://10.0.0.1:6443/\n" cluster "users:\n- name: u\n  user:\n" user

static const char *kube_error(const char *text, struct pw_kube *k)
{
    static struct pw_err err;

    err = (struct pw_err)PW_ERR_INIT;
    pw_kubeconfig_parse(text, strlen(text), "/etc/k", k, &err);
    return err.msg;
}

static void kubeconfigs(void)
{
    pw_cleanup(pw_kube_free) struct pw_kube k = {0};

    is_str(kube_error(KUBECONFIG("    certificate-authority: ca.crt\n",
                                 "    client-certificate-data: UEVN\n    client-key: /k.pem\n"),
                      &k),
           "", "kubeconfig: certificates");
    is_str(k.server, "https://10.0.0.1:6443", "kubeconfig: the server, without the slash");
    is_str(k.ca_file, "/etc/k/ca.crt", "kubeconfig: a path from its folder");
    is_str(k.cert, "PEM", "kubeconfig: data");
    is_str(k.key_file, "/k.pem", "kubeconfig: a whole path");
    pw_kube_free(&k);
    is_str(kube_error(KUBECONFIG("", "    token: t0k3n\n"), &k), "", "kubeconfig: a token");
    is_str(k.token, "t0k3n", "kubeconfig: which");
    pw_kube_free(&k);
    is_str(kube_error("{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":"
                      "{\"cluster\":\"k\"}}],\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":"
                      "\"http://x\"}}]}",
                      &k),
           "", "kubeconfig: as JSON, without a user");
    pw_kube_free(&k);
    has_str(kube_error(KUBECONFIG("", "    exec: {}\n"), &k), "logs in by 'exec'",
            "kubeconfig: exec");
    has_str(kube_error(KUBECONFIG("", "    client-key-data: '!'\n"), &k), "not base64",
            "kubeconfig: bad data");
    has_str(kube_error("current-context: z\n", &k), "no context 'z'",
            "kubeconfig: no such context");
    has_str(kube_error("a: [", &k), "at line", "kubeconfig: no YAML");
    has_str(kube_error("", &k), "current-context", "kubeconfig: empty");
    ok(!k.server, "kubeconfig: nothing is left of a bad one");
}

int main(void)
{
    picks();
    pick_bounds();
    clusters();
    confs();
    lists();
    pods();
    questions();
    kubeconfigs();
    return tap_done();
}
