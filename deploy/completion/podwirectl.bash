# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for podwirectl
_podwirectl() {
    local cur prev words cword
    if declare -F _init_completion >/dev/null; then
        _init_completion || return
    else
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi
    local commands="status endpoints drops path peers redirect load upgrade unload sweep vm version help"
    local command="" i
    for ((i = 1; i < cword; i++)); do
        [[ ${words[i]} == -* ]] || { command=${words[i]}; break; }
    done
    case $prev in
    --proto | -p) mapfile -t COMPREPLY < <(compgen -W "tcp udp icmp" -- "$cur"); return ;;
    --vmm) mapfile -t COMPREPLY < <(compgen -W "qemu cloud-hypervisor firecracker kata" -- "$cur"); return ;;
    --device) mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur"); return ;;
    --sport | --dport | --ttl | --size | --count | -n) return ;;
    esac
    local list="--json --help"
    case $command in
    "") list="$commands --json --help --version" ;;
    help) list=$commands ;;
    redirect) list="on off $list" ;;
    unload) list="--force $list" ;;
    drops) list="--follow --count $list" ;;
    endpoints) list="$(_podwirectl_pods) $list" ;;
    vm) list="show args restart $(_podwirectl_pods) --vmm $list" ;;
    path) list="$(_podwirectl_pods) host outside --proto --sport --dport --ttl --size --device $list" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$list" -- "$cur")
}

# Host ends of the pods, which need no right to be read.
_podwirectl_pods() {
    local d
    for d in /sys/class/net/pw-*; do
        [[ ! -e $d ]] || printf '%s ' "${d##*/}"
    done
}
complete -F _podwirectl podwirectl
