/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/guest.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/neighbour.h>

#include "loader/base/cleanup.h"
#include "loader/base/fs.h"
#include "loader/base/json.h"

#define DAN_MAX 65536

static json_t *dan_routes(const json_t *guest)
{
    json_t *out = json_array(), *r;
    size_t i;

    json_array_foreach (json_object_get(guest, "routes"), i, r) {
        const char *gw = json_string_value(json_object_get(r, "gw"));
        json_array_append_new(
            out, json_pack("{s:O, s:s, s:I, s:I}", "dest", json_object_get(r, "dst"), "gateway",
                           gw ? gw : "", "scope", json_integer_value(json_object_get(r, "scope")),
                           "mtu", json_integer_value(json_object_get(r, "mtu"))));
    }
    return out;
}

static json_t *dan_neighbours(const json_t *guest)
{
    json_t *out = json_array(), *n;
    size_t i;

    json_array_foreach (json_object_get(guest, "neighbours"), i, n) {
        const char *address = json_string_value(json_object_get(n, "address"));
        char cidr[64];
        snprintf(cidr, sizeof(cidr), "%.50s/%s", address ? address : "",
                 address && strchr(address, ':') ? "128" : "32");
        json_array_append_new(out, json_pack("{s:s, s:O, s:i}", "ip_address", cidr, "hardware_addr",
                                             json_object_get(n, "mac"), "state", NUD_PERMANENT));
    }
    return out;
}

/* How the VMM gets at it: by the socket on which it listens, or by the tap's name. */
static json_t *dan_reach(const json_t *guest)
{
    const json_t *socket = json_object_get(guest, "socket");
    json_t *o = socket ? json_pack("{s:s, s:O}", "type", "vhost-user", "path", socket)
                       : json_pack("{s:s, s:O}", "type", "host-tap", "tap_name",
                                   json_object_get(guest, "tap"));

    json_object_set(o, "queue_num", json_object_get(guest, "queues"));
    json_object_set_new(o, "queue_size", json_integer(0));
    return o;
}

json_t *pw_guest_dan_device(const json_t *guest, const char *ifname)
{
    return json_pack("{s:s, s:O, s:o, s:{s:{s:O, s:O, s:s, s:i}, s:o, s:o}}", "name", ifname,
                     "guest_mac", json_object_get(guest, "mac"), "device", dan_reach(guest),
                     "network_info", "interface", "ip_addresses",
                     json_object_get(guest, "addresses"), "mtu", json_object_get(guest, "mtu"),
                     "ntype", "tuntap", "flags", 0, "routes", dan_routes(guest), "neighbors",
                     dan_neighbours(guest));
}

/* What is there, or an empty document. */
static json_t *read_dan(const char *path)
{
    pw_free char *text = malloc(DAN_MAX);
    ssize_t n = text ? pw_file_read(path, text, DAN_MAX, NULL) : -1;
    json_t *doc = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;

    if (json_is_array(json_object_get(doc, "devices")))
        return doc;
    json_decref(doc);
    return json_pack("{s:[]}", "devices");
}

int pw_guest_dan_file(const char *dir, const char *id, const char *ifname, const char *netns,
                      json_t *device, struct pw_err *err)
{
    char path[512];
    size_t i = 0;

    if (snprintf(path, sizeof(path), "%s/%s.json", dir, id) >= (int)sizeof(path))
        return pw_err_set(err, -ENAMETOOLONG, "%s/%s.json: the name is too long", dir, id);
    pw_json *doc = read_dan(path);
    json_t *list = json_object_get(doc, "devices"), *d;
    while ((d = json_array_get(list, i))) {
        const char *name = json_string_value(json_object_get(d, "name"));
        if (name && strcmp(name, ifname) == 0)
            json_array_remove(list, i);
        else
            i++;
    }
    if (!device && json_array_size(list) == 0)
        return unlink(path) && errno != ENOENT ? pw_err_errno(err, -errno, "remove %s", path) : 0;
    if (device) {
        json_array_append(list, device);
        json_object_set_new(doc, "netns", netns ? json_string(netns) : json_null());
        char parent[256];
        snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(dir, '/') - dir), dir);
        if ((parent[0] && mkdir(parent, 0755) && errno != EEXIST) ||
            (mkdir(dir, 0755) && errno != EEXIST))
            return pw_err_errno(err, -errno, "make %s", dir);
    }
    pw_free char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    if (!text)
        return pw_err_errno(err, -ENOMEM, "write %s", path);
    return pw_file_replace(path, text, strlen(text), err);
}
