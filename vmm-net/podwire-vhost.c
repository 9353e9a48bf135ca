// SPDX-License-Identifier: Apache-2.0
/* podwire-vhost: a vhost-user network back-end. A thin program over libvmmnet. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "vmm-net/options.h"
#include "vmm-net/sandbox.h"
#include "vmm-net/serve.h"
#include "vmm-net/supervisor.h"
#include "vmm-net/vmmnet.h"

static int print_capabilities(void)
{
    /* vhost-user.json knows no features for "net" devices. */
    puts("{\n  \"type\": \"net\",\n  \"features\": []\n}");
    return 0;
}

/* Where counters are kept; they go on where the last one left them. */
static int open_stats(const char *path, struct vmmnet_stats **out, struct pw_err *err)
{
    size_t len = sizeof(**out);
    pw_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return pw_err_errno(err, -errno, "open %s", path);
    if (ftruncate(fd, (off_t)len))
        return pw_err_errno(err, -errno, "size of %s", path);
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return pw_err_errno(err, -errno, "map %s", path);
    *out = p;
    return 0;
}

static int show_stats(const char *path, struct pw_err *err)
{
    struct vmmnet_stats s;
    int rc = vmmnet_stats_read(path, &s, err);

    if (rc)
        return rc;
    vmmnet_stats_json(&s, stdout);
    putchar('\n');
    return 0;
}

static int open_server(const struct vh_options *o, struct vn_server *s, struct pw_err *err)
{
    s->once = o->once;
    s->allow[s->nallow++] = 0;
    s->allow[s->nallow++] = geteuid();
    if (o->have_peer_uid)
        s->allow[s->nallow++] = o->peer_uid;
    s->has_group = o->have_peer_gid;
    s->group = o->peer_gid;
    if (o->fd >= 0) {
        int rc = vn_server_fd(s, o->fd, err);
        /* After a death the next one would speak in mid conversation, and no VMM would know. */
        if (!rc && o->supervise && s->connected >= 0)
            rc = pw_err_set(
                err, -EINVAL,
                "--supervise: descriptor %d is connected, and cannot be connected again", o->fd);
        return rc;
    }
    if (o->client)
        return vn_server_connect(s, o->socket_path, err);
    return vn_server_listen(s, o->socket_path, o->mode, o->socket_uid, o->socket_gid, err);
}

/* Everything that needs a path, a name or a privilege, opened while we have them. */
struct resources {
    struct vn_server server;
    struct vmmnet_stats *stats;
    int tap[VMMNET_MAX_PAIRS];
};

static int open_vhost_net(const char *path, struct pw_err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    return pw_err_errno(err, -errno, "--vhost-net: open %s%s", path,
                        errno == ENOENT || errno == ENODEV || errno == ENXIO
                            ? " (modprobe vhost_net, or leave the option out)"
                            : "");
}

/*
 * Whether it can be had, said before anything is served. It is opened for use by the process that
 * uses it, from the one place where that process finds it.
 */
static int check_vhost_net(const struct vh_options *o, struct pw_err *err)
{
    if (geteuid() && !o->no_sandbox)
        return pw_err_set(err, -EPERM,
                          "--vhost-net: confinement with this device needs root (or --no-sandbox)");
    pw_fd fd = open_vhost_net("/dev/vhost-net", err);
    return fd < 0 ? fd : 0;
}

static int open_all(const struct vh_options *o, struct resources *r, struct pw_err *err)
{
    int rc = open_server(o, &r->server, err);

    for (unsigned i = 0; i < o->queues; i++)
        r->tap[i] = o->tap_fds ? o->tap_fd[i] : VMMNET_NULL_TAP;
    if (!rc && o->tap)
        rc = vmmnet_tap_open(o->tap, o->queues, r->tap, err);
    if (!rc && o->vhost_net)
        rc = check_vhost_net(o, err);
    if (!rc && o->stats)
        rc = open_stats(o->stats, &r->stats, err);
    return rc;
}

/* One line to whoever started us, if somebody wants to know. With write alone: the filter is on. */
static void tell(struct vn_starter *starter, const char *text)
{
    char line[PW_ERR_LEN + 1];
    int n = snprintf(line, sizeof(line), "%s\n", text);

    if (starter->ready_fd >= 0)
        (void)!write(starter->ready_fd, line, (size_t)n);
    pw_closep(&starter->ready_fd);
}

