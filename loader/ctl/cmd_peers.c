/* SPDX-License-Identifier: Apache-2.0 */
/* podwirectl peers: the ways to other nodes' pods. */
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/ctl/ctl.h"
#include "loader/peers.h"

struct pw_addr ctl_outer_addr(const struct pw_tunnel *t, const __be32 addr[4])
{
    struct pw_addr a = {.family = (uint8_t)t->family, .prefix = t->family == 4 ? 32 : 128};

    memcpy(a.b, addr, t->family == 4 ? 4 : 16);
    return a;
}

bool ctl_tunnel_read(struct pw_tunnel *out)
{
    pw_fd fd = pw_maps_open(PW_MAP_TUNNEL, NULL);

    *out = (struct pw_tunnel){0};
    return fd >= 0 && pw_tunnel_read(fd, out, NULL) == 0 && out->ifindex != 0;
}

bool ctl_peer_of(struct pw_dp *dp, const struct pw_tunnel *t, const struct pw_addr *addr,
                 struct pw_addr *node)
{
    struct pw_peer_node peer;
    int fd = pw_dp_map(dp, addr->family == 4 ? PW_MAP_PEERS4 : PW_MAP_PEERS6, NULL);

    if (!t->ifindex || fd < 0 || pw_peer_get(fd, addr, &peer) || !(peer.flags & PW_PEER_TUNNEL))
        return false;
    *node = ctl_outer_addr(t, peer.addr);
    return true;
}

json_t *ctl_tunnel_json(const struct pw_tunnel *t)
{
    struct pw_addr local = ctl_outer_addr(t, t->local);
    char text[PW_ADDR_STRLEN], name[IF_NAMESIZE];

    return json_pack("{s:s, s:i, s:i, s:s}", "device", if_indextoname(t->ifindex, name) ? name : "",
                     "vni", (int)t->vni, "mtu", (int)t->mtu, "local",
                     pw_addr_text(&local, false, text));
}

static int show_json(const struct pw_peer_way *ways, size_t n, const struct pw_tunnel *t)
{
    char pods[PW_ADDR_STRLEN], node[PW_ADDR_STRLEN], name[IF_NAMESIZE];
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "pods",
                                              pw_addr_text(&ways[i].pods, true, pods), "node",
                                              pw_addr_text(&ways[i].node, false, node), "way",
                                              ways[i].tunnel ? "tunnel" : "native", "device",
                                              if_indextoname(ways[i].ifindex, name) ? name : ""));
    return ctl_print_json(json_pack("{s:o, s:o}", "peers", list, "tunnel",
                                    t->ifindex ? ctl_tunnel_json(t) : json_null()));
}

static int show(const struct ctl *ctl, const struct pw_peer_way *ways, size_t n,
                const struct pw_tunnel *t)
{
    char pods[PW_ADDR_STRLEN], node[PW_ADDR_STRLEN], name[IF_NAMESIZE];
    struct ctl_table table;

    if (t->ifindex) {
        struct pw_addr local = ctl_outer_addr(t, t->local);
        printf("Tunnel: VXLAN device %s, network %u, from %s; packets of up to %u bytes.\n\n",
               if_indextoname(t->ifindex, name) ? name : "(gone)", t->vni,
               pw_addr_text(&local, false, node), t->mtu);
    }
    if (!n) {
        puts("No ways to other nodes' pods were made by podwire.");
        return CTL_OK;
    }
    ctl_table_init(&table, (const char *const[]){"PODS", "WAY", "DEVICE", "NODE", NULL});
    for (size_t i = 0; i < n; i++)
        ctl_table_add(&table, "%s\t%s\t%s\t%s", pw_addr_text(&ways[i].pods, true, pods),
                      ways[i].tunnel ? "tunnel" : "native",
                      if_indextoname(ways[i].ifindex, name) ? name : "(gone)",
                      pw_addr_text(&ways[i].node, false, node));
    ctl_table_print(&table, ctl);
    return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    pw_free struct pw_peer_way *ways = NULL;
    struct pw_err err = PW_ERR_INIT;
    struct pw_tunnel tunnel;
    size_t n = 0;

    int rc = ctl_options(ctl, &ctl_peers, argc, argv);
    if (rc >= 0)
        return rc;
    if (argv[optind])
        return ctl_usage(&ctl_peers, "unexpected argument '%s'", argv[optind]);
    if (pw_peers_list(&ways, &n, &err))
        return ctl_fail(&err);
    ctl_tunnel_read(&tunnel);
    return ctl->json ? show_json(ways, n, &tunnel) : show(ctl, ways, n, &tunnel);
}

const struct ctl_cmd ctl_peers = {
    "peers", "[--json]", "lists the ways to other nodes' pods", run,
    "They are routes of protocol 120. Native: to the node's address on a segment of this node;\n"
    "tunnel: by the VXLAN device " PW_TUNNEL_DEVICE ".\n"};
