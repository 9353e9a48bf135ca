/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing what is loaded by what this program brings, and removing it all. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include "loader/base/cleanup.h"
#include "loader/expedite.h"
#include "loader/nl/link.h"
#include "loader/node.h"
#include "loader/obj.h"
#include "loader/peers_int.h"
#include "loader/runfiles.h"
#include "loader/tunnel.h"

/* ---- upgrade ---- */

struct move {
    struct pw_dp dp; /* only its build is used: the new one */
    int prog[PW_HOOK_COUNT];
    uint32_t id[PW_HOOK_COUNT];
    size_t moved;
};

static void close_progs(struct move *m)
{
    for (unsigned i = 0; i < PW_HOOK_COUNT; i++)
        pw_closep(&m->prog[i]);
}

static int open_prog(struct move *m, enum pw_hook hook, struct pw_err *err)
{
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);

    if (m->prog[hook] >= 0)
        return 0;
    int fd = pw_dp_prog(&m->dp, pw_hook_program(hook), err);
    if (fd < 0)
        return fd;
    m->prog[hook] = fd;
    int rc = bpf_prog_get_info_by_fd(fd, &info, &len);
    m->id[hook] = info.id;
    return rc ? pw_err_errno(err, rc, "program %s", pw_hook_program(hook)) : 0;
}

static int move_link(const char *name, void *arg, struct pw_err *err)
{
    struct move *m = arg;
    struct pw_attached at;
    enum pw_hook hook;
    char device[32];

    if (!pw_hook_of_pin(name, device, &hook))
        return 0;
    int rc = pw_attach_info(device, hook, &at, err);
    if (rc == -ENOENT)
        return 0;
    if (rc)
        return rc;
    if (at.ifindex == 0)
        return pw_detach(device, hook, err); /* its device is gone */
    rc = open_prog(m, hook, err);
    if (rc || at.prog_id == m->id[hook])
        return rc;
    rc = pw_attach_update(device, hook, m->prog[hook], err);
    if (rc == -ENOLINK)
        return 0; /* gone in this moment */
    if (!rc)
        m->moved++;
    return rc;
}

