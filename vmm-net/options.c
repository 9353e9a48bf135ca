// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/addr.h"
#include "vmm-net/vnet.h"

const char vh_help[] =
    "usage: podwire-vhost (--socket-path=PATH | --fd=N) (--tap=NAME | --tap-fd=N[,N...] | --null)\n"
    "\n"
    "A vhost-user network back-end: one process for one virtual machine's device. Frames go\n"
    "between the VMM's rings and a tap.\n"
    "\n"
    "The VMM's side:\n"
    "  --socket-path=PATH    unix socket to listen on (one left behind is replaced)\n"
    "  --client              connect to PATH instead, and again whenever the VMM goes away\n"
    "  --fd=N                use descriptor N: a connected socket, or one that listens\n"
    "  --socket-mode=OCTAL   mode of the listening socket (default 0600)\n"
    "  --socket-owner=UID[:GID]  to whom it belongs\n"
    "  --peer-uid=UID        the one user besides root and our own that may connect\n"
    "  --peer-gid=GID        a group whose processes may\n"
    "  --once                end with the first connection\n"
    "\n"
    "The host's side:\n"
    "  --tap=NAME            open this tap in our network namespace\n"
    "  --tap-fd=N[,N...]     queues of a tap, already open, one for each queue pair\n"
    "  --null                no tap: check the guest's frames and throw them away\n"
    "  --vhost-net           hand the rings to the kernel (/dev/vhost-net): it moves the frames,\n"
    "                        and reads what the guest wrote\n"
    "\n"
    "The device:\n"
    "  --queues=N            queue pairs (default 1, or as many as descriptors)\n"
    "  --mac=ADDR --mtu=N    shown to the guest in the config space\n"
    "  --no-feature=BIT      do not offer this virtio feature bit (repeatable)\n"
    "  --busy-poll=USEC      longest time to poll before sleep (default 50, 0: never poll)\n"
    "  --no-io-uring         write frames one call each\n"
    "  --stats=PATH          counters in a file that others may map (see --show-stats)\n"
    "\n"
    "Confinement (all of it is on when started as root):\n"
    "  --user=UID[:GID]      run as this user (default 65534:65534; with --client the owner of "
    "the\n"
    "                        socket's directory), without capabilities in any case\n"
    "  --no-sandbox          keep privileges and namespaces, no system call filter\n"
    "  --supervise           stay behind as a parent that starts the back-end again when it dies\n"
    "  --ready-fd=N          write \"ready\" there when front-ends are served, or what failed\n"
    "  --lock-fd=N           keep this descriptor, and a record lock on it, as long as we run\n"
    "\n"
    "  --show-stats=PATH     print a counters' file as JSON and end\n"
    "  --print-capabilities  print what the back-end can do as JSON and end\n"
    "  --help  --version\n";

enum {
    O_SOCKET = 256,
    O_CLIENT,
    O_FD,
    O_MODE,
    O_OWNER,
    O_PEER,
    O_PEERGID,
    O_ONCE,
    O_TAP,
    O_TAPFD,
    O_NULL,
    O_VHOST,
    O_QUEUES,
    O_MAC,
    O_MTU,
    O_NOFEATURE,
    O_BUSY,
    O_NOURING,
    O_STATS,
    O_USER,
    O_NOSANDBOX,
    O_SUPERVISE,
    O_READY,
    O_LOCK,
    O_SHOW,
    O_CAPS,
    O_HELP,
    O_VERSION
};

static const struct option longs[] = {
    {"socket-path", required_argument, NULL, O_SOCKET},
    {"client", no_argument, NULL, O_CLIENT},
    {"fd", required_argument, NULL, O_FD},
    {"socket-mode", required_argument, NULL, O_MODE},
    {"socket-owner", required_argument, NULL, O_OWNER},
    {"peer-uid", required_argument, NULL, O_PEER},
    {"peer-gid", required_argument, NULL, O_PEERGID},
    {"once", no_argument, NULL, O_ONCE},
    {"tap", required_argument, NULL, O_TAP},
    {"tap-fd", required_argument, NULL, O_TAPFD},
    {"null", no_argument, NULL, O_NULL},
    {"vhost-net", no_argument, NULL, O_VHOST},
    {"queues", required_argument, NULL, O_QUEUES},
    {"mac", required_argument, NULL, O_MAC},
    {"mtu", required_argument, NULL, O_MTU},
    {"no-feature", required_argument, NULL, O_NOFEATURE},
    {"busy-poll", required_argument, NULL, O_BUSY},
    {"no-io-uring", no_argument, NULL, O_NOURING},
    {"stats", required_argument, NULL, O_STATS},
    {"user", required_argument, NULL, O_USER},
    {"no-sandbox", no_argument, NULL, O_NOSANDBOX},
    {"supervise", no_argument, NULL, O_SUPERVISE},
    {"ready-fd", required_argument, NULL, O_READY},
    {"lock-fd", required_argument, NULL, O_LOCK},
    {"show-stats", required_argument, NULL, O_SHOW},
    {"print-capabilities", no_argument, NULL, O_CAPS},
    {"help", no_argument, NULL, O_HELP},
    {"version", no_argument, NULL, O_VERSION},
    {NULL, 0, NULL, 0},
};

