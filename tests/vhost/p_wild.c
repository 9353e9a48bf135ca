// SPDX-License-Identifier: Apache-2.0
/*
 * wild SOCKET SECONDS [DMAC SMAC SRC DST]: a hostile VMM. It connects again and again, sends
 * messages at random, and meanwhile a thread of its guest writes into the rings. Before that, while
 * its rings are sound, the guest sends datagrams with these addresses. Prints how many connections
 * there were.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/pkt.h"
#include "tests/vhost/wild.h"

static struct fe fe;
static struct pkt forged;
static atomic_bool stop;

static void forge(void)
{
    for (unsigned i = 0; i < 16; i++) {
        struct fe_seg s = {FE_BUF(1, i), VNET_HDR_LEN + (uint32_t)forged.len, 0};
        uint8_t *f = fe_at(&fe, s.addr);
        memset(f, 0, VNET_HDR_LEN);
        memcpy(f + VNET_HDR_LEN, forged.data, forged.len);
        fe_post(&fe, 1, &s, 1);
    }
    fe_kick(&fe, 1);
    fe_wait(&fe, 1, 16);
}

static void *scribble(void *arg)
{
    uint64_t seed = *(uint64_t *)arg * 77;

    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < 64; i++)
            wild_ring(&fe, &seed);
        fe_kick(&fe, (unsigned)seed & 1);
    }
    return NULL;
}

static void connection(const char *path, uint64_t seed)
{
    struct fe_conf conf = {0};
    pthread_t t;
    int rc = 0;

    fe_open_path(&fe, &conf, path);
    fe_up(&fe, &conf);
    if (forged.len)
        forge();
    pthread_create(&t, NULL, scribble, &(uint64_t){seed});
    for (unsigned i = 0; i < 300 && rc >= 0; i++) {
        rc = wild_message(&fe, &seed);
        usleep(200);
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 7) {
        fputs("usage: wild SOCKET SECONDS [DMAC SMAC SRC DST]\n", stderr);
        return 2;
    }
    if (argc == 7) {
        pkt_start(&forged);
        pkt_eth(&forged, argv[3], argv[4], 0);
        pkt_ip(&forged, argv[5], argv[6]);
        pkt_udp(&forged, 9, 9);
        pkt_fill(&forged, 1, 64);
        pkt_done(&forged);
    }
    time_t end = time(NULL) + strtol(argv[2], NULL, 10);
    unsigned n = 0;
    for (uint64_t seed = 1; time(NULL) < end; seed++) {
        /* In a process of its own: one that is turned away ends there. */
        pid_t pid = fork();
        if (!pid) {
            if (!freopen("/dev/null", "w", stdout))
                _exit(1);
            connection(argv[1], seed);
            _exit(0);
        }
        int status = 1;
        waitpid(pid, &status, 0);
        n += !status;
    }
    printf("%u\n", n);
    return n ? 0 : 1;
}
