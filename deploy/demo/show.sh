# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# How the demo speaks: a step has a title and a sentence or two, every command is shown before it is
# run, and every claim ends in a tick or a cross. Sourced by deploy/demo/run.
#
# `out` is a file of the caller's for a command's output.
#
#   title TEXT         the next step             say TEXT...       a sentence
#   run COMMAND        show the line, run it, show its output indented; stops the demo if it fails
#   quiet COMMAND      show the line and run it; its output only if it fails
#   claim TEXT COMMAND show the line, run it: a tick if it succeeds, else a cross and its output
#   fact TEXT CONDITION...   a tick if the condition (a command that is not shown) holds
#   verdict            the last line; fails if any claim did

# PODWIRE_COLOUR=always: also where the output goes through a pipe to a terminal.
if [ "${PODWIRE_COLOUR:-}" = always ] || { [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; }; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' cyan=$'\e[36m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' cyan='' plain=''
fi
steps=0 claims=0 broken=0
: "${out:?a file for the output of commands}"

title() {
    steps=$((steps + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$steps" "$1" "$plain"
}

say() { printf '%s\n' "$*" | fold -s -w 76 | sed 's/^/   /'; }

shown() { printf '   %s$%s %s%s%s\n' "$dim" "$plain" "$cyan" "${1//$'\n'/$'\n'     }" "$plain"; }

indented() { sed 's/^/     /'; }

run() {
    shown "$1"
    local rc=0
    eval "$1" >"$out" 2>&1 </dev/null || rc=$?
    indented <"$out"
    [ $rc = 0 ] || stop "that command failed with exit code $rc"
}

quiet() {
    shown "$1"
    eval "$1" >"$out" 2>&1 </dev/null && return
    indented <"$out"
    stop "that command failed"
}

tick() { printf '     %s✓%s %s\n' "$green" "$plain" "$1"; }
cross() {
    broken=$((broken + 1))
    printf '     %s✗ not so: %s%s\n' "$red" "$1" "$plain"
}

claim() {
    shown "$2"
    claims=$((claims + 1))
    if eval "$2" >"$out" 2>&1 </dev/null; then
        tick "$1"
    else
        cross "$1"
        indented <"$out"
    fi
}

fact() {
    local text=$1
    shift
    claims=$((claims + 1))
    if "$@" >"$out" 2>&1 </dev/null; then tick "$text"; else
        cross "$text"
        indented <"$out"
    fi
}

stop() {
    printf '\n%sThe demo stops here: %s.%s\n' "$red" "$1" "$plain"
    exit 1
}

verdict() {
    echo
    if [ "$broken" = 0 ]; then
        printf '%sAll %d claims held.%s\n' "$bold$green" "$claims" "$plain"
    else
        printf '%s%d of %d claims did not hold.%s\n' "$bold$red" "$broken" "$claims" "$plain"
        return 1
    fi
}
