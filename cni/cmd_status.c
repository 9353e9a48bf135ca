/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/cmd.h"

#include <stdio.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "cni/guest.h"
#include "cni/plan.h"
#include "loader/base/cleanup.h"

#define MAX_PROBLEMS 16

static void count(const struct pw_state *st, void *arg)
{
    size_t *n = arg;
    *n += st->complete;
}

/* 51 when pods that are there suffer as well: by such a problem, or because they exist and the
 * datapath does not. Where no bpffs is to be seen nobody knows; their links live on in the kernel.
 */
static int code_of(bool limits)
{
    pw_cleanup(pw_dp_closep) struct pw_dp *dp = NULL;
    struct statfs fs;
    size_t pods = 0;

    pw_state_each(count, &pods, NULL);
    if (pods && (limits || (statfs("/sys/fs/bpf", &fs) == 0 && fs.f_type == BPF_FS_MAGIC &&
                            pw_dp_open(&dp, NULL, NULL))))
        return PW_CNI_LIMITED;
    return PW_CNI_UNAVAILABLE;
}

int pw_cmd_status(const struct pw_req *req, struct pw_err *err)
{
    pw_free struct pw_problem *problems = calloc(MAX_PROBLEMS, sizeof(*problems));
    struct pw_features features;
    struct pw_plan_device choice;
    size_t n, fatal = 0, len = 0;
    char program[256];
    bool limits = false;

    if (!problems)
        return pw_err_errno(err, -ENOMEM, "status");
    n = pw_node_problems(&req->conf.node, problems, MAX_PROBLEMS);
    char text[PW_ERR_LEN / 2] = "";
    for (size_t i = 0; i < n && i < MAX_PROBLEMS; i++) {
        if (!problems[i].fatal || len >= sizeof(text))
            continue;
        limits |= problems[i].limits;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s (%s)", fatal++ ? "; " : "",
                                problems[i].text, problems[i].remedy);
    }
    if (fatal)
        return pw_err_set(err, code_of(limits), "%s", text);
    int rc = pw_features_get(&features, err);
    if (!rc)
        rc = pw_plan_device(&req->conf, &features, &choice, err);
    if (!rc && (req->conf.device == PW_CHOICE_VHOST_USER ||
                req->conf.pod_devices >> PW_CHOICE_VHOST_USER & 1))
        rc = pw_guest_backend_program(&req->conf, program, err);
    /* Back-ends whose supervisor was killed too; one that will not run is one pod's trouble. */
    if (!rc)
        pw_vhost_keep(NULL);
    /* What was taken away since the last ADD is put back before the next. */
    if (!rc)
        rc = pw_node_keep(&req->conf.node, err);
    if (rc) {
        err->code = PW_CNI_UNAVAILABLE;
        return rc;
    }
    return pw_ipam_status(req, err);
}
