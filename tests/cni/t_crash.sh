#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The plugin killed at each of its system calls, by strace: after ADD killed there, DEL or GC leaves
# nothing; after DEL killed there, DEL does. And each system call of ADD failing: ADD then undoes
# what it did, or succeeds all the same.
# In the guests, with netkit pods, at every 20th call: the rest of the plugin is the same there.
# pw-test: vm
# pw-test: timeout=900 serial
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
need strace

WIDTH=${CRASH_WIDTH:-16} # pods at once between two looks
STEP=${CRASH_STEP:-1}    # only every so many calls
[ -z "${PODWIRE_VM:-}" ] || STEP=${CRASH_STEP:-20}
node_up 1500
pods=()
for ((i = 0; i < WIDTH; i++)); do pods+=("p$i"); done
netns_up "${pods[@]}"
for p in "${pods[@]}"; do
    conf 1.1.0 "${CRASH_CONF:-.}" >"$TMP/conf"
    request ADD "$p" "/run/netns/$p" eth0 <"$TMP/conf" || bail "ADD: $(cat "$TMP/out")"
done
for p in "${pods[@]}"; do request DEL "$p" "/run/netns/$p" eth0 <"$TMP/conf" || bail "DEL"; done
walk "${pods[@]}" >"$TMP/before"
# What the next request would write over must be gone before that; the rest may wait for the walk.
files() { find /run/podwire /sys/fs/bpf/podwire ! -name 'node.[0-9]*' ! -path '*/ipam/*/used-*' | LC_ALL=C sort; }
files >"$TMP/files"

# An ADD looks at the whole node when the last look is some time ago: each one here is told to, so
# that all make the same calls.
look() { "$BUILD/podwirectl" redirect on >/dev/null || bail "redirect on"; }

# Bash would tell of each kill.
traced() { run_traced "$@" 2>/dev/null; }
run_traced() { # STRACE-OPTIONS -- COMMAND ID
    local opts=()
    while [ "$1" != -- ]; do opts+=("$1"); shift; done
    # The plugin's own exit code; 137 when it was killed.
    CNI_COMMAND=$2 CNI_CONTAINERID=$3 CNI_NETNS=/run/netns/$3 CNI_IFNAME=eth0 \
        strace -qq -o "$TMP/strace.$3" "${opts[@]}" "$PODWIRE" <"$TMP/conf" >"$TMP/out.$3" 2>&1
}

# Every system call once it has read its request, as NAME NUMBER: the number counts calls of that
# name from the start. A wait for the kernel's word (poll, and what it then receives) goes round now
# more, now fewer times, and does nothing in between: its first round stands for the rest, so that
# each point is reached in each run.
points() { # COMMAND ID
    look
    traced -- "$1" "$2" || bail "$1: $(cat "$TMP/out.$2")"
    sed -nE 's/^([a-z0-9_]+)\(.*/\1/p' "$TMP/strace.$2" | awk '
        { n[$1]++ }
        $1 == "read" { seen = 1 }
        $1 == "poll" || ($1 == "recvfrom" && round) { if (++round > 2) next }
        $1 != "poll" && $1 != "recvfrom" { round = 0 }
        seen && $1 != "exit_group" { print $1, n[$1] }' | sed "${CRASH_FROM:+1,/^$CRASH_FROM\$/d}"
}

# Calls that change nothing outside the process: to be killed there is to be killed at the next one.
lasting() { grep -vE '^(close|setsockopt|mmap|munmap|brk|lseek) ' "$1"; }

# Whether a failed ADD said so, or it was the answer itself that could not be written.
told() { # ID
    jq -es 'length == 1 and .[0].code > 0' "$TMP/out.$1" >/dev/null ||
        { [ ! -s "$TMP/out.$1" ] && grep -q '^write(1, .*INJECTED' "$TMP/strace.$1"; }
}

attempt() { # ID MODE CALL NUMBER
    look
    case $2 in
    add-*) traced --inject="$3:signal=KILL:when=$4" -- ADD "$1" ;;
    del) traced -- ADD "$1" || bail "ADD: $(cat "$TMP/out.$1")"
        traced --inject="$3:signal=KILL:when=$4" -- DEL "$1" ;;
    fail) traced --inject="$3:error=EIO:when=$4" -- ADD "$1" ;;
    esac
}

