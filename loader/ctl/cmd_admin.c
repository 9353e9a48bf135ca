/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change something: redirect, load, upgrade, unload, sweep. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/ctl.h"
#include "loader/obj.h"
#include "loader/vhost.h"

static bool is_loaded(void)
{
    struct pw_current cur;
    return pw_pin_current(&cur, NULL) == 0;
}

/* ---- redirect ---- */

static int show_redirect(const struct ctl *ctl, bool on)
{
    if (ctl->json)
        return ctl_print_json(json_pack("{s:b}", "redirect", on));
    puts(on ? "Redirection is on." : "Redirection is off: every packet goes by the stack.");
    return CTL_OK;
}

static int run_redirect(struct ctl *ctl, int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_conf conf;
    ctl_dp *dp = NULL;

    int rc = ctl_options(ctl, &ctl_redirect, argc, argv);
    if (rc >= 0)
        return rc;
    const char *word = argv[optind];
    if (word && (argv[optind + 1] || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)))
        return ctl_usage(&ctl_redirect, "'%s': say on or off",
                         argv[optind + 1] ? argv[optind + 1] : word);
    if (ctl_open(&dp, &err))
        return ctl_fail(&err);
    if (word) {
        bool on = strcmp(word, "on") == 0;
        return pw_node_redirect(dp, on, &err) ? ctl_fail(&err) : show_redirect(ctl, on);
    }
    int fd = pw_dp_map(dp, PW_MAP_CONF, &err);
    if (fd < 0 || pw_conf_read(fd, &conf, &err))
        return ctl_fail(&err);
    return show_redirect(ctl, conf.flags & PW_CONF_REDIRECT);
}

const struct ctl_cmd ctl_redirect = {
    "redirect", "[on|off] [--json]", "switches redirection on or off, for the whole node",
    run_redirect,
    "Off, every packet takes the node's own stack, where tcpdump and the firewall see it; the\n"
    "source checks stay. No connection is lost by switching. Holds until switched back or the\n"
    "node restarts. Without an argument it says how it is.\n"};

/* ---- load ---- */

static int done(const struct ctl *ctl, bool changed, const char *did, const char *was)
{
    if (ctl->json)
        return ctl_print_json(json_pack("{s:b, s:s}", "changed", changed, "build", pw_obj_build()));
    printf("%s\n", changed ? did : was);
    return CTL_OK;
}

static int run_load(struct ctl *ctl, int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    bool loaded;
    ctl_dp *dp = NULL;

    int rc = ctl_options(ctl, &ctl_load, argc, argv);
    if (rc >= 0)
        return rc;
    if (argv[optind])
        return ctl_usage(&ctl_load, "unexpected argument '%s'", argv[optind]);
    if (pw_dp_load(&dp, &loaded, &err))
        return ctl_fail(&err);
    return done(ctl, loaded, "Loaded.",
                "It is loaded already; the node's state was checked again.");
}

const struct ctl_cmd ctl_load = {
    "load", "[--json]", "loads the datapath, and brings the node in line", run_load,
    "The first pod does the same. Programs go to the uplinks, and the nftables table is made anew\n"
    "when it was changed.\n"};

/* ---- upgrade ---- */

static int run_upgrade(struct ctl *ctl, int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    struct pw_current before, now;
    size_t moved = 0;
    ctl_dp *dp = NULL;

    int rc = ctl_options(ctl, &ctl_upgrade, argc, argv);
    if (rc >= 0)
        return rc;
    if (argv[optind])
        return ctl_usage(&ctl_upgrade, "unexpected argument '%s'", argv[optind]);
    /* What is loaded may be of another ABI: the upgrade itself says so better than opening does. */
    if (pw_pin_current(&before, &err) == -ENOENT)
        return ctl_open(&dp, &err) ? ctl_fail(&err) : CTL_FAILED;
    if (pw_dp_upgrade(&moved, &err) || pw_pin_current(&now, &err))
        return ctl_fail(&err);
    bool changed = strcmp(before.build, now.build) != 0;
    if (ctl->json)
        return ctl_print_json(json_pack("{s:b, s:s, s:s, s:I}", "changed", changed, "from",
                                        before.build, "to", now.build, "links", (json_int_t)moved));
    if (changed || moved)
        printf("Replaced %s by %s on %zu device%s.\n", before.build, now.build, moved,
               moved == 1 ? "" : "s");
    else
        printf("Nothing to do: %s is in use.\n", now.build);
    return CTL_OK;
}

const struct ctl_cmd ctl_upgrade = {
    "upgrade", "[--json]", "replaces the loaded programs by those of this binary", run_upgrade,
    "Device by device, in place: no packet is lost, and no device is without a program at any\n"
    "moment. Going back to an older version is the same, with the older binary. Counters stay.\n"};

/* ---- unload ---- */

static int run_unload(struct ctl *ctl, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"force", no_argument, NULL, 'F'},
                                            {NULL, 0, NULL, 0}};
    struct pw_err err = PW_ERR_INIT;
    bool force = false;
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
        if (c == 'j')
            ctl->json = true;
        else if (c == 'h')
            return ctl_help(&ctl_unload);
        else if (c == 'F')
            force = true;
        else
            return ctl_usage(&ctl_unload, "unknown option '%s'", argv[optind - 1]);
    }
    if (argv[optind])
        return ctl_usage(&ctl_unload, "unexpected argument '%s'", argv[optind]);
    bool before = is_loaded();
    if (pw_dp_unload(force, &err))
        return ctl_fail(&err);
    return done(ctl, before, "Unloaded: programs, maps and rules are gone.", "Nothing was loaded.");
}

const struct ctl_cmd ctl_unload = {
    "unload", "[--force] [--json]", "removes programs, maps and rules from the node", run_unload,
    "Refused while pods are connected. IP forwarding, which the node may need for others, stays "
    "on.\n"
    "  --force  unload all the same: the pods' devices are set down first, so that nothing\n"
    "           passes them unchecked; such pods have to be started anew\n"};

/* ---- sweep ---- */

static int run_sweep(struct ctl *ctl, int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    size_t removed = 0;
    ctl_dp *dp = NULL;

    int rc = ctl_options(ctl, &ctl_sweep, argc, argv);
    if (rc >= 0)
        return rc;
    if (argv[optind])
        return ctl_usage(&ctl_sweep, "unexpected argument '%s'", argv[optind]);
    if (ctl_open(&dp, &err) || pw_dp_sweep(dp, &removed, &err) || pw_vhost_keep(&err))
        return ctl_fail(&err);
    if (ctl->json)
        return ctl_print_json(json_pack("{s:I}", "removed", (json_int_t)removed));
    printf("Removed %zu entr%s whose device is gone.\n", removed, removed == 1 ? "y" : "ies");
    return CTL_OK;
}

const struct ctl_cmd ctl_sweep = {
    "sweep", "[--json]", "removes entries and pins whose device is gone", run_sweep,
    "What a runtime left that never called DEL; back-ends of such taps are ended, and those of\n"
    "others started again that do not run. The runtime's own GC does the same, and frees "
    "addresses\n"
    "too.\n"};
