#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kind vhost-user: what ADD starts and answers, that it outlives the plugin and holds nothing of the
# caller's, whom the socket lets in, CHECK, STATUS, GC and podwirectl when processes are killed, DEL in
# every state. Traffic is t_vhost_traffic's.
# pw-test: timeout=480
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/cni/lib.sh"
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"
need pgrep setpriv

node_up 1400
netns_up p1 p2 warm
chmod 755 "$TMP"
must good "ADD of a first pod" "$(conf 1.1.0)" ADD warm /run/netns/warm eth0
good "and its DEL" "$(conf 1.1.0)" DEL warm /run/netns/warm eth0
walk p1 p2 >"$TMP/before"
fe=$BUILD/tests/vhost/frontend
prev() { jq -c --slurpfile p "$TMP/result" ".prevResult=\$p[0]" <<<"$1"; }
backend() { ctl vm show c1 --json | jq -r ".backend$1"; }
supervisor() { backend .pid; }
worker() { pgrep -P "$(supervisor)"; }
gone() { [ ! -e "/proc/$1" ]; }
kill_supervisor() {
    local pid
    pid=$(supervisor)
    kill -KILL "$pid"
    wait_for 5 gone "$pid"
}
none_left() { ! pgrep -r D,R,S,T podwire-vhost; } # the dead are their parent's business

vu=$(conf 1.1.0 '.device="vhost-user"')
# A runtime reads until nobody holds its pipes any more.
must ok "ADD: a caller that waits for the end of its pipes is not kept waiting" timeout 30 sh -c '
    CNI_COMMAND=ADD CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/p1 CNI_IFNAME=eth0 "$1" <<EOF 2>&1 | cat >"$2"
$3
EOF' sh "$PODWIRE" "$TMP/out" "$vu"
cp "$TMP/out" "$TMP/result"
host=$(answer '.interfaces[0].name')
sock=$(answer '.interfaces[1].socketPath')
is "the result has the socket, with the pod's interface" "$(answer '[.interfaces[]|[.sandbox,.mtu,.socketPath]]|tostring')" \
    "[[null,1400,null],[\"/run/netns/p1\",1400,\"/run/podwire/vhost/$host.sock\"]]"
ok "it can be connected to at once" "$fe" "$sock" 20
is "frames reached the tap" "$(cat "/sys/class/net/$host/statistics/rx_packets")" 20
is "the socket is root's alone" "$(stat -c '%a %u %g' "$sock")" "600 0 0"
like "the tap carries the programs" "$(bpftool net show dev "$host")" "tcx/ingress pw_veth_from_pod"
is "the tap's queue is taken" "$(ip -d -j link show "$host" | jq '.[0].linkinfo.info_data.persist')" true
is "podwirectl names the kind" "$(ctl endpoints c1 --json | jq -r .kind)" vhost-user
is "and counts it" "$(ctl status --json | jq -c '.endpoints|[.total,.tap,."vhost-user"]')" '[1,0,1]'
sup=$(supervisor) w=$(worker)
is "podwirectl tells who serves the VMM" "$(backend .worker)" "$w"
like "for people too" "$(ctl vm show c1)" "process $w, supervised by $sup"
is "the back-end is no child of ours" "$(ps -o ppid= -p "$sup" | tr -d ' ')" 1
isnt "in a session of its own" "$(ps -o sid= -p "$sup" | tr -d ' ')" "$(ps -o sid= -p $$ | tr -d ' ')"
is "runs as nobody" "$(ps -o uid= -p "$sup,$w" | tr -d ' ' | sort -u)" 65534
groups=$(grep -E '^0:|name=systemd' "/proc/$sup/cgroup")
if mkdir /sys/fs/cgroup{,/unified}/probe 2>/dev/null; [ -e /sys/fs/cgroup/probe/cgroup.procs ] || [ -e /sys/fs/cgroup/unified/probe/cgroup.procs ]; then
    rmdir /sys/fs/cgroup{,/unified}/probe 2>/dev/null || true
    is "in our control group, by which processes are tracked" "$(grep -vc ':/podwire$' <<<"$groups")" 0
else
    skip "no control groups to be made here" "in our control group, by which processes are tracked"
fi
is "it holds no descriptor of the caller's" "$(for f in "/proc/$sup/fd"/* "/proc/$w/fd"/*; do readlink "$f"; done |
    grep -vE '^(/dev/null|/dev/net/tun|socket:.*|anon_inode:.*|/run/podwire/vhost/.*\.lock)$')" ""
