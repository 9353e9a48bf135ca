#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An agent in a container starts back-ends again on the node itself, where its operator allows it what that takes
# (the chart's restartBackends): they are in the node's mount namespace and outside of the container's control groups,
# so they outlive it. With least privilege it says that it cannot.
# Seen to fail: without leave_groups and the mount namespace (agent/backends.c); with SETPCAP or SYS_CHROOT not allowed.
# pw-test: timeout=180
# shellcheck disable=SC2154,SC2119 # variables of lib.sh; its arguments may be left out
. "$(dirname "$0")/../lib/tap.sh"
. "$TOP/tests/agent/lib.sh"
need setpriv unshare pgrep
[ -c /dev/net/tun ] || skip_all "no /dev/net/tun"

# What the chart allows, as read in it: the second time with restartBackends.
caps() { # N: the N-th list of capabilities of the template, for setpriv
    sed -n 's/.*capabilities: {drop: \[ALL\], add: \[\(.*\)\]}.*/\1/p' "$TOP/deploy/helm/podwire/templates/daemonset.yaml" |
        sed -n "$1p" | tr '[:upper:]' '[:lower:]' | sed 's/ //g; s/^/+/; s/,/,+/g'
}
GROUP=pw-agent-$$
groups() { # DO: mkdir, rmdir
    local h
    for h in /sys/fs/cgroup/*/; do [ -e "$h/cpuset.cpus" ] || [ ! -e "$h/cgroup.procs" ] || "$1" "$h$GROUP" || true; done
}
leave_container() {
    agent_kill
    sleep 0.2
    groups rmdir 2>/dev/null
}
cleanup leave_container
groups mkdir
agent_in_container() { # CAPABILITIES: in its own mounts there is no program for a back-end
    # shellcheck disable=SC2016 # for that shell
    unshare --mount --propagation slave -- bash -c 'mount --bind /dev/null '"$BUILD/podwire-vhost"'
        for g in /sys/fs/cgroup/*/'$GROUP'; do echo $$ >$g/cgroup.procs; done
        exec setpriv --bounding-set="-all,$1" --inh-caps=-all --no-new-privs "${@:2}"' - "$1" \
        "$BUILD/podwired" --config "$TMP/agent.json" --node-name me >>"$TMP/agent.log" 2>&1 &
    agent_pid=$!
    wait_for 20 curl -sS http://127.0.0.1:9470/healthz || bail "podwired does not answer: $(tail -n3 "$TMP/agent.log")"
    wait_for 30 ready || true
}
backends() { pgrep -x podwire-vhost | sort -n | tr '\n' ' '; }
backends_kill() {
    # shellcheck disable=SC2046 # numbers
    kill -9 $(backends) 2>/dev/null || true
    wait_for 10 eval '[ -z "$(backends)" ]'
}

node_up
agent_conf '.device = "vhost-user"'
api_up
node me 1
agent_in_container "$(caps 2)"
must ok "ready with least privilege" ready
netns_up vm
jq -c '.plugins[0] + {name: .name, cniVersion: "1.0.0"}' "$LIST" >"$TMP/conf"
good "ADD of a vhost-user device" "$(cat "$TMP/conf")" ADD c-vm /run/netns/vm eth0
like "a back-end and its supervisor run" "$(backends)" '^[0-9]+ [0-9]+ $'
ok "both are killed" backends_kill
ok "with least privilege the agent says that it cannot start them" wait_for 30 grep -q "vhost back-ends: look at the node's first process" "$TMP/agent.log"
is "and none runs" "$(backends)" ""
agent_kill

agent_in_container "$(caps 1)"
must ok "ready with more" ready
ok "it starts them" wait_for 30 eval '[ "$(metric podwire_backends_restarted_total)" = 1 ]'
now=$(backends)
like "a back-end and its supervisor" "$now" '^[0-9]+ [0-9]+ $'
# shellcheck disable=SC2086 # numbers
is "in none of the container's groups" "$(for p in $now; do grep "$GROUP" "/proc/$p/cgroup"; done)" ""
like "where the agent is" "$(cat "/proc/$agent_pid/cgroup")" "$GROUP"
# As a runtime ends a container that shares the node's processes.
for g in /sys/fs/cgroup/*/"$GROUP"; do
    # shellcheck disable=SC2046 # numbers
    kill -9 $(cat "$g/cgroup.procs") 2>/dev/null || true
done
ok "with the container's end its groups are empty" wait_for 10 eval 'groups rmdir && ! ls -d /sys/fs/cgroup/*/$GROUP'
is "and the back-end lives on" "$(backends)" "$now"
good "DEL" "$(cat "$TMP/conf")" DEL c-vm /run/netns/vm eth0
is "until its pod goes" "$(backends)" ""
