#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every shell script passes shellcheck (settings: .shellcheckrc).
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"
need shellcheck

scripts=()
while read -r f; do
    case $f in
    *.c | *.h | *.md | *.txt) continue ;;
    esac
    IFS= read -r first <"$f" || true
    if [[ $f == *.sh || $first =~ ^\#!.*[/\ ](ba|da)?sh($|\ ) || $first == "# shellcheck shell="* ]]; then
        scripts+=("$f")
    fi
done < <(tree_files) 2>/dev/null
ok "there are scripts" test "${#scripts[@]}" -gt 5

check() { printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -n 8 shellcheck --severity=info --format=gcc; }
ok "shellcheck finds nothing in ${#scripts[@]} scripts" check "${scripts[@]}"

printf '#!/bin/sh\nrm -rf $1/x\n' >"$TMP/bad.sh"
nok "bites: unquoted variable" check "$TMP/bad.sh"
