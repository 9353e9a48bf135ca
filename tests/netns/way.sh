# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Which way datagrams of one flow take: counted at devices' hooks and queues (path_check.bpf.c) and in
# netfilter. Source after topo.sh; with WAY_NODES="a b", after cluster.sh, in netfilter of these nodes.
#
#   watch_rules         netfilter's counters, once
#   way NAME FROM TO DST4 DST6 "PLACE=PACKETS..."   a check; both families' datagrams, counted together
#       PLACE: pre, forward, post (with WAY_NODES: a.pre ...), queue, in:NS:IF, out:NS:IF
#       SIZE: the largest datagram
N=16 PORT=4455

watch_rules() {
    local node
    for node in ${WAY_NODES:-''}; do
        ${node:+on "$node"} nft -f - <<EOR
table inet pathcheck {
    counter pre { }
    counter forward { }
    counter post { }
    chain pre { type filter hook prerouting priority -350; udp dport $PORT counter name pre; }
    chain forward { type filter hook forward priority -350; udp dport $PORT counter name forward; }
    chain post { type filter hook postrouting priority -350; udp dport $PORT counter name post; }
}
EOR
    done
}

watched() { # lines "PLACE PACKETS" since the last call
    local node
    for node in ${WAY_NODES:-''}; do
        ${node:+on "$node"} nft reset counters table inet pathcheck |
            awk -v node="${node:+$node.}" '$1 == "counter" { name = $2 } $1 == "packets" { print node name, $2 }'
    done
}

way() {
    local name=$1 from=$2 to=$3 dst4=$4 dst6=$5 want=$6 w place key value got=''
    local -a places=()
    local -A seen=()
    for w in $want; do
        place=${w%=*}
        case $place in in:* | out:*) places+=("${place/:/=}") ;; queue) places+=(queue) ;; esac
    done
    watched >/dev/null
    if ! "$BUILD/tests/netns/pathcheck" port=$PORT "${places[@]}" -- "$PWT" >"$TMP/way" 2>"$TMP/way.err" <<EOS; then
udp x4 from=$from to=$to dst=$dst4 port=$PORT amount=$((N / 2)) size=${SIZE:-1000}
udp x6 from=$from to=$to dst=$dst6 port=$PORT amount=$((N / 2)) size=${SIZE:-1000}
EOS
        tap_result 1 "$name"
        diag "$(cat "$TMP/way" "$TMP/way.err")"
        return
    fi
    while read -r key value; do seen[${key/=/:}]=$value; done <"$TMP/way"
    while read -r key value; do seen[$key]=$value; done < <(watched)
    for w in $want; do got+="${w%=*}=${seen[${w%=*}]:-none} "; done
    is "$name" "${got% }" "$want"
}
