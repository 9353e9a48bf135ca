# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# TAP for tests written in bash. Source it first:
#
#     . "$(dirname "$0")/../lib/tap.sh"
#     ok "pod answers" ip netns exec pod1 ping -c1 -W2 10.0.0.1
#     is "one endpoint" "$(podwirectl endpoints --json | jq length)" 1
#
# The plan is printed at the end of the script; a script that dies on the way (errexit is on)
# prints none, and tests/run fails it. A failed check does not end the script, so that it does not
# hide the next; put `must` before one without which going on makes no sense.
#
#   ok NAME COMMAND...      the command succeeds (its output is shown when it does not)
#   nok NAME COMMAND...     the command runs and fails (not: is missing, dies by a signal)
#   is NAME GOT WANT        same string
#   isnt NAME GOT OTHER     another string
#   like NAME TEXT REGEX    bash's =~
#   unlike NAME TEXT REGEX
#   must CHECK...           end the file if this check fails: must ok "pod is up" ...
#   skip WHY NAME           one test left out      skip_all WHY   the whole file, before any check
#   bail TEXT               nothing further can be tested
#   diag TEXT               a line of explanation
#   cleanup COMMAND...      run at exit, last one first, whatever happens
#   need COMMAND...         skip_all unless these programs are there
#   wait_for SECONDS COMMAND...   retry until it succeeds; for waiting, never for asserting times
#
# TOP is the tree's root, BUILD the build folder (both absolute), TMP a folder of the test's own.
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(cd "$TOP" && realpath -m "${BUILD:-build}")
TMP=$(mktemp -d "${TMPDIR:-/tmp}/pw-test.XXXXXX")
PATH=$PATH:/usr/sbin:/sbin
export TOP BUILD TMP PATH

tap_run=0 tap_failed=0 tap_over=0
tap_cleanups=()

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

tap_result() { # held(0|1...) NAME
    tap_run=$((tap_run + 1))
    if [ "$1" = 0 ]; then
        printf 'ok %d - %s\n' "$tap_run" "$2"
        return
    fi
    tap_failed=$((tap_failed + 1))
    printf 'not ok %d - %s\n' "$tap_run" "$2"
    local i=1
    while [ "${BASH_SOURCE[i]:-}" = "${BASH_SOURCE[0]}" ]; do i=$((i + 1)); done
    diag "at ${BASH_SOURCE[i]:-?}:${BASH_LINENO[i - 1]:-?}"
}

must() {
    local before=$tap_failed
    "$@"
    [ "$tap_failed" = "$before" ] || bail "cannot go on without: ${2:-$1}"
}

ok() {
    local name=$1 rc=0
    shift
    "$@" >"$TMP/.out" 2>&1 </dev/null || rc=$?
    tap_result "$rc" "$name"
    if [ "$rc" != 0 ]; then
        diag "exit code $rc of: $*"
        sed 's/^/#   /' "$TMP/.out"
    fi
}

nok() {
    local name=$1 rc=0
    shift
    "$@" >"$TMP/.out" 2>&1 </dev/null || rc=$?
    if [ "$rc" -gt 0 ] && [ "$rc" -lt 126 ]; then
        tap_result 0 "$name"
        return 0
    fi
    tap_result 1 "$name"
    diag "exit code $rc (a plain failure was wanted) of: $*"
    sed 's/^/#   /' "$TMP/.out"
}

is() {
    if [ "$2" = "$3" ]; then
        tap_result 0 "$1"
        return
    fi
    tap_result 1 "$1"
    diag "got:  $2"
    diag "want: $3"
}

isnt() {
    if [ "$2" != "$3" ]; then
        tap_result 0 "$1"
        return
    fi
    tap_result 1 "$1"
    diag "got what was not wanted: $2"
}

like() {
    if [[ $2 =~ $3 ]]; then
        tap_result 0 "$1"
        return
    fi
    tap_result 1 "$1"
    diag "got:         $2"
    diag "want a match: $3"
}

unlike() {
    if [[ ! $2 =~ $3 ]]; then
        tap_result 0 "$1"
        return
    fi
    tap_result 1 "$1"
    diag "got:            $2"
    diag "want no match of: $3"
}

skip() {
    tap_run=$((tap_run + 1))
    printf 'ok %d - %s # SKIP %s\n' "$tap_run" "$2" "$1"
}

skip_all() {
    [ "$tap_run" = 0 ] || bail "skip_all after the first check"
    printf '1..0 # SKIP %s\n' "$*"
    tap_over=1
    exit 0
}

bail() {
    printf 'Bail out! %s\n' "$*"
    tap_over=1
    exit 1
}

need() {
    local c
    for c in "$@"; do
        command -v "$c" >/dev/null || skip_all "no program $c"
    done
}

cleanup() { tap_cleanups+=("$(printf '%q ' "$@")"); }

wait_for() {
    local end=$((SECONDS + $1 * ${TEST_SLOW:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

tap_exit() {
    local rc=$? i
    set +e
    for ((i = ${#tap_cleanups[@]} - 1; i >= 0; i--)); do
        eval "${tap_cleanups[i]}" >/dev/null 2>&1 </dev/null
    done
    rm -rf "$TMP"
    if [ "$tap_over" = 0 ]; then
        if [ "$rc" = 0 ]; then
            printf '1..%d\n' "$tap_run"
        else
            diag "the script ended early, exit code $rc"
        fi
    fi
    [ "$rc" = 0 ] && [ "$tap_failed" -gt 0 ] && rc=1
    exit "$rc"
}
trap tap_exit EXIT
trap 'diag "failed at ${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND"' ERR
# A time-out by tests/run still runs the clean-ups.
trap 'exit 143' TERM
trap 'exit 130' INT