/* What the back-end process does, from its descriptors to its end. */
static int run(const struct vh_options *o, struct resources *r, struct vn_starter *starter,
               struct pw_err *err)
{
    static struct vmmnet_stats fallback; /* nobody sees these */
    int vhost_net[VMMNET_MAX_PAIRS];
    struct vmmnet *net = NULL;
    sigset_t set;
    int rc = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pw_fd stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (stop < 0)
        return pw_err_errno(err, -errno, "signalfd");

    if (!r->stats)
        r->stats = &fallback;
    struct vmmnet_conf conf = {
        .pairs = o->queues,
        .tap = r->tap,
        .vhost_net = o->vhost_net ? vhost_net : NULL,
        .have_mac = o->have_mac,
        .mtu = o->mtu,
        .features_off = o->features_off,
        .busy_poll_us = o->busy_poll_us,
        .no_uring = o->no_uring,
        .stats = r->stats,
    };
    memcpy(conf.mac, o->mac, sizeof(conf.mac));
    for (unsigned i = 0; i < o->queues && o->vhost_net && rc >= 0; i++)
        rc = vhost_net[i] =
            open_vhost_net(o->no_sandbox ? "/dev/vhost-net" : VN_SANDBOX_VHOST_NET, err);
    if (rc >= 0)
        rc = vmmnet_new(&conf, &net, err);
    if (!rc && !o->no_sandbox)
        rc = vn_sandbox_filter(o->vhost_net, err);
    if (!rc)
        tell(starter, "ready");
    if (!rc)
        rc = vn_serve(net, r->stats, &r->server, stop, err);
    vmmnet_free(net);
    return rc;
}

/*
 * The user to run as: nobody, unless the VMM's socket must be reached. A connect takes write
 * permission on the socket, and its owner is as a rule the directory's.
 */
static void choose_user(const struct vh_options *o, const struct vn_server *s, uid_t *uid,
                        gid_t *gid)
{
    struct stat st;

    *uid = o->uid;
    *gid = o->gid;
    if (!o->have_uid && s->dir >= 0 && !fstat(s->dir, &st)) {
        *uid = st.st_uid;
        *gid = st.st_gid;
    }
}

static int start(const struct vh_options *o, struct vn_starter *starter, struct pw_err *err)
{
    struct resources r = {.server = VN_SERVER_INIT};
    int rc = open_all(o, &r, err);
    uid_t uid;
    gid_t gid;

    choose_user(o, &r.server, &uid, &gid);
    if (!rc && !o->no_sandbox)
        rc = vn_sandbox_confine(uid, gid, o->vhost_net, err);
    /* Connecting mode: the path's last part is looked up from here, whatever the root is. */
    if (!rc && r.server.dir >= 0 && fchdir(r.server.dir))
        rc = pw_err_errno(err, -errno, "change to the socket's directory");
    bool serve = !rc;
    if (!rc && o->supervise) {
        rc = vn_supervise(starter, r.stats, err);
        serve = rc == 1;
    }
    if (serve)
        rc = run(o, &r, starter, err);
    /* Works only without a sandbox; in one, the next start finds the socket dead and replaces it.
     */
    if (o->no_sandbox && r.server.listen >= 0 && o->socket_path && (!o->supervise || !serve))
        (void)unlink(o->socket_path);
    vn_server_close(&r.server);
    return rc;
}

int main(int argc, char **argv)
{
    struct pw_err err = PW_ERR_INIT;
    struct vn_starter starter;
    struct vh_options o;
    int rc = vh_options_parse(argc, argv, &o, &err);

    starter = (struct vn_starter){.ready_fd = o.ready_fd, .lock_fd = o.lock_fd};

    if (!rc) {
        switch (o.action) {
        case VH_CAPABILITIES:
            return print_capabilities();
        case VH_HELP:
            fputs(vh_help, stdout);
            return 0;
        case VH_VERSION:
            puts("podwire-vhost " PW_VERSION);
            return 0;
        case VH_SHOW_STATS:
            rc = show_stats(o.stats, &err);
            break;
        case VH_RUN:
            rc = start(&o, &starter, &err);
            break;
        }
    }
    if (rc < 0) {
        fprintf(stderr, "podwire-vhost: %s\n", err.msg);
        tell(&starter, err.msg);
        return rc == -EINVAL ? 2 : 1;
    }
    return 0;
}
