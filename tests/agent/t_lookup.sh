#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Devices by RuntimeClass where the runtime has one list for all pods: the plugin asks podwired, which
# follows the node's pods. Whatever becomes of the agent, the API or the socket, ADD does not hang.
# pw-test: timeout=300
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"

SOCKET=/run/podwire/agent.sock
args() { echo "CNI_ARGS=K8S_POD_NAMESPACE=$1;K8S_POD_NAME=$2;K8S_POD_UID=${3-u-$2}"; } # NS NAME [UID]
pod_is() { # NS/NAME [JQ]: in the API, on this node
    api PUT "pods/$1" "$(jq -nc --arg u "u-${1#*/}" '{uid: $u, nodeName: "me"} | '"${2:-.}")"
}
# ADD with the list, whatever comes of it shown by kind and why: `kind NAME KIND NS POD [UID]`, and `why`.
n=0
kind() {
    n=$((n + 1))
    netns_up "l$n"
    good "$1: ADD" "${CONF:-$(cat "$TMP/conf")}" ADD "c$n" "/run/netns/l$n" eth0 "$(args "${@:3}")"
    is "$1" "$(jq -r .device "/run/podwire/endpoints/c$n:eth0.json")" "$2"
}
why() { ctl endpoints --json | jq -r --arg c "c$n" '.[] | select(.containerId == $c) | .why'; }
warned() { cat "$TMP/err"; }
list_conf() { jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$LIST" >"$TMP/conf"; }

node_up
# `veth` for all others, so that the kernel's netkit makes no difference.
CLASSES='.device = "veth" | .runtimeClasses = {kata: {device: "tap"}, fire: {device: "pod-tap"},
    own: {device: "tap", directory: "/etc/cni/own.d"}}'
agent_conf "$CLASSES"' | .podDevices = ["pod-tap"] | .namespaces = {machines: "tap"}'
api_up
node me 1
pod_is default/plain
pod_is default/kata '.runtimeClassName = "kata"'
agent_up
must ok "ready" wait_for 20 ready
list_conf
is "the list says where to ask" "$(jq -c '[.lookup, .lookupRequired]' "$TMP/conf")" "[\"$SOCKET\",null]"
is "a class without a folder has no list" "$(find /etc/cni -name '*.conflist' | sort | tr '\n' ' ')" \
    "/etc/cni/net.d/10-podwire.conflist /etc/cni/own.d/10-podwire.conflist "
is "that of a class asks nobody" "$(jq .plugins[0].lookup /etc/cni/own.d/10-podwire.conflist)" null
is "the socket is root's alone" "$(command stat -c '%F %a %u' $SOCKET)" "socket 600 0"

counted() { curl -s http://127.0.0.1:9470/metrics | sed -n "s/^podwire_lookups_total{result=\"$1\"} //p"; }
counted_is() { [ "$(counted "$1")" = "$2" ]; }
is "the pods are followed" "$(metric podwire_lookup_api_up)" 1
is "and counted" "$(metric podwire_lookup_pods)" 2
is "none was asked for" "$(for r in answered timed_out refused left; do counted $r; done | xargs)" "0 0 0 0"

# --- each rule ---
kind "by RuntimeClass" tap default kata
like "says so" "$(why)" "asked for by RuntimeClass kata"
is "it is counted" "$(counted answered)" 1
kind "one without" veth default plain
is "says so" "$(why)" "asked for by configuration"
is "and warns of nothing" "$(warned)" ""
pod_is default/fire '.runtimeClassName = "fire"'
kind "one that came later" pod-tap default fire
pod_is default/own '.runtimeClassName = "own"'
kind "a class with a folder, by the one list" tap default own
pod_is default/other '.runtimeClassName = "runc"'
kind "a class of which nothing is said" veth default other
pod_is machines/m
kind "a namespace" tap machines m
pod_is machines/k '.runtimeClassName = "fire"'
kind "the class goes before its namespace" pod-tap machines k
pod_is default/a '.annotations = {"podwire.io/device": "pod-tap", other: "x"}'
kind "an annotation that the runtime has not handed over" pod-tap default a
like "says so" "$(why)" "annotation podwire.io/device"
pod_is default/b '.annotations = {"podwire.io/device": "tap"}'
netns_up b
bad "one that podDevices does not let choose" 7 "$(cat "$TMP/conf")" ADD cb /run/netns/b eth0 "$(args default b)"
like "says so" "$(answer .msg)" "does not let pods choose"
CONF=$(jq -c '.runtimeConfig = {"io.kubernetes.cri.pod-annotations": {"podwire.io/device": "pod-tap"}}' "$TMP/conf") \
    kind "what the runtime hands over goes before all" pod-tap default kata
pod_is default/static '.annotations = {"kubernetes.io/config.mirror": "u-hash"} | .runtimeClassName = "kata"'
kind "a static pod, by its uid on the node" tap default static u-hash
kind "without a uid" tap default kata ""
api PUT pods/default/far '{"uid": "u-far", "nodeName": "n2", "runtimeClassName": "kata"}'
# Annotations as long as the API lets them be.
printf '{"uid": "u-long", "nodeName": "me", "runtimeClassName": "kata", "annotations": {"podwire.io/device": "%s"}}' \
    "$(head -c 260000 /dev/zero | tr '\0' '"' | sed 's/"/\\"/g')" >"$TMP/long"
curl -sS --fail -X PUT -d @"$TMP/long" "$API/control/pods/default/long" >/dev/null
pod_is default/after '.runtimeClassName = "kata"'
kind "a pod with a huge annotation keeps others from nothing" tap default after
pod_is default/nul '.annotations = {"podwire.io/device": "a\u0000b"}'
pod_is default/next '.runtimeClassName = "kata"'
kind "nor does one with a NUL" tap default next
CONF=$(jq -c 'del(.lookup)' "$TMP/conf") kind "a list that does not ask" veth default kata

# --- nothing is known of it ---
late=$(counted timed_out)
kind "a pod of another node" veth default far
is "counted as asked for in vain" "$(counted timed_out)" $((late + 1))
like "it warns" "$(warned)" "podwired does not say the pod's device \(the API has no such pod on this node\)"
like "and so does why" "$(why)" "configuration; podwired does not say: the API has no such pod"
kind "one of its name that was there before" veth default kata u-new
# It comes while the plugin waits.
netns_up late
jq -c . "$TMP/conf" | CNI_COMMAND=ADD CNI_CONTAINERID=clate CNI_NETNS=/run/netns/late CNI_IFNAME=eth0 env "$(args default late)" \
    "$PODWIRE" >"$TMP/late" 2>&1 &
late=$!
asked() { ss -xH state established src "$SOCKET" 2>/dev/null | grep -q . || ! kill -0 $late; }
wait_for 5 asked || true
pod_is default/late '.runtimeClassName = "kata"'
wait $late || true
is "one that comes while it is asked for" "$(jq -r .device /run/podwire/endpoints/clate:eth0.json)" tap

# --- many at once ---
for i in $(seq 20); do
    pod_is "default/many$i" '.runtimeClassName = "fire"'
    netns_up "m$i"
done
pids=()
for i in $(seq 20); do
    CNI_COMMAND=ADD CNI_CONTAINERID=m$i CNI_NETNS=/run/netns/m$i CNI_IFNAME=eth0 env "$(args default "many$i")" \
        "$PODWIRE" <"$TMP/conf" >"$TMP/m$i" 2>&1 &
    pids+=($!)
done
for p in "${pids[@]}"; do wait "$p" || diag "an ADD failed"; done
is "20 at once" "$(jq -r .device /run/podwire/endpoints/m*:eth0.json | sort | uniq -c | tr -s ' ')" " 20 pod-tap"

# --- hostile clients, and slow ones ---
cat >"$TMP/client.py" <<'PY'
import os, socket, sys
def to():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(20)
    s.connect("/run/podwire/agent.sock")
    return s
def ask(data):
    s = to()
    s.send(data)
    return s.recv(4096).decode()
what = sys.argv[1]
if what == "garbage":
    for d in (b"x", b"{}", b"[]", b'{"namespace":1,"name":"a"}', b'{"namespace":"","name":""}', b"\xff" * 100,
              b'{"namespace":"a\\u0000","name":"b"}', b"[" * 1000, b"x" * 5000):
        print(ask(d))
elif what == "leave":
    to().send(b'{"namespace":"default","name":"nowhere"}')
elif what == "silent":
    held = [to() for _ in range(300)]
    print("held", flush=True)
    sys.stdin.read()
elif what == "user":
    os.setuid(65534)
    try:
        to()
        print("let in")
    except PermissionError:
        print("refused")
PY
refused=$(counted refused)
is "garbage is answered as such" "$(python3 "$TMP/client.py" garbage | grep -c '"error":')" 9
is "and counted so" "$(counted refused)" $((refused + 9))
left=$(counted left)
python3 "$TMP/client.py" leave
ok "who leaves before the answer too" wait_for 10 counted_is left $((left + 1))
is "another user is refused" "$(python3 "$TMP/client.py" user)" refused
mkfifo "$TMP/hold"
python3 "$TMP/client.py" silent <"$TMP/hold" >"$TMP/silent" &
silent=$!
exec 9>"$TMP/hold"
wait_for 20 grep -q held "$TMP/silent" || true
ok "who says nothing is not waited for: /healthz" curl -sS --max-time 20 http://127.0.0.1:9470/healthz
exec 9>&-
wait $silent || true
kind "after 300 silent clients" tap default kata

# --- the API away: what is known stays so ---
api_down
kind "the API down: a known pod" tap default kata
kind "an unknown one" veth default new
is "the metrics say so" "$(metric podwire_lookup_api_up)" 0
like "it warns" "$(warned)" "podwired does not say the pod's device"
api_up
wait_for 60 metric_is podwire_api_up 1 || true
pod_is default/again '.runtimeClassName = "kata"'
found() { printf '%s' '{"namespace":"default","name":"again"}' | python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/podwire/agent.sock")
s.send(sys.stdin.buffer.read())
print(s.recv(4096).decode())' | grep -q kata; }
ok "it is followed again" wait_for 60 found
api POST set '{"silent": true}'
pod_is default/unheard '.runtimeClassName = "kata"'
kind "an API that has gone silent" veth default unheard
api POST set '{"silent": false}'
ok "the metrics are sound" eval 'curl -s http://127.0.0.1:9470/metrics | "$TOP/tests/agent/check_metrics.py"'

# --- the agent stopped, killed, back ---
kill -STOP "$agent_pid"
kind "the agent stopped" veth default kata
like "it warns" "$(warned)" "no answer in 3 s"
like "and so does why" "$(why)" "podwired does not say: no answer in 3 s"
good "CHECK asks nobody" "$(jq -c --slurpfile r "$TMP/out" '.prevResult = $r[0]' "$TMP/conf")" CHECK "c$n" "/run/netns/l$n" eth0 "$(args default kata)"
is "without a word" "$(warned)" ""
good "nor does DEL" "$(cat "$TMP/conf")" DEL "c$n" "/run/netns/l$n" eth0 "$(args default kata)"
is "without a word" "$(warned)" ""
kill -CONT "$agent_pid"
agent_kill
ok "killed, it leaves its socket" test -S $SOCKET
kind "the agent killed" veth default kata
like "it warns" "$(warned)" "no answer: Connection refused"
agent_up
ok "one that is started again takes its place" wait_for 30 found
kind "and answers" tap default kata
agent_down
nok "one that ends takes it away" test -e $SOCKET
kind "no agent" veth default kata
like "it warns" "$(warned)" "no answer: No such file"

# --- no network for who cannot be looked up ---
agent_conf "$CLASSES | .lookupRequired = true"
agent_up
must ok "ready" wait_for 20 ready
ok "the list says so" wait_for 20 jq -e .plugins[0].lookupRequired "$LIST"
list_conf
kind "required: known" tap default kata
netns_up req
bad "required: unknown" 11 "$(cat "$TMP/conf")" ADD creq /run/netns/req eth0 "$(args default far)"
like "says why" "$(answer .msg)" "'lookupRequired' is set: the API has no such pod"
agent_kill
bad "required: the agent killed" 11 "$(cat "$TMP/conf")" ADD creq /run/netns/req eth0 "$(args default kata)"
nok "nothing is left of it" test -e /run/podwire/endpoints/creq:eth0.json

# --- who listens there is not podwired ---
cat >"$TMP/server.py" <<'PY'
import os, socket, sys
path, what = sys.argv[1:3]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(path)
if what == "user":
    os.setuid(65534)
s.listen()
print("ready", flush=True)
answer = {"garbage": b"\xff{", "none": b"", "much": b'{"device": "' + b"x" * 100000 + b'"}', "list": b"[]",
          "kind": b'{"device": "bridge"}', "type": b'{"device": 7}', "deep": b'{"device":' + b"[" * 1500,
          "user": b'{"device": "tap"}', "good": b'{"device": "tap", "runtimeClass": "x"}'}[what]
while True:
    c, _ = s.accept()
    c.recv(65536)
    try:
        if answer:
            c.send(answer)
    except OSError:
        pass
    c.close()
PY
while read -r what device says; do
    rm -f "$TMP/sock" "$TMP/server"
    python3 "$TMP/server.py" "$TMP/sock" "$what" >"$TMP/server" 2>&1 &
    server=$!
    wait_for 20 grep -q ready "$TMP/server" || diag "no server"
    CONF=$(jq -c --arg s "$TMP/sock" '.lookup = $s | del(.lookupRequired)' "$TMP/conf") kind "an answer: $what" "$device" default kata
    like "it says so" "$(why)" "$says"
    kill $server
    wait $server 2>/dev/null || true
done <<'END'
good tap RuntimeClass x
garbage veth its answer is no JSON object
list veth its answer is no JSON object
kind veth its answer has device 'bridge'
type veth its answer: 'device' must be a string
deep veth its answer is no JSON object
much veth too long an answer
none veth no answer
user veth is not root
END

ok "cleanup" eval 'for i in $(seq 20); do request DEL m$i "" eth0 <"$TMP/conf"; done; request DEL clate "" eth0 <"$TMP/conf"
    for i in $(seq $n); do request DEL c$i "" eth0 <"$TMP/conf"; done; "$BUILD/podwired" --config "$TMP/agent.json" --cleanup'
is "takes the socket too" "$(find /run/podwire /etc/cni -type f -o -type s 2>/dev/null)" ""
