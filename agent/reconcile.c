/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/reconcile.h"

void pw_reconcile(struct pw_agent *a, double now)
{
    struct pw_err err = PW_ERR_INIT;
    size_t n = 0;

    if (pw_dp_sweep(a->dp, &n, &err))
        pw_log_new(&a->sweep_trouble, now, 3600, PW_LOG_WARN, "sweep: %s", err.msg);
    if (n)
        pw_log(PW_LOG_INFO, "sweep: %zu leftovers of devices that are gone removed", n);
    a->swept += n;
}

double pw_reconcile_run(struct pw_agent *a, double now)
{
    (void)a;
    return now + 3600;
}

void pw_reconcile_stop(struct pw_agent *a)
{
    (void)a;
}
