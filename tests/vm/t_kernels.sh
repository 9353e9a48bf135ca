#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: serial
# pw-test: timeout=5400
# The tests of the datapath and of the plugin once more on Debian's kernels, an older and the newest
# one: there, and only there, netkit is to be had. Which: the files that say `pw-test: vm`. One guest
# for each kernel, side by side, with no more processors than the machine has for it: emulated ones that
# wait for one another cost more than they bring. Results are those of tests/run in the guest, named by
# kernel. PODWIRE_KERNELS="6.12 newest FILE..." chooses the kernels.
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP" || exit 1
need qemu-system-x86_64

read -ra kernels <<<"${PODWIRE_KERNELS:-6.12 newest}"
cpus=$(($(nproc) / ${#kernels[@]}))
cpus=$((cpus < 1 ? 1 : cpus > 2 ? 2 : cpus))
mapfile -t files < <(grep -lE 'pw-test: vm( |$)' tests/*/t_* | grep -v '^tests/vm/' | LC_ALL=C sort)

guest() { # NUMBER: run the files on that kernel; exit code in a file, since one waits for all
    local rc=0
    TEST_SLOW=6 VM_ENV=TEST_SLOW tests/vm/run --kernel "${kernels[$1]}" --cpus $cpus --timeout 5000 -- \
        tests/run -j$cpus --tap "${files[@]}" >"$TMP/$1.log" 2>"$TMP/$1.err" || rc=$?
    echo $rc >"$TMP/$1.rc"
}
# What is missing is fetched once, not by each at the same time.
for k in "${kernels[@]}"; do tests/vm/run --kernel "$k" --prepare; done
pids=()
for i in "${!kernels[@]}"; do
    guest "$i" &
    pids+=($!)
done
cleanup kill "${pids[@]}"
wait "${pids[@]}"

for i in "${!kernels[@]}"; do
    kernel=${kernels[i]} rc=$(cat "$TMP/$i.rc") told=0
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
    done <"$TMP/$i.log"
    # A guest that died half way has told of some tests only; its exit code tells the rest.
    held=0; [ "$told" -gt 0 ] && [ "$rc" -le 1 ] || held=1
    tap_result $held "$kernel: ${#files[@]} files run in the guest"
    [ "$rc" -le 1 ] || sed 's/^/# /' "$TMP/$i.err"
done
