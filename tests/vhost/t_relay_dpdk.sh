#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: serial timeout=400
# DPDK's virtio-user, a front-end that is not ours, on the relay to /dev/vhost-net (tests/vhost/relay_guest.sh),
# in a guest of group vm: this machine's testpmd is brought along, since the guests' image has none.
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP" || exit 1
need qemu-system-x86_64 dpdk-testpmd
tests/vm/run --prepare >"$TMP/why" 2>&1 || skip_all "no guest: $(tail -n1 "$TMP/why")"

# The C library is the guest's, which is as new as any host's. Drivers by the names that programs are linked
# with: the same one under two is loaded twice, and finds no device.
mkdir "$TMP/dpdk"
pmd=$(realpath "$(command -v dpdk-testpmd)")
drivers=$(find /usr/lib -path '*/dpdk/pmds-*' -name librte_net_virtio.so | head -n1)
drivers=${drivers%/*}
cp "$pmd" "$TMP/dpdk/testpmd"
cp -L "$drivers"/librte_{net_virtio,mempool_ring}.so "$TMP/dpdk/"
ldd "$pmd" "$TMP/dpdk"/*.so | awk '/=> \// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|libpthread|librt)\.so' | xargs -I{} cp -L {} "$TMP/dpdk/"

rc=0
tests/vm/run --timeout 300 --add "$TMP/dpdk" -- tests/lib/node.sh tests/vhost/relay_guest.sh >"$TMP/guest" 2>"$TMP/err" || rc=$?
while IFS= read -r line; do
    case $line in
    "ok "*) tap_result 0 "${line#*- }" ;;
    "not ok "*) tap_result 1 "${line#*- }" ;;
    '# '*) echo "$line" ;;
    esac
done <"$TMP/guest"
is "the guest's test ends well" "$rc" 0
[ $rc = 0 ] || diag "$(cat "$TMP/err")"
