# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Call CNI plugins as a runtime does: a list's plugins one after the other, prevResult handed on,
# runtimeConfig only to those that declare the capability. Source it after tap.sh.
#
#   cni_add  LIST ID NETNS IFNAME    prints the result; kept for DEL and CHECK
#   cni_del  LIST ID NETNS IFNAME    last plugin first, with the kept result
#   cni_check LIST ID NETNS IFNAME
# LIST is a file with a conflist. Plugins are found in $CNI_PATH (default: ours, then Debian's).
# CNI_RUNTIME (JSON object) holds what a runtime offers, e.g. {"portMappings": [...]}.
CNI_PATH=${CNI_PATH:-$BUILD:/usr/lib/cni:/opt/cni/bin}
CNI_RUNTIME=${CNI_RUNTIME:-"{}"}

cni_find() { # TYPE: path of the plugin
    local d
    local IFS=:
    for d in $CNI_PATH; do
        [ -x "$d/$1" ] && { echo "$d/$1"; return; }
    done
    echo "no CNI plugin '$1' in $CNI_PATH" >&2
    return 1
}

cni_plugin() { # COMMAND TYPE ID NETNS IFNAME <CONF
    local path
    path=$(cni_find "$2") || return
    CNI_COMMAND=$1 CNI_CONTAINERID=$3 CNI_NETNS=$4 CNI_IFNAME=$5 CNI_PATH=$CNI_PATH \
        CNI_ARGS=${CNI_ARGS:-} "$path"
}

cni_conf_of() { # LIST INDEX PREV-RESULT|null: what the plugin gets on stdin
    jq -c --argjson i "$2" --argjson prev "$3" --argjson rt "$CNI_RUNTIME" '
        . as $l | .plugins[$i]
        | ([(.capabilities // {}) | to_entries[] | select(.value) | .key]) as $caps
        | ([$rt | to_entries[] | select(.key | IN($caps[]))] | from_entries) as $rc
        | . + {cniVersion: $l.cniVersion, name: $l.name}
        | if $prev != null then . + {prevResult: $prev} else . end
        | if ($rc | length) > 0 then . + {runtimeConfig: $rc} else . end' "$1"
}

cni_add() {
    local list=$1 id=$2 netns=$3 ifname=$4 prev=null types t i=0
    types=$(jq -r '.plugins[].type' "$list") || return
    for t in $types; do
        prev=$(cni_conf_of "$list" $i "$prev" | cni_plugin ADD "$t" "$id" "$netns" "$ifname") || {
            printf '%s\n' "$prev"
            return 1
        }
        i=$((i + 1))
    done
    printf '%s\n' "$prev" | tee "$TMP/cni-$id-$ifname.json"
}

cni_again() { # COMMAND first|last LIST ID NETNS IFNAME
    local command=$1 order=$2 list=$3 id=$4 netns=$5 ifname=$6 prev=null rc=0 n i
    local -a types
    mapfile -t types < <(jq -r '.plugins[].type' "$list")
    [ ! -s "$TMP/cni-$id-$ifname.json" ] || prev=$(cat "$TMP/cni-$id-$ifname.json")
    n=${#types[@]}
    for ((i = 0; i < n; i++)); do
        local at=$i
        [ "$order" = first ] || at=$((n - 1 - i))
        cni_conf_of "$list" "$at" "$prev" |
            cni_plugin "$command" "${types[at]}" "$id" "$netns" "$ifname" || rc=1
    done
    return $rc
}

cni_check() { cni_again CHECK first "$@"; }
cni_del() {
    cni_again DEL last "$@" || return
    rm -f "$TMP/cni-$2-$4.json"
}
