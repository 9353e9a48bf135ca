// SPDX-License-Identifier: Apache-2.0
#include "vmm-net/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <sched.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "loader/base/cleanup.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* Replace the root by an empty file system; nothing of the old one stays mounted here. */
static int empty_root(bool vhost_net, uid_t uid, gid_t gid, struct pw_err *err)
{
    /* The one device, for the user that we become; mode 0600 of its own, whatever /dev's says. */
    const unsigned long nodev = vhost_net ? 0 : MS_NODEV;
    const char *node = &VN_SANDBOX_VHOST_NET[1];
    static const char *const places[] = {"/proc", "/dev", "/tmp", "/run"};
    bool mounted = false;

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return pw_err_errno(err, -errno, "sandbox: private mounts");
    for (size_t i = 0; i < PW_ARRAY_SIZE(places) && !mounted; i++)
        mounted = !mount("none", places[i], "tmpfs", MS_NOSUID | nodev | MS_NOEXEC,
                         "mode=0555,size=4k,nr_inodes=3") &&
                  !chdir(places[i]);
    if (!mounted)
        return pw_err_errno(err, -errno, "sandbox: mount an empty root");
    if (vhost_net && (mknod(node, S_IFCHR | 0600, makedev(10, 238)) || chown(node, uid, gid)))
        return pw_err_errno(err, -errno, "sandbox: make the device vhost-net");
    if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/") ||
        mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | nodev | MS_NOEXEC,
              NULL))
        return pw_err_errno(err, -errno, "sandbox: change to the empty root");
    return 0;
}

static int drop_privileges(uid_t uid, gid_t gid, struct pw_err *err)
{
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) && errno != EINVAL)
            return pw_err_errno(err, -errno, "sandbox: drop capability %d", cap);
    /* In a user namespace of our own there are no groups to leave. */
    if ((setgroups(0, NULL) && errno != EPERM) || setresgid(gid, gid, gid) ||
        setresuid(uid, uid, uid))
        return pw_err_errno(err, -errno, "sandbox: become user %u", (unsigned)uid);

    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &h, none))
        return pw_err_errno(err, -errno, "sandbox: drop capabilities");
    return 0;
}

/*
 * Our own uid and gid mean the same inside, so that a peer of our own user is still recognised;
 * everybody else, root included, looks like nobody from in here.
 */
static int map_self(uid_t uid, gid_t gid, struct pw_err *err)
{
    const struct {
        const char *path;
        unsigned id;
    } maps[] = {{"/proc/self/uid_map", uid}, {"/proc/self/gid_map", gid}};
    pw_fd deny = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);

    if (deny >= 0 && write(deny, "deny", 4) != 4)
        return pw_err_errno(err, -errno, "sandbox: user namespace");
    for (size_t i = 0; i < PW_ARRAY_SIZE(maps); i++) {
        char text[32];
        int n = snprintf(text, sizeof(text), "%u %u 1\n", maps[i].id, maps[i].id);
        pw_fd fd = open(maps[i].path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, (size_t)n) != n)
            return pw_err_errno(err, -errno, "sandbox: %s", maps[i].path);
    }
    return 0;
}

