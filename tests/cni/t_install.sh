#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is installed: the files, and no others; programs that need nothing of the distribution, not even
# a C library; a pod made by them in an empty root; unload and uninstall leave nothing.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need make chroot

root=$TMP/root
run_make() { make -s -C "$TOP" BUILD="$BUILD" DESTDIR="$root" "$@"; }
files() { (cd "$root" && find . -type f | sed 's/^\.//' | LC_ALL=C sort); }

# Not `install`: it would first look whether something is to be built.
ok "install" run_make -o all install
for f in /opt/cni/bin/podwire /opt/cni/bin/podwire-vhost /usr/local/bin/podwirectl /usr/local/share/podwire/10-podwire.conflist \
    /usr/local/share/man/man8/podwire.8 /usr/local/share/man/man8/podwirectl.8; do
    like "installs $f" "$(files)" "(^|
)$f(
|$)"
done
ok "once more, over itself" run_make -o all install
is "leaves no half of a file" "$(files | grep '\.new')" ""
for f in opt/cni/bin/podwire opt/cni/bin/podwire-vhost usr/local/bin/podwirectl; do
    is "${f##*/} wants no interpreter or library" \
        "$(readelf -lW "$root/$f" | grep -c INTERP) $(readelf -dW "$root/$f" | grep -c NEEDED)" "0 0"
done
ok "the example is a list of plugins" jq -e '.plugins[0].type == "podwire"' "$root/usr/local/share/podwire/10-podwire.conflist"

# A root with nothing in it but these programs and the kernel's file systems.
empty=$TMP/empty
mkdir -p "$empty"/{bin,proc,sys,run}
cp "$root/opt/cni/bin/podwire" "$root/usr/local/bin/podwirectl" "$empty/bin"
netns_up p1
node_up
for m in proc sys run; do mount --rbind /$m "$empty/$m"; done
cleanup umount -R -l "$empty/proc" "$empty/sys" "$empty/run"
inside() { # COMMAND
    env CNI_COMMAND="$1" CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/p1 CNI_IFNAME=eth0 CNI_PATH=/bin \
        chroot "$empty" /bin/podwire <<<"$(conf 1.1.0)"
}
footprint >"$TMP/before"
ok "podwirectl status in an empty root" chroot "$empty" /bin/podwirectl status
ok "STATUS" inside STATUS
ok "ADD" inside ADD
ok "the pod is reached" ping -c1 -W10 "$(ip -n p1 -j -4 addr show eth0 | jq -r '.[0].addr_info[0].local')"
is "podwirectl sees it" "$(chroot "$empty" /bin/podwirectl endpoints --json | jq -r '.[0].containerId')" c1
nok "unload refuses while it is there" chroot "$empty" /bin/podwirectl unload
ok "DEL" inside DEL
ok "unload" chroot "$empty" /bin/podwirectl unload
ok "nothing is left of pod and datapath" diff "$TMP/before" <(footprint)
is "no file either" "$(find /run/podwire /sys/fs/bpf/podwire 2>/dev/null)" ""

ok "uninstall" run_make uninstall
is "takes every file" "$(files)" ""
nok "and the folder of our own" test -e "$root/usr/local/share/podwire"
