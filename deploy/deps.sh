#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Install the Debian packages that a step needs and this machine lacks.
# usage: deploy/deps.sh build|check|kubernetes|vm|demo|bench...   (prints nothing when all is there)
# The one place that knows package names. Debian 12 takes libbpf, libelf, bpftool and the kernel
# headers from backports: its own are older than tcx and netkit.
set -euo pipefail

build_pkgs=(make gcc libc6-dev clang-19 llvm-19 bpftool libbpf-dev libelf-dev zlib1g-dev libzstd-dev
    libjansson-dev libcurl4-openssl-dev libmicrohttpd-dev libyaml-dev linux-libc-dev pkg-config
    ca-certificates)
check_pkgs=(mount clang-format-19 clang-tidy-19 libclang-rt-19-dev cppcheck shellcheck iproute2 nftables
    iptables jq procps util-linux containernetworking-plugins curl protobuf-compiler
    iputils-ping ethtool strace python3 openssl isc-dhcp-client dhcpcd-base)
vm_pkgs=(xz-utils zstd qemu-system-x86 mmdebstrap e2fsprogs kmod cpio busybox-static file)
# DPDK as a foreign vhost-user front-end; its drivers are added below.
check_pkgs+=(dpdk-dev)
# The browser in which the page of netbench is looked at.
check_pkgs+=(chromium)
demo_pkgs=(mount iproute2 nftables iptables jq procps util-linux iputils-ping iperf3
    containernetworking-plugins)
bench_pkgs=(iperf3 sockperf)
# Of building Kubernetes, and its cluster's certificates.
kubernetes_pkgs=(rsync patch openssl)
# Packages that Debian 12 must take from its backports.
backports=" bpftool libbpf-dev libelf-dev linux-libc-dev qemu-system-x86 "

want=()
for step in "$@"; do
    case $step in
    build) want+=("${build_pkgs[@]}") ;;
    check) want+=("${build_pkgs[@]}" "${check_pkgs[@]}" "${vm_pkgs[@]}" "${demo_pkgs[@]}" "${bench_pkgs[@]}") ;;
    kubernetes) want+=("${kubernetes_pkgs[@]}") ;;
    vm) want+=("${vm_pkgs[@]}") ;;
    demo) want+=("${build_pkgs[@]}" "${demo_pkgs[@]}") ;;
    bench) want+=("${build_pkgs[@]}" "${demo_pkgs[@]}" "${bench_pkgs[@]}") ;;
    *) echo "deps.sh: unknown step '$step' (build, check, kubernetes, vm, demo, bench)" >&2; exit 2 ;;
    esac
done

# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
case $codename in
bookworm | trixie) ;;
*)
    # Elsewhere we cannot know the package names: trust what is there, the build says what is not.
    exit 0 ;;
esac

# DPDK's drivers carry its ABI version in their names.
for step in "$@"; do
    [ "$step" = check ] || continue
    abi=23
    [ "$codename" = bookworm ] || abi=25
    want+=("librte-net-virtio$abi" "librte-net-vhost$abi" "librte-mempool-ring$abi")
done

have() { [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }
new_enough() { # the version of Debian 12 itself is too old for these
    [ "$codename" != bookworm ] && return 0
    case $1 in
    bpftool) dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "$1")" ge 7.4 ;;
    libbpf-dev) dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "$1")" ge 1:1.3 ;;
    libelf-dev) dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "$1")" ge 0.190 ;;
    qemu-system-x86) dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "$1")" ge 1:10 ;;
    linux-libc-dev) dpkg --compare-versions "$(dpkg-query -W -f='${Version}' "$1")" ge 6.12 ;;
    esac
}

missing=() missing_bp=()
for p in "${want[@]}"; do
    if have "$p" && { [[ $backports != *" $p "* ]] || new_enough "$p"; }; then continue; fi
    if [ "$codename" = bookworm ] && [[ $backports == *" $p "* ]]; then
        missing_bp+=("$p")
    else
        missing+=("$p")
    fi
done
[ ${#missing[@]} -eq 0 ] && [ ${#missing_bp[@]} -eq 0 ] && exit 0

[ "$(id -u)" = 0 ] || {
    echo "deps.sh: missing packages: ${missing[*]} ${missing_bp[*]} (run as root to install them)" >&2
    exit 1
}
echo "installing: ${missing[*]} ${missing_bp[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt_get() { apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -qq "$@"; }
if [ ${#missing_bp[@]} -gt 0 ] && ! apt-cache madison bpftool 2>/dev/null | grep -q bookworm-backports; then
    cat >/etc/apt/sources.list.d/podwire-backports.sources <<EOF
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
fi
apt_get update
[ ${#missing_bp[@]} -eq 0 ] || apt_get install -y --no-install-recommends -t bookworm-backports "${missing_bp[@]}" >/dev/null
[ ${#missing[@]} -eq 0 ] || apt_get install -y --no-install-recommends "${missing[@]}" >/dev/null
