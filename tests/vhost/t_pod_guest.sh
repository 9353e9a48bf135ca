#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # kernel, root: set by lib.sh
# pw-test: serial timeout=400
# Real guests (Debian's kernel in QEMU, no hardware help) as pods made by CNI ADD, on each kind that has
# one: they configure themselves, and reach and are reached by a container pod, each other, the node, the
# wire, a Service-like address; bulk transfer with checksum, offloads on and off; reboot.
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
# shellcheck source=tests/vhost/lib.sh
. "$TOP/tests/vhost/lib.sh"
need qemu-system-x86_64 cpio gzip sha256sum python3 nft
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
guest_image

# ---- the node: a wire with a host on it, a container pod, a Service-like address ----
node_up 1500
netns_up wire c v1 v2 v3 warm
ip link set wire0 netns wire
ip -n wire addr add 192.0.2.254/24 dev wire0
ip -n wire addr add 2001:db8:2::254/64 dev wire0 nodad
ip -n wire link set wire0 up
ip -n wire route add 10.1.0.0/24 via 192.0.2.1
ip -n wire -6 route add fd00:1::/64 via 2001:db8:2::1
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk c v1 v2 v3 | grep -v '^nft' >"$TMP/before"
must good "a container pod" "$(conf 1.1.0 '.device="veth"')" ADD c /run/netns/c eth0
c4=$(answer '.ips[0].address' | cut -d/ -f1) c6=$(answer '.ips[1].address' | cut -d/ -f1)
ip netns exec c python3 "$TOP/tests/vhost/guest_server.py" >"$TMP/server.log" 2>&1 &
cleanup kill $!
nft -f - <<EOF
table inet service {
    chain pre {
        type nat hook prerouting priority -100;
        ip daddr 10.96.0.1 tcp dport 80 dnat ip to $c4:7000
        ip6 daddr fd00:96::1 tcp dport 80 dnat ip6 to [$c6]:7000
    }
}
EOF

# ---- guests ----
declare -A PID IP4 IP6
boot() { # NAME NETNS|-
    local args run=()
    mapfile -t args < <(ctl vm args "$1" --vmm qemu | tr ' ' '\n')
    args=("${args[@]/#virtio-net-pci,/virtio-net-pci,romfile=,}")
    # The back-end shares the guest's memory.
    [[ ${args[*]} != *vhost-user* ]] ||
        args+=(-object "memory-backend-memfd,id=mem0,size=320M,share=on" -machine memory-backend=mem0)
    [ "$2" = - ] || run=(ip netns exec "$2")
    "${run[@]}" qemu-system-x86_64 -accel tcg -cpu max -smp 1 -nographic -nodefaults -serial "file:$TMP/$1.console" \
        -M q35 -m 320 -kernel "$kernel/vmlinuz" -initrd "$TMP/initrd" \
        -append "console=ttyS0 quiet panic=-1 mitigations=off podwire.autoconf" \
        -drive file="$root",if=virtio,format=raw,readonly=on \
        -drive file="$kernel/modules.img",if=virtio,format=raw,readonly=on "${args[@]}" \
        >"$TMP/$1.qemu" 2>&1 </dev/null &
    PID[$1]=$!
    cleanup kill $!
}
vm() { # NAME KIND NETNS: a pod with a guest
    must good "$2: ADD" "$(conf 1.1.0 ".device=\"$2\"")" ADD "$1" "/run/netns/$3" eth0
    IP4[$1]=$(answer '.ips[0].address' | cut -d/ -f1) IP6[$1]=$(answer '.ips[1].address' | cut -d/ -f1)
    [ "$2" = pod-tap ] && boot "$1" "$3" || boot "$1" -
}
serves() { (exec 3<>"/dev/tcp/${IP4[$1]}/7000") && (exec 3<>"/dev/tcp/${IP6[$1]}/7000"); }
must_serve() { # NAME TEXT
    if wait_for 120 serves "$1"; then
        diag "after $SECONDS s"
        tap_result 0 "$2"
    else
        diag "$(tail -n 30 "$TMP/$1.console" | tr -d '\r')" "$(cat "$TMP/$1.qemu")" "$(ctl endpoints "$1")"
        bail "$2"
    fi
}
ask() { # NAME REQUEST...
    exec 3<>"/dev/tcp/${IP4[$1]}/7000"
    echo "${*:2}" >&3
    cat <&3
    exec 3>&-
}
guest() { ask "$1" run "${@:2}"; }
export -f put get
from() { ip netns exec "$1" bash -c "${*:2}"; } # put and get in another namespace
fast() { ctl endpoints "$1" --json | jq ".$2.packets"; }
head -c 8000000 /dev/urandom >"$TMP/data"
head -c 1000000 "$TMP/data" >"$TMP/small"
sum=$(sha256sum <"$TMP/data" | cut -d' ' -f1) small=$(sha256sum <"$TMP/small" | cut -d' ' -f1)

