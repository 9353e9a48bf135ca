#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: serial
# pw-test: timeout=5400
# The tests of the datapath once more on Debian's kernels, an older and the newest one: there, and
# only there, netkit is to be had. Which: the files that say `pw-test: vm`; with PODWIRE_VM_MORE=1 those
# that say `vm-more` too, which takes an hour. Results are those of tests/run in the guest, named by
# kernel. PODWIRE_KERNELS="6.12 newest FILE..." chooses the kernels.
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP" || exit 1
need qemu-system-x86_64

# Those that take longest first, so that at the end none is waited for alone.
weight() { # FILE: the seconds it says, as tests/run reads them
    sed -nE 's/.*pw-test:.*\btimeout=([0-9]+).*/\1/p;$a\120' "$1" | head -n1
}
which='vm( |$)'
[ -z "${PODWIRE_VM_MORE:-}" ] || which='vm(-more)?( |$)'
mapfile -t files < <(grep -lE "pw-test: $which" tests/*/t_* | grep -v '^tests/vm/' |
    while read -r f; do echo "$(weight "$f") $f"; done | LC_ALL=C sort -k1,1nr -k2 | cut -d' ' -f2)
for kernel in ${PODWIRE_KERNELS:-6.12 newest}; do
    rc=0 told=0
    TEST_SLOW=6 VM_ENV=TEST_SLOW tests/vm/run --kernel "$kernel" --timeout 2500 -- \
        tests/run -j2 --tap "${files[@]}" >"$TMP/$kernel.log" 2>"$TMP/$kernel.err" || rc=$?
    while IFS= read -r line; do
        case $line in
        "ok "* | "not ok "*)
            told=$((told + 1)) name=${line#*- }
            if [[ $name == *"# SKIP"* ]]; then
                skip "${name##*# SKIP }" "$kernel: ${name%% # SKIP*}"
            else
                held=0; [[ $line == ok* ]] || held=1; tap_result $held "$kernel: $name"
            fi ;;
        '# '*) echo "$line" ;;
        esac
    done <"$TMP/$kernel.log"
    # A guest that died half way has told of some tests only; its exit code tells the rest.
    held=0; [ "$told" -gt 0 ] && [ "$rc" -le 1 ] || held=1
    tap_result $held "$kernel: ${#files[@]} files run in the guest"
    [ "$rc" -le 1 ] || sed 's/^/# /' "$TMP/$kernel.err"
done
