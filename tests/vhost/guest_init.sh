#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# First process of a guest: Debian's root file system (vda) and its kernel's modules (vdb) under a
# writable layer, then the server below, in the one network the guest has. That is t_guest.sh's, or with
# podwire.autoconf on the kernel's command line what the guest is told when it asks (t_pod_guest.sh).
b=/bin/busybox
$b mkdir -p /proc /sys /dev /lower /over /new
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r m; do $b insmod "/modules/$m" 2>/dev/null; done </modules/order
i=0
while [ ! -b /dev/vdb ] && [ $i -lt 200 ]; do $b usleep 20000; i=$((i + 1)); done
$b mount -t ext4 -o ro /dev/vda /lower
$b mount -t tmpfs tmpfs /over
$b mkdir -p /over/up /over/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/over/up,workdir=/over/work over /new
$b mount -t ext4 -o ro /dev/vdb /new/lib/modules
$b cp /guest_server.py /new/
for d in proc sys dev; do $b mount --move /$d /new/$d; done
exec $b chroot /new /bin/bash -c '
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    mount -t tmpfs tmpfs /run
    modprobe virtio_net
    for i in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.1; done
    sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
    ip link set lo up
    if grep -q podwire.autoconf /proc/cmdline; then
        mkdir -p /var/lib/dhcpcd
        ip link set eth0 up
        dhcpcd -q -b -A -f /dev/null -c /bin/true eth0
    else
        ip addr add 10.8.0.2/24 dev eth0
        ip -6 addr add fd08::2/64 dev eth0 nodad
        ip link set eth0 up
    fi
    echo "GUEST up" >/dev/console
    exec python3 /guest_server.py'