vm vm1 tap v1
vm vm2 pod-tap v2
vm vm3 vhost-user v3
for v in vm1 vm2 vm3; do
    ip4=${IP4[$v]} ip6=${IP6[$v]}
    must_serve $v "$v: the guest configured itself, both families"
    is "$v: its addresses are its endpoint's alone" \
        "$(guest $v "ip -o addr show scope global dev eth0 | awk '{print \$4}'" | paste -sd' ')" "$ip4/24 $ip6/128"
    like "$v: its default routes" "$(guest $v ip route show default) $(guest $v ip -6 route show default)" \
        'via 10\.1\.0\.1 .*via fe80::1 '
    for to in "$c4" "$c6" 192.0.2.1 2001:db8:2::1 192.0.2.254 2001:db8:2::254; do
        like "$v: reaches $to" "$(guest $v "ping -q -c3 -W5 -i0.2 $to")" ' [123] received'
    done
    like "$v: a Service" "$(guest $v "bash -c 'exec 3<>/dev/tcp/10.96.0.1/80; echo run echo served >&3; cat <&3'")" served
    like "$v: a Service, IPv6" "$(guest $v "bash -c 'exec 3<>/dev/tcp/fd00:96::1/80; echo run echo served >&3; cat <&3'")" served
    before=$(fast $v fromPod)
    for off in on off; do
        guest $v ethtool -K eth0 tx $off tso $off gso $off gro $off >/dev/null
        is "$v: 8 MB from the container, offloads $off" "$(from c "put $ip4 $TMP/data")" "$sum"
        is "$v: 8 MB to the container, offloads $off" "$(from c "get $ip4 8000000")" same
        is "$v: IPv6 from the container, offloads $off" "$(from c "put $ip6 $TMP/small")" "$small"
        is "$v: IPv6 to the container, offloads $off" "$(from c "get $ip6 1000000")" same
    done
    guest $v ethtool -K eth0 tx on tso on gso on gro on >/dev/null
    ok "$v: by redirect" test "$(fast $v fromPod)" -gt $((before + 1000))
    is "$v: from the node" "$(put "$ip4" "$TMP/small")" "$small"
    is "$v: to the node, IPv6" "$(get "$ip6" 1000000)" same
    is "$v: from the wire" "$(from wire "put $ip4 $TMP/small")" "$small"
    is "$v: to the wire, IPv6" "$(from wire "get $ip6 1000000")" same
    is "$v: nothing was spoofed" "$(ctl endpoints $v --json | jq '[.reasons[].reason|select(startswith("SPOOF"))]|length')" 0
done
is_pair() { # NAME FROM TO: bulk between two guests
    is "$1" "$(guest "$2" "bash -c 'exec 3<>/dev/tcp/$3/7000; echo get 2000000 >&3; head -c 2000000 <&3 | sha256sum | cut -c1-64; cat <&3'" |
        sort -u | wc -l)" 1
}
is_pair "guest to guest, IPv4" vm1 "${IP4[vm2]}"
is_pair "guest to guest, IPv6" vm2 "${IP6[vm1]}"
is_pair "guest to guest, by rings" vm3 "${IP4[vm1]}"
is_pair "guest to guest, to rings, IPv6" vm2 "${IP6[vm3]}"

# The back-end of vm3 is killed while 32 MB go each way: its supervisor starts another, QEMU connects again.
worker() { pgrep -f "podwire-vhost .*$(ctl vm show vm3 --json | jq -r .socket)" | tail -n1; }
cat "$TMP/data" "$TMP/data" "$TMP/data" "$TMP/data" >"$TMP/big"
from c "put ${IP4[vm3]} $TMP/big" >"$TMP/put" &
put=$!
from c "get ${IP4[vm3]} 32000000" >"$TMP/get" &
get=$!
died=$(worker)
sleep 0.3
ok "vm3: its back-end is killed in mid transfer" sh -c "kill -0 $put && kill -0 $get && kill -KILL $died && kill -0 $put && kill -0 $get"
wait $put $get || true
isnt "vm3: another one serves" "$(worker)" "$died"
is "vm3: what it was sent" "$(cat "$TMP/put")" "$(sha256sum <"$TMP/big" | cut -d' ' -f1)"
is "vm3: what it sent" "$(cat "$TMP/get")" same

# A guest that reboots ends no connection.
exec 3<>"/dev/tcp/${IP4[vm1]}/7000"
echo reboot >&3
exec 3>&-
wait_for 20 sh -c "! ping -c1 -W1 ${IP4[vm1]}" >/dev/null 2>&1
must_serve vm1 "vm1: reboots and configures itself again"
is "vm1: 1 MB after its reboot" "$(from c "put ${IP4[vm1]} $TMP/small")" "$small"

for v in vm1 vm2 vm3; do
    kill "${PID[$v]}"
    wait "${PID[$v]}" || true
done
good "DEL of the guests' pods" "$(conf 1.1.0)" DEL vm1 /run/netns/v1 eth0
good "and of the other" "$(conf 1.1.0)" DEL vm2 /run/netns/v2 eth0
good "and of the third" "$(conf 1.1.0)" DEL vm3 /run/netns/v3 eth0
good "and of the container's" "$(conf 1.1.0)" DEL c /run/netns/c eth0
walk c v1 v2 v3 | grep -v '^nft' >"$TMP/after"
ok "nothing is left" diff "$TMP/before" "$TMP/after"
