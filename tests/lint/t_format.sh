#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-format: what `make format` would change.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"
need clang-format-19

mapfile -t files < <(c_files)
# Only the places, not clang-format's long quotations.
format() { clang-format-19 --dry-run -Werror "$@" 2>&1 | grep -E '^[^ ]+:[0-9]+:[0-9]+: error' | sort -u; }
is "${#files[@]} C files are formatted (else: make format)" "$(format "${files[@]}" || true)" ""

printf 'int  x;\n' >"$TMP/bad.c"
isnt "a badly formatted file is found" "$(cp .clang-format "$TMP/" && format "$TMP/bad.c" || true)" ""
