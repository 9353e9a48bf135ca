#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# First process in the guest's root file system: a small but ordinary machine, then the command of
# tests/vm/run, then what it wrote to $OUT and its exit code back to the host, then power off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mkdir -p /run/netns /run/lock /var/tmp
ln -sf /proc/self/fd /dev/fd
hostname podwire-guest
ip link set lo up
# As on a node: what kube-proxy and container runtimes have loaded long before any pod starts.
modprobe -qa nf_conntrack nf_nat nf_tables nft_ct nft_nat nft_masq nft_redir nft_reject_inet nft_fib_inet \
    nft_chain_nat nft_compat ip_tables iptable_filter iptable_nat xt_conntrack xt_MASQUERADE xt_comment \
    xt_mark xt_addrtype xt_nat xt_statistic veth tun vhost_net vxlan sch_fq

port() { # NAME: its device
    local p
    for p in /sys/class/virtio-ports/*; do
        [ "$(cat "$p/name" 2>/dev/null)" = "$1" ] && { echo "/dev/${p##*/}"; return; }
    done
}
out_port=$(port podwire.out) back_port=$(port podwire.back)
cd /mnt/tree || exit 1
. tests/vm/command
export OUT=/run/out
mkdir -p "$OUT"
bash -c "$VM_COMMAND" </dev/null >"$out_port" 2>&1
rc=$?
mkdir /run/back
mv "$OUT" /run/back/out
echo "$rc" >/run/back/rc
tar -C /run/back -c . >"$back_port"
sync
poweroff -f 2>/dev/null || /bin/busybox poweroff -f
echo o >/proc/sysrq-trigger
