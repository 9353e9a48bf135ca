#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154  # backend, backend_rc: set by lib.sh
# pw-test: timeout=120
# The program podwire-vhost: conventions of the command line, what it gives up before the first
# guest byte, its life under a supervisor.
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=tests/vhost/lib.sh
. "$(dirname "$0")/lib.sh"
need jq ip unshare setpriv python3
quiet_net
fe=$BUILD/tests/vhost/frontend

like "--help" "$("$VHOST" --help)" 'usage: podwire-vhost'
is "--print-capabilities is JSON of type net" \
    "$("$VHOST" --print-capabilities --nonsense=1 2>/dev/null | jq -r .type || true)" ""
is "--print-capabilities, other options ignored" \
    "$("$VHOST" --print-capabilities --socket-path=/nowhere | jq -r .type)" net
for bad in "" "--socket-path=/x" "--socket-path=/x --fd=3 --null" "--null" "--fd=x --null" \
    "--socket-path=/x --null --queues=0" "--socket-path=/x --null --queues=99" \
    "--socket-path=/x --null --mac=01:00:00:00:00:01" "--socket-path=/x --null --mtu=5" \
    "--socket-path=/x --tap-fd=3,,4" "--socket-path=/x --null --no-feature=32" \
    "--client --fd=3 --null" "--socket-path=/x --null --vhost-net" "--socket-path=/x --null more"; do
    # shellcheck disable=SC2086
    nok "refused: '$bad'" "$VHOST" $bad
done
nok "no such tap to be made without a name that fits" "$VHOST" --socket-path="$TMP/x" \
    --tap=a-name-that-is-too-long
nok "a descriptor that is no socket" "$VHOST" --fd=0 --null
nok "a descriptor that is no tap" "$VHOST" --socket-path="$TMP/x" --tap-fd=0

# ---- confined ----
ip tuntap add t0 mode tap vnet_hdr
ip link set t0 up
backend_start conf --socket-path="$TMP/conf.sock" --tap=t0
wait_for 30 grep -q '^Seccomp:[[:space:]]*2' "/proc/$backend/status"
field() { awk -v f="$1:" '$1 == f { $1 = ""; print substr($0, 2) }' "/proc/$backend/status"; }
is "runs as nobody" "$(field Uid)" "65534 65534 65534 65534"
is "in no group" "$(field Groups)" ""
for c in CapInh CapPrm CapEff CapBnd CapAmb; do
    is "no capability in $c" "$(field $c)" 0000000000000000
done
is "no new privileges" "$(field NoNewPrivs)" 1
threads=0
for task in /proc/"$backend"/task/*; do
    threads=$((threads + 1))
    is "filtered: thread $threads" "$(awk '/^Seccomp:/ {print $2}' "$task/status")" 2
done
is "two threads: control and one pair" $threads 2
for ns in mnt net ipc uts; do
    isnt "a $ns namespace of its own" "$(readlink "/proc/$backend/ns/$ns")" "$(readlink /proc/self/ns/$ns)"
done
is "nothing in its root" "$(find "/proc/$backend/root/" -mindepth 1 | wc -l)" 0
is "one mount, read only" "$(awk '{print $2, substr($4, 1, 2)}' "/proc/$backend/mounts")" "/ ro"
is "no interface but lo in its network" \
    "$(nsenter -n -t "$backend" ip -o link | awk -F': ' '{print $2}')" lo
paths=0 # whatever is open leads nowhere: sockets, eventfds, the tap, our logs
for f in /proc/"$backend"/fd/*; do
    case $(readlink "$f") in
    socket:* | pipe:* | anon_inode:* | /dev/net/tun | /dev/null | "$TMP"/conf.*) ;;
    *) paths=$((paths + 1)) ;;
    esac
done
is "no descriptor of a directory or file" $paths 0
ok "works for a front-end" "$fe" "$TMP/conf.sock" 100
is "frames reached the tap" "$(cat /sys/class/net/t0/statistics/rx_packets)" 100
ok "resident memory without the guest's under 4 MiB" \
    awk '/^RssAnon|^RssFile/ {k += $2} END {exit !(k < 4096)}' "/proc/$backend/status"
diag "$(grep -E '^Rss(Anon|File)' "/proc/$backend/status" | tr -s '\t\n' ' ')"
backend_end
is "SIGTERM ends it well" "$backend_rc" 0

# ---- without root ----
mkdir -m 777 "$TMP/user"
chmod 755 "$TMP"
setpriv --reuid=4242 --regid=4242 --clear-groups "$VHOST" --socket-path="$TMP/user/s" --null \
    --stats="$TMP/user/st" >"$TMP/user.log" 2>&1 &
pid=$!
wait_for 30 test -S "$TMP/user/s"
ok "without root: still filtered" wait_for 30 grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status"
cp "$fe" "$TMP/user/fe"
ok "without root: works" setpriv --reuid=4242 --regid=4242 --clear-groups "$TMP/user/fe" "$TMP/user/s" 10
kill $pid
rc=0
wait $pid || rc=$?
is "without root: ends well" $rc 0

# ---- descriptors handed over ----
is "--supervise: not of one connection" "$(timeout 5 python3 - "$VHOST" <<'EOF'
import socket, subprocess, sys
ours, theirs = socket.socketpair()
run = subprocess.run([sys.argv[1], "--null", "--supervise", f"--fd={theirs.fileno()}"],
                     pass_fds=[theirs.fileno()], capture_output=True, text=True)
print(run.returncode, run.stderr.strip())
EOF
)" "2 podwire-vhost: --supervise: descriptor 4 is connected, and cannot be connected again"
ok "--fd: a connected socket" "$fe" --spawn "$VHOST" --null --once
ok "--tap-fd: queues already open" "$fe" --spawn-tap t0 "$VHOST"

# ---- supervised ----
backend_start sup --socket-path="$TMP/sup.sock" --tap=t0 --supervise
ok "supervised: works" "$fe" "$TMP/sup.sock" 10
child() { pgrep -P "$backend"; }
alive_other() { c=$(child) && [ "$c" != "$1" ]; }
for i in 1 2 3; do
    c=$(child)
    kill -KILL "$c"
    wait_for 10 alive_other "$c"
    ok "supervised: works after death $i" "$fe" "$TMP/sup.sock" 10
done
is "supervised: the counters go on" "$(stat_of sup '.pairs[0].tx_frames')" 40
is "supervised: the parent has no privilege either" \
    "$(awk '/^CapEff/ {print $2}' "/proc/$backend/status")" 0000000000000000
c=$(child)
backend_end
is "supervised: SIGTERM ends both, well" "$backend_rc" 0
nok "supervised: the back-end is gone" test -e "/proc/$c"
