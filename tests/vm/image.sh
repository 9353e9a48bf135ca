# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a guest is made of, fetched or built once and kept in PODWIRE_CACHE. Sourced; every function
# prints a folder or file, or returns non-zero with the reason on stderr.
#
#   vm_kernel 6.1|6.12|newest|FILE  a folder with vmlinuz, version, initrd and modules.img; FILE is a
#                                Debian kernel package, or a vmlinuz with its modules in
#                                /lib/modules as installed
#   vm_root                      the guest's root file system (Debian 13, ext4)

. tests/lib/debs.sh

# Debian 13 on every host: one set of tools in the guests, new enough to name netkit devices.
VM_SUITE=trixie
vm_root_packages=(bash bpftool busybox-static containernetworking-plugins curl dhcpcd-base ethtool iperf3 iproute2
    iptables iputils-ping jq kmod libmicrohttpd12t64 nftables procps python3 socat sockperf strace tcpdump util-linux
    xz-utils)
# Needed before the root file system is there; whatever they depend on is added.
vm_boot_modules=(virtio_pci virtio_blk virtio_console ext4 overlay)

vm_root() {
    local key dir
    key=$(sha256sum <<<"$VM_SUITE ${vm_root_packages[*]} $(declare -f vm_make_root)")
    # A mirror may fail once in hundreds of packages.
    dir=$(debs_once "vm/root-${key:0:12}" vm_make_root) ||
        dir=$(debs_once "vm/root-${key:0:12}" vm_make_root) || return 1
    echo "$dir/root.img"
}

vm_make_root() { # DIR
    local include
    include=$(IFS=,; echo "${vm_root_packages[*]}")
    # Unpacked by hand, since mke2fs takes a folder; devices are devtmpfs's business.
    mmdebstrap --quiet --variant=minbase --include="$include" --skip=cleanup/apt \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -rf "$1"/var/cache/apt "$1"/var/lib/apt/lists' \
        "$VM_SUITE" "$1/root.tar" "$(debs_mirror)" || return 1
    mkdir "$1/root" && tar -xf "$1/root.tar" -C "$1/root" --exclude='./dev/*' || return 1
    mkdir -p "$1/root/lib/modules" "$1/root/mnt/tree"
    vm_image "$1/root.img" "$1/root" && rm -rf "$1/root" "$1/root.tar"
}

vm_image() { # IMAGE FOLDER: a read-only ext4 of just the size that is needed
    local kb
    kb=$(du -sk --apparent-size "$2" | cut -f1)
    rm -f "$1"
    mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -m 0 -N "$(($(find "$2" | wc -l) + 1000))" \
        -E root_owner=0:0,lazy_itable_init=0 -d "$2" "$1" "$((kb + kb / 4 + 16384))k" >/dev/null
}

vm_kernel() {
    case $1 in
    6.1) vm_debian_kernel "$1" bookworm ;; # without tcx
    6.12) vm_debian_kernel "$1" trixie ;;
    newest) vm_debian_kernel "$1" trixie-backports ;;
    *.deb)
        [ -f "$1" ] || { debs_say "no such file: $1"; return 1; }
        debs_once "vm/kernel-$(sha256sum <"$1" | cut -c1-12)" vm_make_kernel_deb "$(realpath "$1")" ;;
    *)
        [ -f "$1" ] || { debs_say "kernel '$1': neither 6.1, 6.12, newest nor a file"; return 1; }
        debs_once "vm/kernel-$(sha256sum <"$1" | cut -c1-12)" vm_make_kernel_file "$(realpath "$1")" ;;
    esac
}

vm_debian_kernel() { # NAME SUITE
    local made=$PODWIRE_CACHE/vm/kernel-$1 dir image
    # A kernel that is there is good for a week, so that a test run asks no mirror.
    if [ -n "$(find "$made/current" -mmin -10080 2>/dev/null)" ]; then
        cat "$made/current"
        return
    fi
    debs_locked "$2" debs_lists "$2" && image=$(debs_apt "$2" apt-cache depends linux-image-cloud-amd64 |
        sed -nE 's/.*Depends: (linux-image-[0-9].*)/\1/p' | head -n1) && [ -n "$image" ] ||
        { [ -e "$made/current" ] && cat "$made/current" && return
          debs_say "no kernel $1 in $2"; return 1; }
    dir=$(debs_once "vm/$image" vm_make_kernel_suite "$2" "$image") || return 1
    mkdir -p "$made" && echo "$dir" >"$made/current" && echo "$dir"
}

vm_make_kernel_suite() { # SUITE IMAGE DIR
    local version=${2#linux-image-} packages=("$2")
    # Newer packaging has the kernel and its modules in packages of their own.
    debs_apt "$1" apt-cache show "linux-binary-$version" >/dev/null 2>&1 &&
        packages=("linux-binary-$version" "linux-modules-$version")
    debs_unpack "$1" "$3/deb" "${packages[@]}" && vm_make_kernel "$3" "$3/deb"
}
vm_make_kernel_deb() { # FILE DIR
    dpkg-deb -x "$1" "$2/deb" && vm_make_kernel "$2" "$2/deb"
}
vm_make_kernel_file() { # VMLINUZ DIR
    local version
    version=$(file -bL "$1" | sed -nE 's/.*version ([^ ]+).*/\1/p')
    [ -n "$version" ] && [ -d "/lib/modules/$version" ] ||
        { debs_say "$1: no modules in /lib/modules/$version"; return 1; }
    mkdir -p "$2/deb/boot" "$2/deb/lib/modules"
    cp "$1" "$2/deb/boot/vmlinuz-$version" && cp -r "/lib/modules/$version" "$2/deb/lib/modules/" &&
        vm_make_kernel "$2" "$2/deb"
}

vm_make_kernel() { # DIR UNPACKED: kernel, module image and initramfs
    local dir=$1 deb=$2 kernel mods version m
    # Where kernel and modules lie has changed over the releases.
    kernel=$(find "$deb" -type f -name 'vmlinuz*' | head -n1)
    mods=$(find "$deb" -type d -path '*/lib/modules/*' -prune | head -n1)
    [ -n "$kernel" ] && [ -n "$mods" ] || { debs_say "no kernel or modules in the packages"; return 1; }
    version=$(basename "$mods")
    mkdir -p "$dir/all/lib/modules" "$dir/rd/bin" "$dir/rd/modules"
    mv "$kernel" "$dir/vmlinuz" && mv "$mods" "$dir/all/lib/modules/$version" || return 1
    echo "$version" >"$dir/version"
    depmod -b "$dir/all" "$version" || return 1
    cp "$(command -v busybox)" "$dir/rd/bin/busybox"
    for m in "${vm_boot_modules[@]}"; do
        modprobe -d "$dir/all" -S "$version" --show-depends "$m" 2>/dev/null
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r m; do
        case $m in
        *.xz) xz -dc "$m" ;;
        *.zst) zstd -qdc "$m" ;;
        *) cat "$m" ;;
        esac >"$dir/rd/modules/$(basename "${m%.ko*}").ko"
        echo "$(basename "${m%.ko*}").ko" >>"$dir/rd/modules/order"
    done
    [ -s "$dir/rd/modules/order" ] || touch "$dir/rd/modules/order"
    cp tests/vm/initrd.sh "$dir/rd/init"
    (cd "$dir/rd" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$dir/initrd" || return 1
    vm_image "$dir/modules.img" "$dir/all/lib/modules" && rm -rf "$dir/all" "$dir/rd" "$deb"
}
