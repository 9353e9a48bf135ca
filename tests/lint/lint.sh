# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the lint tests share. Source it after tap.sh.

cd "$TOP" || exit 1

# The tree's own files, one a line: what git knows and what is new and not ignored. An unpacked
# release has no git and then is itself the list.
tree_files() {
    if [ -e .git ]; then
        git ls-files -co --exclude-standard --deduplicate
    else
        find . -type f -not -path './build*' -printf '%P\n'
    fi | LC_ALL=C sort | while read -r f; do [ -f "$f" ] && echo "$f"; done
}
c_files() { tree_files | grep -E '\.[ch]$'; }

# cached KIND KEY-TEXT COMMAND...: run COMMAND unless it already passed with the same KEY-TEXT.
# The key must hold all that the outcome depends on. Only passes are remembered.
cache_dir=${PODWIRE_CACHE:-/var/cache/podwire}
mkdir -p "$cache_dir/lint" 2>/dev/null && [ -w "$cache_dir/lint" ] || cache_dir=$BUILD/cache
cached() {
    local kind=$1 key mark
    key=$(sha256sum <<<"$2")
    mark=$cache_dir/lint/$kind-${key%% *}
    shift 2
    [ -e "$mark" ] && return 0
    "$@" || return
    mkdir -p "${mark%/*}" && : >"$mark"
}
