#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: timeout=900
# clang and clang-tidy over every C file, with make's own flags; a file that passed is not looked at
# again until it, a header of it or the rules change.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"
need clang-tidy-19 jq

db=$TMP/compile_commands.json
# Named from here, so that another clone of the same text finds what has passed.
make -s BUILD="$(realpath -m --relative-to=. "$BUILD")" COMPDB="$db" compdb
version="$(clang-tidy-19 --version | grep version) $(sha256sum <.clang-tidy)"

tidy() { # FILE: nothing and success, or what is wrong
    local file=$1 command text
    command=$(jq -r --arg f "$file" '.[] | select(.file == $f) | .command' "$db")
    # The text with its comments (they may silence a check), its flags and the checks.
    text=$(eval "clang-19 ${command#* } -E -C -o -" 2>&1) || { echo "$text" | tail; return 1; }
    # The analyzer takes most of the time and is for the product; tests run under sanitizers.
    # It does not know cleanup attributes either, and takes what they free for leaked.
    local checks='-clang-analyzer-unix.Malloc,-clang-analyzer-unix.StdCLibraryFunctions' quiet=()
    case $file in
    tests/* | bench/*)
        checks='-clang-analyzer-*,-cert-env33-c,-cert-err34-c,-bugprone-suspicious-include'
        checks+=,-bugprone-suspicious-string-compare
        # gcc judges these: statement expressions in lists, format strings handed on.
        quiet=(--extra-arg=-Wno-unused-value --extra-arg=-Wno-format-nonliteral
            --extra-arg=-Wno-gnu-variable-sized-type-not-at-end) ;;
    esac
    # Fortified, open() of Debian 13 has other parameters than clang-tidy looks for.
    cached tidy "$version $command $checks $text" \
        clang-tidy-19 -p "$TMP" --quiet --checks="$checks" --extra-arg=-U_FORTIFY_SOURCE \
        "${quiet[@]}" "$file" 2>/dev/null
}
export -f tidy cached
export db version cache_dir TMP

# The QEMU plugin is built against headers of its own.
mapfile -t files < <(jq -r '.[].file' "$db" | grep -v '^bench/icount_plugin.c$')
ok "compile commands of ${#files[@]} files" test "${#files[@]}" -gt 0
find_all() { printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'tidy {}'; }
ok "clang-tidy finds nothing" find_all "${files[@]}"

# A sample for each family of checks that we rely on.
sample() { # NAME CHECK, C text on standard input
    cat >"$TMP/sample.c"
    like "bites: $1" "$(clang-tidy-19 --config-file=.clang-tidy --quiet "$TMP/sample.c" -- -std=gnu11 \
        -D_GNU_SOURCE -Wall -Wextra 2>/dev/null || true)" "$2"
}
sample "use after free" clang-analyzer-unix.Malloc <<'C'
#include <stdlib.h>
int f(void)
{
    int *p = malloc(4);
    if (!p)
        return 0;
    free(p);
    return *p;
}
C
sample "missing close-on-exec" android-cloexec-open <<'C'
#include <fcntl.h>
int f(void)
{
    return open("/", O_RDONLY);
}
C
sample "stray semicolon" bugprone-suspicious-semicolon <<'C'
int f(int x)
{
    if (x > 1);
        x++;
    return x;
}
C
sample "a warning of clang" clang-diagnostic-unused-variable <<'C'
void f(void)
{
    int x;
}
C
