#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 300 pods come and go while others talk, two agents are killed in between, and at the end each node is walked:
# links, addresses, pins, map entries, IPAM files, rules, routes are those from before.
# pw-test: timeout=1700
# pw-test: serial
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/kubernetes/cluster.sh"
. "$TOP/tests/kubernetes/services.sh"
need openssl jq curl nft iptables pgrep
ROUNDS=${ROUNDS:-6} PODS=50

# What pods that stay have met meanwhile is no difference: reasons of slots that are taken.
node_walk() { # N
    in_node "$1" env TOP="$TOP" bash -c '. "$TOP/tests/lib/walk.sh"; walk' >"$TMP/walk"
    awk 'match($0, /^\["pw_slots",[0-9]+/) { n = $0; gsub(/[^0-9]/, "", n); taken[n] = 1 }
        { line[NR] = $0 }
        END { for (i = 1; i <= NR; i++) {
            if (match(line[i], /^\["pw_reasons",\{"slot":[0-9]+/)) {
                n = substr(line[i], RSTART, RLENGTH); gsub(/[^0-9]/, "", n)
                if (n in taken) continue
            }
            print line[i] } }' "$TMP/walk"
}
churn() { # HOW-MANY: pods made, Ready, and gone again
    k scale deployment/churn --replicas="$1"
    wait_for 240 pods_ready app=churn "$1"
    k scale deployment/churn --replicas=0
    wait_for 240 no_pods app=churn
}

cluster_up 3
test_pods
cat >"$C/churn.yaml" <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: churn}
spec:
  replicas: 0
  selector: {matchLabels: {app: churn}}
  template:
    metadata: {labels: {app: churn}}
    spec:
      terminationGracePeriodSeconds: 0
      automountServiceAccountToken: false
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: churn}}}
      containers:
      - {name: c, image: "$IMAGE", imagePullPolicy: Never, command: [/bin/tail, -f, /dev/null]}
EOF
must ok "a Deployment" apply "$C/churn.yaml"
# What the first pods of a node make for good is there.
must ok "first pods on all nodes come and go" churn 6
settled() { # the last DELs are through: no more endpoints than the lasting pods'
    local n
    for n in 1 2 3; do [ "$(in_node $n sh -c 'ls /run/podwire/endpoints | wc -l')" = $((n == 1 ? 2 : 1)) ] || return 1; done
}
wait_for 60 settled || true
for n in 1 2 3; do node_walk $n >"$TMP/before.$n"; done
like "the walk sees pods" "$(cat "$TMP/before.1")" "link pw-"
like "and their slots" "$(cat "$TMP/before.1")" 'pw_slots",[0-9]'

steps=()
for ((i = 1; i <= ROUNDS; i++)); do
    steps+=(-s "$(step "churn $PODS")")
    # In the midst of it, every third time.
    [ $((i % 3)) != 0 ] || steps+=(-s "$(step "k scale deployment/churn --replicas=10; agent_kill 1; churn 10")")
done
flows "$((ROUNDS * PODS)) pods come and go: " "${steps[@]}" < <(
    for f in 4 6; do
        declare -n ip=IP$f
        for p in tcp udp; do
            echo "$p \"IPv$f pod to pod of the node, $p\" from=a1 to=a2 dst=${ip[a2]} port=8090"
            echo "$p \"IPv$f pod to pod of another node, $p\" from=a2 to=b1 dst=${ip[b1]} port=8090"
        done
        pair "IPv$f Service" b1 a1 "${SVC[a1-$f]}" 80 53
    done
)
ok "all of them are gone" no_pods app=churn
wait_for 60 settled || true
for n in 1 2 3; do
    node_walk $n >"$TMP/after.$n"
    ok "n$n is as before" diff "$TMP/before.$n" "$TMP/after.$n"
    is "n$n: nothing that the datapath dropped was an established flow's" \
        "$(agent_ctl $n drops --json | jq -c '[.. | objects | select(.verdict? == "drop" and (.reason? // "" | tostring | test("SPOOF|MALFORMED"))) | .reason] | unique')" "[]"
done
diag "$SECONDS s"