is "who serves the guest has no file open" "$(for f in "/proc/$w/fd"/*; do readlink "$f"; done | grep -c '^/run')" 0
is "no environment" "$(tr '\0' '\n' <"/proc/$sup/environ" | grep -c .)" 0
good "CHECK" "$(prev "$vu")" CHECK c1 /run/netns/p1 eth0
bad "ADD of what is there" 100 "$vu" ADD c1 /run/netns/p1 eth0
ok "the back-end was left alone" test -e "/proc/$w"

# QEMU takes what podwirectl prints, where it is.
if command -v qemu-system-x86_64 >/dev/null; then
    mapfile -t args < <(ctl vm args c1 --vmm qemu 2>/dev/null | tr ' ' '\n')
    n=$(backend .counters.connections)
    ok "QEMU starts with podwirectl's arguments" timeout 60 sh -c 'echo quit | qemu-system-x86_64 -machine q35,accel=tcg,memory-backend=m \
        -m 64M -object memory-backend-memfd,id=m,size=64M,share=on -nodefaults -display none -S -monitor stdio "$@"' qemu "${args[@]}"
    is "QEMU was connected" "$(backend .counters.connections)" $((n + 1))
else
    skip "no qemu-system-x86_64" "QEMU starts with podwirectl's arguments"
fi

# Killed: the supervisor's business.
kill -KILL "$w"
wait_for 10 sh -c "test \"\$(pgrep -P $sup)\" -gt 0"
isnt "killed: there is another" "$(worker)" "$w"
is "killed: podwirectl tells which" "$(backend .worker)" "$(worker)"
ok "killed: which works" "$fe" "$sock" 20
is "killed: podwirectl counts it" "$(backend .counters.restarts)" 1
like "killed: and tells" "$(ctl vm show c1)" "restarted 1 times"
is "killed: the counters went on" "$(backend '.counters.pairs[0].tx_frames')" 40
good "killed: CHECK" "$(prev "$vu")" CHECK c1 /run/netns/p1 eth0
# Killed the supervisor too.
sup=$(supervisor) w=$(worker)
kill -KILL "$sup"
wait_for 5 gone "$w"
ok "supervisor killed: nobody is left" none_left
bad "supervisor killed: CHECK" 103 "$(prev "$vu")" CHECK c1 /run/netns/p1 eth0
like "supervisor killed: which says so" "$(answer .msg)" "not running.*podwirectl vm restart $host"
is "supervisor killed: podwirectl too" "$(backend .running)" false
like "supervisor killed: status too" "$(ctl status --json | jq -r '.problems[].text')" "back-end of $host is not running"
ok "supervisor killed: vm restart" ctl vm restart c1
ok "supervisor killed: it works again" "$fe" "$sock" 20
is "supervisor killed: no problem any more" "$(ctl status --json | jq -r '.problems[].text' | grep -c back-end)" 0
is "a second restart changes nothing" "$(ctl vm restart c1 --json | jq .changed)" false
kill_supervisor
good "supervisor killed: GC starts it" "$(jq -c '."cni.dev/valid-attachments"=[{containerID:"c1",ifname:"eth0"}]' <<<"$vu")" GC "" "" ""
ok "supervisor killed: by GC it works again" "$fe" "$sock" 20
kill_supervisor
good "supervisor killed: STATUS starts it" "$vu" STATUS "" "" ""
ok "supervisor killed: by STATUS it works again" "$fe" "$sock" 20
rm "$sock"
bad "socket removed: CHECK" 103 "$(prev "$vu")" CHECK c1 /run/netns/p1 eth0
like "socket removed: which says so" "$(answer .msg)" "socket $sock .* is gone"
ok "socket removed: vm restart makes it" ctl vm restart c1
ok "socket removed: it works again" "$fe" "$sock" 20
rm "$sock"
good "DEL" "$vu" DEL c1 /run/netns/p1 eth0
ok "DEL: no process is left" none_left
good "DEL again, without namespace" "$vu" DEL c1 "" eth0
walk_same "nothing is left" "$TMP/before" p1 p2
ok "not even an empty control group" sh -c '! ls -d /sys/fs/cgroup/podwire /sys/fs/cgroup/*/podwire'

