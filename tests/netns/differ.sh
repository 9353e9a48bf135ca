# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Packets with the same outcome however the node is switched (p_differ.c). Source after topo.sh.
#
#   differ ARGUMENTS <FLOWS    a check for each flow, named after $DEVICE; adds to $compared
compared=0
differ() {
    local line n
    "$BUILD/tests/netns/differ" quiet="${PW_QUIET:-25}" "$@" >"$TMP/differ" 2>"$TMP/differ.err" ||
        diag "$(cat "$TMP/differ.err")"
    while read -r line; do
        case $line in
        "ok "*) tap_result 0 "$DEVICE: ${line#ok }" ;;
        "FAIL "*) tap_result 1 "$DEVICE: ${line#FAIL }" ;;
        *) echo "$line" ;;
        esac
    done <"$TMP/differ"
    [ -s "$TMP/differ" ] || tap_result 1 "$DEVICE: packets were compared"
    n=$(sed -nE 's/^# ([0-9]+) packets, .*/\1/p' "$TMP/differ")
    compared=$((compared + ${n:-0}))
}
