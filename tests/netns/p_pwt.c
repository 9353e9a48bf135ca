/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pwt: run flows between namespaces (tests/lib/traffic.h).
 * usage: pwt [-s STEP]... [-n ROUNDS] [-w WINDOW] [-q BYTES] < FLOWS
 *   FLOWS   one a line, see tr_parse; empty lines and # comments are left out
 *   -q      how much a TCP flow moves between two steps
 *   -s      shell command to run under the traffic; -n runs the list of them that many times
 * Prints a line per flow, fields parted by tabs: "ok NAME peer=.. ttl=.. mtu=.. moved=.." or
 * "FAIL NAME why".
 * Exit code: 0 all as wanted, 1 not, 2 wrong usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/traffic.h"

int main(int argc, char **argv)
{
    static struct tr_flow flows[512];
    static const char *steps[1024], *given[64];
    unsigned n = 0, n_given = 0, rounds = 1, n_steps = 0, wrong;
    char line[512], why[128];
    int opt;

    while ((opt = getopt(argc, argv, "s:n:w:q:")) != -1) {
        if (opt == 's' && n_given < 64)
            given[n_given++] = optarg;
        else if (opt == 'n')
            rounds = (unsigned)nsx_number(optarg);
        else if (opt == 'q')
            tr_step_bytes = (unsigned)nsx_number(optarg);
        else if (opt == 'w')
            tr_window = (unsigned)nsx_number(optarg);
        else
            return 2;
    }
    for (unsigned r = 0; r < rounds; r++)
        for (unsigned i = 0; i < n_given && n_steps < 1024; i++)
            steps[n_steps++] = given[i];
    while (fgets(line, sizeof(line), stdin)) {
        if (line[strspn(line, " \t\n")] == '\0' || line[0] == '#')
            continue;
        if (n == 512 || !tr_parse(&flows[n].spec, line, why)) {
            fprintf(stderr, "pwt: %s\n", n == 512 ? "too many flows" : why);
            return 2;
        }
        n++;
    }
    if (n == 0) {
        fprintf(stderr, "pwt: no flow\n");
        return 2;
    }
    wrong = tr_run(flows, n, steps, n_steps);
    for (unsigned i = 0; i < n; i++) {
        const struct tr_flow *f = &flows[i];
        if (!f->ok)
            printf("FAIL\t%s\t%s\n", f->spec.name, f->why);
        else
            printf("ok\t%s\tpeer=%s ttl=%u mtu=%u moved=%llu %s\n", f->spec.name,
                   f->seen.sa.sa_family ? nsx_text(&f->seen) : "-", f->seen_ttl, f->mtu,
                   (unsigned long long)f->moved, f->why);
    }
    return wrong ? 1 : 0;
}