/* Folders of builds that `current` does not name. */
static int remove_other_build(const char *name, void *arg, struct pw_err *err)
{
    char path[PW_PIN_PATH];

    if (strcmp(name, arg) == 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%.100s", PW_PIN_PROGS, name);
    return pw_pin_remove(path, err);
}

int pw_links_move(const char *build, size_t *moved, struct pw_err *err)
{
    struct move m = {0};

    for (unsigned i = 0; i < PW_HOOK_COUNT; i++)
        m.prog[i] = -1;
    snprintf(m.dp.cur.build, sizeof(m.dp.cur.build), "%s", build);
    int rc = pw_pin_each(PW_PIN_LINKS, move_link, &m, err);
    close_progs(&m);
    if (moved)
        *moved = m.moved;
    return rc;
}

int pw_dp_upgrade(size_t *moved, struct pw_err *err)
{
    char build[PW_BUILD_LEN];
    struct pw_current cur;

    if (moved)
        *moved = 0;
    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    int rc = pw_pin_current(&cur, err);
    if (!rc)
        rc = pw_pin_check_abi(err);
    if (rc)
        return rc;
    snprintf(build, sizeof(build), "%s", pw_obj_build());
    bool same = strcmp(cur.build, build) == 0;
    if (!same) {
        pw_node_need_conntrack();
        rc = pw_obj_load(err);
    }
    /* Also when the build is the same: a killed upgrade may have left links behind. */
    if (!rc)
        rc = pw_links_move(build, moved, err);
    if (!rc && !same)
        rc = pw_pin_set_current(build, err);
    if (!rc)
        rc = pw_pin_each(PW_PIN_PROGS, remove_other_build, build, err);
    return rc;
}

/* ---- unload ---- */

struct alive {
    size_t n;
    char first[IF_NAMESIZE];
};

/* Endpoints whose device is there; with `down`, the devices are set down. */
static int count_alive(struct alive *a, bool down, struct pw_err *err)
{
    pw_nlbatch_auto b = PW_NLBATCH_INIT;
    pw_nlsock rtnl = PW_NL_INIT;
    char name[IF_NAMESIZE];
    uint32_t at;

    *a = (struct alive){0};
    pw_fd fd = pw_maps_open(PW_MAP_ENDPOINTS, NULL);
    if (fd < 0)
        return 0;
    for (int rc = pw_key_next(fd, NULL, &at); rc == 0; rc = pw_key_next(fd, &at, &at)) {
        if (pw_link_gone(at))
            continue;
        if (a->n++ == 0 && if_indextoname(at, name))
            memcpy(a->first, name, sizeof(a->first));
        if (down) {
            pw_link_set_up(&b, at, false);
            pw_nlbatch_ignore(&b, ENODEV);
        }
    }
    if (!down || !a->n)
        return 0;
    int rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    return rc ? rc : pw_nl_commit(&rtnl, &b, NULL, NULL, err);
}

static int detach_pin(const char *name, void *arg, struct pw_err *err)
{
    char device[32], path[PW_PIN_PATH];
    enum pw_hook hook;

    (void)arg;
    if (pw_hook_of_pin(name, device, &hook))
        return pw_detach(device, hook, err);
    snprintf(path, sizeof(path), "%s/%.100s", PW_PIN_LINKS, name);
    return pw_pin_remove(path, err);
}

static int remove_folder(const char *name, void *arg, struct pw_err *err)
{
    char path[PW_PIN_PATH];

    (void)arg;
    snprintf(path, sizeof(path), "%s/%.100s", PW_PIN_PROGS, name);
    return pw_pin_remove(path, err);
}

static int remove_top(const char *name, void *arg, struct pw_err *err)
{
    char path[PW_PIN_PATH];

    (void)arg;
    /* maps-*, links, progs (empty by now), current-new: what is not ours has no place here. */
    snprintf(path, sizeof(path), "%s/%.100s", PW_PIN_DIR, name);
    return pw_pin_remove(path, err);
}

static int remove_pins(struct pw_err *err)
{
    /* `current` first: from here on nothing is loaded, and the next caller cleans up and loads. */
    int rc = pw_pin_remove(PW_PIN_CURRENT, err);
    if (!rc) {
        pw_expedited;
        rc = pw_pin_each(PW_PIN_LINKS, detach_pin, NULL, err);
    }
    if (!rc)
        rc = pw_pin_each(PW_PIN_PROGS, remove_folder, NULL, err);
    if (!rc)
        rc = pw_pin_each(PW_PIN_DIR, remove_top, NULL, err);
    return rc ? rc : pw_pin_remove(PW_PIN_DIR, err);
}

static int remove_rules(struct pw_err *err)
{
    pw_nlsock nfnl = PW_NL_INIT;

    if (pw_nl_open(&nfnl, NETLINK_NETFILTER, NULL))
        return 0; /* no netfilter, no rules */
    int rc = pw_forward_restore(&nfnl, err);
    return rc ? rc : pw_nft_remove(&nfnl, err);
}

/* To other nodes. */
static int remove_ways(struct pw_err *err)
{
    pw_nlsock rtnl = PW_NL_INIT;
    size_t changes = 0;

    int rc = pw_peers_routes_remove(err);
    if (!rc)
        rc = pw_nl_open(&rtnl, NETLINK_ROUTE, err);
    return rc ? rc : pw_tunnel_down(&rtnl, &changes, err);
}

int pw_dp_unload(bool force, struct pw_err *err)
{
    struct alive alive;

    pw_fd lock = pw_lock(PW_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    int rc = force ? 0 : pw_pin_check_abi(err);
    if (rc)
        return rc;
    rc = count_alive(&alive, false, err);
    if (!rc && alive.n && !force)
        return pw_err_set(err, -EBUSY,
                          "%zu endpoint%s exist%s (%s%s): remove the pods first, or use --force, "
                          "which cuts them off",
                          alive.n, alive.n == 1 ? "" : "s", alive.n == 1 ? "s" : "", alive.first,
                          alive.n == 1 ? "" : ", ...");
    if (!rc && force)
        rc = count_alive(&alive, true, err);
    if (!rc)
        rc = remove_rules(err);
    if (!rc)
        rc = remove_ways(err);
    if (!rc)
        rc = remove_pins(err);
    if (!rc) {
        pw_expedite_repair();
        pw_run_clean();
    }
    return rc;
}
