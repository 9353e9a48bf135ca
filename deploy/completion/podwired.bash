# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash completion for podwired
_podwired() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    case $prev in
    --config | --kubeconfig | --token-file | --ca-file)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$cur"); return ;;
    --node-name) mapfile -t COMPREPLY < <(compgen -W "${HOSTNAME,,}" -- "$cur"); return ;;
    --server | --listen) return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "--config --node-name --kubeconfig --server --token-file --ca-file --listen
        --log-level --check-config --cleanup --help --version" -- "$cur")
}
complete -F _podwired podwired
