/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/kind.h"

#define DIR_PATH PW_RUN_DIR "/endpoints"
#define RECORD_MAX 65536
#define STATE_VERSION 1

static void path_of(const char *id, const char *ifname, const char *suffix, char path[320])
{
    snprintf(path, 320, DIR_PATH "/%.204s:%.16s.json%s", id, ifname, suffix);
}

/* ---- writing ---- */

static void put(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static void put_pod(json_t *o, const struct pw_env *env)
{
    static const char *const keys[][2] = {
        {"K8S_POD_NAMESPACE", "namespace"}, {"K8S_POD_NAME", "name"}, {"K8S_POD_UID", "uid"}};
    char buf[PW_ENV_ARG_LEN];
    json_t *pod = json_object();

    for (size_t i = 0; i < PW_ARRAY_SIZE(keys); i++)
        if (pw_env_arg(env, keys[i][0], buf))
            put(pod, keys[i][1], pw_json_text(buf));
    if (json_object_size(pod))
        put(o, "pod", pod);
    else
        json_decref(pod);
}

static json_t *record(const struct pw_state *st, const struct pw_req *req, json_t *guest)
{
    char text[PW_ADDR_STRLEN], mac[PW_MAC_STRLEN];
    json_t *o = json_object(), *ips = json_array();

    put(o, "version", json_integer(STATE_VERSION));
    put(o, "complete", json_boolean(st->complete));
    put(o, "network", json_string(st->network));
    put(o, "containerId", json_string(st->container_id));
    put(o, "ifname", json_string(st->ifname));
    put(o, "netns", pw_json_text(req->env.netns));
    put(o, "hostIf", json_string(st->host_if));
    put(o, "hostIfindex", json_integer(st->host_ifindex));
    put(o, "podIfindex", json_integer(st->pod_ifindex));
    put(o, "device", json_string(pw_device_name(st->device)));
    put(o, "asked", json_string(st->asked));
    put(o, "why", pw_json_text(st->why));
    put(o, "mtu", json_integer(st->mtu));
    if (st->has_mac) {
        put(o, "mac", json_string(pw_mac_text(st->mac, mac)));
        put(o, "hostMac", json_string(pw_mac_text(st->host_mac, mac)));
    }
    for (size_t i = 0; i < st->n_ips; i++)
        json_array_append_new(ips, json_string(pw_addr_text(&st->ips[i], false, text)));
    put(o, "addresses", ips);
    if (st->from_pod.rate || st->to_pod.rate)
        put(o, "bandwidth",
            json_pack("{s:I, s:I, s:I, s:I}", "ingressRate", (json_int_t)st->to_pod.rate,
                      "ingressBurst", (json_int_t)st->to_pod.burst, "egressRate",
                      (json_int_t)st->from_pod.rate, "egressBurst",
                      (json_int_t)st->from_pod.burst));
    if (st->tap[0]) {
        put(o, "tap", json_string(st->tap));
        put(o, "netnsId", json_integer((json_int_t)st->netns_id));
    }
    if (st->autoconf)
        put(o, "autoconf", json_true());
    if (st->dan[0])
        put(o, "dan", json_string(st->dan));
    if (guest)
        put(o, "guest", json_incref(guest));
    put(o, "ipam", json_string(req->conf.ipam_type));
    put_pod(o, &req->env);
    return o;
}

int pw_state_write(const struct pw_state *st, const struct pw_req *req, json_t *guest,
                   struct pw_err *err)
{
    char path[320], tmp[320];
    pw_json *o = record(st, req, guest);
    pw_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    if (!text)
        return pw_err_errno(err, -ENOMEM, "state record");
    path_of(st->container_id, st->ifname, "", path);
    path_of(st->container_id, st->ifname, ".new", tmp);
    /* A name of the attachment's own, so that a leftover of a killed ADD is written over. */
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
    pw_fd fd = open(tmp, flags | O_CLOEXEC, 0600);
    if (fd < 0 && errno == ENOENT) {
        if ((mkdir(PW_RUN_DIR, 0755) && errno != EEXIST) ||
            (mkdir(DIR_PATH, 0700) && errno != EEXIST))
            return pw_err_errno(err, -errno, "make %s", DIR_PATH);
        fd = open(tmp, flags | O_CLOEXEC, 0600);
    }
    size_t len = strlen(text);
    errno = fd < 0 ? errno : EIO;
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || rename(tmp, path)) {
        int e = errno;
        unlink(tmp);
        return pw_err_errno(err, -e, "write state record %s", path);
    }
    return 0;
}

/* ---- reading ---- */

static void copy_str(const json_t *o, const char *key, char *out, size_t size)
{
    const char *s = json_string_value(json_object_get(o, key));
    snprintf(out, size, "%s", s ? s : "");
}

static uint32_t get_u32(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v < 0 || v > UINT32_MAX ? 0 : (uint32_t)v;
}

static uint64_t get_u64(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key));
    return v < 0 ? 0 : (uint64_t)v;
}

static int damaged(struct pw_err *err, const char *what)
{
    return pw_err_set(err, -EBADMSG, "state record: %s", what);
}

