#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Helm chart renders what the plain manifests say, its values reach what they name, and versions are one.
# Helm is not in Debian: render.go stands for it, and refuses what is not Go's own template language.
# Seen to fail: with a capability more in one of the two.
. "$(dirname "$0")/../lib/tap.sh"
need jq
R=$("$TOP/tests/clients/get" -c render 2>"$TMP/get")/render || skip_all "no renderer: $(cat "$TMP/get")"
CHART=$TOP/deploy/helm/podwire PLAIN=$TOP/deploy/kubernetes

# The configuration is JSON in a string: compared as JSON.
normal() { jq -cS 'if .data["agent.json"] then .data["agent.json"] |= fromjson else . end' | LC_ALL=C sort; }
same() { # NAME FILE SETTING...
    local name=$1 file=$2
    shift 2
    "$R" json "$file" | normal >"$TMP/plain"
    "$R" chart "$CHART" "$@" | normal >"$TMP/chart"
    ok "$name" diff "$TMP/plain" "$TMP/chart"
}
the() { "$R" chart "$CHART" "${@:2}" | jq -c "$1"; } # JQ SETTING...
daemonset='select(.kind=="DaemonSet")|.spec.template.spec'

same "the chart renders podwire.yaml" "$PLAIN/podwire.yaml"
"$R" chart "$CHART" uninstall=true | jq -c 'select(.kind=="DaemonSet")' | normal >"$TMP/chart"
"$R" json "$PLAIN/uninstall.yaml" | normal >"$TMP/plain"
ok "and uninstall.yaml, with uninstall=true" diff "$TMP/plain" "$TMP/chart"

version=$(cat "$TOP/VERSION")
is "the chart is of this version" "$("$R" json "$CHART/Chart.yaml" | jq -r '.version+" "+.appVersion')" "$version $version"
is "and so are the images of the manifests" \
    "$("$R" json "$PLAIN"/*.yaml | jq -r "$daemonset|(.initContainers//[])[],.containers[]|.image" | sort -u)" "podwire:$version"

is "image" "$(the "$daemonset|[.initContainers[],.containers[]|.image,.imagePullPolicy]" image.repository=r.example/p \
    image.tag=t image.pullPolicy=Always)" '["r.example/p:t","Always","r.example/p:t","Always"]'
is "config" "$(the 'select(.kind=="ConfigMap")|.data["agent.json"]|fromjson|[.clusterRanges[0],.mtu,.uplinks[0]]' \
    'config={clusterRanges: ["10.9.0.0/16"], mtu: 1400, uplinks: ["it''s \"odd\" {{x}}"]}')" '["10.9.0.0/16",1400,"its \"odd\" {{x}}"]'
is "folders" "$(the "$daemonset|[.volumes[]|select(.name|startswith(\"cni-\"))|.hostPath.path]" cniBin=/b cniConf=/c)" '["/c","/b"]'
is "tolerations, nodes, resources" "$(the "$daemonset|[.tolerations,.nodeSelector,.containers[0].resources]" \
    tolerations='[]' nodeSelector='{a: b}' resources='{limits: {memory: 64Mi}}')" '[[],{"a":"b"},{"limits":{"memory":"64Mi"}}]'
is "steps of an upgrade" "$(the 'select(.kind=="DaemonSet")|.spec.updateStrategy.rollingUpdate.maxUnavailable' maxUnavailable=10%)" '"10%"'
nok "a value that is none is refused" "$R" chart "$CHART" image.tagg=x

# More rights only by the operator's word.
is "restartBackends: the node's processes, and what a back-end is started with" "$(the "$daemonset|[.hostPID,
    (.containers[0].securityContext.capabilities.add - [\"NET_ADMIN\",\"BPF\",\"PERFMON\",\"SYS_ADMIN\"])]" restartBackends=true)" \
    '[true,["SYS_PTRACE","SYS_CHROOT","SETUID","SETGID","SETPCAP","CHOWN","DAC_OVERRIDE","KILL","MKNOD"]]'
is "and no profile of the runtime" "$(the 'select(.kind=="DaemonSet")|.spec.template.metadata.annotations' restartBackends=true)" \
    '{"container.apparmor.security.beta.kubernetes.io/podwired":"unconfined"}'
is "else none of it" "$(the "$daemonset|[.hostPID,.containers[0].securityContext.capabilities.add]")" '[null,["NET_ADMIN","BPF","PERFMON","SYS_ADMIN"]]'

# What the agent may do: nothing but see, and no more rights on the node than it needs.
is "RBAC" "$("$R" json "$PLAIN/podwire.yaml" | jq -c 'select(.kind=="ClusterRole").rules')" \
    '[{"apiGroups":[""],"resources":["nodes"],"verbs":["get","list","watch"]},{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}]'
classes() { the 'select(.kind=="ClusterRole").rules[1].verbs' "config={clusterRanges: [\"10.9.0.0/16\"], runtimeClasses: $1}"; } # YAML
is "RuntimeClasses to look up: pods are followed" "$(classes '{kata: {device: tap}, own: {device: tap, directory: /d}}')" '["list","watch"]'
is "with lists of their own they are not" "$(classes '{own: {device: tap, directory: /d}}')" '["list"]'
is "the agent's container is not privileged" "$("$R" json "$PLAIN/podwire.yaml" | jq -c "$daemonset|.containers[0].securityContext.privileged")" null
