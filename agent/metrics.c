/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/metrics.h"

#include <stdio.h>

#include "loader/base/cleanup.h"

int pw_metrics_write(const struct pw_agent *a, char **out, size_t *len)
{
    pw_file *f = open_memstream(out, len);

    if (!f)
        return -ENOMEM;
    fprintf(f,
            "# HELP podwire_nodes Nodes that the API tells of.\n# TYPE podwire_nodes gauge\n"
            "podwire_nodes %zu\n",
            a->cluster.n);
    return fflush(f) ? -ENOMEM : 0;
}