/* A whole number in [0, max]; `end` NULL: nothing may follow it. */
static int number(const char *what, const char *text, int base, unsigned long max,
                  unsigned long *out, char **end, struct pw_err *err)
{
    char *stop;

    errno = 0;
    unsigned long v = strtoul(text, &stop, base);
    if (stop == text || *text == '-' || errno || v > max || (!end && *stop))
        return pw_err_set(err, -EINVAL, "--%s: '%s' is not a number up to %lu", what, text, max);
    *out = v;
    if (end)
        *end = stop;
    return 0;
}

static int tap_fds(struct vh_options *o, const char *text, struct pw_err *err)
{
    char *end = NULL;
    unsigned long v = 0;

    for (;;) {
        int rc = number("tap-fd", text, 10, 1 << 20, &v, &end, err);
        if (rc)
            return rc;
        if (o->tap_fds == VMMNET_MAX_PAIRS)
            return pw_err_set(err, -EINVAL, "--tap-fd: more than %u queues", VMMNET_MAX_PAIRS);
        o->tap_fd[o->tap_fds++] = (int)v;
        if (!end || !*end)
            return 0;
        if (*end != ',')
            return pw_err_set(err, -EINVAL, "--tap-fd: numbers with commas between them");
        text = end + 1;
    }
}

/* UID or UID:GID; *gid stays as it is without the latter. */
static int user(const char *what, const char *text, uid_t *uid, gid_t *gid, struct pw_err *err)
{
    char *end = NULL;
    unsigned long v = 0;
    int rc = number(what, text, 10, UINT32_MAX - 1, &v, &end, err);

    if (rc)
        return rc;
    *uid = (uid_t)v;
    if (!end || !*end)
        return 0;
    if (*end != ':')
        return pw_err_set(err, -EINVAL, "--%s: UID or UID:GID in numbers", what);
    rc = number(what, end + 1, 10, UINT32_MAX - 1, &v, NULL, err);
    *gid = (gid_t)v;
    return rc;
}

static int descriptor(const char *what, const char *arg, int *fd, struct pw_err *err)
{
    unsigned long v = 0;
    int rc = number(what, arg, 10, 1 << 20, &v, NULL, err);

    if (!rc && fcntl((int)v, F_SETFD, FD_CLOEXEC))
        rc = pw_err_errno(err, -EINVAL, "--%s=%lu: no such descriptor", what, v);
    *fd = (int)v;
    return rc;
}