# DEL in other states.
state() { # NAME COMMAND: DEL after it, and nothing is left
    good "$1: ADD" "$vu" ADD c1 /run/netns/p1 eth0
    host=$(answer '.interfaces[0].name')
    eval "$2"
    good "$1: DEL" "$vu" DEL c1 "" eth0
    ok "$1: no process is left" none_left
    walk_same "$1: nothing is left" "$TMP/before" p1 p2
}
state "supervisor killed" 'kill -KILL $(supervisor)'
state "stopped" 'kill -STOP $(worker)'
state "all stopped" 'kill -STOP $(supervisor) $(worker)'
state "no record" 'rm /run/podwire/endpoints/c1:eth0.json'
state "the tap gone" 'ip link del "$host"'
state "a record that was cut off" 'truncate -s 20 /run/podwire/vhost/"$host".json; rm /run/podwire/vhost/"$host".sock'
good "GC: ADD" "$vu" ADD c1 /run/netns/p1 eth0
good "GC" "$(jq -c '."cni.dev/valid-attachments"=[]' <<<"$vu")" GC "" "" ""
ok "GC: no process is left" none_left
walk_same "GC: nothing is left" "$TMP/before" p1 p2
good "sweep: ADD" "$vu" ADD c1 /run/netns/p1 eth0
ip link del "$(answer '.interfaces[0].name')"
ok "sweep" ctl sweep
ok "sweep: no process is left" none_left
good "sweep: DEL" "$vu" DEL c1 "" eth0
walk_same "sweep: nothing is left" "$TMP/before" p1 p2

# Whom the socket lets in.
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }
cp "$fe" "$TMP/fe"
# Not to get in at all, or to be turned away at once: a front-end would try again for long.
outside() { # UID GID
    as "$1" "$2" perl -MIO::Socket::UNIX -e '
        $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 0; alarm 10; exit(sysread($s, $b, 1) ? 1 : 0)' "$sock"
}
owned=$(conf 1.1.0 '.device="vhost-user" | .tap={queues:4,owner:1234}')
good "owner, queues: ADD" "$owned" ADD c1 /run/netns/p1 eth0
sock=$(answer '.interfaces[1].socketPath')
is "owner: of the socket" "$(stat -c '%a %u %g' "$sock")" "600 1234 0"
ok "owner: gets in" as 1234 1 "$TMP/fe" "$sock" 10
ok "owner: another does not" outside 4321 1
chmod 666 "$sock"
ok "owner: not even by a socket that is open to all" outside 4321 1
is "owner: and is counted" "$(backend .counters.refused)" 1
is "owner: the tap itself is root's" "$(ip -d -j link show "$(answer '.interfaces[0].name')" | jq -r '.[0].linkinfo.info_data|[.user,.multi_queue]|tostring')" '["root",true]'
is "queues: the back-end has them" "$(backend '.counters.pairs|length')" 4
good "owner: DEL" "$owned" DEL c1 "" eth0
good "group: ADD, as a runtime says" "$vu" ADD c1 /run/netns/p1 eth0 CNI_ARGS="TC_REDIRECT_TAP_GID=77"
sock=$(answer '.interfaces[1].socketPath')
is "group: of the socket" "$(stat -c '%a %u %g' "$sock")" "660 0 77"
ok "group: gets in" as 4321 77 "$TMP/fe" "$sock" 10
ok "group: another does not" outside 4321 78
good "group: DEL" "$vu" DEL c1 "" eth0

