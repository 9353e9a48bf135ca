#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired's command line: its help, its completion and its manual page know the same options; what is no
# command line is refused.
# Seen to fail: with an option less in the completion.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lib/completion.sh"
[ -x "$BUILD/podwired" ] || skip_all "$BUILD/podwired is not built"

options=$("$BUILD/podwired" --help | grep -oE -- '--[a-z-]+' | sort -u)
is "completion knows the options" "$(completes podwired '')" "$(tr '\n' ' ' <<<"$options")"
is "and the manual page" "$(sed -n '/^.SH OPTIONS/,/^.SH CONF/p' "$TOP/docs/man/podwired.8" | sed 's/[\\]//g' | grep -oE -- '--[a-z-]+' | sort -u)" "$options"
is "of a beginning" "$(completes podwired --k)" "--kubeconfig "
is "of values" "$(completes podwired --log-level w)" "warn "
touch "$TMP/agent.json"
is "of files" "$(completes podwired --config "$TMP/ag")" "$TMP/agent.json "
for o in $options; do
    rc=0
    "$BUILD/podwired" "$o" >"$TMP/out" 2>&1 </dev/null || rc=$?
    case $o in
    --help | --version) is "$o" $rc 0 ;;
    --check-config | --cleanup) is "$o without a configuration" $rc 1 ;;
    *) is "$o without its value" $rc 2 ;;
    esac
done
for bad in --nosuch word --log-level=loud; do
    rc=0
    "$BUILD/podwired" "$bad" >"$TMP/out" 2>&1 || rc=$?
    is "'$bad' is refused" $rc 2
done
