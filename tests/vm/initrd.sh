#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# First process of a guest: mounts the images (vda root, vdb modules, vdc the tree, all read-only
# under one writable layer) and goes on to the tree's own guest.sh.
b=/bin/busybox
$b mkdir -p /proc /sys /dev /lower /tree /over /new
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r m; do $b insmod "/modules/$m" 2>/dev/null; done </modules/order
i=0
while [ ! -b /dev/vdc ] && [ $i -lt 100 ]; do $b usleep 20000; i=$((i + 1)); done
fail() { echo "podwire-guest: $1" >/dev/console; $b poweroff -f; }
$b mount -t ext4 -o ro /dev/vda /lower || fail "no root image"
$b mount -t tmpfs -o mode=755 tmpfs /over
$b mkdir -p /over/root/up /over/root/work /over/tree/up /over/tree/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/over/root/up,workdir=/over/root/work over /new ||
    fail "no overlay"
$b mount -t ext4 -o ro /dev/vdb /new/lib/modules || fail "no module image"
$b mount -t ext4 -o ro /dev/vdc /tree || fail "no tree image"
$b mkdir -p /new/mnt/tree
$b mount -t overlay -o lowerdir=/tree,upperdir=/over/tree/up,workdir=/over/tree/work over /new/mnt/tree ||
    fail "no overlay for the tree"
for d in proc sys dev; do $b mount --move /$d /new/$d; done
exec $b switch_root /new /bin/bash /mnt/tree/tests/vm/guest.sh
