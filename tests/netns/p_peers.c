/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pw_peers_sync from a shell: peers [-v VNI] [-p PORT] ROUTING NODE[,NODE] PODS[,PODS] <PEERS
 * ROUTING: auto, native, vxlan; then this node's addresses and pod ranges; each line of PEERS is
 * "NAME NODE[,NODE] PODS[,PODS]", "-" for none. Prints the report, one "WHAT COUNT" a line.
 * peers list: the ways in the kernel.  -t: how many microseconds it took, beside.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/peers.h"

static struct pw_err err = PW_ERR_INIT;

static int fail(void)
{
    fprintf(stderr, "peers: %s (%d)\n", err.msg, err.code);
    return 1;
}

static size_t read_list(char *text, struct pw_addr *out, size_t max)
{
    size_t n = 0;

    for (char *save, *t = strtok_r(text, ",", &save); t && n < max; t = strtok_r(NULL, ",", &save))
        if (strcmp(t, "-") != 0 && pw_addr_parse(t, &out[n++], &err))
            exit(fail());
    return n;
}

static int show(void)
{
    pw_free struct pw_peer_way *ways = NULL;
    char pods[PW_ADDR_STRLEN], node[PW_ADDR_STRLEN], name[IF_NAMESIZE];
    size_t n = 0;

    if (pw_peers_list(&ways, &n, &err))
        return fail();
    for (size_t i = 0; i < n; i++)
        printf("%s %s %s %s\n", pw_addr_text(&ways[i].pods, true, pods),
               ways[i].tunnel ? "tunnel" : "native", pw_addr_text(&ways[i].node, false, node),
               if_indextoname(ways[i].ifindex, name) ? name : "?");
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const routings[] = {"auto", "native", "vxlan"};
    __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = NULL;
    struct pw_peer *peers = NULL;
    struct pw_peers_conf conf;
    struct pw_peers_report report = {0};
    struct timespec t0, t1;
    char line[1024];
    size_t n = 0;
    bool timed = false;
    int c;

    pw_peers_conf_default(&conf);
    while ((c = getopt(argc, argv, "+v:p:t")) != -1) {
        if (c == 'v')
            conf.vni = (uint32_t)strtoul(optarg, NULL, 0);
        else if (c == 'p')
            conf.port = (uint16_t)strtoul(optarg, NULL, 0);
        else if (c == 't')
            timed = true;
        else
            return 2;
    }
    argv += optind;
    if (argv[0] && strcmp(argv[0], "list") == 0)
        return show();
    if (!argv[0] || !argv[1] || !argv[2])
        return 2;
    for (size_t i = 0; i < PW_ARRAY_SIZE(routings); i++)
        if (strcmp(argv[0], routings[i]) == 0)
            conf.routing = (enum pw_routing)i;
    conf.n_node = read_list(argv[1], conf.node, 2);
    conf.n_pods = read_list(argv[2], conf.pods, 8);
    while (fgets(line, sizeof(line), stdin)) {
        char name[256], node[256], pods[512];
        if (sscanf(line, "%255s %255s %511s", name, node, pods) != 3)
            continue;
        struct pw_peer *more = realloc(peers, (n + 1) * sizeof(*peers));
        if (!more)
            return 1;
        peers = more;
        struct pw_peer *p = &peers[n++];
        memset(p, 0, sizeof(*p));
        snprintf(p->name, sizeof(p->name), "%.253s", name);
        p->n_node = read_list(node, p->node, 2);
        p->n_pods = read_list(pods, p->pods, 8);
    }
    if (pw_dp_open(&dp, NULL, &err))
        return fail();
    clock_gettime(CLOCK_MONOTONIC, &t0);
    int rc = pw_peers_sync(dp, &conf, peers, n, &report, &err);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    free(peers);
    if (rc)
        return fail();
    printf("native %zu\ntunnel %zu\nleft %zu\nrefused %zu\nchanges %zu\n", report.native,
           report.tunnel, report.left, report.refused, report.changes);
    if (report.why[0])
        printf("why %s\n", report.why);
    if (timed)
        printf("us %ld\n", (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000);
    return 0;
}
