# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The loader's calls without a CNI plugin: source it after tap.sh, on a node of its own.
#
#   uplink_up [NAME [NUMBER]]   a device with a default route (172.16.NUMBER.0/24)
#   dev_add NAME                a veth pair NAME, NAMEp
#   dp ARG...                   dptool for network "pods", native 10.0.0.0/8, fd00::/8
#   ctl ARG...                  podwirectl
#   of JQ [ARG...]              jq on `podwirectl ARG... --json` (status if no ARG)
#   pins                        names of all pins, one a line
DPTOOL=$BUILD/tests/netns/dptool
dp() { "$DPTOOL" -N pods -n 10.0.0.0/8 -n fd00::/8 -p 10.1.0.0/24 -p fd00:1::/64 "$@"; }
ctl() { "$BUILD/podwirectl" "$@"; }
of() {
    local query=$1
    shift
    [ $# -gt 0 ] || set -- status
    ctl "$@" --json | jq -r "$query"
}
pins() { (cd /sys/fs/bpf/podwire 2>/dev/null && find . ! -type d | sort) || true; }

uplink_up() {
    local name=${1:-up0} n=${2:-1}
    ip link add "$name" type veth peer name "x$n"
    ip link set "x$n" up
    ip link set "$name" up
    ip addr add "172.16.$n.1/24" dev "$name"
    ip route add default via "172.16.$n.254" metric "$n"
}

dev_add() {
    ip link add "$1" type veth peer name "$1p"
}
