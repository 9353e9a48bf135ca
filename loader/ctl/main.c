/* SPDX-License-Identifier: Apache-2.0 */
/* podwirectl: the operator's view of podwire on a node. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "loader/ctl/ctl.h"
#include "loader/obj.h"

static const struct ctl_cmd *const commands[] = {
    &ctl_status, &ctl_endpoints, &ctl_drops,  &ctl_path,  &ctl_peers,   &ctl_redirect,
    &ctl_load,   &ctl_upgrade,   &ctl_unload, &ctl_sweep, &ctl_version, &ctl_vm,
};

int ctl_fail(const struct pw_err *err)
{
    fprintf(stderr, "podwirectl: %s\n", err->msg);
    return CTL_FAILED;
}

int ctl_usage(const struct ctl_cmd *cmd, const char *fmt, ...)
{
    va_list ap;

    fputs("podwirectl", stderr);
    if (cmd)
        fprintf(stderr, " %s", cmd->name);
    fputs(": ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry: podwirectl %s%s--help\n", cmd ? cmd->name : "", cmd ? " " : "");
    return CTL_USAGE;
}

int ctl_help(const struct ctl_cmd *cmd)
{
    printf("usage: podwirectl %s %s\n\n%s.\n", cmd->name, cmd->args, cmd->help);
    if (cmd->details)
        printf("\n%s", cmd->details);
    return CTL_OK;
}

int ctl_options(struct ctl *ctl, const struct ctl_cmd *cmd, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int c;

    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
        if (c == 'j')
            ctl->json = true;
        else if (c == 'h')
            return ctl_help(cmd);
        else
            return ctl_usage(cmd, "unknown option '%s'", argv[optind - 1]);
    }
    return -1;
}

static int help(void)
{
    fputs("usage: podwirectl [--json] COMMAND [ARGUMENTS]\n"
          "\n"
          "Shows and steers podwire on this node.\n"
          "\n"
          "commands:\n",
          stdout);
    for (size_t i = 0; i < PW_ARRAY_SIZE(commands); i++)
        printf("  %-10s  %s\n", commands[i]->name, commands[i]->help);
    fputs("  help        this text, or that of a command\n"
          "\n"
          "options:\n"
          "  --json      one JSON document instead of text, see podwirectl(8)\n"
          "  --help      help, also of a command: podwirectl path --help\n"
          "  --version\n"
          "\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 (status) the node cannot take pods.\n"
          "Colour only on a terminal, and not when NO_COLOR is set.\n",
          stdout);
    return CTL_OK;
}

static int show_version(const struct ctl *ctl)
{
    if (ctl->json)
        return ctl_print_json(json_pack("{s:s, s:s, s:i}", "version", PW_VERSION, "build",
                                        pw_obj_build(), "abi", PW_ABI));
    printf("podwirectl %s\nbuild %s, ABI %d\n", PW_VERSION, pw_obj_build(), PW_ABI);
    return CTL_OK;
}

static int run_version(struct ctl *ctl, int argc, char **argv)
{
    int rc = ctl_options(ctl, &ctl_version, argc, argv);
    return rc >= 0 ? rc : show_version(ctl);
}

const struct ctl_cmd ctl_version = {"version", "[--json]", "says version and build of this program",
                                    run_version, "`podwirectl status` says what is loaded.\n"};

/* Edits that turn one word into the other, as far as they matter here: at most 3. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[24], n = (unsigned)strlen(b);

    if (n >= PW_ARRAY_SIZE(row))
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
            best = best < up + 1 ? best : up + 1;
            best = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
            diagonal = up;
            row[j] = best;
        }
    }
    return row[n];
}

static const struct ctl_cmd *find(const char *name)
{
    for (size_t i = 0; i < PW_ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const struct ctl_cmd *best = NULL;
    unsigned least = 4;

    for (size_t i = 0; i < PW_ARRAY_SIZE(commands); i++) {
        unsigned d = distance(name, commands[i]->name);
        size_t n = strlen(name);
        if (n >= 2 && strncmp(commands[i]->name, name, n) == 0)
            d = 0;
        if (d < least) {
            least = d;
            best = commands[i];
        }
    }
    if (best)
        return ctl_usage(NULL, "unknown command '%s'. Did you mean '%s'?", name, best->name);
    return ctl_usage(NULL, "unknown command '%s'", name);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    struct ctl ctl = {.colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && term &&
                                strcmp(term, "dumb") != 0};
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "+jhV", options, NULL)) != -1) {
        if (c == 'j')
            ctl.json = true;
        else if (c == 'h')
            return help();
        else if (c == 'V')
            return show_version(&ctl);
        else
            return ctl_usage(NULL, "unknown option '%s'", argv[optind - 1]);
    }
    argv += optind;
    argc -= optind;
    if (argc == 0) {
        help();
        return CTL_USAGE;
    }
    if (strcmp(argv[0], "help") == 0) {
        const struct ctl_cmd *of = argc > 1 ? find(argv[1]) : NULL;
        return argc == 1 ? help() : of ? ctl_help(of) : unknown(argv[1]);
    }
    const struct ctl_cmd *cmd = find(argv[0]);
    int rc = cmd ? cmd->run(&ctl, argc, argv) : unknown(argv[0]);
    if (fflush(stdout) == EOF && rc == CTL_OK) {
        fprintf(stderr, "podwirectl: write: %m\n");
        rc = CTL_FAILED;
    }
    return rc;
}