# Paths, modes and versions.
mkdir "$TMP/vms"
path=$(conf 1.0.0 ".device=\"vhost-user\" | .vhostUser.socket=\"$TMP/vms/{id}-{ifname}/net.sock\"")
good "a path of one's own, 1.0.0: ADD" "$path" ADD c1 /run/netns/p1 eth0
is "a path of one's own: an old result has no socket" "$(answer '[.interfaces[]|has("socketPath")]|tostring')" '[false,false]'
is "a path of one's own: podwirectl tells it" "$(ctl vm show c1 --json | jq -r .socket)" "$TMP/vms/c1-eth0/net.sock"
ok "a path of one's own: it works" "$fe" "$TMP/vms/c1-eth0/net.sock" 10
good "a path of one's own: DEL" "$path" DEL c1 "" eth0
is "a path of one's own: the folder that ADD made is gone" "$(ls "$TMP/vms")" ""
client=$(conf 1.1.0 '.device="vhost-user" | .vhostUser.mode="client" | .tap.owner=1234 | .kataDan=true')
good "the VMM listens: ADD, before there is a socket" "$client" ADD c1 /run/netns/p1 eth0
cp "$TMP/out" "$TMP/result"
sock=$(answer '.interfaces[1].socketPath') mac=$(answer '.interfaces[1].mac')
nok "the VMM listens: there is none" test -e "$sock"
is "the VMM listens: its folder is the VMM's" "$(stat -c '%a %u' "${sock%/*}")" "700 1234"
is "the VMM listens: and so is who connects" "$(ps -o uid= -p "$(supervisor)" | tr -d ' ')" 1234
good "the VMM listens: CHECK" "$(prev "$client")" CHECK c1 /run/netns/p1 eth0
is "the VMM listens: Kata's file" "$(jq -c '.netns, .devices[0].device' /run/kata-containers/dans/c1.json | tr '\n' ' ')" \
    "null {\"type\":\"vhost-user\",\"path\":\"$sock\",\"queue_num\":1,\"queue_size\":0} "
is "the VMM listens: podwirectl for Kata" "$(ctl vm args c1 --vmm kata | jq -c '.devices[0].device.type')" '"vhost-user"'
like "the VMM listens: QEMU" "$(ctl vm args c1 --vmm qemu 2>/dev/null)" "path=$sock,server=on,wait=off"
is "the VMM listens: Cloud Hypervisor" "$(ctl vm args c1 --vmm cloud-hypervisor 2>/dev/null)" \
    "--net vhost_user=true,socket=$sock,vhost_mode=server,mac=$mac,mtu=1400,num_queues=2"
nok "Firecracker has no such device" ctl vm args c1 --vmm firecracker
as 1234 1234 touch "${sock%/*}/litter"
good "the VMM listens: DEL" "$client" DEL c1 "" eth0
ok "the VMM listens: no process is left" none_left
rm -rf /run/kata-containers
walk_same "nothing is left of all these" "$TMP/before" p1 p2

# What cannot work is refused, and leaves nothing.
bad "no such program" 7 "$(conf 1.1.0 '.device="vhost-user" | .vhostUser.program="/nowhere/podwire-vhost"')" ADD c1 /run/netns/p1 eth0
like "no such program: it is named, and what to do" "$(answer .msg)" "/nowhere/podwire-vhost.*No such file.*vhostUser"
bad "no such program: STATUS" 50 "$(conf 1.1.0 '.podDevices=["vhost-user"] | .vhostUser.program="/nowhere/podwire-vhost"')" STATUS "" "" ""
like "no such program: STATUS names it" "$(answer .msg)" "/nowhere/podwire-vhost"
bad "a program that ends at once" 999 "$(conf 1.1.0 '.device="vhost-user" | .vhostUser.program="/bin/true"')" ADD c1 /run/netns/p1 eth0
bad "a program that is none" 999 "$(conf 1.1.0 '.device="vhost-user" | .vhostUser.program="/bin"')" ADD c1 /run/netns/p1 eth0
if [ ! -e /dev/vhost-net ]; then # where it is: tests/vhost/t_vhost_net
    bad "vhost-net that is not there" 999 "$(conf 1.1.0 '.device="vhost-user" | .vhostUser.vhostNet=true')" ADD c1 /run/netns/p1 eth0
    like "vhost-net that is not there: said by the back-end" "$(answer .msg)" "/dev/vhost-net.*modprobe vhost_net"
fi
bad "no such folder" 999 "$(conf 1.1.0 '.device="vhost-user" | .vhostUser.socket="/nowhere/a/{device}"')" ADD c1 /run/netns/p1 eth0
like "no such folder: it is named" "$(answer .msg)" "/nowhere/a"
mkdir "$TMP/busy"
perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die $!; sleep 60' "$TMP/busy/c1.eth0" &
cleanup kill $!
wait_for 5 test -S "$TMP/busy/c1.eth0"
bad "somebody listens there" 999 "$(conf 1.1.0 ".device=\"vhost-user\" | .vhostUser.socket=\"$TMP/busy/{id}.{ifname}\"")" ADD c1 /run/netns/p1 eth0
like "somebody listens there: said by the back-end" "$(answer .msg)" "socket $TMP/busy/c1.eth0 is in use"
long=$(printf 'x%.0s' {1..90})
for c in '.vhostUser.mode="both"' '.vhostUser.socket="relative/{device}"' '.vhostUser.socket="/run/one.sock"' '.vhostUser=[]' \
    '.vhostUser.program="podwire-vhost"' '.tap.queues=17' '.kataDan=true' ".vhostUser.socket=\"/run/$long/{device}\""; do
    bad "refused: $c" 7 "$(conf 1.1.0 ".device=\"vhost-user\" | $c")" ADD c1 /run/netns/p1 eth0
done
bad "a pod that may not choose it" 7 "$(conf 1.1.0 '.args.cni.device="vhost-user"')" ADD c1 /run/netns/p1 eth0
good "a pod that may" "$(conf 1.1.0 '.podDevices=["vhost-user"] | .args.cni.device="vhost-user"')" ADD c1 /run/netns/p1 eth0
like "a pod that may: gets it" "$(answer '.interfaces[1].socketPath')" '\.sock$'
good "a pod that may: DEL" "$vu" DEL c1 "" eth0
ok "no process is left of all these" none_left
walk_same "and nothing else" "$TMP/before" p1 p2
