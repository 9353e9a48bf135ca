# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Packages of any Debian release, unpacked beside the machine's own and never installed on it.
# Sourced by scripts that need a program or a kernel of a certain release.
#
#   debs_unpack SUITE DIR PACKAGE...   unpack binary packages into DIR (nothing else of theirs is run)
#   debs_source SUITE DIR SOURCE       unpack a source package's upstream tree into DIR, without
#                                      Debian's patches
#   debs_patched SUITE DIR SOURCE      the same with Debian's patches
#   debs_once NAME COMMAND...          run `COMMAND... DIR` once and keep what it made; prints the
#                                      folder, which later calls find ready
#   debs_have NAME                     print that folder, or say why there is none: for tests, whose
#                                      nodes reach no mirror
#
# SUITE is bookworm, trixie, sid, bookworm-backports ... Each has apt lists of its own, signatures are
# checked with Debian's keyring, and what was fetched is kept in PODWIRE_CACHE (/var/cache/podwire).
# Every function returns non-zero with the reason on stderr.

PODWIRE_CACHE=${PODWIRE_CACHE:-/var/cache/podwire}

debs_say() { printf 'debs: %s\n' "$*" >&2; }

debs_mirror() { # the mirror that the machine itself uses
    local m
    m=$(sed -nE 's/^URIs: *(\S+debian)\/? *$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n1)
    [ -n "$m" ] || m=$(sed -nE 's/^deb (\[[^]]*\] )?(\S+debian)\/? .*/\2/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list 2>/dev/null | head -n1)
    echo "${m:-http://deb.debian.org/debian}"
}

# SUITE PROGRAM ARG...: apt with that suite's lists and no package installed. A mirror that stands
# still serves tests as well as a fresh one; what it says is signed all the same.
debs_apt() {
    local suite=$1 prog=$2 d=$PODWIRE_CACHE/apt/$1
    shift 2
    "$prog" -q -o Dir::State::Lists="$d/lists" -o Dir::Cache="$d/cache" -o Dir::State::status=/dev/null \
        -o Dir::Etc::sourcelist="$d/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o Acquire::Languages=none -o Acquire::Retries=3 \
        -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root "$@"
}

debs_lists() { # SUITE [now], debs_locked: fetch the suite's lists when they are missing or older than a day
    local d=$PODWIRE_CACHE/apt/$1 key=/usr/share/keyrings/debian-archive-keyring.gpg m
    mkdir -p "$d/lists/partial" "$d/cache/archives/partial"
    [ "${2:-}" != now ] && [ -n "$(find "$d/fresh" -mmin -1440 2>/dev/null)" ] && return 0
    m=$(debs_mirror)
    printf '%s [signed-by=%s] %s %s main\n' deb "$key" "$m" "$1" deb-src "$key" "$m" "$1" >"$d/sources.list"
    debs_apt "$1" apt-get -o APT::Update::Error-Mode=any update >"$d/log" 2>&1 ||
        { debs_say "no package lists of $1: $(grep -m1 -E '^[EW]:' "$d/log" || tail -n1 "$d/log")"; return 1; }
    touch "$d/fresh"
}

debs_locked() { # SUITE COMMAND...: a suite's lists have one user at a time, else apt-get gives up
    mkdir -p "$PODWIRE_CACHE/apt/$1"
    (flock 8 && "${@:2}") 8>"$PODWIRE_CACHE/apt/$1/lock"
}

# SUITE DIR VERB PACKAGE...: apt-get VERB in DIR, once more with fresh lists if that fails.
debs_get() { debs_locked "$1" debs_get_alone "$@"; }
debs_get_alone() {
    local suite=$1 dir=$2 log=$PODWIRE_CACHE/apt/$1/log try
    shift 2
    debs_lists "$suite" || return 1
    mkdir -p "$dir"
    for try in old now; do
        # A mirror drops a package before lists that name it are a day old.
        [ $try = old ] || debs_lists "$suite" now || return 1
        (cd "$dir" && debs_apt "$suite" apt-get "$@") >"$log" 2>&1 && return 0
    done
    debs_say "cannot have ${*: -1} of $suite: $(grep -m1 '^E:' "$log" || tail -n1 "$log")"
    return 1
}

debs_unpack() {
    local suite=$1 dir=$2 tmp f
    shift 2
    mkdir -p "$dir"
    tmp=$(mktemp -d "$dir/.debs.XXXXXX") || return 1
    debs_get "$suite" "$tmp" download "$@" || { rm -rf "$tmp"; return 1; }
    for f in "$tmp"/*.deb; do
        dpkg-deb -x "$f" "$dir" || return 1
    done
    rm -rf "$tmp"
}

debs_source() {
    local suite=$1 dir=$2 tmp
    mkdir -p "$dir"
    tmp=$(mktemp -d "$dir/.debs.XXXXXX") || return 1
    # The tar alone: a moving suite's lists often name a .dsc that its mirrors have dropped.
    debs_get "$suite" "$tmp" source --download-only --tar-only "$3" || { rm -rf "$tmp"; return 1; }
    tar -xf "$(ls "$tmp"/*.orig.tar.*[^c])" -C "$dir" --strip-components=1 || return 1
    rm -rf "$tmp"
}

debs_patched() {
    local dir=$2 tmp p
    mkdir -p "$dir"
    tmp=$(mktemp -d "$dir/.debs.XXXXXX") || return 1
    debs_get "$1" "$tmp" source --download-only "$3" || { rm -rf "$tmp"; return 1; }
    tar -xf "$(ls "$tmp"/*.orig.tar.*[^c])" -C "$dir" --strip-components=1 || return 1
    tar -xf "$(ls "$tmp"/*.debian.tar.*)" -C "$dir" || return 1
    while read -r p; do
        patch -d "$dir" -p1 -s <"$dir/debian/patches/$p" || return 1
    done < <(grep -v '^#' "$dir/debian/patches/series" | sed 's/ .*//' | grep .)
    rm -rf "$tmp"
}

debs_once() {
    local dir=$PODWIRE_CACHE/$1
    shift
    mkdir -p "$PODWIRE_CACHE" "$(dirname "$dir")"
    # Two that need the same thing may start side by side.
    (
        flock 9
        [ -e "$dir/.complete" ] && exit 0
        rm -rf "$dir"
        mkdir -p "$dir"
        "$@" "$dir" 2>&1 && touch "$dir/.complete"
    ) 9>"$dir.lock" >"$dir.log" || { tail -n1 "$dir.log" >&2; return 1; }
    echo "$dir"
}

debs_have() {
    local dir=$PODWIRE_CACHE/$1
    [ ! -e "$dir/.complete" ] || { echo "$dir"; return; }
    { tail -n1 "$dir.log" 2>/dev/null || true; } | grep . >&2 || echo "not fetched" >&2
    return 1
}
