// SPDX-License-Identifier: Apache-2.0
/* The system call filter: what a back-end that was taken over could still ask the kernel for. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tap.h"
#include "vmm-net/sandbox.h"

/* How a child ends that makes this call under the filter: 0, or the signal that killed it. */
static bool vhost_net;
static int try(long nr, long a, long b, long c, long d, long e)
{
    pid_t pid = fork();

    if (!pid) {
        if (vn_sandbox_filter(vhost_net, NULL))
            _exit(99);
        syscall(nr, a, b, c, d, e, 0);
        syscall(SYS_exit_group, 0);
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

#define DENIED(name, ...) is_int(try(__VA_ARGS__), SIGSYS, "denied: " name)
#define ALLOWED(name, ...) is_int(try(__VA_ARGS__), 0, "allowed: " name)

int main(void)
{
    static char path[] = "/etc/passwd";
    const long p = (long)path;

    DENIED("openat", SYS_openat, AT_FDCWD, p, O_RDONLY, 0, 0);
    DENIED("open_tree", SYS_open_tree, AT_FDCWD, p, 0, 0, 0);
    DENIED("execve", SYS_execve, p, 0, 0, 0, 0);
    DENIED("a new process", SYS_clone, SIGCHLD, 0, 0, 0, 0);
    DENIED("clone3", SYS_clone3, 0, 0, 0, 0, 0);
    DENIED("ptrace", SYS_ptrace, 0, 0, 0, 0, 0);
    DENIED("process_vm_readv", SYS_process_vm_readv, 1, 0, 0, 0, 0);
    DENIED("kill", SYS_kill, getppid(), 0, 0, 0, 0);
    DENIED("tgkill", SYS_tgkill, getppid(), getppid(), 0, 0, 0);
    DENIED("unshare", SYS_unshare, 0, 0, 0, 0, 0);
    DENIED("setns", SYS_setns, -1, 0, 0, 0, 0);
    DENIED("mount", SYS_mount, p, p, p, 0, 0);
    DENIED("chdir", SYS_chdir, p, 0, 0, 0, 0);
    DENIED("fchdir", SYS_fchdir, 0, 0, 0, 0, 0);
    DENIED("unlinkat", SYS_unlinkat, AT_FDCWD, p, 0, 0, 0);
    DENIED("bpf", SYS_bpf, 0, 0, 0, 0, 0);
    DENIED("io_uring_setup", SYS_io_uring_setup, 1, 0, 0, 0, 0);
    DENIED("io_uring_register", SYS_io_uring_register, 0, 0, 0, 0, 0);
    DENIED("prctl", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    DENIED("setuid", SYS_setuid, 0, 0, 0, 0, 0);
    DENIED("an internet socket", SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0);
    DENIED("a netlink socket", SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0, 0);
    DENIED("a packet socket", SYS_socket, AF_PACKET, SOCK_RAW, htons(3), 0, 0);
    DENIED("executable memory", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC,
           MAP_PRIVATE | MAP_ANONYMOUS, -1);
    DENIED("memory made executable", SYS_mprotect, p & ~4095L, 4096, PROT_READ | PROT_EXEC, 0, 0);
    DENIED("another tap", SYS_ioctl, 0, TUNSETIFF, 0, 0, 0);
    DENIED("the tap made permanent", SYS_ioctl, 0, TUNSETPERSIST, 1, 0, 0);
    DENIED("another program on the tap", SYS_ioctl, 0, TUNSETSTEERINGEBPF, 0, 0, 0);
    DENIED("a terminal's input", SYS_ioctl, 0, 0x5412 /* TIOCSTI */, p, 0, 0);

    ALLOWED("a unix socket", SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, 0);
    ALLOWED("memory", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    ALLOWED("the tap's offloads", SYS_ioctl, 0, TUNSETOFFLOAD, 0, 0, 0);
    ALLOWED("the tap's queue switch", SYS_ioctl, 0, TUNSETQUEUE, p, 0, 0);
    ALLOWED("memfd", SYS_memfd_create, p, 0, 0, 0, 0);

    DENIED("rings to the kernel", SYS_ioctl, 0, VHOST_SET_VRING_ADDR, p, 0, 0);
    vhost_net = true;
    ALLOWED("rings to the kernel, when asked for", SYS_ioctl, 0, VHOST_SET_VRING_ADDR, p, 0, 0);
    ALLOWED("the tap with them", SYS_ioctl, 0, VHOST_NET_SET_BACKEND, p, 0, 0);
    DENIED("other requests to it", SYS_ioctl, 0, VHOST_SET_LOG_FD, p, 0, 0);
    DENIED("another tap, still", SYS_ioctl, 0, TUNSETIFF, 0, 0, 0);
    return tap_done();
}
