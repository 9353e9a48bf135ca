# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of podwired share: a node with an uplink, an API server that misbehaves as told, and
# the agent. Source tests/lib/tap.sh first.
#
#   api_up               start it (again): what it knows outlives it;  api_down: kill it
#   api_tls              from now on with TLS: its authority is $TMP/ca.crt; called again, another one
#   api METHOD PATH [JSON]   steer it (fake_api.py says how)
#   stat NAME            one of its counters
#   node NAME N          a Node with ranges 10.244.N.0/24, fd00:244:0:N::/64 and addresses 192.0.2.N ...
#   agent_up [ARG...]    start podwired for node "me" and wait until it answers
#   agent_down           tell it to end;  agent_kill: kill it
#   agent_conf [JQ]      write its configuration, changed by a jq filter
#   ready                /readyz says yes
#   metric NAME          value of the first sample that begins so
. "$TOP/tests/cni/lib.sh"
need python3 jq curl
[ -x "$BUILD/podwired" ] || skip_all "$BUILD/podwired is not built"

API=http://127.0.0.1:6443
API_ARGS=(--port 6443 --state "$TMP/api.json")
API_CURL=()
export LIST=/etc/cni/net.d/10-podwire.conflist
api_pid='' agent_pid=''

api_up() {
    rm -f "$TMP/api.out" # of the one before, which was ready too
    python3 "$TOP/tests/agent/fake_api.py" "${API_ARGS[@]}" >"$TMP/api.out" 2>>"$TMP/api.err" &
    api_pid=$!
    wait_for 20 grep -q ready "$TMP/api.out" || bail "the API server of the tests does not start"
}
api_down() {
    kill -9 "$api_pid" 2>/dev/null || true
    wait "$api_pid" 2>/dev/null || true
}
api_tls() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=ca$RANDOM" \
        -keyout "$TMP/ca.key" -out "$TMP/ca.crt" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=api \
        -keyout "$TMP/api.key" -out "$TMP/api.csr" 2>/dev/null
    openssl x509 -req -in "$TMP/api.csr" -CA "$TMP/ca.crt" -CAkey "$TMP/ca.key" -CAcreateserial -days 2 \
        -extfile <(echo subjectAltName=IP:127.0.0.1) -out "$TMP/api.crt" 2>/dev/null
    API=https://127.0.0.1:6443 API_CURL=(-k)
    API_ARGS=(--port 6443 --state "$TMP/api.json" --cert "$TMP/api.crt" --key "$TMP/api.key")
}
api() { # METHOD PATH [JSON]
    curl -sS --fail "${API_CURL[@]}" -X "$1" ${3:+-d "$3"} "$API/control/$2" >/dev/null
}
stat() { curl -sS "${API_CURL[@]}" "$API/control/stats" | jq -r ".$1"; }
more() { [ "$(stat "$1")" -gt "$2" ]; } # NAME N
node() { # NAME N
    api PUT "nodes/$1" "{\"podCIDRs\": [\"10.244.$2.0/24\", \"fd00:244:0:$2::/64\"],
        \"addresses\": [\"192.0.2.$2\", \"2001:db8:2::$2\"]}"
}

agent_conf() { # [JQ]
    jq -n '{clusterRanges: ["10.244.0.0/16", "fd00:244::/48"],
            kubernetes: {server: "'"$API"'", idleTimeout: 150},
            cni: {pluginDirectory: "'"$BUILD"'", after: [], removeAfter: 2}} | '"${1:-.}" >"$TMP/agent.json"
}
agent_up() {
    "$BUILD/podwired" --config "$TMP/agent.json" --node-name me "$@" >>"$TMP/agent.log" 2>&1 &
    agent_pid=$!
    wait_for 20 curl -sS http://127.0.0.1:9470/healthz || bail "podwired does not answer: $(tail -n3 "$TMP/agent.log")"
}
agent_down() {
    kill "$agent_pid" 2>/dev/null || true
    wait "$agent_pid" 2>/dev/null || true
}
agent_kill() {
    kill -9 "$agent_pid" 2>/dev/null || true
    wait "$agent_pid" 2>/dev/null || true
}
ready() { [ "$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9470/readyz)" = 200 ]; }
unready() { ! ready; }
why_not() { curl -s http://127.0.0.1:9470/readyz; }
metric() { curl -s http://127.0.0.1:9470/metrics | awk -v n="$1" 'index($0, n) == 1 {print $2; exit}'; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
way() { ip route show 10.244."$1".0/24 proto 120 | grep -q .; } # N: there is a route to that node's pods
no_way() { ! way "$1"; }
cleanup agent_kill
cleanup api_down
mkdir -p /etc/cni/net.d