# Runs through the points in batches of one for each pod; MODE says what happens at a point. Of those
# that are left out each mode leaves out others.
offset=0
batches() { # NAME POINTS-FILE MODE
    local name=$1 file=$2 mode=$3 first=1 call when rc n=0 i p try died=0 failed=0 passed=0 before=${tap_failed:-0}
    local -a list
    mapfile -t list < <(awk -v step="$STEP" -v at=$((offset * STEP / 4)) 'NR % step == at % step' "$file")
    offset=$((offset + 1))
    while [ $n -lt ${#list[@]} ]; do
        for ((i = 0; i < WIDTH && n < ${#list[@]}; i++, n++)); do
            p=${pods[i]}
            call=${list[n]% *} when=${list[n]#* }
            # Once in a while a call depends on another node of this machine: on a knob that it has borrowed.
            for try in 1 2 3 4 5; do
                rc=0
                attempt "$p" "$mode" "$call" "$when" || rc=$?
                [ $rc = 0 ] && [ "$mode" != fail ] && [ $try -lt 5 ] || break
                request DEL "$p" "" eth0 <"$TMP/conf" || bail "DEL: $(cat "$TMP/out")"
            done
            case $rc in
            0) passed=$((passed + 1))
                [ "$mode" = fail ] || diag "$name: $call $when was not reached" ;;
            137 | 134) died=$((died + 1)) ;;
            *) failed=$((failed + 1))
                [ "$mode" = fail ] || diag "$name: $call $when: $rc: $(cat "$TMP/out.$p")"
                told "$p" || { tap_result 1 "$name: $call $when ends in an error in JSON"; diag "$rc: $(cat "$TMP/out.$p")"; } ;;
            esac
            # What came to nothing must have been undone without any DEL.
            [ "$mode" != fail ] || [ $rc = 1 ] || request DEL "$p" "" eth0 <"$TMP/conf" || true
            case $mode in
            add-del | del) request DEL "$p" "" eth0 <"$TMP/conf" ||
                { tap_result 1 "$name: DEL after $call $when"; diag "$(cat "$TMP/out")"; }
                diff "$TMP/files" <(files) >"$TMP/diff" ||
                    { tap_result 1 "$name: no file is left after $call $when"; diag "$(cat "$TMP/diff")"; } ;;
            esac
        done
        [ "$mode" != add-gc ] || request GC "" "" "" <"$TMP/conf" ||
            { tap_result 1 "$name: GC"; diag "$(cat "$TMP/out")"; }
        walk "${pods[@]}" >"$TMP/after"
        if ! diff "$TMP/before" "$TMP/after" >"$TMP/diff"; then
            tap_result 1 "$name: nothing is left after ${list[first - 1]} to ${list[n - 1]}"
            diag "$(head -n 30 "$TMP/diff")"
            # On with a clean node, so that one fault does not show as many.
            request GC "" "" "" <"$TMP/conf" || true
            "$BUILD/podwirectl" sweep >/dev/null || true
            walk "${pods[@]}" >"$TMP/before"
        fi
        first=$((n + 1))
    done
    [ "${tap_failed:-0}" != "$before" ] || tap_result 0 "$name: $n points, nothing is left after any"
    diag "$name: $died died, $failed failed, $passed went through"
    case $mode in
    fail) ok "$name: some fail" test $failed -gt $((20 / STEP)) ;;
    *) is "$name: all of them die" $died $n ;;
    esac
}

points ADD p0 >"$TMP/add"
lasting "$TMP/add" >"$TMP/add-lasting"
points DEL p0 >"$TMP/del"
batches "ADD killed, then DEL" "$TMP/add-lasting" add-del
if [ -n "${CRASH_FROM:-}" ]; then # up to there it is the same for all kinds
    batches "ADD with a failing call" "$TMP/add-lasting" fail
    exit 0
fi
lasting "$TMP/del" >"$TMP/del-lasting"
batches "ADD killed, then GC" "$TMP/add-lasting" add-gc
batches "DEL killed, then DEL" "$TMP/del-lasting" del
# Not close: one that fails has closed all the same, strace's has not, and whoever then waits for
# the lock of a file waits for itself.
grep -v '^close ' "$TMP/add" >"$TMP/add-failing"
batches "ADD with a failing call" "$TMP/add-failing" fail
