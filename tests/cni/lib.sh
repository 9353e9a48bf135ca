# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the plugin share: a node with an uplink, and single requests as a runtime sends
# them. Source tests/lib/tap.sh first.
CNI_PATH=${CNI_PATH:-$BUILD:/usr/lib/cni:/opt/cni/bin}
. "$TOP/tests/lib/walk.sh"
need ip jq bpftool
PODWIRE=${PODWIRE:-$BUILD/podwire}
[ -x "$PODWIRE" ] || skip_all "$PODWIRE is not built"
export CNI_PATH

node_up() { # [MTU]: an uplink with a default route of each family
    ip link add up0 mtu "${1:-1500}" type veth peer name wire0 mtu "${1:-1500}"
    ip addr add 192.0.2.1/24 dev up0
    ip addr add 2001:db8:2::1/64 dev up0 nodad
    ip link set up0 up
    ip link set wire0 up
    ip route add default via 192.0.2.254
    ip -6 route add default via 2001:db8:2::254
}

# A pod's worth of namespaces; IPv6's own addresses would come and go while we look.
netns_up() { # NAME...
    local n
    for n in "$@"; do
        ip netns add "$n"
        ip netns exec "$n" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    done
}

# The plain configuration, changed by a jq filter.
conf() { # VERSION [JQ]
    jq -nc --arg v "$1" '{cniVersion: $v, name: "net", type: "podwire",
        ipam: {type: "podwire", ranges: [[{subnet: "10.1.0.0/24"}], [{subnet: "fd00:1::/64"}]],
               routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}]}} | '"${2:-.}"
}

# One request with stdin from a file; the answer is in $TMP/out, its exit code returned.
request() { # COMMAND ID NETNS IFNAME [VAR=VALUE...] <CONF
    local command=$1 id=$2 netns=$3 ifname=$4
    shift 4
    env CNI_COMMAND="$command" CNI_CONTAINERID="$id" CNI_NETNS="$netns" CNI_IFNAME="$ifname" "$@" \
        "$PODWIRE" >"$TMP/out" 2>"$TMP/err"
}

# A request as a check: `good NAME CONF COMMAND ...` succeeds, `bad NAME CODE CONF COMMAND ...` fails
# with that code.
good() { # NAME CONF COMMAND ID NETNS IFNAME [VAR=VALUE...]
    local name=$1 conf=$2 rc=0
    shift 2
    request "$@" <<<"$conf" || rc=$?
    tap_result $rc "$name"
    [ $rc = 0 ] || diag "$(cat "$TMP/out" "$TMP/err")"
}

bad() { # NAME CODE CONF COMMAND ID NETNS IFNAME [VAR=VALUE...]
    local name=$1 code=$2 conf=$3 rc=0
    shift 3
    request "$@" <<<"$conf" || rc=$?
    if [ $rc = 1 ] && [ "$(jq -r .code "$TMP/out" 2>/dev/null)" = "$code" ]; then
        tap_result 0 "$name"
    else
        tap_result 1 "$name"
        diag "exit code $rc, want an error with code $code: $(cat "$TMP/out" "$TMP/err")"
    fi
}

answer() { jq -r "$1" "$TMP/out"; }              # JQ
pod() { ip netns exec "$@"; }                    # NETNS COMMAND...
ctl() { "$BUILD/podwirectl" "$@"; }
# POD REASON: how many of the pod's packets were dropped or left to the stack for it
dropped() { ctl endpoints "$1" --json | jq "[.reasons[]|select(.reason==\"$2\")|.packets]|add // 0"; }
pod_link() { ip -n "$1" -j link show "$2" | jq -r ".[0].$3"; } # NETNS IFNAME KEY

# vmconf.StaticNetworkConfFrom: exactly one interface in the sandbox that the container's id names; exactly
# one other of that name, whose sandbox is the namespace to enter; exactly one address of the former;
# the MTU read from the tap; then "ip=" of that address, its gateway and its mask.
static_conf() { # RESULT ID: "TAP NETNS MAC ADDRESS GATEWAY", or the SDK's complaint
    jq -r --arg id "$2" '
        [.interfaces[] | select(.sandbox == $id)] as $vm |
        if ($vm | length) != 1 then "expected 1 interface in sandbox" else
        [.interfaces[] | select(.sandbox != $id and .name == $vm[0].name)] as $tap |
        if ($tap | length) != 1 then "expected 1 interface with name" else
        (.interfaces | map(.sandbox == $id) | index(true)) as $i |
        [.ips[] | select(.interface == $i)] as $ip |
        if ($ip | length) != 1 then "expected to find 1 IP" else
        "\($tap[0].name) \($tap[0].sandbox) \($vm[0].mac) \($ip[0].address) \($ip[0].gateway)" end end end' "$1"
}
