#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pw-test: timeout=600
# cppcheck over the product's C files.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"
need cppcheck

# missingInclude: system headers are not looked at. uninitvar and nullPointer are clang's business:
# cppcheck does not know cleanup attributes and statement expressions, and Debian 13's takes mmap()
# to fail with NULL (nullPointer*OutOfMemory); so are leaks (resourceLeak, memleak). readdirCalled:
# readdir_r is the one not to be used. va_end_missing: a false find where va_list goes through a
# function.
check() {
    cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr \
        --error-exitcode=1 -j "$(nproc)" -I. --suppress=missingInclude --suppress=missingIncludeSystem \
        --suppress=uninitvar --suppress=nullPointer --suppress=nullPointerOutOfMemory \
        --suppress=nullPointerArithmeticOutOfMemory --suppress=unusedStructMember \
        --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches \
        --suppress=resourceLeak --suppress=memleak --suppress=readdirCalled \
        --library=posix --library=gnu -D__x86_64__ -D__linux__ "$@"
}
mapfile -t files < <(c_files | grep -E '\.c$' | grep -vE '\.bpf\.c$|^tests/')
key="$(cppcheck --version) $(declare -f check) $(c_files | xargs cat | sha256sum)"
ok "cppcheck finds nothing in ${#files[@]} files" cached cppcheck "$key" check "${files[@]}"

cat >"$TMP/bad.c" <<'C'
#include <stdlib.h>
void f(int n)
{
    char a[10];
    a[10] = (char)n;
}
C
nok "bites: array index out of bounds" check "$TMP/bad.c"