static int one(struct vh_options *o, int opt, const char *arg, struct pw_err *err)
{
    unsigned long v = 0;
    int rc = 0;

    switch (opt) {
    case O_SOCKET:
        o->socket_path = arg;
        break;
    case O_CLIENT:
        o->client = true;
        break;
    case O_FD:
        rc = number("fd", arg, 10, 1 << 20, &v, NULL, err);
        o->fd = (int)v;
        break;
    case O_MODE:
        rc = number("socket-mode", arg, 8, 0777, &v, NULL, err);
        o->mode = (mode_t)v;
        break;
    case O_OWNER:
        rc = user("socket-owner", arg, &o->socket_uid, &o->socket_gid, err);
        break;
    case O_PEER:
        rc = number("peer-uid", arg, 10, UINT32_MAX - 1, &v, NULL, err);
        o->peer_uid = (uid_t)v;
        o->have_peer_uid = true;
        break;
    case O_PEERGID:
        rc = number("peer-gid", arg, 10, UINT32_MAX - 1, &v, NULL, err);
        o->peer_gid = (gid_t)v;
        o->have_peer_gid = true;
        break;
    case O_ONCE:
        o->once = true;
        break;
    case O_TAP:
        o->tap = arg;
        break;
    case O_TAPFD:
        rc = tap_fds(o, arg, err);
        break;
    case O_NULL:
        o->null_tap = true;
        break;
    case O_VHOST:
        o->vhost_net = true;
        break;
    case O_QUEUES:
        rc = number("queues", arg, 10, VMMNET_MAX_PAIRS, &v, NULL, err);
        if (!rc && !v)
            rc = pw_err_set(err, -EINVAL, "--queues: at least 1");
        o->queues = (unsigned)v;
        break;
    case O_MAC:
        rc = pw_mac_parse(arg, o->mac, err);
        o->have_mac = true;
        break;
    case O_MTU:
        rc = number("mtu", arg, 10, 65535, &v, NULL, err);
        if (!rc && v < 68)
            rc = pw_err_set(err, -EINVAL, "--mtu: at least 68");
        o->mtu = (uint16_t)v;
        break;
    case O_NOFEATURE:
        rc = number("no-feature", arg, 10, 63, &v, NULL, err);
        if (!rc && VIRTIO_BIT(v) == VIF_VERSION_1)
            rc = pw_err_set(err, -EINVAL, "--no-feature: version 1 is not optional");
        o->features_off |= VIRTIO_BIT(v);
        break;
    case O_BUSY:
        rc = number("busy-poll", arg, 10, 1000000, &v, NULL, err);
        o->busy_poll_us = (unsigned)v;
        break;
    case O_NOURING:
        o->no_uring = true;
        break;
    case O_STATS:
        o->stats = arg;
        break;
    case O_USER:
        o->have_uid = true;
        o->gid = (gid_t)-1;
        rc = user("user", arg, &o->uid, &o->gid, err);
        if (o->gid == (gid_t)-1)
            o->gid = o->uid;
        break;
    case O_NOSANDBOX:
        o->no_sandbox = true;
        break;
    case O_SUPERVISE:
        o->supervise = true;
        break;
    case O_READY:
        rc = descriptor("ready-fd", arg, &o->ready_fd, err);
        break;
    case O_LOCK:
        rc = descriptor("lock-fd", arg, &o->lock_fd, err);
        break;
    case O_SHOW:
        o->action = VH_SHOW_STATS;
        o->stats = arg;
        break;
    case O_CAPS:
        o->action = VH_CAPABILITIES;
        break;
    case O_HELP:
        o->action = VH_HELP;
        break;
    case O_VERSION:
        o->action = VH_VERSION;
        break;
    default:
        rc = pw_err_set(err, -EINVAL, "see podwire-vhost --help");
    }
    return rc;
}

static int consistent(struct vh_options *o, struct pw_err *err)
{
    if (!!o->socket_path + (o->fd >= 0) != 1)
        return pw_err_set(err, -EINVAL, "give one of --socket-path and --fd");
    if (!!o->tap + !!o->tap_fds + o->null_tap != 1)
        return pw_err_set(err, -EINVAL, "give one of --tap, --tap-fd and --null");
    if (o->vhost_net && o->null_tap)
        return pw_err_set(err, -EINVAL, "--vhost-net needs a tap");
    if (o->client && !o->socket_path)
        return pw_err_set(err, -EINVAL, "--client needs --socket-path");
    if (o->tap_fds && o->queues && o->queues != o->tap_fds)
        return pw_err_set(err, -EINVAL, "--queues=%u, but %u tap descriptors", o->queues,
                          o->tap_fds);
    if (!o->queues)
        o->queues = o->tap_fds ? o->tap_fds : 1;
    return 0;
}

int vh_options_parse(int argc, char **argv, struct vh_options *o, struct pw_err *err)
{
    *o = (struct vh_options){.fd = -1,
                             .ready_fd = -1,
                             .lock_fd = -1,
                             .busy_poll_us = 50,
                             .uid = 65534,
                             .gid = 65534,
                             .socket_uid = (uid_t)-1,
                             .socket_gid = (gid_t)-1,
                             .mode = 0600};
    int opt;

    opterr = 0;
    while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (opt == '?')
            return pw_err_set(err, -EINVAL, "%s: unknown option or value missing (see --help)",
                              argv[optind - 1]);
        int rc = one(o, opt, optarg, err);
        if (rc)
            return rc;
    }
    /* Asked what it can do, the rest of the command line does not matter (the convention). */
    if (o->action != VH_RUN)
        return 0;
    if (optind < argc)
        return pw_err_set(err, -EINVAL, "%s: unexpected argument (see --help)", argv[optind]);
    return consistent(o, err);
}
