#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every key that a configuration is read for stands in its manual page and in the table of the guide, and
# so does every option of a program in its manual page.
# Seen to fail: with a key taken out of each page and table, and an option out of a page.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/lint/lint.sh"

without() { # TEXT WORD...: those of the words that it lacks
    local text=$1 w
    shift
    for w in "$@"; do
        grep -qE -- "(^|[^A-Za-z-])$w([^A-Za-z-]|\$)" <<<"$text" || echo "$w"
    done
}
page() { sed 's/\\-/-/g; s/\\f[A-Z]/ /g' "docs/man/$1"; }
knows() { # WHERE TEXT WORD...
    local where=$1 text=$2
    shift 2
    ok "$where: there are words to look for" test $# -gt 5
    is "$where has all $#" "$(without "$text" "$@")" ""
}

# Keys of the plugin's entry: read from the root; what the specification says of them is no matter of ours.
mapfile -t keys < <(grep -hoE '\((c|conf)->root, "[A-Za-z]+"|read_ranges\(c, "[A-Za-z]+"' cni/conf.c cni/lookup.c |
    sed 's/.*"\(.*\)"/\1/' | grep -vxE 'cniVersion|name' | sort -u)
knows "podwire(8)" "$(page podwire.8)" "${keys[@]}"
knows "operate.md" "$(grep '^|' docs/operate.md)" "${keys[@]}"

mapfile -t keys < <(sed -nE 's/^    \{"([A-Za-z]+)", (read|pw_key)_.*/\1/p' agent/conf.c | sort -u)
knows "podwired(8)" "$(page podwired.8)" "${keys[@]}"
knows "configure.md" "$(grep '^|' docs/configure.md)" "${keys[@]}"

mapfile -t keys < <(sed -nE 's/^([A-Za-z]+):.*/\1/p' deploy/helm/podwire/values.yaml)
knows "the chart in configure.md" "$(sed -n '/^## The chart/,$p' docs/configure.md)" "${keys[@]}"

for p in podwirectl.8 podwired.8 podwire-vhost.8 netbench.1; do
    [ -x "$BUILD/${p%.*}" ] || { skip "not built" "$p"; continue; }
    mapfile -t keys < <({
        "$BUILD/${p%.*}" --help
        [ $p != podwirectl.8 ] || for c in drops path unload vm; do "$BUILD/podwirectl" $c --help; done
    } | grep -oE -- '--[a-z][a-z-]+' | sort -u)
    knows "$p" "$(page $p)" "${keys[@]}"
done
