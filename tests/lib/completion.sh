# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# bash's completion of our programs (deploy/completion). Source tap.sh first.
#
#   completes PROGRAM WORD...   what the last word is completed to, sorted, each with a space after it

completes() {
    . "$TOP/deploy/completion/$1.bash"
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    "_$1"
    printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}