int pw_state_parse(const char *text, size_t len, struct pw_state *out, struct pw_err *err)
{
    pw_json *o = json_loadb(text, len, 0, NULL);
    struct pw_state st = {0};
    char buf[32];
    json_t *item;
    size_t i;

    if (!json_is_object(o) || get_u32(o, "version") != STATE_VERSION)
        return damaged(err, "not one of this version");
    st.complete = json_is_true(json_object_get(o, "complete"));
    copy_str(o, "network", st.network, sizeof(st.network));
    copy_str(o, "containerId", st.container_id, sizeof(st.container_id));
    copy_str(o, "ifname", st.ifname, sizeof(st.ifname));
    copy_str(o, "hostIf", st.host_if, sizeof(st.host_if));
    copy_str(o, "asked", st.asked, sizeof(st.asked));
    copy_str(o, "why", st.why, sizeof(st.why));
    if (!pw_env_valid_id(st.container_id) || !pw_env_valid_ifname(st.ifname))
        return damaged(err, "names no attachment");
    /* What DEL deletes is named here: never a device that is not ours. */
    if (strncmp(st.host_if, PW_IF_PREFIX, strlen(PW_IF_PREFIX)) != 0 ||
        !pw_env_valid_ifname(st.host_if))
        return damaged(err, "names a device that is not ours");
    st.host_ifindex = get_u32(o, "hostIfindex");
    st.pod_ifindex = get_u32(o, "podIfindex");
    st.mtu = get_u32(o, "mtu");
    copy_str(o, "device", buf, sizeof(buf));
    st.device = (enum pw_device)pw_device_find(buf);
    copy_str(o, "tap", st.tap, sizeof(st.tap));
    copy_str(o, "netns", st.netns, sizeof(st.netns));
    st.autoconf = json_is_true(json_object_get(o, "autoconf"));
    copy_str(o, "dan", st.dan, sizeof(st.dan));
    st.netns_id = (uint64_t)json_integer_value(json_object_get(o, "netnsId"));
    copy_str(o, "mac", buf, sizeof(buf));
    st.has_mac = pw_mac_parse(buf, st.mac, NULL) == 0;
    copy_str(o, "hostMac", buf, sizeof(buf));
    pw_mac_parse(buf, st.host_mac, NULL);
    item = json_object_get(o, "bandwidth");
    st.to_pod = (struct pw_bandwidth){get_u64(item, "ingressRate"), get_u64(item, "ingressBurst")};
    st.from_pod = (struct pw_bandwidth){get_u64(item, "egressRate"), get_u64(item, "egressBurst")};
    json_array_foreach (json_object_get(o, "addresses"), i, item) {
        const char *s = json_string_value(item);
        if (st.n_ips < PW_MAX_IPS && s && pw_addr_parse(s, &st.ips[st.n_ips], NULL) == 0)
            st.n_ips++;
    }
    *out = st;
    return 0;
}

static int read_path(const char *path, struct pw_state *out, struct pw_err *err)
{
    pw_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return pw_err_errno(err, -errno, "%s", path);
    char text[4096];
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return pw_err_errno(err, -errno, "%s", path);
    if (n < (ssize_t)sizeof(text))
        return pw_state_parse(text, (size_t)n, out, err);
    pw_free char *big = malloc(RECORD_MAX);
    n = big ? pread(fd, big, RECORD_MAX, 0) : -1;
    bool fits = n >= 0 && n < RECORD_MAX;
    return fits ? pw_state_parse(big, (size_t)n, out, err) : damaged(err, "too large");
}

int pw_state_read(const char *container_id, const char *ifname, struct pw_state *out,
                  struct pw_err *err)
{
    char path[320];
    struct pw_state st;

    path_of(container_id, ifname, "", path);
    int rc = read_path(path, &st, err);
    if (!rc && (strcmp(st.container_id, container_id) != 0 || strcmp(st.ifname, ifname) != 0))
        rc = damaged(err, "is another attachment's");
    if (!rc)
        *out = st;
    return rc;
}

int pw_state_remove(const char *container_id, const char *ifname, struct pw_err *err)
{
    char path[320];

    path_of(container_id, ifname, ".new", path);
    unlink(path);
    path_of(container_id, ifname, "", path);
    if (unlink(path) && errno != ENOENT)
        return pw_err_errno(err, -errno, "remove %s", path);
    return 0;
}

/* "ID:IFNAME.json" or, left by a process that was killed, "ID:IFNAME.json.new". */
static bool split_name(const char *name, struct pw_state *st)
{
    const char *colon = strchr(name, ':');
    const char *end = colon ? strstr(colon, ".json") : NULL;
    /* An interface may have ".json" in its name: the last one counts. */
    for (const char *p = end; p; p = strstr(p + 1, ".json"))
        end = p;
    if (!end || (strcmp(end, ".json") != 0 && strcmp(end, ".json.new") != 0) ||
        (size_t)(colon - name) >= sizeof(st->container_id) ||
        (size_t)(end - colon - 1) >= sizeof(st->ifname))
        return false;
    *st = (struct pw_state){0};
    memcpy(st->container_id, name, (size_t)(colon - name));
    memcpy(st->ifname, colon + 1, (size_t)(end - colon - 1));
    return pw_env_valid_id(st->container_id) && pw_env_valid_ifname(st->ifname);
}

int pw_state_each(void (*fn)(const struct pw_state *st, void *arg), void *arg, struct pw_err *err)
{
    pw_dir *d = opendir(DIR_PATH);
    struct pw_state named, st;
    struct dirent *e;

    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return pw_err_errno(err, -errno, "list %s", DIR_PATH);
    while ((e = readdir(d))) {
        if (!split_name(e->d_name, &named))
            continue;
        bool read = pw_state_read(named.container_id, named.ifname, &st, NULL) == 0;
        fn(read ? &st : &named, arg);
    }
    return 0;
}
