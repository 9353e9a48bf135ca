#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend: set by lib.sh
# pw-test: serial timeout=400
# A real guest (Debian's kernel in QEMU, no hardware help) behind podwire-vhost and a tap: ping,
# bulk transfer with checksum both ways, offloads on and off, reboot, and the back-end's death in
# mid transfer.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 jq ip cpio gzip sha256sum
guest_image

version=$(qemu-system-x86_64 --version | sed -nE 's/.*version ([0-9]+)\.([0-9]+).*/\1 \2/p')
read -r major minor <<<"$version"
reconnect='reconnect=1'
[ "$major" -lt 9 ] || { [ "$major" = 9 ] && [ "$minor" -lt 2 ]; } || reconnect='reconnect-ms=200'
# QEMU 7.2 crashes with MSI-X, vhost-user and no hardware help.
vectors=
[ "$major" -ge 8 ] || vectors=,vectors=0

qemu=''
guest_start() { # SOCKET DEVICE-OPTIONS
    qemu-system-x86_64 -accel tcg -cpu max -smp 1 -nographic -nodefaults -serial "file:$TMP/console" \
        -M q35,memory-backend=m0 -object memory-backend-memfd,id=m0,size=384M,share=on -m 384 \
        -kernel "$kernel/vmlinuz" -initrd "$TMP/initrd" -append "console=ttyS0 quiet panic=-1 mitigations=off" \
        -drive file="$root",if=virtio,format=raw,readonly=on \
        -drive file="$kernel/modules.img",if=virtio,format=raw,readonly=on \
        -chardev socket,id=c0,path="$1",$reconnect -netdev vhost-user,id=n0,chardev=c0 \
        -device "virtio-net-pci,netdev=n0,romfile=,mac=02:00:00:00:00:01$vectors$2" \
        >"$TMP/qemu.log" 2>&1 </dev/null &
    qemu=$!
}
guest_end() {
    kill -TERM "$qemu" 2>/dev/null || true
    wait "$qemu" || true
    qemu=''
}
serves() { (exec 3<>/dev/tcp/10.8.0.2/7000) && (exec 3<>/dev/tcp/fd08::2/7000); }
answers() { ping -c1 -W1 10.8.0.2 && serves; }
must_answer() { # NAME SECONDS
    if wait_for "$2" answers >/dev/null 2>&1; then
        diag "up after $SECONDS s"
        tap_result 0 "$1"
    else
        diag "$(tail -n 20 "$TMP/console" | tr -d '\r')"
        diag "$(cat "$TMP/qemu.log")"
        bail "$1"
    fi
}
guest_run() {
    local out
    exec 3<>/dev/tcp/10.8.0.2/7000
    echo "run $*" >&3
    out=$(cat <&3)
    exec 3>&-
    echo "$out"
}
sum_of() { sha256sum <"$1" | cut -d' ' -f1; }
cleanup sh -c 'kill $(cat "$TMP/qemu.pid" 2>/dev/null) 2>/dev/null || true'

head -c 16000000 /dev/urandom >"$TMP/data"
head -c 4000000 "$TMP/data" >"$TMP/small"
sum=$(sum_of "$TMP/data") small=$(sum_of "$TMP/small")

ip tuntap add t0 mode tap vnet_hdr
ip addr add 10.8.0.1/24 dev t0
ip -6 addr add fd08::1/64 dev t0 nodad
ip link set t0 up

# ---- split rings, supervised ----
backend_start split --socket-path="$TMP/split.sock" --tap=t0 --supervise
guest_start "$TMP/split.sock" ""
echo "$qemu" >"$TMP/qemu.pid"
must_answer "the guest boots and answers over IPv4" 90
ok "and over IPv6" ping -c2 -W5 fd08::2
ok "a hundred pings, none lost" sh -c 'ping -q -i 0.01 -c 100 10.8.0.2 | grep " 0% packet loss"'
like "the guest's driver took offloads" "$(guest_run ethtool -k eth0)" 'tcp-segmentation-offload: on'
is "16 MB to the guest, IPv4" "$(put 10.8.0.2 "$TMP/data")" "$sum"
is "16 MB from the guest, IPv4" "$(get 10.8.0.2 16000000)" same
is "4 MB to the guest, IPv6" "$(put fd08::2 "$TMP/small")" "$small"
is "4 MB from the guest, IPv6" "$(get fd08::2 4000000)" same
ok "segments went through whole" \
    awk -v b="$(stat_of split '.pairs[0].tx_bytes')" -v f="$(stat_of split '.pairs[0].tx_frames')" \
    'BEGIN {exit !(b / f > 1600)}'
guest_run ethtool -K eth0 tso off gso off tx off >/dev/null
is "4 MB to the guest, its offloads off" "$(put 10.8.0.2 "$TMP/small")" "$small"
is "4 MB from the guest, its offloads off" "$(get 10.8.0.2 4000000)" same
guest_run ethtool -K eth0 tx on tso on gso on >/dev/null

child() { pgrep -P "$backend"; }
connected() { [ "$(stat_of split .connected)" = true ]; }
kill_when() { # FRAMES: the back-end dies once so many more frames have passed
    local now
    now=$(stat_of split '[.pairs[0].tx_frames, .pairs[0].rx_frames] | add')
    (
        wait_for 60 more_than $((now + $1)) stat_of split \
            '[.pairs[0].tx_frames, .pairs[0].rx_frames] | add'
        kill -KILL "$(child)"
    ) &
}
kill_when 300
is "to the guest, the back-end killed in mid transfer" "$(put 10.8.0.2 "$TMP/data")" "$sum"
wait_for 10 connected
kill_when 300
is "from the guest, the back-end killed in mid transfer" "$(get 10.8.0.2 16000000)" same
wait_for 10 connected
ok "it did die twice" test "$(stat_of split .connections)" -ge 3
is "no ring was stopped" "$(stat_of split '.pairs[0].ring_errors')" 0

exec 3<>/dev/tcp/10.8.0.2/7000
echo reboot >&3
exec 3>&-
wait_for 10 sh -c '! ping -c1 -W1 10.8.0.2' >/dev/null 2>&1
must_answer "the guest reboots and answers" 90
is "4 MB to the guest after its reboot" "$(put 10.8.0.2 "$TMP/small")" "$small"
is "4 MB from the guest after its reboot" "$(get 10.8.0.2 4000000)" same
guest_end
backend_end

# ---- packed rings, connecting mode is DPDK's business; QEMU only connects ----
backend_start packed --socket-path="$TMP/packed.sock" --tap=t0
guest_start "$TMP/packed.sock" ",packed=on,mrg_rxbuf=on"
echo "$qemu" >"$TMP/qemu.pid"
must_answer "packed rings: the guest boots and answers" 90
is "packed rings are what is used" \
    "$((($(stat_of packed .features) >> 34) & 1))" 1
is "packed: 16 MB to the guest" "$(put 10.8.0.2 "$TMP/data")" "$sum"
is "packed: 16 MB from the guest" "$(get 10.8.0.2 16000000)" same
is "packed: no ring was stopped" "$(stat_of packed '.pairs[0].ring_errors')" 0
guest_end
backend_end
