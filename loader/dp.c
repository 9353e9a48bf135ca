/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/dp.h"

#include <stdio.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "loader/base/cleanup.h"
#include "loader/node.h"
#include "loader/obj.h"

static void close_maps(struct pw_dp *dp)
{
    for (unsigned i = 0; i < PW_MAP_COUNT; i++)
        pw_closep(&dp->map[i]);
}

int pw_dp_map(struct pw_dp *dp, enum pw_map map, struct pw_err *err)
{
    if (dp->map[map] < 0) {
        int fd = pw_maps_open(map, err);
        if (fd < 0)
            return fd;
        dp->map[map] = fd;
    }
    return dp->map[map];
}

int pw_dp_prog(struct pw_dp *dp, const char *name, struct pw_err *err)
{
    char path[PW_PIN_PATH];
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);

    snprintf(path, sizeof(path), "%s/%s/%s", PW_PIN_PROGS, dp->cur.build, name);
    pw_fd fd = bpf_obj_get(path);
    if (fd < 0)
        return pw_err_errno(err, fd, "open program %s", path);
    if (bpf_prog_get_info_by_fd(fd, &info, &len) < 0 || info.type != BPF_PROG_TYPE_SCHED_CLS)
        return pw_err_set(err, -EPROTO, "%s is not a program that podwire pins there", path);
    return PW_TAKE_FD(fd);
}

uint32_t pw_dp_prog_id(struct pw_dp *dp, const char *name)
{
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);

    pw_fd fd = pw_dp_prog(dp, name, NULL);
    return fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &len) == 0 ? info.id : 0;
}

int pw_dp_refresh(struct pw_dp *dp, struct pw_err *err)
{
    struct pw_current now;
    int rc = pw_pin_current(&now, err);

    if (rc)
        return rc;
    if (now.ino != dp->cur.ino)
        close_maps(dp);
    dp->cur = now;
    return 0;
}

int pw_dp_slot_release(struct pw_dp *dp, uint32_t slot, struct pw_err *err)
{
    int counters = pw_dp_map(dp, PW_MAP_COUNTERS, err);
    int reasons = counters < 0 ? counters : pw_dp_map(dp, PW_MAP_REASONS, err);
    int slots = reasons < 0 ? reasons : pw_dp_map(dp, PW_MAP_SLOTS, err);

    if (slots < 0)
        return slots;
    int rc = pw_counters_zero(counters, slot, err);
    if (rc)
        return rc;
    pw_reasons_forget(reasons, slot);
    rc = pw_slot_free(slots, slot);
    return rc && rc != -ENOENT ? pw_err_errno(err, rc, "free slot %u", slot) : 0;
}

/* *loaded: this call did it, not another process that was faster. */
static int load_first(bool *loaded, struct pw_err *err)
{
    struct pw_features features;
    struct pw_current cur;
    int rc;

    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    rc = pw_pin_current(&cur, err);
    if (rc != -ENOENT)
        return rc; /* another process was faster, or it is broken */
    rc = pw_pin_check_fs(err);
    if (!rc)
        rc = pw_features_get(&features, err);
    if (!rc && !features.tcx)
        rc =
            pw_err_set(err, -EOPNOTSUPP,
                       "the kernel has no tcx, on which programs are attached (Linux 6.6 or later, "
                       "CONFIG_NET_XGRESS)");
    if (!rc)
        rc = pw_pin_check_abi(err);
    if (!rc)
        rc = pw_pin_make_dirs(err);
    if (rc)
        return rc;
    /* Not there: programs load without it and then hand all to the stack. `status` says so. */
    pw_node_need_conntrack();
    rc = pw_obj_load(err);
    /* A killed unload may have left links. */
    if (!rc)
        rc = pw_links_move(pw_obj_build(), NULL, err);
    if (!rc)
        rc = pw_pin_set_current(pw_obj_build(), err);
    *loaded = rc == 0;
    return rc;
}

static void init(struct pw_dp *dp)
{
    for (unsigned i = 0; i < PW_MAP_COUNT; i++)
        dp->map[i] = -1;
}

/* *loaded: this call did it, and the node has yet to be brought in line. */
static int open_dp(struct pw_dp **out, bool load, bool *loaded, struct pw_err *err)
{
    __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = calloc(1, sizeof(*dp));
    int rc;

    if (!dp)
        return pw_err_set(err, -ENOMEM, "open the datapath: out of memory");
    init(dp);
    *loaded = false;
    rc = pw_pin_current(&dp->cur, err);
    if (rc == -ENOENT) {
        rc = pw_pin_check_abi(err);
        if (rc)
            return rc;
        if (!load)
            return pw_err_set(err, -ENOENT, "no datapath is loaded");
        rc = load_first(loaded, err);
        if (!rc)
            rc = pw_pin_current(&dp->cur, err);
    }
    if (rc)
        return rc;
    /* Any map of ours proves the ABI, and this one is needed next. */
    rc = pw_dp_map(dp, PW_MAP_ENDPOINTS, err);
    if (rc == -ENOENT && pw_pin_check_abi(err))
        return -EPROTO;
    if (rc < 0)
        return rc;
    *out = PW_TAKE_PTR(dp);
    return 0;
}

int pw_dp_open(struct pw_dp **out, const struct pw_node_conf *conf, struct pw_err *err)
{
    __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = NULL;
    bool loaded;

    int rc = open_dp(&dp, conf != NULL, &loaded, err);
    if (!rc && loaded)
        rc = pw_node_sync(dp, conf, err);
    if (!rc)
        *out = PW_TAKE_PTR(dp);
    return rc;
}

int pw_dp_load(struct pw_dp **out, bool *loaded, struct pw_err *err)
{
    __attribute__((cleanup(pw_dp_closep))) struct pw_dp *dp = NULL;

    int rc = open_dp(&dp, true, loaded, err);
    if (!rc)
        rc = pw_node_sync(dp, NULL, err);
    if (!rc)
        *out = PW_TAKE_PTR(dp);
    return rc;
}

void pw_dp_close(struct pw_dp *dp)
{
    if (!dp)
        return;
    close_maps(dp);
    free(dp);
}
