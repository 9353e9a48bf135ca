#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# podwired and TLS: whom it believes, authorities that rotate, kubeconfig and a pod's service account.
# pw-test: timeout=180
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"
need openssl

node_up
api_tls
api_up
node me 1
api POST set '{"token": "t0k3n"}'

agent_conf 'del(.kubernetes.server)'
cat >"$TMP/config" <<X
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters:
- name: c
  cluster:
    certificate-authority: ca.crt
    server: $API/
users:
- name: u
  user: {token: t0k3n}
X
agent_up --kubeconfig "$TMP/config"
ok "by a kubeconfig, its authority beside it" wait_for 20 ready
agent_down
sed "s|certificate-authority: ca.crt|certificate-authority-data: $(base64 -w0 <"$TMP/ca.crt")|" "$TMP/config" >"$TMP/inline"
agent_up --kubeconfig "$TMP/inline"
ok "in it" wait_for 20 ready

# Another authority: the connection that there is goes on, a new one must be by the new one.
cp "$TMP/ca.crt" "$TMP/old.crt"
api_tls
api_down
api_up
node two 2
ok "a server of another authority is not believed" wait_for 30 grep -q "SSL certificate problem" "$TMP/agent.log"
ok "nothing of it is taken" no_way 2
is "and nothing is lost" "$(why_not)" ok
agent_down
cp "$TMP/ca.crt" "$TMP/new.crt"
cp "$TMP/old.crt" "$TMP/ca.crt"
agent_up --kubeconfig "$TMP/config"
sleep 1
ok "nor with the file as it was" no_way 2
cp "$TMP/new.crt" "$TMP/ca.crt"
ok "the file that rotates is followed" wait_for 60 way 2
agent_down

# As in a pod.
secrets=/var/run/secrets/kubernetes.io/serviceaccount
mkdir -p $secrets/..2026
printf t0k3n >$secrets/..2026/token
cp "$TMP/ca.crt" $secrets/..2026/ca.crt
ln -s ..2026 $secrets/..data
ln -s ..data/token $secrets/token
ln -s ..data/ca.crt $secrets/ca.crt
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=6443
rm -f "$LIST"
agent_up
ok "by the service account, through links" wait_for 20 ready
agent_down
unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT
nok "without any of them it does not start" "$BUILD/podwired" --config "$TMP/agent.json" --node-name me
like "and says what to do" "$(cat "$TMP/.out")" "neither 'kubernetes.kubeconfig' nor 'kubernetes.server' is"

# The command line.
ok "--check-config" "$BUILD/podwired" --config "$TMP/agent.json" --node-name me --check-config
echo '{"clusterRanges": ["10.0.0.0/8"], "routeing": "auto"}' >"$TMP/bad.json"
nok "--check-config of a bad one" "$BUILD/podwired" --config "$TMP/bad.json" --node-name me --check-config
like "names the key" "$(cat "$TMP/.out")" "unknown key 'routeing'"
nok "without a name of the node" env -u NODE_NAME "$BUILD/podwired" --config "$TMP/agent.json" --check-config
ok "which the environment may give" env NODE_NAME=me "$BUILD/podwired" --config "$TMP/agent.json" --check-config
nok "an unknown option" "$BUILD/podwired" --frobnicate
like "--version" "$("$BUILD/podwired" --version)" "^podwired [0-9]"
like "--help" "$("$BUILD/podwired" --help)" "usage: podwired"