int vn_sandbox_confine(uid_t uid, gid_t gid, bool vhost_net, struct pw_err *err)
{
    const uid_t own_uid = geteuid();
    const gid_t own_gid = getegid();
    struct rlimit zero = {0, 0};
    int rc = 0;

    if (geteuid() == 0) {
        if (unshare(NAMESPACES))
            return pw_err_errno(err, -errno, "sandbox: new namespaces");
        rc = empty_root(vhost_net, uid, gid, err);
        if (!rc)
            rc = drop_privileges(uid, gid, err);
    } else if (!unshare(CLONE_NEWUSER | NAMESPACES)) {
        rc = map_self(own_uid, own_gid, err);
        if (!rc)
            rc = empty_root(false, own_uid, own_gid, err);
        if (!rc)
            rc = drop_privileges(own_uid, own_gid, err);
    }
    if (rc)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || setrlimit(RLIMIT_CORE, &zero))
        return pw_err_errno(err, -errno, "sandbox: no new privileges");
    /* Nobody of the same user may read guest memory through us. Last: /proc/self closes. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return pw_err_errno(err, -errno, "sandbox: not dumpable");
    return 0;
}

/* ---- system calls ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "add this architecture's AUDIT_ARCH"
#endif

/* Without a look at their arguments. */
static const uint16_t allowed[] = {
    /* frames and notifications: the hot ones first */
    SYS_readv,
    SYS_writev,
    SYS_write,
    SYS_read,
    SYS_io_uring_enter,
    SYS_epoll_pwait,
    SYS_futex,
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_epoll_ctl,
    /* connections and messages */
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_accept4,
    SYS_connect,
    SYS_getsockopt,
    SYS_ppoll,
    SYS_close,
#ifdef SYS_poll
    SYS_poll,
#endif
    SYS_fcntl,
    SYS_fstat,
    SYS_fstatfs,
    SYS_newfstatat,
    /* guest memory and our own */
    SYS_munmap,
    SYS_madvise,
    SYS_brk,
    SYS_memfd_create,
    SYS_ftruncate,
    SYS_getrandom,
    /* signals (to nobody), threads, the end */
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_getpid,
    SYS_gettid,

    SYS_sched_yield,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
};

#define LD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define LD_ARG(n)                                                                                  \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (n)))
#define RET(v) BPF_STMT(BPF_RET | BPF_K, (v))
#define JEQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (t), (f))
#define JSET(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (k), (t), (f))

/* What may be done to a tap that is open, and to vhost-net. */
static const uint32_t ioctls[] = {TUNSETOFFLOAD, TUNSETQUEUE};
static const uint32_t vhost_ioctls[] = {
    VHOST_SET_OWNER,       VHOST_RESET_OWNER,    VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,
    VHOST_SET_LOG_BASE,    VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
    VHOST_SET_VRING_ADDR,  VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
    VHOST_NET_SET_BACKEND,
};

/* Allow where what was loaded last is one of `list`. */
#define ALLOW(list)                                                                                \
    for (size_t i = 0; i < PW_ARRAY_SIZE(list); i++) {                                             \
        prog[n++] = (struct sock_filter)JEQ((list)[i], 0, 1);                                      \
        prog[n++] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);                                    \
    }

int vn_sandbox_filter(bool vhost_net, struct pw_err *err)
{
    static const struct sock_filter head[] = {
        LD(arch),
        JEQ(ARCH, 1, 0),
        RET(SECCOMP_RET_KILL_PROCESS),
        LD(nr),
    };
    static const struct sock_filter tail[] = {
        /* memory that is never executable */
        JEQ(SYS_mmap, 1, 0),
        JEQ(SYS_mprotect, 0, 3),
        LD_ARG(2),
        JSET(PROT_EXEC, 6, 0),
        RET(SECCOMP_RET_ALLOW),
        /* unix sockets */
        JEQ(SYS_socket, 0, 3),
        LD_ARG(0),
        JEQ(AF_UNIX, 0, 2),
        RET(SECCOMP_RET_ALLOW),
        /* and some requests to devices */
        JEQ(SYS_ioctl, 1, 0),
        RET(SECCOMP_RET_KILL_PROCESS),
        LD_ARG(1),
    };
    struct sock_filter
        prog[PW_ARRAY_SIZE(head) + PW_ARRAY_SIZE(tail) + 1 +
             2 * (PW_ARRAY_SIZE(allowed) + PW_ARRAY_SIZE(ioctls) + PW_ARRAY_SIZE(vhost_ioctls))];
    size_t n = 0;

    for (size_t i = 0; i < PW_ARRAY_SIZE(head); i++)
        prog[n++] = head[i];
    ALLOW(allowed)
    for (size_t i = 0; i < PW_ARRAY_SIZE(tail); i++)
        prog[n++] = tail[i];
    ALLOW(ioctls)
    if (vhost_net)
        ALLOW(vhost_ioctls)
    prog[n++] = (struct sock_filter)RET(SECCOMP_RET_KILL_PROCESS);

    struct sock_fprog fp = {.len = (unsigned short)n, .filter = prog};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return pw_err_errno(err, -errno, "sandbox: no new privileges");
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &fp);
    if (rc)
        return pw_err_errno(err, rc < 0 ? -errno : -EBUSY, "sandbox: system call filter");
    return 0;
}
