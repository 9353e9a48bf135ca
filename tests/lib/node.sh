#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run a command as if on a node of its own: private network, mount, pid and uts namespaces with a
# fresh bpffs and sysfs and empty /run, /etc/cni, /var/lib/cni, so that tests neither see each other
# nor the machine. All of it, processes left behind too, goes away with the command.
# usage: tests/lib/node.sh COMMAND [ARG...]
set -euo pipefail

if [ "${PODWIRE_NODE_INNER:-}" != 1 ]; then
    exec env PODWIRE_NODE_INNER=1 unshare --net --mount --uts --pid --fork --kill-child \
        --mount-proc --propagation private -- "$0" "$@"
fi
unset PODWIRE_NODE_INNER
hostname node-under-test
# A fresh sysfs shows this network namespace's devices; the control groups under it are kept, for
# container runtimes.
groups=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$groups" 2>/dev/null || true
mount -t sysfs sysfs /sys 2>/dev/null || true
mount --move "$groups" /sys/fs/cgroup 2>/dev/null || true
rmdir "$groups" 2>/dev/null || true
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /etc/cni /var/lib/cni
mount -t tmpfs -o mode=755 tmpfs /etc/cni
mount -t tmpfs -o mode=755 tmpfs /var/lib/cni
mount --make-shared /run
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 2>/dev/null || true
# Not exec: the first process of a pid namespace must collect orphans, and is spared the signals by
# which a test that aborts ends.
rc=0
"$@" || rc=$?
exit "$rc"
